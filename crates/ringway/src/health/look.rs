//! One look at the cluster: what this process knows of it at one moment, and what of that is amiss.

use std::collections::BTreeSet;
use std::time::Duration;

use ringway_core::message::Load;
use ringway_core::timing::{Now, Timing};
use ringway_core::view::NodeEntry;
use ringway_core::{Incarnation, Slot};

use super::cause::Cause;
use crate::census::Said;
use crate::cluster::{ClusterState, Reach};
use crate::member::Stats;

/// From here on, in percent, history is nearly full: time to raise the limit, or to add nodes.
pub(super) const NEARLY_FULL: u64 = 90;

/// What is known at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look<'a> {
    pub(super) state: &'a ClusterState,
    pub(super) stats: &'a Stats,
    pub(super) timing: &'a Timing,
    pub(super) census: &'a Said,
    /// Why keys of tokens cannot be fetched, if they cannot.
    pub(super) keys: Option<&'a str>,
    pub(super) now: Now,
}

impl Look<'_> {
    /// Nodes that own slots now.
    pub(super) fn owners(&self) -> impl Iterator<Item = &NodeEntry> {
        self.state.view.nodes.iter().filter(|node| node.serves())
    }

    pub(super) fn is_reached(&self, node: &NodeEntry) -> bool {
        self.state.reach(node.incarnation) == Reach::Up
    }

    /// The slot has an owner that this process reaches.
    pub(super) fn is_owned(&self, slot: Slot) -> bool {
        self.state.placement.owner(slot).is_some_and(|owner| self.state.reach(owner) == Reach::Up)
    }

    /// What a node said last of itself.
    pub(super) fn load(&self, node: Incarnation) -> Load {
        self.state.loads.get(&node).copied().unwrap_or_default()
    }

    pub(super) fn slots_of(&self, node: &NodeEntry) -> u64 {
        let table = self.state.placement.table();
        table.index_of(&node.id).map_or(0, |index| u64::from(table.slots_owned(index)))
    }

    fn all_slots(&self) -> u64 {
        u64::from(self.state.view.slots.get())
    }

    /// Slots of an owner without a second copy, where there should be one. Of an owner that is not reached, nothing is known.
    pub(super) fn alone(&self, node: &NodeEntry) -> u64 {
        match (self.state.view.copies, self.is_reached(node)) {
            (..2, _) => 0,
            (_, true) => self.load(node.incarnation).alone,
            (_, false) => self.slots_of(node),
        }
    }

    /// The same of all slots.
    pub(super) fn without_second_copy(&self) -> u64 {
        match self.state.view.copies {
            ..2 => 0,
            _ if self.owners().next().is_none() => self.all_slots(),
            _ => self.owners().map(|node| self.alone(node)).sum(),
        }
    }

    /// Slots in which nothing can be published now.
    pub(super) fn unserved(&self) -> u64 {
        if self.owners().next().is_none() {
            return self.all_slots();
        }
        let of_node = |node: &NodeEntry| match self.is_reached(node) {
            true => self.load(node.incarnation).not_live + self.load(node.incarnation).blocked,
            false => self.slots_of(node),
        };
        self.owners().map(of_node).sum()
    }

    /// How long the registry has not answered this process.
    pub(super) fn registry_silence(&self) -> Duration {
        self.stats.registry_answered.map_or(Duration::ZERO, |answered| self.now.saturating_sub(answered))
    }

    /// The registry misses a lease's renewal or two before it counts as away.
    pub(super) fn registry_is_away(&self) -> bool {
        self.registry_silence() > self.timing.ttl
    }

    /// What is amiss, but for slots without an owner: those are followed one by one.
    pub(super) fn causes(&self) -> Vec<Cause> {
        let mut causes = Vec::new();
        let mut note = |holds: bool, cause: Cause| causes.extend(holds.then_some(cause));
        let me = self.state.me.incarnation;
        let leaves = self.stats.leaving || self.state.view.gateway(me).is_some_and(|gateway| gateway.draining);
        note(leaves, Cause::Leaving);
        note(!leaves && !self.state.view.has(me), Cause::Outside);
        note(self.now.saturating_sub(self.stats.turned) > self.timing.silent(), Cause::Hanging);
        note(self.registry_is_away(), Cause::RegistryAway);
        note(self.stats.bus_away.is_some(), Cause::BusAway);
        note(!self.state.troubles.is_empty(), Cause::Undialed);
        note(self.census.trouble.is_some(), Cause::Census);
        note(self.keys.is_some(), Cause::TokenKeys);
        for node in &self.state.view.nodes {
            let (name, is_reached) = (node.incarnation, self.is_reached(node));
            note(node.serves() && self.alone(node) > 0, Cause::Alone(name));
            let load = self.load(name);
            note(is_reached && load.not_live > 0, Cause::NotLive(name));
            note(is_reached && load.blocked > 0, Cause::Blocked(name));
            note(is_reached && load.history_full, Cause::HistoryFull(name));
            note(is_reached && !load.history_full && is_nearly_full(&load), Cause::HistoryNearlyFull(name));
            note(is_reached && load.channels_full, Cause::ChannelsFull(name));
            note(is_reached && load.keys_full, Cause::KeysFull(name));
            note(is_reached && load.log_away, Cause::LogAway(name));
            note(is_reached && load.log_full, Cause::LogFull(name));
            note(is_reached && load.log_foreign, Cause::LogForeign(name));
        }
        let members: BTreeSet<Incarnation> = self.state.view.members().map(|(_, member, _)| member).collect();
        for member in members {
            note(self.state.reach(member) == Reach::Up && self.load(member).relayed, Cause::Relayed(member));
        }
        causes
    }
}

fn is_nearly_full(load: &Load) -> bool {
    load.history_limit > 0 && load.history_bytes.saturating_mul(100) >= load.history_limit.saturating_mul(NEARLY_FULL)
}
