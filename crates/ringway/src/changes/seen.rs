//! What all gateways saw together, from what each of them tells of itself.

use std::collections::HashMap;

use ringway_core::message::Toll;
use ringway_core::pauses::Pauses;
use ringway_core::view::View;
use ringway_core::{Epoch, Incarnation};

/// Gateways' processes that are remembered. Above it those that left the view are forgotten: should one come back, it
/// counts from what it tells then.
const REMEMBERED: usize = 256;

/// Sums over all gateways, since this process began. They only grow.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Sums {
    pub(super) gaps: u64,
    pub(super) doubles: u64,
    pub(super) reorders: u64,
    pub(super) closed: u64,
    pub(super) pauses: Pauses,
}

/// The newest word of each gateway.
#[derive(Debug, Default)]
pub(super) struct Seen {
    told: HashMap<Incarnation, TollTaken>,
    sums: Sums,
}

#[derive(Debug)]
struct TollTaken {
    gateway: Incarnation,
    epoch: Epoch,
    toll: Toll,
}

impl Seen {
    /// Takes a gateway's word. The first of a process is where its counting begins here: it may be older than this process.
    pub(super) fn take(&mut self, view: &View, gateway: Incarnation, epoch: Epoch, mut toll: Toll) {
        toll.pauses = toll.pauses.sound();
        // A gateway is one process, whatever it says.
        self.told.retain(|process, told| *process == toll.process || told.gateway != gateway);
        if let Some(before) = self.told.get(&toll.process).map(|told| &told.toll) {
            let more = |sum: &mut u64, now: u64, before: u64| *sum = sum.saturating_add(now.saturating_sub(before));
            more(&mut self.sums.gaps, toll.gaps, before.gaps);
            more(&mut self.sums.doubles, toll.doubles, before.doubles);
            more(&mut self.sums.reorders, toll.reorders, before.reorders);
            more(&mut self.sums.closed, toll.closed, before.closed);
            self.sums.pauses.add(&toll.pauses.since(&before.pauses));
        }
        if self.told.len() >= REMEMBERED {
            self.told.retain(|_, told| view.gateway(told.gateway).is_some());
        }
        self.told.insert(toll.process, TollTaken { gateway, epoch, toll });
    }

    /// Processes that are remembered.
    #[cfg(test)]
    pub(super) fn processes(&self) -> usize {
        self.told.len()
    }

    pub(super) fn sums(&self) -> &Sums {
        &self.sums
    }

    /// The first gateway of the view that has not said yet what it saw up to this epoch, in words.
    pub(super) fn missing(&self, view: &View, epoch: Epoch) -> Option<String> {
        view.gateways.iter().find_map(|gateway| {
            match self.told.values().find(|told| told.gateway == gateway.incarnation) {
                Some(told) if told.epoch >= epoch && told.toll.waiting == 0 => None,
                Some(told) if told.epoch >= epoch => {
                    Some(format!("{} channels of {} have no owner that answers", told.toll.waiting, gateway.id))
                }
                _ => Some(format!("{} has not said what it saw", gateway.id)),
            }
        })
    }
}

impl Sums {
    /// What came after an earlier state.
    pub(super) fn since(&self, before: &Self) -> Self {
        Self {
            gaps: self.gaps - before.gaps,
            doubles: self.doubles - before.doubles,
            reorders: self.reorders - before.reorders,
            closed: self.closed - before.closed,
            pauses: self.pauses.since(&before.pauses),
        }
    }
}
