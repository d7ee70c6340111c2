//! The port that other members dial.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ringway_protocol::link::{Purpose, Rejection};
use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use crate::carry::run;
use crate::door::Place;
use crate::handshake::HandshakeError;
use crate::limits::BACKLOG;
use crate::pairs::Side;
use crate::shared::{Ready, Shared};

/// Pause after the system refused to hand over a connection (out of file descriptors, say): it will not be better at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How often it is looked whether there is room again.
const LOOK: Duration = Duration::from_secs(1);

/// The port for links could not be opened. Nothing is listening.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen for links on {address}: {}", advice(.source))]
pub struct BindError {
    /// The address asked for.
    pub address: String,
    /// What the system said.
    pub source: io::Error,
}

fn advice(source: &io::Error) -> String {
    match source.kind() {
        io::ErrorKind::AddrInUse => "another process uses this port; stop it, or choose another port".to_owned(),
        io::ErrorKind::PermissionDenied => "this user may not open this port; choose one above 1023".to_owned(),
        io::ErrorKind::AddrNotAvailable => "this machine has no such address; choose one of its own".to_owned(),
        _ => format!("{source}; check the address, which is written host:port"),
    }
}

/// An open port on which nothing is accepted yet.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Opens the port; 0 takes any free one.
    ///
    /// # Errors
    /// [`BindError`] says which address, why, and what to do.
    pub async fn bind(address: &str) -> Result<Self, BindError> {
        let opened = async {
            let resolved = lookup_host(address).await?.next().ok_or(io::ErrorKind::AddrNotAvailable)?;
            let socket = if resolved.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
            // A member that is started again must not wait for its last connections to time out.
            socket.set_reuseaddr(true)?;
            socket.bind(resolved)?;
            let socket = socket.listen(BACKLOG)?;
            let address = socket.local_addr()?;
            Ok(Self { socket, address })
        };
        opened.await.map_err(|source| BindError { address: address.to_owned(), source })
    }

    /// The address, with the port that was taken.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Takes what others dial until the links go quiet.
pub(crate) async fn accept(listener: Listener, shared: Arc<Shared>) {
    let taking = async {
        loop {
            match listener.socket.accept().await {
                Ok((stream, from)) => {
                    let place = shared.door.enter(from.ip());
                    tokio::spawn(take(stream, from, place, Arc::clone(&shared)));
                }
                Err(error) => {
                    warn!(%error, "cannot accept a link");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    let looking = async {
        loop {
            sleep(LOOK).await;
            shared.door.look();
        }
    };
    tokio::select! {
        () = shared.quiet.cancelled() => {}
        () = taking => {}
        () = looking => {}
    }
}

/// Shakes hands with a newcomer within the deadline, unless it has to make room for another one.
async fn take(stream: TcpStream, from: SocketAddr, place: Place, shared: Arc<Shared>) {
    let turned = &shared.door.turned;
    let shaking = async {
        tokio::select! {
            () = shared.stop.cancelled() => Ok(None),
            () = place.lost() => Ok(None),
            ready = timeout(shared.limits.handshake, shake(stream, from, &shared)) => {
                ready.unwrap_or(Err(HandshakeError::TimedOut))
            }
        }
    };
    let ready = shaking.await;
    match &ready {
        Err(HandshakeError::TimedOut) => drop(turned.timeout.fetch_add(1, Ordering::Relaxed)),
        Err(HandshakeError::Rejected(Rejection::WrongSecret)) => drop(turned.secret.fetch_add(1, Ordering::Relaxed)),
        _ => {}
    }
    drop(place);
    match ready {
        Ok(Some(ready)) => run(&shared, ready),
        Ok(None) => {}
        Err(HandshakeError::Rejected(Rejection::Linked) | HandshakeError::Refused(Rejection::Linked)) => {
            debug!(%from, "one connection of two is enough");
        }
        Err(HandshakeError::Io(error)) => debug!(%from, %error, "a caller went away"),
        Err(error) => warn!(from = %from.ip(), %error, "no link with who dialed"),
    }
}

/// `None`: the dialer only wanted to know who is here, or cannot be linked with.
async fn shake(mut stream: TcpStream, from: SocketAddr, shared: &Shared) -> Result<Option<Ready>, HandshakeError> {
    stream.set_nodelay(true)?;
    let me = shared.me();
    let caller = shared.keys.greet(&mut stream, &me).await?;
    let hello = Instant::now();
    let wrong = || shared.on_wrong_secret.treat(from.ip());
    let (peer, purpose) = shared.keys.accept(&mut stream, &me, caller, &shared.faults, wrong).await?;
    shared.door.know(from.ip());
    match purpose {
        Purpose::Link => {}
        Purpose::LinkWith(wanted) if wanted == me.incarnation => {}
        Purpose::LinkWith(_) | Purpose::Probe => return Ok(None),
    }
    if peer.identity.is_of_another_cluster_than(&me) {
        // It has been told who is here, and of which cluster.
        return Ok(None);
    }
    shared.conclude(stream, &me, peer, Side::Acceptor(hello), hello).await.map(Some)
}
