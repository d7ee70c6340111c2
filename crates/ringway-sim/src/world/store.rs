//! The store of a registry outside, and the way there: lists that are old, requests and answers that are lost, late or come twice. Each
//! member has a clerk, which makes requests to it of what the rules ask.

use std::sync::Arc;

use ringway_core::Incarnation;
use ringway_core::member::Member;
use ringway_core::message::{Frame, Message, RegistryAnswer, RegistryRequest};
use ringway_core::peers::Outgoing;
use ringway_core::registry::clerk::{Clerk, Output};
use ringway_core::registry::store::{Keys, Said, StoreAnswer, StoreOp, StoreRequest};
use ringway_core::timing::Now;
use ringway_core::view::View;

use super::{Event, Input, MS, Time, World, note};
use crate::Sabotage;

/// Earlier states of the store that it can go back to: those of the last second or so.
const SNAPSHOTS: usize = 60;

/// Longest time that a request or an answer is on its way.
const LATEST: Time = 3000 * MS;

impl World {
    /// The rules ask.
    pub(super) fn ask_clerk(&mut self, at: usize, request: RegistryRequest) {
        self.with_clerk(at, |clerk, now| clerk.ask(now, request));
    }

    pub(super) fn tick_clerk(&mut self, at: usize) {
        let process = &mut self.processes[at];
        let now = process.clock(self.now);
        if let (Some(member), Some(clerk)) = (&process.member, &mut process.clerk) {
            clerk.tick(now, |peer| member.membership().hears(now, peer));
            self.serve_clerk(at, now);
        }
    }

    /// A clerk does something, and what it wants done is done.
    pub(super) fn with_clerk(&mut self, at: usize, act: impl FnOnce(&mut Clerk, Now)) {
        let process = &mut self.processes[at];
        let now = process.clock(self.now);
        let Some(clerk) = &mut process.clerk else { return };
        act(clerk, now);
        self.serve_clerk(at, now);
    }

    fn serve_clerk(&mut self, at: usize, now: Now) {
        while let Some(output) = self.processes[at].clerk.as_mut().and_then(Clerk::next_output) {
            match output {
                Output::Ask(request) => self.ask_store(at, self.processes[at].incarnation, &request),
                Output::Relay(to, request) => self.tell_peer(at, to, Message::StoreRequest(request)),
                Output::Answer(answer) => self.answer_member(at, now, &answer),
                Output::View(view) => self.take_input(at, Input::View(view)),
                Output::WentBack { found, known } => {
                    note!(self, "{}: the store is at {found:?} and not at {known}", self.processes[at].id);
                }
                Output::Foreign(view) => {
                    self.violate("views", format!("{} finds {view:?} in the store", self.processes[at].id));
                }
            }
        }
    }

    fn answer_member(&mut self, at: usize, now: Now, answer: &RegistryAnswer) {
        self.watch_newer(at, answer.view.epoch);
        if let Some(member) = &mut self.processes[at].member {
            member.on_answer(now, answer);
        }
    }

    pub(super) fn tell_peer(&mut self, at: usize, to: Incarnation, message: Message) {
        let process = &mut self.processes[at];
        let Some(member) = &process.member else { return };
        process.outbox.push(Outgoing { to, frame: Frame { epoch: member.view().epoch, message } });
        self.schedule_flush(at);
    }

    /// A request goes from this process to the store, for itself or for another one.
    pub(super) fn ask_store(&mut self, at: usize, from: Incarnation, request: &StoreRequest) {
        let troubled = self.is_outside_troubled();
        if troubled && (self.rng.chance(10) || !self.registry_reaches(at)) {
            return;
        }
        let boot = self.processes[at].boot;
        for due in self.trips(troubled, if request.op.writes() { 30 } else { 0 }) {
            self.schedule(due, Event::Store { process: at, boot, from, request: request.clone() });
        }
    }

    /// When what goes to the store or comes from there arrives. In trouble it comes twice now and then, and so many of a thousand are late.
    pub(super) fn trips(&mut self, troubled: bool, late: u64) -> Vec<Time> {
        let copies = if troubled && self.rng.chance(10) { 2 } else { 1 };
        let mut trip = |copy| {
            let late = troubled && (copy > 0 || late > 0 && self.rng.chance(late));
            self.now + if late { self.rng.range(50 * MS, LATEST) } else { self.rng.range(100, 3 * MS) }
        };
        (0..copies).map(&mut trip).collect()
    }

    /// The store carries a request out, and answers.
    pub(super) fn handle_in_store(&mut self, at: usize, boot: u32, from: Incarnation, request: StoreRequest) {
        // What is on its way does not come back, but it arrives.
        if self.now < self.registry_away {
            return;
        }
        let before = self.newest_view().clone();
        let written = if let StoreOp::WriteLease { of, .. } = request.op { Some(of) } else { None };
        let text = self.is_traced().then(|| format!("{:?}", request.op));
        let mut answer = self.lied_store(at, request);
        if let Some(text) = text.filter(|_| !matches!(answer.said, Said::View(_) | Said::Leases(_))) {
            note!(self, "store: {} for {from}: {text}: {:?}", self.processes[at].id, answer.said);
        }
        if let (Some(of), Said::Written(_)) = (written, &answer.said) {
            self.renewed.insert(of, self.now);
        }
        if let Some(view) = self.keys.standing().filter(|view| view.epoch > before.epoch) {
            self.newest = view.clone();
            let lapsed: Vec<Incarnation> =
                before.members().map(|(_, member, _)| member).filter(|member| self.has_stood_still(*member)).collect();
            self.view_written(at, &before, &lapsed);
            let epoch = self.newest_view().epoch;
            for (at, boot, due) in self.told_soon() {
                self.schedule(due, Event::To(at, boot, Input::Notice(epoch)));
            }
        }
        let troubled = self.is_outside_troubled();
        if troubled && (self.rng.chance(10) || !self.registry_reaches(at)) {
            return;
        }
        if let Said::Leases(leases) = &mut answer.said {
            if troubled && self.rng.chance(100) {
                leases.clone_from(&self.old_leases);
            } else if self.rng.chance(100) {
                self.old_leases.clone_from(leases);
            }
        }
        for due in self.trips(troubled, 10) {
            self.schedule(due, Event::To(at, boot, Input::Store(from, answer.clone())));
        }
    }

