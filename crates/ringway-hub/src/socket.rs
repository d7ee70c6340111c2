//! What the hub does with a client's socket. A seam, so that the hub's rules are tested without sockets.

use std::time::Duration;

use bytes::Bytes;

/// Whether more may be queued at a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// Yes.
    Now,
    /// The client is still busy with what there is. [`super::ClientInput::Room`] follows once when it has come far enough.
    Later,
    /// All sockets together hold as much as they may; ask again in a moment.
    Crowded,
}

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
