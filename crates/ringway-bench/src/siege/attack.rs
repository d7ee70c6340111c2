//! One load under way: a thread with a runtime of its own and a low priority, which is dropped with everything that it holds.

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use anyhow::Context;
use tokio::sync::oneshot;

use super::field::Field;
use super::load::Load;
use super::loads;
use super::party::{Done, Party, Tally};

/// Of the kernel's scheduler: a tenth of what a thread of the usual priority gets where both want a processor.
const NICENESS: i32 = 10;

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
                    () = loads::run(load, party) => {}
                    _ = stopped => {}
                }
            });
        };
        let thread = thread::Builder::new().name("attack".to_owned()).spawn(run).context("no thread for the load")?;
        Ok(Self { tally, stop, thread })
    }

    pub(super) fn tally(&self) -> Done {
        self.tally.done()
    }

    /// Lets everything go.
    pub(super) async fn end(self) {
        let Self { stop, thread, .. } = self;
        // It may have ended by itself.
        let _ = stop.send(());
        let _ = tokio::task::spawn_blocking(move || thread.join()).await;
    }
}
