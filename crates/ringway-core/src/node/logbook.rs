//! What a slot's owner writes to the log outside, and what it knows to be there.
//!
//! A channel that is kept in the log has its operations in the slot's chain there, beside the copies. The log is a limit of the commit
//! point and no copy: what it has not got is not acknowledged, and it is read only where no marked copy is left.
//!
//! ```text
//!                       the chain has no record
//!   asking ──────────────────────────────────────────────▶ open: one record under way, the rest waits for the next
//!     │  └── the content has all that counts ─────────────▶  ▲    (the first is what the chain lacks, if it has any)
//!     └──── the log was not read ──▶ fencing ──▶ reading ────┘
//!                                     a record of mine, after which no earlier owner appends any
//!     any step: the chain is a later owner's, or another cluster's ──▶ closed
//! ```
//!
//! | rule | says |
//! |---|---|
//! | L1 | One record of a slot is under way. What comes meanwhile goes into the next one |
//! | L2 | What is kept in the log is committed when the copies have it and the log has it. What is not waits for the copies alone |
//! | L3 | A record of which nobody knows whether it was appended is looked for at the end of its chain. A later owner's ends it |
//! | L4 | Where no marked copy is left, a record of the new owner closes the chain to every earlier one; then it is read |
//! | L5 | The first record of a reign says from which operation on earlier reigns do not count |
//! | L6 | A chain that has outgrown the state it tells gets that state whole, in parts, and is then cut off before it |
//! | L7 | Records name the cluster's birth. A chain of another one is not touched |
//! | L8 | Where the log began another life, and nobody who knew the end of a chain went on behind it, the chain may lack something: streams that are read from it go on under new epochs, and are written whole |

use std::collections::VecDeque;
use std::sync::Arc;

use super::Node;
use super::replay::Replay;
use super::slot::{Phase, Reign};
use super::syncs::Job;
use crate::id::{ChannelName, Epoch, Incarnation, Slot, StreamEpoch};
use crate::limits::{LOG_RECORD_BYTES, LOG_REQUESTS};
use crate::logbook::{LogAnswer, LogOp, LogRequest, LogSaid, Logged, Place, Record};
use crate::message::{ChannelOptions, Durability, FRAME_OVERHEAD, Message, Op, StateKind};
use crate::stream::Stream;
use crate::timing::Now;

/// How far a reign is with its slot's chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// What is the last record?
    Asking,
    /// My record is to close the chain.
    Fencing,
    /// The chain is being read.
    Reading,
    /// Records are appended.
    Open,
    /// It is not mine to write to.
    Closed,
}

/// The owner's side of a slot's chain, for one reign.
#[derive(Debug)]
pub(super) struct Book {
    step: Step,
    /// The last record of the chain, as far as is known.
    place: Option<Place>,
    /// Of my last record.
    number: u64,
    /// What earlier reigns wrote above this does not count.
    start: u64,
    /// The newest operation in a part of a state of the chain.
    state: u64,
    /// Bytes since the last whole state.
    weight: u64,
    /// Operations that no record has taken yet, and their bytes.
    queue: VecDeque<(u64, Op)>,
    bytes: usize,
    under_way: Option<Arc<Record>>,
    /// The request that waits for its answer.
    asked: Option<u64>,
    /// Whether the record under way was appended is not known.
    is_unsure: bool,
    /// A state that is on its way into the chain.
    job: Option<Job>,
    /// Where its first part stands, and bytes since.
    first_part: Option<(Place, u64)>,
    /// Nothing counts as logged before that state is whole.
    holds: bool,
    /// The content had streams that are kept in the log before anything of this reign.
    inherits: bool,
    /// A stream of the content went into the log that was not kept there: a difference would not tell it.
    is_whole_due: bool,
    /// What was read.
    chain: Vec<Logged>,
}

