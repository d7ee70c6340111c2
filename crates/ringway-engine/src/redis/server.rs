//! What a server says of itself, and what follows from it for what is kept there.

use std::collections::HashMap;
use std::fmt;

use redis::aio::MultiplexedConnection;
use redis::{RedisResult, cmd};

/// A server, as it was when a connection was made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Server {
    /// What it calls itself: `redis`, `valkey`.
    pub kind: String,
    /// Its version.
    pub version: String,
    /// The first two numbers of it; zeros where they cannot be read.
    pub version_number: (u64, u64),
    /// Names this run of it.
    pub run: String,
    /// It takes writes.
    pub is_master: bool,
    /// It was a replica once, and took over.
    pub was_promoted: bool,
    /// Replicas that are connected to it.
    pub replicas: usize,
    /// It writes an append-only file.
    pub appends: bool,
    /// When that is on the disk: `always`, `everysec`, `no`. `None`: it does not say.
    pub fsync: Option<String>,
    /// What it drops when its memory is full; `noeviction`: nothing.
    pub policy: Option<String>,
    /// Most bytes of memory; 0: no limit.
    pub max_memory: u64,
    /// Bytes of memory that it uses.
    pub memory: u64,
    /// Replicas without which it takes no writes.
    pub min_replicas: Option<usize>,
}

impl Server {
    /// Asks. What an account may not ask for stays open.
    ///
    /// # Errors
    /// The connection has ended, or the account may not even ask for `INFO`.
    pub(super) async fn ask(connection: &mut MultiplexedConnection) -> RedisResult<Self> {
        let info: String = cmd("INFO").query_async(connection).await?;
        let mut server = Self::of(&info);
        let settings: HashMap<String, String> = cmd("CONFIG")
            .arg("GET")
            .arg(&["appendfsync", "min-replicas-to-write"])
            .query_async(connection)
            .await
            .unwrap_or_default();
        server.fsync = settings.get("appendfsync").cloned();
        server.min_replicas = settings.get("min-replicas-to-write").and_then(|count| count.parse().ok());
        Ok(server)
    }

    /// Bytes of memory that a server uses, and may use, as it says.
    pub(super) fn memory_in(info: &str) -> (u64, u64) {
        let server = Self::of(info);
        (server.memory, server.max_memory)
    }

    fn of(info: &str) -> Self {
        let facts: HashMap<&str, &str> = info.lines().filter_map(|line| line.trim_end().split_once(':')).collect();
        let text = |key: &str| facts.get(key).copied().unwrap_or_default().to_owned();
        let number = |key: &str| facts.get(key).and_then(|value| value.parse().ok()).unwrap_or_default();
        let is_valkey = facts.contains_key("valkey_version");
        let version = text(if is_valkey { "valkey_version" } else { "redis_version" });
        let mut numbers = version.split('.').map(|part| part.parse().unwrap_or(0));
        let earlier = text("master_replid2");
        Self {
            kind: if is_valkey { "valkey" } else { "redis" }.to_owned(),
            version_number: (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)),
            run: text("run_id"),
            is_master: text("role") == "master",
            was_promoted: earlier.bytes().any(|byte| byte != b'0'),
            replicas: number("connected_slaves") as usize,
            appends: text("aof_enabled") == "1",
            fsync: None,
            policy: facts.get("maxmemory_policy").map(|&policy| policy.to_owned()),
            max_memory: number("maxmemory"),
            memory: number("used_memory"),
            min_replicas: None,
            version,
        }
    }

    /// Another run of this server, or a replica of it, has everything that was answered: it takes all of it from its disk.
    pub fn keeps_all(&self) -> bool {
        self.appends && self.fsync.as_deref() == Some("always") && !self.was_promoted
    }

    /// When what is written is on the disk.
    pub fn persistence(&self) -> Persistence<'_> {
        Persistence(self)
    }

    /// What somebody should know who keeps a registry or a log here, `replicas` of which must have a write.
    pub fn cautions(&self, replicas: usize) -> Vec<String> {
        let mut all = Vec::new();
        if !self.appends {
            all.push("this Redis writes no append-only file: a restart of it loses what it has answered for, and channels in the log with it. Set appendonly yes there".to_owned());
        } else if let Some(fsync) = self.fsync.as_deref().filter(|fsync| *fsync != "always") {
            all.push(format!("this Redis answers before what it wrote is on the disk (appendfsync {fsync}): a power cut loses the last of it. Set appendfsync always there, if that is too much"));
        }
        if self.replicas > 0 && replicas == 0 {
            all.push("this Redis answers before a replica has what it wrote: a replica that takes over has lost the last of it. Set [redis] replicas = 1".to_owned());
        }
        if self.replicas < replicas {
            all.push(format!("this Redis has {} of the {replicas} replicas that [redis] replicas asks for: no write counts until they are there", self.replicas));
        }
        all
    }
}

/// In words.
#[derive(Debug)]
pub struct Persistence<'a>(&'a Server);

impl fmt::Display for Persistence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.appends, self.0.fsync.as_deref()) {
            (false, _) => f.write_str("no append-only file"),
            (true, None) => f.write_str("an append-only file, synced nobody may say when"),
            (true, Some(fsync)) => write!(f, "an append-only file, appendfsync {fsync}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: &str = "# Server\r\nredis_version:7.0.15\r\nrun_id:abc\r\n# Memory\r\nused_memory:5\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\n# Persistence\r\naof_enabled:1\r\n# Replication\r\nrole:master\r\nconnected_slaves:2\r\nmaster_replid2:0000\r\n";

    #[test]
    fn a_server_says_what_it_is() {
        let server = Server::of(INFO);
        assert_eq!((server.kind.as_str(), server.version_number, server.run.as_str()), ("redis", (7, 0), "abc"));
        assert_eq!((server.is_master, server.replicas, server.was_promoted), (true, 2, false));
        let valkey = Server::of(&INFO.replace("run_id", "valkey_version:8.1.3\r\nrun_id").replace(":0000", ":12ab"));
        assert_eq!((valkey.kind.as_str(), valkey.version_number, valkey.was_promoted), ("valkey", (8, 1), true));
    }

    #[test]
    fn only_a_server_that_syncs_first_has_everything_after_a_restart() {
        let with = |fsync: Option<&str>| Server { fsync: fsync.map(str::to_owned), ..Server::of(INFO) };
        assert!(with(Some("always")).keeps_all());
        assert!(!with(Some("everysec")).keeps_all());
        assert!(!with(None).keeps_all(), "nobody knows");
        assert!(!Server { was_promoted: true, ..with(Some("always")) }.keeps_all());
        assert_eq!(with(Some("always")).cautions(1), Vec::<String>::new());
        assert_eq!(with(Some("everysec")).cautions(0).len(), 2);
        assert!(with(Some("always")).cautions(3)[0].contains("2 of the 3"));
    }
}
