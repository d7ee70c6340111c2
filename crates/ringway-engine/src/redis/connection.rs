//! Connections to the server that takes writes, kept by a task: it finds the server, makes them anew when they break, and knows which run of
//! which server it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, Cmd, ConnectionInfo, FromRedisValue, IntoConnectionInfo as _,
    RedisConnectionInfo, RedisError, TlsCertificates, TlsMode,
};
use siphasher::sip::SipHasher13;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tracing::{info, warn};

use super::script::{self, LIFE};
use super::server::Server;
use super::{Config, OLDEST_SERVER, OpenError};
use crate::store::Away;

/// The server is asked this often whether it is there, and how much memory it uses.
const LOOK: Duration = Duration::from_secs(1);

/// Pauses between tries to connect: the first, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// Longest time for finding the server, and for each step of saying hello.
const FIND: Duration = Duration::from_secs(3);

/// Reports of broken connections that wait. One is enough.
const REPORTS: usize = 1;

/// Of the memory that the server may use, the log leaves this much for everything else: a tenth.
const RESERVE: u64 = 10;

/// Connections to one server.
#[derive(Debug)]
pub(super) struct Connected {
    /// Others have other numbers.
    pub(super) number: u64,
    pub(super) client: Client,
    /// Nothing on this one waits for replicas.
    pub(super) reads: MultiplexedConnection,
    pub(super) writes: MultiplexedConnection,
    pub(super) server: Server,
    /// The log's life.
    pub(super) log_life: u64,
}

/// Why there is no answer.
#[derive(Debug, Clone)]
pub(super) enum Fault {
    /// It was surely not sent, or surely not carried out.
    NotTaken(String),
    /// It may have been carried out, and may still be.
    Unknown(String),
    /// The server has no memory for it.
    Full(String),
}

impl From<Fault> for Away {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::NotTaken(why) | Fault::Unknown(why) | Fault::Full(why) => Self(why),
        }
    }
}

/// The way to whichever server takes writes. Its task ends with the last of these.
#[derive(Debug, Clone)]
pub(super) struct Way {
    connected: watch::Receiver<Option<Arc<Connected>>>,
    broken: mpsc::Sender<u64>,
    life: Arc<AtomicU64>,
    is_full: Arc<AtomicBool>,
}

impl Way {
    pub(super) async fn open(config: &Config) -> Result<Self, OpenError> {
        let first = connect(config, 0).await?;
        if let Some(policy) = first.server.policy.as_ref().filter(|policy| *policy != "noeviction") {
            return Err(OpenError::Evicts { urls: config.urls.join(", "), policy: policy.clone() });
        }
        let life = Arc::new(AtomicU64::new(life_of(&first.server)));
        let (sender, connected) = watch::channel(Some(Arc::new(first)));
        let (broken, reports) = mpsc::channel(REPORTS);
        let is_full = Arc::default();
        let way = Self { connected, broken, life, is_full };
        tokio::spawn(keep(config.clone(), sender, reports, way.life.clone(), way.is_full.clone()));
        Ok(way)
    }

    /// The connections, if there are any now.
    pub(super) fn now(&self) -> Result<Arc<Connected>, Fault> {
        self.connected.borrow().clone().ok_or_else(|| Fault::NotTaken("there is no connection to Redis".to_owned()))
    }

    /// The connections, as soon as there are any. `None`: never again.
    pub(super) async fn wait(&self) -> Option<Arc<Connected>> {
        let mut connected = self.connected.clone();
        connected.wait_for(Option::is_some).await.ok().and_then(|connected| connected.clone())
    }

