//! Where the server is: an address such as `ws://host:port`, resolved once.

use std::net::SocketAddr;
use std::str::FromStr;

use anyhow::{Context, bail, ensure};
use hyper::http::uri::Authority;
use tokio::net::{TcpStream, lookup_host};

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

/// An address taken apart. Nothing was looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parts {
    /// `https` or `wss`.
    pub(crate) secure: bool,
    authority: Authority,
    port: u16,
    prefix: String,
}

impl Target {
    /// Resolves `ws://host:port/prefix`; the scheme may be `http` or absent, the prefix too.
    ///
    /// # Errors
    /// The address has another scheme, neither scheme nor port, or a name that nobody knows.
    pub async fn resolve(url: &str) -> anyhow::Result<Self> {
        let parts = Parts::of(url)?;
        ensure!(
            !parts.secure,
            "{url}: the load's sockets speak no TLS: give the plain listener behind it (ws://HOST:PORT)"
        );
        parts.resolve().await
    }
}

impl Parts {
    /// Reads `scheme://host:port/prefix`. What stands behind `?` or `#` is for browsers, so an address can be pasted from one.
    pub(crate) fn of(url: &str) -> anyhow::Result<Self> {
        let (scheme, rest) = url.split_once("://").map_or((None, url), |(scheme, rest)| (Some(scheme), rest));
        let (secure, usual) = match scheme {
            Some("https" | "wss") => (true, Some(443)),
            Some("http" | "ws") => (false, Some(80)),
            Some(other) => bail!("{url}: cannot speak {other}; it must begin with http:// or https://"),
            None => (false, None),
        };
        let address = rest.split(['?', '#']).next().unwrap_or(rest);
        let (host, path) = address.split_once('/').unwrap_or((address, ""));
        let wanted = || format!("{url}: expected an address such as http://HOST:PORT");
        let authority: Authority = host.parse().with_context(wanted)?;
        let port = authority.port_u16().or(usual).with_context(wanted)?;
        ensure!(!authority.host().is_empty(), wanted());
        let path = path.trim_end_matches('/');
        let prefix = if path.is_empty() { String::new() } else { format!("/{path}") };
        Ok(Self { secure, authority, port, prefix })
    }

    /// The name, or the digits, that the server is known by.
    pub(crate) fn name(&self) -> &str {
        self.authority.host().trim_start_matches('[').trim_end_matches(']')
    }

    pub(crate) async fn resolve(&self) -> anyhow::Result<Target> {
        let found = lookup_host((self.name(), self.port)).await;
        let found: Vec<SocketAddr> = found.with_context(|| format!("nobody knows the name {}", self.name()))?.collect();
        let addr = first_that_answers(&found).await.with_context(|| format!("{} has no address", self.name()))?;
        Ok(Target { addr, host: self.authority.to_string(), prefix: self.prefix.clone() })
    }
}

/// A name such as `localhost` has several addresses, and a server may listen on one of them.
async fn first_that_answers(found: &[SocketAddr]) -> Option<SocketAddr> {
    if found.len() > 1 {
        for addr in found {
            if TcpStream::connect(addr).await.is_ok() {
                return Some(*addr);
            }
        }
    }
    // Whoever connects there will say why not.
    found.first().copied()
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
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn addresses_come_in_several_spellings() {
        let bare = Target::resolve("ws://127.0.0.1:9888").await.unwrap();
        for other in ["127.0.0.1:9888/", "http://127.0.0.1:9888/#token=abc", "http://127.0.0.1:9888?x=1"] {
            assert_eq!(bare, Target::resolve(other).await.unwrap(), "{other}");
        }
        assert_eq!((bare.prefix.as_str(), bare.host.as_str()), ("", "127.0.0.1:9888"));
        let under = Target::resolve("http://127.0.0.1/ufire-websocket/").await.unwrap();
        assert_eq!((under.addr.port(), under.prefix.as_str()), (80, "/ufire-websocket"));
        assert_eq!(Target::resolve("http://[::1]:9888").await.unwrap().addr, "[::1]:9888".parse().unwrap());
        assert!(Target::resolve("wss://127.0.0.1:1").await.unwrap_err().to_string().contains("TLS"));
        for wrong in ["127.0.0.1", "ftp://127.0.0.1:1", "http://:1", "http://a b", ""] {
            assert!(Target::resolve(wrong).await.is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_secure_address_has_a_port_of_its_own() {
        let parts = Parts::of("https://ringway.example.org/under").unwrap();
        assert_eq!((parts.secure, parts.port, parts.name()), (true, 443, "ringway.example.org"));
        assert_eq!(Parts::of("wss://h:8443").unwrap().port, 8443);
    }

    #[tokio::test]
    async fn of_several_addresses_the_one_that_answers_is_taken() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let there = listener.local_addr().unwrap();
        let nowhere = SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, there.port()));
        assert_eq!(first_that_answers(&[nowhere, there]).await, Some(there));
        drop(listener);
        assert_eq!(first_that_answers(&[nowhere, there]).await, Some(nowhere));
        assert_eq!(first_that_answers(&[]).await, None);
    }
}
