//! The thread that children are started from.
//!
//! Linux sends the parent-death signal when the *thread* that started a child ends, not only when its process does. A
//! runtime's own threads come and go, so children are started from one thread that lives as long as this value.

use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// Starts that wait. The keeper gives them one by one.
const JOBS: usize = 1;

/// Way to the thread. Dropped, the thread ends, and with it every child that tied itself to its parent.
#[derive(Debug)]
pub(super) struct Spawner(SyncSender<Job>);

struct Job {
    command: Command,
    answer: oneshot::Sender<io::Result<Child>>,
}

impl Spawner {
    /// Starts the thread. Children are waited for by the runtime of `runtime`.
    pub(super) fn new(runtime: Handle) -> io::Result<Self> {
        let (jobs, inbox) = sync_channel::<Job>(JOBS);
        thread::Builder::new().name("ringway-spawner".to_owned()).spawn(move || {
            let _inside = runtime.enter();
            for mut job in inbox {
                let _nobody_waits = job.answer.send(job.command.spawn());
            }
        })?;
        Ok(Self(jobs))
    }

    /// Starts a child from the thread. `None`: the thread is gone.
    pub(super) async fn spawn(&self, command: Command) -> Option<io::Result<Child>> {
        let (answer, answered) = oneshot::channel();
        // The queue is empty: the keeper waits for each answer before the next start.
        self.0.try_send(Job { command, answer }).ok()?;
        answered.await.ok()
    }
}
