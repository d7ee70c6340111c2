//! A log outside, as nodes need it: one chain of records for each slot, in which a record is appended behind the one that its writer
//! names, or not at all. Whoever has such a log has channels that survive all processes: [`Node`](crate::node::Node) does the rest.
//!
//! A chain is written by one owner after the other, each from where it found it. So a record that comes late or twice, or from an owner that
//! was deposed, is refused. Requests may be lost, come late or twice, and so may answers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::id::{Birth, Epoch, Slot};
use crate::limits::COUNT_MOST;
use crate::message::{FRAME_OVERHEAD, Op, SlotState, StreamState};
use crate::ring::SlotSet;
use crate::timing::Now;

/// Where a record stands. Grows along a chain; two records of one log never have the same.
///
/// Its upper 16 bits are the log's life. A log begins another one when it knows that it may have lost the last records of its chains, though
/// it had answered for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place(pub u64);

/// Bits of a place below those of the log's life.
const BELOW_LIFE: u32 = 48;

impl Place {
    /// The life of the log in which the record was appended.
    pub fn life(self) -> u64 {
        self.0 >> BELOW_LIFE
    }
}

/// One record of a slot's chain: some operations, and perhaps a part of a state.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Which cluster's.
    pub birth: Birth,
    /// Epoch at which its writer went live.
    pub term: Epoch,
    /// Number among the records of this reign, from 1.
    pub number: u64,
    /// What earlier reigns wrote above this operation never counted.
    pub start: u64,
    /// What is kept in the log is in the chain up to this operation, once it is whole.
    pub index: u64,
    /// No part of a state is missing that the chain needs, as far as its writer has read it: a fence has read nothing.
    pub whole: bool,
    /// The newest operation that is in a part of a state, of all those in the chain: up to there nothing can be struck out.
    pub state: u64,
    /// Bytes of the chain since its last whole state began, this record included.
    pub weight: u64,
    /// Operations with their numbers: those of streams that are kept in the log.
    pub ops: Vec<(u64, Op)>,
    /// The next part of a state, made after these operations. A state counts once it is whole.
    pub part: Option<Box<SlotState>>,
}

impl Record {
    /// Bytes, as they are counted for limits.
    pub fn size(&self) -> usize {
        let ops: usize = self.ops.iter().map(|(_, op)| FRAME_OVERHEAD + op.size()).sum();
        let part = self.part.iter().flat_map(|part| &part.streams).map(StreamState::size).sum::<usize>();
        FRAME_OVERHEAD + ops + part
    }

    /// Nothing in it was made up so that no number is left to count on.
    fn is_counted(&self) -> bool {
        let own = [self.term.0, self.number, self.start, self.index, self.state];
        let ops = self.ops.iter().map(|(index, _)| *index);
        let part = self.part.iter().flat_map(|part| [part.term.0, part.index]);
        own.into_iter().chain(ops).chain(part).all(|count| count <= COUNT_MOST)
    }
}

/// A request to the log.
#[derive(Debug, Clone, PartialEq)]
pub struct LogRequest {
    /// Names it in its answer.
    pub id: u64,
    /// What is asked.
    pub op: LogOp,
}

/// What can be asked of the log.
#[derive(Debug, Clone, PartialEq)]
pub enum LogOp {
    /// The last record of a chain. Answered by [`LogSaid::Last`].
    Last(Slot),
    /// Append a record. [`LogSaid::Appended`], [`LogSaid::Conflict`] or [`LogSaid::Full`].
    Append {
        /// To which chain.
        slot: Slot,
        /// The last record of the chain; `None`: it has none.
        after: Option<Place>,
        /// What.
        record: Arc<Record>,
    },
    /// Records of a chain behind a place, or from the first one on. Answered by [`LogSaid::Records`].
    Read {
        /// Of which chain.
        slot: Slot,
        /// Behind which record.
        after: Option<Place>,
    },
    /// Drop the records before this one. The last one stays. Answered by [`LogSaid::Trimmed`].
    Trim {
        /// Of which chain.
        slot: Slot,
        /// The first one that stays.
        before: Place,
    },
    /// Which chains have records? Answered by [`LogSaid::Slots`].
    Slots,
}

/// An answer of the log.
#[derive(Debug, Clone, PartialEq)]
pub struct LogAnswer {
    /// Of the request.
    pub id: u64,
    /// What the log says.
    pub said: LogSaid,
}

/// A record as the log has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Logged {
    /// Where it stands.
    pub place: Place,
    /// How long ago it was written. At least 0, whatever clocks say.
    pub age: Duration,
    /// What it says.
    pub record: Arc<Record>,
}

/// What the log says.
#[derive(Debug, Clone, PartialEq)]
pub enum LogSaid {
    /// The last record, if there is one.
    Last(Option<Logged>),
    /// It is the last record now, and stands here.
    Appended(Place),
    /// The chain ends elsewhere. Nothing was changed.
    Conflict,
    /// There is no room. Nothing was changed.
    Full,
    /// Some records, oldest first, and whether more follow.
    Records(Vec<Logged>, bool),
    /// They are gone, as far as they were there.
    Trimmed,
    /// These.
    Slots(SlotSet),
    /// Whoever was asked has no log, or does not reach it now.
    Absent,
}

