//! What goes to a copy: whole states in parts, differences, and for most slots no more than a line; as much at a time as the peer takes, and what
//! holds something first.
//!
//! A state goes stream by stream, each as it is when its turn comes, while the log goes on: operations are sent as they happen, between the
//! parts, and the receiver makes one thing of both (`staging`). So a state of any size holds up nothing, and is never kept twice here.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use super::Node;
use crate::id::{Epoch, Incarnation, Slot, StreamEpoch};
use crate::message::{Durability, FRAME_OVERHEAD, Lane, Message, SlotState, SlotSync, StateKind, StreamState};
use crate::timing::Now;

/// States that go to one peer side by side, a part of each in turn: small ones do not wait for large ones.
const SIDE_BY_SIDE: usize = 64;

/// Slots that wait to be copied, per peer, and what is under way.
#[derive(Debug, Default)]
pub(super) struct Copies {
    peers: Vec<Copying>,
    /// To be sent at the end of the turn.
    pub(super) marks: Vec<(Incarnation, Slot)>,
    pub(super) releases: Vec<(Incarnation, Slot)>,
}

/// Copying to one peer.
#[derive(Debug)]
pub(super) struct Copying {
    to: Incarnation,
    /// Slots that wait: at most one entry for each that I own.
    pub(super) queue: VecDeque<Slot>,
    /// States of which parts are still to be sent: at most [`SIDE_BY_SIDE`], and those that a claiming owner asked for.
    jobs: VecDeque<Job>,
    /// Slots under way.
    slots: usize,
}

/// A state on its way out.
#[derive(Debug)]
pub(super) struct Job {
    slot: Slot,
    kind: StateKind,
    term: Epoch,
    base: Option<(Epoch, u64)>,
    /// The view it was asked for in, where it was asked for.
    epoch: Epoch,
    /// Number of the next part.
    part: u32,
    /// Streams that wait for their turn.
    streams: VecDeque<(u32, StreamEpoch)>,
    /// The stream whose turn it is.
    current: Option<Current>,
    /// Streams whose turn has come, or that the receiver knows from the log since their birth.
    told: BTreeSet<u32>,
}

impl Job {
    /// A stream was born since, and the receiver knows it from the log.
    pub(super) fn told_of(&mut self, key: u32) {
        self.told.insert(key);
    }
}

/// Where a job is within a stream.
#[derive(Debug)]
struct Current {
    key: u32,
    epoch: StreamEpoch,
    next: u64,
    /// The top when its turn came: what is above is sent as operations.
    top: u64,
    keys: VecDeque<(Box<str>, Duration, u64)>,
}

impl Copying {
    pub(super) fn start_over(&mut self) {
        self.queue.clear();
        self.jobs.clear();
        self.slots = 0;
    }

    /// A slot is under way no longer. What was counted for an older view or link is gone already.
    pub(super) fn ended(&mut self, was_under_way: bool) {
        self.slots = self.slots.saturating_sub(usize::from(was_under_way));
    }
}

impl Copies {
    pub(super) fn peer(&mut self, node: Incarnation) -> &mut Copying {
        let at = self.peers.iter().position(|peer| peer.to == node);
        let at = at.unwrap_or_else(|| {
            let (queue, jobs) = (VecDeque::new(), VecDeque::new());
            self.peers.push(Copying { to: node, queue, jobs, slots: 0 });
            self.peers.len() - 1
        });
        &mut self.peers[at]
    }

    /// A slot is to be copied there. What holds something goes before what is empty: somebody may wait for it.
    pub(super) fn queue(&mut self, node: Incarnation, slot: Slot, is_empty: bool) {
        let queue = &mut self.peer(node).queue;
        if is_empty { queue.push_back(slot) } else { queue.push_front(slot) }
    }

    /// A new view: who left is forgotten, and every live slot that is not being copied queues again.
    pub(super) fn start_over(&mut self, keep: impl Fn(Incarnation) -> bool) {
        self.peers.retain(|peer| keep(peer.to));
        for peer in &mut self.peers {
            peer.queue.clear();
            peer.slots = 0;
        }
    }

    /// A stream was born in the log: whoever is sent a state of its slot knows it from there.
    pub(super) fn told_of_birth(&mut self, slot: Slot, key: u32) {
        for job in self.peers.iter_mut().flat_map(|peer| &mut peer.jobs).filter(|job| job.slot == slot) {
            job.told.insert(key);
        }
    }
}

