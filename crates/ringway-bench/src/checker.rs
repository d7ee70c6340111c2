//! The message checker: per sender, destination and receiver no gap, no double, no reorder.
//!
//! A *destination* is a user or a channel, a *stream* is what one sender sends to one destination, numbered from 1. Every receiver of a
//! destination must get every stream of it, whole, once, in order. Senders and receivers each hold their own log, so that thousands of them
//! work without meeting on a lock; the report puts the logs together.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;

use crate::stamp::now_nanos;

/// How many violations a report spells out; the counts go on. Enough to see a pattern, little enough to print.
const EXAMPLES: usize = 20;

/// When a sent message counts as promised, so that its absence is a loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promise {
    /// From the moment of sending: protocols without an acknowledgement, where only a refusal takes it back.
    OnSend,
    /// Once it is acknowledged; until then it may arrive or not.
    OnAcknowledge,
}

/// What one delivery meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// The next number of its stream.
    InOrder,
    /// A later number than the next: what lies between is missing so far.
    AfterGap,
    /// A missing number that came after a later one.
    Late,
    /// A number that had already come.
    Double,
}

/// The sum over all streams and receivers. Counts are deliveries: a message lost for three receivers is three losses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CheckReport {
    /// Messages sent.
    pub sent: u64,
    /// Messages whose outcome is promised (see [`Promise`]).
    pub promised: u64,
    /// Messages refused by the server.
    pub refused: u64,
    /// Messages that were neither acknowledged nor refused (yet).
    pub unanswered: u64,
    /// Messages of which nobody will ever know: their socket ended before an answer. They may arrive, late too, but not twice.
    #[serde(skip_serializing_if = "is_zero")]
    pub unknown: u64,
    /// Deliveries that have not happened of messages that nobody promised: unknown, refused or unanswered ones.
    #[serde(skip_serializing_if = "is_zero")]
    pub unknown_missing: u64,
    /// Deliveries of a message that had not come before.
    pub delivered: u64,
    /// Deliveries that have not happened of what ended with every process, to receivers that were told so.
    #[serde(skip_serializing_if = "is_zero")]
    pub ended: u64,
    /// Promised deliveries that have not happened (yet).
    pub lost: u64,
    /// Deliveries of what had already come.
    pub doubled: u64,
    /// Deliveries that came after a later one of the same stream.
    pub reordered: u64,
    /// The first violations, in words.
    pub examples: Vec<String>,
}

impl CheckReport {
    /// Whether nothing was lost, doubled or reordered.
    pub fn is_clean(&self) -> bool {
        self.lost == 0 && self.doubled == 0 && self.reordered == 0
    }
}

impl std::fmt::Display for CheckReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let CheckReport { sent, promised, refused, unanswered, unknown, delivered, lost, doubled, reordered, .. } =
            self;
        write!(f, "sent {sent}, promised {promised}, refused {refused}, unanswered {unanswered}, ")?;
        if *unknown > 0 {
            write!(f, "unknown {unknown}, ")?;
        }
        write!(f, "delivered {delivered}, lost {lost}, doubled {doubled}, reordered {reordered}")?;
        self.examples.iter().try_for_each(|example| write!(f, "\n  {example}"))
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Hands out the logs of senders and receivers and compares them.
#[derive(Debug, Default)]
pub struct Checker {
    senders: Mutex<Vec<(u32, Arc<SenderLog>)>>,
    receivers: Mutex<Vec<(Vec<u32>, Arc<ReceiverLog>)>>,
    counts: Arc<Counts>,
}

/// What delivery alone can tell, counted as it happens.
#[derive(Debug, Default)]
struct Counts {
    delivered: AtomicU64,
    doubled: AtomicU64,
    examples: Mutex<Vec<String>>,
}

/// One sender's side: what it sent to each destination.
#[derive(Debug)]
pub struct SenderLog {
    promise: Promise,
    streams: Mutex<HashMap<u32, Sent>>,
}

/// One stream at its source.
#[derive(Debug, Default)]
struct Sent {
    /// How many were sent; the last one's number.
    count: u64,
    /// Those that are not promised: not yet acknowledged, refused, or unknown for good.
    unpromised: BTreeSet<u64>,
    refused: u64,
    unknown: u64,
    /// The last number of each life that is over: what ended with every process.
    lives: Vec<u64>,
}

