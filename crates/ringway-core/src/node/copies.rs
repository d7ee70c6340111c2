//! An owner's care for its copies: who should hold a slot is brought up to date, marked, and then waited for; who
//! should no longer is released, by consent (R2, R4 to R6, R21).

use std::collections::VecDeque;

use super::Node;
use super::slot::{Phase, Replica};
use crate::id::{Epoch, Incarnation, Slot};
use crate::message::{Have, Message, SlotState, StateKind};
use crate::timing::Now;

/// Bytes of one part of a state. Small enough to share a link with live traffic, large enough to cost few frames.
const PART_BYTES: usize = 128 << 10;

/// What a `Sync` of an empty slot counts as under way.
const SYNC_OVERHEAD: usize = 64;

/// Slots that wait to be copied, per peer, and bytes under way.
#[derive(Debug, Default)]
pub(super) struct Copies {
    peers: Vec<(Incarnation, VecDeque<Slot>, usize)>,
    marks: Vec<(Incarnation, Slot)>,
    releases: Vec<(Incarnation, Slot)>,
}

impl Copies {
    fn peer(&mut self, node: Incarnation) -> &mut (Incarnation, VecDeque<Slot>, usize) {
        let at = self.peers.iter().position(|(peer, _, _)| *peer == node);
        let at = at.unwrap_or_else(|| {
            self.peers.push((node, VecDeque::new(), 0));
            self.peers.len() - 1
        });
        &mut self.peers[at]
    }

    /// A slot is to be copied there. What holds something goes before what is empty: somebody may wait for it.
    fn queue(&mut self, node: Incarnation, slot: Slot, is_empty: bool) {
        let slots = &mut self.peer(node).1;
        if is_empty { slots.push_back(slot) } else { slots.push_front(slot) }
    }

    /// A new view: who left is forgotten, and what was under way to the others counts no longer.
    pub(super) fn start_over(&mut self, keep: impl Fn(Incarnation) -> bool) {
        self.peers.retain(|(peer, _, _)| keep(*peer));
        self.peers.iter_mut().for_each(|(_, _, under_way)| *under_way = 0);
    }
}

impl Node {
    /// A live slot follows the view: members that left are no replicas, releases under way are void, newly wanted
    /// nodes are copied to. `need` is kept.
    pub(super) fn keep_reigning(&mut self, now: Now, slot: Slot) {
        let Some(placement) = &self.placement else { return };
        let (wanted, view, me) = (placement.wanted(slot), self.peers.view().clone(), self.me);
        let is_empty = self.slots[slot.index()].index == 0;
        let Some(reign) = self.slots[slot.index()].reign_mut() else { return };
        reign.replicas.retain(|replica| view.node(replica.node).is_some());
        for replica in reign.replicas.iter_mut().filter(|replica| replica.releasing.is_some()) {
            replica.start_whole();
        }
        reign.replicas.retain(|replica| replica.need || wanted.contains(&replica.node));
        for node in wanted.iter().filter(|node| **node != me) {
            if !reign.replicas.iter().any(|replica| replica.node == *node) {
                reign.replicas.push(Replica::new(*node));
            }
        }
        for replica in &mut reign.replicas {
            if !replica.stream {
                self.copies.queue(replica.node, slot, is_empty);
            } else if wanted.contains(&replica.node) && replica.answered && !replica.marked && !replica.mark_sent {
                // It was to be released, gave its mark up, and is wanted again: no further answer will ask for the mark.
                (replica.need, replica.mark_sent) = (true, true);
                self.copies.marks.push((replica.node, slot));
            }
        }
        self.advance(now, slot);
        self.settle(slot);
    }

    /// Copies what waits, as far as the bytes under way allow.
    pub(super) fn pump_copies(&mut self, now: Now) {
        for at in 0..self.copies.peers.len() {
            let (peer, _, _) = self.copies.peers[at];
            while self.peers.is_up(peer) && self.copies.peers[at].2 < self.limits.copy_bytes {
                let Some(slot) = self.copies.peers[at].1.pop_front() else { break };
                self.sync(now, peer, slot);
            }
        }
    }

    /// Sends a `Sync`: the state of the slot, or what changed since the replica last said what it holds.
    fn sync(&mut self, now: Now, to: Incarnation, slot: Slot) {
        let number = self.next_sync + 1;
        let entry = &mut self.slots[slot.index()];
        let (index, forgot) = (entry.index, entry.forgot);
        let Some(reign) = entry.reign_mut() else { return };
        let term = reign.term;
        let Some(replica) = reign.replicas.iter_mut().find(|replica| replica.node == to && !replica.stream) else {
            return;
        };
        self.next_sync = number;
        (replica.stream, replica.sync, replica.synced) = (true, number, index);
        let base = replica.base.filter(|(_, held)| index > 0 && *held <= index && *held >= forgot);
        let bytes = self.send_state(now, to, slot, (StateKind::Sync(number), term), base);
        if let Some(replica) = self.replica(slot, to) {
            replica.copying = bytes;
            self.copies.peer(to).2 += bytes;
        }
    }

