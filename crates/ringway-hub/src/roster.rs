//! Who is connected: every session by its key, and when each is to be looked at.

use std::sync::Arc;
use std::time::Duration;

use ringway_core::UserName;
use ringway_core::gateway::ChannelKey;
use ringway_core::timing::Now;
use ringway_protocol::centrifuge::Disconnect;
use ringway_protocol::dialect::Dialect;
use slab::Slab;
use smallvec::SmallVec;
use uuid::Uuid;

use super::input::Ticket;
use super::keys::{SessionId, SessionKey};
use super::session::{Session, State};
use super::wheel::{Tick, Wheel};

/// All sessions of a gateway, those included that are closed and whose connection has not ended yet.
#[derive(Debug)]
pub(super) struct Roster<S> {
    sessions: Slab<Session<S>>,
    /// Tells sessions from earlier ones with the same key.
    serial: u32,
    wheel: Wheel,
    /// Sessions that are closed as soon as what they asked for is answered.
    broken: Vec<SessionId>,
}

impl<S> Roster<S> {
    pub(super) fn new(now: Now) -> Self {
        Self { sessions: Slab::new(), serial: 0, wheel: Wheel::new(now), broken: Vec::new() }
    }

    /// Takes in a session that is in no channel. The connection learns its key.
    pub(super) fn insert(
        &mut self,
        ticket: &Arc<Ticket>,
        socket: S,
        dialect: Dialect,
        client: Uuid,
        user: Option<UserName>,
        state: State,
    ) -> SessionKey {
        self.serial = self.serial.wrapping_add(1);
        let key = self.sessions.insert(Session {
            socket,
            ticket: ticket.clone(),
            dialect,
            client,
            user,
            info: None,
            subs: SmallVec::new(),
            serial: self.serial,
            due: Tick::default(),
            expires: Tick::default(),
            state,
            backlog: None,
            probe: Session::<S>::NO_PROBE,
            dirty: false,
            unproven: false,
            feed: None,
            is_late: false,
        }) as SessionKey;
        ticket.set_session(key);
        key
    }

    /// The connection is over, and the key may be another session's. What comes late with the ticket is not that one's.
    pub(super) fn remove(&mut self, ticket: &Ticket) {
        self.sessions.try_remove(ticket.session() as usize);
        ticket.forget_session();
    }

    pub(super) fn len(&self) -> usize {
        self.sessions.len()
    }

    pub(super) fn get(&self, key: SessionKey) -> Option<&Session<S>> {
        self.sessions.get(key as usize)
    }

    pub(super) fn get_mut(&mut self, key: SessionKey) -> Option<&mut Session<S>> {
        self.sessions.get_mut(key as usize)
    }

    /// This very session, and not a later one with its key.
    pub(super) fn find(&self, id: SessionId) -> Option<&Session<S>> {
        self.get(id.key).filter(|session| session.serial == id.serial)
    }

    /// The same, to change it.
    pub(super) fn find_mut(&mut self, id: SessionId) -> Option<&mut Session<S>> {
        self.get_mut(id.key).filter(|session| session.serial == id.serial)
    }

    pub(super) fn id_of(&self, key: SessionKey) -> Option<SessionId> {
        self.get(key).map(|session| session.id(key))
    }

    /// This very session is still there to be told something.
    pub(super) fn is_open(&self, id: SessionId) -> bool {
        self.find(id).is_some_and(|session| !session.is_gone())
    }

    pub(super) fn is_plain(&self, key: SessionKey) -> bool {
        self.get(key).is_some_and(Session::is_plain)
    }

    /// Sessions that we have not closed.
    pub(super) fn open(&self) -> impl Iterator<Item = (SessionKey, &Session<S>)> {
        self.all().filter(|(_, session)| !session.is_gone())
    }

    /// Sessions that nobody has asked to go.
    pub(super) fn staying(&self) -> impl Iterator<Item = (SessionKey, &Session<S>)> {
        self.all().filter(|(_, session)| session.stays())
    }

    fn all(&self) -> impl Iterator<Item = (SessionKey, &Session<S>)> {
        self.sessions.iter().map(|(key, session)| (key as SessionKey, session))
    }

    /// Has the session looked at after this time, instead of any earlier wish.
    pub(super) fn wake_after(&mut self, now: Now, key: SessionKey, wait: Duration) {
        if let Some(session) = self.sessions.get_mut(key as usize) {
            session.due = self.wheel.insert(key, now + wait);
        }
    }

    /// Has the session looked at for the end of its credentials; `None`: they have no end.
    pub(super) fn expire_at(&mut self, key: SessionKey, end: Option<Now>) {
        if let Some(session) = self.sessions.get_mut(key as usize) {
            session.expires = end.map_or_else(Tick::default, |end| self.wheel.insert(key, end));
        }
    }

    /// Whoever is to be looked at by now.
    pub(super) fn due(&mut self, now: Now) -> Vec<(SessionKey, Tick)> {
        let (mut due, sessions) = (Vec::new(), &self.sessions);
        self.wheel.due(now, &mut due, |key, tick| {
            sessions.get(key as usize).is_some_and(|session| session.due == tick || session.expires == tick)
        });
        due
    }

    /// The session is closed as soon as it has nothing more to expect.
    pub(super) fn break_off(&mut self, id: SessionId, why: Disconnect) {
        if let Some(session) = self.find_mut(id) {
            session.state = State::Broken(why);
            self.broken.push(id);
        }
    }

    /// Those, if they are not closed for another reason. Who is to wait longer is put in again.
    pub(super) fn take_broken(&mut self) -> Vec<(SessionId, Disconnect)> {
        let broken = std::mem::take(&mut self.broken);
        let why = |id| match self.find(id)?.state {
            State::Broken(why) => Some((id, why)),
            _ => None,
        };
        broken.into_iter().filter_map(why).collect()
    }

    pub(super) fn set_place(&mut self, session: SessionKey, channel: ChannelKey, place: u32) {
        if let Some(sub) = self.get_mut(session).and_then(|session| session.sub_mut(channel)) {
            sub.place = place;
        }
    }

    /// The session has a part in the channel.
    pub(super) fn is_in(&self, session: SessionKey, channel: ChannelKey) -> bool {
        self.get(session).is_some_and(|session| session.sub(channel).is_some())
    }

    #[cfg(test)]
    pub(super) fn all_mut(&mut self) -> impl Iterator<Item = &mut Session<S>> {
        self.sessions.iter_mut().map(|(_, session)| session)
    }
}
