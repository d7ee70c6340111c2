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
    /// one it does not. A poll holds as many turns as there is input for, so polls differ a thousand times in length, and each is measured: a
    /// sample of them would say little.
    pub fn measure<T>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> impl Future<Output = T> + Send + 'static {
        let (meter, mut task) = (self.clone(), Box::pin(task));
        std::future::poll_fn(move |context| {
            let before = thread_time();
            let poll = task.as_mut().poll(context);
            let took = thread_time().saturating_sub(before);
            meter.0.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
            poll
        })
    }

    /// What it took until its last poll ended.
    pub fn total(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
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
        let (short, long) = (Duration::from_micros(20), Duration::from_millis(20));
        // Few long polls among many short ones, as a busy gateway has them: each counts for what it took.
        let task = async move {
            for length in [long, short, short, short].into_iter().cycle().take(40) {
                work(length);
                tokio::task::yield_now().await;
            }
        };
        let other = async { work(Duration::from_millis(400)) };
        tokio::join!(meter.measure(task), other);
        let (total, spent) = (meter.total(), long * 10 + short * 30);
        assert!(total >= spent && total < spent + Duration::from_millis(100), "{total:?} of {spent:?}");
    }
}
