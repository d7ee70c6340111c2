//! What the one who disturbs a server tells the swarm of it, and what that excuses. Everything else that goes wrong is the server's fault.
//!
//! A server that is killed, frozen or stopped takes its sockets with it, so their ends are *ours*. Beyond that, only plain users are excused
//! anything, because they have no positions and get no acknowledgements: what a user wrote shortly before its socket ended is *unknown*. It may
//! have been taken or not. What comes *again* after any end of a socket is in [`journal`](super::journal). Nothing may be lost.

use std::time::Duration;

use parking_lot::Mutex;

use crate::stamp::now_nanos;

const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MILLISECOND;

/// Within so long after a pong the inbox's owner knows of it, and the log that its next owner goes by: 60 ms until it is reported, a second
/// until it is recorded, and both are under way for a moment.
const KEPT: u64 = 1_250 * MILLISECOND;
/// The same where the server broke: its word for what its owner does not know is missing, and that owner may be frozen.
const KEPT_ALONE: u64 = 5 * SECOND;
/// Sockets that a server ends so long after it has recovered, it does not end because of the fault.
const GRACE: u64 = 8 * SECOND;

/// How a server is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Break {
    /// Killed or frozen: without a word.
    Sudden,
    /// Asked to leave: it sends its clients away in good order.
    Planned,
}

/// The announced faults, oldest first. A run has as many as it makes, each a few bytes.
#[derive(Debug)]
pub(super) struct Breaks {
    all: Mutex<Vec<Announced>>,
    /// A server answers a publish within this, with an error if it must. What is older was taken, or refused in words.
    deadline: u64,
}

#[derive(Debug)]
struct Announced {
    target: usize,
    how: Break,
    from: u64,
    until: Option<u64>,
}

/// Since when a server is broken in each way; a frozen one that is then stopped is broken in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Effect {
    pub(super) sudden: Option<u64>,
    pub(super) planned: Option<u64>,
    /// The longest that a publish is unanswered.
    deadline: u64,
}

impl Effect {
    pub(super) fn is_any(self) -> bool {
        self.sudden.is_some() || self.planned.is_some()
    }

    /// A pong from before this moment is known to all who have to know of it, seen from the end of the socket that it went over. A server that
    /// is frozen may not have read it.
    pub(super) fn kept_until(self, end: u64) -> u64 {
        self.sudden.map_or(end.saturating_sub(KEPT), |from| from.min(end).saturating_sub(KEPT_ALONE))
    }

    /// From when on it is not known what became of what was written to the server, seen from a moment. What lay before a frozen server is
    /// read when it thaws, and has its time then.
    pub(super) fn unknown_since(self, moment: u64) -> u64 {
        moment.min(self.sudden.unwrap_or(u64::MAX)).saturating_sub(self.deadline)
    }
}

impl Breaks {
    /// None yet, of servers that answer a publish within `deadline`.
    pub(super) fn new(deadline: Duration) -> Self {
        Self { all: Mutex::default(), deadline: u64::try_from(deadline.as_nanos()).unwrap_or(u64::MAX) }
    }

    pub(super) fn begin(&self, target: usize, how: Break) {
        self.all.lock().push(Announced { target, how, from: now_nanos(), until: None });
    }

    pub(super) fn end(&self, target: usize) {
        let until = Some(now_nanos() + GRACE);
        let mut all = self.all.lock();
        all.iter_mut().filter(|its| its.target == target && its.until.is_none()).for_each(|its| its.until = until);
    }

    /// What is in effect at a server as of `at`.
    pub(super) fn of(&self, target: usize, at: u64) -> Effect {
        let all = self.all.lock();
        let effective = |its: &&Announced| its.target == target && its.until.is_none_or(|until| at <= until);
        let since = |how| all.iter().filter(effective).find(|its| its.how == how).map(|its| its.from);
        Effect { sudden: since(Break::Sudden), planned: since(Break::Planned), deadline: self.deadline }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_break_excuses_its_own_server_until_a_while_after_its_end() {
        let breaks = Breaks::new(Duration::from_secs(5));
        assert!(!breaks.of(0, now_nanos()).is_any());
        breaks.begin(0, Break::Planned);
        breaks.begin(1, Break::Sudden);
        assert!(matches!(breaks.of(0, u64::MAX), Effect { sudden: None, planned: Some(_), .. }));
        assert!(!breaks.of(2, now_nanos()).is_any());
        breaks.end(0);
        assert!(breaks.of(0, now_nanos()).is_any(), "what is noticed late is still its doing");
        assert!(!breaks.of(0, now_nanos() + 2 * GRACE).is_any());
        assert!(breaks.of(1, u64::MAX).sudden.is_some(), "the other one is still broken");
    }

    #[test]
    fn what_lay_before_a_frozen_server_is_unknown_from_its_freeze_on() {
        let deadline = 5 * SECOND;
        let effect = Effect { sudden: Some(20 * SECOND), planned: Some(25 * SECOND), deadline };
        assert_eq!(effect.unknown_since(26 * SECOND), 15 * SECOND);
        assert_eq!(effect.unknown_since(18 * SECOND), 13 * SECOND);
        assert_eq!(Effect { sudden: None, ..effect }.unknown_since(26 * SECOND), 21 * SECOND);
    }

    #[test]
    fn a_pong_is_known_a_moment_later() {
        let effect = Effect { sudden: None, planned: Some(9 * SECOND), deadline: 5 * SECOND };
        assert_eq!(effect.kept_until(20 * SECOND), 20 * SECOND - KEPT);
        assert_eq!(Effect { sudden: Some(18 * SECOND), ..effect }.kept_until(20 * SECOND), 18 * SECOND - KEPT_ALONE);
    }
}
