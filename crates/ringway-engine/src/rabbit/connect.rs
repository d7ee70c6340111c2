//! One connection to one of the servers, and why there is none.

use std::time::Duration;

use futures_util::StreamExt as _;
use lapin::options::ExchangeDeclareOptions;
use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};
use lapin::tcp::OwnedTLSConfig;
use lapin::types::FieldTable;
use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};
use lapin::{Channel, Connection, ConnectionProperties, Error, ErrorKind, Event, ExchangeKind};
use tokio::time::timeout;

use super::{Config, OpenError};

/// Longest time for a connection and what is declared on it.
const CONNECT: Duration = Duration::from_secs(3);

/// A server whose machine is gone is missed after two of these, in seconds.
const HEARTBEAT: u16 = 5;

/// Where the servers are, and how they are told who this is.
pub(super) struct Servers {
    uris: Vec<AMQPUri>,
    urls: String,
    ca: Option<String>,
    name: String,
}

impl std::fmt::Debug for Servers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Servers").field("urls", &self.urls).finish_non_exhaustive()
    }
}

impl Servers {
    pub(super) async fn of(config: &Config) -> Result<Self, OpenError> {
        let uris = config.urls.iter().map(|url| uri(url, config).ok_or_else(|| OpenError::Url(url.clone())));
        let uris = uris.collect::<Result<_, _>>()?;
        let ca = match &config.ca {
            Some(path) => {
                let failed = |why| OpenError::Ca { path: path.clone(), why };
                Some(tokio::fs::read_to_string(path).await.map_err(failed)?)
            }
            None => None,
        };
        Ok(Self { uris, urls: config.urls.join(", "), ca, name: config.name.clone() })
    }

    pub(super) fn exchange(&self) -> String {
        format!("ringway.{}.orders", self.name)
    }

    /// The name of a queue of a member that there has never been.
    pub(super) fn new_queue(&self, member: u64) -> String {
        format!("ringway.{}.{member:016x}.{:016x}", self.name, rand::random::<u64>())
    }

    /// Connects to the first server that takes us. If none does, says why, and what to do.
    pub(super) async fn connect(&self) -> Result<Connection, String> {
        let mut last = "there is no address.".to_owned();
        for uri in &self.uris {
            match timeout(CONNECT, self.connect_to(uri)).await {
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(error)) => last = explained(&error),
                Err(_) => last = late(),
            }
        }
        Err(self.named(&last))
    }

    async fn connect_to(&self, uri: &AMQPUri) -> Result<Connection, Error> {
        let properties = ConnectionProperties::default().with_connection_name("ringway".into());
        let tls = OwnedTLSConfig { identity: None, cert_chain: self.ca.clone() };
        let runtime = lapin::runtime::default_runtime()?;
        Connection::connect_uri_with_config(uri.clone(), properties, tls, runtime).await
    }

    /// A channel on which the exchange is declared.
    pub(super) async fn channel(&self, connection: &Connection) -> Result<Channel, String> {
        let declared = async {
            let channel = connection.create_channel().await?;
            let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
            let name = self.exchange().into();
            channel.exchange_declare(name, ExchangeKind::Topic, options, FieldTable::default()).await?;
            Ok(channel)
        };
        self.within(declared).await
    }

    /// Waits for something that is asked of a server.
    pub(super) async fn within<T>(&self, asked: impl Future<Output = Result<T, Error>>) -> Result<T, String> {
        match timeout(CONNECT, asked).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.named(&explained(&error))),
            Err(_) => Err(self.named(&late())),
        }
    }

    /// Waits for the end of a connection, or until the server takes nothing more over it.
    pub(super) async fn ended(&self, connection: &Connection) -> String {
        let mut events = Box::pin(connection.events_listener());
        loop {
            match events.next().await {
                Some(Event::Error(error)) => return self.named(&explained(&error)),
                Some(Event::ConnectionBlocked(why)) => {
                    return self.named(&format!("it takes nothing more: {why}. Give it memory and disk."));
                }
                Some(_) => {}
                None => return self.named("the connection has ended."),
            }
        }
    }

    fn named(&self, why: &str) -> String {
        format!("RabbitMQ at {}: {why}", self.urls)
    }
}

pub(super) fn routing_key(member: u64) -> String {
    format!("member.{member:016x}")
}

fn uri(url: &str, config: &Config) -> Option<AMQPUri> {
    let (scheme, rest) = match url.split_once("://")? {
        ("amqp", rest) => (AMQPScheme::AMQP, rest),
        ("amqps", rest) => (AMQPScheme::AMQPS, rest),
        _ => return None,
    };
    let (host, port) = rest.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host).to_owned();
    let (username, password) = config.user.clone().unwrap_or_else(|| ("guest".to_owned(), "guest".to_owned()));
    let authority = AMQPAuthority { userinfo: AMQPUserInfo { username, password }, host, port: port.parse().ok()? };
    let query = AMQPQueryString { heartbeat: Some(HEARTBEAT), ..AMQPQueryString::default() };
    Some(AMQPUri { scheme, authority, vhost: config.vhost.clone(), query })
}

fn late() -> String {
    format!("there was no answer within {} s. Is it running, and is [rabbitmq] urls right?", CONNECT.as_secs())
}

/// What a server or the system said, and what to do.
fn explained(error: &Error) -> String {
    let advice = match error.kind() {
        ErrorKind::ProtocolError(refused) => match refused.kind() {
            AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) if refused.get_message().as_str().contains("Login") => {
                "Check [rabbitmq] user and password."
            }
            AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) => {
                "Give the user the rights to configure, write and read what begins with \"ringway.\" (rabbitmqctl set_permissions)."
            }
            AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED) => {
                "Check [rabbitmq] vhost, and that the user has rights to it (rabbitmqctl set_permissions)."
            }
            _ => "Its own log says more.",
        },
        ErrorKind::IOError(why) if why.to_string().contains("certificate") => {
            "Check [rabbitmq] ca, and that the certificate is for the host in [rabbitmq] urls."
        }
        _ => "Is it running, is [rabbitmq] urls right, and is it amqps:// where it wants TLS?",
    };
    format!("{error}. {advice}")
}
