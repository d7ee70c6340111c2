//! Real Redis servers on this machine, with sentinels where they are several. The program is `redis-server`, or what `RINGWAY_REDIS_SERVER`
//! names; `./scripts/setup tests` installs it.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::outside::{self, free_port};

/// The variable that names the program.
const PROGRAM: &str = "RINGWAY_REDIS_SERVER";

/// Until servers have found one another, and between two looks.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(50);

/// What all servers are told first.
const SETTINGS: [&str; 4] = ["appendonly yes", "appendfsync always", "save \"\"", "repl-diskless-sync-delay 0"];

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
    scheme: &'static str,
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

    /// One server that speaks TLS alone, and asks for a certificate of this authority.
    ///
    /// # Panics
    /// If there is no program to start.
    pub fn with_tls(certificate: &Path, key: &Path, authority: &Path) -> Self {
        let path = |path: &Path| path.to_str().expect("a path of this machine").to_owned();
        let files = [("tls-cert-file", certificate), ("tls-key-file", key), ("tls-ca-cert-file", authority)];
        let lines = files.map(|(name, file)| format!("{name} {}", path(file)));
        let port = free_port();
        let place = [format!("tls-port {port}"), "port 0".to_owned(), "tls-auth-clients yes".to_owned()];
        let lines: Vec<&str> = lines.iter().chain(&place).map(String::as_str).collect();
        let mut all = Self::alone(&lines);
        (all.servers[0].port, all.servers[0].scheme) = (port, "rediss");
        all
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
            let mut lines: Vec<String> = SETTINGS.iter().chain(lines).map(|&line| line.to_owned()).collect();
            lines.extend(all.servers.first().map(|first| format!("replicaof 127.0.0.1 {}", first.port)));
            all.servers.push(Server {
                name: format!("redis-{at}"),
                scheme: "redis",
                port: free_port(),
                lines,
                running: None,
            });
            all.run(at);
        }
        if sentinels > 0 {
            // A sentinel asks a server for its replicas at the start, and then only every 10 s.
            let replicas = format!("connected_slaves:{}", count - 1);
            all.servers[0].wait_for("INFO replication", &[&replicas]);
        }
        for at in 0..sentinels {
            let (name, port, first) = (format!("sentinel-{at}"), free_port(), all.servers[0].port);
            let lines = vec![
                format!("sentinel monitor {WATCHED} 127.0.0.1 {first} 2"),
                format!("sentinel down-after-milliseconds {WATCHED} 1000"),
                format!("sentinel failover-timeout {WATCHED} 5000"),
            ];
            let mut sentinel = Server { name, scheme: "redis", port, lines, running: None };
            sentinel.run(&all.folder, &["--sentinel"]);
            all.sentinels.push(sentinel);
        }
        // Before they know one another, none of them can have another server take over.
        let known = format!("slaves={},sentinels={sentinels}", count - 1);
        all.sentinels.iter().for_each(|sentinel| sentinel.wait_for("INFO sentinel", &["status=ok", &known]));
        all
    }

    /// Starts one that was killed, with what it kept.
    ///
    /// # Panics
    /// If there is no program to start.
    pub fn run(&mut self, at: usize) {
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

    /// What one answers to a command, as it says it; nothing if it is away.
    pub fn ask(&self, at: usize, command: &str) -> String {
        self.servers[at].ask(command).unwrap_or_default()
    }
}

impl Server {
    fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.port)
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

    /// Until an answer has all of these.
    fn wait_for(&self, command: &str, parts: &[&str]) {
        let end = Instant::now() + PATIENCE;
        let mut last = String::new();
        while Instant::now() < end {
            last = self.ask(command).unwrap_or_default();
            if parts.iter().all(|part| last.contains(part)) {
                return;
            }
            std::thread::sleep(LOOK);
        }
        panic!("{} does not say {parts:?} within {PATIENCE:?}: {last}", self.name);
    }

    fn ask(&self, command: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        // Whoever says no more is answered all the same, and then the server has said all.
        write!(stream, "{command}\r\n")?;
        stream.shutdown(Shutdown::Write)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    fn kill(&mut self) {
        outside::kill(&mut self.running);
    }
}

impl Drop for RedisServers {
    fn drop(&mut self) {
        self.sentinels.iter_mut().chain(&mut self.servers).for_each(Server::kill);
    }
}
