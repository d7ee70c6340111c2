//! A store in NATS JetStream. A key is a subject of which the stream keeps the last message, a revision is the number of that message, and
//! a key that was removed is an empty message.
//!
//! Keys that begin with `lease.` are in a stream in memory: losing them lapses leases, which is safe. All others are in a stream on disk.
//!
//! | what | is |
//! |---|---|
//! | write, remove | a publish with `Nats-Expected-Last-Subject-Sequence`: refused if the subject has moved |
//! | read | `STREAM.MSG.GET` by last subject, which the leader of the stream answers |
//! | list | a direct get of the last messages of many subjects, which any replica answers |
//! | life | when the stream on disk was made; with one server alone also which run of it this is, for it may have lost its tail |

mod bus;
mod inspect;
mod log;

use std::hash::Hasher as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::context::{CreateStreamError, CreateStreamErrorKind, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{self, LastRawMessageErrorKind, StorageType};
use async_nats::jetstream::{self, ErrorCode};
use async_nats::{Client, ConnectOptions, StatusCode, Subscriber};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use siphasher::sip::SipHasher13;
use tokio::time::timeout;
use tracing::{info, warn};

use crate::store::{Away, Found, Refused, Store};

pub use bus::NatsBus;
pub use inspect::{Inspected, Inspection, StreamFacts, inspect};
pub use log::NatsLog;

/// Servers before this one refuse some of what is asked here, or check conditions only before they write.
pub const OLDEST_SERVER: (u64, u64) = (2, 12);

/// Leases nobody writes any more go after this: of lives that are long over.
const LEASES_KEPT: Duration = Duration::from_secs(600);

/// The status of the message behind the last of a list.
const NO_CONTENT: u16 = 204;

/// The server is asked this often whether it is there. One whose machine is gone says nothing, and after two questions without an answer the
/// client connects to another one.
const PING: Duration = Duration::from_secs(1);

/// Copies of a stream where the servers form a cluster.
const REPLICAS: usize = 3;

/// A key may be taken from under a removal so often.
const REMOVALS: usize = 8;

/// How to reach NATS. Secrets are shown by no `Debug`.
#[derive(Clone)]
pub struct Config {
    /// `nats://` or `tls://` addresses of its servers.
    pub urls: Vec<String>,
    /// Names the streams and subjects: one for each cluster that uses these servers.
    pub name: String,
    /// User name and password.
    pub user: Option<(String, String)>,
    /// A file with a JWT and the seed of a user.
    pub credentials: Option<PathBuf>,
    /// A file with the seed of a user's nkey.
    pub nkey: Option<PathBuf>,
    /// Certificates of authorities to trust besides the system's.
    pub ca: Option<PathBuf>,
    /// Files with a certificate and its key, to be shown to the server.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// Copies of each stream. `None`: three where the server is one of several, else one.
    pub replicas: Option<usize>,
    /// Longest time for one request.
    pub patience: Duration,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config").field("urls", &self.urls).field("name", &self.name).finish_non_exhaustive()
    }
}

/// Why NATS cannot be used. Nothing was changed there, but that a stream may have been made.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No server can be reached, or none lets us in.
    #[error(
        "cannot connect to NATS at {urls}: {why}. Is it running, is the address right, and do [nats] user, password, credentials, nkey, ca and cert fit?"
    )]
    Connect {
        /// What was tried.
        urls: String,
        /// The client's words.
        why: String,
    },
    /// A server is there, and something that was asked of it had no answer.
    #[error("NATS at {urls} did not answer in time. Are most of its servers running, and have their streams a leader?")]
    Late {
        /// What was tried.
        urls: String,
    },
    /// A file with credentials cannot be read.
    #[error("cannot use {}, which [nats] {setting} names: {why}", path.display())]
    Credentials {
        /// The setting that names it.
        setting: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        why: std::io::Error,
    },
    /// The server is too old.
    #[error("the NATS server at {urls} is version {version}; 2.12 or later is needed, and 2.15 recommended")]
    Version {
        /// What was tried.
        urls: String,
        /// What it says.
        version: String,
    },
    /// JetStream is off, or refuses the stream.
    #[error(
        "NATS cannot keep the stream {name}: {why}. Is JetStream enabled (nats-server -js), has the account the right to it, and are there as many servers as [nats] replicas says?"
    )]
    Stream {
        /// Which.
        name: String,
        /// The server's words.
        why: String,
    },
}