/// One receiver's side: what came to it from each sender to each destination.
#[derive(Debug)]
pub struct ReceiverLog {
    name: String,
    streams: Mutex<HashMap<(u32, u32), Seen>>,
    /// How many lives of its destinations are over for it, because it was told that they began anew.
    lives_over: AtomicUsize,
    counts: Arc<Counts>,
}

/// One stream at one receiver.
#[derive(Debug, Default)]
struct Seen {
    /// The highest number that came.
    top: u64,
    /// Numbers below `top` that have not come.
    holes: BTreeSet<u64>,
    /// Those that came after a later one.
    late: Vec<u64>,
}

impl Checker {
    /// A checker that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// The log of sender number `sender`. Ask once per sender.
    pub fn sender(&self, sender: u32, promise: Promise) -> Arc<SenderLog> {
        let log = Arc::new(SenderLog { promise, streams: Mutex::default() });
        self.senders.lock().push((sender, log.clone()));
        log
    }

    /// The log of a receiver that must get everything sent to `dests` from now on. Ask once per receiver, before anything is sent to them.
    pub fn receiver(&self, name: impl Into<String>, dests: &[u32]) -> Arc<ReceiverLog> {
        let (streams, lives_over) = (Mutex::default(), AtomicUsize::new(0));
        let log = Arc::new(ReceiverLog { name: name.into(), streams, lives_over, counts: self.counts.clone() });
        self.receivers.lock().push((dests.to_vec(), log.clone()));
        log
    }

    /// Deliveries so far, without doubles; cheap enough to poll.
    pub fn delivered(&self) -> u64 {
        self.counts.delivered.load(Relaxed)
    }

    /// Compares all logs as they are now. What is still on its way counts as lost: ask again, or wait until nothing is.
    pub fn report(&self) -> CheckReport {
        let mut report = CheckReport {
            delivered: self.counts.delivered.load(Relaxed),
            doubled: self.counts.doubled.load(Relaxed),
            examples: self.counts.examples.lock().clone(),
            ..CheckReport::default()
        };
        let receivers = self.receivers.lock();
        let mut by_dest: HashMap<u32, Vec<&ReceiverLog>> = HashMap::new();
        for (dests, log) in receivers.iter() {
            dests.iter().for_each(|&dest| by_dest.entry(dest).or_default().push(log));
        }
        for (sender, log) in self.senders.lock().iter() {
            for (&dest, sent) in log.streams.lock().iter() {
                report.sent += sent.count;
                report.refused += sent.refused;
                let unpromised = sent.unpromised.len() as u64;
                report.promised += sent.count - unpromised;
                report.unknown += sent.unknown;
                report.unanswered += unpromised.saturating_sub(sent.refused + sent.unknown);
                let listeners = by_dest.get(&dest).map_or(&[][..], Vec::as_slice);
                listeners.iter().for_each(|receiver| receiver.compare(*sender, dest, sent, &mut report));
            }
        }
        report
    }
}

impl SenderLog {
    /// Notes one more message to `dest` and gives its number.
    pub fn send(&self, dest: u32) -> u64 {
        let mut streams = self.streams.lock();
        let sent = streams.entry(dest).or_default();
        sent.count += 1;
        if self.promise == Promise::OnAcknowledge {
            sent.unpromised.insert(sent.count);
        }
        sent.count
    }

    /// The server said that it has message `seq`: its absence is a loss from now on.
    pub fn acknowledge(&self, dest: u32, seq: u64) {
        if let Some(sent) = self.streams.lock().get_mut(&dest) {
            sent.unpromised.remove(&seq);
        }
    }

    /// The server (or the socket) refused message `seq`: whether it arrives or not is no violation.
    pub fn refuse(&self, dest: u32, seq: u64) {
        if let Some(sent) = self.streams.lock().get_mut(&dest) {
            let unanswered = sent.unpromised.len() as u64 > sent.refused + sent.unknown;
            if sent.unpromised.insert(seq) || unanswered {
                sent.refused += 1;
            }
        }
    }

