//! A copy that is kept for another: it obeys the owner of its own view, and nobody else (R1).

use std::collections::HashSet;

use super::Node;
use super::slot::{Publisher, Staging};
use crate::id::{Epoch, Incarnation, Slot};
use crate::limits::COUNT_MOST;
use crate::message::{Have, Message, PublisherState, Rep, SlotState, SlotSync, StateKind, StreamState};
use crate::stream::Stream;
use crate::timing::Now;

impl Node {
    /// The sender is the slot's owner in my own view. If not, it learns of the view that says so.
    fn obeys(&mut self, from: Incarnation, slot: Slot) -> bool {
        let owner = self.placement.as_ref().and_then(|placement| placement.owner(slot));
        if slot.index() < self.slots.len() && owner == Some(from) {
            return true;
        }
        if slot.index() < self.slots.len() && self.view().node(from).is_some() {
            self.refused.insert((from, slot));
        }
        self.peers.send_view(from);
        false
    }

    /// An owner that I refused is the owner again. If it never saw the view between, it stayed live and believes that I
    /// have what it sent: a `Have` that names no `Sync` tells it to start over.
    pub(super) fn own_up_to_refusals(&mut self) {
        for (owner, slot) in std::mem::take(&mut self.refused) {
            let now = self.placement.as_ref().and_then(|placement| placement.owner(slot));
            if now == Some(owner) {
                self.slots[slot.index()].sync = 0;
                self.answer(owner, slot);
            } else if self.view().node(owner).is_some() {
                self.refused.insert((owner, slot));
            }
        }
    }

    /// Queues an answer for the end of the turn: cumulative, the last one for a slot says it all.
    fn answer(&mut self, owner: Incarnation, slot: Slot) {
        let entry = &self.slots[slot.index()];
        let have = Have { slot, term: entry.term, sync: entry.sync, index: entry.index, mark: entry.mark };
        self.haves.push((owner, have));
    }

    /// The numbers in a state are such as are counted, and its streams are of its slot. What is not stays unanswered.
    fn is_sound(&self, state: &SlotState) -> bool {
        let counted = state.index <= COUNT_MOST && state.term.0 <= COUNT_MOST;
        let is_sound = |stream: &StreamState| {
            let top = stream.top.offset;
            top <= COUNT_MOST && stream.entries.len() as u64 <= top && self.slot_of(&stream.channel) == state.slot
        };
        counted && state.streams.iter().all(is_sound)
    }

    /// A state comes in: a `Sync` of my owner, or what I asked for as a claiming owner.
    pub(super) fn on_state(&mut self, now: Now, from: Incarnation, epoch: Epoch, state: SlotState) {
        if !self.is_sound(&state) {
            return;
        }
        match state.kind {
            StateKind::Sync(_) => {
                if self.obeys(from, state.slot) && state.term >= self.slots[state.slot.index()].term {
                    self.take_state(now, from, state);
                }
            }
            StateKind::Fetched => {
                let entry = self.slots.get(state.slot.index());
                let asked =
                    entry.is_some_and(|entry| matches!(entry.phase, super::Phase::Fetching(node) if node == from));
                if asked && epoch == self.view().epoch {
                    self.take_state(now, from, state);
                }
            }
        }
    }

    /// States without content come in, each as if it had come alone.
    pub(super) fn on_syncs(&mut self, now: Now, from: Incarnation, epoch: Epoch, syncs: Vec<SlotSync>) {
        syncs.into_iter().for_each(|sync| self.on_state(now, from, epoch, sync.into()));
    }

    fn take_state(&mut self, now: Now, from: Incarnation, state: SlotState) {
        let SlotState { slot, kind, term, index, base, part, last, streams, publishers } = state;
        let entry = &mut self.slots[slot.index()];
        if part == 0 && last {
            entry.staging = None;
            self.complete(now, slot, Staging { from, kind, term, index, base, parts: 1, streams }, publishers);
            return;
        }
        if part == 0 {
            let streams = Vec::new();
            entry.staging = Some(Box::new(Staging { from, kind, term, index, base, parts: 0, streams }));
        }
        let Some(staging) = &mut entry.staging else { return };
        if staging.from != from || staging.kind != kind || staging.term != term || staging.parts != part {
            entry.staging = None;
            return;
        }
        staging.parts += 1;
        staging.streams.extend(streams);
        if last && let Some(staging) = entry.staging.take() {
            self.complete(now, slot, *staging, publishers);
        }
    }

    fn complete(&mut self, now: Now, slot: Slot, staging: Staging, publishers: Vec<PublisherState>) {
        match staging.base {
            None => self.install(now, slot, staging, publishers),
            Some(base) => self.install_difference(now, slot, staging, base, publishers),
        }
    }

    /// The state is complete: it takes the place of what was here. The mark stays as it was.
    fn install(&mut self, now: Now, slot: Slot, staging: Staging, publishers: Vec<PublisherState>) {
        let mark = self.slots[slot.index()].mark;
        self.clear_content(slot);
        self.slots[slot.index()].forgot = staging.index;
        self.slots[slot.index()].publishers = publishers.into_iter().map(Publisher::from_state).collect();
        let (from, kind) = (staging.from, staging.kind);
        self.bring_up_to(now, slot, staging);
        match kind {
            StateKind::Sync(_) => {
                self.slots[slot.index()].mark = mark;
                self.answer(from, slot);
            }
            StateKind::Fetched => self.fetched(now, from, slot),
        }
    }

