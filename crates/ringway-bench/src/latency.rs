//! Latencies: one histogram that all socket tasks share, and its percentiles for the reports.

use parking_lot::Mutex;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// Values are kept to three digits: 0.1 % is finer than any run repeats.
const DIGITS: u8 = 3;
/// What is slower counts as this slow; a minute is longer than any bench waits for a message.
const LONGEST: Duration = Duration::from_secs(60);

/// A histogram of durations in microseconds. Recording takes an uncontended lock and an array write.
#[derive(Debug)]
pub struct Latencies(Mutex<Histogram<u64>>);

impl Default for Latencies {
    fn default() -> Self {
        let histogram =
            Histogram::new_with_max(micros(LONGEST), DIGITS).expect("bounds and digits are constants that fit");
        Self(Mutex::new(histogram))
    }
}

impl Latencies {
    /// Adds one measured duration.
    pub fn record(&self, duration: Duration) {
        self.0.lock().saturating_record(micros(duration));
    }

    /// Forgets all.
    pub fn reset(&self) {
        self.0.lock().reset();
    }

    /// The percentiles of all that was recorded.
    pub fn percentiles(&self) -> Percentiles {
        let histogram = self.0.lock();
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1e3;
        Percentiles {
            count: histogram.len(),
            p50_ms: at(0.5),
            p90_ms: at(0.9),
            p99_ms: at(0.99),
            p999_ms: at(0.999),
            max_ms: histogram.max() as f64 / 1e3,
        }
    }
}

/// The usual percentiles, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Percentiles {
    /// How many durations were recorded.
    pub count: u64,
    /// Half are at most this.
    pub p50_ms: f64,
    /// Nine in ten are at most this.
    pub p90_ms: f64,
    /// 99 in 100 are at most this.
    pub p99_ms: f64,
    /// 999 in 1,000 are at most this.
    pub p999_ms: f64,
    /// The slowest.
    pub max_ms: f64,
}

impl std::fmt::Display for Percentiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Percentiles { p50_ms, p90_ms, p99_ms, p999_ms, max_ms, .. } = self;
        write!(f, "p50 {p50_ms:.2}  p90 {p90_ms:.2}  p99 {p99_ms:.2}  p99.9 {p999_ms:.2}  max {max_ms:.2} ms")
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_a_known_row() {
        let latencies = Latencies::default();
        (1..=1000).for_each(|ms| latencies.record(Duration::from_millis(ms)));
        let found = latencies.percentiles();
        assert_eq!(found.count, 1000);
        for (found, wanted) in
            [(found.p50_ms, 500.0), (found.p90_ms, 900.0), (found.p99_ms, 990.0), (found.max_ms, 1000.0)]
        {
            assert!((found - wanted).abs() < wanted / 500.0, "{found} is not {wanted}");
        }
    }

    #[test]
    fn what_is_too_slow_is_kept_at_the_limit() {
        let latencies = Latencies::default();
        latencies.record(Duration::from_secs(3600));
        assert!((latencies.percentiles().max_ms - 60_000.0).abs() < 100.0);
    }
}