/// The store.
#[derive(Debug, Clone)]
pub struct Nats {
    client: Client,
    context: jetstream::Context,
    view: stream::Stream,
    leases: stream::Stream,
    config: Arc<Config>,
    is_alone: bool,
    /// When the stream on disk was made, hashed, and the newest revision there that was read.
    made: Arc<AtomicU64>,
    newest: Arc<AtomicU64>,
}

/// What others announce.
#[derive(Debug)]
pub struct Notices(Subscriber);

impl Notices {
    /// One after the other, until the client ends.
    pub fn into_stream(self) -> impl Stream<Item = Bytes> + Send + Unpin + 'static {
        self.0.map(|message| message.payload)
    }
}

impl Nats {
    /// Connects, and makes the streams if they are not there.
    ///
    /// # Errors
    /// [`OpenError`]
    pub async fn open(config: &Config) -> Result<(Self, Notices), OpenError> {
        let client = connect(config).await?;
        let server = client.server_info();
        let failed = |why: String| OpenError::Connect { urls: config.urls.join(", "), why };
        let context = jetstream::new(client.clone());
        let (view, leases) = streams(&context, config).await?;
        let info = view.cached_info();
        let is_alone = info.cluster.as_ref().and_then(|cluster| cluster.name.as_ref()).is_none();
        info!(server = %server.server_name, version = %server.version, replicas = info.config.num_replicas, "the registry is in NATS");
        if info.config.storage != StorageType::File {
            warn!(stream = %info.config.name, "this stream is not on disk: a restart of its servers loses the view of the cluster");
        }
        let notices = client.subscribe(subject(config, "notice")).await.map_err(|error| failed(error.to_string()))?;
        let made = Arc::new(AtomicU64::new(when_made(info)));
        let (config, newest) = (Arc::new(config.clone()), Arc::default());
        Ok((Self { client, context, view, leases, config, is_alone, made, newest }, Notices(notices)))
    }

    fn place(&self, key: &str) -> (&stream::Stream, String) {
        match key.strip_prefix("lease.") {
            Some(lease) => (&self.leases, subject(&self.config, &format!("lease.{lease}"))),
            None => (&self.view, subject(&self.config, &format!("kept.{key}"))),
        }
    }

    /// The last message of a subject, empty if the key was removed.
    async fn last(&self, key: &str) -> Result<Option<Found>, Away> {
        is_connected(&self.client)?;
        let (stream, subject) = self.place(key);
        let answer = timeout(self.config.patience, stream.get_last_raw_message_by_subject(&subject)).await;
        match answer {
            Ok(Ok(message)) => {
                if self.is_on_disk(stream)
                    && message.sequence < self.newest.fetch_max(message.sequence, Ordering::Relaxed)
                {
                    self.look_when_made().await;
                }
                Ok(Some(Found { revision: message.sequence, value: message.payload }))
            }
            Ok(Err(error)) => match error.kind() {
                LastRawMessageErrorKind::NoMessageFound => {
                    if self.is_on_disk(stream) {
                        self.look_when_made().await;
                    }
                    Ok(None)
                }
                LastRawMessageErrorKind::JetStream(found) if found.error_code() == ErrorCode::STREAM_NOT_FOUND => {
                    Err(self.make_again().await)
                }
                _ => Err(Away(error.to_string())),
            },
            Err(_) => Err(late()),
        }
    }

