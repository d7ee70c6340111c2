//! The registry in a store outside the cluster: opens its store, and carries requests between the member task and it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};
use ringway_core::registry::store::{Revision, Said, StoreAnswer, StoreOp, Stored};
use ringway_core::registry::{FromStore, ToStore};
use ringway_core::view::View;
use ringway_core::{Birth, Epoch, Incarnation};
use ringway_engine::file::{self, FileLog};
use ringway_engine::nacos;
use ringway_engine::nats::{self, Nats, NatsBus, NatsLog};
use ringway_engine::rabbit::{self, Rabbit};
use ringway_engine::redis::{self, Mirror, Redis, RedisLog};
use ringway_engine::{Found, Refused, Store};
use ringway_link::Secret;
use ringway_protocol::kept;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tracing::{debug, error, info};

use crate::carry::carry;
use crate::config::{BusAt, Config, Durability, LogAt, MirrorAt, RegistryAt, Size};
use crate::registry::Way;
use crate::{logbook, mirror, orders};

/// Requests that wait to be sent, and answers that wait to be taken. A member has a handful under way, and those of a member that asks through it.
const QUEUE: usize = 256;

/// Requests under way at once.
const UNDER_WAY: usize = 64;

/// How long a process tries to reach the server before it gives up, how long one try may take, and the pause between two.
const TRIES: Duration = Duration::from_secs(20);
const ANSWER: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(250);

const VIEW: &str = "view";
const LEASES: &str = "lease";

/// Why what is kept outside cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// NATS cannot.
    #[error(transparent)]
    Nats(#[from] nats::OpenError),
    /// Redis cannot.
    #[error(transparent)]
    Redis(#[from] redis::OpenError),
    /// A server is there, and something that was asked of it had no answer.
    #[error(
        "{what} at {urls} did not answer in time. Are most of its servers running, and do they agree who takes writes?"
    )]
    Late {
        /// NATS or Redis.
        what: &'static str,
        /// What was tried.
        urls: String,
    },
}

impl OpenError {
    /// Another try finds the same.
    fn is_final(&self) -> bool {
        use nats::OpenError as Nats;
        use redis::OpenError as Redis;
        matches!(
            self,
            Self::Nats(Nats::Credentials { .. } | Nats::Version { .. })
                | Self::Redis(Redis::Credentials { .. } | Redis::Version { .. } | Redis::Evicts { .. })
        )
    }
}

/// Opens the registry outside. It is tried for a while: servers that were started together come up together.
///
/// # Errors
/// [`OpenError`], the last one.
pub async fn registry(config: &Config) -> Result<Way, OpenError> {
    match config.cluster.registry {
        RegistryAt::Redis => {
            let settings = redis_settings(config);
            let (store, notices) = try_for_a_while("Redis", &settings.urls, || Redis::open(&settings)).await?;
            Ok(run(store, notices.into_stream()))
        }
        RegistryAt::Nats | RegistryAt::Local => {
            let settings = nats_settings(config);
            let (store, notices) = try_for_a_while("NATS", &settings.urls, || Nats::open(&settings)).await?;
            Ok(run(store, notices.into_stream()))
        }
    }
}

/// Opens the log outside.
///
/// # Errors
/// [`OpenError`], the last one.
pub async fn log(config: &Config) -> Result<logbook::Way, OpenError> {
    match config.cluster.log {
        LogAt::Redis => {
            let settings = redis_settings(config);
            let log = try_for_a_while("Redis", &settings.urls, || RedisLog::open(&settings)).await?;
            Ok(logbook::Way::to_shared(log))
        }
        LogAt::Nats | LogAt::Local => {
            let settings = nats_settings(config);
            let log = try_for_a_while("NATS", &settings.urls, || NatsLog::open(&settings)).await?;
            Ok(logbook::Way::to_shared(log))
        }
    }
}

/// Opens what other programs may read in Redis, if they may.
///
/// # Errors
/// [`OpenError`], the last one.
pub async fn mirror(config: &Config) -> Result<Option<Mirror>, OpenError> {
    if config.cluster.mirror == MirrorAt::None {
        return Ok(None);
    }
    let settings = redis_settings(config);
    try_for_a_while("Redis", &settings.urls, || Mirror::open(&settings, mirror::LIFETIME)).await.map(Some)
}

/// How NATS is reached.
pub fn nats_settings(config: &Config) -> nats::Config {
    nats::Config {
        urls: config.nats.urls.clone(),
        name: config.nats.name.clone(),
        user: config.nats.user.clone().zip(config.nats.password.as_ref().map(|password| password.0.clone())),
        credentials: config.nats.credentials.clone(),
        nkey: config.nats.nkey.clone(),
        ca: config.nats.ca.clone(),
        certificate: config.nats.cert.clone().zip(config.nats.key.clone()),
        replicas: config.nats.replicas,
        patience: patience(config),
    }
}

