//! The machine under the tests, which may stand still.
//!
//! The host of a virtual machine takes processors away, for a second or more when it has much to do, and mostly one at a
//! time. To a cluster that is the death of whoever was there; of two of them, if they are unlucky. A cluster on one
//! processor stands still as a whole, which its rules can tell from a death, as they can when a laptop sleeps. And what
//! a test measures then is right but for the time that nobody had.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// How often it is looked whether time goes on.
const LOOK: Duration = Duration::from_millis(10);
/// A look that is late by more than this had to wait for the machine, not for the others who want a processor.
const LATE: Duration = Duration::from_millis(60);

/// The calling thread, and what it starts from now on, share one processor. Tests that run side by side take turns with
/// the processors.
pub fn share_one_processor() {
    let Some(cpus) = processors(this_thread()) else { return };
    static TURN: AtomicUsize = AtomicUsize::new(0);
    if cpus.len() > 1 {
        pin(this_thread(), cpus[TURN.fetch_add(1, Ordering::Relaxed) % cpus.len()]);
    }
}

/// The same for all threads of this process: for a test that is alone in it and has threads of its own.
pub fn all_share_one_processor() {
    share_one_processor();
    let Some(cpus) = processors(this_thread()) else { return };
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    for thread in threads.filter_map(|thread| thread.file_name().to_str()?.parse().ok()) {
        pin(Pid::from_raw(thread), cpus[0]);
    }
}

fn this_thread() -> Pid {
    Pid::from_raw(0)
}

/// Those that the thread may run on; never none.
fn processors(thread: Pid) -> Option<Vec<usize>> {
    let allowed = sched_getaffinity(thread).ok()?;
    let cpus: Vec<usize> = (0..CpuSet::count()).filter(|cpu| allowed.is_set(*cpu).unwrap_or(false)).collect();
    (!cpus.is_empty()).then_some(cpus)
}

/// A thread that has ended meanwhile needs no processor.
fn pin(thread: Pid, cpu: usize) {
    let mut set = CpuSet::new();
    if set.set(cpu).is_ok() {
        let _ = sched_setaffinity(thread, &set);
    }
}

/// Measures for how long the calling thread's processor stood still.
#[derive(Debug)]
pub struct Standstill {
    shared: Arc<Shared>,
    watcher: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    micros: AtomicU64,
    count: AtomicU64,
    over: AtomicBool,
}

impl Standstill {
    /// Begins to watch, on the processors that the calling thread has.
    ///
    /// # Panics
    /// There is no thread left to be had.
    pub fn watch() -> Self {
        let shared = Arc::new(Shared::default());
        let watched = shared.clone();
        let watch = move || {
            let mut last = Instant::now();
            while !watched.over.load(Ordering::Relaxed) {
                thread::sleep(LOOK);
                let late = last.elapsed().saturating_sub(LOOK);
                last = Instant::now();
                if late > LATE {
                    watched.count.fetch_add(1, Ordering::Relaxed);
                    watched.micros.fetch_add(late.as_micros() as u64, Ordering::Relaxed);
                }
            }
        };
        let watcher = thread::Builder::new().name("standstill".into()).spawn(watch).expect("a thread");
        Self { shared, watcher: Some(watcher) }
    }

    /// How long all standstills so far were together, and how many there were.
    pub fn total(&self) -> (Duration, u32) {
        let count = self.shared.count.load(Ordering::Relaxed);
        (Duration::from_micros(self.shared.micros.load(Ordering::Relaxed)), count.try_into().unwrap_or(u32::MAX))
    }
}

impl Drop for Standstill {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        if let Some(watcher) = self.watcher.take() {
            let _ = watcher.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_pinned_thread_starts_is_pinned_too() {
        share_one_processor();
        let mine = processors(this_thread()).expect("a processor");
        assert_eq!(mine.len(), 1);
        share_one_processor();
        assert_eq!(processors(this_thread()), Some(mine.clone()), "it stays where it is");
        let theirs = thread::spawn(|| processors(this_thread())).join().expect("no panic");
        assert_eq!(theirs, Some(mine));
    }
}