impl Node {
    /// Copies what waits, as far as what is under way allows.
    pub(super) fn pump_copies(&mut self, now: Now) {
        for at in 0..self.copies.peers.len() {
            let to = self.copies.peers[at].to;
            while self.peers.is_up(to) && self.has_room_for_part(to, Lane::Copies) {
                let (most, peer) = (self.limits.copy_slots, &mut self.copies.peers[at]);
                let may_begin = peer.slots < most && peer.jobs.len() < SIDE_BY_SIDE;
                let job = match peer.queue.pop_front_if(|_| may_begin) {
                    Some(slot) => self.begin_sync(to, slot),
                    None if peer.jobs.is_empty() => break,
                    None => peer.jobs.pop_front(),
                };
                if let Some(job) = job.and_then(|job| self.send_part_of(now, to, job)) {
                    self.copies.peers[at].jobs.push_back(job);
                }
            }
        }
    }

    /// Begins a `Sync`: the state of the slot, or what changed since the replica last said what it holds. Its first part is to be
    /// sent at once: from now on the replica is sent what happens, and must know to what that belongs.
    fn begin_sync(&mut self, to: Incarnation, slot: Slot) -> Option<Job> {
        let number = self.next_sync + 1;
        let entry = &mut self.slots[slot.index()];
        let (index, forgot, standing) = (entry.index, entry.forgot, entry.standing);
        let reign = entry.reign_mut()?;
        let term = reign.term;
        let replica = reign.replicas.iter_mut().find(|replica| replica.node == to && !replica.stream)?;
        self.next_sync = number;
        (replica.stream, replica.sync, replica.synced, replica.copying) = (true, number, index, true);
        let base = replica.base.filter(|(_, held)| index > 0 && *held <= index && *held >= forgot);
        self.copies.peer(to).slots += 1;
        if self.has_content(slot, base) {
            return Some(self.job(slot, (StateKind::Sync(number), term), base));
        }
        self.peers.send_sync(to, SlotSync { slot, term, number, index, base, standing });
        None
    }

    /// The state of the slot, or what of it changed since `base`, has streams or publishers in it.
    fn has_content(&self, slot: Slot, base: Option<(Epoch, u64)>) -> bool {
        let entry = &self.slots[slot.index()];
        let same = base.is_some_and(|(_, held)| held == entry.index);
        // Without an epoch it is kept by nobody but me.
        let travels = |key: &u32| {
            let stream = &self.streams[*key as usize];
            stream.epoch.is_some() && base.is_none_or(|(_, held)| stream.changed > held)
        };
        (!same && !entry.publishers.is_empty()) || entry.streams.iter().any(travels)
    }

    /// A claiming owner is to be sent what I hold.
    pub(super) fn begin_fetched(&mut self, to: Incarnation, slot: Slot, term: Epoch) {
        let job = self.job(slot, (StateKind::Fetched, term), None);
        self.copies.peer(to).jobs.push_back(job);
    }

    pub(super) fn job(&self, slot: Slot, (kind, term): (StateKind, Epoch), base: Option<(Epoch, u64)>) -> Job {
        let epoch = self.view().epoch;
        let mut job = Job {
            slot,
            kind,
            term,
            base,
            epoch,
            part: 0,
            streams: VecDeque::new(),
            current: None,
            told: BTreeSet::new(),
        };
        job.streams = self.untold(&job);
        job
    }

    /// Streams of the job's slot that the receiver does not know as they are.
    fn untold(&self, job: &Job) -> VecDeque<(u32, StreamEpoch)> {
        let since = job.base.map(|(_, held)| held);
        let named = self.slots[job.slot.index()].streams.iter().filter(|key| !job.told.contains(key));
        let named = named.filter_map(|key| {
            let stream = self.streams.get(*key as usize)?;
            let changed = since.is_none_or(|held| stream.changed > held);
            let changed = changed && (job.kind != StateKind::Logged || stream.options.is_logged());
            Some((*key, stream.epoch.filter(|_| changed)?))
        });
        named.collect()
    }

    /// The job still means something: its receiver waits for this very state.
    fn is_wanted(&mut self, to: Incarnation, job: &Job) -> bool {
        match job.kind {
            StateKind::Sync(number) => {
                let live = self.slots[job.slot.index()].reign().is_some_and(|reign| reign.term == job.term);
                live && self.replica(job.slot, to).is_some_and(|replica| replica.stream && replica.sync == number)
            }
            StateKind::Fetched => {
                let entry = &self.slots[job.slot.index()];
                job.epoch == self.view().epoch && entry.mark && entry.term == job.term
            }
            // That one goes into the log.
            StateKind::Logged => false,
        }
    }

