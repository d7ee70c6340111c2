//! Where the server is: a `ws://host:port` address, resolved once.

use std::net::SocketAddr;
use std::str::FromStr;

use anyhow::{Context, bail};

/// A server's address, with the path that all of its routes stand under (usually none).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Where to connect.
    pub addr: SocketAddr,
    /// What the `Host` field says.
    pub host: String,
    /// Put in front of every path; empty, or begins with a slash and does not end with one.
    pub prefix: String,
}

impl Target {
    /// Resolves `ws://host:port/prefix`; the scheme may be `http` or absent, the prefix too.
    ///
    /// # Errors
    /// The address has another scheme, no port, or a name that nobody knows.
    pub async fn resolve(url: &str) -> anyhow::Result<Self> {
        let rest = match url.split_once("://") {
            Some(("ws" | "http", rest)) => rest,
            None => url,
            Some((scheme, _)) => {
                bail!("{url}: cannot speak {scheme}, only ws (put a plain listener beside the TLS one)")
            }
        };
        let (host, path) = rest.split_once('/').map_or((rest, ""), |(host, path)| (host, path.trim_end_matches('/')));
        let mut found =
            tokio::net::lookup_host(host).await.with_context(|| format!("{url}: expected ws://host:port"))?;
        let addr = found.next().with_context(|| format!("{url}: the name has no address"))?;
        let prefix = if path.is_empty() { String::new() } else { format!("/{path}") };
        Ok(Self { addr, host: host.to_owned(), prefix })
    }
}

impl From<SocketAddr> for Target {
    fn from(addr: SocketAddr) -> Self {
        Self { addr, host: addr.to_string(), prefix: String::new() }
    }
}

/// Of an address in digits; nothing is looked up.
impl FromStr for Target {
    type Err = std::net::AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<SocketAddr>().map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn addresses_come_in_several_spellings() {
        let bare = Target::resolve("ws://127.0.0.1:9888").await.unwrap();
        assert_eq!(bare, Target::resolve("127.0.0.1:9888/").await.unwrap());
        assert_eq!((bare.prefix.as_str(), bare.host.as_str()), ("", "127.0.0.1:9888"));
        let under = Target::resolve("http://127.0.0.1:80/ufire-websocket/").await.unwrap();
        assert_eq!(under.prefix, "/ufire-websocket");
        assert!(Target::resolve("wss://127.0.0.1:1").await.unwrap_err().to_string().contains("wss"));
        assert!(Target::resolve("127.0.0.1").await.is_err());
    }
}
