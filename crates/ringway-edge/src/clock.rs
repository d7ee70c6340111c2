//! A coarse clock for all connections of an edge, and the deadlines of those that are closing.
//!
//! One task ticks for everybody: a timer per connection would cost more than the connection.

use crate::strain::{Strained, TICK, Timed, relieve};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Weak;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const TICKS_PER_SECOND: u32 = 4;

/// What full sockets may cost.
pub(crate) trait Bounds {
    /// Bytes above what all sockets may hold.
    fn over(&self) -> usize;
    /// Bytes that all sockets may hold.
    fn most(&self) -> usize;
    /// How long a peer may take nothing.
    fn slow_timeout(&self) -> Duration;
}

/// Time since the edge's start in ticks, with what is due when.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    ticks: AtomicU32,
    /// At most one entry per connection that closes, so bounded by their number.
    due: Mutex<BTreeMap<u32, Vec<Weak<dyn Timed>>>>,
    /// Full sockets, one entry for each.
    strained: Mutex<Vec<Strained>>,
}

impl Clock {
    /// Whole seconds since the start.
    pub(crate) fn seconds(&self) -> u32 {
        self.ticks.load(Ordering::Relaxed) / TICKS_PER_SECOND
    }

    pub(crate) fn ticks(&self) -> u32 {
        self.ticks.load(Ordering::Relaxed)
    }

    /// Looks from now on whether the peer of a full socket makes progress.
    pub(crate) fn watch(&self, conn: Weak<dyn Timed>) {
        self.strained.lock().push(Strained::new(conn, self.ticks()));
    }

    /// Aborts `conn` after `delay`, if it still exists then.
    pub(crate) fn abort_after(&self, delay: Duration, conn: Weak<dyn Timed>) {
        let ticks = u32::try_from(delay.as_millis().div_ceil(TICK.as_millis())).unwrap_or(u32::MAX);
        // One more, as the current tick has begun already.
        let due = self.ticks.load(Ordering::Relaxed).saturating_add(ticks).saturating_add(1);
        self.due.lock().entry(due).or_default().push(conn);
    }

    /// Moves to the time `since_start`, aborts what is due by then, and looks at full sockets.
    pub(crate) fn advance(&self, since_start: Duration, bounds: &impl Bounds) {
        let now = u32::try_from(since_start.as_millis() / TICK.as_millis()).unwrap_or(u32::MAX);
        let is_new = self.ticks.swap(now, Ordering::Relaxed) != now;
        // The lock is not held while connections are dropped or woken.
        while let Some(conns) = self.take_due(now) {
            conns.iter().filter_map(Weak::upgrade).for_each(|conn| conn.abort());
        }
        let over = bounds.over();
        if is_new || over > 0 {
            self.look(now, over, bounds);
        }
    }

    fn look(&self, now: u32, over: usize, bounds: &impl Bounds) {
        // Nor is this one; whoever fills up meanwhile is looked at the next time.
        let mut strained = std::mem::take(&mut *self.strained.lock());
        strained.retain_mut(|strained| strained.look(now, bounds.slow_timeout()));
        if over > 0 {
            relieve(&strained, bounds.over(), bounds.most());
        }
        let mut known = self.strained.lock();
        strained.append(&mut known);
        *known = strained;
    }

    fn take_due(&self, now: u32) -> Option<Vec<Weak<dyn Timed>>> {
        let mut due = self.due.lock();
        let first = due.first_entry()?;
        if *first.key() <= now { Some(first.remove()) } else { None }
    }
}