    /// What changed since `base` is complete. If I do not hold that, my answer says so and the state comes whole.
    fn install_difference(
        &mut self,
        now: Now,
        slot: Slot,
        staging: Staging,
        base: (Epoch, u64),
        publishers: Vec<PublisherState>,
    ) {
        let StateKind::Sync(sync) = staging.kind else { return };
        let (from, entry) = (staging.from, &mut self.slots[slot.index()]);
        // Having obeyed a `Sync` of this reign, whose answer was lost, is as good: it was of the base or of what came after.
        let known = entry.term == base.0 || entry.term == staging.term;
        if !known || entry.index < base.1 || entry.index > staging.index {
            self.haves.push((from, Have { slot, term: staging.term, sync, index: 0, mark: false }));
            return;
        }
        if base.1 < staging.index {
            entry.publishers = publishers.into_iter().map(Publisher::from_state).collect();
        }
        for state in &staging.streams {
            if let Some(key) = self.names.get(&state.channel).copied() {
                self.remove_stream(key);
            }
        }
        self.bring_up_to(now, slot, staging);
        self.answer(from, slot);
    }

    /// Takes the streams of a state, and with them the place in the log that they stand for.
    fn bring_up_to(&mut self, now: Now, slot: Slot, staging: Staging) {
        for state in staging.streams {
            self.install_stream(now, slot, state, staging.index);
        }
        let entry = &mut self.slots[slot.index()];
        (entry.term, entry.index) = (staging.term, staging.index);
        if let StateKind::Sync(number) = staging.kind {
            entry.sync = number;
        }
    }

    /// Takes a stream, or a further run of one that came before.
    fn install_stream(&mut self, now: Now, slot: Slot, state: StreamState, index: u64) {
        let name = state.channel.clone();
        let key = match self.names.get(&name).copied().filter(|key| self.streams[*key as usize].slot == slot) {
            Some(key) => key,
            None => {
                let stream = Stream::new(now, name.clone(), slot, state.options, Some(state.top.epoch));
                let key = self.streams.insert(stream) as u32;
                self.names.insert(name, key);
                self.slots[slot.index()].streams.push(key);
                key
            }
        };
        let stream = &mut self.streams[key as usize];
        let before = (stream.bytes(), stream.key_count());
        stream.absorb(now, state);
        stream.changed = index;
        self.history_bytes += stream.bytes() - before.0;
        self.keys += stream.key_count() - before.1;
    }

    /// The next operations of my owner's log. Others than the next change nothing, and are answered all the same; so are those
    /// that do not go with what I hold, and then my owner waits for me, rather than count on what I have not.
    pub(super) fn on_rep(&mut self, now: Now, from: Incarnation, rep: Rep) {
        if !self.obeys(from, rep.slot) || self.slots[rep.slot.index()].term != rep.term {
            return;
        }
        for (index, op) in (rep.index..=COUNT_MOST).zip(rep.ops) {
            if index == self.slots[rep.slot.index()].index + 1 && self.apply(now, rep.slot, index, op) {
                self.slots[rep.slot.index()].index = index;
            }
        }
        self.answer(from, rep.slot);
    }

    pub(super) fn on_mark(&mut self, from: Incarnation, slot: Slot, term: Epoch) {
        if self.obeys(from, slot) && self.slots[slot.index()].term == term {
            self.slots[slot.index()].mark = true;
            self.answer(from, slot);
        }
    }

    /// My owner lets me go. Obeyed only at the very same epoch: neither of us may know of a removal that the other does not (R5).
    pub(super) fn on_release(&mut self, from: Incarnation, epoch: Epoch, slots: &[(Slot, Epoch)]) {
        let mine = self.view().epoch;
        let mut released = Vec::new();
        for (slot, term) in slots {
            if epoch == mine && self.obeys(from, *slot) && self.slots[slot.index()].term == *term {
                self.clear_content(*slot);
                released.push((*slot, epoch));
            }
        }
        if !self.haves.is_empty() {
            let gone: HashSet<Slot> = released.iter().map(|(slot, _)| *slot).collect();
            self.haves.retain(|(_, have)| !gone.contains(&have.slot));
        }
        if !released.is_empty() {
            self.peers.send(from, Message::Released(released));
        }
    }

    /// An owner is settled: unmarked copies that it does not want of me are leftovers (R25).
    pub(super) fn on_settled(&mut self, from: Incarnation, epoch: Epoch) {
        self.settled_by.insert(from, epoch);
        if epoch != self.view().epoch {
            return;
        }
        let Some(placement) = self.placement.clone() else { return };
        for at in 0..self.slots.len() {
            let (slot, entry) = (Slot(at as u32), &self.slots[at]);
            let leftover = !entry.mark && entry.term != Epoch(0) && placement.owner(slot) == Some(from);
            if leftover && !placement.wanted(slot).contains(&self.me) {
                self.clear_content(slot);
            }
        }
    }
}
