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

/// A point on the wheel, in ticks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tick(u32);

/// Keys in the order in which they are due.
#[derive(Debug)]
pub(super) struct Wheel {
    buckets: Vec<Vec<(u32, Tick)>>,
    /// The last tick that was worked off.
    done: Tick,
}

impl Tick {
    /// The first tick that is not before this time.
    pub(super) fn at(time: Now) -> Self {
        Self(time.as_nanos().div_ceil(TICK.as_nanos()) as u32)
    }
}

impl Wheel {
    pub(super) fn new(now: Now) -> Self {
        Self { buckets: vec![Vec::new(); BUCKETS], done: Tick((now.as_nanos() / TICK.as_nanos()) as u32) }
    }

    /// Puts a key in; it comes out of [`Wheel::due`] with the tick returned, which is always ahead.
    pub(super) fn insert(&mut self, key: u32, time: Now) -> Tick {
        let tick = Tick::at(time).max(Tick(self.done.0 + 1));
        self.buckets[tick.0 as usize % BUCKETS].push((key, tick));
        tick
    }

    /// Takes out what is due by now. Entries of keys that have moved on are among it.
    pub(super) fn due(&mut self, now: Now, out: &mut Vec<(u32, Tick)>) {
        let last = Tick((now.as_nanos() / TICK.as_nanos()) as u32);
        let first = self.done.0 + 1;
        // After a long sleep one turn visits every bucket; what is due in it is due now.
        for step in (first..=last.0).take(BUCKETS) {
            self.buckets[step as usize % BUCKETS].retain(|entry| {
                let due = entry.1 <= last;
                if due {
                    out.push(*entry);
                }
                !due
            });
        }
        self.done = self.done.max(last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(wheel: &mut Wheel, millis: u64) -> Vec<u32> {
        let mut out = Vec::new();
        wheel.due(Duration::from_millis(millis), &mut out);
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
    fn after_a_sleep_everything_due_comes_out() {
        let mut wheel = Wheel::new(Duration::ZERO);
        for key in 0..300 {
            wheel.insert(key, Duration::from_secs(u64::from(key)));
        }
        assert_eq!(due(&mut wheel, 299_000).len(), 300);
    }
}
