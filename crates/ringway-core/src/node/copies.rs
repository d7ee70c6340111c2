//! An owner's care for its copies: who should hold a slot is brought up to date, marked, and then waited for; who
//! should no longer is released, by consent (R2, R4 to R6, R21).

use super::Node;
use super::slot::Replica;
use crate::id::{Epoch, Incarnation, Slot};
use crate::limits::SLOT_LINES;
use crate::message::{Have, Message};
use crate::timing::Now;
use crate::view::Wanted;

impl Node {
    /// A live slot follows the view: members that left are no replicas, releases under way are void, newly wanted
    /// nodes are copied to. `need` is kept.
    pub(super) fn keep_reigning(&mut self, now: Now, slot: Slot) {
        let Some(placement) = &self.placement else { return };
        let (wanted, view, me) = (placement.wanted(slot), self.peers.view(), self.me);
        let entry = &mut self.slots[slot.index()];
        let is_empty = entry.index == 0;
        let Some(reign) = entry.reign_mut() else { return };
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
        self.settle_with(slot, &wanted);
    }

    pub(super) fn replica(&mut self, slot: Slot, node: Incarnation) -> Option<&mut Replica> {
        let reign = self.slots.get_mut(slot.index())?.reign_mut()?;
        reign.replicas.iter_mut().find(|replica| replica.node == node)
    }

    /// A replica says how far it is. Only an answer to the last `Sync` on this link counts (R6).
    pub(super) fn on_have(&mut self, now: Now, from: Incarnation, have: &Have) {
        let Some(reign) = self.slots.get_mut(have.slot.index()).and_then(super::slot::SlotEntry::reign_mut) else {
            return;
        };
        let Some(all_wanted) = self.placement.as_ref().map(|placement| placement.wanted(have.slot)) else { return };
        let wanted = all_wanted.contains(&from);
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
            let copying = self.copies.peer(from);
            copying.ended(copied);
            copying.queue.push_back(have.slot);
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
        self.copies.peer(from).ended(copied);
        self.advance(now, have.slot);
        self.settle_with(have.slot, &all_wanted);
    }

    /// When all that are wanted are marked, the others are released; when there are no others, the slot is settled.
    fn settle(&mut self, slot: Slot) {
        if let Some(wanted) = self.placement.as_ref().map(|placement| placement.wanted(slot)) {
            self.settle_with(slot, &wanted);
        }
    }

    fn settle_with(&mut self, slot: Slot, wanted: &Wanted) {
        let (epoch, me) = (self.peers.view().epoch, self.me);
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
                for lines in slots.chunks(SLOT_LINES).map(<[_]>::to_vec) {
                    self.peers.send(to, if release { Message::Release(lines) } else { Message::Mark(lines) });
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
        // Settled is a slot whose replicas are all wanted, and marked. Without this mark it is not, and nothing else follows.
        if std::mem::take(&mut reign.settled) {
            self.unsettled += 1;
        }
        true
    }

    /// Something of the slot has changed that is no operation: all copies are told, each with what it lacks.
    pub(super) fn copy_anew(&mut self, slot: Slot) {
        let entry = &mut self.slots[slot.index()];
        entry.index += 1;
        let Some(reign) = entry.reign_mut() else { return };
        let (mut copied, term) = (Vec::new(), reign.term);
        for replica in &mut reign.replicas {
            copied.push((replica.node, replica.copying));
            // One that is to give its copy up may have done so.
            if replica.releasing.is_some() { replica.start_whole() } else { replica.start_over(term) }
        }
        if !copied.is_empty() && std::mem::take(&mut reign.settled) {
            self.unsettled += 1;
        }
        for (node, was_copying) in copied {
            let copying = self.copies.peer(node);
            copying.ended(was_copying);
            copying.queue.retain(|queued| *queued != slot);
            self.copies.queue(node, slot, false);
        }
    }

    /// A new link: every replica there starts over with a `Sync` (R6).
    pub(super) fn copies_link_up(&mut self, now: Now, peer: Incarnation) {
        if self.view().node(peer).is_none() {
            return;
        }
        self.copies.peer(peer).start_over();
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
        // Nobody else is a replica of mine.
        if self.view().node(peer).is_none() {
            return;
        }
        for at in 0..self.slots.len() {
            self.start_over(Slot(at as u32), peer);
        }
        self.copies.peer(peer).start_over();
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
