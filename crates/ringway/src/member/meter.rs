//! How much processor time a member task takes, by the clock of the thread that polls it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// The processor time of one member task so far. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Meter(Arc<AtomicU64>);

impl Meter {
    /// Runs the task. The clock is read before and after a poll: between two polls the task may move to another thread, and within
    /// one it does not. A poll holds as many turns as there is input for.
    pub fn measure<T>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> impl Future<Output = T> + Send + 'static {
        let (meter, mut task, mut stride) = (self.clone(), Box::pin(task), Stride::default());
        std::future::poll_fn(move |context| {
            let Some(stands_for) = stride.next() else { return task.as_mut().poll(context) };
            let before = thread_time();
            let poll = task.as_mut().poll(context);
            let took = thread_time().saturating_sub(before);
            stride.last = took;
            let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
            meter.0.fetch_add(nanos.saturating_mul(stands_for), Ordering::Relaxed);
            poll
        })
    }

    /// What it took until its last poll ended.
    pub fn total(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

/// A poll that takes less than this is measured once in [`STRIDE`] times, and counts for those before it: the clock is a system call, and
/// two of them would be a twentieth of the poll.
const SHORT: Duration = Duration::from_micros(50);
const STRIDE: u64 = 8;

/// Which polls are measured.
#[derive(Debug, Default)]
struct Stride {
    skipped: u64,
    /// What the last measured one took.
    last: Duration,
}

impl Stride {
    /// For how many polls the next one stands; `None`: it is not measured.
    fn next(&mut self) -> Option<u64> {
        if self.last < SHORT && self.skipped + 1 < STRIDE {
            self.skipped += 1;
            return None;
        }
        Some(std::mem::take(&mut self.skipped) + 1)
    }
}

/// Processor time of this thread; it stands still where the system has no such clock.
fn thread_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(length: Duration) {
        let begin = thread_time();
        while thread_time().saturating_sub(begin) < length {}
    }

    #[tokio::test]
    async fn what_the_task_does_counts_and_what_others_do_does_not() {
        let meter = Meter::default();
        let length = Duration::from_millis(1);
        let task = async move {
            for _ in 0..20 {
                work(length);
                tokio::task::yield_now().await;
            }
        };
        let other = async { work(Duration::from_millis(200)) };
        tokio::join!(meter.measure(task), other);
        let total = meter.total();
        assert!(total >= length * 20 && total < Duration::from_millis(200), "{total:?}");
    }

    #[test]
    fn short_polls_stand_for_one_another_and_long_ones_for_themselves() {
        let mut stride = Stride::default();
        let mut measured = |last: Duration, polls: usize| -> Vec<u64> {
            stride.last = last;
            (0..polls).filter_map(|_| stride.next()).collect()
        };
        assert_eq!(measured(Duration::ZERO, 24), [8, 8, 8]);
        assert_eq!(measured(SHORT, 3), [1, 1, 1]);
        assert_eq!(measured(Duration::ZERO, 8), [8]);
    }
}
