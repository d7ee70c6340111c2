//! How late a thread is that wants nothing but to wake up: what the machine adds to every step of a message.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use crate::latency::{Latencies, Percentiles};

/// Between two looks.
const NAP: Duration = Duration::from_millis(2);

/// Watches until dropped.
#[derive(Debug)]
pub(super) struct Lateness(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    late: Latencies,
    is_over: AtomicBool,
}

impl Lateness {
    pub(super) fn watch() -> Self {
        let shared = Arc::<Shared>::default();
        let watched = shared.clone();
        thread::spawn(move || {
            while !watched.is_over.load(Relaxed) {
                let began = Instant::now();
                thread::sleep(NAP);
                watched.late.record(began.elapsed().saturating_sub(NAP));
            }
        });
        Self(shared)
    }

    pub(super) fn reset(&self) {
        self.0.late.reset();
    }

    pub(super) fn percentiles(&self) -> Percentiles {
        self.0.late.percentiles()
    }
}

impl Drop for Lateness {
    fn drop(&mut self) {
        self.0.is_over.store(true, Relaxed);
    }
}
