//! One timer for all sessions: each stands in one bucket of a wheel, at the tick when it next wants to be looked at.
//!
//! A session that changes its mind is simply put in again; it remembers its tick, so that the older entry means
//! nothing when its bucket comes round. That costs eight bytes per session and no work while nothing is due.

use std::time::Duration;

use ringway_core::timing::Now;

/// Length of a tick. Everything that is timed here is a matter of seconds.
const TICK: Duration = Duration::from_millis(250);

/// Buckets: a turn of the wheel takes 32 s, longer than the default ping interval. Later times wait for another turn.
const BUCKETS: usize = 128;

/// After so long without a look, time has stood still for the sessions: what they sent meanwhile is not read yet. The
/// process was stopped, the machine slept, or there was too much to do.
pub(super) const STALL: Duration = Duration::from_secs(1);

/// Time to read what has come meanwhile.
pub(super) const SETTLE: Duration = Duration::from_secs(1);

/// A point on the wheel, in ticks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tick(u32);

/// Keys in the order in which they are due.
#[derive(Debug)]
pub(super) struct Wheel {
    buckets: Vec<Vec<(u32, Tick)>>,
    /// The last tick that was worked off.
    done: Tick,
    /// When the wheel was last looked at.
    seen: Now,
    /// Time that does not count.
    lost: Duration,
}

impl Tick {
    /// Later than the wheel can tell: it counts 34 years.
    const NEVER: Self = Self(u32::MAX);

    /// The first tick that is not before this time.
    fn at(time: Now) -> Self {
        u32::try_from(time.as_nanos().div_ceil(TICK.as_nanos())).map_or(Self::NEVER, Self)
    }

    /// The last tick that is not after this time.
    fn before(time: Now) -> Self {
        Self(u32::try_from(time.as_nanos() / TICK.as_nanos()).unwrap_or(u32::MAX - 1))
    }
}

impl Wheel {
    pub(super) fn new(now: Now) -> Self {
        Self { buckets: vec![Vec::new(); BUCKETS], done: Tick::before(now), seen: now, lost: Duration::ZERO }
    }

    /// Puts a key in; it comes out of [`Wheel::due`] with the tick returned, which is always ahead.
    pub(super) fn insert(&mut self, key: u32, time: Now) -> Tick {
        let tick = Tick::at(time.saturating_sub(self.lost)).max(Tick(self.done.0.saturating_add(1)));
        if tick == Tick::NEVER {
            return tick;
        }
        self.buckets[tick.0 as usize % BUCKETS].push((key, tick));
        tick
    }

    /// Takes out what is due by now. What `is_wanted` does not know any more is dropped on the way, so that a key that
    /// is put in again and again takes no more than one turn's entries.
    pub(super) fn due(&mut self, now: Now, out: &mut Vec<(u32, Tick)>, is_wanted: impl Fn(u32, Tick) -> bool) {
        let gap = now.saturating_sub(self.seen);
        self.seen = self.seen.max(now);
        if gap > STALL {
            self.lost += gap + SETTLE;
        }
        let last = Tick::before(now.saturating_sub(self.lost));
        let first = self.done.0.saturating_add(1);
        // After a long sleep one turn visits every bucket; what is due in it is due now.
        for step in (first..=last.0).take(BUCKETS) {
            self.buckets[step as usize % BUCKETS].retain(|entry| {
                let due = entry.1 <= last;
                let is_wanted = is_wanted(entry.0, entry.1);
                if due && is_wanted {
                    out.push(*entry);
                }
                !due && is_wanted
            });
        }
        self.done = self.done.max(last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is due after so many milliseconds, with a look every quarter second until then.
    fn due(wheel: &mut Wheel, millis: u64) -> Vec<u32> {
        let (mut out, end) = (Vec::new(), Duration::from_millis(millis));
        while wheel.seen < end {
            wheel.due((wheel.seen + TICK).min(end), &mut out, |_, _| true);
        }
        out.into_iter().map(|(key, _)| key).collect()
    }

    #[test]
    fn keys_come_out_when_due_and_once() {
        let mut wheel = Wheel::new(Duration::ZERO);
        wheel.insert(1, Duration::from_millis(400));
        wheel.insert(2, Duration::from_secs(40));
        assert_eq!(due(&mut wheel, 499), [] as [u32; 0]);
        assert_eq!(due(&mut wheel, 500), [1]);
        assert_eq!(due(&mut wheel, 39_999), [] as [u32; 0]);
        assert_eq!(due(&mut wheel, 40_000), [2]);
        assert_eq!(due(&mut wheel, 400_000), [] as [u32; 0]);
    }

    #[test]
    fn the_past_comes_out_at_the_next_tick() {
        let mut wheel = Wheel::new(Duration::from_secs(100));
        wheel.insert(7, Duration::from_secs(1));
        assert_eq!(due(&mut wheel, 100_250), [7]);
    }

    #[test]
    fn time_that_nobody_looked_does_not_count() {
        let mut wheel = Wheel::new(Duration::ZERO);
        wheel.insert(1, Duration::from_secs(8));
        assert_eq!(due(&mut wheel, 2000), [] as [u32; 0]);
        let mut out = Vec::new();
        wheel.due(Duration::from_secs(100), &mut out, |_, _| true);
        assert!(out.is_empty(), "98 s passed in one step");
        assert_eq!(due(&mut wheel, 106_750), [] as [u32; 0]);
        assert_eq!(due(&mut wheel, 107_000), [1], "the 6 s that were left, and one to read what came");
        let tick = wheel.insert(2, Duration::from_secs(110));
        assert_eq!(due(&mut wheel, 109_750), [] as [u32; 0], "{tick:?}");
        assert_eq!(due(&mut wheel, 110_000), [2]);
    }

    #[test]
    fn however_far_a_time_is_it_comes_no_sooner() {
        const YEAR: u64 = 366 * 86_400;
        for seconds in [1, 28, YEAR, 34 * YEAR, 136 * YEAR, u64::MAX / 4, u64::MAX] {
            let start = Duration::from_secs(1_000_000);
            let mut wheel = Wheel::new(start);
            let tick = wheel.insert(1, start.saturating_add(Duration::from_secs(seconds)));
            let end = start + Duration::from_secs(seconds.min(100));
            let mut out = Vec::new();
            while wheel.seen + TICK < end {
                wheel.due(wheel.seen + TICK, &mut out, |_, _| true);
                assert!(out.is_empty(), "{seconds} s");
            }
            wheel.due(end, &mut out, |_, _| true);
            assert_eq!(out.len(), usize::from(seconds < 100), "{seconds} s: {tick:?}");
        }
    }

    #[test]
    fn what_is_not_wanted_any_more_takes_no_room() {
        let mut wheel = Wheel::new(Duration::ZERO);
        let far = Duration::from_secs(366 * 86_400);
        let last = (0..1000).map(|again| wheel.insert(1, far + TICK * again)).last();
        let mut out = Vec::new();
        while wheel.seen < TICK * (BUCKETS as u32 + 1) {
            wheel.due(wheel.seen + TICK, &mut out, |_, tick| Some(tick) == last);
        }
        assert_eq!(wheel.buckets.iter().map(Vec::len).sum::<usize>(), 1);
    }
}
