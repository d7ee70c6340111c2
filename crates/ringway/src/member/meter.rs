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
        let (meter, mut task, mut draw) = (self.clone(), Box::pin(task), Draw::default());
        std::future::poll_fn(move |context| {
            if !draw.is_measured() {
                return task.as_mut().poll(context);
            }
            let before = thread_time();
            let poll = task.as_mut().poll(context);
            let took = thread_time().saturating_sub(before);
            let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
            meter.0.fetch_add(nanos.saturating_mul(ONE_IN), Ordering::Relaxed);
            poll
        })
    }

    /// What it took until its last poll ended.
    pub fn total(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

/// One poll in so many is measured, and counts for all of them: the clock is a system call, and two of them would be a twentieth of a short
/// poll.
const ONE_IN: u64 = 8;

/// Which polls are measured. They are drawn, each as likely as any other: short and long polls take turns in patterns, and whatever picks
/// by the poll before, or by number, picks more of the one kind than of the other.
#[derive(Debug)]
struct Draw(u64);

impl Default for Draw {
    fn default() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }
}

impl Draw {
    /// Marsaglia's xorshift: cheap, and good enough for this.
    fn is_measured(&mut self) -> bool {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32).is_multiple_of(ONE_IN)
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

    /// The measured time is an estimate: of so many polls, it is off by a few percent.
    #[tokio::test]
    async fn what_the_task_does_counts_and_what_others_do_does_not() {
        let meter = Meter::default();
        let (short, long) = (Duration::from_micros(2), Duration::from_micros(100));
        let task = async move {
            for _ in 0..1_000 {
                // In a pattern, as acknowledgements and publications come.
                for length in [long, short, short, short, long, short, short, short] {
                    work(length);
                    tokio::task::yield_now().await;
                }
            }
        };
        let other = async { work(Duration::from_millis(400)) };
        tokio::join!(meter.measure(task), other);
        let (total, spent) = (meter.total(), long * 2_000 + short * 6_000);
        assert!(total > spent * 8 / 10 && total < spent * 14 / 10, "{total:?} of {spent:?}");
    }

    #[test]
    fn as_many_are_measured_as_they_stand_for() {
        let mut draw = Draw::default();
        let measured = (0..80_000).filter(|_| draw.is_measured()).count();
        assert!((9_500..10_500).contains(&measured), "{measured}");
    }
}
