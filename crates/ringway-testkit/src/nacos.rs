//! A real Nacos for tests: the server at `NACOS_ADDR` (`host:port`), or one of our own, whose program `RINGWAY_NACOS_SERVER` names;
//! `./scripts/setup nacos` builds one as `target/tools/bin/rnacos`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use hyper::Method;
use serde_json::Value;
use tempfile::TempDir;

use crate::eventually_ok;
use crate::http;
use crate::outside::{self, free_port};

/// How often a server is started until it comes up whole.
const STARTS: usize = 5;

/// The variable that names the program.
const PROGRAM: &str = "RINGWAY_NACOS_SERVER";

/// The variable that names a server which is there.
const ADDRESS: &str = "NACOS_ADDR";

/// A server serves within this.
const SOON: Duration = Duration::from_secs(30);

/// The first user of a server of our own.
pub const USER: (&str, &str) = ("admin", "a-password-for-tests");

/// A server on this machine, with a folder of its own, which outlives its process. It ends with this value.
#[derive(Debug)]
pub struct NacosServer {
    folder: TempDir,
    port: u16,
    with_users: bool,
    running: Option<Child>,
}

/// The address of a server that somebody else has started, if there is one.
pub fn nacos_elsewhere() -> Option<String> {
    std::env::var(ADDRESS).ok().filter(|address| !address.is_empty())
}

impl NacosServer {
    /// Starts one that anybody may use, and waits until it serves.
    ///
    /// # Panics
    /// There is no program to start, or it does not serve.
    pub async fn start() -> Self {
        Self::started(false).await
    }