impl Book {
    fn new(inherits: bool) -> Self {
        Self {
            step: Step::Asking,
            place: None,
            number: 0,
            start: 0,
            state: 0,
            weight: 0,
            queue: VecDeque::new(),
            bytes: 0,
            under_way: None,
            asked: None,
            is_unsure: false,
            job: None,
            first_part: None,
            holds: false,
            inherits,
            is_whole_due: false,
            chain: Vec::new(),
        }
    }

    /// An operation of a stream that is kept in the log. Returns its bytes.
    pub(super) fn note(&mut self, index: u64, op: &Op) -> usize {
        let bytes = FRAME_OVERHEAD + op.size();
        self.queue.push_back((index, op.clone()));
        self.bytes += bytes;
        bytes
    }

    /// The operation up to which all is in the log that is kept there.
    fn logged(&self) -> u64 {
        if self.step != Step::Open || self.holds {
            return 0;
        }
        let first = self.under_way.as_ref().and_then(|record| record.ops.first()).or(self.queue.front());
        first.map_or(u64::MAX, |(index, _)| index - 1)
    }

    /// The record under way goes back to where it came from.
    fn take_back(&mut self) {
        let Some(record) = self.under_way.take() else { return };
        self.bytes += bytes_of_all(&record.ops);
        for next in record.ops.iter().rev() {
            self.queue.push_front(next.clone());
        }
    }

    /// There is nothing to be asked of the log.
    fn is_idle(&self) -> bool {
        let has_nothing = self.under_way.is_none() && self.queue.is_empty() && self.job.is_none() && !self.is_whole_due;
        self.step == Step::Open && has_nothing
    }
}

impl Reign {
    /// The operation up to which the log has all that is kept there; of a slot of which nothing is kept there, all.
    pub(super) fn logged(&self) -> u64 {
        self.book.as_ref().map_or(u64::MAX, |book| book.logged())
    }

    /// What is committed at this level.
    pub(super) fn committed(&self, level: Durability) -> u64 {
        match level {
            Durability::Memory => self.commit,
            Durability::Log => self.commit.min(self.logged()),
        }
    }
}

/// What a request to the log is for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Errand {
    /// The book of this slot.
    Book(Slot),
    /// Nobody waits for it.
    Nothing,
}

impl Node {
    /// Every member asks the log by itself. One that gets no answer asks another one to pass its requests on (G4).
    #[must_use]
    pub fn with_shared_log(mut self) -> Self {
        self.is_log_shared = true;
        self
    }

    /// Takes what is to be asked of the log by this process.
    pub fn take_log_requests(&mut self) -> VecDeque<LogRequest> {
        std::mem::take(&mut self.log_requests)
    }

    /// How publications of a channel are kept: as its stream is, or, where there is none, as is asked for.
    pub(super) fn level_of(&self, channel: &ChannelName, options: ChannelOptions) -> Durability {
        let stream = self.stream_of(channel).map(|(_, stream)| stream.options.level());
        stream.unwrap_or_default().max(options.level())
    }

    /// This live slot serves channels that are kept so. If it has to read the log first, that begins here.
    pub(super) fn serves(&mut self, slot: Slot, level: Durability) -> bool {
        let entry = &self.slots[slot.index()];
        match (level, entry.reign()) {
            (_, None) => false,
            (Durability::Memory, _) => !entry.standing.early,
            (Durability::Log, Some(reign)) => {
                let is_closed = reign.book.as_ref().is_some_and(|book| book.step == Step::Closed);
                let is_read = entry.standing.read;
                self.open_book(slot);
                is_read && !is_closed
            }
        }
    }

    /// Somebody wants a channel that is kept in the log, of a slot of mine that waits to begin anew: what the log holds need not wait, for
    /// nobody else can append to it (R10).
    pub(super) fn is_wanted_in_the_log(&mut self, now: Now, slot: Slot, level: Durability) {
        if level == Durability::Log && self.begins_early(now, slot) {
            self.open_book(slot);
        }
    }

