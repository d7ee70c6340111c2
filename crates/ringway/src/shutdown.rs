//! How a process is asked to end: the first SIGINT or SIGTERM lets it finish, the second ends it at once.

use std::future::Future;
use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{info, warn};

use crate::telemetry;

/// Exit code when a second signal did not let the process finish: 128 + SIGINT, as shells have it.
const AT_ONCE: i32 = 130;

/// The signals of this process, from now on.
#[derive(Debug)]
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Takes SIGINT and SIGTERM over from their default, which ends the process. Needs a running Tokio runtime.
    ///
    /// # Errors
    /// The system refuses.
    pub fn take() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for the next one and names it.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }

    /// Finishes what is to be finished; another signal ends the process at once.
    pub async fn finish<T>(&mut self, rest: impl Future<Output = T>) -> T {
        tokio::select! {
            done = rest => done,
            name = self.next() => {
                warn!(signal = %name, "asked again: ending at once");
                telemetry::finish();
                std::process::exit(AT_ONCE)
            }
        }
    }

    /// Waits for the first one.
    pub async fn first(&mut self) {
        let name = self.next().await;
        info!(signal = %name, "asked to end; once more ends at once");
    }
}
