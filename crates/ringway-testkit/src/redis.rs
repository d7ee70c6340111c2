//! Real Redis servers on this machine, with sentinels where they are several. The program is `redis-server`, or what `RINGWAY_REDIS_SERVER`
//! names; `./scripts/setup tests` installs it.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::nats::free_port;

/// The variable that names the program.
const PROGRAM: &str = "RINGWAY_REDIS_SERVER";

/// The name under which sentinels watch the servers.
pub const WATCHED: &str = "ringway";

/// Servers with a folder of their own, which outlives their processes: the first takes writes, the others are its replicas. They end with
/// this value.
#[derive(Debug)]
pub struct RedisServers {
    folder: TempDir,
    servers: Vec<Server>,
    sentinels: Vec<Server>,
}

#[derive(Debug)]
struct Server {
    name: String,
    port: u16,
    /// Settings beyond those that all have.
    lines: Vec<String>,
    running: Option<Child>,
}

impl RedisServers {
    /// One server, which syncs before it answers, with further lines of its file.
    ///
    /// # Panics
    /// If there is no program to start.
    pub fn alone(lines: &[&str]) -> Self {
        Self::start(1, 0, lines)
    }

    /// One server and its replicas, watched by three sentinels.
    ///
    /// # Panics
    /// If there is no program to start.
    pub fn watched(count: usize) -> Self {
        Self::start(count, 3, &[])
    }

    fn start(count: usize, sentinels: usize, lines: &[&str]) -> Self {
        let mut all =
            Self { folder: tempfile::tempdir().expect("a folder"), servers: Vec::new(), sentinels: Vec::new() };
        for at in 0..count {
            let mut lines: Vec<String> = lines.iter().map(|&line| line.to_owned()).collect();
            lines.extend(all.servers.first().map(|first| format!("replicaof 127.0.0.1 {}", first.port)));
            all.servers.push(Server { name: format!("redis-{at}"), port: free_port(), lines, running: None });
            all.run(at);
        }
        for at in 0..sentinels {
            let (name, port, first) = (format!("sentinel-{at}"), free_port(), all.servers[0].port);
            let lines = vec![
                format!("sentinel monitor {WATCHED} 127.0.0.1 {first} 2"),
                format!("sentinel down-after-milliseconds {WATCHED} 1000"),
                format!("sentinel failover-timeout {WATCHED} 5000"),
            ];
            let mut sentinel = Server { name, port, lines, running: None };
            sentinel.run(&all.folder, &["--sentinel"]);
            all.sentinels.push(sentinel);
        }
        all
    }

    /// Starts one that was killed, with what it kept.
    ///
    /// # Panics
    /// If there is no program to start.
    pub fn run(&mut self, at: usize) {
        let file = "appendonly yes\nappendfsync always\nsave \"\"\nrepl-diskless-sync-delay 0".to_owned();
        self.servers[at].lines.insert(0, file);
        self.servers[at].run(&self.folder, &[]);
    }

    /// `kill -9`.
    ///
    /// # Panics
    /// If the system does not let us.
    pub fn kill(&mut self, at: usize) {
        self.servers[at].kill();
    }

    /// Where they are.
    pub fn urls(&self) -> Vec<String> {
        self.servers.iter().map(Server::url).collect()
    }

    /// Where the sentinels are.
    pub fn sentinel_urls(&self) -> Vec<String> {
        self.sentinels.iter().map(Server::url).collect()
    }

    /// The port of one.
    pub fn port(&self, at: usize) -> u16 {
        self.servers[at].port
    }
}

impl Server {
    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// A server that was told to follow another one has that in its file, and a sentinel what it found out. So only the first start writes it.
    fn file(&self, folder: &TempDir) -> PathBuf {
        let (own, path) = (folder.path().join(&self.name), folder.path().join(format!("{}.conf", self.name)));
        if !path.exists() {
            std::fs::create_dir_all(&own).expect("a folder");
            let place = format!("bind 127.0.0.1\nport {}\ndir {}\n", self.port, own.display());
            std::fs::write(&path, place + &self.lines.join("\n") + "\n").expect("written");
        }
        path
    }

    fn run(&mut self, folder: &TempDir, arguments: &[&str]) {
        let program = std::env::var_os(PROGRAM).map_or_else(|| PathBuf::from("redis-server"), PathBuf::from);
        let log = std::fs::File::create(folder.path().join(format!("{}.log", self.name))).expect("a log");
        let mut command = Command::new(&program);
        command.arg(self.file(folder)).args(arguments).stdin(Stdio::null()).stdout(log);
        let child = command.spawn();
        self.running = Some(child.unwrap_or_else(|why| {
            panic!(
                "{} does not start ({why}): ./scripts/setup tests installs it, or {PROGRAM} names it",
                program.display()
            )
        }));
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.running.take() {
            child.kill().expect("a process of ours");
            child.wait().expect("it has ended");
        }
    }
}

impl Drop for RedisServers {
    fn drop(&mut self) {
        self.sentinels.iter_mut().chain(&mut self.servers).for_each(Server::kill);
    }
}
