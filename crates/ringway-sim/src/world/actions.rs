//! What a member's rules want done, and the ends of processes and incarnations.

use ringway_core::member::Member;
use ringway_core::membership::Action;
use ringway_core::node::Lease;
use ringway_core::view::View;

use super::process::State;
use super::{Event, Input, MS, World, note};

/// A process that left answers what is still under way for this long.
const LINGER: u64 = 300 * MS;

impl World {
    /// Carries out what the member wants.
    pub(crate) fn act(&mut self, at: usize) {
        while let Some(action) = self.processes[at].member.as_mut().and_then(Member::next_action) {
            match action {
                Action::Request(request) => self.send_request(at, request),
                Action::Log(request) => self.send_to_log(at, request),
                Action::View { view, .. } => {
                    self.processes[at].view_at = self.now;
                    self.watch_obeyed(at, &view);
                    self.look_after(at, &view);
                    self.drain_if_told(at, &view);
                    self.doubt_all(at, &view);
                    self.with_clerk(at, |clerk, _| clerk.on_view(&view));
                }
                Action::Expelled => {
                    self.expel(at);
                    return;
                }
                Action::Left => {
                    self.leave_world(at);
                    return;
                }
                Action::Lease(Lease::Since(sent)) => self.watch_lease(at, sent),
                Action::Lease(_) => {}
                Action::Full => note!(self, "{} waits until there is room", self.processes[at].id),
                Action::IdTaken(by) => note!(self, "{} waits for {by} to be removed", self.processes[at].id),
                Action::Suspects(peer, sign) => note!(self, "{} has {peer} removed: {sign}", self.processes[at].id),
                Action::Changed(_, result) => note!(self, "{} changed: {result:?}", self.processes[at].id),
            }
        }
    }

    /// In some runs somebody beside the links takes every member for gone, all the time: no rule may rely on its word.
    fn doubt_all(&mut self, at: usize, view: &View) {
        let everybody = view.members().map(|(_, member, _)| member).collect();
        if let Some(member) = self.processes[at].member.as_mut().filter(|_| self.setup.doubts) {
            member.doubt(everybody);
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
        process.backlog.clear();
        process.outbox.clear();
        self.clients_lost(at);
        self.break_all(at);
        self.look_for_newest();
    }
}
