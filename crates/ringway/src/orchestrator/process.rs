//! The `process` driver: members as child processes of this one.
//!
//! Each child is in a process group of its own, so that Ctrl-C in a terminal reaches the parent alone, which then ends
//! the children in order. Its output goes to a log file. Its secret travels in the environment, which other users cannot
//! read, never in its arguments, which they can.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ringway_core::MemberId;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, Command};
use tokio::runtime::Handle;

use super::Kind;
use super::driver::{Driver, DriverError, Running, UnitSignal};
use super::lifeline::PARENT_PID;
use super::spawner::Spawner;

/// What children may inherit of this process's own settings: the log filter. The rest would be taken for theirs.
const INHERITED: &str = "RINGWAY_LOG";

/// What every child is started with. A gateway is started with more: see [`GatewayLaunch`].
#[derive(Debug, Clone)]
pub struct Launch {
    /// The program.
    pub program: PathBuf,
    /// A node's arguments; `--id ID` follows them.
    pub arguments: Vec<OsString>,
    /// Added to every child's environment, secrets included.
    pub environment: Vec<(OsString, OsString)>,
    /// Directory for `ID.log`. Must exist.
    pub logs: PathBuf,
}

/// What is different where a gateway is started.
#[derive(Debug, Clone, Default)]
pub struct GatewayLaunch {
    /// Its arguments; `--id ID --port PORT` follows them.
    pub arguments: Vec<OsString>,
    /// Added to what every child gets.
    pub environment: Vec<(OsString, OsString)>,
}

impl Launch {
    /// Where a member's output goes.
    pub fn log_of(&self, id: &MemberId) -> PathBuf {
        self.logs.join(format!("{id}.log"))
    }
}

/// Starts children.
#[derive(Debug)]
pub struct ProcessDriver {
    launch: Launch,
    gateways: GatewayLaunch,
    spawner: Spawner,
}

impl ProcessDriver {
    /// A driver within the running Tokio runtime.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn new(launch: Launch) -> io::Result<Self> {
        Ok(Self { launch, gateways: GatewayLaunch::default(), spawner: Spawner::new(Handle::current())? })
    }

    /// The driver that can start gateways as well.
    #[must_use]
    pub fn with_gateways(self, gateways: GatewayLaunch) -> Self {
        Self { gateways, ..self }
    }

    fn command(&self, id: &MemberId, kind: Kind, log: File) -> io::Result<Command> {
        let mut command = Command::new(&self.launch.program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("RINGWAY_") && name != *INHERITED {
                command.env_remove(name);
            }
        }
        command.envs(self.launch.environment.iter().map(|(name, value)| (name, value)));
        match kind {
            Kind::Node => command.args(&self.launch.arguments).args(["--id", id.as_str()]),
            Kind::Gateway { port } => {
                command.envs(self.gateways.environment.iter().map(|(name, value)| (name, value)));
                command.args(&self.gateways.arguments).args(["--id", id.as_str(), "--port", &port.to_string()])
            }
        };
        command.env(PARENT_PID, std::process::id().to_string());
        command.stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log);
        command.process_group(0).kill_on_drop(true);
        Ok(command)
    }
}

impl Driver for ProcessDriver {
    type Running = ChildProcess;

    async fn start(&mut self, id: &MemberId, kind: Kind) -> Result<ChildProcess, DriverError> {
        let path = self.launch.log_of(id);
        let log = append_to(&path).map_err(|why| DriverError::Log { path: path.clone(), why })?;
        let failed = |why| DriverError::Start { program: self.launch.program.clone(), why };
        let command = self.command(id, kind, log).map_err(failed)?;
        let mut child = self.spawner.spawn(command).await.ok_or(DriverError::Ending)?.map_err(failed)?;
        let pid = child.id().ok_or(DriverError::Gone)?;
        let input = child.stdin.take();
        Ok(ChildProcess { child, input, pid })
    }
}

impl ChildProcess {
    /// Writes a line to its standard input.
    async fn tell(&mut self, line: &str) -> Result<(), DriverError> {
        let input = self.input.as_mut().ok_or(DriverError::Gone)?;
        input.write_all(format!("{line}\n").as_bytes()).await.map_err(|_| DriverError::Gone)
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

/// A child, until it was waited for.
#[derive(Debug)]
pub struct ChildProcess {
    child: Child,
    /// Kept here, for waiting closes what the child itself has.
    input: Option<ChildStdin>,
    pid: u32,
}

impl Running for ChildProcess {
    fn pid(&self) -> u32 {
        self.pid
    }

    async fn order(&mut self, order: UnitSignal) -> Result<(), DriverError> {
        // `None` once it was waited for: only then could its number belong to somebody else.
        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok()).ok_or(DriverError::Gone)?;
        let signal = match order {
            UnitSignal::Terminate => Signal::SIGTERM,
            UnitSignal::Kill => Signal::SIGKILL,
            UnitSignal::Freeze => Signal::SIGSTOP,
            UnitSignal::Thaw => Signal::SIGCONT,
            UnitSignal::Fault(fault) => return self.tell(&fault.to_string()).await,
        };
        kill(Pid::from_raw(pid), signal).map_err(|why| DriverError::Signal { pid: self.pid, why: why.into() })
    }

    async fn ended(&mut self) -> String {
        match self.child.wait().await {
            Ok(status) => in_words(status),
            Err(why) => format!("unknown: {why}"),
        }
    }
}

fn in_words(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => status.to_string(),
    }
}
