//! Rest: is everybody settled, and has everybody converged once the faults are over (C5)?

use ringway_core::member::Member;
use ringway_core::node::Node;
use ringway_core::view::{NodeState, Placement};
use ringway_core::{Incarnation, Position, Slot};

use crate::world::World;
use crate::world::clients::Connection;
use crate::world::process::{Process, State};

impl World {
    /// Everybody is where they should be: all in the view, all slots of all owners settled.
    pub(crate) fn is_settled(&self) -> bool {
        let view = self.newest_view();
        let gateways_live = view.gateways.iter().all(|entry| {
            self.processes.iter().any(|process| process.runs() && process.incarnation == entry.incarnation)
        });
        let settled = |incarnation: Incarnation| {
            let process = self.processes.iter().find(|process| process.incarnation == incarnation);
            let node = process.filter(|process| process.runs()).and_then(|process| process.node());
            node.is_some_and(|node| node.is_settled() && node.view().epoch == view.epoch)
        };
        gateways_live && !view.nodes.is_empty() && view.nodes.iter().all(|node| settled(node.incarnation))
    }

    /// What is still in the way of rest, if anything.
    pub(crate) fn unconverged(&self) -> Option<String> {
        let view = self.newest_view();
        if let Some(process) = self
            .processes
            .iter()
            .find(|p| p.state == State::Between || (p.state == State::Up && !view.has(p.incarnation) && !self.waits(p)))
        {
            return Some(format!("{} is not in the view", process.id));
        }
        let is_done = |state: NodeState| matches!(state, NodeState::Active | NodeState::Resting);
        if let Some(node) = view.nodes.iter().find(|node| !is_done(node.state())) {
            return Some(format!("{} is {:?}, {}", node.id, node.state(), self.unsettled()));
        }
        if view.nodes.is_empty() {
            return None;
        }
        if !self.is_settled() {
            return Some(self.unsettled());
        }
        let nodes = view.nodes.iter().filter_map(|entry| self.node_of(entry.incarnation));
        let early = nodes.flat_map(|node| self.setup.slots.slots().filter(|slot| node.standing(*slot).early));
        if let Some(slot) = early.min() {
            return Some(format!("slot {slot} is there for the log alone"));
        }
        let placement = Placement::of(self.newest_view(), None);
        for process in self.processes.iter().filter(|process| process.state == State::Up) {
            let Some(gateway) = process.member.as_ref().and_then(Member::gateway) else { continue };
            let (waiting, lingering) = (gateway.publishes_waiting(), gateway.lingering_count());
            if waiting > 0 || lingering > 0 {
                return Some(format!("{} has {waiting} publishes and {lingering} positions open", process.id));
            }
            if !process.clients.calls.is_empty() && process.state == State::Up && !self.is_asking() {
                return Some(format!("{}: calls {:?} wait", process.id, process.clients.calls));
            }
            if let Some(why) =
                process.clients.connections.iter().find_map(|(number, one)| self.behind(*number, one, &placement))
            {
                return Some(format!("{}: {why}", process.id));
            }
        }
        None
    }

    /// A call was not answered, or a command of somebody who reads.
    pub(crate) fn somebody_waits(&self) -> bool {
        let waits = |process: &Process| {
            let mut connections = process.clients.connections.values();
            !process.clients.calls.is_empty()
                || connections.any(|connection| !connection.vanished && !connection.asked.is_empty())
        };
        self.processes.iter().any(|process| process.state == State::Up && waits(process))
    }

    /// What a connection still lacks.
    fn behind(&self, number: u64, connection: &Connection, placement: &Placement) -> Option<String> {
        if connection.vanished {
            return None;
        }
        if !connection.is_in || !connection.asked.is_empty() {
            return Some(format!("connection {number} waits for {:?}", connection.asked));
        }
        let place = |channel: usize, at: Option<Position>| {
            let owner = self.owner_of(channel, placement)?;
            let top = owner.inspect_channel(&self.setup.channels[channel].name).filter(|top| top.epoch.is_some());
            let there = at.map(|at| (Some(at.epoch), at.offset)) == top.map(|top| (top.epoch, top.committed));
            let text = || format!("connection {number}: channel {channel} is at {at:?}, its owner at {top:?}");
            (!there).then(text)
        };
        let kept = connection.subs.iter().filter(|(channel, _)| self.setup.channels[**channel].options.has_history());
        let behind = kept.into_iter().find_map(|(channel, sub)| place(*channel, sub.at));
        // A plain client is not told where it is: what counts is what its user has by now.
        let user = connection.user.filter(|_| connection.is_plain && self.setup.large.is_none());
        behind.or_else(|| user.and_then(|channel| self.behind_of_user(number, channel, placement)))
    }

    fn behind_of_user(&self, number: u64, channel: usize, placement: &Placement) -> Option<String> {
        let owner = self.owner_of(channel, placement)?;
        let top = owner.inspect_channel(&self.setup.channels[channel].name)?;
        let had = self.people.users[channel].had(top.epoch?);
        let is_behind = had < top.committed;
        is_behind.then(|| format!("connection {number}: its user has {had} of {channel}, its owner is at {top:?}"))
    }

    /// Another process with its id is in the cluster: it waits for that one's end.
    fn waits(&self, process: &Process) -> bool {
        let taken = self.newest_view().incarnation_of(&process.id);
        self.setup.twin && taken.is_some_and(|taken| self.processes.iter().any(|p| p.incarnation == taken && p.runs()))
    }

    /// Who is not settled, and a slot that keeps it from that.
    fn unsettled(&self) -> String {
        let placement = Placement::of(self.newest_view(), None);
        let open = self.processes.iter().filter_map(|process| Some((process, process.node()?)));
        let open = open.filter(|(_, node)| !node.is_settled());
        let slot = |process: &Process, node: &Node| {
            let mut owned = self.setup.slots.slots().filter(|slot| placement.owner(*slot) == Some(process.incarnation));
            let unsettled =
                |slot: &Slot| node.inspect(*slot).is_none_or(|report| report.reign.is_none_or(|reign| !reign.settled));
            owned.find(unsettled).map(|slot| (slot, placement.wanted(slot), node.inspect(slot)))
        };
        let said = |(process, node): (&Process, &Node)| {
            format!("{} ({}): {:?}", process.id, node.unsettled(), slot(process, node))
        };
        format!("not settled: {}", open.map(said).collect::<Vec<_>>().join("; "))
    }

    pub(super) fn owner_of(&self, channel: usize, placement: &Placement) -> Option<&Node> {
        self.node_of(placement.owner(self.setup.channels[channel].slot)?)
    }
}
