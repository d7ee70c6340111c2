//! What the hub does with a client's socket. A seam, so that the hub's rules are tested without sockets.

use std::sync::Arc;

use bytes::Bytes;
use ringway_edge::Room;
use std::time::Duration;

/// A cheap handle of one socket. Nothing here waits.
pub trait Socket: Send + 'static {
    /// Queues a whole WebSocket frame.
    fn send(&self, frame: Bytes);
    /// Writes what is queued.
    fn flush(&self);
    /// Bytes that are queued and not yet taken by the kernel.
    fn queued(&self) -> usize;
    /// Whether more may be queued now: no more than `low` bytes wait. If not, [`super::ClientInput::Room`] may follow.
    fn ask_room(&self, low: usize) -> Room;
    /// How long ago reading went on after a pause: nothing during one, `None` if there never was one.
    fn unread_for(&self) -> Option<Duration>;
    /// How long ago the client last made progress with a queue that had filled its socket.
    fn progressed_for(&self) -> Option<Duration>;
    /// Closes after what is queued.
    fn close(&self, code: u16, reason: &str);
    /// Takes back one pause of reading.
    fn resume(&self);
}

impl Socket for Arc<ringway_edge::Conn> {
    fn send(&self, frame: Bytes) {
        // A closing connection drops it; its end is reported on its own way.
        ringway_edge::Conn::send(self, frame);
    }

    fn flush(&self) {
        ringway_edge::Conn::flush(self);
    }

    fn queued(&self) -> usize {
        self.queued_bytes()
    }

    fn ask_room(&self, low: usize) -> Room {
        ringway_edge::Conn::ask_room(self, low)
    }

    fn unread_for(&self) -> Option<Duration> {
        ringway_edge::Conn::unread_for(self)
    }

    fn progressed_for(&self) -> Option<Duration> {
        ringway_edge::Conn::progressed_for(self)
    }

    fn close(&self, code: u16, reason: &str) {
        ringway_edge::Conn::close(self, code, reason);
    }

    fn resume(&self) {
        ringway_edge::Conn::resume(self);
    }
}