    /// Starts one that only [`USER`] may use.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub async fn start_with_users() -> Self {
        Self::started(true).await
    }

    async fn started(with_users: bool) -> Self {
        // The port for gRPC is 1,000 above the one for HTTP, and the console's is another one.
        let port = loop {
            let port = free_port();
            let is_free = |port: u16| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
            if port < 60_000 && is_free(port + 1000) && is_free(port + 2000) {
                break port;
            }
        };
        let mut server = Self { folder: tempfile::tempdir().expect("a folder"), port, with_users, running: None };
        server.run();
        // Now and then a server comes up without the part that knows its users, and stays so. Another start mends it.
        for _ in 0..STARTS {
            if server.comes_up().await == Came::Whole {
                return server;
            }
            server.kill();
            server.run();
        }
        panic!("it came up without its users {STARTS} times")
    }

    /// Starts it again after it was killed.
    ///
    /// # Panics
    /// There is no program to start.
    pub fn run(&mut self) {
        let program = std::env::var_os(PROGRAM).map(PathBuf::from);
        let program = program.unwrap_or_else(|| {
            panic!("{PROGRAM} must name the rnacos program: ./scripts/setup nacos builds one as target/tools/bin/rnacos; or {ADDRESS} a server")
        });
        let log = std::fs::File::create(self.folder.path().join("log")).expect("a log");
        let mut command = Command::new(program);
        command.current_dir(self.folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        for (name, value) in [
            ("RNACOS_HTTP_PORT", self.port.to_string()),
            ("RNACOS_GRPC_PORT", (self.port + 1000).to_string()),
            ("RNACOS_HTTP_CONSOLE_PORT", (self.port + 2000).to_string()),
            ("RNACOS_DATA_DIR", self.folder.path().join("data").display().to_string()),
            ("RNACOS_RAFT_NODE_ADDR", format!("127.0.0.1:{}", self.port + 1000)),
            ("RNACOS_ENABLE_OPEN_API_AUTH", self.with_users.to_string()),
            ("RNACOS_INIT_ADMIN_USERNAME", USER.0.to_owned()),
            ("RNACOS_INIT_ADMIN_PASSWORD", USER.1.to_owned()),
            ("RUST_LOG", "warn".to_owned()),
        ] {
            command.env(name, value);
        }
        self.running = Some(command.spawn().expect("the program starts"));
    }

    /// Waits until it serves.
    ///
    /// # Panics
    /// It does not.
    pub async fn serves(&self) {
        assert_eq!(self.comes_up().await, Came::Whole);
    }

    async fn comes_up(&self) -> Came {
        let address: SocketAddr = self.address().parse().expect("an address");
        // Its first user is there some time after its port.
        let (user, password) = USER;
        let path = match self.with_users {
            true => format!("/nacos/v1/auth/login?username={user}&password={password}"),
            false => "/nacos/v1/ns/service/list?pageNo=1&pageSize=1".to_owned(),
        };
        let method = if self.with_users { Method::POST } else { Method::GET };
        eventually_ok(SOON, || async {
            let mut connection = http::Connection::open(address).await?;
            let answer = connection.request(method.clone(), &path, &[], Bytes::new()).await?;
            if answer.body.starts_with(b"Mailbox has closed") {
                return Ok(Came::WithoutUsers);
            }
            anyhow::ensure!(answer.status == 200, "{answer:?}");
            Ok(Came::Whole)
        })
        .await
    }

    /// `kill -9`.
    ///
    /// # Panics
    /// The system does not let us.
    pub fn kill(&mut self) {
        outside::kill(&mut self.running);
    }

    /// `host:port` of HTTP.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

/// How a server came up.
#[derive(Debug, PartialEq, Eq)]
enum Came {
    Whole,
    WithoutUsers,
}

impl Drop for NacosServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What people do in the console of a server that anybody may use.
#[derive(Debug)]
pub struct NacosConsole {
    address: SocketAddr,
    service: String,
    /// Where instances were when they were listed: not every server lists one that is offline.
    seen: Mutex<BTreeMap<String, Value>>,
}

impl NacosConsole {
    /// Of one service of the server at this address.
    ///
    /// # Panics
    /// It is no address.
    pub fn new(address: &str, service: &str) -> Self {
        let address = address.parse().expect("an address as in 127.0.0.1:8848");
        Self { address, service: service.to_owned(), seen: Mutex::default() }
    }

    /// Changes the instance of a member: `enabled=false`, `weight=2`.
    ///
    /// # Errors
    /// There is none, or the server does not answer.
    pub async fn set(&self, id: &str, what: &str) -> anyhow::Result<()> {
        let listed = self.instance(id).await;
        let seen = self.seen.lock().expect("nobody panics with it").get(id).cloned();
        let instance = listed.or_else(|why| seen.ok_or(why))?;
        let (ip, port) = (instance["ip"].as_str().unwrap_or_default(), &instance["port"]);
        let weight = if what.starts_with("weight") { String::new() } else { format!("&weight={}", instance["weight"]) };
        let path = format!(
            "/nacos/v1/ns/instance?serviceName={}&ip={ip}&port={port}&ephemeral=true&clusterName=DEFAULT{weight}&{what}",
            self.service
        );
        let mut connection = http::Connection::open(self.address).await?;
        let answer = connection.request(Method::PUT, &path, &[], Bytes::new()).await?;
        anyhow::ensure!(answer.status == 200, "{answer:?}");
        Ok(())
    }

    /// The instance of a member that is not offline.
    ///
    /// # Errors
    /// There is none, or the server does not answer.
    pub async fn instance(&self, id: &str) -> anyhow::Result<Value> {
        let path = format!("/nacos/v1/ns/instance/list?serviceName={}", self.service);
        let all: Value = http::get(self.address, &path, &[]).await?.json()?;
        let listed = all["hosts"].as_array().into_iter().flatten().find(|one| one["metadata"]["id"] == id);
        let listed = listed.cloned().ok_or_else(|| anyhow::anyhow!("{id} is not among {all}"))?;
        self.seen.lock().expect("nobody panics with it").insert(id.to_owned(), listed.clone());
        Ok(listed)
    }
}
