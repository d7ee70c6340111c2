//! What is changed on purpose, at moments that the seed picks: members join and leave, weights are others.

use ringway_core::membership::Change;
use ringway_core::ring::Weight;
use ringway_core::view::{NodeEntry, NodeState};

use super::process::State;
use super::{Event, Input, MS, Time, World, note};
use crate::setup::Mode;

impl World {
    /// Joins, drains, weights.
    pub(crate) fn next_change(&mut self) {
        if self.is_quiet() {
            return;
        }
        let planned = self.setup.mode == Mode::Planned;
        let large = self.setup.large.is_some();
        let chance = match (large, planned) {
            (true, _) => 1000,
            (_, true) => 600,
            _ => 250,
        };
        if self.rng.chance(chance) {
            self.change();
        }
        let (shortest, longest) = if large { (2000, 8000) } else { (50, 600) };
        let pause: Time = self.rng.range(shortest, longest) * MS;
        self.schedule(self.now + pause, Event::Change);
    }

    pub(crate) fn change(&mut self) {
        self.faults.count += 1;
        self.count_disturbance();
        if self.setup.large.is_none() && self.rng.chance(200) {
            self.give_reset();
        }
        match self.rng.below(10) {
            0..=3 => self.join_one(),
            4..=6 => self.drain_one(),
            7 | 8 => self.weigh_one(),
            _ => self.gateway_leaves(),
        }
    }

    pub(super) fn join_one(&mut self) {
        let down = (self.setup.gateways..self.processes.len()).find(|at| self.processes[*at].state == State::Down);
        let any_gateway = (0..self.setup.gateways).find(|at| self.processes[*at].state == State::Down);
        if let Some(at) = any_gateway.or(down) {
            self.start(at);
        }
    }

    fn some_node(&mut self) -> Option<usize> {
        let node =
            |at: &usize| self.processes[*at].runs() && !self.processes[*at].is_gateway && !self.processes[*at].leaving;
        let nodes: Vec<usize> = (self.setup.gateways..self.processes.len()).filter(node).collect();
        if nodes.is_empty() { None } else { Some(self.rng.pick(&nodes)) }
    }

    /// SIGTERM for a node: it hands over and leaves.
    fn drain_one(&mut self) {
        let Some(at) = self.some_node() else { return };
        note!(self, "{} is asked to leave", self.processes[at].id);
        self.processes[at].leaving = true;
        let boot = self.processes[at].boot;
        self.schedule(self.now, Event::To(at, boot, Input::Leave));
    }

    fn weigh_one(&mut self) {
        let (Some(node), Some(by)) = (self.some_node(), self.some_running()) else { return };
        let weight = Weight::from_thousandths(self.rng.pick(&[500, 1000, 2000, 3000, 0, 0])).unwrap_or(Weight::ONE);
        if weight.is_zero() {
            note!(self, "{} is to rest", self.processes[node].id);
            return self.ask_for(node, Change::Rest);
        }
        let incarnation = self.processes[node].incarnation;
        note!(self, "{} is to weigh {}", self.processes[node].id, weight.as_number());
        self.ask_for(by, Change::Weight(incarnation, weight));
    }

    /// A gateway that still has another beside it sheds its clients and leaves.
    fn gateway_leaves(&mut self) {
        let running: Vec<usize> = (0..self.setup.gateways).filter(|at| self.processes[*at].runs()).collect();
        let Some(at) = running.last().copied().filter(|at| running.len() > 1 && *at > 0) else { return };
        note!(self, "{} is asked to leave", self.processes[at].id);
        let (by, incarnation) = (self.some_running(), self.processes[at].incarnation);
        match by.filter(|_| self.rng.chance(500)) {
            // As an operator does it: the view says that it drains, and it does when it sees that.
            Some(by) => self.ask_for(by, Change::DrainGateway(incarnation)),
            None => self.let_clients_go(at),
        }
    }

    /// A gateway ends its sessions in order, and leaves.
    pub(crate) fn let_clients_go(&mut self, at: usize) {
        self.processes[at].leaving = true;
        self.processes[at].sheds = Some(self.now);
    }

    pub(super) fn ask_for(&mut self, by: usize, change: Change) {
        let now = self.processes[by].clock(self.now);
        if let Some(member) = &mut self.processes[by].member {
            member.change(now, 1, change);
            self.turn(by);
        }
    }

    /// Where two nodes are needed, two run.
    pub(crate) fn join_second(&mut self) {
        let resting = |node: &&NodeEntry| node.state() == NodeState::Resting;
        let resting: Vec<_> = self.newest_view().nodes.iter().filter(resting).map(|node| node.incarnation).collect();
        for incarnation in resting {
            if let Some(at) = self.processes.iter().position(|process| process.incarnation == incarnation) {
                self.ask_for(at, Change::Weight(incarnation, Weight::ONE));
            }
        }
        let nodes = self.processes.iter().skip(self.setup.gateways).filter(|process| process.state != State::Down);
        // Of two with one id, one waits for the other.
        let ids: std::collections::BTreeSet<_> = nodes.map(|process| &process.id).collect();
        if ids.len() < 2 {
            self.join_one();
        }
    }
}
