//! A store in Redis, or in what speaks its protocol. Keys that share all but their last part are fields of one hash, with the number of the
//! write that each is of.
//!
//! | what | is |
//! |---|---|
//! | write, remove | a script, which compares and changes in one step |
//! | read | `HGET` |
//! | list | a script over one hash |
//! | life | which run of which server this is: a restart, or a replica that takes over, may have lost the last writes |
//!
//! Keys begin with `{ringway:<name>}`. The braces make them one slot where Redis is a cluster, so that a script may use several.

mod connection;
mod log;
mod mirror;
mod script;
mod server;
mod writer;

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use redis::{FromRedisValue as _, Value};
use tokio::sync::mpsc;
use tracing::{debug, info, warn};

use crate::store::{Away, Found, Refused, Store};
use connection::{Fault, Way};
use script::{LIST, REMOVE, WRITE};
use writer::Writer;

pub use connection::inspect;
pub use log::RedisLog;
pub use mirror::{Mirror, Online};
pub use server::Server;

/// Servers before this one lack scripts that replicate what they did, and a trim at an id.
pub const OLDEST_SERVER: (u64, u64) = (6, 2);

/// Leases nobody writes any more go after this: of lives that are long over.
const LEASES_KEPT: Duration = Duration::from_secs(600);

/// Notices that wait to be taken. One that finds no room is lost, as it may be anyway.
const NOTICES: usize = 16;

/// How to reach Redis. Secrets are shown by no `Debug`.
#[derive(Clone)]
pub struct Config {
    /// `redis://` or `rediss://` addresses: of servers, of which the one is used that takes writes; with `sentinel`, of sentinels.
    pub urls: Vec<String>,
    /// Name under which the sentinels watch the server.
    pub sentinel: Option<String>,
    /// What the sentinels ask for, if anything: user and password.
    pub sentinel_user: (Option<String>, Option<String>),
    /// Names the keys: one for each cluster that uses this server.
    pub name: String,
    /// A user of the access control list. Without one, the password is the default user's.
    pub user: Option<String>,
    /// Its password.
    pub password: Option<String>,
    /// Certificates of authorities to trust in place of the system's.
    pub ca: Option<PathBuf>,
    /// Files with a certificate and its key, to be shown to the server.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// Replicas that must have a write before it counts.
    pub replicas: usize,
    /// Longest time for one request.
    pub patience: Duration,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config")
            .field("urls", &self.urls)
            .field("sentinel", &self.sentinel)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Config {
    /// A key of this cluster.
    fn key(&self, what: &str) -> String {
        format!("{{ringway:{}}}:{what}", self.name)
    }
}

/// Why Redis cannot be used. Nothing was changed there.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No server that takes writes can be reached, or none lets us in.
    #[error(
        "cannot use Redis at {urls}: {why}. Is it running, is the address right, and do [redis] sentinel, user, password, ca, cert and key fit?"
    )]
    Connect {
        /// What was tried.
        urls: String,
        /// The client's words.
        why: String,
    },
    /// A file with a certificate or a key cannot be read.
    #[error("cannot use {}, which [redis] {setting} names: {why}", path.display())]
    Credentials {
        /// The setting that names it.
        setting: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        why: std::io::Error,
    },
    /// The server is too old.
    #[error("the Redis server at {urls} is version {version}; 6.2 or later is needed")]
    Version {
        /// What was tried.
        urls: String,
        /// What it says.
        version: String,
    },
    /// It may drop keys when its memory is full.
    #[error(
        "the Redis server at {urls} drops keys when its memory is full (maxmemory-policy {policy}): a member could lose its lease and the cluster its view. Set maxmemory-policy noeviction there"
    )]
    Evicts {
        /// What was tried.
        urls: String,
        /// Its policy.
        policy: String,
    },
}

/// The store.
#[derive(Debug, Clone)]
pub struct Redis {
    config: Config,
    way: Way,
    writer: Writer,
}

/// What others announce.
#[derive(Debug)]
pub struct Notices(mpsc::Receiver<Bytes>);

impl Notices {
    /// One after the other, until the store ends.
    pub fn into_stream(mut self) -> impl Stream<Item = Bytes> + Send + Unpin + 'static {
        stream::poll_fn(move |context| self.0.poll_recv(context))
    }
}

impl Redis {
    /// Connects, and looks at how the server is set up.
    ///
    /// # Errors
    /// [`OpenError`]
    pub async fn open(config: &Config) -> Result<(Self, Notices), OpenError> {
        let way = Way::open(config).await?;
        let writer = Writer::start(way.clone(), config);
        if let Ok(connected) = way.now() {
            let server = &connected.server;
            info!(version = %server.version, persistence = %server.persistence(), replicas = server.replicas, "the registry is in Redis");
            for caution in server.cautions(config.replicas) {
                warn!("{caution}");
            }
        }
        let (notices, taken) = mpsc::channel(NOTICES);
        tokio::spawn(listen(way.clone(), config.key("notice"), notices));
        Ok((Self { config: config.clone(), way, writer }, Notices(taken)))
    }

