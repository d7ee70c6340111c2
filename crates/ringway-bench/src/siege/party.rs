//! What the tasks of a load share: the field, the count of what they did, and the beat that they keep.

use std::ops::Sub;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::time::MissedTickBehavior;

use super::field::Field;

/// The finest step of tokio's timer is a millisecond; a few of them keep pacing cheap.
const STEP: Duration = Duration::from_millis(5);
/// Turns that are saved up while the attack's thread has no processor.
const SAVED: usize = 2_000;

/// What an attack has done so far.
#[derive(Debug, Default)]
pub(super) struct Tally(AtomicU64);

impl Tally {
    pub(super) fn did(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    pub(super) fn done(&self) -> Done {
        Done { count: self.0.load(Relaxed), at: Instant::now() }
    }
}

/// So many at a moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Done {
    count: u64,
    at: Instant,
}

impl Sub for Done {
    type Output = f64;

    /// By how many a second it grew.
    fn sub(self, from: Self) -> f64 {
        (self.count - from.count) as f64 / (self.at - from.at).as_secs_f64().max(0.001)
    }
}

/// What the tasks of an attack share.
#[derive(Debug, Clone)]
pub(super) struct Party {
    pub(super) field: Arc<Field>,
    pub(super) tally: Arc<Tally>,
}

/// Turns that come so many times a second, whoever takes them.
#[derive(Debug, Clone)]
pub(super) struct Beat(Arc<Semaphore>);

impl Beat {
    /// Must be called in the attack's runtime, where its timer lives.
    pub(super) fn new(per_second: u32) -> Self {
        let turns = Arc::new(Semaphore::new(0));
        let given = turns.clone();
        tokio::spawn(async move {
            let mut tick = tokio::time::interval(STEP);
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let (began, mut so_far) = (Instant::now(), 0);
            loop {
                tick.tick().await;
                let due = (began.elapsed().as_secs_f64() * f64::from(per_second)) as u64;
                let room = SAVED.saturating_sub(given.available_permits()) as u64;
                given.add_permits((due - so_far).min(room) as usize);
                so_far = due;
            }
        });
        Self(turns)
    }

    pub(super) async fn next(&self) {
        if let Ok(turn) = self.0.acquire().await {
            turn.forget();
        }
    }
}
