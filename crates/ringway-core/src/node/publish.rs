//! Publishes at their owner: taken in the order of their numbers, once each, and answered when committed (R22).

use super::slot::Wait;
use super::{GatewaySide, Node};
use crate::id::{Epoch, Incarnation, Position, Slot, StreamEpoch};
use crate::message::{Durability, Lane, Message, Op, PubId, PubNo, Publish, Refusal};
use crate::stream::Stream;
use crate::timing::Now;

impl Node {
    pub(super) fn on_publish(&mut self, now: Now, from: Incarnation, epoch: Epoch, publish: Publish) {
        let (slot, id) = (publish.slot, publish.id(from));
        let live = self.slots.get(slot.index()).and_then(super::slot::SlotEntry::reign);
        // What was sent before this reign was meant for another one. Its gateway may have given it up long since, and sent
        // later ones to an owner between the two.
        let mine = live.is_some_and(|reign| reign.term <= epoch) && self.view().gateway(from).is_some();
        if !mine && live.is_none() {
            self.is_wanted_in_the_log(now, slot, publish.options.level());
        }
        if !mine || !self.serves(slot, publish.options.level()) {
            self.refuse(slot, id, Refusal::Retry);
            return;
        }
        if id.durability == Durability::Log {
            return self.admit(now, id, publish);
        }
        let held = self.slots[slot.index()].reign().map(|reign| &reign.held[..]).unwrap_or_default();
        let mut held = held.iter().filter(|(gateway, _)| *gateway == from).map(|(_, held)| held.seq).peekable();
        let waits = held.peek().is_some_and(|first| *first <= id.seq);
        match held.last() {
            Some(last) if waits && id.seq <= last => {}
            // What follows a held one is held behind it, whatever its channel: the order of numbers is one.
            Some(last) if waits && (id.seq - last == 1 || id.seq == id.floor) => self.hold(from, publish),
            Some(_) if waits => self.refuse(slot, id, Refusal::Retry),
            _ => self.admit(now, id, publish),
        }
    }

    /// Taken if it is the next number, or the oldest that the gateway still waits for (R22).
    fn admit(&mut self, now: Now, id: PubId, publish: Publish) {
        let last = self.slots[publish.slot.index()].publisher(id).last;
        if id.seq <= last {
            self.repeat(now, id, publish);
        } else if id.seq - last == 1 || id.seq == id.floor {
            self.take(now, id, publish);
        } else {
            self.refuse(publish.slot, id, Refusal::Retry);
        }
    }

    pub(super) fn refuse(&mut self, slot: Slot, id: PubId, why: Refusal) {
        let PubId { gateway, durability, seq, .. } = id;
        self.peers.send(gateway, Message::PubNo(PubNo { slot, seq, why, durability }));
    }

    /// A number that is not new: answered with its old place once that is committed.
    fn repeat(&mut self, now: Now, id: PubId, publish: Publish) {
        let slot = publish.slot;
        let publisher = self.slots[slot.index()].publisher(id);
        match publisher.taken.iter().find(|(taken, _)| *taken == id.seq).map(|(_, position)| *position) {
            Some(position @ Some(_)) => self.repeat_when_committed(now, id, &publish, position),
            Some(None) => self.acknowledge(slot, id, None),
            None => self.repeat_unlogged(now, id, publish),
        }
    }

    fn repeat_when_committed(&mut self, now: Now, id: PubId, publish: &Publish, position: Option<Position>) {
        let level = self.level_of(&publish.channel, publish.options);
        self.when_committed(now, publish.slot, level, Wait::Repeat { id, position });
    }

    /// The number was passed, and what came of it is not in the log. Its gateway sends nothing below its floor, so it is
    /// one of three: a repeat of a key or version, a publish without history that nobody has taken, or one that was refused.
    fn repeat_unlogged(&mut self, now: Now, id: PubId, publish: Publish) {
        if !publish.options.has_history() {
            self.take_unkept(now, id, publish);
            return;
        }
        match self.made_before(now, &publish) {
            Some(position) => self.repeat_when_committed(now, id, &publish, position),
            None => self.refuse(publish.slot, id, Refusal::Full),
        }
    }

    /// What this publish would say was said before: the place of the first one with its idempotency key (none if that was not kept),
    /// or the top where its version is not newer than the last.
    fn made_before(&self, now: Now, publish: &Publish) -> Option<Option<Position>> {
        let (_, stream) = self.stream_of(&publish.channel)?;
        let key = publish.idempotency_key.as_deref();
        if let Some(offset) = key.and_then(|key| stream.keyed(key, now, self.timing.idempotency)) {
            return Some(if offset == 0 { None } else { stream.at(offset) });
        }
        let is_old = |stream: &Stream| publish.version.as_deref().is_some_and(|version| stream.has_seen(version));
        (publish.options.has_history() && is_old(stream)).then(|| stream.at(stream.top()))
    }

