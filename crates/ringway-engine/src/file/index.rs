//! What is alive in the log, and where: the one thing in memory that readers and the writer share.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::file::files::Handle;
use crate::file::frame::FRAME;

/// Where a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spot {
    pub(crate) place: u64,
    pub(crate) segment: u64,
    pub(crate) offset: u32,
    /// Of its record.
    pub(crate) len: u32,
}

impl Spot {
    fn bytes(&self) -> u64 {
        FRAME as u64 + u64::from(self.len)
    }

    fn is_at(&self, other: &Self) -> bool {
        (self.segment, self.offset) == (other.segment, other.offset)
    }
}

/// A file of the log.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) file: Arc<dyn Handle>,
    pub(crate) len: u64,
    /// Bytes of its frames that count.
    pub(crate) live: u64,
}

/// The records of one slot that count: those from its floor on.
#[derive(Debug, Default)]
struct Chain {
    /// The newest trim that dropped something. Records before its place are dead wherever they stand.
    floor: Option<Spot>,
    records: VecDeque<Spot>,
}

#[derive(Debug, Default)]
pub(crate) struct Index {
    chains: BTreeMap<u32, Chain>,
    pub(crate) segments: BTreeMap<u64, Segment>,
    /// Bytes of all segments.
    pub(crate) total: u64,
    /// Bytes of all frames that count.
    pub(crate) live: u64,
}

impl Index {
    pub(crate) fn last(&self, slot: u32) -> Option<Spot> {
        self.chains.get(&slot)?.records.back().copied()
    }

    /// The records of a slot behind a place.
    pub(crate) fn behind(&self, slot: u32, after: Option<u64>) -> impl Iterator<Item = Spot> {
        let records = self.chains.get(&slot).map(|chain| &chain.records);
        let from = records.map_or(0, |records| records.partition_point(|spot| Some(spot.place) <= after));
        records.into_iter().flat_map(move |records| records.range(from..)).copied()
    }

    pub(crate) fn slots(&self) -> Vec<u32> {
        self.chains.iter().filter(|(_, chain)| !chain.records.is_empty()).map(|(slot, _)| *slot).collect()
    }

    /// A trim to this place would drop something.
    pub(crate) fn trims(&self, slot: u32, before: u64) -> bool {
        self.chains.get(&slot).and_then(|chain| chain.records.front()).is_some_and(|first| first.place < before)
    }

    /// Every frame that counts and its slot.
    pub(crate) fn all(&self) -> Vec<(u32, Spot)> {
        let chains = self.chains.iter();
        chains.flat_map(|(slot, chain)| chain.floor.iter().chain(&chain.records).map(|spot| (*slot, *spot))).collect()
    }

    pub(crate) fn begin(&mut self, number: u64, file: Arc<dyn Handle>, len: u64) {
        self.segments.insert(number, Segment { file, len, live: 0 });
        self.total += len;
    }

    pub(crate) fn grow(&mut self, number: u64, by: u64) {
        if let Some(segment) = self.segments.get_mut(&number) {
            segment.len += by;
            self.total += by;
        }
    }

    pub(crate) fn end(&mut self, number: u64) {
        if let Some(segment) = self.segments.remove(&number) {
            self.total -= segment.len;
        }
    }

    /// The record is the last one of its chain.
    pub(crate) fn append(&mut self, slot: u32, spot: Spot) {
        self.count(&spot);
        self.chains.entry(slot).or_default().records.push_back(spot);
    }

    /// The records before the floor are dead, and so is the floor before it.
    pub(crate) fn trim(&mut self, slot: u32, floor: Spot) {
        let chain = self.chains.entry(slot).or_default();
        if chain.floor.is_some_and(|old| floor.place <= old.place) {
            return;
        }
        let mut dead: Vec<Spot> = chain.floor.replace(floor).into_iter().collect();
        let kept = chain.records.partition_point(|spot| spot.place < floor.place);
        dead.extend(chain.records.drain(..kept));
        // What a long chain needed is given back.
        if chain.records.len() < chain.records.capacity() / 4 {
            chain.records.shrink_to(chain.records.len() * 2);
        }
        self.count(&floor);
        for spot in dead {
            self.discount(&spot);
        }
    }

    /// What the frame at this spot is kept as. `None`: it does not count.
    pub(crate) fn holds(&self, slot: u32, spot: &Spot) -> Option<Held> {
        let chain = self.chains.get(&slot)?;
        if chain.floor.is_some_and(|floor| floor.is_at(spot)) {
            return Some(Held::Floor);
        }
        let at = chain.records.binary_search_by_key(&spot.place, |record| record.place).ok()?;
        chain.records[at].is_at(spot).then_some(Held::Record(at))
    }

    /// A frame that counted at the first spot counts at the second from now on.
    pub(crate) fn relocate(&mut self, slot: u32, from: &Spot, to: Spot) {
        let Some(held) = self.holds(slot, from) else { return };
        if let Some(chain) = self.chains.get_mut(&slot) {
            match held {
                Held::Floor => chain.floor = Some(to),
                Held::Record(at) => chain.records[at] = to,
            }
        }
        self.discount(from);
        self.count(&to);
    }

    fn count(&mut self, spot: &Spot) {
        self.live += spot.bytes();
        if let Some(segment) = self.segments.get_mut(&spot.segment) {
            segment.live += spot.bytes();
        }
    }

    fn discount(&mut self, spot: &Spot) {
        self.live -= spot.bytes();
        if let Some(segment) = self.segments.get_mut(&spot.segment) {
            segment.live -= spot.bytes();
        }
    }
}

/// Why a frame counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Held {
    /// It is the floor of its slot.
    Floor,
    /// It is the record at this position of its chain.
    Record(usize),
}