    /// Sends the next part. Returns the job if there is more of it.
    fn send_part_of(&mut self, now: Now, to: Incarnation, mut job: Job) -> Option<Job> {
        if !self.is_wanted(to, &job) {
            return None;
        }
        let state = self.next_part(now, &mut job);
        let (last, index) = (state.last, state.index);
        self.peers.send_part(to, Message::State(Box::new(state)));
        if let Some(replica) = self.replica(job.slot, to).filter(|_| last && job.kind != StateKind::Fetched) {
            replica.synced = index;
        }
        (!last).then_some(job)
    }

    /// The next part of a state, as the slot is now.
    pub(super) fn next_part(&self, now: Now, job: &mut Job) -> SlotState {
        let room = self.peers.part_bytes();
        let (mut streams, mut bytes) = (Vec::new(), 0);
        while bytes < room || streams.is_empty() {
            let is_first = streams.is_empty();
            let Some(run) = self.next_run(now, job, room.saturating_sub(bytes), is_first) else { break };
            bytes += run.size();
            streams.push(run);
        }
        if job.current.is_none() && job.streams.is_empty() {
            job.streams = self.untold(job);
        }
        let last = job.current.is_none() && job.streams.is_empty();
        let entry = &self.slots[job.slot.index()];
        let (slot, index) = (job.slot, entry.index);
        let is_same = job.base.is_some_and(|(_, held)| held == index);
        let publishers = entry.publishers.iter().filter(|_| last && !is_same);
        let publishers = publishers.filter(|one| job.kind != StateKind::Logged || one.durability == Durability::Log);
        let publishers = publishers.map(super::slot::Publisher::state).collect();
        let Job { kind, term, base, part, .. } = *job;
        job.part += 1;
        SlotState { slot, kind, term, index, base, part, last, streams, publishers, standing: entry.standing }
    }

    /// The next run of the job's streams: of about `room` bytes, or, where it is the first of its part, one publication.
    fn next_run(&self, now: Now, job: &mut Job, room: usize, is_first: bool) -> Option<StreamState> {
        loop {
            let begins = job.current.is_none();
            if begins {
                let (key, epoch) = job.streams.pop_front()?;
                job.told.insert(key);
                job.current = self.turn_of(now, job, key, epoch);
            }
            let Some(mut current) = job.current.take() else { continue };
            // A stream that ended is ended by the log as well.
            let stream = self.streams.get(current.key as usize);
            let stream = stream.filter(|stream| stream.epoch == Some(current.epoch) && stream.slot == job.slot);
            let Some(stream) = stream else { continue };
            let start = current.next.max(stream.first()).min(current.top + 1);
            let Some(mut run) = stream.run(now, start, current.top, room) else { continue };
            if !is_first && run.size() > room {
                if begins {
                    // As if its turn had not come: operations that happen meanwhile are not sent to who has nothing of it.
                    job.told.remove(&current.key);
                    job.streams.push_front((current.key, current.epoch));
                } else {
                    job.current = Some(current);
                }
                return None;
            }
            current.next = start + run.entries.len() as u64;
            let mut bytes = run.size();
            while (bytes < room || (run.entries.is_empty() && run.keys.is_empty()))
                && let Some(key) = current.keys.pop_front()
            {
                bytes += FRAME_OVERHEAD + key.0.len();
                run.keys.push(key);
            }
            run.last = current.next > current.top && current.keys.is_empty();
            if !run.last {
                job.current = Some(current);
            }
            return Some(run);
        }
    }

    fn turn_of(&self, now: Now, job: &Job, key: u32, epoch: StreamEpoch) -> Option<Current> {
        let stream = self.streams.get(key as usize).filter(|stream| stream.epoch == Some(epoch))?;
        let next = job.base.map_or(1, |(_, held)| stream.first_after(held)).max(stream.first());
        // Where nothing is kept of what the receiver holds, publishes that it does not know of may have been trimmed, but not their keys.
        let keys = stream.keys_since(now, if next > stream.first() { next } else { 0 });
        Some(Current { key, epoch, next, top: stream.top(), keys })
    }
}
