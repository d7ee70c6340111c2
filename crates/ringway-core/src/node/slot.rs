//! What a node keeps for each slot.
//!
//! ```text
//!                      view: I am not owner (from any phase: stop, drop waiting answers and attaches; keep data and mark)
//!        ┌────────────────────────────────────────────────────────────────────────────────────────┐
//!        ▼        view: I am owner                 all nodes answered                              │
//!     ┌──────┐ ─────────────────▶ ┌──────────┐ ── I am marked ───────────────────────────▶ ┌──────┴─┐
//!     │ idle │                    │ claiming │ ── another is marked ─▶ ┌──────────┐ state ▶│  live  │
//!     └──────┘                    └──────────┘                         │ fetching │        └────────┘
//!   unmarked ⇄ marked              ▲  │  nobody is marked: wait        └────┬─────┘          ▲
//!   (Mark/Release of my owner)     │  └─ T_FRESH and a valid lease ────────│─ new stream ────┘
//!                                  └───── newer view, still owner ─────────┘
//!     any phase, view without my incarnation: drop everything, new incarnation, join
//! ```

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use smallvec::SmallVec;

use super::logbook::Book;
use crate::id::{ChannelName, Epoch, Incarnation, Position};
use crate::message::{
    Attach, AttachId, Durability, HistoryQuery, Op, PubId, Publish, PublisherState, Standing, StateKind,
};
use crate::stream::Stream;
use crate::timing::Now;

/// Where a slot stands at this node.
#[derive(Debug, Default)]
pub(super) enum Phase {
    /// Somebody else's, or nobody's.
    #[default]
    Idle,
    /// Mine by the view; every node is being asked what it holds.
    Claiming,
    /// Mine; a marked node was asked for its copy.
    Fetching(Incarnation),
    /// Mine; publishes and attaches are taken.
    Live(Box<Reign>),
}

/// One slot at this node.
#[derive(Debug, Default)]
pub(super) struct SlotEntry {
    pub(super) phase: Phase,
    /// "I hold everything that was ever acknowledged here."
    pub(super) mark: bool,
    /// Epoch at which the owner that last wrote here went live.
    pub(super) term: Epoch,
    /// Newest epoch applied at which the slot was not mine. What a gateway has asked for under that view, or an older one, it has given up.
    pub(super) elsewhere: Epoch,
    /// Operations of the log that are in the content.
    pub(super) index: u64,
    /// Number of the last `Sync` obeyed.
    pub(super) sync: u64,
    /// The last operation that took a stream away: no difference that begins before it tells of that.
    pub(super) forgot: u64,
    /// Keys of its streams, those without history included.
    pub(super) streams: Vec<u32>,
    pub(super) publishers: Vec<Publisher>,
    /// A state that is coming in, part by part.
    pub(super) staging: Option<Box<Staging>>,
    /// What the content lacks.
    pub(super) standing: Standing,
}

impl SlotEntry {
    pub(super) fn reign(&self) -> Option<&Reign> {
        match &self.phase {
            Phase::Live(reign) => Some(reign),
            _ => None,
        }
    }

    pub(super) fn reign_mut(&mut self) -> Option<&mut Reign> {
        match &mut self.phase {
            Phase::Live(reign) => Some(reign),
            _ => None,
        }
    }

    /// What is remembered of the publishes that are counted with this one.
    pub(super) fn publisher(&mut self, id: PubId) -> &mut Publisher {
        Publisher::of(&mut self.publishers, id)
    }
}

/// A gateway's publishes to a slot: the last number taken, and where those that may come again stand.
#[derive(Debug)]
pub(super) struct Publisher {
    pub(super) gateway: Incarnation,
    pub(super) durability: Durability,
    pub(super) last: u64,
    pub(super) taken: VecDeque<(u64, Option<Position>)>,
}

impl Publisher {
    /// The one of these that this publish is counted with.
    pub(super) fn of(all: &mut Vec<Self>, id: PubId) -> &mut Self {
        let PubId { gateway, durability, .. } = id;
        let at = all.iter().position(|one| one.gateway == gateway && one.durability == durability);
        let at = at.unwrap_or_else(|| {
            all.push(Self { gateway, durability, last: 0, taken: VecDeque::new() });
            all.len() - 1
        });
        &mut all[at]
    }

    /// A number was taken; nothing below its floor will come again.
    pub(super) fn take(&mut self, id: PubId, position: Option<Position>) {
        let PubId { seq, floor, .. } = id;
        self.last = self.last.max(seq);
        while self.taken.front().is_some_and(|(old, _)| *old < floor) {
            self.taken.pop_front();
        }
        while self.taken.len() as u64 >= crate::limits::WINDOW {
            self.taken.pop_front();
        }
        self.taken.push_back((seq, position));
    }

    pub(super) fn state(&self) -> PublisherState {
        let taken = self.taken.iter().copied().collect();
        PublisherState { gateway: self.gateway, durability: self.durability, last: self.last, taken }
    }

    pub(super) fn from_state(state: PublisherState) -> Self {
        let PublisherState { gateway, durability, last, taken } = state;
        Self { gateway, durability, last, taken: taken.into() }
    }
}

