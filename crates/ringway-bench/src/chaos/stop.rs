//! Ctrl-C (or SIGTERM) ends the faults, and what follows is measured to its end; the second one ends the process, and with it all it has started.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// 128 + SIGINT, as shells have it.
const AT_ONCE: i32 = 130;

/// Tells whether the run shall end.
#[derive(Debug, Clone)]
pub(super) struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Listens from now on.
    pub(super) fn on_signals() -> Self {
        let (sender, receiver) = watch::channel(false);
        tokio::spawn(async move {
            let (Ok(mut interrupt), Ok(mut terminate)) =
                (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
            else {
                return;
            };
            for count in 0.. {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                    () = sender.closed() => return,
                }
                if count > 0 {
                    std::process::exit(AT_ONCE);
                }
                super::tell("no more faults; waiting for what is under way (once more quits at once)");
                sender.send_replace(true);
            }
        });
        Self(receiver)
    }

    /// Whether it has come.
    pub(super) fn came(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits for it.
    pub(super) async fn wait(&self) {
        if self.0.clone().wait_for(|came| *came).await.is_err() {
            // Nobody listens: nothing will come.
            std::future::pending::<()>().await;
        }
    }
}
