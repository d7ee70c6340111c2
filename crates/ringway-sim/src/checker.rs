//! What must be true in every run, and what was seen of it so far.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use ringway_core::message::Durability;
use ringway_core::{Epoch, Incarnation, Position, Slot, StreamEpoch};

use crate::setup::Setup;
use crate::time::Time;
use ringway_core::ring::SlotSet;

/// Something that must never be was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The name of what was violated: I1, C1 to C8, or a word.
    pub rule: &'static str,
    /// Microseconds since the run began.
    pub at: u64,
    /// What was seen.
    pub text: String,
}

/// A publication of a client.
#[derive(Debug, Clone)]
pub(crate) struct Publication {
    pub(crate) channel: usize,
    /// Who: a connection of a client, or the backend of a gateway process.
    pub(crate) sender: u32,
    /// Its number among those of the sender on the channel, from 1.
    pub(crate) number: u64,
    pub(crate) key: Option<u32>,
    pub(crate) sent: Time,
    /// When it first reached a node.
    pub(crate) arrived: Option<Time>,
    /// When it was acknowledged.
    pub(crate) acknowledged: Option<Time>,
    /// Where it was last seen to stand.
    pub(crate) place: Option<Position>,
}

impl Publication {
    pub(crate) fn new(channel: usize, sender: u32, number: u64, key: Option<u32>, sent: Time) -> Self {
        Self { channel, sender, number, key, sent, arrived: None, acknowledged: None, place: None }
    }
}

/// One life of a stream, as all who saw it agree.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) channel: usize,
    /// Publications by offset, as far as anybody saw them.
    pub(crate) entries: BTreeMap<u64, u32>,
    /// Highest offset known to be committed, and when which was seen to be.
    pub(crate) top: u64,
    pub(crate) times: BTreeMap<u64, Time>,
    /// All complete copies of it are gone, with a good excuse.
    pub(crate) dead: bool,
    last_of: HashMap<u32, (u64, u64)>,
}

/// A time in which a connection listened to a channel.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) channel: usize,
    pub(crate) attached: Time,
    pub(crate) ended: Option<Time>,
    /// Publications without history that came.
    pub(crate) got: BTreeSet<u32>,
    last_of: HashMap<u32, u64>,
}

/// How a node left the view.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Removed {
    pub(crate) at: Time,
    /// Its lease key had ended in the registry.
    pub(crate) lapsed: bool,
}

/// Slots that went with a node.
#[derive(Debug, Clone, Default)]
pub(crate) struct Destroyed {
    /// It had the mark.
    pub(crate) marks: SlotSet,
    /// It was owner or standby.
    pub(crate) due: SlotSet,
}

/// Everything that was seen.
#[derive(Debug)]
pub(crate) struct Checker {
    pub(crate) violation: Option<Violation>,
    pub(crate) acknowledged: u64,
    /// When the last acknowledgement reached its publisher.
    pub(crate) last: Time,
    pub(crate) publications: Vec<Publication>,
    /// What gateways have sent, by the number that they have given it for its slot.
    pub(crate) sent: HashMap<(Incarnation, Slot, Durability, u64), u32>,
    pub(crate) logs: BTreeMap<StreamEpoch, Log>,
    /// The newest stream of each channel that a node served anything of.
    pub(crate) newest: Vec<Option<StreamEpoch>>,
    pub(crate) sessions: Vec<Session>,
    /// Who acknowledged in a slot at each epoch, and in the term that began at each.
    pub(crate) owners: BTreeMap<(u32, Epoch), Incarnation>,
    pub(crate) reigns: BTreeMap<(u32, Epoch), Incarnation>,
    /// Where the publication of each idempotency key stands.
    pub(crate) keys: BTreeMap<u32, Position>,
    /// When each node left the registry's view.
    pub(crate) removed: BTreeMap<Incarnation, Removed>,
    /// Nodes that lost their memory or their place since everybody was settled.
    pub(crate) destroyed: BTreeMap<Incarnation, Destroyed>,
    /// Slots that had two complete copies at some time since everybody was settled.
    pub(crate) doubled: SlotSet,
    /// Slots whose last complete copy went with an excuse, and that have none since.
    pub(crate) lost: SlotSet,
    /// Slots of which the log may have lost records that only copies have, until an owner has written again.
    pub(crate) unproven: SlotSet,
    senders: u32,
}

impl Checker {
    pub(crate) fn new(setup: &Setup) -> Self {
        Self {
            violation: None,
            acknowledged: 0,
            last: 0,
            publications: Vec::new(),
            sent: HashMap::new(),
            logs: BTreeMap::new(),
            newest: vec![None; setup.channels.len()],
            sessions: Vec::new(),
            owners: BTreeMap::new(),
            reigns: BTreeMap::new(),
            keys: BTreeMap::new(),
            removed: BTreeMap::new(),
            destroyed: BTreeMap::new(),
            doubled: SlotSet::default(),
            lost: SlotSet::default(),
            unproven: SlotSet::default(),
            senders: 0,
        }
    }

    pub(crate) fn violate(&mut self, at: Time, rule: &'static str, text: String) {
        self.violation.get_or_insert(Violation { rule, at, text });
    }

