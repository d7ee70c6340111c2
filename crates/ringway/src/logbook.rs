//! The log, as the member task has it: one handle, through which its node's requests go out and answers come in, whoever answers.
//!
//! ```text
//!             ┌─ a way ────▶ bounded channel ─▶ tasks that speak to the log: in files here, or in NATS
//! member ──▶ Handle ─┤
//!             └─ linked ───▶ a frame to the host's process, which passes it on
//! ```
//!
//! No request ever waits here. One that cannot go is one without an answer, which the rules know. Records become bytes, and bytes records, in the
//! tasks that carry requests, and not in the member task.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ringway_core::logbook::{LogAnswer, LogOp, LogRequest, LogSaid, Logged, PAGE_BYTES, Place};
use ringway_core::ring::SlotSet;
use ringway_core::{Incarnation, Slot};
use ringway_engine::{Appended, Log};
use ringway_protocol::logged;
use tokio::sync::mpsc;
use tracing::{debug, error};

use crate::carry::carry;

/// Requests that wait to be sent, and answers that wait to be taken: a node has 512 under way at the most, and those of nodes that ask through
/// this member.
const QUEUE: usize = 4096;

/// Requests under way at once.
const UNDER_WAY: usize = 1024;

/// A request on its way to the log, and which life asks.
#[derive(Debug)]
pub struct ToLog {
    /// One of this member, or of one that it was asked by.
    pub from: Incarnation,
    /// What it asks.
    pub request: LogRequest,
}

/// The way to a log. Whoever speaks to it has the other ends.
#[derive(Debug)]
pub struct Way {
    /// Other members reach the log by themselves too.
    is_shared: bool,
    requests: mpsc::Sender<ToLog>,
    told: mpsc::Receiver<(Incarnation, LogAnswer)>,
}

/// Where requests to the log go.
#[derive(Debug)]
pub enum Handle {
    /// This process reaches it.
    Way(Way),
    /// The process of the member that keeps the registry reaches it, if anybody does.
    Linked,
    /// There is none.
    Absent,
}

/// What becomes of a request of this member.
#[derive(Debug)]
pub enum Sent {
    /// It is under way, or lost.
    Away,
    /// It is to go to the host as a frame.
    ToHost(LogRequest),
    /// It is answered.
    Answered(LogAnswer),
}

impl Handle {
    /// A request of this member, in this life.
    pub fn ask(&self, me: Incarnation, request: LogRequest) -> Sent {
        match self {
            Self::Way(way) => {
                way.pass_on(me, request);
                Sent::Away
            }
            Self::Linked => Sent::ToHost(request),
            Self::Absent => Sent::Answered(LogAnswer { id: request.id, said: LogSaid::Absent }),
        }
    }

    /// Every member asks the log by itself.
    pub fn is_shared(&self) -> bool {
        matches!(self, Self::Way(way) if way.is_shared)
    }

    /// A request of another member, which asks through this one. It is answered at once where there is no way to a log.
    pub fn serve(&self, from: Incarnation, request: LogRequest) -> Option<LogAnswer> {
        match self {
            Self::Way(way) => {
                way.pass_on(from, request);
                None
            }
            Self::Linked | Self::Absent => Some(LogAnswer { id: request.id, said: LogSaid::Absent }),
        }
    }

    /// The next answer, and whose it is. For ever, where none comes. Nothing is lost if it is not waited for to the end.
    pub async fn next(&mut self) -> (Incarnation, LogAnswer) {
        let next = match self {
            Self::Way(way) => way.told.recv().await,
            Self::Linked | Self::Absent => None,
        };
        match next {
            Some(next) => next,
            None => std::future::pending().await,
        }
    }

    /// What has come and was not taken.
    pub fn come(&mut self) -> Option<(Incarnation, LogAnswer)> {
        match self {
            Self::Way(way) => way.told.try_recv().ok(),
            Self::Linked | Self::Absent => None,
        }
    }
}

impl Way {
    /// The way to a log that this process alone reaches. Its tasks end with the way.
    pub fn to<L: Log>(log: L) -> Self {
        Self { is_shared: false, ..Self::to_shared(log) }
    }

    /// The way to a log that every member reaches by itself.
    pub fn to_shared<L: Log>(log: L) -> Self {
        let (requests, asked) = mpsc::channel(QUEUE);
        let (answers, told) = mpsc::channel(QUEUE);
        let log = Arc::new(log);
        tokio::spawn(carry(UNDER_WAY, asked, answers, move |request| answered(log.clone(), request)));
        Self { is_shared: true, requests, told }
    }

    fn pass_on(&self, from: Incarnation, request: LogRequest) {
        if self.requests.try_send(ToLog { from, request }).is_err() {
            debug!("a request to the log was not sent: too many wait, or nobody takes them any more");
        }
    }
}