    async fn publish(&self, key: &str, after: u64, value: Bytes) -> Result<u64, Refused> {
        is_connected(&self.client).map_err(|Away(why)| Refused::Away(why))?;
        let (_, subject) = self.place(key);
        let message = PublishMessage::build().payload(value).expected_last_subject_sequence(after);
        let sent =
            timeout(self.config.patience, async { self.context.send_publish(subject, message).await?.await }).await;
        match sent {
            Ok(Ok(ack)) => Ok(ack.sequence),
            Ok(Err(error)) if error.kind() == PublishErrorKind::StreamNotFound => {
                let Away(why) = self.make_again().await;
                Err(Refused::Away(why))
            }
            Ok(Err(error)) => Err(refusal(&error)),
            Err(_) => Err(Refused::Unknown),
        }
    }

    fn is_on_disk(&self, stream: &stream::Stream) -> bool {
        std::ptr::eq(stream, &self.view)
    }

    /// The stream was perhaps made anew: it is empty, or its numbers begin again.
    async fn look_when_made(&self) {
        let info = timeout(self.config.patience, self.view.get_info()).await;
        if let Ok(Ok(info)) = info {
            self.made.store(when_made(&info), Ordering::Relaxed);
        }
    }

    /// A stream in memory ends with a server that is alone, and anybody may delete one.
    async fn make_again(&self) -> Away {
        match timeout(self.config.patience, streams(&self.context, &self.config)).await {
            Ok(Ok((view, _))) => {
                self.made.store(when_made(view.cached_info()), Ordering::Relaxed);
                Away("a stream was not there, and is made anew".to_owned())
            }
            Ok(Err(error)) => Away(error.to_string()),
            Err(_) => late(),
        }
    }
}

