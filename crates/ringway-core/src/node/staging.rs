//! A state that comes in part by part, while its owner's log goes on between the parts.
//!
//! The owner sends every stream as it is when its turn comes, and every operation as it happens. So an operation on a stream that has not
//! begun to come is in what will come; one on a stream that has begun belongs behind it. When the last part is there, all streams
//! are of the same operation, and take the place of what was here before, which counts until then.

use super::slot::{Staged, Staging};
use crate::id::{Incarnation, Slot};
use crate::limits::COUNT_MOST;
use crate::message::{Op, SlotState, StreamState};
use crate::stream::Stream;
use crate::timing::Now;

impl Staging {
    /// Nothing of it has come yet.
    pub(super) fn begun(from: Incarnation, state: &SlotState) -> Self {
        let SlotState { kind, term, index, base, standing, .. } = *state;
        let (streams, forgotten) = Default::default();
        Self { from, kind, term, index, base, standing, parts: 0, streams, forgotten }
    }

    /// The part is the next one of this state.
    pub(super) fn is_continued_by(&self, from: Incarnation, state: &SlotState) -> bool {
        let same = self.from == from && self.kind == state.kind && self.term == state.term && self.base == state.base;
        same && self.standing == state.standing && self.parts == state.part && self.index == state.index
    }

    /// Takes a stream, or a further run of one. `false`: it does not go with what came before.
    pub(super) fn take(&mut self, now: Now, slot: Slot, run: StreamState) -> bool {
        let (index, last) = (self.index, run.last);
        let staged = self.streams.entry(run.channel.clone()).or_insert_with(|| {
            let stream = Stream::before_run(now, slot, &run);
            Staged { stream, first: 1, complete: false, tail: Vec::new() }
        });
        staged.first = staged.first.max(run.first);
        if staged.complete || !staged.stream.absorb(now, index, run) {
            return false;
        }
        staged.stream.changed = index;
        if last {
            staged.complete = true;
            for (at, index, op) in std::mem::take(&mut staged.tail) {
                staged.apply(at, index, op);
            }
        }
        true
    }

    /// The next operation of the log. `false`: it is another one.
    pub(super) fn follow(&mut self, now: Now, slot: Slot, index: u64, op: Op) -> bool {
        if Some(index) != self.index.checked_add(1) {
            return false;
        }
        self.index = index;
        match op {
            Op::Create { channel, epoch, options } => {
                let mut stream = Stream::new(now, channel.clone(), slot, options, Some(epoch));
                stream.changed = index;
                self.streams.insert(channel, Staged { stream, first: 1, complete: true, tail: Vec::new() });
            }
            Op::Forget { channel } => {
                self.streams.remove(&channel);
                self.forgotten.insert(channel);
            }
            Op::Append { ref channel, .. }
            | Op::Key { ref channel, .. }
            | Op::Trim { ref channel, .. }
            | Op::Delivered { ref channel, .. } => match self.streams.get_mut(channel) {
                Some(staged) if staged.complete => staged.apply(now, index, op),
                Some(staged) => staged.tail.push((now, index, op)),
                None => {}
            },
        }
        true
    }

    /// Every stream that has begun to come is there.
    pub(super) fn is_whole(&self) -> bool {
        self.streams.values().all(|staged| staged.complete)
    }
}

impl Staged {
    fn apply(&mut self, now: Now, index: u64, op: Op) {
        let stream = &mut self.stream;
        stream.changed = index;
        match op {
            Op::Append { options, offset, first, entry, key, version, .. } => {
                if offset > COUNT_MOST || offset != stream.top() + 1 {
                    return;
                }
                self.first = self.first.max(first);
                stream.keep_as(options);
                stream.append(now, index, first, entry);
                if let Some(key) = key {
                    stream.remember(key, now, offset);
                }
                stream.version = version.or(stream.version.take());
            }
            Op::Key { key, .. } => {
                stream.remember(key, now, 0);
            }
            Op::Trim { first, .. } => {
                self.first = self.first.max(first);
                stream.trim(first);
            }
            Op::Delivered { offset, .. } => stream.delivered = stream.delivered.max(offset),
            Op::Create { .. } | Op::Forget { .. } => {}
        }
    }
}
