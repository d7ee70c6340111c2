//! A client's socket, as the hub writes to it.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ringway_edge::Conn;
use ringway_hub::{Room, Socket};

/// A socket of the edge.
#[derive(Debug, Clone)]
pub struct Client(pub Arc<Conn>);

impl Deref for Client {
    type Target = Arc<Conn>;

    fn deref(&self) -> &Arc<Conn> {
        &self.0
    }
}

impl Socket for Client {
    fn send(&self, frame: Bytes) {
        // A closing connection drops it; its end is reported on its own way.
        Conn::send(self, frame);
    }

    fn flush(&self) {
        Conn::flush(self);
    }

    fn queued(&self) -> usize {
        self.queued_bytes()
    }

    fn ask_room(&self, low: usize) -> Room {
        match Conn::ask_room(self, low) {
            ringway_edge::Room::Now => Room::Now,
            ringway_edge::Room::Later => Room::Later,
            ringway_edge::Room::Crowded => Room::Crowded,
        }
    }

    fn unread_for(&self) -> Option<Duration> {
        Conn::unread_for(self)
    }

    fn progressed_for(&self) -> Option<Duration> {
        Conn::progressed_for(self)
    }

    fn close(&self, code: u16, reason: &str) {
        Conn::close(self, code, reason);
    }

    fn resume(&self) {
        Conn::resume(self);
    }
}
