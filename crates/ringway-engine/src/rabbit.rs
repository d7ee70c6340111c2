//! A bus in RabbitMQ: a topic exchange, and a queue for each connection of a member.
//!
//! | what | is |
//! |---|---|
//! | give | a publish to the exchange, mandatory, whose confirm is waited for. A message that no queue takes comes back before its confirm |
//! | a member's queue | exclusive, deleted with its connection, bound by `member.<number in hex>`. Its name is new with each connection: the server may hold the old one for a while |
//! | taken | the acknowledgement of the delivery. An order that is dropped is put back into the queue |
//!
//! Orders are given over one connection, and each member that listens has one of its own: a server that is short of memory reads nothing more
//! from those who publish, acknowledgements included. The client's own recovery is off, for it would declare the old name again. The loops
//! here connect and declare anew.

mod connect;
mod fetch;
mod inspect;
mod publish;

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use crate::bus::{Away, Bus, Inbox, NotTaken, PATIENCE};
use connect::Servers;
use publish::Given;

pub use inspect::{InspectError, Inspection, inspect};

/// Channels over which orders are given, one at a time over each: a message that comes back says of no order that it is that one's, and is the one's
/// whose confirm is next. Orders to one member go over one channel.
const LANES: usize = 4;

/// Orders that wait for a lane. One more is not taken.
const WAITING: usize = 256;

/// How to reach RabbitMQ. Secrets are shown by no `Debug`.
#[derive(Clone)]
pub struct Config {
    /// `amqp://` or `amqps://` addresses of its servers, without user and password.
    pub urls: Vec<String>,
    /// The virtual host.
    pub vhost: String,
    /// User name and password. `None`: `guest`, whom a server lets in from its own machine alone.
    pub user: Option<(String, String)>,
    /// Certificates of authorities to trust besides the system's.
    pub ca: Option<PathBuf>,
    /// Names the exchange and the queues: one for each cluster that uses these servers.
    pub name: String,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config").field("urls", &self.urls).field("name", &self.name).finish_non_exhaustive()
    }
}

/// Why RabbitMQ cannot be tried. Nothing was changed there.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file with certificates cannot be read.
    #[error("cannot use {}, which [rabbitmq] ca names: {why}. It must hold certificates in PEM", path.display())]
    Ca {
        /// Which.
        path: PathBuf,
        /// Why.
        why: std::io::Error,
    },
    /// An address is none.
    #[error("[rabbitmq] urls has {0:?}, but a server is as in \"amqp://10.0.0.5:5672\" or \"amqps://…\"")]
    Url(String),
}

/// The bus. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Rabbit {
    servers: Arc<Servers>,
    lanes: Arc<[mpsc::Sender<Given>]>,
    away: Away,
}

impl Rabbit {
    /// Begins to reach the servers, and tries for as long as there is a clone of this. Needs a running Tokio runtime.
    ///
    /// # Errors
    /// [`OpenError`]. A server that is away or refuses is none: [`Bus::away`] says so.
    pub async fn open(config: &Config) -> Result<Self, OpenError> {
        let servers = Arc::new(Servers::of(config).await?);
        let (lanes, given) = (0..LANES).map(|_| mpsc::channel(WAITING)).unzip();
        let lanes: Vec<mpsc::Sender<Given>> = lanes;
        let (says, away) = watch::channel(Some("it was not tried yet.".into()));
        tokio::spawn(publish::run(servers.clone(), given, says));
        Ok(Self { servers, lanes: lanes.into(), away })
    }
}

impl Bus for Rabbit {
    async fn give(&self, to: u64, order: Bytes) -> Result<(), NotTaken> {
        let away = self.away.borrow().clone();
        if let Some(why) = away {
            return Err(NotTaken(why.to_string()));
        }
        let (answer, answered) = oneshot::channel();
        let lane = &self.lanes[(to % LANES as u64) as usize];
        let full = |_| NotTaken(format!("{WAITING} orders wait for RabbitMQ already"));
        lane.try_send(Given { to, order, answer }).map_err(full)?;
        match timeout(PATIENCE, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(NotTaken("the connection to RabbitMQ has ended".to_owned())),
            Err(_) => Err(NotTaken("RabbitMQ did not confirm in time".to_owned())),
        }
    }

    fn listen(&self, member: u64) -> Inbox {
        let (inbox, orders, says) = Inbox::new();
        tokio::spawn(fetch::run(self.servers.clone(), member, orders, says));
        inbox
    }

    fn away(&self) -> Away {
        self.away.clone()
    }
}
