//! Numbers of which each is taken once, whatever comes twice, late, or in another order.

use std::collections::BTreeSet;

/// Numbers from 1 that were taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Once {
    /// All up to this one count as taken.
    floor: u64,
    above: BTreeSet<u64>,
    most: usize,
}

impl Once {
    /// Nothing is taken yet. Of numbers that were left out, it waits for those among the last `most` that were taken; one that is further behind is never taken:
    /// whoever gave it would give it again under another number.
    pub fn new(most: usize) -> Self {
        Self { floor: 0, above: BTreeSet::new(), most }
    }

    /// Takes a number. False: it was taken before, or is too far behind.
    pub fn take(&mut self, number: u64) -> bool {
        if number <= self.floor || !self.above.insert(number) {
            return false;
        }
        if self.above.len() > self.most {
            self.floor = self.above.pop_first().unwrap_or(self.floor);
        }
        while self.above.first() == Some(&(self.floor + 1)) {
            self.floor += 1;
            self.above.pop_first();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_taken_once_in_whatever_order() {
        let mut once = Once::new(8);
        let taken = |once: &mut Once, numbers: &[u64]| numbers.iter().map(|at| once.take(*at)).collect::<Vec<_>>();
        assert_eq!(taken(&mut once, &[2, 2, 1, 1, 2, 3]), [true, false, true, false, false, true]);
        assert!(once.above.is_empty(), "what has no gap takes no room");
        assert_eq!(taken(&mut once, &[5, 6, 4, 5]), [true, true, true, false]);
        assert!(!once.take(0));
    }

    #[test]
    fn what_is_too_far_behind_is_never_taken() {
        let mut once = Once::new(8);
        assert!((2..=9).all(|number| once.take(number)), "1 is waited for");
        assert!(once.take(11));
        assert!(!once.take(1), "and now no more");
        assert!(once.take(10));
        assert!(once.above.len() <= 8);
    }
}
