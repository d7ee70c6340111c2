//! What a person wants to know of the NATS servers that a cluster uses. It only looks: it makes no stream and changes none.

use std::time::Duration;

use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::stream::{self, DiscardPolicy, StorageType};
use async_nats::jetstream::{self, ErrorCode};
use tokio::time::timeout;

use super::{Config, OpenError, reached, stream_name, version};

/// Longest time for the connection, and for each question.
const PATIENCE: Duration = Duration::from_secs(5);

/// What was found. None of it is secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// Name of the server that answered.
    pub server: String,
    /// Its version, as it says it.
    pub version: String,
    /// The first two numbers of its version; zeros where they cannot be read.
    pub version_number: (u64, u64),
    /// Name of the cluster that it belongs to, if it is one of several servers.
    pub cluster: Option<String>,
    /// Servers of that cluster that it tells its clients of, itself included; 1 where it is alone.
    pub servers: usize,
    /// Longest message that it takes, in bytes.
    pub max_payload: usize,
    /// Why JetStream cannot be used; `None`: it can.
    pub no_jetstream: Option<String>,
    /// The streams of this cluster: the view, the leases, the log.
    pub streams: [Inspected; 3],
}

/// One stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspected {
    /// Its full name.
    pub name: String,
    /// What it is like; `None`: there is none. An error says why nobody knows.
    pub found: Result<Option<StreamFacts>, String>,
}

/// What a stream is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamFacts {
    /// It is on disk, and not in memory alone.
    pub on_disk: bool,
    /// Copies of it.
    pub replicas: usize,
    /// Servers whose copy is away, or behind.
    pub behind: Vec<String>,
    /// Most bytes that it takes; `None`: as many as the server has room for.
    pub max_bytes: Option<u64>,
    /// Bytes that it has.
    pub bytes: u64,
    /// A full stream refuses what is new, and keeps what is old.
    pub refuses_when_full: bool,
    /// What is older goes; `None`: nothing goes for its age.
    pub max_age: Option<Duration>,
}

/// Connects, and asks. It takes 5 s for each question at the most, and at most 25 s.
///
/// # Errors
/// [`OpenError`]: no server can be reached, or none lets us in. An old version is none: it is told.
pub async fn inspect(config: &Config) -> Result<Inspection, OpenError> {
    let late = || OpenError::Connect {
        urls: config.urls.join(", "),
        why: format!("there was no answer within {} s", PATIENCE.as_secs()),
    };
    let client = timeout(PATIENCE, reached(config)).await.map_err(|_| late())??;
    let context = jetstream::new(client.clone());
    let no_jetstream = match timeout(PATIENCE, context.query_account()).await {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some("there was no answer in time".to_owned()),
    };
    let (view, leases, log) = tokio::join!(
        inspected(&context, config, "VIEW"),
        inspected(&context, config, "LEASES"),
        inspected(&context, config, "LOG"),
    );
    let info = client.server_info();
    Ok(Inspection {
        version_number: version(&info.version),
        cluster: info.cluster.clone().filter(|name| !name.is_empty()),
        servers: info.connect_urls.len().max(1),
        max_payload: info.max_payload,
        server: info.server_name,
        version: info.version,
        no_jetstream,
        streams: [view, leases, log],
    })
}

async fn inspected(context: &jetstream::Context, config: &Config, what: &str) -> Inspected {
    let name = stream_name(config, what);
    let found = match timeout(PATIENCE, context.get_stream(&name)).await {
        Ok(Ok(stream)) => Ok(Some(facts(stream.cached_info()))),
        Ok(Err(error)) => match error.kind() {
            GetStreamErrorKind::JetStream(why) if why.error_code() == ErrorCode::STREAM_NOT_FOUND => Ok(None),
            _ => Err(error.to_string()),
        },
        Err(_) => Err("there was no answer in time".to_owned()),
    };
    Inspected { name, found }
}

fn facts(info: &stream::Info) -> StreamFacts {
    let config = &info.config;
    let copies = info.cluster.iter().flat_map(|cluster| &cluster.replicas);
    StreamFacts {
        on_disk: config.storage == StorageType::File,
        replicas: config.num_replicas,
        behind: copies.filter(|peer| peer.offline || !peer.current).map(|peer| peer.name.clone()).collect(),
        max_bytes: u64::try_from(config.max_bytes).ok().filter(|bytes| *bytes > 0),
        bytes: info.state.bytes,
        refuses_when_full: config.discard == DiscardPolicy::New,
        max_age: Some(config.max_age).filter(|age| *age > Duration::ZERO),
    }
}
