//! Who is slow: a peer whose socket is full, and that does not get on with it.
//!
//! Only full sockets are looked at, by the clock that ticks for all connections. A peer is slow when the kernel takes
//! nothing for it for `slow_timeout`, or when its queue stays above its limit without getting any shorter: then it
//! reads less than comes in. A burst that it works off is no reason, however large.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How often is looked. Fine enough for deadlines of seconds, coarse enough to cost nothing.
pub(crate) const TICK: Duration = Duration::from_millis(250);

/// A queue above its limit must reach a new low within this time. Long enough that two bursts in a row, as a takeover
/// brings them, are no reason; the memory meanwhile is bounded by the limit of all sockets together.
const BEHIND: Duration = Duration::from_secs(5);

/// A full socket at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Strain {
    pub(crate) queued: usize,
    /// When the kernel last took something; 0 for never.
    pub(crate) progressed: u32,
}

/// A socket as the clock sees it.
pub(crate) trait Timed: fmt::Debug + Send + Sync {
    /// How it stands, as long as it is full.
    fn strain(&self) -> Option<Strain>;
    /// Bytes that may wait for it for any time.
    fn limit(&self) -> usize;
    /// Bytes that wait for it, if it can be closed; otherwise 0.
    fn droppable(&self) -> usize;
    /// Drops what waits and tells the peer why. False if it has caught up meanwhile.
    fn close_slow(&self) -> bool;
    /// Cuts it at once.
    fn abort(&self);
}

/// What the clock knows of a full socket.
#[derive(Debug)]
pub(crate) struct Strained {
    conn: Weak<dyn Timed>,
    /// Tick since which it is looked at, or of the last progress.
    since: u32,
    /// While the queue is above its limit: the shortest it was, and when.
    lowest: Option<(usize, u32)>,
}

impl Strained {
    pub(crate) fn new(conn: Weak<dyn Timed>, now: u32) -> Self {
        Self { conn, since: now, lowest: None }
    }

    /// Looks at the socket, and closes it if its peer is slow. False if there is nothing more to look at.
    pub(crate) fn look(&mut self, now: u32, slow: Duration) -> bool {
        let Some(conn) = self.conn.upgrade() else { return false };
        let Some(strain) = conn.strain() else { return false };
        if self.is_slow(now, slow, conn.limit(), strain) {
            conn.close_slow();
        }
        true
    }

    fn is_slow(&mut self, now: u32, slow: Duration, limit: usize, strain: Strain) -> bool {
        self.since = self.since.max(strain.progressed);
        self.lowest = match self.lowest {
            _ if strain.queued <= limit => None,
            Some((lowest, at)) if lowest <= strain.queued => Some((lowest, at)),
            _ => Some((strain.queued, now)),
        };
        let lasted = |since: u32, limit: Duration| TICK * now.saturating_sub(since) >= limit;
        lasted(self.since, slow) || self.lowest.is_some_and(|(_, at)| lasted(at, BEHIND))
    }

    /// Bytes that wait for it, if it can be closed.
    fn queued(&self) -> Option<(usize, Arc<dyn Timed>)> {
        let conn = self.conn.upgrade()?;
        let queued = conn.droppable();
        (queued > 0).then_some((queued, conn))
    }
}

/// Closes the sockets with the longest queues, until `over` bytes are free. None with less than its share of `most`
/// goes: where it comes to that, others hold the rest that are not known to be full yet.
pub(crate) fn relieve(strained: &[Strained], mut over: usize, most: usize) {
    let mut all: Vec<(usize, Arc<dyn Timed>)> = strained.iter().filter_map(Strained::queued).collect();
    all.sort_unstable_by_key(|(queued, _)| std::cmp::Reverse(*queued));
    let share = most / all.len().max(1);
    for (queued, conn) in all {
        if over == 0 || queued < share {
            return;
        }
        if conn.close_slow() {
            over = over.saturating_sub(queued);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOW: Duration = Duration::from_secs(10);

    fn nobody(since: u32) -> Strained {
        Strained { conn: Weak::<Nobody>::new(), since, lowest: None }
    }

    #[derive(Debug)]
    struct Nobody;

    impl Timed for Nobody {
        fn strain(&self) -> Option<Strain> {
            None
        }

        fn limit(&self) -> usize {
            0
        }

        fn droppable(&self) -> usize {
            0
        }

        fn close_slow(&self) -> bool {
            false
        }

        fn abort(&self) {}
    }

    /// The tick at which a socket with these queues, one per tick, is found slow. It always makes progress.
    fn slow_at(queues: impl IntoIterator<Item = usize>) -> Option<u32> {
        let mut strained = nobody(1);
        let looks = (1..).zip(queues);
        let mut slow = looks.filter_map(|(now, queued)| {
            strained.is_slow(now, SLOW, 100, Strain { queued, progressed: now }).then_some(now)
        });
        slow.next()
    }

    #[test]
    fn who_works_a_burst_off_is_not_slow() {
        assert_eq!(slow_at((0..500).rev()), None);
        let two_bursts = (350..450).rev().chain((100..450).rev());
        assert_eq!(slow_at(two_bursts.step_by(9)), None);
        assert_eq!(slow_at(std::iter::repeat_n(100, 1000)), None, "at the limit is not above it");
    }

    #[test]
    fn who_falls_behind_is_slow() {
        assert_eq!(slow_at((0..500).map(|step| 50 + step)), Some(72));
        assert_eq!(slow_at(std::iter::repeat_n(101, 100)), Some(21));
        let sawtooth = (0..500).map(|step| 100 + step * 3 + (step % 4) * 20);
        assert!(slow_at(sawtooth).is_some());
    }

    #[test]
    fn who_makes_no_progress_is_slow_whatever_waits() {
        let mut strained = nobody(5);
        let mut look = |now, progressed| strained.is_slow(now, SLOW, 100, Strain { queued: 1, progressed });
        assert!(!look(44, 0));
        assert!(!look(45, 44), "it took something");
        assert!(!look(83, 44));
        assert!(look(84, 44));
    }
}