    /// Sends the slot's content in parts, or of it what changed since `base`. Returns its bytes.
    pub(super) fn send_state(
        &mut self,
        now: Now,
        to: Incarnation,
        slot: Slot,
        (kind, term): (StateKind, Epoch),
        base: Option<(Epoch, u64)>,
    ) -> usize {
        let entry = &self.slots[slot.index()];
        let index = entry.index;
        let since = base.map_or(0, |(_, held)| held);
        let changed = |key: &&u32| base.is_none() || self.streams[**key as usize].changed > since;
        let states = entry.streams.iter().filter(changed);
        let states = states.flat_map(|key| self.streams[*key as usize].states(now, PART_BYTES));
        let mut parts = vec![Vec::new()];
        let (mut total, mut bytes) = (SYNC_OVERHEAD, 0);
        for state in states {
            let size = SYNC_OVERHEAD + state.entries.iter().map(|(_, entry)| entry.size()).sum::<usize>();
            if bytes + size > PART_BYTES && bytes > 0 {
                parts.push(Vec::new());
                bytes = 0;
            }
            (bytes, total) = (bytes + size, total + size);
            if let Some(part) = parts.last_mut() {
                part.push(state);
            }
        }
        let same = base.is_some() && since == index;
        let publishers = entry.publishers.iter().filter(|_| !same).map(super::slot::Publisher::state).collect();
        let (mut publishers, count): (Vec<_>, _) = (publishers, parts.len());
        for (part, streams) in parts.into_iter().enumerate() {
            let last = part + 1 == count;
            let publishers = if last { std::mem::take(&mut publishers) } else { Vec::new() };
            let part = part as u32;
            let state = SlotState { slot, kind, term, index, base, part, last, streams, publishers };
            self.peers.send(to, Message::State(Box::new(state)));
        }
        total
    }

    fn replica(&mut self, slot: Slot, node: Incarnation) -> Option<&mut Replica> {
        let reign = self.slots.get_mut(slot.index())?.reign_mut()?;
        reign.replicas.iter_mut().find(|replica| replica.node == node)
    }

    /// A replica says how far it is. Only an answer to the last `Sync` on this link counts (R6).
    pub(super) fn on_have(&mut self, now: Now, from: Incarnation, have: &Have) {
        let wanted = self.placement.as_ref().is_some_and(|placement| placement.wanted(have.slot).contains(&from));
        let Some(reign) = self.slots.get_mut(have.slot.index()).and_then(super::slot::SlotEntry::reign_mut) else {
            return;
        };
        let term = reign.term;
        let Some(replica) = reign.replicas.iter_mut().find(|replica| replica.node == from) else { return };
        // A `Have` without a `Sync`: it refused some of what I sent, in a view that I have not seen.
        let broken = replica.stream && have.sync == 0;
        if !broken && (!replica.stream || have.term != term || have.sync != replica.sync) {
            return;
        }
        let copied = std::mem::take(&mut replica.copying);
        if broken || have.index < replica.synced {
            // It did not hold what I thought it did: copy it whole.
            replica.start_whole();
            let copies = self.copies.peer(from);
            copies.2 = copies.2.saturating_sub(copied);
            copies.1.push_back(have.slot);
            self.settle(have.slot);
            return;
        }
        (replica.answered, replica.have) = (true, replica.have.max(have.index));
        // First it is waited for, then it is marked (R2).
        replica.need |= wanted;
        replica.marked = have.mark && replica.need && replica.releasing.is_none();
        let mark = replica.need && wanted && !replica.marked && !replica.mark_sent;
        replica.mark_sent |= mark;
        if mark {
            self.copies.marks.push((from, have.slot));
        }
        if copied > 0 {
            let copies = self.copies.peer(from);
            copies.2 = copies.2.saturating_sub(copied);
        }
        self.advance(now, have.slot);
        self.settle(have.slot);
    }

