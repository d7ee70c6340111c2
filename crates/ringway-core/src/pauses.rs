//! How long things were held up, in counts by length: bounded, cheap to add to, and exact enough to tell percentiles.
//!
//! Buckets are a tenth of a millisecond wide at first, and from 6.4 ms on a thirty-second of a doubling: what is read from
//! them is at most 3.2 % above the truth, and never below it.

use std::time::Duration;

/// Width of the first buckets. Links on one machine answer in a few of these.
const UNIT: Duration = Duration::from_micros(100);

/// Buckets per doubling, as a power of two.
const STEPS_LOG: u32 = 5;

/// Buckets there are: the last one begins at 103 s. A longer pause is counted in it; whoever could not be served for so long is
/// lost to other limits first.
const BUCKETS: u16 = 512;

/// Pauses by their length. What was recorded never leaves it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pauses {
    /// Buckets that hold any, in order, with how many. At most 512.
    pub buckets: Vec<(u16, u64)>,
    /// The longest, exactly.
    pub longest: Duration,
    /// All of them together.
    pub total: Duration,
}

impl Pauses {
    /// Counts one.
    pub fn record(&mut self, pause: Duration) {
        self.put(bucket_of(pause), 1);
        self.longest = self.longest.max(pause);
        self.total = self.total.saturating_add(pause);
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        sum(self.buckets.iter())
    }

    /// A length that this part of them did not exceed: 0.99 for p99. `None` if there was none.
    pub fn percentile(&self, part: f64) -> Option<Duration> {
        let rank = ((self.count() as f64 * part).ceil() as u64).max(1);
        let mut seen = 0;
        let reached = |(_, count): &&(u16, u64)| {
            seen = count.saturating_add(seen);
            seen >= rank
        };
        self.buckets.iter().find(reached).map(|(bucket, _)| upper_end(*bucket).min(self.longest))
    }

    /// How many were no longer than this, to within a bucket.
    pub fn within(&self, length: Duration) -> u64 {
        sum(self.buckets.iter().filter(|(bucket, _)| upper_end(*bucket) <= length))
    }

    /// The same, with buckets as they are kept here: whatever another member says it saw.
    #[must_use]
    pub fn sound(&self) -> Self {
        let mut sound = Self::default();
        sound.add(self);
        sound
    }

    /// Adds those of another place.
    pub fn add(&mut self, other: &Self) {
        for (bucket, count) in &other.buckets {
            self.put(*bucket, *count);
        }
        self.longest = self.longest.max(other.longest);
        self.total = self.total.saturating_add(other.total);
    }

    /// Those that came after `earlier`, a former state of the same. Their longest is exact if it is the longest of all, else
    /// as exact as a bucket.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let before = |bucket: u16| match earlier.buckets.binary_search_by_key(&bucket, |(bucket, _)| *bucket) {
            Ok(at) => earlier.buckets[at].1,
            Err(_) => 0,
        };
        let new = |(bucket, count): &(u16, u64)| (*bucket, count.saturating_sub(before(*bucket)));
        let buckets: Vec<(u16, u64)> = self.buckets.iter().map(new).filter(|(_, count)| *count > 0).collect();
        let longest = match buckets.last() {
            None => Duration::ZERO,
            Some(_) if self.longest > earlier.longest => self.longest,
            Some((bucket, _)) => upper_end(*bucket).min(self.longest),
        };
        Self { buckets, longest, total: self.total.saturating_sub(earlier.total) }
    }

    fn put(&mut self, bucket: u16, count: u64) {
        let bucket = bucket.min(BUCKETS - 1);
        match self.buckets.binary_search_by_key(&bucket, |(bucket, _)| *bucket) {
            Ok(at) => self.buckets[at].1 = self.buckets[at].1.saturating_add(count),
            Err(at) => self.buckets.insert(at, (bucket, count)),
        }
    }
}

fn sum<'a>(buckets: impl Iterator<Item = &'a (u16, u64)>) -> u64 {
    buckets.fold(0, |all, (_, count)| all.saturating_add(*count))
}

