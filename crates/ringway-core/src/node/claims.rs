//! Taking over: a node that became owner asks every node of its view what it holds, adopts or fetches a marked copy,
//! or, where none is left, begins anew after a wait (R7 to R10).

use std::collections::{BTreeMap, BTreeSet};

use smallvec::SmallVec;

use super::Node;
use super::slot::{Phase, Reign, Replica};
use crate::id::{Epoch, Incarnation, Slot};
use crate::limits::{CLAIM_BATCH, CLAIMS_UNDER_WAY};
use crate::message::{ClaimedSlot, Message};
use crate::timing::Now;

/// Slots asked for in one `Fetch`: the answers of one round stay well under a link's limit.
const FETCH_BATCH: usize = 64;

/// The claims of one epoch, all of them together. A newer view starts it over.
#[derive(Debug, Default)]
pub(super) struct ClaimRound {
    slots: Vec<Slot>,
    crashed: bool,
    /// Nodes that are asked, and what they have said. It counts once all of them have answered all of it.
    asked: Vec<Claimed>,
    /// The same of slots that are to be fetched.
    fetching: BTreeMap<Slot, Held>,
    /// Slots to be fetched, by the node that holds them, and those asked for.
    fetches: Vec<(Incarnation, Vec<Slot>, Vec<Slot>)>,
    /// Slots of which no marked copy is left.
    fresh: BTreeSet<Slot>,
}

/// What one node has said of the slots that are claimed. It is asked batch by batch, in their order, and answers in that order: so its answer is
/// complete when it is as long as the claim, and never before.
#[derive(Debug)]
struct Claimed {
    node: Incarnation,
    /// Slots that it was asked for on this link, from the first on.
    sent: usize,
    /// What it holds of each of them, as far as it has answered.
    held: Vec<ClaimedSlot>,
}

/// What other nodes hold of one slot.
type Held = SmallVec<[(Incarnation, ClaimedSlot); 2]>;

impl ClaimRound {
    pub(super) fn start_over(&mut self) {
        *self = Self::default();
    }

    /// The slot waits to begin anew.
    pub(super) fn is_fresh(&self, slot: Slot) -> bool {
        self.fresh.contains(&slot)
    }

    /// It waits no longer.
    pub(super) fn begins(&mut self, slot: Slot) {
        self.fresh.remove(&slot);
    }

    pub(super) fn add(&mut self, slot: Slot, crashed: bool) {
        self.slots.push(slot);
        self.crashed = crashed;
    }
}

impl Node {
    /// Sends the claims of this epoch.
    pub(super) fn send_claims(&mut self, now: Now) {
        if self.claims.slots.is_empty() {
            return;
        }
        let others = self.view().nodes.iter().map(|node| node.incarnation).filter(|node| *node != self.me);
        self.claims.asked = others.map(|node| Claimed { node, sent: 0, held: Vec::new() }).collect();
        for at in 0..self.claims.asked.len() {
            self.claim_next(at);
        }
        self.finish_claims(now);
    }

    /// Asks a node for its next slots: a few batches ahead of its answers.
    fn claim_next(&mut self, at: usize) {
        let (slots, asked) = (&self.claims.slots, &mut self.claims.asked[at]);
        while asked.sent < slots.len() && asked.sent < asked.held.len() + CLAIM_BATCH * CLAIMS_UNDER_WAY {
            let end = slots.len().min(asked.sent + CLAIM_BATCH);
            let batch = slots[asked.sent..end].to_vec();
            asked.sent = end;
            self.peers.send(asked.node, Message::Claim(batch));
        }
    }

    fn claimed(&self, slot: Slot) -> ClaimedSlot {
        let entry = &self.slots[slot.index()];
        ClaimedSlot { slot, mark: entry.mark, term: entry.term, index: entry.index }
    }

