//! Publishes of a gateway: numbered per slot, sent in order, kept until answered, sent again after every change.
//!
//! Per slot the unanswered ones form a list, oldest first. At most [`WINDOW`] numbers are under way; what is above
//! waits its turn here, and whoever asked waits with it. That is the only place in a cluster where waiting shows.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use super::{Event, Gateway};
use crate::id::{ChannelName, Incarnation, Slot};
use crate::limits::WINDOW;
use crate::message::{ChannelOptions, Durability, Entry, Message, PubNo, PubOk, Publish, Refusal, Version};
use crate::retries::{Retries, Tries};
use crate::timing::Now;

/// A publication to be sent.
#[derive(Debug, Clone)]
pub struct NewPublish {
    /// Where to.
    pub channel: ChannelName,
    /// What.
    pub entry: Entry,
    /// How the channel is kept.
    pub options: ChannelOptions,
    /// A second publish with the same key is answered with the first one's place.
    pub idempotency_key: Option<Box<str>>,
    /// Of the state that it describes: one that is not newer than the stream's last is not kept and not delivered.
    pub version: Option<Box<Version>>,
}

/// Why a publish has no place in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// Nothing was sent; try again.
    #[error("too many publishes wait for their owners; try again")]
    Busy,
    /// It may or may not have been taken.
    #[error("the owner did not acknowledge in time; the message may or may not have been taken; try again")]
    Unknown,
    /// It was not taken and will not be; try again later.
    #[error("the owner's memory for history or channels is full; try again later")]
    Full,
}

const NONE: u32 = u32::MAX;

/// One row of numbers: what goes into the log does not wait for what does not, nor the other way round.
type Row = (Slot, Durability);

#[derive(Debug)]
struct Pending {
    token: u64,
    publish: Publish,
    /// Whom it was last sent to and has not answered.
    sent: Option<Incarnation>,
    next: u32,
}

/// Unanswered publishes of a row, a list through the slab.
#[derive(Debug)]
struct Line {
    last_seq: u64,
    head: u32,
    tail: u32,
    /// First of the list that may have to be sent to the owner of now. What is before it was sent there, or has been refused since.
    unsent: u32,
    /// It was refused then: after a pause, back to the head.
    refused: Option<Now>,
    /// Refusals since one was last answered for good, or the owner was another.
    tries: Tries,
    /// Highest number that was sent.
    sent_to: u64,
    /// Numbers above the first and up to the second that are under way were sent before it was refused: they will be refused too.
    doomed: (u64, u64),
}

impl Line {
    fn is_doomed(&self, seq: u64) -> bool {
        self.doomed.0 < seq && seq <= self.doomed.1
    }

    fn has_sent(&mut self, seq: u64) {
        self.sent_to = self.sent_to.max(seq);
        if self.is_doomed(seq) {
            self.doomed.0 = seq;
        }
    }

    /// The owner has refused this number, and takes none above it that is under way.
    fn doom_behind(&mut self, refused: u64) {
        if !self.is_doomed(refused) {
            self.doomed = (refused, self.sent_to);
        }
    }
}

impl Default for Line {
    fn default() -> Self {
        let (refused, tries) = (None, Tries::default());
        Self { last_seq: 0, head: NONE, tail: NONE, unsent: NONE, refused, tries, sent_to: 0, doomed: (0, 0) }
    }
}

/// What an owner was sent and has not answered.
#[derive(Debug, Default)]
struct Sent {
    bytes: usize,
    /// Rows whose next publish waits until there is room.
    waiting: BTreeSet<Row>,
}

#[derive(Debug, Default)]
pub(super) struct Publishes {
    lines: HashMap<Row, Line>,
    slab: slab::Slab<Pending>,
    bytes: usize,
    /// Owners that were sent something and have not answered.
    sent: BTreeMap<Incarnation, Sent>,
    deadlines: VecDeque<(Now, Row, u64)>,
    again: Retries<Row>,
    /// Acknowledged ones by durability, and by the copies that hold them: 0 (without history), 1, 2, more.
    acknowledged: [[u64; 4]; 2],
}

impl Publish {
    fn row(&self) -> Row {
        (self.slot, self.durability)
    }
}

impl Publishes {
    /// What no owner was sent yet is kept that way.
    pub(super) fn keep_anew(&mut self, options_of: impl Fn(&ChannelName) -> Option<ChannelOptions>) {
        for (_, Pending { publish, .. }) in &mut self.slab {
            let was_sent = self.lines.get(&publish.row()).is_some_and(|line| publish.seq <= line.sent_to);
            if !was_sent {
                publish.options = options_of(&publish.channel).unwrap_or(publish.options);
            }
        }
    }