/// Returns whom to tell what, if anything.
async fn answered<L: Log>(log: Arc<L>, ToLog { from, request }: ToLog) -> Option<(Incarnation, LogAnswer)> {
    let said = match request.op {
        // What is read may be long: it becomes records in a task of its own, and nobody's append waits for that.
        op @ LogOp::Read { .. } => {
            let read = tokio::spawn(async move { carry_out(&*log, op).await });
            read.await.unwrap_or_else(|why| Err(why.to_string()))
        }
        op => carry_out(&*log, op).await,
    };
    match said {
        Ok(said) => Some((from, LogAnswer { id: request.id, said })),
        Err(why) => {
            debug!(%why, "the log gave no answer");
            None
        }
    }
}

async fn carry_out<L: Log>(log: &L, op: LogOp) -> Result<LogSaid, String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let away = |away: ringway_engine::Away| away.to_string();
    let place = |place: Place| ringway_engine::Place(place.0);
    match op {
        LogOp::Last(slot) => {
            let last = log.last(slot.0).await.map_err(away)?;
            let last = last.map(|(place, bytes)| read(slot, place, &bytes, now)).transpose()?;
            Ok(LogSaid::Last(last))
        }
        LogOp::Append { slot, after, record } => {
            let bytes = logged::encode(&record, now);
            Ok(match log.append(slot.0, after.map(place), bytes).await.map_err(away)? {
                Appended::At(place) => LogSaid::Appended(Place(place.0)),
                Appended::Conflict => LogSaid::Conflict,
                Appended::Full => LogSaid::Full,
            })
        }
        LogOp::Read { slot, after } => {
            let page = log.read(slot.0, after.map(place), PAGE_BYTES).await.map_err(away)?;
            let records = page.records.iter().map(|(place, bytes)| read(slot, *place, bytes, now));
            Ok(LogSaid::Records(records.collect::<Result<_, _>>()?, page.more))
        }
        LogOp::Trim { slot, before } => {
            log.trim(slot.0, place(before)).await.map_err(away)?;
            Ok(LogSaid::Trimmed)
        }
        LogOp::Slots => {
            let slots = log.slots().await.map_err(away)?;
            Ok(LogSaid::Slots(SlotSet::of(slots.into_iter().map(Slot))))
        }
    }
}

fn read(slot: Slot, place: ringway_engine::Place, bytes: &[u8], now: Duration) -> Result<Logged, String> {
    logged::decode(Place(place.0), bytes, now).map_err(|why| {
        error!(%slot, place = place.0, %why, "a record of the log cannot be read: channels of this slot that are kept in the log are not served");
        why.to_string()
    })
}

#[cfg(test)]
mod tests {
    use ringway_core::Epoch;
    use ringway_core::id::Birth;
    use ringway_core::logbook::{Chains, Record};
    use ringway_engine::memory::MemoryLog;

    use super::*;

    fn record(number: u64) -> Arc<Record> {
        let (birth, term, ops, part) = (Birth(1), Epoch(2), Vec::new(), None);
        Arc::new(Record { birth, term, number, start: 0, index: number, whole: true, state: 0, weight: 0, ops, part })
    }

    /// Without ages, which two clocks do not agree on.
    fn ageless(mut said: LogSaid) -> LogSaid {
        match &mut said {
            LogSaid::Last(Some(last)) => last.age = Duration::ZERO,
            LogSaid::Records(all, _) => all.iter_mut().for_each(|logged| logged.age = Duration::ZERO),
            _ => {}
        }
        said
    }

    #[tokio::test]
    async fn requests_are_carried_out_as_the_log_of_the_rules_does() {
        let (mut rules, mut way) = (Chains::default(), Handle::Way(Way::to(MemoryLog::default())));
        let (one, other) = (Slot(3), Slot(4));
        let append =
            |slot, after: Option<u64>, number| LogOp::Append { slot, after: after.map(Place), record: record(number) };
        let ops = [
            LogOp::Last(one),
            LogOp::Read { slot: one, after: None },
            append(one, Some(7), 1),
            append(one, None, 1),
            append(one, None, 2),
            append(other, None, 3),
            append(one, Some(1), 4),
            LogOp::Last(one),
            LogOp::Read { slot: one, after: None },
            LogOp::Read { slot: one, after: Some(Place(1)) },
            LogOp::Slots,
            LogOp::Trim { slot: one, before: Place(3) },
            LogOp::Read { slot: one, after: None },
        ];
        for (id, op) in (1..).zip(ops) {
            let request = LogRequest { id, op };
            let expected = rules.handle(Duration::ZERO, request.clone());
            assert!(matches!(way.ask(Incarnation(9), request.clone()), Sent::Away));
            let (to, answer) = way.next().await;
            assert_eq!((to, answer.id), (Incarnation(9), id));
            assert_eq!(ageless(answer.said), ageless(expected.said), "{request:?}");
        }
    }

    #[test]
    fn whoever_has_no_log_says_so() {
        let request = || LogRequest { id: 5, op: LogOp::Slots };
        let absent = LogAnswer { id: 5, said: LogSaid::Absent };
        assert!(matches!(Handle::Absent.ask(Incarnation(1), request()), Sent::Answered(answer) if answer == absent));
        assert!(matches!(Handle::Linked.ask(Incarnation(1), request()), Sent::ToHost(_)));
        assert_eq!(Handle::Linked.serve(Incarnation(2), request()), Some(absent));
    }
}
