//! One load under way: a thread with a runtime of its own and a low priority, which is dropped with everything that it holds.

use std::ops::Sub;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::MissedTickBehavior;

use super::field::Field;
use super::load::Load;

/// Of the kernel's scheduler: a tenth of what a thread of the usual priority gets where both want a processor.
const NICENESS: i32 = 10;
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

/// Until it is ended.
#[derive(Debug)]
pub(super) struct Attack {
    tally: Arc<Tally>,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Attack {
    pub(super) fn start(load: Load, field: Arc<Field>) -> anyhow::Result<Self> {
        let tally = Arc::<Tally>::default();
        let party = Party { field, tally: tally.clone() };
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let run = move || {
            // On Linux this is the calling thread's alone. Where it is not allowed, the load weighs more.
            let _ = rustix::process::setpriority_process(None, NICENESS);
            runtime.block_on(async {
                tokio::select! {
                    () = load.run(party) => {}
                    _ = stopped => {}
                }
            });
        };
        let thread = thread::Builder::new().name("attack".to_owned()).spawn(run).context("no thread for the load")?;
        Ok(Self { tally, stop, thread })
    }

    pub(super) fn tally(&self) -> Done {
        Done { count: self.tally.0.load(Relaxed), at: Instant::now() }
    }

    /// Lets everything go.
    pub(super) async fn end(self) {
        let Self { stop, thread, .. } = self;
        // It may have ended by itself.
        let _ = stop.send(());
        let _ = tokio::task::spawn_blocking(move || thread.join()).await;
    }
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