    /// Opens the book of a reign that has none.
    fn open_book(&mut self, slot: Slot) {
        let entry = &self.slots[slot.index()];
        if entry.reign().is_none_or(|reign| reign.book.is_some()) {
            return;
        }
        let inherits = entry.streams.iter().any(|key| self.streams[*key as usize].options.is_logged());
        if let Some(reign) = self.slots[slot.index()].reign_mut() {
            reign.book = Some(Box::new(Book::new(inherits)));
            self.books.insert(slot);
        }
    }

    /// The operation goes into the log too. Where it is the first one of its slot, the book is opened.
    pub(super) fn is_for_log(&mut self, now: Now, slot: Slot, op: &Op) -> bool {
        let kept =
            |channel: &ChannelName| self.stream_of(channel).is_some_and(|(_, stream)| stream.options.is_logged());
        let (is_for_log, is_promoted) = match op {
            Op::Create { options, .. } => (options.is_logged(), false),
            Op::Append { channel, options, .. } => match (options.is_logged(), kept(channel)) {
                (true, false) => (true, true),
                (_, is_kept) => (is_kept, false),
            },
            Op::Delivered { channel, .. } | Op::Forget { channel } => (kept(channel), false),
            // What is too old is so for whoever reads the log, too. More than that was removed.
            Op::Trim { channel, first } => {
                let is_removed = |stream: &Stream| stream.options.is_logged() && *first > stream.first_fresh(now);
                (self.stream_of(channel).is_some_and(|(_, stream)| is_removed(stream)), false)
            }
            Op::Key { .. } => (false, false),
        };
        if is_for_log {
            self.open_book(slot);
        }
        if is_promoted && let Some(book) = self.book_mut(slot) {
            (book.is_whole_due, book.holds) = (true, true);
        }
        is_for_log
    }

    /// So much waits for the log that nothing more is taken.
    pub(super) fn log_is_behind(&self) -> bool {
        self.log_bytes >= self.limits.log_bytes
    }

    fn book_mut(&mut self, slot: Slot) -> Option<&mut Book> {
        self.slots[slot.index()].reign_mut()?.book.as_deref_mut()
    }

    /// A stream was born in the log of the slot: a state under way to the log need not tell it.
    pub(super) fn book_told_of_birth(&mut self, slot: Slot, key: u32) {
        if let Some(job) = self.book_mut(slot).and_then(|book| book.job.as_mut()) {
            job.told_of(key);
        }
    }

    /// The reign ends, and its book with it. What is under way may still be appended, and then counts or not as its successor finds it.
    pub(super) fn close_book(&mut self, slot: Slot) {
        if let Some(book) = self.slots[slot.index()].reign_mut().and_then(|reign| reign.book.take()) {
            self.log_bytes -= book.bytes + book.under_way.map_or(0, |record| bytes_of_all(&record.ops));
            self.books.remove(&slot);
        }
    }

    /// Asks of the log what books want, as far as requests may be under way.
    pub(super) fn pump_books(&mut self, now: Now) {
        while self.log_errands.len() < LOG_REQUESTS
            && let Some(slot) = self.books.pop_first()
        {
            self.pump_book(now, slot);
        }
    }

    fn pump_book(&mut self, now: Now, slot: Slot) {
        let Some(book) = self.book_mut(slot).filter(|book| book.asked.is_none() && !book.is_idle()) else { return };
        let after = book.place;
        let op = match book.step {
            Step::Closed => return,
            _ if book.is_unsure => LogOp::Last(slot),
            Step::Asking => LogOp::Last(slot),
            Step::Reading => LogOp::Read { slot, after: book.chain.last().map(|logged| logged.place) },
            Step::Fencing | Step::Open => {
                let Some(record) = self.next_record(now, slot) else { return };
                LogOp::Append { slot, after, record }
            }
        };
        let id = self.ask_log(now, op, Errand::Book(slot));
        if let Some(book) = self.book_mut(slot) {
            book.asked = Some(id);
        }
    }

