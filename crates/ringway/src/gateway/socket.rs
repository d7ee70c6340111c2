//! What the hub does with a client's socket. A seam, so that the hub's rules are tested without sockets.

use std::sync::Arc;

use bytes::Bytes;

/// A cheap handle of one socket. Nothing here waits.
pub trait Socket: Send + 'static {
    /// Queues a whole WebSocket frame.
    fn send(&self, frame: Bytes);
    /// Writes what is queued.
    fn flush(&self);
    /// Bytes that are queued and not yet taken by the kernel.
    fn queued(&self) -> usize;
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

    fn close(&self, code: u16, reason: &str) {
        ringway_edge::Conn::close(self, code, reason);
    }

    fn resume(&self) {
        ringway_edge::Conn::resume(self);
    }
}
