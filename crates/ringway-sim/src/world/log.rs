//! The log outside, and the way there: requests and answers that are lost, late or come twice, and times at which it is away or full. Where
//! a member has the registry, the log is with it, and the others ask through their link to it.

use ringway_core::logbook::{LogAnswer, LogOp, LogRequest, LogSaid, Logged, Place};
use ringway_core::message::Message;
use ringway_core::node::told_by;
use ringway_core::registry::Seat;
use ringway_core::ring::SlotSet;
use ringway_core::{ChannelName, Incarnation, Position, Slot};

use super::faults::Heal;
use super::process::State;
use super::watch::is_whole;
use super::{Event, Input, MS, World, note};
use crate::Sabotage;
use crate::setup::HOST;

impl World {
    /// A member's node asks.
    pub(super) fn send_to_log(&mut self, at: usize, request: LogRequest) {
        let from = self.processes[at].incarnation;
        match self.setup.seat(at) {
            Seat::Host(_) => {
                let host = self.processes[HOST].incarnation;
                self.tell_peer(at, host, Message::LogRequest(Box::new(request)));
            }
            Seat::Here | Seat::Outside => self.ask_log(at, from, &request),
        }
    }

    /// A request goes from this process to the log, for itself or for another one.
    pub(super) fn ask_log(&mut self, at: usize, from: Incarnation, request: &LogRequest) {
        let troubled = self.is_outside_troubled();
        if troubled && (self.rng.chance(10) || !self.log_reaches(at)) {
            return;
        }
        let boot = self.processes[at].boot;
        let late = if matches!(request.op, LogOp::Append { .. } | LogOp::Trim { .. }) { 30 } else { 5 };
        for due in self.trips(troubled, late) {
            let life = self.log_life;
            self.schedule(due, Event::Log { process: at, boot, from, life, request: Box::new(request.clone()) });
        }
    }

    fn log_reaches(&self, at: usize) -> bool {
        self.now >= self.log_away && (self.setup.hosted || self.now >= self.processes[at].registry_cut)
    }

    /// The log carries a request out, and answers.
    pub(super) fn handle_in_log(&mut self, at: usize, boot: u32, from: Incarnation, request: LogRequest) {
        // What is on its way does not come back, but it arrives.
        if self.now < self.log_away {
            return;
        }
        let text = self.is_traced().then(|| format!("{:?}", request.op));
        self.chains.set_full(self.now < self.log_full);
        let whole = match &request.op {
            LogOp::Append { slot, record, .. } if record.whole => Some(*slot),
            _ => None,
        };
        let answer = self.lied_log(request);
        if let (Some(slot), LogSaid::Appended(_)) = (whole, &answer.said) {
            self.checker.unproven.remove_all(&SlotSet::of([slot]));
        }
        if let Some(text) = text {
            note!(self, "log: {} for {from}: {text}: {:?}", self.processes[at].id, answer.said);
        }
        let troubled = self.is_outside_troubled();
        if troubled && (self.rng.chance(10) || !self.log_reaches(at)) {
            return;
        }
        for due in self.trips(troubled, 10) {
            self.schedule(due, Event::To(at, boot, Input::Log(from, Box::new(answer.clone()))));
        }
    }

    /// The log's answer is here: for this member, or for one that it was asked by.
    pub(super) fn take_from_log(&mut self, at: usize, from: Incarnation, answer: LogAnswer) {
        let process = &mut self.processes[at];
        let now = process.clock(self.now);
        if from != process.incarnation {
            self.tell_peer(at, from, Message::LogAnswer(Box::new(answer)));
        } else if let Some(member) = &mut process.member {
            member.on_log(now, answer);
        }
    }

    /// The log is away for a while, or has no room.
    pub(super) fn log_outage(&mut self) {
        let away = self.rng.range(100, 5000) * MS;
        if !self.setup.hosted && self.rng.chance(250) {
            self.fail_over_in_log();
        } else if self.rng.chance(700) {
            note!(self, "the log is away for {} ms", away / MS);
            self.log_away = self.now + away;
        } else {
            note!(self, "the log is full for {} ms", away / MS);
            self.log_full = self.now + away;
        }
        self.heal_after(away / MS, away / MS + 1, Heal::Nothing);
    }

    /// Every process ends at once. What is in the log is all that is left.
    pub(super) fn kill_all(&mut self) {
        note!(self, "all end");
        for slot in self.setup.slots.slots() {
            self.excuse(slot);
        }
        // What was confirmed in the last second nobody knows any more, and it may come again.
        self.people.forget_what_was_confirmed();
        for at in 0..self.processes.len() {
            match self.processes[at].state {
                State::Up => self.crash_and_restart(Some(at)),
                State::Between => {
                    self.end_process(at);
                    self.heal_after(20, 2500, Heal::Restart(at));
                }
                State::Lingering => self.end_process(at),
                State::Down => {}
            }
        }
        if self.rng.chance(300) {
            self.lose_the_end_of_the_log();
        }
    }

    /// The log may have lost some of its last records, knows it, and is in another life.
    fn lose_the_end_of_the_log(&mut self) {
        self.checker.excuse_the_log(&self.setup);
        self.lose_some();
        note!(self, "the log has lost its end");
        self.setup.slots.slots().for_each(|slot| self.inboxes_left(slot));
    }