impl LogSaid {
    /// No record in it has a number above [`COUNT_MOST`]. What has one is not taken.
    pub(crate) fn is_counted(&self) -> bool {
        match self {
            Self::Last(last) => last.iter().all(|last| last.record.is_counted()),
            Self::Records(records, _) => records.iter().all(|logged| logged.record.is_counted()),
            _ => true,
        }
    }
}

/// A log in memory: what every other one must do.
#[derive(Debug, Clone, Default)]
pub struct Chains {
    chains: BTreeMap<Slot, BTreeMap<Place, (Now, Arc<Record>)>>,
    newest: u64,
    is_full: bool,
}

/// Bytes of records in one answer, or one record.
pub const PAGE_BYTES: usize = 256 << 10;

impl Chains {
    /// Whether further records are refused.
    pub fn set_full(&mut self, is_full: bool) {
        self.is_full = is_full;
    }

    /// A chain, oldest first, as it is at this time.
    pub fn chain(&self, now: Now, slot: Slot) -> Vec<Logged> {
        self.chains.get(&slot).into_iter().flatten().map(|one| as_of(now, one)).collect()
    }

    /// Loses the last records of chains: of each one `kept` says how many of its records are left. A state that took the place of what was before
    /// it stays whole. A log that knows of it begins another life.
    pub fn lose(&mut self, is_known: bool, mut kept: impl FnMut(Slot, usize) -> usize) {
        if is_known {
            self.newest = (Place(self.newest).life() + 1) << BELOW_LIFE;
        }
        for (slot, chain) in &mut self.chains {
            let is_state = |record: &Record| record.part.as_ref().is_some_and(|part| part.last);
            let state = chain.values().rposition(|(_, record)| is_state(record)).map_or(0, |at| at + 1);
            let kept = kept(*slot, chain.len()).max(state);
            if let Some(first) = chain.keys().nth(kept).copied() {
                chain.split_off(&first);
            }
        }
    }

    /// Carries out a request, at this time.
    pub fn handle(&mut self, now: Now, request: LogRequest) -> LogAnswer {
        let said = match request.op {
            LogOp::Last(slot) => {
                let last = self.chains.get(&slot).and_then(|chain| chain.last_key_value());
                LogSaid::Last(last.map(|one| as_of(now, one)))
            }
            LogOp::Append { slot, after, record } => {
                let chain = self.chains.entry(slot).or_default();
                if chain.last_key_value().map(|(place, _)| *place) != after {
                    LogSaid::Conflict
                } else if self.is_full {
                    LogSaid::Full
                } else {
                    self.newest += 1;
                    chain.insert(Place(self.newest), (now, record));
                    LogSaid::Appended(Place(self.newest))
                }
            }
            LogOp::Read { slot, after } => {
                let (mut records, mut more, mut bytes) = (Vec::new(), false, 0);
                for one in self.chains.get(&slot).into_iter().flatten().filter(|(place, _)| Some(**place) > after) {
                    bytes += one.1.1.size();
                    more = bytes > PAGE_BYTES && !records.is_empty();
                    if more {
                        break;
                    }
                    records.push(as_of(now, one));
                }
                LogSaid::Records(records, more)
            }
            LogOp::Trim { slot, before } => {
                if let Some(chain) = self.chains.get_mut(&slot) {
                    let first = chain.last_key_value().map_or(before, |(last, _)| before.min(*last));
                    *chain = chain.split_off(&first);
                }
                LogSaid::Trimmed
            }
            LogOp::Slots => {
                let used = self.chains.iter().filter(|(_, chain)| !chain.is_empty());
                LogSaid::Slots(SlotSet::of(used.map(|(slot, _)| *slot)))
            }
        };
        LogAnswer { id: request.id, said }
    }
}

/// A record of a chain, as old as it is at this time.
fn as_of(now: Now, (place, (at, record)): (&Place, &(Now, Arc<Record>))) -> Logged {
    Logged { place: *place, age: now.saturating_sub(*at), record: record.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ChannelName;

    fn record() -> Record {
        let (term, birth) = (Epoch(1), Birth(1));
        Record {
            birth,
            term,
            number: 1,
            start: 1,
            index: 1,
            whole: true,
            state: 1,
            weight: 1,
            ops: Vec::new(),
            part: None,
        }
    }

    #[test]
    fn a_record_with_a_number_that_was_made_up_is_not_taken() {
        let over = COUNT_MOST + 1;
        let trim = || Op::Trim { channel: ChannelName::new("a").unwrap(), first: 1 };
        let made_up = [
            Record { term: Epoch(over), ..record() },
            Record { number: over, ..record() },
            Record { start: over, ..record() },
            Record { index: over, ..record() },
            Record { state: over, ..record() },
            Record { ops: vec![(1, trim()), (over, trim())], ..record() },
        ];
        let logged = |record| Logged { place: Place(1), age: Duration::ZERO, record: Arc::new(record) };
        assert!(LogSaid::Last(Some(logged(record()))).is_counted());
        for record in made_up {
            assert!(!LogSaid::Last(Some(logged(record.clone()))).is_counted());
            assert!(!LogSaid::Records(vec![logged(self::record()), logged(record)], false).is_counted());
        }
    }
}