/// A live owner's side of a slot.
#[derive(Debug)]
pub(super) struct Reign {
    /// Epoch at which I went live: the term of all that I write.
    pub(super) term: Epoch,
    /// When, for the hold after a crash.
    pub(super) since: Now,
    /// A node had just crashed.
    pub(super) after_crash: bool,
    /// Operations of the log when I went live; attaches wait until these are committed.
    pub(super) start: u64,
    /// Operations committed.
    pub(super) commit: u64,
    pub(super) replicas: SmallVec<[Replica; 2]>,
    /// What is to happen when an operation is committed, in order: in memory, and in the log too. Neither waits for the other.
    pub(super) waiting: [VecDeque<(u64, Wait)>; 2],
    /// Publishes on channels without history, until the gateways have changed over.
    pub(super) held: Vec<(Incarnation, Publish)>,
    /// Every wanted replica is marked, and nobody else has `need`.
    pub(super) settled: bool,
    /// The term of the content that I began with.
    pub(super) inherited: Epoch,
    /// My side of the slot's chain in the log, once something is wanted of it.
    pub(super) book: Option<Box<Book>>,
}

impl Reign {
    /// All that waits.
    pub(super) fn waits(&self) -> impl Iterator<Item = &Wait> {
        self.waiting.iter().flatten().map(|(_, wait)| wait)
    }

    /// The same, to change it.
    pub(super) fn waits_mut(&mut self) -> impl Iterator<Item = &mut Wait> {
        self.waiting.iter_mut().flatten().map(|(_, wait)| wait)
    }

    /// Lets go of some of it.
    pub(super) fn forget_waits(&mut self, is_over: impl Fn(&Wait) -> bool) {
        self.waiting.iter_mut().for_each(|waiting| waiting.retain(|(_, wait)| !is_over(wait)));
    }
}

/// What waits for an operation to be committed.
#[derive(Debug)]
pub(super) enum Wait {
    /// Deliver the next entry of this stream, and answer its publisher.
    Publish { stream: u32, offset: u64, id: PubId },
    /// Answer a publish that an earlier one has made already.
    Repeat { id: PubId, position: Option<Position> },
    /// Deliver this, which is not kept, and answer its publisher: behind what its publisher sent before it, and not before its
    /// idempotency key is kept.
    Unkept(Incarnation, Box<Publish>),
    /// Attach.
    Attach(Incarnation, Attach),
    /// Confirm a detach.
    Detached(Incarnation, AttachId),
    /// Answer a read.
    History(Incarnation, u64, Box<HistoryQuery>),
    /// Say that what was kept is gone.
    Removed(Incarnation, u64),
}

/// A replica as its owner sees it.
#[derive(Debug)]
pub(super) struct Replica {
    pub(super) node: Incarnation,
    /// In the set that an acknowledgement waits for.
    pub(super) need: bool,
    /// A `Sync` was sent on this link; `Rep`s follow it.
    pub(super) stream: bool,
    /// Its number.
    pub(super) sync: u64,
    /// Operations in it.
    pub(super) synced: u64,
    /// A `Have` with that number came.
    pub(super) answered: bool,
    pub(super) have: u64,
    pub(super) mark_sent: bool,
    /// It confirmed that it has the mark.
    pub(super) marked: bool,
    /// A `Release` of this epoch is under way.
    pub(super) releasing: Option<Epoch>,
    /// A `Sync` is under way.
    pub(super) copying: bool,
    /// It held the log of this term up to here, when it last said so: only what changed since need be copied.
    pub(super) base: Option<(Epoch, u64)>,
}

impl Replica {
    pub(super) fn new(node: Incarnation) -> Self {
        Self {
            node,
            need: false,
            stream: false,
            sync: 0,
            synced: 0,
            answered: false,
            have: 0,
            mark_sent: false,
            marked: false,
            releasing: None,
            copying: false,
            base: None,
        }
    }

    /// Nothing that came before counts; `need` stays. What it had confirmed to me, who reigns since `term`, is where a
    /// difference may begin.
    pub(super) fn start_over(&mut self, term: Epoch) {
        let base = if self.answered { Some((term, self.have)) } else { self.base };
        *self = Self { need: self.need, base, ..Self::new(self.node) };
    }

    /// The same, and its copy is not what I thought it was.
    pub(super) fn start_whole(&mut self) {
        *self = Self { need: self.need, ..Self::new(self.node) };
    }
}

/// A state on its way in, and what the log has brought since its first part.
#[derive(Debug)]
pub(super) struct Staging {
    pub(super) from: Incarnation,
    pub(super) kind: StateKind,
    pub(super) term: Epoch,
    /// Operations that are in it, or were looked at.
    pub(super) index: u64,
    /// Of a difference: the term and operation up to which I must hold everything.
    pub(super) base: Option<(Epoch, u64)>,
    pub(super) standing: Standing,
    pub(super) parts: u32,
    pub(super) streams: BTreeMap<ChannelName, Staged>,
    /// Streams that the log has ended since.
    pub(super) forgotten: BTreeSet<ChannelName>,
}

/// A stream on its way in.
#[derive(Debug)]
pub(super) struct Staged {
    pub(super) stream: Stream,
    /// Oldest offset kept, which may be below what comes.
    pub(super) first: u64,
    /// All runs have come.
    pub(super) complete: bool,
    /// Appended by the log since the first run, behind what the runs bring.
    pub(super) tail: Vec<(Now, u64, Op)>,
}