    /// The store ends, and begins another life with what it has, with what it had a while ago, or with nothing. It forgets nothing while some
    /// members do not reach others: what the two sides know then is not the same, and nothing says who knows more.
    pub(super) fn restart_store(&mut self) {
        note!(self, "the store at {:?} starts again", self.keys.view());
        self.store_restarted = self.now;
        let kept = self.rng.below(self.snapshots.len() as u64 + 1) as usize;
        let all_reach = self.processes.iter().all(|one| self.now >= one.registry_cut && !one.frozen);
        let may_forget = self.network.is_whole() && all_reach || self.sabotage == Some(Sabotage::HideLives);
        match self.rng.below(10) {
            0..=3 => self.keys.restart(),
            _ if !(self.forgets && may_forget) => self.keys.restart(),
            4 => self.keys.go_back(Keys::default()),
            _ => {
                let before = self.snapshots.get(kept).cloned();
                self.keys.go_back(before.unwrap_or_default());
            }
        }
        note!(self, "the store is back at {:?}", self.keys.view());
        self.look_for_newest();
    }

    /// What nobody knows any more was never there.
    pub(super) fn look_for_newest(&mut self) {
        // What was written before it began another life, and is there still, was not lost with it.
        if self.setup.hosted || self.store_restarted == 0 || self.keys.view() == Some(&self.newest) {
            return;
        }
        let known = self.processes.iter().filter(|process| process.holds());
        let known = known.filter_map(|process| process.member.as_ref().map(Member::view));
        let newest = known.chain(self.keys.standing()).max_by_key(|view| view.epoch);
        let newest = newest.unwrap_or_else(|| self.registry.view()).clone();
        if newest.epoch < self.newest.epoch {
            note!(self, "nobody knows {:?} any more, and {newest:?} counts", self.newest);
            for (_, member, _) in newest.members() {
                self.left.remove(&member);
                self.checker.removed.remove(&member);
            }
            self.obeyed.retain(|epoch, _| *epoch <= newest.epoch);
            self.newest = newest;
            // Who had left by then is in the view again, without what it had handed over.
            self.excuse_lost_slots();
        }
    }

    pub(super) fn keep_snapshot(&mut self) {
        if !self.setup.hosted {
            self.snapshots.push_back(self.keys.clone());
            if self.snapshots.len() > SNAPSHOTS {
                self.snapshots.pop_front();
            }
        }
    }

    /// No two views have one number.
    pub(super) fn watch_obeyed(&mut self, at: usize, view: &Arc<View>) {
        if self.lies_for(at).view.is_some() {
            // What follows from that has a check of its own.
            return;
        }
        let first = self.obeyed.entry(view.epoch).or_insert_with(|| view.clone());
        if first != view {
            let text = format!("{} obeys {view:?}, and somebody obeyed {first:?}", self.processes[at].id);
            self.violate("epochs", text);
        }
    }

    /// Nobody has seen its lease move for the length of one, as far as clocks agree.
    fn has_stood_still(&self, member: Incarnation) -> bool {
        let ttl = self.setup.timing.ttl.as_micros() as Time * 98 / 100;
        self.renewed.get(&member).is_none_or(|at| self.now >= at + ttl)
    }

    /// The store's answer is here: for this member, or for one that it was asked by.
    pub(super) fn take_from_store(&mut self, at: usize, from: Incarnation, answer: StoreAnswer) {
        if from == self.processes[at].incarnation {
            self.with_clerk(at, |clerk, now| clerk.on_answer(now, answer));
        } else {
            self.tell_peer(at, from, Message::StoreAnswer(answer));
        }
    }

    /// Whose lease is ended because it stood still has not moved it for as long as it lasts.
    pub(super) fn watch_conviction(&mut self, at: usize, op: &StoreOp) {
        if let StoreOp::EndLease { of, at: Some(revision) } = op
            && self.keys.revision_of(*of) == Some(*revision)
            && !self.has_stood_still(*of)
            // What was under way as the store ended may name a revision that is another write's now.
            && (self.store_restarted == 0 || self.now > self.store_restarted + LATEST)
        {
            let text = format!("{} ends the lease of {of}, which has just been renewed", self.processes[at].id);
            self.violate("lapsed", text);
        }
    }

    /// The member's own lease counts from here on. Who is not in the view has none that counts from later than its removal.
    pub(super) fn watch_lease(&mut self, at: usize, sent: Now) {
        let process = &self.processes[at];
        let age = process.clock(self.now).saturating_sub(sent).as_micros() as Time;
        let since = self.now - (age * 101 / 100).min(self.now);
        let removed = self.left.get(&process.incarnation).copied();
        if let Some(removed) = removed.filter(|removed| since > *removed) {
            let text = format!("{} renews a lease at {since} and left the view at {removed}", process.id);
            self.violate("lease", text);
        }
    }
}
