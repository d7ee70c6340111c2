//! A coarse clock for all connections of an edge, and the deadlines of those that are closing.
//!
//! One task ticks for everybody: a timer per connection would cost more than the connection.

use crate::Conn;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Weak;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Fine enough for deadlines of seconds, coarse enough to cost nothing.
pub(crate) const TICK: Duration = Duration::from_millis(250);

const TICKS_PER_SECOND: u32 = 4;

/// Time since the edge's start in ticks, with what is due when.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    ticks: AtomicU32,
    /// At most one entry per connection that closes, so bounded by their number.
    due: Mutex<BTreeMap<u32, Vec<Weak<Conn>>>>,
}

impl Clock {
    /// Whole seconds since the start.
    pub(crate) fn seconds(&self) -> u32 {
        self.ticks.load(Ordering::Relaxed) / TICKS_PER_SECOND
    }

    /// Aborts `conn` after `delay`, if it still exists then.
    pub(crate) fn abort_after(&self, delay: Duration, conn: Weak<Conn>) {
        let ticks = u32::try_from(delay.as_millis().div_ceil(TICK.as_millis())).unwrap_or(u32::MAX);
        // One more, as the current tick has begun already.
        let due = self.ticks.load(Ordering::Relaxed).saturating_add(ticks).saturating_add(1);
        self.due.lock().entry(due).or_default().push(conn);
    }

    /// Moves to the time `since_start` and aborts what is due by then.
    pub(crate) fn advance(&self, since_start: Duration) {
        let now = u32::try_from(since_start.as_millis() / TICK.as_millis()).unwrap_or(u32::MAX);
        self.ticks.store(now, Ordering::Relaxed);
        loop {
            // The lock is not held while connections are dropped or woken.
            let Some(conns) = self.take_due(now) else { return };
            conns.iter().filter_map(Weak::upgrade).for_each(|conn| conn.abort());
        }
    }

    fn take_due(&self, now: u32) -> Option<Vec<Weak<Conn>>> {
        let mut due = self.due.lock();
        let first = due.first_entry()?;
        if *first.key() <= now { Some(first.remove()) } else { None }
    }
}