    fn seq_of(&self, key: u32) -> Option<u64> {
        Some(self.slab.get(key as usize)?.publish.seq)
    }

    /// Whom a publish was sent to, from now on.
    fn set_sent(&mut self, key: u32, owner: Option<Incarnation>) {
        let Some(pending) = self.slab.get_mut(key as usize) else { return };
        let (before, bytes) = (std::mem::replace(&mut pending.sent, owner), pending.publish.entry.size());
        if before != owner {
            self.unsend(before, bytes);
            if let Some(owner) = owner {
                self.sent.entry(owner).or_default().bytes += bytes;
            }
        }
    }

    fn unsend(&mut self, owner: Option<Incarnation>, bytes: usize) {
        let Some(sent) = owner.and_then(|owner| self.sent.get_mut(&owner)) else { return };
        sent.bytes = sent.bytes.saturating_sub(bytes);
    }

    /// A link ended: what was sent on it counts as sent no more, where a repeat can be told from the first.
    pub(super) fn forget_sent(&mut self, owner: Incarnation) {
        self.sent.remove(&owner);
        for (_, pending) in &mut self.slab {
            if pending.sent == Some(owner) && pending.publish.options.has_history() {
                pending.sent = None;
            }
        }
    }

    /// One of the rows that wait for room at this owner, if there is some.
    fn next_waiting(&mut self, owner: Incarnation, limit: usize) -> Option<Row> {
        let sent = self.sent.get_mut(&owner)?;
        if sent.bytes >= limit {
            return None;
        }
        let next = sent.waiting.pop_first();
        if next.is_none() && sent.bytes == 0 {
            self.sent.remove(&owner);
        }
        next
    }

    /// The publish of this number, if it is unanswered.
    fn find(&self, row: Row, seq: u64) -> Option<u32> {
        let mut key = self.lines.get(&row)?.head;
        while self.seq_of(key)? != seq {
            key = self.slab[key as usize].next;
        }
        Some(key)
    }

    /// Takes the publish of this number out of its list.
    fn take(&mut self, row: Row, seq: u64) -> Option<Pending> {
        let line = self.lines.get_mut(&row)?;
        let (mut before, mut key) = (NONE, line.head);
        while key != NONE && self.slab[key as usize].publish.seq != seq {
            (before, key) = (key, self.slab[key as usize].next);
        }
        if key == NONE {
            return None;
        }
        let pending = self.slab.remove(key as usize);
        for end in [&mut line.head, &mut line.unsent] {
            if *end == key {
                *end = pending.next;
            }
        }
        if before != NONE {
            self.slab[before as usize].next = pending.next;
        }
        if line.tail == key {
            line.tail = before;
        }
        line.tries = Tries::default();
        let bytes = pending.publish.entry.size();
        self.bytes -= bytes;
        self.unsend(pending.sent, bytes);
        Some(pending)
    }
}

impl Gateway {
    /// Takes a publish; [`Event::Published`] with this token ends it.
    ///
    /// # Errors
    /// [`PublishError::Busy`] at the limit of waiting publishes or their bytes. Nothing was taken.
    pub fn publish(&mut self, now: Now, token: u64, new: NewPublish) -> Result<(), PublishError> {
        let size = new.entry.size();
        let waiting = &self.publishes;
        if waiting.slab.len() >= self.limits.publishes || waiting.bytes + size > self.limits.publish_bytes {
            return Err(PublishError::Busy);
        }
        let slot = self.slot_of(new.channel.as_str());
        let publishes = &mut self.publishes;
        let durability = new.options.level();
        let line = publishes.lines.entry((slot, durability)).or_default();
        line.last_seq += 1;
        let seq = line.last_seq;
        let NewPublish { channel, entry, options, idempotency_key, version } = new;
        let publish = Publish { slot, seq, floor: seq, durability, channel, entry, options, idempotency_key, version };
        let deadline = now + self.timing.deadline;
        let key = publishes.slab.insert(Pending { token, publish, sent: None, next: NONE }) as u32;
        publishes.bytes += size;
        publishes.deadlines.push_back((deadline, (slot, durability), seq));
        match line.tail {
            NONE => line.head = key,
            tail => publishes.slab[tail as usize].next = key,
        }
        line.tail = key;
        if line.unsent == NONE {
            line.unsent = key;
        }
        self.send_line((slot, durability));
        Ok(())
    }