    fn ask_log(&mut self, now: Now, op: LogOp, errand: Errand) -> u64 {
        self.next_log += 1;
        let id = self.next_log;
        self.log_errands.insert(id, (now, errand));
        self.log_unanswered.get_or_insert(now);
        let request = LogRequest { id, op };
        match self.log_relay.current() {
            Some(relay) => self.peers.send(relay, Message::LogRequest(Box::new(request))),
            None => self.log_requests.push_back(request),
        }
        id
    }

    /// Somebody else is asked where the log does not answer. Whether it can be reached again shows only to who asks it.
    fn find_log_relay(&mut self, now: Now) {
        if !self.is_log_shared {
            return;
        }
        if self.log_unanswered.is_some_and(|since| now > since + self.timing.ttl / 2) {
            let others =
                self.view().members().map(|(_, member, _)| member).filter(|member| *member != self.me).collect();
            let hears = |member| {
                let limit = self.timing.silent();
                self.peers.last_heard(member).is_some_and(|heard| now <= heard + limit)
            };
            self.log_relay.choose(now, self.timing.registry_timeout(), (self.me, &others), hears);
        }
        if self.log_relay.current().is_some() && now >= self.next_log_probe {
            self.next_log_probe = now + self.timing.renew();
            self.next_log += 1;
            self.log_requests.push_back(LogRequest { id: self.next_log, op: LogOp::Last(Slot(0)) });
        }
    }

    /// The log answered a member that passed the request on.
    pub(crate) fn on_relayed_log(&mut self, now: Now, by: Incarnation, answer: LogAnswer) {
        if answer.said != LogSaid::Absent && self.log_relay.passed(now, by) {
            self.log_unanswered = None;
        }
        self.take_log_answer(now, answer);
    }

    /// The record under way, or the next one.
    fn next_record(&mut self, now: Now, slot: Slot) -> Option<Arc<Record>> {
        let is_whole_due = self.book_mut(slot)?.is_whole_due;
        if is_whole_due && self.book_mut(slot)?.under_way.is_none() {
            self.begin_state(slot, None, true);
        }
        let (birth, index) = (self.view().birth(), self.slots[slot.index()].index);
        let term = self.slots[slot.index()].reign()?.term;
        let book = self.book_mut(slot)?;
        if let Some(record) = &book.under_way {
            return Some(record.clone());
        }
        let (mut ops, mut bytes) = (Vec::new(), 0);
        while book.step == Step::Open && (ops.is_empty() || bytes < LOG_RECORD_BYTES) {
            let Some(next) = book.queue.pop_front() else { break };
            bytes += bytes_of(&next);
            ops.push(next);
        }
        book.bytes -= bytes;
        // A part is made of what the operations before it have left.
        let is_drained = book.queue.is_empty();
        let job = book.job.take_if(|_| is_drained && book.step == Step::Open);
        let index = match ops.last() {
            Some((last, _)) if !is_drained => *last,
            _ if book.step == Step::Fencing => book.start,
            _ => index,
        };
        let part = job.map(|mut job| {
            let state = self.next_part(now, &mut job);
            (Box::new(state), job)
        });
        let book = self.book_mut(slot)?;
        book.number += 1;
        let (part, job) = part.unzip();
        book.job = job.filter(|_| part.as_ref().is_some_and(|part| !part.last));
        book.state = part.as_ref().map_or(book.state, |part| book.state.max(part.index));
        let (number, start, state) = (book.number, book.start, book.state);
        // What a fence closes is not read yet: nobody has said that it is whole, and of one life of the log.
        let whole = book.step != Step::Fencing && (!book.holds || part.as_ref().is_some_and(|part| part.last));
        let mut record = Record { birth, term, number, start, index, whole, state, weight: 0, ops, part };
        record.weight = book.weight + record.size() as u64;
        let record = Arc::new(record);
        book.under_way = Some(record.clone());
        Some(record)
    }

