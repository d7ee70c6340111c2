//! What waited in an inbox may be more than a socket's queue may hold. It is handed on piece by piece, as the client
//! reads, instead of closing a client that could not have read it yet.
//!
//! Only what was there before the user came is held back, and what follows it for the same session: a client that does
//! not keep up with what is new is slow, as any other.

use std::collections::VecDeque;

use ringway_core::message::Entry;
use ringway_edge::Room;
use ringway_protocol::centrifuge::Disconnect;

use super::deliver::encode_message;
use super::session::{Session, SessionKey};
use super::{Hub, Socket};

/// Bytes held back for one session: a thousand messages of the largest size that clients may send. Beyond, the client
/// is closed as slow.
const BACKLOG_BYTES: usize = 64 << 20;

/// Entries held back for one session, in order.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    entries: VecDeque<Entry>,
    bytes: usize,
}

impl<S: Socket> Session<S> {
    /// Whether a delivery has to wait: behind others that do, or because it has waited in the inbox, and the socket's
    /// queue is half full.
    pub(super) fn must_wait(&self, offset: u64, attach_top: u64, outbox: usize) -> bool {
        self.backlog.is_some() || (offset <= attach_top && self.socket.queued() > outbox / 2)
    }

    /// Holds a delivery back; whether it is the first one.
    pub(super) fn hold(&mut self, entry: &Entry) -> bool {
        let is_first = self.backlog.is_none();
        let backlog = self.backlog.get_or_insert_default();
        backlog.bytes += entry.size();
        backlog.entries.push_back(entry.clone());
        is_first
    }
}

impl<S: Socket> Hub<S> {
    /// A session ends. What is held back for it was not handed to anybody: if it was the user's last, the inbox keeps it.
    pub(super) fn keep_unread(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.get(key as usize).filter(|session| session.user.is_some()) else { return };
        let unread = session.backlog.as_ref().map_or(0, |backlog| backlog.entries.len() as u64);
        for sub in &session.subs {
            if let Some(channel) = self.channels.get_mut(sub.channel) {
                channel.unread = unread;
            }
        }
    }

    /// Hands on as much of each backlog as fits.
    pub(super) fn feed_backlogs(&mut self) {
        let room = self.config.limits.outbox_bytes / 2;
        for key in std::mem::take(&mut self.stalled) {
            let Some(session) = self.sessions.get_mut(key as usize) else { continue };
            let Some(backlog) = &mut session.backlog else { continue };
            if backlog.bytes > BACKLOG_BYTES {
                self.close(key, Disconnect::Slow);
                continue;
            }
            let has_room = session.socket.ask_room(room) == Room::Now;
            while has_room && session.socket.queued() <= room {
                let Some(entry) = backlog.entries.pop_front() else { break };
                backlog.bytes -= entry.size();
                session.socket.send(encode_message(&mut self.scratch, self.clock.text(), &entry));
            }
            session.socket.flush();
            match backlog.entries.is_empty() {
                true => session.backlog = None,
                false => self.stalled.push(key),
            }
        }
    }
}
