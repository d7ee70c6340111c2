//! What goes out: which sockets have frames that are not flushed, and who waits to be given more.

use bytes::Bytes;

use ringway_protocol::dialect::Saying;
use ringway_protocol::framing::Part;

use super::Socket;
use super::gathered::Gathering;
use super::keys::{SessionId, SessionKey};
use super::probes::Probes;
use super::session::Session;
use super::speaker::{Shared, Speaker};

#[derive(Debug)]
pub(super) struct Outgoing {
    /// Bytes that a socket's queue may hold, and as much again behind a reply in parts.
    pub(super) limit: usize,
    /// Sessions with frames that are not flushed.
    dirty: Vec<SessionKey>,
    /// Sessions with a backlog.
    stalled: Vec<SessionKey>,
    /// Sessions that may be given more.
    hungry: Vec<SessionId>,
    /// Sessions that wait until all sockets together hold less, or an owner can be asked again.
    crowded: Vec<SessionId>,
    /// What shows that something has arrived.
    pub(super) probes: Probes,
    /// What makes bytes of what is said.
    pub(super) speaker: Speaker,
    /// Answers that go out whole, and of which some is read.
    pub(super) gathering: Gathering,
}

impl Outgoing {
    pub(super) fn new(limit: usize, speaker: Speaker) -> Self {
        Self {
            limit,
            dirty: Vec::new(),
            stalled: Vec::new(),
            hungry: Vec::new(),
            crowded: Vec::new(),
            probes: Probes::default(),
            speaker,
            gathering: Gathering::default(),
        }
    }

    /// Says something to a session, in its dialect.
    pub(super) fn say<S: Socket>(&mut self, key: SessionKey, session: &mut Session<S>, saying: &Saying<'_>) {
        let Some(frame) = self.speaker.say(session.dialect, saying) else { return };
        match saying.part() {
            Part::WHOLE => self.put(key, session, frame),
            _ => self.put_part(key, session, frame),
        }
    }

    /// Says something whole to a session, one of many that are told it.
    pub(super) fn say_too<S: Socket>(
        &mut self,
        key: SessionKey,
        session: &mut Session<S>,
        saying: &Saying<'_>,
        shared: &mut Shared,
    ) {
        if let Some(frame) = self.speaker.say_to_many(shared, session.dialect, saying) {
            self.put(key, session, frame);
        }
    }

    /// Queues a frame, behind a reply in parts if there is one under way. With as much behind one as may be, the session is to be fed,
    /// which closes it.
    pub(super) fn put<S: Socket>(&mut self, key: SessionKey, session: &mut Session<S>, frame: Bytes) {
        if session.put(frame, self.limit) {
            self.hungry.push(session.id(key));
        }
        self.mark(key, session);
    }

    /// Queues a part of a message that is under way.
    fn put_part<S: Socket>(&mut self, key: SessionKey, session: &mut Session<S>, frame: Bytes) {
        session.socket.send(frame);
        self.mark(key, session);
    }

    /// The session's socket is to be flushed.
    pub(super) fn mark<S>(&mut self, key: SessionKey, session: &mut Session<S>) {
        if !std::mem::replace(&mut session.dirty, true) {
            self.dirty.push(key);
        }
    }

    /// Sockets to be flushed. Their list is given back when it is worked off, so that its memory is used again.
    pub(super) fn take_dirty(&mut self) -> Vec<SessionKey> {
        std::mem::take(&mut self.dirty)
    }

    /// The list, worked off; nothing was added meanwhile.
    pub(super) fn give_back(&mut self, dirty: Vec<SessionKey>) {
        self.dirty = dirty;
    }

    /// The session has a backlog.
    pub(super) fn stall(&mut self, key: SessionKey) {
        self.stalled.push(key);
    }

    pub(super) fn take_stalled(&mut self) -> Vec<SessionKey> {
        std::mem::take(&mut self.stalled)
    }

    /// The session can be given more, or is to be closed for it.
    pub(super) fn feed(&mut self, id: SessionId) {
        self.hungry.push(id);
    }

    /// The session is looked at again with the next tick.
    pub(super) fn feed_later(&mut self, id: SessionId) {
        self.crowded.push(id);
    }

    pub(super) fn next_hungry(&mut self) -> Option<SessionId> {
        self.hungry.pop()
    }

    /// Those who had to wait may be given more.
    pub(super) fn feed_again(&mut self) {
        self.hungry.append(&mut self.crowded);
    }
}