    /// The log is to get a state: what it lacks behind `base`, or all. With `holds` it has nothing before that is whole, and what waits to be
    /// written is in it.
    fn begin_state(&mut self, slot: Slot, base: Option<(Epoch, u64)>, holds: bool) {
        let Some(term) = self.slots[slot.index()].reign().map(|reign| reign.term) else { return };
        let job = self.job(slot, (StateKind::Logged, term), base);
        let Some(book) = self.book_mut(slot) else { return };
        book.take_back();
        (book.job, book.first_part, book.is_whole_due) = (Some(job), None, false);
        let mut dropped = 0;
        if holds {
            book.holds = true;
            book.queue.clear();
            dropped = std::mem::take(&mut book.bytes);
        }
        self.log_bytes -= dropped;
        self.books.insert(slot);
    }

    /// The log itself answered.
    pub fn on_log(&mut self, now: Now, answer: LogAnswer) {
        self.log_unanswered = None;
        self.log_relay.end();
        self.take_log_answer(now, answer);
    }

    fn take_log_answer(&mut self, now: Now, answer: LogAnswer) {
        let LogAnswer { id, said } = answer;
        if !said.is_counted() {
            return;
        }
        // Asked again in a while.
        if said == LogSaid::Absent || (said == LogSaid::Full && self.log_errands.contains_key(&id)) {
            if said == LogSaid::Full {
                (self.is_log_full, self.log_silence) = (true, 0);
            }
            return;
        }
        self.log_silence = 0;
        let Some((_, errand)) = self.log_errands.remove(&id) else { return };
        let Errand::Book(slot) = errand else { return };
        let Some(book) = self.book_mut(slot).filter(|book| book.asked == Some(id)) else { return };
        book.asked = None;
        match said {
            LogSaid::Appended(place) => self.appended(now, slot, place),
            LogSaid::Conflict => book.is_unsure = true,
            LogSaid::Last(last) => self.found_last(now, slot, last),
            LogSaid::Records(records, more) => {
                book.chain.extend(records);
                // Whoever answered may be behind: my own record is the last one. Or the log has lost it.
                let is_whole = book.chain.last().is_some_and(|last| Some(last.place) >= book.place);
                book.is_unsure |= !more && !is_whole;
                if !more && is_whole {
                    self.was_read(now, slot);
                }
            }
            LogSaid::Full | LogSaid::Trimmed | LogSaid::Slots(_) | LogSaid::Absent => {}
        }
        if !self.expelled {
            self.books.insert(slot);
            self.pump_books(now);
            self.pump_copies(now);
        }
    }

    /// What has no answer for long has an unknown outcome, and is asked again.
    pub(super) fn tick_books(&mut self, now: Now) {
        let patience = self.timing.registry_timeout();
        while let Some(first) = self.log_errands.first_entry().filter(|first| now >= first.get().0 + patience) {
            let (id, (_, errand)) = first.remove_entry();
            self.log_silence = self.log_silence.saturating_add(1);
            let Errand::Book(slot) = errand else { continue };
            if let Some(book) = self.book_mut(slot).filter(|book| book.asked == Some(id)) {
                book.asked = None;
                book.is_unsure |= book.under_way.is_some();
                self.books.insert(slot);
            }
        }
        self.find_log_relay(now);
        self.pump_books(now);
    }