    /// Inboxes of this slot go on with what the log has left, as other streams.
    fn inboxes_left(&mut self, slot: Slot) {
        let inboxes = self.setup.channels.iter().enumerate();
        let inboxes = inboxes.filter(|(_, channel)| channel.is_inbox() && channel.slot == slot);
        let left: Vec<_> = inboxes.map(|(at, channel)| (at, self.logged_top(slot, &channel.name))).collect();
        left.into_iter().for_each(|(at, left)| self.people.users[at].is_left(left));
    }

    /// The last copies of a slot are gone, and that is no wonder. Where the log may lack what they had, nothing goes on from it either.
    pub(crate) fn excuse(&mut self, slot: Slot) {
        self.checker.excuse(slot, &self.setup);
        if self.checker.unproven.has(slot) {
            self.excuse_the_chain(slot);
        }
    }

    fn excuse_the_chain(&mut self, slot: Slot) {
        self.checker.excuse_the_chain(slot, &self.setup);
        self.inboxes_left(slot);
    }

    fn lose_some(&mut self) {
        self.log_life += 1;
        let rng = &mut self.rng;
        let is_known = self.sabotage != Some(Sabotage::HideLoss);
        self.chains.lose(is_known, |_, records| {
            records - if rng.chance(500) { 0 } else { rng.range(0, 4).min(records as u64) as usize }
        });
    }

    /// Another server of the log takes over, which may lack the last records, while members live. Whoever has a copy that was read knows what
    /// the chain lacks, and writes it when it writes next. Until then that copy is all there is.
    fn fail_over_in_log(&mut self) {
        note!(self, "the log fails over");
        let nodes = self.nodes_of_view();
        let has_reader = |slot: Slot| nodes.iter().any(|node| is_whole(node, slot) && node.standing(slot).read);
        let slots: Vec<Slot> = self.setup.slots.slots().collect();
        let gone: Vec<Slot> = slots.iter().copied().filter(|slot| !has_reader(*slot)).collect();
        slots.into_iter().for_each(|slot| self.checker.unproven.add(slot));
        self.lose_some();
        gone.into_iter().for_each(|slot| self.excuse_the_chain(slot));
    }

    /// A slot's chain.
    pub(super) fn chain_of(&self, slot: Slot) -> Vec<Logged> {
        self.chains.chain(self.true_time(), slot)
    }

    /// K1: whoever reads the log finds what was acknowledged as being there.
    pub(super) fn watch_logged(&mut self, channel: usize, position: Position) {
        let setup = &self.setup.channels[channel];
        if self.checker.unproven.has(setup.slot) || self.goes_on_renamed(channel) {
            return;
        }
        let top = self.logged_top(setup.slot, &setup.name).filter(|top| top.epoch == position.epoch);
        if top.is_none_or(|top| top.offset < position.offset) {
            let text = format!("{position:?} of channel {channel} is acknowledged, and the log tells of {top:?}");
            self.violate("logged", text);
        }
    }

    /// What a chain had when its log failed over goes on as another stream, and an owner that was removed before may still say the former name:
    /// its record was taken, and its standby confirms.
    pub(super) fn goes_on_renamed(&self, channel: usize) -> bool {
        self.log_life > 0 && self.setup.channels[channel].is_logged() && self.has_removed_owner(channel)
    }

    /// Where a stream ends, as the log tells it.
    pub(super) fn logged_top(&self, slot: Slot, name: &ChannelName) -> Option<Position> {
        let told = told_by(slot, &self.chain_of(slot)).into_iter().find(|(told, _)| told == name);
        told.and_then(|(_, report)| Some(Position { epoch: report.epoch?, offset: report.top }))
    }

    /// The log carries a request out, or says so.
    fn lied_log(&mut self, request: LogRequest) -> LogAnswer {
        let now = self.true_time();
        let LogRequest { id, op } = request;
        match (self.sabotage, op) {
            (Some(Sabotage::ForgeAppended), LogOp::Append { .. }) => {
                let said = LogSaid::Appended(Place(u64::MAX - self.rng.below(1 << 40)));
                LogAnswer { id, said }
            }
            (Some(Sabotage::ForgePlace), LogOp::Append { slot, record, .. }) => {
                let after = self.chain_of(slot).last().map(|last| last.place);
                self.chains.handle(now, LogRequest { id, op: LogOp::Append { slot, after, record } })
            }
            (Some(Sabotage::TrimEarly), LogOp::Append { slot, after, record }) => {
                let begins =
                    record.part.as_ref().is_some_and(|part| part.part == 0 && part.base.is_none() && !part.last);
                let answer = self.chains.handle(now, LogRequest { id, op: LogOp::Append { slot, after, record } });
                if let LogSaid::Appended(before) = answer.said.clone()
                    && begins
                {
                    self.chains.handle(now, LogRequest { id, op: LogOp::Trim { slot, before } });
                }
                answer
            }
            (Some(Sabotage::HideRecords), LogOp::Read { slot, .. }) => {
                let last = self.chain_of(slot).pop();
                LogAnswer { id, said: LogSaid::Records(last.into_iter().collect(), false) }
            }
            (_, op) => self.chains.handle(now, LogRequest { id, op }),
        }
    }
}