    pub(crate) fn new_sender(&mut self) -> u32 {
        self.senders += 1;
        self.senders
    }

    pub(crate) fn published(&mut self, publication: Publication) -> u32 {
        self.publications.push(publication);
        self.publications.len() as u32 - 1
    }

    /// Somebody is told at this time that it listens.
    pub(crate) fn subscribed(&mut self, channel: usize, now: Time) -> usize {
        let (got, last_of) = (BTreeSet::new(), HashMap::new());
        self.sessions.push(Session { channel, attached: now, ended: None, got, last_of });
        self.sessions.len() - 1
    }

    pub(crate) fn unsubscribed(&mut self, session: usize, now: Time) {
        self.sessions[session].ended.get_or_insert(now);
    }

    /// What a session did not get says nothing.
    pub(crate) fn discount(&mut self, session: usize) {
        self.sessions[session].ended = Some(self.sessions[session].attached);
    }

    /// Everybody in a view of so many nodes is settled: every slot has its copies.
    pub(crate) fn settled(&mut self, nodes: usize, setup: &Setup) {
        self.destroyed.clear();
        self.doubled = if nodes > 1 { setup.all_slots.clone() } else { SlotSet::default() };
    }

    /// How many complete copies of a slot, and how many of its owners and standbys, went since everybody was settled.
    pub(crate) fn destroyed_of(&self, slot: Slot) -> (usize, usize) {
        let count = |bits: fn(&Destroyed) -> &SlotSet| self.destroyed.values().filter(|d| bits(d).has(slot)).count();
        (count(|destroyed| &destroyed.marks), count(|destroyed| &destroyed.due))
    }

    /// Streams of this slot are gone for good, but for those that are in the log.
    pub(crate) fn excuse(&mut self, slot: Slot, setup: &Setup) {
        self.lost.add(slot);
        let is_lost = |log: &&mut Log| {
            let channel = &setup.channels[log.channel];
            channel.slot == slot && !channel.is_logged()
        };
        let streams = self.logs.values_mut().filter(is_lost);
        streams.for_each(|log| log.dead = true);
    }

    /// Nobody who lives knows whether this slot's chain has lost something.
    pub(crate) fn excuse_the_chain(&mut self, slot: Slot, setup: &Setup) {
        let is_lost = |log: &&mut Log| {
            let channel = &setup.channels[log.channel];
            channel.slot == slot && channel.is_logged()
        };
        self.logs.values_mut().filter(is_lost).for_each(|log| log.dead = true);
    }

    /// The log has lost the ends of chains, and says so: no stream goes on that is read from it.
    pub(crate) fn excuse_the_log(&mut self, setup: &Setup) {
        let is_logged = |log: &&mut Log| setup.channels[log.channel].is_logged();
        self.logs.values_mut().filter(is_logged).for_each(|log| log.dead = true);
    }

    /// Where the newest stream of a channel is known to be acknowledged up to.
    pub(crate) fn acknowledged_top(&self, channel: usize) -> Option<Position> {
        let epoch = self.newest[channel]?;
        let log = self.logs.get(&epoch).filter(|log| !log.dead)?;
        Some(Position { epoch, offset: log.top })
    }

    /// Somebody saw this publication at this place. Everybody must, and each sender's numbers must ascend.
    pub(crate) fn seen(&mut self, channel: usize, at: Position, publication: u32) -> Result<(), String> {
        let Some(known) = self.publications.get(publication as usize) else {
            return Err(format!("publication {publication} was never published"));
        };
        if known.channel != channel {
            return Err(format!("publication {publication} of channel {} is in channel {channel}", known.channel));
        }
        let (sender, number) = (known.sender, known.number);
        self.publications[publication as usize].place = Some(at);
        let log = self.logs.entry(at.epoch).or_insert_with(|| Log { channel, ..Log::default() });
        if let Some(other) = log.entries.insert(at.offset, publication) {
            return if other == publication {
                Ok(())
            } else {
                Err(format!("channel {channel} has publication {publication} at {at:?}, and had {other} there"))
            };
        }
        let last = log.last_of.entry(sender).or_insert((at.offset, number));
        if (at.offset > last.0 && number <= last.1) || (at.offset < last.0 && number >= last.1) {
            return Err(format!(
                "sender {sender}: number {number} of channel {channel} is at {at:?}, and {} at offset {}",
                last.1, last.0
            ));
        }
        if at.offset > last.0 {
            *last = (at.offset, number);
        }
        Ok(())
    }

    /// A publication without history came to a session: each sender's numbers must ascend.
    pub(crate) fn seen_unkept(&mut self, session: usize, publication: u32) -> Result<(), String> {
        let Some(known) = self.publications.get(publication as usize) else {
            return Err(format!("publication {publication} was never published"));
        };
        let session = &mut self.sessions[session];
        if known.channel != session.channel {
            return Err(format!("publication {publication} came on channel {}", session.channel));
        }
        let last = session.last_of.insert(known.sender, known.number).unwrap_or(0);
        session.got.insert(publication);
        if known.number <= last {
            return Err(format!(
                "channel {}: number {} of sender {} came after {last}",
                session.channel, known.number, known.sender
            ));
        }
        Ok(())
    }
}
