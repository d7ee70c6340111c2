//! Orders to connect anew that a change has given, as far as the gateways have said that they are carried out.

use std::collections::BTreeMap;
use std::time::Duration;

use ringway_core::message::{Reset, ResetCount};
use ringway_core::ring::SlotSet;
use ringway_core::view::View;
use ringway_core::{Incarnation, MemberId, Slot};

use crate::rebalance::{Mode, Rebalance};

/// An order that was given.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) number: u64,
    pub(super) window: Duration,
    /// Gateways that have not said that they are done.
    waiting: Vec<MemberId>,
    /// Sockets that each has closed. By name: a gateway keeps its orders when it takes a new incarnation.
    closed: BTreeMap<MemberId, u64>,
}

/// The order that goes with slots that have moved; `None` if nobody has to connect anew.
pub(super) fn order(number: u64, rebalance: Rebalance, slots: &[Slot]) -> Option<Reset> {
    let slots = match rebalance.mode {
        _ if slots.is_empty() => return None,
        Mode::Migrate => return None,
        Mode::Reset => Some(SlotSet::of(slots.iter().copied())),
        Mode::ResetAll => None,
    };
    Some(Reset { number, slots, window: rebalance.window })
}

impl Given {
    /// An order to all gateways of the view.
    pub(super) fn to_all(view: &View, order: &Reset) -> Self {
        let waiting = view.gateways.iter().map(|gateway| gateway.id.clone()).collect();
        Self { number: order.number, window: order.window, waiting, closed: BTreeMap::new() }
    }

    /// These gateways did not get it. Returns their names.
    pub(super) fn missed(&mut self, view: &View, missed: &[Incarnation]) -> Vec<MemberId> {
        let names = missed.iter().filter_map(|missed| Some(view.gateway(*missed)?.id.clone()));
        let names: Vec<MemberId> = names.collect();
        self.waiting.retain(|gateway| !names.contains(gateway));
        names
    }

    /// A gateway says how far it is.
    pub(super) fn take(&mut self, gateway: &MemberId, count: ResetCount) {
        let closed = self.closed.entry(gateway.clone()).or_default();
        *closed = count.closed.max(*closed);
        if count.done {
            self.waiting.retain(|waiting| waiting != gateway);
        }
    }

    /// Nobody waits for a gateway that has left.
    pub(super) fn see(&mut self, view: &View) {
        self.waiting.retain(|waiting| view.gateways.iter().any(|gateway| gateway.id == *waiting));
    }

    /// Nobody got it.
    pub(super) fn give_up(&mut self) {
        self.waiting.clear();
    }

    /// Sockets closed so far.
    pub(super) fn closed(&self) -> u64 {
        self.closed.values().fold(0, |all, closed| all.saturating_add(*closed))
    }

    /// The first gateway that is not done, in words.
    pub(super) fn missing(&self) -> Option<String> {
        self.waiting.first().map(|gateway| format!("clients of {gateway} are still to be asked to connect anew"))
    }
}

#[cfg(test)]
mod tests;
