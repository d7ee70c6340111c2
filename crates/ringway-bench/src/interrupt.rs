//! Ctrl-C ends a measurement early; what was measured so far is still reported.

use std::time::Duration;

use tokio::sync::watch;

/// Tells whether the run shall end early.
#[derive(Debug, Clone)]
pub(crate) struct Interrupt(watch::Receiver<bool>);

impl Interrupt {
    /// Listens for Ctrl-C from now on.
    pub(crate) fn on_ctrl_c() -> Self {
        let (sender, receiver) = watch::channel(false);
        tokio::spawn(async move {
            tokio::select! {
                Ok(()) = tokio::signal::ctrl_c() => drop(sender.send(true)),
                () = sender.closed() => {}
            }
        });
        Self(receiver)
    }

    /// Whether it has come.
    pub(crate) fn came(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits for it.
    pub(crate) async fn wait(&self) {
        let came = self.0.clone().wait_for(|came| *came).await.is_ok();
        if !came {
            // The listener is gone with its runtime; nothing will come.
            std::future::pending::<()>().await;
        }
    }

    /// Sleeps for `time`, or less if it comes.
    pub(crate) async fn sleep(&self, time: Duration) {
        // Which of the two it was is asked by those who care.
        let _ = tokio::time::timeout(time, self.wait()).await;
    }
}