    /// When all that are wanted are marked, the others are released; when there are no others, the slot is settled.
    pub(super) fn settle(&mut self, slot: Slot) {
        let Some(placement) = &self.placement else { return };
        let (wanted, epoch, me) = (placement.wanted(slot), self.peers.view().epoch, self.me);
        let Some(reign) = self.slots[slot.index()].reign_mut() else { return };
        let marked = |node: &Incarnation| reign.replicas.iter().any(|replica| replica.node == *node && replica.marked);
        let complete = wanted.iter().all(|node| *node == me || marked(node));
        if complete {
            for replica in reign.replicas.iter_mut().filter(|replica| !wanted.contains(&replica.node)) {
                if replica.need && replica.answered && replica.releasing.is_none() {
                    // From here on its mark counts for nothing, whatever becomes of the release (R5).
                    (replica.marked, replica.mark_sent, replica.releasing) = (false, false, Some(epoch));
                    self.copies.releases.push((replica.node, slot));
                }
            }
        }
        let settled = complete && reign.replicas.iter().all(|replica| wanted.contains(&replica.node));
        if settled != reign.settled {
            reign.settled = settled;
            if settled { self.unsettled = self.unsettled.saturating_sub(1) } else { self.unsettled += 1 }
        }
    }

    /// Counts from the start: after a view, claims and settled slots have all moved.
    pub(super) fn count_unsettled(&mut self) {
        let open = |entry: &&super::slot::SlotEntry| match &entry.phase {
            Phase::Idle => false,
            Phase::Claiming | Phase::Fetching(_) => true,
            Phase::Live(reign) => !reign.settled,
        };
        self.unsettled = self.slots.iter().filter(open).count() as u64;
    }

    /// Sends the marks and releases of this turn, those that still hold.
    pub(super) fn flush_marks(&mut self) {
        let epoch = self.view().epoch;
        let still = |node: &mut Self, to: Incarnation, slot: Slot, release: bool| {
            let replica = node.replica(slot, to)?;
            let holds = if release { replica.releasing == Some(epoch) } else { replica.mark_sent && !replica.marked };
            let term = node.slots[slot.index()].reign()?.term;
            holds.then_some((slot, term))
        };
        for release in [false, true] {
            let list = if release { &mut self.copies.releases } else { &mut self.copies.marks };
            let mut list = std::mem::take(list);
            list.sort_unstable();
            for batch in list.chunk_by(|(a, _), (b, _)| a == b) {
                let to = batch[0].0;
                let slots: Vec<(Slot, Epoch)> =
                    batch.iter().filter_map(|(_, slot)| still(self, to, *slot, release)).collect();
                if !slots.is_empty() {
                    self.peers.send(to, if release { Message::Release(slots) } else { Message::Mark(slots) });
                }
            }
        }
    }

    /// A replica gave its copy up. Only an answer to the release of this epoch counts.
    pub(super) fn on_released(&mut self, now: Now, from: Incarnation, epoch: Epoch, slots: &[(Slot, Epoch)]) {
        for (slot, released) in slots {
            let current = self.view().epoch;
            let Some(reign) = self.slots.get_mut(slot.index()).and_then(super::slot::SlotEntry::reign_mut) else {
                continue;
            };
            let before = reign.replicas.len();
            let gone = |replica: &Replica| replica.node == from && replica.releasing == Some(*released);
            if *released == current && epoch == current {
                reign.replicas.retain(|replica| !gone(replica));
            }
            if reign.replicas.len() < before {
                self.advance(now, *slot);
                self.settle(*slot);
            }
        }
    }

    /// What a replica had on the link counts no longer. Says whether it is one of mine.
    fn start_over(&mut self, slot: Slot, peer: Incarnation) -> bool {
        let Some(reign) = self.slots[slot.index()].reign_mut() else { return false };
        let Some(replica) = reign.replicas.iter_mut().find(|replica| replica.node == peer) else { return false };
        replica.start_over(reign.term);
        self.settle(slot);
        true
    }

    /// A new link: every replica there starts over with a `Sync` (R6).
    pub(super) fn copies_link_up(&mut self, now: Now, peer: Incarnation) {
        let copies = self.copies.peer(peer);
        copies.1.clear();
        copies.2 = 0;
        for at in 0..self.slots.len() {
            let slot = Slot(at as u32);
            if self.start_over(slot, peer) {
                self.copies.queue(peer, slot, self.slots[at].index == 0);
            }
        }
        self.pump_copies(now);
    }

    /// A link ended: what was under way on it is lost, and the commit point waits for the next one (R4).
    pub(super) fn copies_link_down(&mut self, peer: Incarnation) {
        for at in 0..self.slots.len() {
            self.start_over(Slot(at as u32), peer);
        }
        let copies = self.copies.peer(peer);
        copies.1.clear();
        copies.2 = 0;
    }

    /// Says once per epoch that all is settled.
    pub(super) fn report_settled(&mut self) {
        let epoch = self.view().epoch;
        if self.settled_at == epoch || !self.is_settled() {
            return;
        }
        self.settled_at = epoch;
        let nodes: Vec<Incarnation> = self.view().nodes.iter().map(|node| node.incarnation).collect();
        for node in nodes.into_iter().filter(|node| *node != self.me) {
            self.peers.send(node, Message::Settled(epoch));
        }
    }
}
