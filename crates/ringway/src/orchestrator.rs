//! Starts, stops, kills, freezes and removes nodes and gateways, and remembers what it started.
//!
//! One task owns the list of units (a unit is one member's process); an [`Orchestrator`] is the handle to it. How a unit
//! is really started is the [`Driver`]'s business. Nothing here knows the cluster: [`evidence`] carries what was seen
//! of an exit to those who decide.

pub mod cut;
pub mod driver;
pub mod evidence;
mod keeper;
pub mod lifeline;
pub mod process;
mod spawner;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ringway_core::MemberId;
use tokio::sync::{mpsc, oneshot, watch};

use cut::LinkFault;
use driver::{Driver, DriverError};
use keeper::Keeper;

/// Commands that wait. People give them one by one; above it the asker waits.
const COMMANDS: usize = 16;
/// Units that one orchestrator keeps, those that ended included; one more is refused. Each costs a process, so a machine gives
/// up long before.
const UNITS: usize = 256;
/// After `kill`, the exit is seen within milliseconds. Longer, and the process hangs in the kernel: the answer says so.
const EXIT_DEADLINE: Duration = Duration::from_secs(2);

/// What can be done to a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// SIGTERM: hand over and leave.
    Stop,
    /// Start one that ended, under the same id.
    Start,
    /// SIGKILL: no goodbye.
    Kill,
    /// SIGSTOP: alive, but silent.
    Freeze,
    /// SIGCONT: go on after a freeze.
    Thaw,
    /// Forget one that ended.
    Remove,
}

impl Operation {
    /// All of them with their names, as in the admin API and on the command line.
    pub const ALL: [(&'static str, Self); 6] = [
        ("stop", Self::Stop),
        ("start", Self::Start),
        ("kill", Self::Kill),
        ("freeze", Self::Freeze),
        ("thaw", Self::Thaw),
        ("remove", Self::Remove),
    ];
}

/// What a unit is started as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A node.
    Node,
    /// A gateway, always on this port for clients.
    Gateway {
        /// The port.
        port: u16,
    },
}

/// What is known of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// What it was started as, and is if it is started again.
    pub kind: Kind,
    /// Its process; 0 when it has none.
    pub pid: u32,
    /// What it is doing.
    pub condition: Condition,
    /// How its last process ended, in words; empty while the first one runs.
    pub ended: String,
}

/// What a unit's process is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// It runs.
    Running,
    /// It was asked to hand over and leave.
    Stopping,
    /// It is stopped by SIGSTOP.
    Frozen,
    /// It has no process.
    Ended,
}

/// All units by id.
pub type Units = BTreeMap<MemberId, Unit>;

/// Why an action was not carried out. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum OrchestratorError {
    /// There is no such unit.
    #[error("no member {0} was started here; see `ringway members` for those that were")]
    Unknown(MemberId),
    /// It means nothing in the unit's condition. Says what to do.
    #[error("{0}")]
    NotNow(String),
    /// The list is full.
    #[error("{UNITS} members are listed, which is the limit; remove some that are down")]
    Full,
    /// The driver could not do it.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// The task is gone: everything is being stopped.
    #[error("everything is being stopped; nothing can be started or changed any more")]
    Ending,
}

/// The handle. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Orchestrator {
    errands: mpsc::Sender<Errand>,
    units: watch::Receiver<Arc<Units>>,
}

/// What the handle asks the task for.
enum Errand {
    Add { taken: BTreeSet<MemberId>, answer: oneshot::Sender<Result<MemberId, OrchestratorError>> },
    Gateway { id: MemberId, port: u16, answer: oneshot::Sender<Result<(), OrchestratorError>> },
    Next { taken: BTreeSet<MemberId>, answer: oneshot::Sender<MemberId> },
    Fault { id: MemberId, fault: LinkFault, answer: oneshot::Sender<Result<(), OrchestratorError>> },
    Act { id: MemberId, action: Operation, answer: oneshot::Sender<Result<(), OrchestratorError>> },
    End { answer: oneshot::Sender<()> },
}

impl Orchestrator {
    /// Starts the task. Needs a running Tokio runtime.
    pub fn new(driver: impl Driver) -> Self {
        let (errands, inbox) = mpsc::channel(COMMANDS);
        let (publish, units) = watch::channel(Arc::default());
        tokio::spawn(Keeper::new(driver, publish).run(inbox));
        Self { errands, units }
    }

    /// All units as they are.
    pub fn units(&self) -> Arc<Units> {
        self.units.borrow().clone()
    }

    /// A receiver of its own, to wait for changes with.
    pub fn watch(&self) -> watch::Receiver<Arc<Units>> {
        self.units.clone()
    }

    /// Starts one more node under an id that was never used before and is not among `taken`. Answers when its process runs.
    ///
    /// # Errors
    /// [`OrchestratorError`].
    pub async fn add(&self, taken: BTreeSet<MemberId>) -> Result<MemberId, OrchestratorError> {
        self.ask(|answer| Errand::Add { taken, answer }).await?
    }

    /// Starts a gateway of this id, which no unit has, with its clients' port. Answers when its process runs.
    ///
    /// # Errors
    /// [`OrchestratorError`].
    pub async fn start_gateway(&self, id: MemberId, port: u16) -> Result<(), OrchestratorError> {
        self.ask(|answer| Errand::Gateway { id, port, answer }).await?
    }

    /// The id that [`Orchestrator::add`] would give now.
    ///
    /// # Errors
    /// [`OrchestratorError::Ending`].
    pub async fn next_id(&self, taken: BTreeSet<MemberId>) -> Result<MemberId, OrchestratorError> {
        self.ask(|answer| Errand::Next { taken, answer }).await
    }

    /// Has a unit cut its links to another member, or make them slow. Answers when it is told.
    ///
    /// # Errors
    /// [`OrchestratorError`].
    pub async fn disturb(&self, id: &MemberId, fault: LinkFault) -> Result<(), OrchestratorError> {
        self.ask(|answer| Errand::Fault { id: id.clone(), fault, answer }).await?
    }

    /// Does something to a unit. Answers when it is carried out, or for `Stop` under way.
    ///
    /// # Errors
    /// [`OrchestratorError`].
    pub async fn act(&self, id: &MemberId, action: Operation) -> Result<(), OrchestratorError> {
        self.ask(|answer| Errand::Act { id: id.clone(), action, answer }).await??;
        if action == Operation::Kill && !self.wait_for_exit(id).await {
            return Err(OrchestratorError::NotNow(format!(
                "{id} was sent SIGKILL and has not ended yet; look again in a moment"
            )));
        }
        Ok(())
    }

    /// Kills every unit and waits until all have ended. Nothing can be started afterwards.
    pub async fn end(&self) {
        let _ended = self.ask(|answer| Errand::End { answer }).await;
    }

    async fn wait_for_exit(&self, id: &MemberId) -> bool {
        let mut units = self.watch();
        let ended = units.wait_for(|units| units.get(id).is_none_or(|unit| unit.condition == Condition::Ended));
        matches!(tokio::time::timeout(EXIT_DEADLINE, ended).await, Ok(Ok(_)))
    }

    async fn ask<T>(&self, errand: impl FnOnce(oneshot::Sender<T>) -> Errand) -> Result<T, OrchestratorError> {
        let (answer, answered) = oneshot::channel();
        self.errands.send(errand(answer)).await.map_err(|_| OrchestratorError::Ending)?;
        answered.await.map_err(|_| OrchestratorError::Ending)
    }
}

#[cfg(test)]
mod tests;
