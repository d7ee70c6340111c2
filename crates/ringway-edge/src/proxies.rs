//! Whom a proxy in front of the edge asks for.
//!
//! Only proxies that are named are believed: everybody else could say anything.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hyper::header::HeaderMap;
use ipnet::IpNet;
use ppp::{HeaderResult, v1, v2};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// The longest header of version 1, its line end included.
const MAX_V1: usize = 107;
/// Bytes of a header of version 2 before what its length counts.
const V2_FIXED: usize = 16;
/// Most bytes of a header of version 2: addresses and what common proxies add to them.
const MAX_V2: usize = 2048;
/// What every header of version 2 begins with.
const V2_SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// How proxies say for whom they ask.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ProxyHeader {
    /// With the request's header `X-Forwarded-For`.
    #[default]
    ForwardedFor,
    /// With a PROXY protocol header, version 1 or 2, in front of everything else.
    Protocol,
}

/// Proxies that are believed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    /// Their addresses.
    pub trusted: Vec<IpNet>,
    /// How they say it.
    pub header: ProxyHeader,
}

impl Proxies {
    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.trusted.iter().any(|network| network.contains(&address))
    }

    pub(crate) fn speaks_protocol(&self, peer: IpAddr) -> bool {
        self.header == ProxyHeader::Protocol && self.trusts(peer)
    }

    /// The client's address by the request's headers: the last one that is no trusted proxy, for everything in front of it could be invented.
    pub(crate) fn client_of(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if self.header != ProxyHeader::ForwardedFor || !self.trusts(peer) {
            return peer;
        }
        let mut client = peer;
        for value in headers.get_all("x-forwarded-for").iter().rev() {
            let Ok(value) = value.to_str() else { return client };
            for hop in value.rsplit(',') {
                let Some(address) = address_of(hop.trim()) else { return client };
                client = address;
                if !self.trusts(address) {
                    return client;
                }
            }
        }
        client
    }
}

/// An address as proxies write it: with or without a port, an IPv6 one with or without brackets.
fn address_of(text: &str) -> Option<IpAddr> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    bare.parse().ok().or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()))
}

/// Reads a PROXY protocol header and not a byte more. `None`: the proxy asks for itself, as its health checks do.
pub(crate) async fn read_header(stream: &mut TcpStream, within: Duration) -> io::Result<Option<SocketAddr>> {
    tokio::time::timeout(within, read(stream)).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

async fn read(stream: &mut TcpStream) -> io::Result<Option<SocketAddr>> {
    let mut head = vec![0; V2_SIGNATURE.len()];
    stream.read_exact(&mut head).await?;
    if head == V2_SIGNATURE {
        head.resize(V2_FIXED, 0);
        stream.read_exact(&mut head[V2_SIGNATURE.len()..]).await?;
        let length = V2_FIXED + usize::from(u16::from_be_bytes([head[14], head[15]]));
        if length > MAX_V2 {
            return Err(malformed());
        }
        head.resize(length, 0);
        stream.read_exact(&mut head[V2_FIXED..]).await?;
    } else {
        while !head.ends_with(b"\r\n") {
            if head.len() >= MAX_V1 {
                return Err(malformed());
            }
            head.push(stream.read_u8().await?);
        }
    }
    source(&head)
}

fn source(head: &[u8]) -> io::Result<Option<SocketAddr>> {
    match HeaderResult::parse(head) {
        HeaderResult::V1(Ok(header)) => Ok(match header.addresses {
            v1::Addresses::Tcp4(addresses) => Some((addresses.source_address, addresses.source_port).into()),
            v1::Addresses::Tcp6(addresses) => Some((addresses.source_address, addresses.source_port).into()),
            v1::Addresses::Unknown => None,
        }),
        HeaderResult::V2(Ok(header)) if header.command == v2::Command::Local => Ok(None),
        HeaderResult::V2(Ok(header)) => Ok(match header.addresses {
            v2::Addresses::IPv4(addresses) => Some((addresses.source_address, addresses.source_port).into()),
            v2::Addresses::IPv6(addresses) => Some((addresses.source_address, addresses.source_port).into()),
            v2::Addresses::Unix(_) | v2::Addresses::Unspecified => None,
        }),
        HeaderResult::V1(Err(_)) | HeaderResult::V2(Err(_)) => Err(malformed()),
    }
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "this is no PROXY protocol header")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(header: ProxyHeader) -> Proxies {
        Proxies { trusted: vec!["10.0.0.0/8".parse().unwrap(), "127.0.0.9/32".parse().unwrap()], header }
    }

    #[test]
    fn the_last_address_that_is_no_proxy_is_the_client() {
        let table = [
            ("10.0.0.1", &["203.0.113.7"][..], "203.0.113.7"),
            ("10.0.0.1", &["1.2.3.4, 203.0.113.7"], "203.0.113.7"),
            ("10.0.0.1", &["203.0.113.7, 10.0.0.2"], "203.0.113.7"),
            ("10.0.0.1", &["1.2.3.4", "203.0.113.7"], "203.0.113.7"),
            ("10.0.0.1", &["203.0.113.7:55555"], "203.0.113.7"),
            ("10.0.0.1", &["[2001:db8::1]:443"], "2001:db8::1"),
            ("10.0.0.1", &["garbage"], "10.0.0.1"),
            ("10.0.0.1", &["garbage, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &[], "10.0.0.1"),
            // Whoever is no proxy may say what it likes.
            ("203.0.113.9", &["1.2.3.4"], "203.0.113.9"),
        ];
        for (peer, values, client) in table {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append("x-forwarded-for", value.parse().unwrap());
            }
            let peer = peer.parse().unwrap();
            let found = proxies(ProxyHeader::ForwardedFor).client_of(peer, &headers);
            assert_eq!(found, client.parse::<IpAddr>().unwrap(), "{values:?}");
            assert_eq!(proxies(ProxyHeader::Protocol).client_of(peer, &headers), peer);
        }
    }

    #[test]
    fn both_versions_are_read() {
        assert_eq!(source(b"PROXY TCP4 203.0.113.7 10.0.0.1 5000 80\r\n").unwrap(), "203.0.113.7:5000".parse().ok());
        assert_eq!(source(b"PROXY UNKNOWN\r\n").unwrap(), None);
        let mut second = V2_SIGNATURE.to_vec();
        second.extend_from_slice(&[0x21, 0x11, 0, 12, 203, 0, 113, 7, 10, 0, 0, 1, 0x13, 0x88, 0, 80]);
        assert_eq!(source(&second).unwrap(), "203.0.113.7:5000".parse().ok());
        second[12] = 0x20;
        assert_eq!(source(&second).unwrap(), None);
        assert!(source(b"GET / HTTP/1.1\r\n").is_err());
    }
}
