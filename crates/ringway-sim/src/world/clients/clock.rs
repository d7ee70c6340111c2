//! The time of day in the world: what plain clients are told with every message.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ringway_hub::WallClock;

/// A clock of one gateway, which shows the world's time.
#[derive(Debug)]
pub(crate) struct SimClock {
    /// Seconds since the run began.
    seconds: Arc<AtomicU64>,
    shown: Option<u64>,
    text: String,
}

impl SimClock {
    pub(crate) fn new(seconds: Arc<AtomicU64>) -> Self {
        Self { seconds, shown: None, text: String::new() }
    }
}

impl WallClock for SimClock {
    fn text(&mut self) -> &str {
        let now = self.seconds.load(Ordering::Relaxed);
        if self.shown != Some(now) {
            self.shown = Some(now);
            self.text = format!("2026-01-02 {:02}:{:02}:{:02}", 12 + now / 3600, now / 60 % 60, now % 60);
        }
        &self.text
    }
}
