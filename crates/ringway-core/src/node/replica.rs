//! A copy that is kept for another: it obeys the owner of its own view, and nobody else (R1).

use std::collections::HashSet;

use super::Node;
use super::slot::{Publisher, Staging};
use crate::id::{ChannelName, Epoch, Incarnation, Slot};
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
            let (top, run) = (stream.top.offset, stream.entries.len() as u64);
            let counted = top <= COUNT_MOST && stream.first <= top + 1 && stream.start <= top + 1 && run <= top;
            counted && self.slot_of(&stream.channel) == state.slot
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
            // For the log alone.
            StateKind::Logged => {}
        }
    }

    /// States without content come in, each as if it had come alone.
    pub(super) fn on_syncs(&mut self, now: Now, from: Incarnation, epoch: Epoch, syncs: Vec<SlotSync>) {
        syncs.into_iter().for_each(|sync| self.on_state(now, from, epoch, sync.into()));
    }

    fn take_state(&mut self, now: Now, from: Incarnation, state: SlotState) {
        let (slot, kind, term) = (state.slot, state.kind, state.term);
        let before = self.slots[slot.index()].staging.take();
        let staging = match state.part {
            0 => Some(Box::new(Staging::begun(from, &state))),
            _ => before.filter(|staging| staging.is_continued_by(from, &state)),
        };
        // The rest of a state that was begun in a view that I have left, or that did not go with the log.
        let Some(mut staging) = staging else { return self.ask_for_whole(from, slot, kind, term) };
        staging.parts += 1;
        let sound = state.streams.into_iter().all(|run| staging.take(now, slot, run));
        match (sound, state.last) {
            (false, _) => self.ask_for_whole(from, slot, kind, term),
            (true, false) => self.slots[slot.index()].staging = Some(staging),
            (true, true) => self.complete(now, slot, *staging, state.publishers),
        }
    }

    /// I cannot use what came of a state: my answer says that I hold nothing, and it comes whole.
    fn ask_for_whole(&mut self, owner: Incarnation, slot: Slot, kind: StateKind, term: Epoch) {
        if let StateKind::Sync(sync) = kind {
            self.haves.push((owner, Have { slot, term, sync, index: 0, mark: false }));
        }
    }

    /// All of it is there: it takes the place of what was here, or of the part of it that has changed. The mark stays as it was.
    fn complete(&mut self, now: Now, slot: Slot, mut staging: Staging, publishers: Vec<PublisherState>) {
        let (from, kind, term, index) = (staging.from, staging.kind, staging.term, staging.index);
        let standing = staging.standing;
        if !staging.is_whole() || !self.holds_base(slot, &mut staging) {
            return self.ask_for_whole(from, slot, kind, term);
        }
        let is_same = staging.base.is_some_and(|(_, held)| held == index);
        match staging.base {
            None => {
                let mark = self.slots[slot.index()].mark;
                self.clear_content(slot);
                (self.slots[slot.index()].forgot, self.slots[slot.index()].mark) = (index, mark);
            }
            Some(_) => {
                let ended = staging.forgotten.iter().chain(staging.streams.keys());
                let keys: Vec<u32> = ended.filter_map(|name| self.names.get(name).copied()).collect();
                keys.into_iter().for_each(|key| self.remove_stream(key));
                if !staging.forgotten.is_empty() {
                    self.slots[slot.index()].forgot = index;
                }
            }
        }
        for (name, staged) in staging.streams {
            self.install_stream(slot, name, staged.stream);
        }
        let entry = &mut self.slots[slot.index()];
        if !is_same {
            entry.publishers = publishers.into_iter().map(Publisher::from_state).collect();
        }
        (entry.term, entry.index, entry.standing) = (term, index, standing);
        match kind {
            StateKind::Sync(number) => {
                entry.sync = number;
                self.answer(from, slot);
            }
            StateKind::Fetched => self.fetched(now, from, slot),
            StateKind::Logged => {}
        }
    }

    /// I hold what a difference was made to; and then its streams are completed by what I hold of them.
    fn holds_base(&mut self, slot: Slot, staging: &mut Staging) -> bool {
        let Some((term, held)) = staging.base else { return true };
        let StateKind::Sync(_) = staging.kind else { return false };
        let entry = &self.slots[slot.index()];
        // Having obeyed a `Sync` of this reign, whose answer was lost, is as good: it was of the base or of what came after.
        let known = entry.term == term || entry.term == staging.term;
        if !known || entry.index < held || entry.index > staging.index {
            return false;
        }
        let older =
            |name: &ChannelName| self.stream_of(name).map(|(_, stream)| stream).filter(|older| older.slot == slot);
        if !staging.streams.iter().all(|(name, staged)| staged.stream.is_continuation_of(older(name), staged.first)) {
            return false;
        }
        for (name, staged) in &mut staging.streams {
            let Some(key) = self.names.get(name).copied() else { continue };
            let Some(older) = self.streams.get_mut(key as usize).filter(|older| older.slot == slot) else { continue };
            let (bytes, keys) = (older.bytes(), older.key_count());
            staged.stream.take_over(older, staged.first);
            self.history_bytes -= bytes - older.bytes();
            self.keys -= keys - older.key_count();
        }
        true
    }

    pub(super) fn install_stream(&mut self, slot: Slot, name: ChannelName, stream: Stream) {
        if let Some(key) = self.names.get(&name).copied() {
            self.remove_stream(key);
        }
        self.history_bytes += stream.bytes();
        self.keys += stream.key_count();
        let key = self.streams.insert(stream) as u32;
        self.names.insert(name, key);
        self.slots[slot.index()].streams.push(key);
    }

    /// The next operations of my owner's log. Others than the next change nothing, and are answered all the same; so are those
    /// that do not go with what I hold, and then my owner waits for me, rather than count on what I have not.
    pub(super) fn on_rep(&mut self, now: Now, from: Incarnation, rep: Rep) {
        if !self.obeys(from, rep.slot) || self.follows_staging(now, from, &rep) {
            return;
        }
        if self.slots[rep.slot.index()].term != rep.term {
            return;
        }
        for (index, op) in (rep.index..=COUNT_MOST).zip(rep.ops) {
            if index == self.slots[rep.slot.index()].index + 1 && self.apply(now, rep.slot, index, op) {
                self.slots[rep.slot.index()].index = index;
            }
        }
        self.answer(from, rep.slot);
    }

    /// A state is coming in, and the log goes on: these operations are for it. Says whether that is so.
    fn follows_staging(&mut self, now: Now, from: Incarnation, rep: &Rep) -> bool {
        let slot = rep.slot;
        let Some(staging) = &self.slots[slot.index()].staging else { return false };
        if staging.from != from || staging.term != rep.term {
            return false;
        }
        let (kind, term) = (staging.kind, staging.term);
        for (index, op) in (rep.index..=COUNT_MOST).zip(rep.ops.iter().cloned()) {
            let fits = self.fits(slot, &op);
            let staging = self.slots[slot.index()].staging.as_mut();
            if !staging.is_some_and(|staging| fits && staging.follow(now, slot, index, op)) {
                self.slots[slot.index()].staging = None;
                self.ask_for_whole(from, slot, kind, term);
                break;
            }
        }
        true
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