/// How Redis is reached.
pub fn redis_settings(config: &Config) -> redis::Config {
    let settings = &config.redis;
    let text = |secret: &Option<crate::config::Secret>| secret.as_ref().map(|secret| secret.0.clone());
    redis::Config {
        urls: settings.urls.clone(),
        sentinel: settings.sentinel.clone(),
        sentinel_user: (settings.sentinel_user.clone(), text(&settings.sentinel_password)),
        name: settings.name.clone(),
        user: settings.user.clone(),
        password: text(&settings.password),
        ca: settings.ca.clone(),
        certificate: settings.cert.clone().zip(settings.key.clone()),
        replicas: settings.replicas(),
        patience: patience(config),
    }
}

/// How RabbitMQ is reached.
pub fn rabbit_settings(config: &Config) -> rabbit::Config {
    let rabbit = &config.rabbitmq;
    rabbit::Config {
        urls: rabbit.urls.clone(),
        vhost: rabbit.vhost.clone(),
        user: rabbit.user.clone().zip(rabbit.password.as_ref().map(|password| password.0.clone())),
        ca: rabbit.ca.clone(),
        name: rabbit.name.clone(),
    }
}

/// How Nacos is reached.
pub fn nacos_settings(config: &Config) -> nacos::Config {
    let nacos = &config.nacos;
    nacos::Config {
        servers: nacos.servers.clone(),
        namespace: nacos.namespace.clone(),
        group: nacos.group.clone(),
        cluster: nacos.cluster.clone(),
        service: nacos.service.clone(),
        user: nacos.user.clone().zip(nacos.password.as_ref().map(|password| password.0.clone())),
    }
}

/// Whoever asked has then given up.
fn patience(config: &Config) -> Duration {
    config.timing.ttl * 2 / 5
}

/// The bus for orders of a process. Its members share it.
#[derive(Debug, Clone)]
pub enum Bus {
    /// There is none: orders go over the links.
    Links,
    /// RabbitMQ.
    Rabbit(Rabbit),
    /// NATS.
    Nats(NatsBus),
}

impl Bus {
    /// Begins to reach it. Nothing waits for it: while it is away orders go over the links, and the log and `/health` say so.
    ///
    /// # Errors
    /// [`rabbit::OpenError`]: what is set cannot be tried.
    pub async fn open(config: &Config) -> Result<Self, rabbit::OpenError> {
        Ok(match config.cluster.bus {
            BusAt::Links => Self::Links,
            BusAt::Rabbit => Self::Rabbit(Rabbit::open(&rabbit_settings(config)).await?),
            BusAt::Nats => Self::Nats(NatsBus::open(&nats_settings(config))),
        })
    }

    /// How a member of this process gives orders. This is its life, and the secret is the one of all members.
    pub fn handle(&self, secret: &Secret, me: Incarnation) -> orders::Handle {
        match self {
            Self::Links => orders::Handle::Links,
            Self::Rabbit(rabbit) => orders::Handle::through(rabbit.clone(), secret.clone(), me),
            Self::Nats(nats) => orders::Handle::through(nats.clone(), secret.clone(), me),
        }
    }
}

/// Servers that were started together come up together, and elect leaders for some seconds. Meanwhile a request may get no answer at all.
async fn try_for_a_while<T, E: Into<OpenError>>(
    what: &'static str,
    urls: &[String],
    open: impl AsyncFn() -> Result<T, E>,
) -> Result<T, OpenError> {
    let end = Instant::now() + TRIES;
    loop {
        let why = match timeout(ANSWER, open()).await {
            Ok(Ok(opened)) => return Ok(opened),
            Ok(Err(why)) => why.into(),
            Err(_) => OpenError::Late { what, urls: urls.join(", ") },
        };
        if why.is_final() || Instant::now() + PAUSE > end {
            return Err(why);
        }
        info!(%why, "{what} is not there yet; trying again");
        tokio::time::sleep(PAUSE).await;
    }
}

/// The host and port of the first server: others are on the same network.
pub fn address(config: &Config) -> String {
    let urls = match config.cluster.registry {
        RegistryAt::Redis => &config.redis.urls,
        RegistryAt::Nats | RegistryAt::Local => &config.nats.urls,
    };
    let first = urls.first().map_or("", String::as_str);
    first.split_once("://").map_or(first, |(_, address)| address).to_owned()
}

/// Opens the log in a folder that this process has locked, for the cluster of this birth. Reads all of it, which takes as long as the disk does.
///
/// # Errors
/// [`file::OpenError`]
pub async fn log_in_folder(folder: PathBuf, birth: Birth, config: &Config) -> Result<FileLog, file::OpenError> {
    let Durability { fsync, max_bytes: Size(max_bytes), accept_loss } = config.durability;
    let options = file::Options { birth: birth.0, fsync, max_bytes: max_bytes as u64, accept_loss };
    let began = Instant::now();
    let at = folder.clone();
    let opened = tokio::task::spawn_blocking(move || FileLog::open(&at, options)).await;
    let log = opened.unwrap_or_else(|why| std::panic::resume_unwind(why.into_panic()))?;
    let milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    info!(folder = %folder.display(), bytes = log.bytes(), %fsync, milliseconds, "the log is open");
    Ok(log)
}

