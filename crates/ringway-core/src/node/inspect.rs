//! What a simulation or a test may look at: the state of slots and channels as they stand. Nothing decides by it.

use super::Node;
use crate::id::{ChannelName, Epoch, Incarnation, Slot, StreamEpoch};
use crate::logbook::Logged;
use crate::message::{Entry, Standing};

/// A slot as it stands at a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotReport {
    /// "I hold everything that was ever acknowledged here."
    pub mark: bool,
    /// Epoch at which the owner that last wrote here went live.
    pub term: Epoch,
    /// Operations of the log held.
    pub index: u64,
    /// What it lacks.
    pub standing: Standing,
    /// What only a live owner has.
    pub reign: Option<ReignReport>,
}

/// A live owner's side of a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReignReport {
    /// Epoch at which it went live.
    pub term: Epoch,
    /// Operations committed.
    pub commit: u64,
    /// Every wanted replica is marked, and nobody else is waited for.
    pub settled: bool,
    /// Replicas that an acknowledgement waits for.
    pub need: Vec<Incarnation>,
    /// Replicas that confirmed their mark.
    pub marked: Vec<Incarnation>,
    /// Answers that wait for a commit or for gateways that change over.
    pub waiting: usize,
    /// Of these, publishes that wait for gateways.
    pub held: usize,
}

/// A channel as it stands at a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelReport {
    /// Life of its stream; `None` without history.
    pub epoch: Option<StreamEpoch>,
    /// Oldest offset kept; the next one if none is.
    pub first: u64,
    /// Last offset.
    pub top: u64,
    /// Last committed offset, at a live owner.
    pub committed: u64,
    /// Gateways that listen.
    pub listeners: usize,
}

/// The streams of a slot as whoever reads its chain in the log finds them: names, lives, the oldest and the last offset.
pub fn told_by(slot: Slot, chain: &[Logged]) -> Vec<(ChannelName, ChannelReport)> {
    let streams = super::replay::Replay::of(Default::default(), slot, chain).streams;
    let report = |stream: &crate::stream::Stream| {
        let (epoch, first, top) = (stream.epoch, stream.first(), stream.top());
        ChannelReport { epoch, first, top, committed: top, listeners: 0 }
    };
    streams.iter().map(|(name, stream)| (name.clone(), report(stream))).collect()
}

impl Node {
    /// This node holds the mark of the slot.
    pub fn is_marked(&self, slot: Slot) -> bool {
        self.slots.get(slot.index()).is_some_and(|entry| entry.mark)
    }

    /// What the content of the slot lacks here.
    pub fn standing(&self, slot: Slot) -> Standing {
        self.slots.get(slot.index()).map(|entry| entry.standing).unwrap_or_default()
    }

    /// The slot as it stands here.
    pub fn inspect(&self, slot: Slot) -> Option<SlotReport> {
        let entry = self.slots.get(slot.index())?;
        let reign = entry.reign().map(|reign| {
            let those = |pick: fn(&super::slot::Replica) -> bool| {
                reign.replicas.iter().filter(|replica| pick(replica)).map(|replica| replica.node).collect()
            };
            ReignReport {
                term: reign.term,
                commit: reign.commit,
                settled: reign.settled,
                need: those(|replica| replica.need),
                marked: those(|replica| replica.need && replica.marked),
                waiting: reign.waits().count() + reign.held.len(),
                held: reign.held.len(),
            }
        });
        Some(SlotReport { mark: entry.mark, term: entry.term, index: entry.index, standing: entry.standing, reign })
    }

    /// The channel as it stands here.
    pub fn inspect_channel(&self, name: &ChannelName) -> Option<ChannelReport> {
        let stream = self.streams.get(*self.names.get(name)? as usize)?;
        let (epoch, first, top) = (stream.epoch, stream.first(), stream.top());
        Some(ChannelReport { epoch, first, top, committed: stream.committed(), listeners: stream.listeners.len() })
    }

    /// What stands at this offset of the channel here.
    pub fn inspect_entry(&self, name: &ChannelName, offset: u64) -> Option<&Entry> {
        self.streams.get(*self.names.get(name)? as usize)?.entry(offset)
    }
}