    /// Publishes taken and not answered yet.
    pub fn publishes_waiting(&self) -> usize {
        self.publishes.slab.len()
    }

    /// Publishes that were acknowledged, in memory and in the log, by the copies that held them then: 0 (without history), 1, 2, and more.
    pub fn publishes_acknowledged(&self) -> [[u64; 4]; 2] {
        self.publishes.acknowledged
    }

    /// Sends what the window of a row allows. What its owner was sent and has not answered is not sent again: the owner has it, or
    /// will have it before anything that is sent now, and a window of it for each refusal would fill the link.
    fn send_line(&mut self, row: Row) {
        let Some(owner) = self.reachable_owner(row.0) else { return };
        let Some(mut line) = self.publishes.lines.get_mut(&row) else { return };
        if line.refused.is_some() {
            return;
        }
        let Some(floor) = self.publishes.slab.get(line.head as usize).map(|head| head.publish.seq) else { return };
        while let Some(pending) = self.publishes.slab.get_mut(line.unsent as usize) {
            // Without history there is no telling a repeat: whoever has it says yes, no, or is gone.
            let may_be_taken = pending.sent.is_some() && !pending.publish.options.has_history();
            if pending.publish.seq >= floor + WINDOW || may_be_taken {
                break;
            }
            if pending.sent == Some(owner) {
                if line.is_doomed(pending.publish.seq) {
                    break;
                }
                line.unsent = pending.next;
                continue;
            }
            let sent = self.publishes.sent.entry(owner).or_default();
            if sent.bytes >= self.limits.sent_bytes {
                sent.waiting.insert(row);
                break;
            }
            pending.publish.floor = floor;
            line.has_sent(pending.publish.seq);
            let publish = pending.publish.clone();
            let key = std::mem::replace(&mut line.unsent, pending.next);
            self.publishes.set_sent(key, Some(owner));
            self.peers.send(owner, Message::Publish(Box::new(publish)));
            let Some(next) = self.publishes.lines.get_mut(&row) else { return };
            line = next;
        }
    }

    /// An owner has answered: rows that waited for room there go on.
    fn send_waiting(&mut self, owner: Incarnation) {
        while let Some(row) = self.publishes.next_waiting(owner, self.limits.sent_bytes) {
            self.send_line(row);
        }
    }

    /// Starts a row's list over, at an owner that has not refused it yet.
    fn send_again(&mut self, row: Row) {
        if let Some(line) = self.publishes.lines.get_mut(&row) {
            (line.tries, line.doomed) = (Tries::default(), (0, 0));
        }
        self.start_over(row);
    }

    fn start_over(&mut self, row: Row) {
        if let Some(line) = self.publishes.lines.get_mut(&row) {
            line.refused = None;
            line.unsent = line.head;
            self.send_line(row);
        }
    }

    /// The owner of a slot serves it, as it has just shown: what it has refused is not kept from it any longer.
    pub(super) fn owner_serves(&mut self, slot: Slot) {
        for row in [(slot, Durability::Memory), (slot, Durability::Log)] {
            if self.publishes.lines.get(&row).is_some_and(|line| line.refused.is_some()) {
                self.send_again(row);
            }
        }
    }

    /// Starts over every list whose head was sent to somebody else than the owner, or to nobody yet; after a skipped
    /// view every list: its owner may have seen another in between, and dropped what waited for an answer.
    pub(super) fn resend_moved(&mut self, skipped: bool) {
        for row in self.waiting_rows() {
            let owner = self.placement.as_ref().and_then(|placement| placement.owner(row.0));
            let head = self.publishes.lines.get(&row).and_then(|line| self.publishes.slab.get(line.head as usize));
            if skipped || head.is_some_and(|head| head.sent != owner) {
                self.recall(row);
                self.send_again(row);
            }
        }
    }

    /// What was sent counts as not sent, where a repeat can be told from the first.
    fn recall(&mut self, row: Row) {
        let mut key = self.publishes.lines.get(&row).map_or(NONE, |line| line.head);
        while let Some(pending) = self.publishes.slab.get_mut(key as usize) {
            let (next, is_kept) = (pending.next, pending.publish.options.has_history());
            if is_kept {
                self.publishes.set_sent(key, None);
            }
            key = next;
        }
    }

    /// Starts over every list that belongs to this peer: its link is new.
    pub(super) fn resend_to(&mut self, peer: Incarnation) {
        for row in self.waiting_rows() {
            if self.reachable_owner(row.0) == Some(peer) {
                self.send_again(row);
            }
        }
    }

