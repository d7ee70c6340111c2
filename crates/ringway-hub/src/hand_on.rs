//! Hands on to one session alone, as its client reads: what nobody has confirmed of an inbox, and what was held back.

use ringway_core::ChannelName;
use ringway_core::gateway::ChannelKey;
use ringway_core::message::Entry;
use ringway_protocol::centrifuge::{Disconnect, Shape};
use ringway_protocol::dialect::{Placed, Saying};

use super::channel::Channel;
use super::keys::SessionKey;
use super::session::{Maker, Session};
use super::{Hub, Room, Socket};

impl<S: Socket> Session<S> {
    /// Whether a delivery has to wait: behind others that do, or because it has waited in the inbox, and the socket's
    /// queue is half full.
    pub(super) fn must_wait(&self, offset: u64, attach_top: u64, outbox: usize) -> bool {
        self.backlog.is_some() || ((1..=attach_top).contains(&offset) && self.socket.queued() > outbox / 2)
    }

    /// Holds a publication back; whether it is the first one.
    pub(super) fn hold(&mut self, entry: &Entry) -> bool {
        let is_first = self.backlog.is_none();
        self.backlog.get_or_insert_default().push(entry);
        is_first
    }
}

impl<S: Socket> Hub<S> {
    /// Hands publications of an inbox to a session alone, as it reads.
    pub(super) fn hand_on(&mut self, inbox: ChannelKey, key: SessionKey, unread: &[(u64, Entry)]) {
        let outbox = self.config.limits.outbox_bytes;
        let Some(name) = self.rules.channel_name(inbox) else { return };
        let epoch = self.audience.get(inbox).and_then(Channel::epoch);
        let Some(session) = self.roster.get_mut(key) else { return };
        for (offset, entry) in unread {
            if session.is_plain() && session.must_wait(*offset, u64::MAX, outbox) {
                if session.hold(entry) {
                    self.outgoing.stall(key);
                }
                continue;
            }
            let placed = Placed { channel: name.as_str(), epoch, offset: *offset, entry, shape: Shape::Plain };
            self.outgoing.say(key, session, &Saying::Publication(placed));
        }
        self.counts.deliveries += unread.len() as u64;
        self.must_prove(key);
    }

    /// A session was written something of its inbox, or may have been: a ping follows with the next flush.
    pub(super) fn must_prove(&mut self, key: SessionKey) {
        let Some(session) = self.roster.get_mut(key) else { return };
        session.unproven = true;
        self.outgoing.mark(key, session);
    }

    /// Hands on as much of each backlog as fits.
    pub(super) fn feed_backlogs(&mut self) {
        let room = self.config.limits.outbox_bytes / 2;
        for key in self.outgoing.take_stalled() {
            let Some(session) = self.roster.get_mut(key) else { continue };
            let Some(backlog) = &mut session.backlog else { continue };
            if backlog.is_too_much() {
                self.close(key, Disconnect::Slow);
                continue;
            }
            let has_room = session.socket.ask_room(room) == Room::Now;
            let inbox = session.subs.iter().find(|sub| sub.maker == Maker::Inbox);
            let inbox = inbox.and_then(|sub| self.rules.channel_name(sub.channel));
            let channel = inbox.map_or("", ChannelName::as_str);
            while has_room && session.socket.queued() <= room {
                let Some(entry) = backlog.pop() else { break };
                // Whoever is told places is not held back, so none is kept.
                let placed = Placed { channel, epoch: None, offset: 0, entry: &entry, shape: Shape::Plain };
                if let Some(frame) = self.outgoing.speaker.say(session.dialect, &Saying::Publication(placed)) {
                    session.socket.send(frame);
                }
            }
            session.socket.flush();
            match backlog.is_empty() {
                true => session.backlog = None,
                false => self.outgoing.stall(key),
            }
            self.must_prove(key);
        }
    }
}
