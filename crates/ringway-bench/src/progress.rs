//! Progress on stderr: one line that is written over, and only when a person is looking.

use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Often enough to look alive, seldom enough to cost nothing.
const EVERY: Duration = Duration::from_millis(200);

/// Where a run tells how far it is. Silent when stderr is no terminal, or when asked to be.
#[derive(Debug)]
pub struct Progress {
    /// When the next line may be written; none when silent.
    next: Option<Mutex<Instant>>,
}

impl Progress {
    /// Speaks if stderr is a terminal.
    pub fn new() -> Self {
        Self { next: std::io::stderr().is_terminal().then(|| Mutex::new(Instant::now())) }
    }

    /// Says `line()`, unless the last one is too fresh.
    pub fn say(&self, line: impl FnOnce() -> String) {
        let Some(next) = &self.next else { return };
        let Ok(mut next) = next.try_lock() else { return };
        let now = Instant::now();
        if now >= *next {
            *next = now + EVERY;
            // Nobody is served by failing over a progress line.
            let _ = write!(std::io::stderr(), "\r\x1b[K{}", line());
        }
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.next.is_some() {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
