//! What an orchestrator needs of whatever really runs members: child processes today, containers later.

use std::future::Future;
use std::io;
use std::path::PathBuf;

use ringway_core::MemberId;

use super::Kind;
use super::cut::LinkFault;

/// What can be sent to a running unit. Named after the POSIX signals that a process driver sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnitSignal {
    /// SIGTERM.
    Terminate,
    /// SIGKILL.
    Kill,
    /// SIGSTOP.
    Freeze,
    /// SIGCONT.
    Thaw,
    /// Cut links or make them slow, for a test.
    Fault(LinkFault),
}

/// Why a driver could not do what it was asked for. Nothing was started or signalled.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// The program could not be started.
    #[error("cannot start {}: {why}. Check that the file is there and may be executed, and that the machine has memory and processes left", program.display())]
    Start {
        /// Which program.
        program: PathBuf,
        /// What the system said.
        why: io::Error,
    },
    /// The log file could not be opened.
    #[error("cannot write the log {}: {why}. Check the directory's permissions and the free space", path.display())]
    Log {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        why: io::Error,
    },
    /// The order could not be delivered.
    #[error("cannot signal process {pid}: {why}")]
    Signal {
        /// Which process.
        pid: u32,
        /// What the system said.
        why: io::Error,
    },
    /// The process ended before the order reached it.
    #[error("the process has just ended; look at the members")]
    Gone,
    /// The driver's own thread is gone.
    #[error("the process that starts nodes is ending")]
    Ending,
}

/// Starts units.
pub trait Driver: Send + 'static {
    /// A unit that it started.
    type Running: Running;

    /// Starts a member of this id and kind. Returns when its process exists; joining is its own work.
    fn start(&mut self, id: &MemberId, kind: Kind) -> impl Future<Output = Result<Self::Running, DriverError>> + Send;
}

/// A unit from its start to its end. Dropping it kills it.
pub trait Running: Send + 'static {
    /// Its process.
    fn pid(&self) -> u32;

    /// Sends it an order.
    ///
    /// # Errors
    /// [`DriverError::Gone`] once it has ended, [`DriverError::Signal`] if the system refuses.
    fn order(&mut self, order: UnitSignal) -> impl Future<Output = Result<(), DriverError>> + Send;

    /// Waits for its end and says how it came, in words: "exit code 1", "signal 9". May be dropped and called again.
    fn ended(&mut self) -> impl Future<Output = String> + Send;
}