    /// My record is in the log.
    fn appended(&mut self, now: Now, slot: Slot, place: Place) {
        self.is_log_full = false;
        let Some(book) = self.book_mut(slot) else { return };
        let Some(record) = book.under_way.take() else { return };
        (book.place, book.weight) = (Some(place), record.weight);
        let mut cut = None;
        if let Some(part) = &record.part {
            if part.part == 0 {
                book.first_part = Some((place, record.weight - record.size() as u64));
            }
            // A whole state that is about to be begun is what is waited for.
            book.holds &= !part.last || book.is_whole_due;
            let first = book.first_part.filter(|_| part.last && part.base.is_none());
            if let Some((first, before)) = first {
                book.weight -= before;
                cut = Some(first);
            }
        }
        if book.step == Step::Fencing {
            (book.step, book.chain) = (Step::Reading, Vec::new());
        }
        let (weight, is_free) = (book.weight, book.step == Step::Open && book.job.is_none());
        let is_long = is_free && weight > self.limits.log_chain_bytes;
        self.log_bytes -= bytes_of_all(&record.ops);
        if let Some(before) = cut {
            self.ask_log(now, LogOp::Trim { slot, before }, Errand::Nothing);
        }
        if is_long && weight > 4 * self.logged_bytes(slot) {
            self.begin_state(slot, None, false);
        }
        self.advance(now, slot);
    }

    /// Bytes of the streams of a slot that are kept in the log.
    fn logged_bytes(&self, slot: Slot) -> u64 {
        let streams = self.slots[slot.index()].streams.iter().filter_map(|key| self.streams.get(*key as usize));
        let kept = streams.filter(|stream| stream.options.is_logged());
        kept.map(|stream| (FRAME_OVERHEAD + stream.bytes()) as u64).sum()
    }

    /// This is the last record of the chain.
    fn found_last(&mut self, now: Now, slot: Slot, last: Option<Logged>) {
        let birth = self.view().birth();
        let Some(term) = self.slots[slot.index()].reign().map(|reign| reign.term) else { return };
        let Some(book) = self.book_mut(slot) else { return };
        if let Some(Logged { record, .. }) = &last {
            let is_foreign = record.birth != birth;
            if is_foreign || record.term > term {
                book.step = Step::Closed;
                self.is_log_foreign |= is_foreign;
                return;
            }
        }
        let place = last.as_ref().map(|last| last.place);
        if std::mem::take(&mut book.is_unsure) {
            let is_mine = |last: &Logged| {
                let record = book.under_way.as_ref();
                last.record.term == term && record.is_some_and(|record| record.number == last.record.number)
            };
            if last.as_ref().is_some_and(is_mine) {
                return place.into_iter().for_each(|place| self.appended(now, slot, place));
            }
            if place == book.place {
                return;
            }
            // The end of the chain is not where I left it: my record cannot be appended there any more, and what I have read of it is not all.
            book.take_back();
            book.job = None;
            book.chain.clear();
        }
        self.begin_behind(now, slot, last, term);
    }

    /// Nothing of mine is under way, and the chain ends here: what does it lack?
    fn begin_behind(&mut self, now: Now, slot: Slot, last: Option<Logged>, term: Epoch) {
        let entry = &self.slots[slot.index()];
        let (is_read, forgot) = (entry.standing.read, entry.forgot);
        let Some(reign) = entry.reign() else { return };
        let (inherited, start) = (reign.inherited, reign.start);
        let Some(book) = self.book_mut(slot) else { return };
        book.place = last.as_ref().map(|last| last.place);
        (book.weight, book.state) = last.as_ref().map_or((0, 0), |last| (last.record.weight, last.record.state));
        let has_written = book.step == Step::Open;
        match last {
            None => {
                book.start = start;
                book.step = Step::Open;
                if !is_read {
                    self.now_read(slot);
                    self.take_parked(now, slot);
                } else if has_written || self.book_mut(slot).is_some_and(|book| book.inherits) {
                    self.begin_state(slot, None, true);
                }
                self.advance(now, slot);
            }
            Some(last) if !is_read => {
                (book.start, book.step) = (last.record.index, Step::Fencing);
            }
            Some(last) => {
                book.start = start;
                book.step = Step::Open;
                // Both were written by one owner, in order: what the copy has behind the chain is a difference. What the chain has behind the
                // copy is struck out, unless it is in a state.
                let record = &last.record;
                let is_one = record.term == inherited && record.term != term && record.state <= start && record.whole;
                let base = is_one.then_some((record.term, record.index.min(start)));
                let base = base.filter(|(_, held)| *held >= forgot && !has_written && !book.is_whole_due);
                self.begin_state(slot, base, true);
            }
        }
    }

