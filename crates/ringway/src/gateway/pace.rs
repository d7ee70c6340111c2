//! How many commands a session gets done in a second. Above it the socket is not read until its turn comes: nothing is refused,
//! and nothing is lost.
//!
//! Publishes do not count: they have a bound of their own, by the answers that are out. Neither do pongs.

use std::time::{Duration, Instant};

/// Parts of a second in which a session's debt is counted: fine enough for the fastest pace.
const PARTS: u32 = 16_000;

/// The pace of all sessions of a gateway. What each of them owes is kept by its connection.
#[derive(Debug)]
pub(super) struct Pace {
    began: Instant,
    /// Parts that a command costs.
    cost: u32,
    /// Parts that a session may owe.
    burst: u32,
}

impl Pace {
    pub(super) fn new(per_second: u32, burst: u32) -> Self {
        let cost = PARTS.div_ceil(per_second.max(1));
        Self { began: Instant::now(), cost, burst: burst.saturating_mul(cost) }
    }

    /// Counts commands of a session that has paid up to a time. `Some`: it has had too many, and is not to be read from for so long.
    pub(super) fn count(&self, paid: &mut u32, commands: u32) -> Option<Duration> {
        // Most of what comes costs nothing, not even a look at the clock.
        if commands == 0 {
            return None;
        }
        self.count_at(paid, commands, self.began.elapsed())
    }

    fn count_at(&self, paid: &mut u32, commands: u32, since: Duration) -> Option<Duration> {
        // The count of parts begins anew every three days. What a session seems to owe beyond the most it can is of before.
        let now = (since.as_micros() * u128::from(PARTS) / 1_000_000) as u32;
        let owed = paid.wrapping_sub(now);
        let owed = if owed <= self.most() { owed } else { 0 };
        let owed = owed.saturating_add(commands.saturating_mul(self.cost)).min(self.most());
        *paid = now.wrapping_add(owed);
        let over = owed.saturating_sub(self.burst);
        (over > 0).then(|| Duration::from_micros(u64::from(over) * 1_000_000 / u64::from(PARTS)))
    }

    /// Twice the burst: no frame holds more than that on top of it.
    fn most(&self) -> u32 {
        self.burst.saturating_mul(2).min(u32::MAX / 4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_start_with_every_subscription_is_not_held_up() {
        let (pace, mut paid) = (Pace::new(500, 4_096), 0);
        assert_eq!(pace.count_at(&mut paid, 1_025, SECOND), None);
        // Nor is the same session again a second later.
        assert_eq!(pace.count_at(&mut paid, 1_025, 2 * SECOND), None);
    }

    #[test]
    fn who_goes_on_is_read_from_at_the_pace() {
        let (pace, mut paid) = (Pace::new(500, 1_000), 0);
        let mut now = SECOND;
        let mut done = 0;
        while now < 11 * SECOND {
            done += 10;
            now += pace.count_at(&mut paid, 10, now).unwrap_or_default() + Duration::from_micros(10);
        }
        assert!((5_900..=6_100).contains(&done), "{done} in ten seconds, with a burst of 1,000");
    }

    #[test]
    fn a_long_silence_is_no_debt() {
        let (pace, mut paid) = (Pace::new(500, 1_000), 0);
        for days in 0..40 {
            assert_eq!(pace.count_at(&mut paid, 900, SECOND * 86_400 / 7 * days), None, "{days}");
        }
    }
}
