//! What a plain user of a reconnecting swarm remembers of the last seconds: with no positions and no acknowledgements, it is all there is to
//! judge by once a socket has broken.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::stamp::now_nanos;

/// Sent messages are remembered for this long: the time until a silent socket is given up, and that which a publish may take before.
const SENT_FOR: Duration = Duration::from_secs(20);
/// Received ones are asked about from the last pong on that is known to all; a freeze is noticed, or over, within this.
const CAME_FOR: Duration = Duration::from_secs(20);
/// Entries of each kind. A user that is faster forgets sooner, and less may come again to it.
const ENTRIES: usize = 4096;

/// Why a client ends its socket itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaving {
    /// To go to this server.
    Moving(usize),
    /// Nothing came from the server for too long.
    Silent,
}

impl Leaving {
    pub(super) fn wanted(self) -> Option<usize> {
        match self {
            Self::Moving(target) => Some(target),
            Self::Silent => None,
        }
    }
}

/// One message that was sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    pub(super) dest: u32,
    pub(super) seq: u64,
    pub(super) at: u64,
}

/// One message that came.
#[derive(Debug, Clone, Copy)]
struct Came {
    sender: u32,
    seq: u64,
    at: u64,
    /// Its place among all that came, of the first time.
    place: u64,
}

/// Both directions.
#[derive(Debug, Default)]
pub(super) struct Journal {
    sent: VecDeque<Sent>,
    came: VecDeque<Came>,
    /// The last place.
    places: u64,
    /// When a ping was answered.
    pongs: VecDeque<u64>,
    /// What came on earlier connections, sender and number: its place, and whether it may come once more.
    before: HashMap<(u32, u64), (u64, bool)>,
    /// The last place of each sender on this connection. Places ascend there: what comes again comes as it came first, and then
    /// what is new. Numbers need not: what was written to a server that was frozen comes behind what was sent later through another.
    last: HashMap<u32, u64>,
}

impl Journal {
    pub(super) fn send(&mut self, dest: u32, seq: u64, at: u64) {
        keep(&mut self.sent, Sent { dest, seq, at }, SENT_FOR, |sent| sent.at);
    }

    /// What was sent at this moment or later.
    pub(super) fn sent_since(&self, since: u64) -> impl Iterator<Item = &Sent> {
        self.sent.iter().rev().take_while(move |sent| sent.at >= since)
    }

    /// Whether this message was here already and may come again: on a later connection, once there, and in order.
    pub(super) fn came(&mut self, sender: u32, seq: u64) -> bool {
        let before = self.before.remove(&(sender, seq));
        self.places += u64::from(before.is_none());
        let (place, may_repeat) = before.unwrap_or((self.places, false));
        let last = self.last.insert(sender, place);
        keep(&mut self.came, Came { sender, seq, at: now_nanos(), place }, CAME_FOR, |came| came.at);
        may_repeat && last.is_none_or(|last| last < place)
    }

    /// A ping was answered: what came before it is confirmed.
    pub(super) fn confirm(&mut self, at: u64) {
        keep(&mut self.pongs, at, CAME_FOR, |at| *at);
    }

    /// The connection has ended. What came after the last pong may come again, of those pongs from until then that all know of.
    pub(super) fn end(&mut self, known: u64) {
        let confirmed = self.pongs.iter().copied().filter(|at| *at <= known).max().unwrap_or_default();
        let its = self.came.iter().map(|came| ((came.sender, came.seq), (came.place, came.at >= confirmed)));
        self.before = its.collect();
        self.last.clear();
    }
}

/// Adds an entry and forgets those that are too old, by what is the newest.
fn keep<T>(entries: &mut VecDeque<T>, entry: T, span: Duration, at: impl Fn(&T) -> u64) {
    let oldest = at(&entry).saturating_sub(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX));
    entries.push_back(entry);
    while entries.len() > ENTRIES || entries.front().is_some_and(|first| at(first) < oldest) {
        entries.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn what_was_sent_is_kept_for_a_while() {
        let mut journal = Journal::default();
        (0..30).for_each(|second| journal.send(7, second, second * SECOND));
        assert_eq!(journal.sent.iter().map(|sent| sent.seq).min(), Some(9));
        assert_eq!(journal.sent_since(25 * SECOND).map(|sent| sent.seq).collect::<Vec<_>>(), [29, 28, 27, 26, 25]);
    }

    #[test]
    fn only_what_was_not_confirmed_comes_again_and_only_on_another_connection() {
        let mut journal = Journal::default();
        assert!(!journal.came(1, 1));
        journal.confirm(now_nanos());
        assert!(!journal.came(1, 2) && !journal.came(1, 3));
        assert!(!journal.came(1, 3), "it is the same connection");
        journal.end(now_nanos());
        assert!(!journal.came(1, 1), "confirmed");
        assert!(journal.came(1, 2) && journal.came(1, 3) && !journal.came(1, 3));
        journal.end(now_nanos());
        assert!(journal.came(1, 2), "again without a pong");
        journal.end(now_nanos());
        assert!(journal.came(1, 3) && !journal.came(1, 2), "out of order");
        journal.confirm(now_nanos());
        journal.end(now_nanos());
        assert!(!journal.came(1, 3));
    }

    #[test]
    fn what_comes_again_comes_as_it_came_first() {
        let mut journal = Journal::default();
        // 5 and 6 lay before a server that was frozen, while 9 went through another one.
        assert!(![9, 5, 6].into_iter().any(|seq| journal.came(1, seq)));
        journal.end(now_nanos());
        assert!(journal.came(1, 9) && journal.came(1, 5));
        journal.end(now_nanos());
        assert!(journal.came(1, 9) && journal.came(1, 5) && journal.came(1, 6), "also what was cut off last time");
        journal.end(now_nanos());
        assert!(!journal.came(1, 10) && !journal.came(1, 9), "what is new comes last");
        journal.end(now_nanos());
        assert!(journal.came(1, 6) && !journal.came(1, 5), "another order");
    }
}
