//! The way from this machine to an address: by which of its own addresses it leaves. Others there can answer to that one.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::{UdpSocket, lookup_host};

/// A way to another machine, or back to this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// Where it leads: the first address of the name to which there is a way.
    pub to: SocketAddr,
    /// The address of this machine from which it leaves.
    pub from: IpAddr,
}

/// There is no way to an address now. There may be later: networks and names can come up after a process.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    /// Nobody knows the name.
    #[error("its name is not known here ({0})")]
    UnknownName(io::Error),
    /// The system has no route to any address of the name.
    #[error("this machine has no route there ({0})")]
    NoRoute(io::Error),
}

impl Route {
    /// The way to `host:port`.
    ///
    /// # Errors
    /// [`RouteError`].
    pub async fn find(address: &str) -> Result<Self, RouteError> {
        let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for to in lookup_host(address).await.map_err(RouteError::UnknownName)? {
            match leaves_from(to).await {
                Ok(from) => return Ok(Self { to, from }),
                Err(error) => failure = error,
            }
        }
        Err(RouteError::NoRoute(failure))
    }

    /// It leads to an address that means this machine on every machine.
    pub fn is_loopback(&self) -> bool {
        self.to.ip().to_canonical().is_loopback()
    }
}

/// Connecting a datagram socket sends nothing; the system only looks up the route.
async fn leaves_from(to: SocketAddr) -> io::Result<IpAddr> {
    let any = if to.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(to).await?;
    Ok(socket.local_addr()?.ip())
}
