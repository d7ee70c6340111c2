//! What a member's rules want done, and the ends of processes and incarnations.

use std::sync::Arc;

use ringway_core::member::Action;
use ringway_core::view::{Placement, View};

use super::process::State;
use super::{Event, Input, MS, World, note};

/// A process that left answers what is still under way for this long.
const LINGER: u64 = 300 * MS;

impl World {
    /// Carries out what the member wants.
    pub(crate) fn act(&mut self, at: usize) {
        loop {
            let process = &mut self.processes[at];
            let Some(action) = process.member.as_mut().and_then(ringway_core::member::Member::next_action) else {
                return;
            };
            match action {
                Action::Request(request) => self.send_request(at, request),
                Action::View(view, placement) => {
                    self.apply_view(at, &view, &placement);
                    self.look_after(at, &view);
                    self.drain_if_told(at, &view);
                }
                Action::Lease(lease) => {
                    let now = process.clock(self.now);
                    let lease = self.lied_lease(lease);
                    if let Some(node) = &mut self.processes[at].node {
                        node.set_lease(now, lease);
                    }
                }
                Action::Expelled => {
                    self.expel(at);
                    return;
                }
                Action::Left => {
                    self.leave_world(at);
                    return;
                }
                Action::Full => note!(self, "{} waits until there is room", self.processes[at].id),
                Action::IdTaken(by) => note!(self, "{} waits for {by} to be removed", self.processes[at].id),
                Action::Suspects(peer, sign) => note!(self, "{} has {peer} removed: {sign}", self.processes[at].id),
                Action::Changed(_, result) => note!(self, "{} changed: {result:?}", self.processes[at].id),
            }
        }
    }

    pub(crate) fn apply_view(&mut self, at: usize, view: &Arc<View>, placement: &Placement) {
        // What was given up until now was given up in the view before.
        self.processes[at].marks_next = 0;
        self.watch_marks(at);
        let lied = self.lied_view(at, view);
        // Whoever is lied to works out for itself what the lie means.
        let placement = if lied == *view { placement.clone() } else { Placement::of(&lied, None) };
        let process = &mut self.processes[at];
        process.view_at = self.now;
        let now = process.clock(self.now);
        if let Some(node) = &mut process.node {
            node.on_view_placed(now, &lied, &placement);
        }
        if let Some(gateway) = &mut process.gateway {
            gateway.on_view_placed(now, lied, &placement);
        }
    }

    /// The view says that this gateway drains.
    fn drain_if_told(&mut self, at: usize, view: &View) {
        let process = &self.processes[at];
        if !process.leaving && view.gateway(process.incarnation).is_some_and(|entry| entry.draining) {
            self.let_clients_go(at);
        }
    }

    /// The incarnation is over: all links break, and after a pause the process joins as a new one.
    fn expel(&mut self, at: usize) {
        note!(self, "{} {} is expelled", self.processes[at].id, self.processes[at].incarnation);
        let now = self.now;
        let process = &mut self.processes[at];
        process.state = State::Between;
        if now > process.since + 5000 * MS {
            process.pause = 30 * MS;
        }
        let (boot, life, bound) = (process.boot, process.life, process.pause);
        process.pause = (process.pause * 2).min(1000 * MS);
        process.node = None;
        process.outbox.clear();
        self.break_all(at);
        let pause = self.rng.below(bound);
        self.schedule(self.now + pause, Event::To(at, boot, Input::Rejoin(life)));
    }

    /// It left as it wanted. What was said to it on the way out is still answered.
    fn leave_world(&mut self, at: usize) {
        note!(self, "{} has left", self.processes[at].id);
        let process = &mut self.processes[at];
        process.state = State::Lingering;
        let boot = process.boot;
        self.schedule(self.now + LINGER, Event::To(at, boot, Input::End));
    }

    /// A process ends: all that it held is gone.
    pub(crate) fn end_process(&mut self, at: usize) {
        let process = &mut self.processes[at];
        process.state = State::Down;
        process.frozen = false;
        process.boot += 1;
        process.member = None;
        process.node = None;
        process.gateway = None;
        process.backlog.clear();
        process.outbox.clear();
        self.client_ended(at);
        self.break_all(at);
    }
}
