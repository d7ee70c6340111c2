//! A child's tie to the process that started it: when that one is gone, however it went, the child goes too.
//!
//! The kernel does it (a parent-death signal), so it reaches frozen children as well. It is called at the very start of
//! the child, on its first thread, before the runtime.

use nix::unistd::getppid;

/// Environment variable that names the parent to a child.
pub const PARENT_PID: &str = "RINGWAY_PARENT_PID";

/// Why a child may not go on.
#[derive(Debug, thiserror::Error)]
pub enum LifelineError {
    /// The variable is there and is no number.
    #[error(
        "{PARENT_PID} is {0:?}, which is no process id. It is set by the process that starts nodes; unset it for a node of your own"
    )]
    NoNumber(String),
    /// The parent ended before the tie was made.
    #[error("the process {0} that started this node is gone")]
    Orphan(String),
    /// The system refused.
    #[error("cannot ask the system to end this node with its parent: {0}")]
    System(nix::Error),
}

/// Ties this process to its parent, if the environment names one.
///
/// # Errors
/// [`LifelineError`]; the process must end.
pub fn tie_to_parent() -> Result<(), LifelineError> {
    match std::env::var(PARENT_PID) {
        Ok(parent) => tie_to(&parent),
        Err(_) => Ok(()),
    }
}

fn tie_to(parent: &str) -> Result<(), LifelineError> {
    let pid: i32 = parent.parse().map_err(|_| LifelineError::NoNumber(parent.to_owned()))?;
    ask_for_signal()?;
    // The parent may have ended before the request: then somebody else is the parent by now, and no signal will come.
    if getppid().as_raw() == pid { Ok(()) } else { Err(LifelineError::Orphan(parent.to_owned())) }
}

#[cfg(target_os = "linux")]
fn ask_for_signal() -> Result<(), LifelineError> {
    nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL).map_err(LifelineError::System)
}

/// Elsewhere there is no such signal: children of a parent that was killed stay until they are ended by hand.
#[cfg(not(target_os = "linux"))]
fn ask_for_signal() -> Result<(), LifelineError> {
    Ok(())
}
