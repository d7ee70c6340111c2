//! What the records of a chain come to.

use std::collections::BTreeMap;
use std::time::Duration;

use super::slot::{Publisher, Staged, Staging};
use crate::id::{ChannelName, Epoch, Incarnation, Slot, StreamEpoch};
use crate::limits::COUNT_MOST;
use crate::logbook::{Logged, Place};
use crate::message::{Op, SlotState, StreamState};
use crate::stream::Stream;
use crate::timing::Now;

/// The streams of a slot that are kept in the log, as its chain tells them.
#[derive(Debug, Default)]
pub(super) struct Replay {
    pub(super) streams: BTreeMap<ChannelName, Stream>,
    pub(super) publishers: Vec<Publisher>,
    /// Operations that are in it.
    pub(super) index: u64,
    /// A state of which the first parts have come, and where it begins.
    staging: Option<Box<Staging>>,
    begins: Option<Place>,
    /// Where the last whole state begins. What is before it does not count any more.
    whole: Option<Place>,
}

impl Replay {
    /// Reads a chain from its oldest record on.
    pub(super) fn of(now: Now, slot: Slot, chain: &[Logged]) -> Self {
        let mut replay = Self::default();
        // Of each record, the operation above which a later reign has struck it out; the reign of a record that a later one precedes is over.
        let mut cuts: Vec<(Epoch, u64)> = Vec::new();
        for logged in chain.iter().rev() {
            let (term, start) = (logged.record.term, logged.record.start);
            if cuts.last().is_none_or(|(later, _)| term < *later) {
                let lowest = cuts.last().map_or(start, |(_, lowest)| start.min(*lowest));
                cuts.push((term, lowest));
            }
        }
        let mut newest = Epoch(0);
        for logged in chain {
            let record = &logged.record;
            if record.term < newest {
                continue;
            }
            newest = record.term;
            let later = cuts.iter().rev().find(|(term, _)| *term > record.term);
            let most = later.map_or(COUNT_MOST, |(_, lowest)| *lowest);
            let at = now.saturating_sub(logged.age);
            for (index, op) in record.ops.iter().filter(|(index, _)| *index <= most) {
                replay.follow(at, slot, *index, op);
            }
            // What is not kept in the log counts as well.
            replay.index = replay.index.max(record.index.min(most));
            if let Some(part) = record.part.as_deref() {
                if part.part == 0 {
                    replay.begins = Some(logged.place);
                }
                replay.take(now, logged.age, slot, part);
            }
        }
        replay.staging = None;
        replay
    }

    /// Each stream goes on under another epoch. What its publishers have sent stays taken, and what they are told of it again is true there.
    pub(super) fn begin_anew(&mut self, mut next: impl FnMut() -> StreamEpoch) {
        let mut renewed = BTreeMap::new();
        for stream in self.streams.values_mut() {
            let before = stream.epoch.replace(next());
            renewed.extend(before.zip(stream.epoch));
        }
        let taken = self.publishers.iter_mut().flat_map(|publisher| &mut publisher.taken);
        for position in taken.filter_map(|(_, position)| position.as_mut()) {
            position.epoch = renewed.get(&position.epoch).copied().unwrap_or(position.epoch);
        }
    }

    /// What it was made of may lack something: the log has begun another life behind a record, and the reign of the next one was by somebody
    /// who did not know what had been there, or has not written all of what the chain lacked.
    pub(super) fn may_lack_something(&self, chain: &[Logged]) -> bool {
        let begin = chain.partition_point(|logged| self.whole.is_some_and(|whole| logged.place < whole));
        let counts = &chain[begin..];
        let is_gap = |at: usize| {
            let next = &counts[at..];
            let mut reign = next.iter().take_while(|logged| logged.record.term == next[0].record.term);
            counts[at - 1].place.life() < next[0].place.life() && !reign.any(|logged| logged.record.whole)
        };
        (1..counts.len()).any(is_gap)
    }

    fn follow(&mut self, at: Now, slot: Slot, index: u64, op: &Op) {
        if let Some(staging) = &mut self.staging {
            staging.index = index - 1;
            staging.follow(at, slot, index, op.clone());
        }
        if index <= self.index {
            return;
        }
        self.index = index;
        match op {
            Op::Create { channel, epoch, options } => {
                let stream = Stream::new(at, channel.clone(), slot, *options, Some(*epoch));
                self.streams.insert(channel.clone(), stream);
            }
            Op::Append { channel, options, offset, first, entry, publisher, key, version } => {
                let Some(stream) = self.streams.get_mut(channel) else { return };
                if *offset != stream.top() + 1 {
                    return;
                }
                stream.keep_as(*options);
                stream.append(at, index, *first, entry.clone());
                stream.version = version.clone().or(stream.version.take());
                if let Some(key) = key {
                    stream.remember(key.clone(), at, *offset);
                }
                let position = stream.at(*offset);
                Publisher::of(&mut self.publishers, *publisher).take(*publisher, position);
            }
            Op::Delivered { channel, offset } => {
                if let Some(stream) = self.streams.get_mut(channel) {
                    stream.delivered = stream.delivered.max(*offset);
                }
            }
            Op::Forget { channel } => drop(self.streams.remove(channel)),
            Op::Trim { channel, first } => {
                if let Some(stream) = self.streams.get_mut(channel) {
                    stream.trim(*first);
                }
            }
            Op::Key { .. } => {}
        }
    }

    fn take(&mut self, now: Now, age: Duration, slot: Slot, part: &SlotState) {
        let staging = match (part.part, self.staging.take()) {
            (0, _) => Some(Box::new(Staging::begun(Incarnation(0), part))),
            (_, staging) => staging
                .filter(|staging| staging.term == part.term && staging.base == part.base && staging.parts == part.part),
        };
        // The rest of a state of which the beginning is gone.
        let Some(mut staging) = staging else { return };
        (staging.index, staging.parts) = (part.index, staging.parts + 1);
        let older = |run: &StreamState| StreamState {
            entries: run.entries.iter().map(|(more, entry)| (age + *more, entry.clone())).collect(),
            keys: run.keys.iter().map(|(key, more, offset)| (key.clone(), age + *more, *offset)).collect(),
            ..run.clone()
        };
        if !part.streams.iter().all(|run| staging.take(now, slot, older(run))) {
            return;
        }
        if part.last {
            self.complete(*staging, part);
        } else {
            self.staging = Some(staging);
        }
    }

    fn complete(&mut self, staging: Staging, part: &SlotState) {
        let is_known = |name: &ChannelName| self.streams.get(name);
        let fits = |(name, staged): (&ChannelName, &Staged)| {
            staged.complete && staged.stream.is_continuation_of(is_known(name), staged.first)
        };
        if staging.base.is_some_and(|(_, held)| self.index < held) || !staging.streams.iter().all(fits) {
            return;
        }
        if staging.base.is_none() {
            self.publishers.clear();
            self.whole = self.begins;
        }
        let mut before = std::mem::take(&mut self.streams);
        for (name, mut staged) in staging.streams {
            if let Some(mut older) = before.remove(&name) {
                staged.stream.take_over(&mut older, staged.first);
            }
            self.streams.insert(name, staged.stream);
        }
        if staging.base.is_some() {
            staging.forgotten.iter().for_each(|name| drop(before.remove(name)));
            self.streams.append(&mut before);
        }
        let is_same = staging.base.is_some_and(|(_, held)| held == part.index);
        if !is_same {
            self.publishers = part.publishers.iter().cloned().map(Publisher::from_state).collect();
        }
        self.index = part.index;
    }
}
