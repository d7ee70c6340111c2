//! How much processor time a member task takes, by the clock of the thread that polls it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// The processor time of one member task so far. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Meter(Arc<AtomicU64>);

impl Meter {
    /// Runs the task. The clock is read before and after each poll: between two polls the task may move to another thread, and within
    /// one it does not. A poll holds as many turns as there is input for.
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
        let (first, second) = (Duration::from_millis(5), Duration::from_millis(7));
        let task = async move {
            work(first);
            tokio::task::yield_now().await;
            work(second);
        };
        let other = async { work(Duration::from_millis(200)) };
        tokio::join!(meter.measure(task), other);
        let total = meter.total();
        assert!(total >= first + second && total < Duration::from_millis(200), "{total:?}");
    }
}
