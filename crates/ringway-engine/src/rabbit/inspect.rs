//! What a person wants to know of the RabbitMQ servers that a cluster uses. It makes the exchange if there is none, and nothing else.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::connect::Servers;
use super::{Config, OpenError};

/// How a client begins to speak AMQP 0-9-1.
const HEADER: &[u8] = b"AMQP\0\0\x09\x01";
/// How the name of the version begins in the table that the server then sends: its length, the name, and that a long text follows.
const VERSION: &[u8] = b"\x07versionS";
/// Longest time for the version, and most bytes of what says it.
const PATIENCE: Duration = Duration::from_secs(3);
const TABLE: usize = 4_096;

/// What was found. None of it is secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// The exchange, which is there.
    pub exchange: String,
    /// What the first server that answers without TLS says its version is.
    pub version: Option<String>,
}

/// Why nothing was found.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// It could not be tried.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It was tried.
    #[error("{0}")]
    Away(String),
}

/// Connects, and declares the exchange as a member does. It takes 6 s for each server at the most, and 3 s for the exchange.
///
/// # Errors
/// [`InspectError`]: no server can be reached, or none lets us in.
pub async fn inspect(config: &Config) -> Result<Inspection, InspectError> {
    let servers = Servers::of(config).await?;
    let connection = servers.connect().await.map_err(InspectError::Away)?;
    let _channel = servers.channel(&connection).await.map_err(InspectError::Away)?;
    let mut version = None;
    for address in config.urls.iter().filter_map(|url| url.strip_prefix("amqp://")) {
        if version.is_none() {
            version = timeout(PATIENCE, version_at(address)).await.ok().flatten();
        }
    }
    Ok(Inspection { exchange: servers.exchange(), version })
}

/// The client tells nobody what the server says of itself, so it is asked once more.
async fn version_at(address: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    stream.write_all(HEADER).await.ok()?;
    let mut said = Vec::new();
    while said.len() < TABLE {
        if stream.read_buf(&mut said).await.ok()? == 0 {
            return None;
        }
        if let Some(version) = version_in(&said) {
            return Some(version);
        }
    }
    None
}

fn version_in(said: &[u8]) -> Option<String> {
    let at = said.windows(VERSION.len()).position(|window| window == VERSION)? + VERSION.len();
    let length = u32::from_be_bytes(*said.get(at..)?.first_chunk()?) as usize;
    let text = said.get(at + 4..at + 4 + length.min(64))?;
    Some(String::from_utf8_lossy(text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_found_where_it_is_whole() {
        let said = b"...\x07productS\0\0\0\x08RabbitMQ\x07versionS\0\0\0\x063.10.8\x08platform";
        assert_eq!(version_in(said).as_deref(), Some("3.10.8"));
        assert_eq!(version_in(&said[..40]), None);
    }
}