    /// The next one: without history it goes out at once, with history into the log.
    fn take(&mut self, now: Now, id: PubId, publish: Publish) {
        let slot = publish.slot;
        if !publish.options.has_history() {
            self.take_unkept(now, id, publish);
            return;
        }
        if self.is_answered_without_the_log(now, id, &publish) {
            return;
        }
        let Some(stream_key) = self.place_for(now, &publish) else { return self.refuse_for_good(slot, id) };
        let stream = &self.streams[stream_key as usize];
        let (offset, first) = (stream.top() + 1, stream.first_after_append(now, publish.entry.size()));
        let level = self.level_of(&publish.channel, publish.options);
        let Publish { channel, entry, options, idempotency_key: key, version, .. } = publish;
        self.record(now, slot, Op::Append { channel, options, offset, first, entry, publisher: id, key, version });
        self.streams[stream_key as usize].hold_back();
        self.when_committed(now, slot, level, Wait::Publish { stream: stream_key, offset, id });
    }

    /// Nothing is to be recorded of it: what it says was said before, or a copy does not keep up.
    fn is_answered_without_the_log(&mut self, now: Now, id: PubId, publish: &Publish) -> bool {
        let slot = publish.slot;
        if let Some(position) = self.made_before(now, publish) {
            self.slots[slot.index()].publisher(id).take(id, position);
            self.repeat_when_committed(now, id, publish, position);
            return true;
        }
        let is_held_up = self.is_held_up_by_a_copy(slot) || (id.durability == Durability::Log && self.log_is_behind());
        if is_held_up {
            self.refuse(slot, id, Refusal::Retry);
        }
        is_held_up
    }

    /// There is no room. It counts as an answer: the next number may follow.
    fn refuse_for_good(&mut self, slot: Slot, id: PubId) {
        self.slots[slot.index()].publisher(id).last = id.seq;
        self.refuse(slot, id, Refusal::Full);
    }

    /// A copy of this slot does not keep up with what it is sent: whoever publishes here goes at its pace.
    fn is_held_up_by_a_copy(&self, slot: Slot) -> bool {
        let Some(reign) = self.slots[slot.index()].reign() else { return false };
        reign.replicas.iter().any(|replica| replica.stream && self.is_behind(replica.node, Lane::Copies))
    }

    /// The stream of a publish, if there is room for it: nothing acknowledged is dropped to make some.
    fn place_for(&mut self, now: Now, publish: &Publish) -> Option<u32> {
        if publish.idempotency_key.is_some() && self.keys >= self.limits.keys {
            return None;
        }
        let size = publish.entry.size();
        if publish.durability == Durability::Log && self.is_log_full {
            return None;
        }
        if self.history_bytes + size > self.limits.history_bytes {
            self.tally.refused(size);
            return None;
        }
        self.stream_or_new(now, publish.slot, &publish.channel, publish.options)
    }

    /// A publish that nobody keeps: delivered and answered now, or held while gateways are still changing over.
    fn take_unkept(&mut self, now: Now, id: PubId, publish: Publish) {
        let slot = publish.slot;
        if !self.may_answer(now, slot) {
            self.refuse(slot, id, Refusal::Retry);
            return;
        }
        let held = self.slots[slot.index()].reign().is_some_and(|reign| !reign.held.is_empty());
        if held || self.must_hold(now, slot) {
            self.hold(id.gateway, publish);
            return;
        }
        if publish.idempotency_key.is_some() {
            self.take_keyed(now, id, publish);
            return;
        }
        self.slots[slot.index()].publisher(id).take(id, None);
        self.deliver_behind(now, id.gateway, publish);
    }

    /// One that nobody keeps and that must not be delivered a second time: its key goes into the log. It is delivered when that is
    /// committed: a crash in between loses it, as it may lose whatever is not kept.
    fn take_keyed(&mut self, now: Now, id: PubId, publish: Publish) {
        let slot = publish.slot;
        if self.is_answered_without_the_log(now, id, &publish) {
            return;
        }
        let key = publish.idempotency_key.clone().filter(|_| self.has_place_for_key(now, &publish));
        let Some(key) = key else { return self.refuse_for_good(slot, id) };
        self.record(now, slot, Op::Key { channel: publish.channel.clone(), publisher: id, key });
        self.when_committed(now, slot, Durability::Memory, Wait::Unkept(id.gateway, Box::new(publish)));
    }