    /// Every process ends now, and this destination with them: what is sent to it later is of another life.
    pub fn end_life(&self, dest: u32) {
        let mut streams = self.streams.lock();
        let sent = streams.entry(dest).or_default();
        sent.lives.push(sent.count);
    }

    /// What was sent since on a socket that had been there before is of the life that ended, too.
    pub fn late_end_of_life(&self, dest: u32) {
        if let Some(sent) = self.streams.lock().get_mut(&dest)
            && let Some(last) = sent.lives.last_mut()
        {
            *last = sent.count;
        }
    }

    /// No answer will come any more to what is unanswered, because the socket that it would have come on has ended: whether it arrives or
    /// not is no violation, and when it does not matter. Twice would be one.
    pub fn give_up(&self) {
        for sent in self.streams.lock().values_mut() {
            sent.unknown = (sent.unpromised.len() as u64).saturating_sub(sent.refused);
        }
    }

    /// The same of message `seq`, where there are no answers.
    pub fn doubt(&self, dest: u32, seq: u64) {
        if let Some(sent) = self.streams.lock().get_mut(&dest) {
            sent.unknown += u64::from(sent.unpromised.insert(seq));
        }
    }
}

impl ReceiverLog {
    /// Notes that message `seq` of (`sender`, `dest`) arrived here.
    pub fn deliver(&self, sender: u32, dest: u32, seq: u64) -> Delivery {
        let delivery = self.streams.lock().entry((sender, dest)).or_default().note(seq);
        let Counts { delivered, doubled, examples } = &*self.counts;
        if delivery == Delivery::Double {
            doubled.fetch_add(1, Relaxed);
            let (name, seconds) = (&self.name, Duration::from_nanos(now_nanos()).as_secs_f64());
            let example = format!("{name}: number {seq} of sender {sender} to {dest} came twice, at {seconds:.1} s");
            push_example(&mut examples.lock(), example);
        } else {
            delivered.fetch_add(1, Relaxed);
        }
        delivery
    }

    /// It was told that its destinations began anew, after `lives` of them had ended. False if it had been told of these before: nothing has
    /// ended since, so they had no reason to.
    pub fn is_told_of_new_life(&self, lives: usize) -> bool {
        self.lives_over.fetch_max(lives, Relaxed) < lives
    }

    /// Adds to the report what of one stream did not come here.
    fn compare(&self, sender: u32, dest: u32, sent: &Sent, report: &mut CheckReport) {
        let streams = self.streams.lock();
        let none = Seen::default();
        let seen = streams.get(&(sender, dest)).unwrap_or(&none);
        let over = self.lives_over.load(Relaxed);
        // Of an earlier life than the one that this receiver was told of.
        let ended = over.checked_sub(1).and_then(|last| sent.lives.get(last)).copied().unwrap_or_default();
        for seq in seen.holes.iter().copied().chain(seen.top + 1..=sent.count) {
            if sent.unpromised.contains(&seq) {
                report.unknown_missing += 1;
            } else if seq <= ended {
                report.ended += 1;
            } else {
                report.lost += 1;
                self.example(report, seq, sender, dest, "is missing");
            }
        }
        // What nobody promised to deliver, nobody promised to deliver in time.
        for &seq in seen.late.iter().filter(|seq| !sent.unpromised.contains(seq)) {
            report.reordered += 1;
            self.example(report, seq, sender, dest, "came late");
        }
    }

    fn example(&self, report: &mut CheckReport, seq: u64, sender: u32, dest: u32, what: &str) {
        if report.examples.len() < EXAMPLES {
            report.examples.push(format!("{}: number {seq} of sender {sender} to {dest} {what}", self.name));
        }
    }
}

impl Seen {
    fn note(&mut self, seq: u64) -> Delivery {
        if seq == self.top + 1 {
            self.top = seq;
            return Delivery::InOrder;
        }
        if seq > self.top {
            self.holes.extend(self.top + 1..seq);
            self.top = seq;
            return Delivery::AfterGap;
        }
        if self.holes.remove(&seq) {
            self.late.push(seq);
            return Delivery::Late;
        }
        Delivery::Double
    }
}

fn push_example(examples: &mut Vec<String>, example: String) {
    if examples.len() < EXAMPLES {
        examples.push(example);
    }
}

#[cfg(test)]
mod tests;
