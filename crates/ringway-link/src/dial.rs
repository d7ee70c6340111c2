//! Dialing: once, to see who is there, or again and again, to keep a link.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringway_protocol::link::{Identity, Purpose, Rejection};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::carry::run;
use crate::event::Event;
use crate::handshake::{HandshakeError, Proved};
use crate::limits::Limits;
use crate::pairs::Side;
use crate::shared::{Ready, Shared};
use crate::target::{DialError, Target};

/// What a probe found out.
#[derive(Debug)]
pub enum Evidence {
    /// Nothing listens there.
    Refused,
    /// This member has proved that it is there.
    Answered(Identity),
    /// No answer that proves anything.
    Unknown(DialError),
}

/// Pauses between dials: short at first, doubled each time, each shortened by up to half so that members that lost
/// the same peer do not come back in step.
#[derive(Debug)]
struct Pause {
    next: Duration,
    first: Duration,
    longest: Duration,
}

impl Pause {
    fn new(limits: &Limits) -> Self {
        Self { next: limits.first_pause, first: limits.first_pause, longest: limits.longest_pause }
    }

    fn reset(&mut self) {
        self.next = self.first;
    }

    async fn take(&mut self) {
        let pause = self.next.mul_f64(rand::random_range(0.5..1.0));
        self.next = (self.next * 2).min(self.longest);
        sleep(pause).await;
    }
}

/// Keeps a link with the target until told to stop. Only dials while there is none, whoever made it.
pub(crate) async fn keep(target: Target, shared: Arc<Shared>, stop: CancellationToken) {
    tokio::select! {
        () = shared.quiet.cancelled() => {}
        () = stop.cancelled() => {}
        () = dial_again_and_again(&target, &shared) => {}
    }
}

async fn dial_again_and_again(target: &Target, shared: &Arc<Shared>) {
    let mut pause = Pause::new(&shared.limits);
    let mut peer = target.incarnation();
    loop {
        if let Some(link) = peer.and_then(|peer| shared.pairs.live(peer)) {
            link.ended().await;
            // A link that stood for a while is dialed again at once; one that keeps breaking is not hurried.
            if link.began.elapsed() > shared.limits.longest_pause {
                pause.reset();
            } else {
                pause.take().await;
                continue;
            }
        }
        match attempt(target, shared).await {
            Ok(ready) => {
                peer = Some(ready.connection.peer.incarnation);
                run(shared, ready);
                continue;
            }
            Err(DialError::Handshake(HandshakeError::Linked(with))) => peer = Some(with),
            Err(why) => tell(target, why, shared).await,
        }
        pause.take().await;
    }
}

/// One dial within the deadline.
async fn attempt(target: &Target, shared: &Shared) -> Result<Ready, DialError> {
    let began = Instant::now();
    let me = shared.me();
    let dialing = async {
        let (stream, peer) = reach(target, target.purpose(), &me, shared).await?;
        if target.incarnation().is_some_and(|wanted| wanted != peer.identity.incarnation) {
            return Err(DialError::Other(Box::new(peer.identity)));
        }
        if peer.identity.is_of_another_cluster_than(&me) {
            return Err(DialError::OtherCluster(Box::new(peer.identity)));
        }
        if let Ok(address) = stream.peer_addr() {
            shared.door.know(address.ip());
        }
        Ok(shared.conclude(stream, &me, peer, Side::Dialer(target.address.clone()), began).await?)
    };
    timeout(shared.limits.handshake, dialing).await.unwrap_or(Err(DialError::Handshake(HandshakeError::TimedOut)))
}

/// Dials once to see who is there, and makes no link.
pub(crate) async fn probe(target: &Target, deadline: Duration, shared: &Shared) -> Evidence {
    let me = shared.me();
    match timeout(deadline, reach(target, Purpose::Probe, &me, shared)).await {
        Ok(Ok((_, peer))) => Evidence::Answered(peer.identity),
        Ok(Err(DialError::Refused)) => Evidence::Refused,
        Ok(Err(why)) => Evidence::Unknown(why),
        Err(_) => Evidence::Unknown(HandshakeError::TimedOut.into()),
    }
}

/// Connects and learns who is there.
async fn reach(
    target: &Target,
    purpose: Purpose,
    me: &Identity,
    shared: &Shared,
) -> Result<(TcpStream, Proved), DialError> {
    if let Some((id, _)) = &target.member {
        shared.faults.hang_if_cut(id).await;
    }
    let mut stream = connect(&target.address).await?;
    stream.set_nodelay(true).map_err(HandshakeError::Io)?;
    let is_linked = |peer: &Identity| purpose != Purpose::Probe && shared.pairs.live(peer.incarnation).is_some();
    let peer = shared.keys.dial(&mut stream, me, purpose, is_linked).await?;
    shared.faults.hang_if_cut(&peer.identity.id).await;
    Ok((stream, peer))
}

/// Tries each address that the name stands for. It counts as refused only if each of them was.
async fn connect(address: &str) -> Result<TcpStream, DialError> {
    let mut failure = None;
    let mut refused = false;
    for resolved in lookup_host(address).await.map_err(DialError::UnknownName)? {
        match TcpStream::connect(resolved).await {
            Ok(stream) => return Ok(stream),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => refused = true,
            Err(error) => failure = Some(error),
        }
    }
    match failure {
        None if refused => Err(DialError::Refused),
        None => Err(DialError::Unreachable(io::ErrorKind::AddrNotAvailable.into())),
        Some(error) => Err(DialError::Unreachable(error)),
    }
}

/// Reports a failed dial. That the two have a link already is no failure.
async fn tell(target: &Target, why: DialError, shared: &Shared) {
    let target = target.clone();
    let event = match why {
        DialError::Refused => Event::Refused { target },
        DialError::Handshake(
            HandshakeError::Refused(Rejection::Linked) | HandshakeError::Rejected(Rejection::Linked),
        ) => {
            return debug!(%target, "one connection of two is enough");
        }
        why => Event::Failed { target, why },
    };
    let _ = shared.events.send(event).await;
}
