//! What waited in an inbox may be more than a socket's queue may hold. It is handed on piece by piece, as the client
//! reads, instead of closing a client that could not have read it yet.
//!
//! Only what was there before the user came is held back, and what follows it for the same session: a client that does
//! not keep up with what is new is slow, as any other.

use std::collections::VecDeque;

use ringway_core::message::Entry;

/// Bytes held back for one session: a thousand messages of the largest size that clients may send. Beyond, the client
/// is closed as slow.
const BACKLOG_BYTES: usize = 64 << 20;

/// Entries held back for one session, in order.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    entries: VecDeque<Entry>,
    bytes: usize,
}

impl Backlog {
    pub(super) fn push(&mut self, entry: &Entry) {
        self.bytes += entry.size();
        self.entries.push_back(entry.clone());
    }

    pub(super) fn pop(&mut self) -> Option<Entry> {
        let entry = self.entries.pop_front()?;
        self.bytes -= entry.size();
        Some(entry)
    }

    /// Its client is closed as slow.
    pub(super) fn is_too_much(&self) -> bool {
        self.bytes > BACKLOG_BYTES
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Publications held back: the last ones that were delivered.
    pub(super) fn len(&self) -> u64 {
        self.entries.len() as u64
    }
}