    pub(super) async fn until_other_than(&self, number: u64) {
        let is_other =
            |connected: &Option<Arc<Connected>>| connected.as_ref().is_some_and(|connected| connected.number != number);
        let mut connected = self.connected.clone();
        if connected.wait_for(is_other).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Before the next try of something that has failed.
    pub(super) async fn pause(&self) {
        sleep(PAUSES.1).await;
    }

    /// Of the store.
    pub(super) fn life(&self) -> u64 {
        self.life.load(Ordering::Relaxed)
    }

    /// The server has used most of the memory that it may use.
    pub(super) fn is_full(&self) -> bool {
        self.is_full.load(Ordering::Relaxed)
    }

    /// Asks something that changes nothing.
    pub(super) async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Away> {
        let connected = self.now()?;
        match command.query_async(&mut connected.reads.clone()).await {
            Ok(answer) => Ok(answer),
            Err(error) => Err(self.fault(connected.number, &error).into()),
        }
    }

    /// What an error means. Where no further request can be answered, the connections are made anew.
    pub(super) fn fault(&self, number: u64, error: &RedisError) -> Fault {
        let why = error.to_string();
        match error.code() {
            Some("OOM") => Fault::Full(why),
            Some("READONLY" | "NOSCRIPT" | "LIFE" | "LOADING" | "MASTERDOWN" | "NOAUTH") => {
                self.report(number);
                Fault::NotTaken(why)
            }
            Some(_) => Fault::NotTaken(why),
            None => {
                self.report(number);
                Fault::Unknown(why)
            }
        }
    }

    fn report(&self, number: u64) {
        // One that finds no room finds a report of the same.
        let _ = self.broken.try_send(number);
    }
}

/// Another run of a server, or another server, may have lost what was written last.
fn life_of(server: &Server) -> u64 {
    use std::hash::Hasher as _;
    let mut hasher = SipHasher13::new();
    hasher.write(server.run.as_bytes());
    hasher.finish()
}

/// Makes connections anew whenever they break.
async fn keep(
    config: Config,
    connected: watch::Sender<Option<Arc<Connected>>>,
    mut broken: mpsc::Receiver<u64>,
    life: Arc<AtomicU64>,
    is_full: Arc<AtomicBool>,
) {
    let mut number = 0;
    loop {
        let current = connected.borrow().clone();
        let why = match current {
            Some(current) => tokio::select! {
                why = until_silent(&current, &is_full) => why,
                () = until_reported(&mut broken, number) => "it broke".to_owned(),
                () = connected.closed() => return,
            },
            None => "there is none".to_owned(),
        };
        connected.send_replace(None);
        warn!(%why, "the connection to Redis is lost; making a new one");
        number += 1;
        let mut pause = PAUSES.0;
        let next = loop {
            match connect(&config, number).await {
                Ok(next) => break next,
                Err(why) => warn!(%why, "Redis is away"),
            }
            tokio::select! {
                () = sleep(pause) => pause = (pause * 2).min(PAUSES.1),
                () = connected.closed() => return,
            }
        };
        info!(version = %next.server.version, run = %next.server.run, "connected to Redis again");
        life.store(life_of(&next.server), Ordering::Relaxed);
        connected.send_replace(Some(Arc::new(next)));
    }
}

async fn until_reported(broken: &mut mpsc::Receiver<u64>, number: u64) {
    loop {
        match broken.recv().await {
            Some(reported) if reported == number => return,
            Some(_) => {}
            None => std::future::pending().await,
        }
    }
}

/// Looks after the server, and how much memory it uses.
async fn until_silent(current: &Connected, is_full: &AtomicBool) -> String {
    let mut connection = current.reads.clone();
    loop {
        match redis::cmd("INFO").arg("memory").query_async::<String>(&mut connection).await {
            Ok(info) => {
                let (used, most) = Server::memory_in(&info);
                is_full.store(most > 0 && used > most - most / RESERVE, Ordering::Relaxed);
            }
            Err(error) => return error.to_string(),
        }
        sleep(LOOK).await;
    }
}

/// Connections to the server that takes writes, which knows all scripts.
async fn connect(config: &Config, number: u64) -> Result<Connected, OpenError> {
    let failed = |why: String| OpenError::Connect { urls: config.urls.join(", "), why };
    let (client, mut reads, server) = reached(config).await?;
    if server.version_number < OLDEST_SERVER {
        return Err(OpenError::Version { urls: config.urls.join(", "), version: server.version });
    }
    let hello = async {
        for script in script::all() {
            script.load_async(&mut reads).await?;
        }
        let mut step = LIFE.call(&[&config.key("log")]);
        let log_life = step.arg(&server.run).arg(u8::from(!server.keeps_all())).query_async(&mut reads).await?;
        let writes = client.get_multiplexed_async_connection_with_config(&timeouts(config)).await?;
        Ok::<_, RedisError>((log_life, writes))
    };
    let (log_life, writes) = match timeout(FIND, hello).await {
        Ok(done) => done.map_err(|error| failed(error.to_string()))?,
        Err(_) => return Err(failed("there was no answer in time".to_owned())),
    };
    Ok(Connected { number, client, reads, writes, server, log_life })
}

fn timeouts(config: &Config) -> AsyncConnectionConfig {
    AsyncConnectionConfig::new().set_connection_timeout(Some(FIND)).set_response_timeout(Some(config.patience))
}

/// What the server that takes writes is like. Nothing is changed there.
///
/// # Errors
/// [`OpenError`]: no server that takes writes can be reached, or none lets us in. An old version is none: it is told.
pub async fn inspect(config: &Config) -> Result<Server, OpenError> {
    let (_, _, server) = reached(config).await?;
    Ok(server)
}

/// A connection to the server that takes writes, of any version.
async fn reached(config: &Config) -> Result<(Client, MultiplexedConnection, Server), OpenError> {
    let failed = |why: String| OpenError::Connect { urls: config.urls.join(", "), why };
    // Another one that was installed does as well.
    let _installed = aws_lc_rs::default_provider().install_default();
    let certificates = certificates(config).await?;
    let clients = match &config.sentinel {
        None => config.urls.iter().map(|url| client(config, url, certificates.as_ref())).collect(),
        Some(master) => vec![asked(config, master, certificates.as_ref()).await],
    };
    let mut why = "no address is given".to_owned();
    for client in clients {
        let tried = async {
            let client = client?;
            let mut connection = client.get_multiplexed_async_connection_with_config(&timeouts(config)).await?;
            let server = Server::ask(&mut connection).await?;
            Ok::<_, RedisError>((client, connection, server))
        };
        match timeout(FIND, tried).await {
            Ok(Ok(found)) if found.2.is_master => return Ok(found),
            Ok(Ok(_)) => "it is a replica, and takes no writes".clone_into(&mut why),
            Ok(Err(error)) => why = error.to_string(),
            Err(_) => "there was no answer in time".clone_into(&mut why),
        }
    }
    Err(failed(why))
}

fn client(config: &Config, url: &str, certificates: Option<&TlsCertificates>) -> Result<Client, RedisError> {
    let info: ConnectionInfo = url.into_connection_info()?;
    let mut settings = RedisConnectionInfo::default();
    if let Some(user) = &config.user {
        settings = settings.set_username(user);
    }
    if let Some(password) = &config.password {
        settings = settings.set_password(password);
    }
    let info = info.set_redis_settings(settings);
    match certificates.filter(|_| is_tls(url)) {
        Some(certificates) => Client::build_with_tls(info, certificates.clone()),
        None => Client::open(info),
    }
}

fn is_tls(url: &str) -> bool {
    url.starts_with("rediss://")
}

/// Asks the sentinels.
async fn asked(config: &Config, master: &str, certificates: Option<&TlsCertificates>) -> Result<Client, RedisError> {
    let mut sentinels = sentinels(config, master, certificates)?;
    sentinels.async_get_client().await
}

fn sentinels(
    config: &Config,
    master: &str,
    certificates: Option<&TlsCertificates>,
) -> Result<SentinelClient, RedisError> {
    let addresses = config.urls.iter().map(|url| Ok(url.as_str().into_connection_info()?.addr().clone()));
    let addresses: Vec<_> = addresses.collect::<Result<_, RedisError>>()?;
    let mut builder = SentinelClientBuilder::new(addresses, master, SentinelServerType::Master)?;
    if config.urls.iter().any(|url| is_tls(url)) {
        builder =
            builder.set_client_to_redis_tls_mode(TlsMode::Secure).set_client_to_sentinel_tls_mode(TlsMode::Secure);
        if let Some(certificates) = certificates {
            builder = builder
                .set_client_to_redis_certificates(certificates.clone())
                .set_client_to_sentinel_certificates(certificates.clone());
        }
    }
    let (user, password) = &config.sentinel_user;
    let set = [
        (&config.user, SentinelClientBuilder::set_client_to_redis_username as fn(_, _) -> _),
        (&config.password, SentinelClientBuilder::set_client_to_redis_password),
        (user, SentinelClientBuilder::set_client_to_sentinel_username),
        (password, SentinelClientBuilder::set_client_to_sentinel_password),
    ];
    for (value, set) in set {
        if let Some(value) = value {
            builder = set(builder, value.as_str());
        }
    }
    builder.build()
}

async fn certificates(config: &Config) -> Result<Option<TlsCertificates>, OpenError> {
    if config.ca.is_none() && config.certificate.is_none() {
        return Ok(None);
    }
    let read = async |setting: &'static str, path: &std::path::PathBuf| {
        let failed = |why| OpenError::Credentials { setting, path: path.clone(), why };
        tokio::fs::read(path).await.map_err(failed)
    };
    let root_cert = match &config.ca {
        Some(ca) => Some(read("ca", ca).await?),
        None => None,
    };
    let client_tls = match &config.certificate {
        Some((certificate, key)) => {
            Some(ClientTlsConfig { client_cert: read("cert", certificate).await?, client_key: read("key", key).await? })
        }
        None => None,
    };
    Ok(Some(TlsCertificates { client_tls, root_cert }))
}
