//! What a plain user of a reconnecting swarm remembers of the last seconds: with no positions and no acknowledgements, it is all there is to
//! judge by once a socket has broken.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use crate::stamp::now_nanos;

/// Sent messages are remembered for this long: the time until a silent socket is given up, and that which a publish may take before.
const SENT_FOR: Duration = Duration::from_secs(20);
/// Received ones are asked about from the last moment before a break on; a freeze is noticed, or over, within this.
const CAME_FOR: Duration = Duration::from_secs(15);
/// Entries of each kind. A user that is faster forgets sooner, and is excused less.
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

/// Both directions.
#[derive(Debug, Default)]
pub(super) struct Journal {
    sent: VecDeque<Sent>,
    /// Sender, number and when it came.
    came: VecDeque<(u32, u64, u64)>,
    /// What may come once more.
    again: HashSet<(u32, u64)>,
}

impl Journal {
    pub(super) fn send(&mut self, dest: u32, seq: u64, at: u64) {
        keep(&mut self.sent, Sent { dest, seq, at }, SENT_FOR, |sent| sent.at);
    }

    pub(super) fn sent(&self) -> impl Iterator<Item = &Sent> {
        self.sent.iter()
    }

    /// What was sent at this moment or later.
    pub(super) fn sent_since(&self, since: u64) -> impl Iterator<Item = &Sent> {
        self.sent.iter().rev().take_while(move |sent| sent.at >= since)
    }

    /// Whether this message was here already and may come again, once; notes it otherwise.
    pub(super) fn came(&mut self, sender: u32, seq: u64) -> bool {
        if self.again.remove(&(sender, seq)) {
            return true;
        }
        keep(&mut self.came, (sender, seq, now_nanos()), CAME_FOR, |came| came.2);
        false
    }

    /// What came at such a moment may come again.
    pub(super) fn expect_again(&mut self, may: impl Fn(u64) -> bool) {
        let its = self.came.iter().filter(|(_, _, at)| may(*at)).map(|(sender, seq, _)| (*sender, *seq));
        self.again = its.collect();
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
        assert_eq!(journal.sent().map(|sent| sent.seq).min(), Some(9));
        assert_eq!(journal.sent_since(25 * SECOND).map(|sent| sent.seq).collect::<Vec<_>>(), [29, 28, 27, 26, 25]);
    }

    #[test]
    fn only_what_may_come_again_does_and_only_once() {
        let mut journal = Journal::default();
        assert!(!journal.came(1, 1) && !journal.came(1, 2));
        assert!(!journal.came(1, 2), "nothing has broken");
        journal.expect_again(|_| true);
        assert!(journal.came(1, 2) && !journal.came(1, 2));
        journal.expect_again(|_| false);
        assert!(!journal.came(1, 1));
    }
}
