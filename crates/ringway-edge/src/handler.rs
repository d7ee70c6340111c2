//! What the process implements to serve a socket.

use crate::Conn;
use ringway_protocol::ws::Message;
use std::sync::Arc;

/// Serves one socket. All calls come from the socket's own task, one at a time, and must not block.
///
/// A panic closes this connection with 1011 and no other. What a call queues with [`Conn::send`] on its own connection
/// is flushed once, after everything that one read brought has been handled.
pub trait Handler: Send + 'static {
    /// The handshake is done; first call.
    fn on_open(&mut self, _conn: &Arc<Conn>) {}

    /// A whole message arrived.
    fn on_message(&mut self, conn: &Arc<Conn>, message: Message<'_>) -> Flow;

    /// The peer answered a ping.
    fn on_pong(&mut self, _conn: &Arc<Conn>, _payload: &[u8]) {}

    /// Somebody has left something for this handler and told so with [`Conn::call`]. It takes one thing and says how to go on, as if it had
    /// come over the connection; `None`: nothing is left.
    fn on_call(&mut self, _conn: &Arc<Conn>) -> Option<Flow> {
        None
    }

    /// There is room again for more, which [`Conn::ask_room`] had said there is not: once for each such answer, unless the
    /// connection closes before.
    fn on_room(&mut self, _conn: &Arc<Conn>) {}

    /// The connection is over for the application: nothing more is received or sent. Last call, exactly once after
    /// [`Handler::on_open`]. The socket itself may linger for the closing handshake; its descriptor is freed with the
    /// last [`Conn`] handle, so handles must be let go now.
    fn on_closed(&mut self, _conn: &Arc<Conn>, _how: &Closed) {}
}

/// Whether to go on reading from a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Deliver the next message.
    Continue,
    /// Stop reading until [`Conn::resume`] is called once for this answer. The two may race: an early `resume` counts.
    Pause,
    /// Stop reading until the peer has read what is queued for it.
    Drain,
}

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Closed {
    /// The peer sent a close frame.
    ByPeer {
        /// Its code, if it gave one.
        code: Option<u16>,
        /// Its words, often empty.
        reason: String,
    },
    /// This side closed: by [`Conn::close`], or itself for a broken rule (1002, 1007, 1009), a slow reader (3008) or a
    /// panic (1011).
    ByUs {
        /// The code sent.
        code: u16,
    },
    /// The peer vanished without a close frame, or [`Conn::abort`] was called.
    Lost,
}