fn run<S: Store>(store: S, notices: impl Stream<Item = Bytes> + Send + Unpin + 'static) -> Way {
    let (requests, asked) = mpsc::channel(QUEUE);
    let (answers, told) = mpsc::channel(QUEUE);
    let store = Arc::new(store);
    tokio::spawn(carry(UNDER_WAY, asked, answers.clone(), move |request| answered(store.clone(), request)));
    tokio::spawn(hear(notices, answers));
    Way { requests, told }
}

/// Tells of each view that was written. A notice that finds no room is lost, and the view is read now and then all the same.
async fn hear(mut notices: impl Stream<Item = Bytes> + Unpin, answers: mpsc::Sender<FromStore>) {
    while let Some(notice) = notices.next().await {
        if let Ok(epoch) = <[u8; 8]>::try_from(&notice[..]) {
            let _ = answers.try_send(FromStore::Notice(Epoch(u64::from_le_bytes(epoch))));
        }
    }
}

/// Returns what to tell, if anything.
async fn answered<S: Store>(store: Arc<S>, ToStore { from, request }: ToStore) -> Option<FromStore> {
    let life = store.life();
    match carry_out(&*store, request.op).await {
        // Which life it is of is known if there was no other one meanwhile.
        Ok(said) => {
            (store.life() == life).then_some(FromStore::Answer(from, StoreAnswer { id: request.id, life, said }))
        }
        Err(why) => {
            debug!(%why, "the registry's store gave no answer");
            None
        }
    }
}

async fn carry_out<S: Store>(store: &S, op: StoreOp) -> Result<Said, String> {
    match op {
        StoreOp::ReadView => {
            let found = store.read(VIEW).await.map_err(|away| away.to_string())?;
            Ok(Said::View(found.map(|found| stored(&found)).transpose()?))
        }
        StoreOp::ReadLease(of) => {
            let found = store.read(&lease(of)).await.map_err(|away| away.to_string())?;
            Ok(Said::Lease(found.map(|found| count(&found)).transpose()?))
        }
        StoreOp::Leases => {
            let all = store.list(LEASES).await.map_err(|away| away.to_string())?;
            let life = |name: &str| u64::from_str_radix(name, 16).ok().map(Incarnation);
            Ok(Said::Leases(all.iter().filter_map(|(name, at)| Some((life(name)?, Revision(*at)))).collect()))
        }
        StoreOp::WriteView { at, view, life } => {
            let said = written(store.write(VIEW, at.map(|at| at.0), spelled(&view, life)).await)?;
            if matches!(said, Said::Written(_)) {
                store.announce(Bytes::copy_from_slice(&view.epoch.0.to_le_bytes())).await;
            }
            Ok(said)
        }
        StoreOp::WriteLease { of, at, count } => {
            let value = Bytes::copy_from_slice(&count.to_le_bytes());
            written(store.write(&lease(of), at.map(|at| at.0), value).await)
        }
        StoreOp::EndLease { of, at } => match store.remove(&lease(of), at.map(|at| at.0)).await {
            Ok(()) => Ok(Said::Ended),
            Err(Refused::Conflict) => Ok(Said::Conflict),
            Err(why) => Err(why.to_string()),
        },
    }
}

fn lease(of: Incarnation) -> String {
    format!("{LEASES}.{:016x}", of.0)
}

fn written(result: Result<u64, Refused>) -> Result<Said, String> {
    match result {
        Ok(revision) => Ok(Said::Written(Revision(revision))),
        Err(Refused::Conflict) => Ok(Said::Conflict),
        Err(why) => Err(why.to_string()),
    }
}

/// The life that it was written in, then the view as it is kept on a disk.
fn spelled(view: &View, life: u64) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_u64_le(life);
    bytes.extend_from_slice(&kept::encode(view));
    bytes.freeze()
}

fn stored(found: &Found) -> Result<Stored, String> {
    let mut bytes = found.value.clone();
    let life = bytes.try_get_u64_le().map_err(|_| "the view in the store is cut off".to_owned())?;
    let view = kept::decode(&bytes).map_err(|why| {
        error!(%why, "the view in the registry's store cannot be read");
        why.to_string()
    })?;
    Ok(Stored { revision: Revision(found.revision), life, view: Arc::new(view) })
}

fn count(found: &Found) -> Result<(Revision, u64), String> {
    let count = found.value.clone().try_get_u64_le().map_err(|_| "a lease in the store is cut off".to_owned())?;
    Ok((Revision(found.revision), count))
}

#[cfg(test)]
mod tests;