    /// There is room for a key, and a stream that keeps it.
    fn has_place_for_key(&mut self, now: Now, publish: &Publish) -> bool {
        let (slot, channel) = (publish.slot, &publish.channel);
        if self.keys >= self.limits.keys || self.slot_of(channel) != slot {
            return false;
        }
        match self.stream_of(channel) {
            Some((_, stream)) if stream.epoch.is_some() => return stream.slot == slot,
            None if self.names.len() >= self.limits.channels => return false,
            _ => {}
        }
        let (epoch, options) = (StreamEpoch::from_random(self.next_random()), publish.options);
        self.record(now, slot, Op::Create { channel: channel.clone(), epoch, options });
        true
    }

    /// Delivers what is not kept: now, or behind what was published to its channel before it and is not committed yet.
    fn deliver_behind(&mut self, now: Now, from: Incarnation, publish: Publish) {
        let (slot, key) = (publish.slot, self.names.get(&publish.channel).copied());
        let level = self.level_of(&publish.channel, publish.options);
        let is_before = |wait: &Wait| match wait {
            Wait::Publish { stream, .. } => Some(*stream) == key,
            Wait::Unkept(_, before) => before.channel == publish.channel,
            _ => false,
        };
        if self.slots[slot.index()].reign().is_some_and(|reign| reign.waits().any(is_before)) {
            self.when_committed(now, slot, level, Wait::Unkept(from, Box::new(publish)));
        } else {
            self.deliver_unkept(from, &publish);
        }
    }

    /// Keeps a publish aside, as if it had not come yet.
    fn hold(&mut self, from: Incarnation, publish: Publish) {
        let slot = publish.slot;
        if let Some(reign) = self.slots[slot.index()].reign_mut() {
            reign.held.push((from, publish));
            self.holding.insert(slot);
        }
    }

    pub(super) fn deliver_unkept(&mut self, from: Incarnation, publish: &Publish) {
        if let Some(key) = self.names.get(&publish.channel).copied() {
            self.tell_listeners_once(key, &publish.entry);
        }
        self.acknowledge(publish.slot, publish.id(from), None);
    }

    /// Some gateway of the view has not attached its channels here yet. After a planned change that is waited for, unless
    /// nothing was heard of the gateway for `suspect`: its link may be cut for long. After a crash the wait is short, for a
    /// crash may lose here anyway.
    pub(super) fn must_hold(&self, now: Now, slot: Slot) -> bool {
        let Some(reign) = self.slots[slot.index()].reign() else { return false };
        let over = reign.after_crash && now >= reign.since + self.timing.crash_hold;
        let suspect = self.timing.suspect;
        let waited_for =
            |side: &GatewaySide| side.done < reign.term && !self.peers.is_silence(now, side.heard, suspect);
        let sides = self.view().gateways.iter().filter_map(|gateway| self.gateways.get(&gateway.incarnation));
        !over && sides.into_iter().any(waited_for)
    }

    pub(super) fn on_attaches_done(&mut self, now: Now, from: Incarnation, epoch: Epoch) {
        if self.view().gateway(from).is_some() {
            let side = self.gateways.entry(from).or_default();
            (side.done, side.is_attached) = (side.done.max(epoch), true);
            self.release_held(now);
        }
    }

    /// Lets go what was held, where all gateways have changed over by now.
    pub(super) fn release_held(&mut self, now: Now) {
        for slot in std::mem::take(&mut self.holding) {
            if self.must_hold(now, slot) || !self.may_answer(now, slot) {
                self.holding.insert(slot);
                continue;
            }
            let held = self.slots[slot.index()].reign_mut().map(|reign| std::mem::take(&mut reign.held));
            for (from, publish) in held.unwrap_or_default() {
                let epoch = self.view().epoch;
                self.on_publish(now, from, epoch, publish);
            }
            self.attach_parked(now, slot);
        }
    }

    /// The reign ends: what was held goes back to its gateway, what waits for a commit is dropped without an answer. What is not kept is
    /// delivered, if I am a member still: who listens is told by nobody else, and hears the former owner's last word.
    pub(super) fn refuse_waiting(&mut self, slot: Slot) {
        let held = self.slots[slot.index()].reign_mut().map(|reign| std::mem::take(&mut reign.held));
        for (gateway, publish) in held.unwrap_or_default() {
            self.refuse(slot, publish.id(gateway), Refusal::Retry);
        }
        let waiting = self.slots[slot.index()].reign_mut().map(|reign| std::mem::take(&mut reign.waiting));
        for (_, wait) in waiting.into_iter().flatten().flatten() {
            match wait {
                Wait::Unkept(gateway, publish) if !self.expelled => self.deliver_unkept(gateway, &publish),
                _ => {}
            }
        }
    }
}