    /// The hash and the field of a key.
    fn place(&self, key: &str) -> (String, String) {
        let (hash, field) = key.rsplit_once('.').unwrap_or(("kept", key));
        (self.config.key(hash), field.to_owned())
    }
}

/// Hands notices on, from whichever server takes writes.
async fn listen(way: Way, channel: String, notices: mpsc::Sender<Bytes>) {
    while let Some(connected) = way.wait().await {
        let heard = async {
            let mut subscription = connected.client.get_async_pubsub().await?;
            subscription.subscribe(&channel).await?;
            let mut messages = subscription.on_message();
            while let Some(message) = messages.next().await {
                let _lost = notices.try_send(Bytes::copy_from_slice(message.get_payload_bytes()));
            }
            Ok::<(), redis::RedisError>(())
        };
        tokio::select! {
            ended = heard => {
                if let Err(why) = ended {
                    debug!(%why, "cannot listen for notices in Redis");
                }
                way.pause().await;
            }
            () = way.until_other_than(connected.number) => {}
            () = notices.closed() => return,
        }
    }
}

impl Store for Redis {
    async fn read(&self, key: &str) -> Result<Option<Found>, Away> {
        let (hash, field) = self.place(key);
        let found: Option<Vec<u8>> = self.way.ask(redis::cmd("HGET").arg(hash).arg(field)).await?;
        found.map(|found| found_in(&found)).transpose()
    }

    async fn list(&self, prefix: &str) -> Result<Vec<(String, u64)>, Away> {
        // Leases have their time; nothing else goes by itself.
        let kept = if prefix == "lease" { LEASES_KEPT.as_millis() as u64 } else { 0 };
        let mut command = LIST.call(&[&self.config.key(prefix)]);
        self.way.ask(command.arg(kept)).await
    }

    async fn write(&self, key: &str, at: Option<u64>, value: Bytes) -> Result<u64, Refused> {
        let (hash, field) = self.place(key);
        let mut command = WRITE.call(&[&hash, &self.config.key("revision")]);
        command.arg(field).arg(at.unwrap_or(0)).arg(&value[..]);
        match u64::from_redis_value(self.writer.write(command).await.map_err(refused)?) {
            Ok(0) => Err(Refused::Conflict),
            Ok(revision) => Ok(revision),
            Err(why) => Err(Refused::Away(why.to_string())),
        }
    }

    async fn remove(&self, key: &str, at: Option<u64>) -> Result<(), Refused> {
        let (hash, field) = self.place(key);
        let mut command = REMOVE.call(&[&hash]);
        command.arg(field).arg(at.unwrap_or(0));
        match self.writer.write(command).await.map_err(refused)? {
            Value::Int(1) => Ok(()),
            _ => Err(Refused::Conflict),
        }
    }

    fn life(&self) -> u64 {
        self.way.life()
    }

    async fn announce(&self, notice: Bytes) {
        let _lost: Result<(), Away> =
            self.way.ask(redis::cmd("PUBLISH").arg(self.config.key("notice")).arg(&notice[..])).await;
    }
}

/// A field's number of the write, the time of it, and the value: `12 1700000000000 value`.
fn found_in(field: &[u8]) -> Result<Found, Away> {
    let broken =
        || Away("a field in Redis is not as Ringway writes it: does another program use these keys?".to_owned());
    let mut parts = field.splitn(3, |byte| *byte == b' ');
    let revision = parts.next().and_then(|number| std::str::from_utf8(number).ok()?.parse().ok()).ok_or_else(broken)?;
    let value = parts.nth(1).ok_or_else(broken)?;
    Ok(Found { revision, value: Bytes::copy_from_slice(value) })
}

fn refused(fault: Fault) -> Refused {
    match fault {
        Fault::Unknown(_) => Refused::Unknown,
        Fault::NotTaken(why) | Fault::Full(why) => Refused::Away(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_has_its_number_before_its_value() {
        let found = found_in(b"12 1700000000000 a value\0 with spaces").unwrap();
        assert_eq!(found, Found { revision: 12, value: Bytes::from_static(b"a value\0 with spaces") });
        assert_eq!(found_in(b"7 1 ").unwrap().value, Bytes::new());
        for broken in [&b""[..], b"x 1 v", b"12", b"12 1700000000000"] {
            assert!(found_in(broken).is_err(), "{broken:?}");
        }
    }
}