    /// All of the chain was read: the streams in it are the slot's.
    fn was_read(&mut self, now: Now, slot: Slot) {
        let Some(book) = self.book_mut(slot) else { return };
        let chain = std::mem::take(&mut book.chain);
        book.step = Step::Open;
        let start = book.start;
        let mut replay = Replay::of(now, slot, &chain);
        let may_lack_its_end = replay.may_lack_something(&chain);
        if may_lack_its_end {
            replay.begin_anew(|| StreamEpoch::from_random(self.next_random()));
        }
        replay.streams.retain(|name, _| self.slot_of(name) == slot);
        let entry = &mut self.slots[slot.index()];
        entry.index = entry.index.max(start).max(replay.index) + 1;
        let index = entry.index;
        let view = self.peers.view();
        entry.publishers.retain(|publisher| publisher.durability != Durability::Log);
        let publishers = replay.publishers.into_iter().filter(|publisher| view.gateway(publisher.gateway).is_some());
        entry.publishers.extend(publishers);
        // What was here of them came from an earlier reading.
        let older = |key: &u32| self.streams[*key as usize].options.is_logged();
        let older: Vec<u32> = self.slots[slot.index()].streams.iter().copied().filter(older).collect();
        if !older.is_empty() {
            self.slots[slot.index()].forgot = index;
        }
        older.into_iter().for_each(|key| self.remove_stream(key));
        for (name, mut stream) in replay.streams {
            stream.brought_by(index);
            // It was begun anew meanwhile, by somebody who does not keep it in the log any more.
            if self.stream_of(&name).is_some_and(|(_, here)| here.is_numbered()) {
                let op = Op::Forget { channel: name };
                let bytes = self.book_mut(slot).map_or(0, |book| book.note(index, &op));
                self.log_bytes += bytes;
                continue;
            }
            self.install_stream(slot, name, stream);
        }
        if let Some(book) = self.book_mut(slot).filter(|_| may_lack_its_end) {
            (book.is_whole_due, book.holds) = (true, true);
        }
        self.now_read(slot);
        self.take_parked(now, slot);
        self.advance(now, slot);
    }

    /// The content has what the log holds. The copies are told, and get what came of it.
    fn now_read(&mut self, slot: Slot) {
        self.slots[slot.index()].standing.read = true;
        self.copy_anew(slot);
    }

    /// A slot of mine that waits to begin anew goes live for what is kept in the log. Says whether it is live.
    fn begins_early(&mut self, now: Now, slot: Slot) -> bool {
        if !self.claims.is_fresh(slot) || !self.lease.holds_solo(now, self.timing.own()) {
            return self.slots.get(slot.index()).is_some_and(|entry| matches!(entry.phase, Phase::Live(_)));
        }
        self.claims.begins(slot);
        self.clear_content(slot);
        self.slots[slot.index()].standing.early = true;
        self.go_live(now, slot, &[]);
        true
    }

    /// No removed owner acts any more: what began early begins whole.
    pub(super) fn end_early(&mut self, now: Now) {
        for slot in std::mem::take(&mut self.early) {
            if self.slots[slot.index()].reign().is_some() && self.slots[slot.index()].standing.early {
                self.slots[slot.index()].standing.early = false;
                self.copy_anew(slot);
                self.take_parked(now, slot);
            }
        }
    }
}

fn bytes_of_all(ops: &[(u64, Op)]) -> usize {
    ops.iter().map(bytes_of).sum()
}

fn bytes_of((_, op): &(u64, Op)) -> usize {
    FRAME_OVERHEAD + op.size()
}