impl Store for Nats {
    async fn read(&self, key: &str) -> Result<Option<Found>, Away> {
        Ok(self.last(key).await?.filter(|found| !found.value.is_empty()))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<(String, u64)>, Away> {
        is_connected(&self.client)?;
        let (stream, subject) = self.place(&format!("{prefix}.x"));
        let under = subject.strip_suffix('x').unwrap_or(&subject).to_owned();
        let all = async {
            let mut answers = direct_get(&self.client, stream, format!(r#"{{"multi_last":["{under}*"]}}"#)).await?;
            let mut listed = Vec::new();
            loop {
                let message = match next_of(&mut answers).await? {
                    Next::Message(message) => message,
                    Next::End { .. } => return Ok(listed),
                    Next::NoStream => return Err(self.make_again().await),
                };
                let subject = header(&message, "Nats-Subject").and_then(|subject| subject.strip_prefix(&under));
                let revision = header(&message, "Nats-Sequence").and_then(|sequence| sequence.parse().ok());
                if let (Some(name), Some(revision), false) = (subject, revision, message.payload.is_empty()) {
                    listed.push((name.to_owned(), revision));
                }
            }
        };
        timeout(self.config.patience, all).await.unwrap_or_else(|_| Err(late()))
    }

    async fn write(&self, key: &str, at: Option<u64>, value: Bytes) -> Result<u64, Refused> {
        let after = match at {
            Some(revision) => revision,
            // Where there was one, the message that removed it is the last.
            None => match self.last(key).await.map_err(|Away(why)| Refused::Away(why))? {
                None => 0,
                Some(found) if found.value.is_empty() => found.revision,
                Some(_) => return Err(Refused::Conflict),
            },
        };
        self.publish(key, after, value).await
    }

    async fn remove(&self, key: &str, at: Option<u64>) -> Result<(), Refused> {
        for _ in 0..REMOVALS {
            let found = self.last(key).await.map_err(|Away(why)| Refused::Away(why))?;
            let Some(found) = found.filter(|found| !found.value.is_empty()) else { return Ok(()) };
            if at.is_some_and(|at| at != found.revision) {
                return Err(Refused::Conflict);
            }
            match self.publish(key, found.revision, Bytes::new()).await {
                // It has just moved. Whoever names no revision means the next one, too.
                Err(Refused::Conflict) if at.is_none() => {}
                result => return result.map(drop),
            }
        }
        Err(Refused::Conflict)
    }

    fn life(&self) -> u64 {
        let made = self.made.load(Ordering::Relaxed);
        if self.is_alone { hash(made, self.client.server_info().server_id.as_bytes()) } else { made }
    }

    async fn announce(&self, notice: Bytes) {
        if is_connected(&self.client).is_ok() {
            let _lost = self.client.publish(subject(&self.config, "notice"), notice).await;
        }
    }
}

/// What is published while there is no connection would wait in the client, and come true much later.
fn is_connected(client: &Client) -> Result<(), Away> {
    match client.connection_state() {
        State::Connected => Ok(()),
        State::Pending | State::Disconnected => Err(Away("there is no connection to NATS".to_owned())),
    }
}

/// Asks any replica of a stream for messages.
async fn direct_get(client: &Client, stream: &stream::Stream, ask: String) -> Result<Subscriber, Away> {
    let inbox = client.new_inbox();
    let answers = client.subscribe(inbox.clone()).await.map_err(|error| Away(error.to_string()))?;
    let to = format!("$JS.API.DIRECT.GET.{}", stream.cached_info().config.name);
    client.publish_with_reply(to, inbox, ask.into()).await.map_err(|error| Away(error.to_string()))?;
    Ok(answers)
}

/// What comes of a direct get.
enum Next {
    Message(async_nats::Message),
    /// There is no further one in this answer, and there may be more behind it.
    End {
        more: bool,
    },
    /// Nobody answers for such a stream.
    NoStream,
}

async fn next_of(answers: &mut Subscriber) -> Result<Next, Away> {
    let message = answers.next().await.ok_or_else(|| Away("the connection to NATS has ended".to_owned()))?;
    match message.status {
        Some(StatusCode::NOT_FOUND) => Ok(Next::End { more: false }),
        Some(status) if status.as_u16() == NO_CONTENT => {
            let left = header(&message, "Nats-Num-Pending").and_then(|left| left.parse::<u64>().ok());
            Ok(Next::End { more: left.is_some_and(|left| left > 0) })
        }
        Some(StatusCode::NO_RESPONDERS) => Ok(Next::NoStream),
        Some(status) if status.is_client_error() || status.is_server_error() => {
            Err(Away(format!("NATS answers {status}")))
        }
        _ => Ok(Next::Message(message)),
    }
}

fn header<'a>(message: &'a async_nats::Message, name: &str) -> Option<&'a str> {
    message.headers.as_ref()?.get(name).map(async_nats::HeaderValue::as_str)
}

/// A connection to a server that is new enough.
async fn connect(config: &Config) -> Result<Client, OpenError> {
    let client = reached(config).await?;
    let version = client.server_info().version;
    if self::version(&version) < OLDEST_SERVER {
        return Err(OpenError::Version { urls: config.urls.join(", "), version });
    }
    Ok(client)
}

/// A connection to a server of any version.
async fn reached(config: &Config) -> Result<Client, OpenError> {
    let failed = |why: String| OpenError::Connect { urls: config.urls.join(", "), why };
    options(config).await?.connect(config.urls.clone()).await.map_err(|error| failed(error.to_string()))
}

async fn options(config: &Config) -> Result<ConnectOptions, OpenError> {
    let mut options = ConnectOptions::new()
        .name("ringway")
        .connection_timeout(config.patience.max(Duration::from_secs(2)))
        .ping_interval(PING);
    if let Some((user, password)) = &config.user {
        options = options.user_and_password(user.clone(), password.clone());
    }
    if let Some(path) = &config.credentials {
        let failed = |why| OpenError::Credentials { setting: "credentials", path: path.clone(), why };
        options = options.credentials_file(path).await.map_err(failed)?;
    }
    if let Some(path) = &config.nkey {
        let failed = |why| OpenError::Credentials { setting: "nkey", path: path.clone(), why };
        let seed = tokio::fs::read_to_string(path).await.map_err(failed)?;
        options = options.nkey(seed.trim().to_owned());
    }
    if let Some(ca) = &config.ca {
        options = options.add_root_certificates(ca.clone());
    }
    if let Some((certificate, key)) = &config.certificate {
        options = options.add_client_certificate(certificate.clone(), key.clone());
    }
    Ok(options)
}

fn stream_name(config: &Config, what: &str) -> String {
    format!("RINGWAY_{}_{what}", config.name)
}

fn stream_config(config: &Config, what: &str, subjects: &str, storage: StorageType) -> stream::Config {
    stream::Config {
        name: stream_name(config, what),
        subjects: vec![subject(config, subjects)],
        max_messages_per_subject: 1,
        storage,
        num_replicas: config.replicas.unwrap_or(REPLICAS),
        allow_direct: true,
        ..stream::Config::default()
    }
}

fn late() -> Away {
    Away("NATS did not answer in time".to_owned())
}

/// Whatever a cluster has here begins alike.
fn subject(config: &Config, what: &str) -> String {
    format!("ringway.{}.{what}", config.name)
}

/// The one on disk, and the one in memory.
async fn streams(context: &jetstream::Context, config: &Config) -> Result<(stream::Stream, stream::Stream), OpenError> {
    let on_disk = stream_config(config, "VIEW", "kept.>", StorageType::File);
    let in_memory = stream_config(config, "LEASES", "lease.>", StorageType::Memory);
    let in_memory = stream::Config { max_age: LEASES_KEPT, ..in_memory };
    let is_auto = config.replicas.is_none();
    Ok((made(context, on_disk, is_auto).await?, made(context, in_memory, is_auto).await?))
}

fn when_made(info: &stream::Info) -> u64 {
    hash(0, &info.created.unix_timestamp_nanos().to_le_bytes())
}

/// Where nobody has said how many copies, and the server belongs to no cluster, there is one.
async fn made(
    context: &jetstream::Context,
    config: stream::Config,
    is_auto: bool,
) -> Result<stream::Stream, OpenError> {
    let name = config.name.clone();
    let failed = |why: String| OpenError::Stream { name, why };
    let code = |error: &CreateStreamError| match error.kind() {
        CreateStreamErrorKind::JetStream(error) => Some(error.error_code()),
        _ => None,
    };
    let made = match context.get_or_create_stream(config.clone()).await {
        Err(error) if is_auto && code(&error) == Some(ErrorCode::STREAM_REPLICAS_NOT_SUPPORTED) => {
            context.get_or_create_stream(stream::Config { num_replicas: 1, ..config }).await
        }
        made => made,
    };
    made.map_err(|error| failed(error.to_string()))
}

/// The same in every release, for members of two must agree.
fn hash(key: u64, bytes: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new_with_keys(key, 0);
    hasher.write(bytes);
    hasher.finish()
}

fn version(text: &str) -> (u64, u64) {
    let mut parts = text.split('.').map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

/// A second conditional write on a subject is refused while the first one is under way, under a code of its own.
fn refusal(error: &jetstream::context::PublishError) -> Refused {
    match error.kind() {
        PublishErrorKind::WrongLastSequence => Refused::Conflict,
        _ if code_of(error) == Some(ErrorCode::STREAM_WRONG_LAST_SEQUENCE_CONSTANT) => Refused::Conflict,
        PublishErrorKind::TimedOut | PublishErrorKind::BrokenPipe => Refused::Unknown,
        _ => Refused::Away(error.to_string()),
    }
}

/// What JetStream calls it, if it was JetStream that refused.
fn code_of(error: &jetstream::context::PublishError) -> Option<ErrorCode> {
    use std::error::Error as _;
    error.source().and_then(|source| source.downcast_ref::<jetstream::Error>()).map(jetstream::Error::error_code)
}
