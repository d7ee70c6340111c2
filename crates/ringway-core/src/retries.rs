//! What had no answer and is tried again, after pauses that grow step by step: who is slow to answer is not helped by being asked more.

use std::collections::VecDeque;

use crate::timing::Now;

/// Each level waits twice as long as the one before: 1, 2, 4, 8, 16 times the shortest pause.
const LEVELS: usize = 5;
/// Tries at each level: most changes are over within three of the shortest pauses, and nobody is to wait for longer than those take.
const TRIES: u8 = 3;

/// How often something was tried before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tries(u8);

impl Tries {
    /// One more.
    #[must_use]
    pub(crate) fn more(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    fn level(self) -> usize {
        usize::from(self.0 / TRIES).min(LEVELS - 1)
    }

    /// The pause before the next try, of which the first is `shortest` long.
    fn pause(self, shortest: Now) -> Now {
        shortest * (1 << self.level())
    }
}

/// What is to be tried again. Costs a queue entry each, and per tick only what is due.
#[derive(Debug)]
pub(crate) struct Retries<T> {
    levels: [VecDeque<Waiting<T>>; LEVELS],
}

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Waiting<T> {
    /// When it was put here.
    pub(crate) since: Now,
    /// How often it was tried before that.
    pub(crate) tries: Tries,
    /// What is to be tried.
    pub(crate) what: T,
}

impl<T> Default for Retries<T> {
    fn default() -> Self {
        Self { levels: std::array::from_fn(|_| VecDeque::new()) }
    }
}

impl<T: Copy> Retries<T> {
    /// Was tried just now.
    pub(crate) fn push(&mut self, now: Now, tries: Tries, what: T) {
        self.levels[tries.level()].push_back(Waiting { since: now, tries, what });
    }

    /// Takes one whose pause is over. Whether it still has to be tried is for the caller to know.
    pub(crate) fn due(&mut self, now: Now, shortest: Now) -> Option<Waiting<T>> {
        let over = |waiting: &Waiting<T>| now >= waiting.since + waiting.tries.pause(shortest);
        let level = self.levels.iter_mut().find(|level| level.front().is_some_and(over))?;
        level.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn pauses_double_up_to_sixteen_times_the_first() {
        let shortest = Duration::from_millis(10);
        let (mut now, mut retries, mut times) = (Now::ZERO, Retries::default(), Vec::new());
        retries.push(now, Tries::default(), 'a');
        for _ in 0..80 {
            while let Some(waiting) = retries.due(now, shortest) {
                times.push(now.as_millis());
                retries.push(now, waiting.tries.more(), waiting.what);
            }
            now += shortest;
        }
        assert_eq!(times, [10, 20, 30, 50, 70, 90, 130, 170, 210, 290, 370, 450, 610, 770]);
        assert!(retries.levels.iter().any(|level| !level.is_empty()));
    }

    #[test]
    fn who_has_tried_often_holds_up_nobody_who_has_not() {
        let shortest = Duration::from_millis(10);
        let mut retries = Retries::default();
        let often = (0..2 * TRIES).fold(Tries::default(), |tries, _| tries.more());
        retries.push(Now::ZERO, often, 'a');
        retries.push(Now::ZERO, Tries::default(), 'b');
        let due = |retries: &mut Retries<char>, now| retries.due(now, shortest).map(|waiting| waiting.what);
        assert_eq!((due(&mut retries, shortest), due(&mut retries, shortest)), (Some('b'), None));
        assert_eq!((due(&mut retries, shortest * 4), retries.levels.iter().all(VecDeque::is_empty)), (Some('a'), true));
    }
}
