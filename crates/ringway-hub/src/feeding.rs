//! Feeds each session what it has asked for, as its socket takes it.

use bytes::Bytes;
use ringway_core::message::Query;
use ringway_core::timing::Now;
use ringway_protocol::centrifuge::Disconnect;

use super::asked::Waiting;
use super::drained::Drained;
use super::feed::{Feed, Job, Reading, Wanted};
use super::input::Ticket;
use super::keys::{SessionId, SessionKey};
use super::session::{Heartbeat, Session, State};
use super::{Hub, Room, Socket};

impl<S: Socket> Session<S> {
    /// No other message may be sent: it would stand in the middle of one.
    pub(super) fn is_replying(&self) -> bool {
        self.feed.as_ref().is_some_and(|feed| feed.is_replying())
    }

    /// Queues a frame, behind a reply in parts if there is one under way. True if as much is held as may be: the session
    /// is to be fed, which closes it.
    pub(super) fn put(&mut self, frame: Bytes, limit: usize) -> bool {
        let Some(feed) = self.feed.as_mut().filter(|feed| feed.is_replying()) else {
            self.socket.send(frame);
            return false;
        };
        feed.hold(frame, limit)
    }
}

impl<S: Socket> Drained<'_, S> {
    /// The socket has come far enough.
    pub(super) fn on_room(self, ticket: &Ticket) {
        let hub = self.into_hub();
        if let Some(id) = hub.roster.id_of(ticket.session()) {
            hub.list_hungry(id);
        }
    }
}

impl<S: Socket> Hub<S> {
    /// Has a session's wish carried out when its turn comes.
    pub(super) fn enqueue(&mut self, key: SessionKey, job: Job) {
        let Some(session) = self.roster.get_mut(key) else { return };
        let id = session.id(key);
        session.feed.get_or_insert_default().jobs.push_back(job);
        self.list_hungry(id);
    }

    /// The same, before all that waits.
    pub(super) fn enqueue_first(&mut self, key: SessionKey, job: Job) {
        let Some(session) = self.roster.get_mut(key) else { return };
        session.feed.get_or_insert_default().jobs.push_front(job);
    }

    pub(super) fn list_hungry(&mut self, id: SessionId) {
        if self.mark_listed(id) {
            self.outgoing.feed(id);
        }
    }

    /// The session is looked at again with the next tick: what it wants cannot be had now.
    pub(super) fn feed_later(&mut self, id: SessionId) {
        if let Some(feed) = self.feed_of(id) {
            feed.is_asked = false;
        }
        if self.mark_listed(id) {
            self.outgoing.feed_later(id);
        }
    }

    /// What was asked for a session is answered, in whatever way.
    pub(super) fn fed(&mut self, id: SessionId) {
        if let Some(feed) = self.feed_of(id) {
            feed.is_asked = false;
        }
        self.list_hungry(id);
    }

    fn mark_listed(&mut self, id: SessionId) -> bool {
        self.feed_of(id).is_some_and(|feed| !std::mem::replace(&mut feed.is_listed, true))
    }

    pub(super) fn feed_of(&mut self, id: SessionId) -> Option<&mut Feed> {
        self.roster.find_mut(id)?.feed.as_deref_mut()
    }

    /// Begins what is next for each session that can be given more.
    pub(super) fn feed_sessions(&mut self, now: Now) {
        while let Some(id) = self.outgoing.next_hungry() {
            if let Some(feed) = self.feed_of(id) {
                feed.is_listed = false;
                self.feed_one(now, id);
            }
        }
    }

    fn feed_one(&mut self, now: Now, id: SessionId) {
        let limit = self.config.limits.outbox_bytes;
        let Some(session) = self.roster.get_mut(id.key) else { return };
        let Some(feed) = &mut session.feed else { return };
        if feed.holds_more_than(limit) {
            return self.close(id.key, Disconnect::Slow);
        }
        if feed.is_done() {
            session.feed = None;
            return;
        }
        if feed.is_asked || feed.jobs.is_empty() {
            return;
        }
        match session.socket.ask_room(limit / 2) {
            Room::Now => {}
            Room::Later => return,
            Room::Crowded => return self.feed_later(id),
        }
        feed.is_asked = true;
        if let Some(job) = feed.jobs.pop_front() {
            self.begin_job(now, id, job);
        }
    }

    fn begin_job(&mut self, now: Now, session: SessionId, job: Job) {
        match job {
            Job::Page(channel) => self.ask_page(now, session, channel),
            Job::History { id, query } => {
                self.begin_reading(now, session, id, Wanted::History { query, top: None, gathered: None });
            }
            Job::Presence { id, query } => {
                self.begin_reading(now, session, id, Wanted::Presence { query, gathered: None });
            }
            Job::Rest => self.read_on(now, session),
            Job::PresenceStats { id, channel } => {
                self.ask(now, Waiting::PresenceStats { session, id }, Query::PresenceStats(channel));
            }
        }
    }

    fn begin_reading(&mut self, now: Now, session: SessionId, id: u32, wanted: Wanted) {
        if let Some(feed) = self.feed_of(session) {
            feed.reading = Some(Reading { id, wanted, tries: 0 });
        }
        self.read_on(now, session);
    }

    fn read_on(&mut self, now: Now, session: SessionId) {
        match self.feed_of(session).and_then(|feed| feed.reading.as_ref()).map(Reading::query) {
            Some(query) => self.ask(now, Waiting::Read(session), query),
            None => self.fed(session),
        }
    }

    /// The last part of a reply is sent: what waited behind it follows. If a ping did, the time for its pong begins now.
    pub(super) fn release(&mut self, now: Now, id: SessionId) {
        let Some(session) = self.roster.get_mut(id.key) else { return };
        let Some(feed) = &mut session.feed else { return };
        for frame in feed.release() {
            session.socket.send(frame);
        }
        if matches!(session.state, State::Centrifuge(Heartbeat::Pinged)) {
            self.roster.wake_after(now, id.key, self.config.pong_timeout);
        }
    }
}