fn bucket_of(pause: Duration) -> u16 {
    let units = u64::try_from(pause.as_nanos() / UNIT.as_nanos()).unwrap_or(u64::MAX);
    let doublings = units.checked_ilog2().unwrap_or(0).saturating_sub(STEPS_LOG);
    let bucket = (u64::from(doublings) << STEPS_LOG) + (units >> doublings);
    bucket.min(u64::from(BUCKETS - 1)) as u16
}

/// Every pause of the bucket is shorter than this, but in the last one.
fn upper_end(bucket: u16) -> Duration {
    let bucket = bucket.min(BUCKETS - 1);
    let doublings = u32::from(bucket >> STEPS_LOG).saturating_sub(1);
    let first = u32::from(bucket) - (doublings << STEPS_LOG);
    UNIT * ((first + 1) << doublings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(millis: impl IntoIterator<Item = u64>) -> Pauses {
        let mut pauses = Pauses::default();
        millis.into_iter().for_each(|millis| pauses.record(Duration::from_millis(millis)));
        pauses
    }

    #[test]
    fn every_length_has_a_bucket_that_is_at_most_a_thirtieth_above_it() {
        let mut last = 0;
        for micros in (0..300_000).step_by(37).chain((300_000..120_000_000).step_by(77_777)) {
            let pause = Duration::from_micros(micros);
            let bucket = bucket_of(pause);
            assert!(bucket >= last && bucket < BUCKETS, "{micros} µs: {bucket} after {last}");
            last = bucket;
            if bucket < BUCKETS - 1 {
                let upper = upper_end(bucket);
                assert!(upper > pause && upper <= pause + UNIT + pause / 31, "{pause:?} in {bucket}, below {upper:?}");
            }
        }
        assert_eq!(last, BUCKETS - 1);
        assert_eq!(bucket_of(Duration::MAX), BUCKETS - 1);
    }

    #[test]
    fn percentiles_are_those_of_the_lengths() {
        let pauses = of(1..=1000);
        for (part, millis) in [(0.5, 500.0), (0.99, 990.0), (0.001, 1.0)] {
            let told = pauses.percentile(part).unwrap().as_secs_f64() * 1000.0;
            assert!(told >= millis && told <= millis * 1.033 + 0.1, "{part}: {told}");
        }
        assert_eq!((pauses.count(), pauses.longest), (1000, Duration::from_secs(1)));
        assert_eq!(pauses.percentile(1.0), Some(Duration::from_secs(1)), "never above the longest");
        assert_eq!(Pauses::default().percentile(0.99), None);
        assert!((99..=100).contains(&pauses.within(Duration::from_millis(100))));
    }

    #[test]
    fn states_are_added_and_taken_from_one_another() {
        let early = of([5, 7000]);
        let mut late = early.clone();
        late.record(Duration::from_millis(40));
        late.record(Duration::from_millis(5));
        let new = late.since(&early);
        assert_eq!((new.count(), new.total), (2, Duration::from_millis(45)));
        assert!(new.longest >= Duration::from_millis(40) && new.longest < Duration::from_millis(42), "{new:?}");
        late.record(Duration::from_secs(8));
        assert_eq!(late.since(&early).longest, Duration::from_secs(8));
        assert_eq!(late.since(&late), Pauses::default());
        let mut both = of([5]);
        both.add(&of([5, 9]));
        assert_eq!(both, of([5, 9, 5]));
    }

    #[test]
    fn what_others_made_up_stays_within_bounds() {
        let mut pauses = Pauses::default();
        pauses.add(&Pauses { buckets: vec![(u16::MAX, 1), (3, 2), (u16::MAX, 1)], ..Pauses::default() });
        assert_eq!(pauses.buckets, [(3, 2), (BUCKETS - 1, 2)]);
        let most = Pauses { buckets: vec![(u16::MAX, u64::MAX), (9, u64::MAX), (9, 1)], ..pauses };
        assert_eq!(most.sound().buckets, [(9, u64::MAX), (BUCKETS - 1, u64::MAX)]);
        assert_eq!((most.count(), most.within(Duration::MAX)), (u64::MAX, u64::MAX));
        assert_eq!(most.percentile(0.5), Some(Duration::ZERO), "never above the longest");
    }
}