    /// A newcomer claims: it learns what I hold, if we speak of the same epoch.
    pub(super) fn on_claim(&mut self, from: Incarnation, epoch: Epoch, slots: &[Slot]) {
        if epoch != self.view().epoch {
            let view = self.view().clone();
            self.peers.send(from, Message::Moved(view));
            return;
        }
        // Half of an answer would say of the rest that I hold nothing.
        if slots.len() <= CLAIM_BATCH && slots.iter().all(|slot| slot.index() < self.slots.len()) {
            let claimed = slots.iter().map(|slot| self.claimed(*slot)).collect();
            self.peers.send(from, Message::Claimed(claimed));
        }
    }

    /// A node says what it holds of the batch that it was asked for next. What is no answer to that is not taken: it may be of an earlier link.
    pub(super) fn on_claimed(&mut self, now: Now, from: Incarnation, epoch: Epoch, held: &[ClaimedSlot]) {
        let at = self.claims.asked.iter().position(|asked| asked.node == from);
        let Some(at) = at.filter(|_| epoch == self.view().epoch) else { return };
        let (slots, asked) = (&self.claims.slots, &mut self.claims.asked[at]);
        let begin = asked.held.len();
        let batch = &slots[begin..asked.sent.min(begin + CLAIM_BATCH)];
        if batch.is_empty() || !batch.iter().copied().eq(held.iter().map(|held| held.slot)) {
            return;
        }
        asked.held.extend_from_slice(held);
        self.claim_next(at);
        self.finish_claims(now);
    }

    /// On a new link the claim, or the fetch, is sent again.
    pub(super) fn claims_link_up(&mut self, now: Now, peer: Incarnation) {
        if let Some(at) = self.claims.asked.iter().position(|asked| asked.node == peer) {
            let asked = &mut self.claims.asked[at];
            asked.sent = asked.held.len();
            self.claim_next(at);
        }
        for (_, open, asked) in self.claims.fetches.iter_mut().filter(|(node, _, _)| *node == peer) {
            open.append(asked);
        }
        self.send_fetches(peer);
        self.start_fresh(now);
    }

    /// All have answered: every claimed slot is adopted, fetched, or begun anew.
    fn finish_claims(&mut self, now: Now) {
        let slots = self.claims.slots.len();
        if self.claims.asked.iter().any(|asked| asked.held.len() < slots) {
            return;
        }
        let asked = std::mem::take(&mut self.claims.asked);
        // All of them answered for every slot, in order.
        for (at, slot) in std::mem::take(&mut self.claims.slots).into_iter().enumerate() {
            let others: Held = asked.iter().map(|asked| (asked.node, asked.held[at])).collect();
            let best = others.iter().filter(|(_, held)| held.mark).max_by_key(|(_, held)| (held.term, held.index));
            match best.map(|(node, _)| *node) {
                _ if self.slots[slot.index()].mark => self.go_live(now, slot, &others),
                Some(node) => self.plan_fetch(slot, node, others),
                None => drop(self.claims.fresh.insert(slot)),
            }
        }
        let holders: Vec<Incarnation> = self.claims.fetches.iter().map(|(node, _, _)| *node).collect();
        for node in holders {
            self.send_fetches(node);
        }
        self.start_fresh(now);
    }

    fn plan_fetch(&mut self, slot: Slot, node: Incarnation, others: Held) {
        self.slots[slot.index()].phase = Phase::Fetching(node);
        self.claims.fetching.insert(slot, others);
        match self.claims.fetches.iter_mut().find(|(holder, _, _)| *holder == node) {
            Some((_, open, _)) => open.push(slot),
            None => self.claims.fetches.push((node, vec![slot], Vec::new())),
        }
    }

    /// Asks a holder for its next slots, once it has sent those asked for before.
    fn send_fetches(&mut self, node: Incarnation) {
        let Some((_, open, asked)) = self.claims.fetches.iter_mut().find(|(holder, _, _)| *holder == node) else {
            return;
        };
        if asked.is_empty() && !open.is_empty() && self.peers.is_up(node) {
            let rest = open.split_off(open.len().min(FETCH_BATCH));
            *asked = std::mem::replace(open, rest);
            let slots = asked.clone();
            self.peers.send(node, Message::Fetch(slots));
        }
    }

