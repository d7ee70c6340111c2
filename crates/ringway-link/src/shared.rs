//! What all tasks of one member's links share.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Mutex, RwLock};
use ringway_protocol::link::{Handshake, Identity, Rejection};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::connection::Connection;
use crate::door::Door;
use crate::end::Ended;
use crate::event::Event;
use crate::fault::Faults;
use crate::handshake::{HandshakeError, Keys, Proved, receive, send};
use crate::limits::Limits;
use crate::pairs::{Installed, Pairs, Side};
use crate::target::Target;
use crate::wrong_secret::OnWrongSecret;

/// One for each [`crate::Links`].
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) me: RwLock<Arc<Identity>>,
    pub(crate) keys: Keys,
    pub(crate) limits: Limits,
    pub(crate) events: mpsc::Sender<Event>,
    pub(crate) pairs: Pairs,
    pub(crate) faults: Faults,
    pub(crate) door: Arc<Door>,
    pub(crate) on_wrong_secret: OnWrongSecret,
    /// What is being dialed, with what ends it.
    pub(crate) dials: Mutex<HashMap<Target, CancellationToken>>,
    /// Nothing new is dialed or accepted. Cancelled with `stop`.
    pub(crate) quiet: CancellationToken,
    /// Everything ends.
    pub(crate) stop: CancellationToken,
}

/// What a finished handshake leaves to be run.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) connection: Arc<Connection>,
    pub(crate) stream: TcpStream,
    /// The judge's word, still to be sent.
    pub(crate) go: Option<u64>,
    /// The link before it, whose end must be told first.
    pub(crate) replaced: Option<Arc<Connection>>,
}

impl Shared {
    pub(crate) fn me(&self) -> Arc<Identity> {
        Arc::clone(&self.me.read())
    }

    /// Last step of a handshake: the judge of the pair makes the connection the link, the other end hears of it.
    /// Nothing is waited for once it is the link, so that no deadline can leave it there without a task.
    pub(crate) async fn conclude(
        &self,
        mut stream: TcpStream,
        me: &Identity,
        peer: Proved,
        side: Side,
        began: Instant,
    ) -> Result<Ready, HandshakeError> {
        self.faults.hang_if_cut(&peer.identity.id).await;
        let with = peer.identity.incarnation;
        let is_judge = me.incarnation > with;
        let make =
            || Connection::new(me.incarnation, peer, side.dialed(), self.limits.queue_bytes, self.stop.child_token());
        let installed = if is_judge {
            match self.pairs.judge(me.incarnation, with, &side, make) {
                Ok(installed) => installed,
                Err(why) => return refuse(&mut stream, why).await,
            }
        } else {
            let Handshake::Go(number) = receive(&mut stream).await?.1 else { return Err(HandshakeError::OutOfTurn) };
            self.check_age(began)?;
            self.pairs.follow(me.incarnation, with, number, make).map_err(HandshakeError::Rejected)?
        };
        let Installed { connection, number, replaced } = installed;
        let go = is_judge.then_some(number);
        self.after_install(&connection);
        Ok(Ready { connection, stream, go, replaced })
    }

    /// A process that was frozen in the middle of a handshake finds the rest of it in its sockets; by then a newer
    /// connection may have come and gone.
    fn check_age(&self, began: Instant) -> Result<(), HandshakeError> {
        if began.elapsed() > self.limits.handshake { Err(HandshakeError::TimedOut) } else { Ok(()) }
    }

    /// What changed between the handshake and now: this member may have been cut off, made slow, or shut down.
    fn after_install(&self, connection: &Connection) {
        if self.faults.is_cut(&connection.peer.id) {
            connection.end(Ended::Cut);
        }
        self.faults.slow_down(&connection.peer.id, |slow| connection.slow(Some(slow)));
        if self.quiet.is_cancelled() {
            connection.close(Ended::ShutDown);
        }
        if let Some(horizon) = Instant::now().checked_sub(self.limits.handshake * 2) {
            self.pairs.sweep(horizon);
        }
    }
}

async fn refuse<T>(stream: &mut TcpStream, why: Rejection) -> Result<T, HandshakeError> {
    let _ = send(stream, &Handshake::Refused(why)).await;
    Err(HandshakeError::Rejected(why))
}