    /// Gives up publishes without history that a lost link, or a removed member, may or may not have taken: at most once.
    pub(super) fn lose_unkept_at(&mut self, peer: Incarnation) {
        let lost: Vec<(Row, u64)> = self
            .publishes
            .slab
            .iter()
            .filter(|(_, pending)| pending.sent == Some(peer) && !pending.publish.options.has_history())
            .map(|(_, pending)| (pending.publish.row(), pending.publish.seq))
            .collect();
        for (row, seq) in lost {
            self.finish(row, seq, Err(PublishError::Unknown));
        }
    }

    /// Ends every publish as unknown and numbers anew: the incarnation that they were numbered under is over.
    pub(super) fn give_up_publishes(&mut self) {
        for row in self.waiting_rows() {
            while let Some(seq) = self.publishes.lines.get(&row).and_then(|line| self.publishes.seq_of(line.head)) {
                self.end(row, seq, Err(PublishError::Unknown));
            }
        }
        self.publishes = Publishes::default();
    }

    fn waiting_rows(&self) -> Vec<Row> {
        let mut rows: Vec<Row> = self.publishes.slab.iter().map(|(_, pending)| pending.publish.row()).collect();
        rows.sort_unstable();
        rows.dedup();
        rows
    }

    pub(super) fn on_pub_ok(&mut self, from: Incarnation, ok: &PubOk) {
        let row = (ok.slot, ok.durability);
        if self.end(row, ok.seq, Ok((ok.position, ok.copies))) {
            self.send_line(row);
            self.send_waiting(from);
            let level = usize::from(ok.durability == Durability::Log);
            self.publishes.acknowledged[level][usize::from(ok.copies).min(3)] += 1;
        }
    }

    pub(super) fn on_pub_no(&mut self, now: Now, from: Incarnation, no: &PubNo) {
        let row = (no.slot, no.durability);
        if no.why != Refusal::Retry {
            self.finish(row, no.seq, Err(PublishError::Full));
            return self.send_waiting(from);
        }
        let owner = self.reachable_owner(no.slot);
        let publishes = &mut self.publishes;
        let Some(key) = publishes.find(row, no.seq) else { return };
        if publishes.slab[key as usize].sent != Some(from) {
            return;
        }
        publishes.set_sent(key, None);
        let Some(line) = publishes.lines.get_mut(&row) else { return };
        line.doom_behind(no.seq);
        if owner != Some(from) {
            line.unsent = line.head;
            self.send_line(row);
        } else if line.refused.is_none() {
            line.refused = Some(now);
            publishes.again.push(now, line.tries, row);
            line.tries = line.tries.more();
        }
        self.send_waiting(from);
    }

    /// Ends a publish and lets the next ones of its row go.
    fn finish(&mut self, row: Row, seq: u64, result: Result<(Option<crate::Position>, u8), PublishError>) {
        if self.end(row, seq, result) {
            self.send_line(row);
        }
    }

    fn end(&mut self, row: Row, seq: u64, result: Result<(Option<crate::Position>, u8), PublishError>) -> bool {
        let Some(pending) = self.publishes.take(row, seq) else { return false };
        self.events.push_back(Event::Published { token: pending.token, result });
        true
    }

    pub(super) fn retry_publishes(&mut self, now: Now) {
        while let Some(waiting) = self.publishes.again.due(now, self.timing.publish_retry) {
            let (row, since) = (waiting.what, waiting.since);
            if self.publishes.lines.get(&row).is_some_and(|line| line.refused == Some(since)) {
                self.start_over(row);
            }
        }
    }

    /// Gives up publishes whose deadline has passed. Deadlines stand in the order in which publishes came, and those that were answered
    /// meanwhile are still among them: one is over when its line's oldest open number is above it. So each is looked at once when it is over,
    /// and not searched for when it is answered. A publish that is given up may still be taken: its publisher is told that nobody knows.
    pub(super) fn expire_publishes(&mut self, now: Now) {
        for owner in self.publishes.sent.keys().copied().collect::<Vec<_>>() {
            self.send_waiting(owner);
        }
        while let Some((deadline, row, seq)) = self.publishes.deadlines.front().copied() {
            let open = |publishes: &super::publishes::Publishes| {
                let line = publishes.lines.get(&row)?;
                publishes.seq_of(line.head).filter(|head| *head <= seq)
            };
            if now < deadline && open(&self.publishes).is_some() {
                break;
            }
            self.publishes.deadlines.pop_front();
            if now >= deadline {
                self.finish(row, seq, Err(PublishError::Unknown));
            }
        }
    }
}