    /// A claiming owner wants my copies: whole, if I hold the mark and we speak of the same epoch.
    pub(super) fn on_fetch(&mut self, now: Now, from: Incarnation, epoch: Epoch, slots: &[Slot]) {
        if epoch != self.view().epoch {
            let view = self.view().clone();
            self.peers.send(from, Message::Moved(view));
            return;
        }
        // However often a slot is asked for, it is sent once.
        for slot in slots.iter().copied().collect::<BTreeSet<Slot>>() {
            let held = self.slots.get(slot.index()).filter(|entry| entry.mark).map(|entry| entry.term);
            if let Some(term) = held {
                self.begin_fetched(from, slot, term);
            }
        }
        self.pump_copies(now);
    }

    /// A fetched copy is complete and in place: its slot goes live with it.
    pub(super) fn fetched(&mut self, now: Now, from: Incarnation, slot: Slot) {
        let Some(others) = self.claims.fetching.remove(&slot) else { return };
        for (_, _, asked) in self.claims.fetches.iter_mut().filter(|(node, _, _)| *node == from) {
            asked.retain(|open| *open != slot);
        }
        self.go_live(now, slot, &others);
        self.send_fetches(from);
    }

    /// Slots without any marked copy begin anew: only with a good lease, and not while a removed owner may still act, but for what is kept in the
    /// log (R10).
    pub(super) fn start_fresh(&mut self, now: Now) {
        let waited = self.removal_seen.is_none_or(|seen| now >= seen + self.timing.fresh());
        if waited && !self.early.is_empty() {
            self.end_early(now);
        }
        let allowed = waited && self.lease.holds_solo(now, self.timing.own());
        if self.claims.fresh.is_empty() || !allowed {
            return;
        }
        for slot in std::mem::take(&mut self.claims.fresh) {
            self.clear_content(slot);
            self.go_live(now, slot, &[]);
        }
    }

    /// My own copy is complete: I am the owner, and the other marked copies are the ones I wait for (R8).
    pub(super) fn go_live(&mut self, now: Now, slot: Slot, others: &[(Incarnation, ClaimedSlot)]) {
        let epoch = self.view().epoch;
        let entry = &mut self.slots[slot.index()];
        let (term, index) = (entry.term, entry.index);
        let mut reign = Reign {
            term: epoch,
            since: now,
            after_crash: self.claims.crashed,
            start: index,
            commit: 0,
            replicas: smallvec::SmallVec::new(),
            waiting: Default::default(),
            held: Vec::new(),
            settled: false,
            inherited: term,
            book: None,
        };
        if entry.standing.early {
            self.early.insert(slot);
        }
        for (node, held) in others {
            let mut replica = Replica::new(*node);
            replica.need = held.mark;
            // Both were written by one owner, in order: who has less of it has the beginning of it.
            replica.base = (held.term == term && held.index <= index).then_some((term, held.index));
            reign.replicas.push(replica);
        }
        entry.mark = true;
        entry.term = epoch;
        entry.phase = Phase::Live(Box::new(reign));
        self.keep_reigning(now, slot);
        self.take_parked(now, slot);
    }

    /// Copies and lease allow the log of this slot to be committed.
    pub(super) fn may_commit(&self, now: Now, slot: Slot) -> bool {
        let enough = self.view().ack_copies < 2 || self.is_paired(slot);
        enough && self.may_answer(now, slot)
    }

    /// A second copy has confirmed its mark.
    fn is_paired(&self, slot: Slot) -> bool {
        let marked = |reign: &Reign| reign.replicas.iter().any(|replica| replica.need && replica.marked);
        self.slots[slot.index()].reign().is_some_and(marked)
    }

    /// The lease allows an acknowledgement of this slot (R12, R13).
    pub(super) fn may_answer(&self, now: Now, slot: Slot) -> bool {
        if self.slots[slot.index()].reign().is_none() {
            return false;
        }
        if self.is_paired(slot) {
            self.lease.holds_pair(now, self.timing.pair)
        } else {
            self.lease.holds_solo(now, self.timing.own())
        }
    }
}
