//! How fast a swarm sends: so many a second, or as fast as messages arrive.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::member::State;

/// The finest step of tokio's timer is a millisecond; a few of them keep the pacing task's own cost low.
const STEP: Duration = Duration::from_millis(4);
/// After so many sends in a row other tasks get their turn.
const TURN: u64 = 64;
/// A sender whose messages have all been silent for this long has lost them; its window is opened anew, or a loss would stop it for good.
const STALLED: Duration = Duration::from_secs(2);

/// What sets the pace.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// So many messages a second from all senders together, whatever becomes of them.
    Rate(f64),
    /// Each sender has so many messages under way, and sends the next when one has arrived everywhere.
    Window(u64),
}

/// Begins to send; the tasks that keep it going are put into `tasks`.
pub(super) fn start(state: &Arc<State>, pace: Pace, tasks: &mut JoinSet<()>) {
    match pace {
        Pace::Rate(rate) => tasks.spawn(at_rate(state.clone(), rate)),
        Pace::Window(window) => {
            state.window.store(window, Relaxed);
            tasks.spawn(windows(state.clone(), window))
        }
    };
}

async fn at_rate(state: Arc<State>, rate: f64) {
    if state.senders.is_empty() {
        return;
    }
    let mut senders = state.senders.iter().copied().cycle();
    let mut tick = tokio::time::interval(STEP);
    // After a pause of this process the missed messages are due at once, from the clock; ticks need not be made up for.
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (start, mut sent) = (Instant::now(), 0_u64);
    loop {
        tick.tick().await;
        let due = (start.elapsed().as_secs_f64() * rate) as u64;
        while sent < due {
            senders.by_ref().take(1).for_each(|sender| state.send_one(sender));
            sent += 1;
            if sent.is_multiple_of(TURN) {
                tokio::task::yield_now().await;
            }
        }
    }
}

/// Fills all windows, then watches for senders that went silent.
async fn windows(state: Arc<State>, window: u64) {
    for _ in 0..window {
        for (turn, &sender) in state.senders.iter().enumerate() {
            state.send_one(sender);
            if (turn as u64 + 1).is_multiple_of(TURN) {
                tokio::task::yield_now().await;
            }
        }
    }
    let arrived = |sender: &u32| state.members[*sender as usize].arrived.load(Relaxed);
    let mut before: Vec<u64> = state.senders.iter().map(arrived).collect();
    loop {
        tokio::time::sleep(STALLED).await;
        for (sender, before) in state.senders.iter().zip(&mut before) {
            let now = arrived(sender);
            if now == *before {
                state.stalls.fetch_add(1, Relaxed);
                (0..window).for_each(|_| state.send_one(*sender));
            }
            *before = now;
        }
    }
}
