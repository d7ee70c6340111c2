//! What the sessions of an inbox have shown to have. A WebSocket ping follows what was written to them, and its pong confirms it:
//! every browser and every library answers a ping by itself, after what came before it. What was written and not confirmed
//! comes again to whoever comes next.
//!
//! ```text
//!   (none) ──written──▶ pinged ──pong──▶ answered ──PROBE_EVERY──▶ (none), or pinged again if more was written
//!                          └──pong_timeout──▶ a plain session is closed with 3012
//! ```
//!
//! A ping goes out with the flush of what it follows, so it costs no write of its own; only where more is written within
//! [`PROBE_EVERY`] of a ping, the next one waits until then. An idle session has no probe and gets no ping.
//!
//! Close frames confirm nothing: a client that closes may not have read what came before, and one that is closed from here is
//! pinged first where there is time for that.
//!
//! A response that streams has no such ping ([`Proof`]). There the client protocol's own ping takes its place, where its client answers that:
//! it went out behind what was written, and its pong says that the client has come so far. One that only listens says nothing at all: what
//! has left its queue counts as confirmed when the connection is still open at the next look.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use ringway_core::Position;
use ringway_core::gateway::ChannelKey;
use ringway_core::timing::Now;
use ringway_protocol::centrifuge::Disconnect;
use ringway_protocol::dialect::Proof;
use ringway_protocol::framing::Framing;
use slab::Slab;
use smallvec::SmallVec;

use super::channel::Channel;
use super::drained::Drained;
use super::keys::{ProbeKey, SessionId, SessionKey};
use super::session::{Heartbeat, Session, State, Sub};
use super::wheel::{SETTLE, STALL};
use super::{Hub, Socket};

/// A session gets a ping this often at most.
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// A session that was written something that its user has not confirmed, or had been a moment ago.
#[derive(Debug)]
struct Probe {
    session: SessionId,
    inbox: ChannelKey,
    /// Number of the last ping, its payload.
    number: u32,
    /// What the pong will confirm; `None` once it has come.
    covers: Option<Position>,
    /// When that ping was sent, or when the client was last seen to read since.
    since: Now,
    /// Bytes that waited for the client when it was last looked at.
    queued: usize,
}

/// All probes: at most one for each session.
#[derive(Debug, Default)]
pub(super) struct Probes {
    open: Slab<Probe>,
    /// When each is to be looked at: all after the same time, so in order.
    looks: VecDeque<(Now, ProbeKey)>,
    /// When they were last looked at.
    looked: Now,
    /// Number of the newest ping. A pong whose number is not that of its session's last ping proves nothing.
    number: u32,
    /// The newest ping as it goes out on each way, while the turn lasts.
    frames: SmallVec<[(Framing, Bytes); 1]>,
}

impl Probes {
    fn begin(&mut self, now: Now, session: SessionId, inbox: ChannelKey) -> ProbeKey {
        let probe = Probe { session, inbox, number: 0, covers: None, since: now, queued: 0 };
        let key = self.open.insert(probe) as ProbeKey;
        self.looks.push_back((now + PROBE_EVERY, key));
        key
    }

    /// Time in which nobody looked does not count against clients: what they have sent meanwhile is not read yet.
    fn make_up_for(&mut self, now: Now) {
        let gap = now.saturating_sub(std::mem::replace(&mut self.looked, now));
        if gap > STALL {
            self.open.iter_mut().for_each(|(_, probe)| probe.since += gap + SETTLE);
        }
    }

    /// A ping: the same for all sessions in one turn, and another one for a session that has had it.
    /// `None` where nothing of the kind can be sent.
    fn ping(&mut self, last: u32, framing: Framing) -> Option<(u32, Bytes)> {
        if self.frames.is_empty() || self.number == last {
            self.number = self.number.wrapping_add(1).max(1);
            self.frames.clear();
        }
        if let Some((_, frame)) = self.frames.iter().find(|(known, _)| *known == framing) {
            return Some((self.number, frame.clone()));
        }
        let frame = framing.probe(self.number)?;
        self.frames.push((framing, frame.clone()));
        Some((self.number, frame))
    }

    /// The next ping has another number.
    pub(super) fn end_turn(&mut self) {
        self.frames.clear();
    }
}

impl<S: Socket> Drained<'_, S> {
    /// The client answered a ping: whatever it was written before that has reached it.
    pub(super) fn on_ponged(self, key: SessionKey, number: u32) {
        let hub = self.into_hub();
        let Some(session) = hub.roster.get(key) else { return };
        let probe = hub.outgoing.probes.open.get(session.probe as usize);
        if probe.is_some_and(|probe| probe.number == number) {
            hub.confirm_written(key);
        }
    }
}

impl<S: Socket> Hub<S> {
    /// What a session was written before its last probe has reached it.
    pub(super) fn confirm_written(&mut self, key: SessionKey) {
        let Some(session) = self.roster.get(key).filter(|session| !session.is_gone()) else { return };
        let probe = self.outgoing.probes.open.get_mut(session.probe as usize);
        let Some((inbox, covers)) = probe.and_then(|probe| Some((probe.inbox, probe.covers.take()?))) else { return };
        if session.sub(inbox).is_none() {
            return;
        }
        self.rules.confirm(inbox, covers);
        self.go_on_parting(key, inbox);
    }

    /// A session was written something of its inbox. Queues a ping behind it, if none is under way and the last one is a while ago.
    pub(super) fn probe(&mut self, now: Now, key: SessionKey) {
        let Some(session) = self.roster.get_mut(key) else { return };
        session.unproven = false;
        let Some(inbox) = session.inbox().filter(|_| session.probe == Session::<S>::NO_PROBE && session.stays()) else {
            return;
        };
        session.probe = self.outgoing.probes.begin(now, session.id(key), inbox);
        self.ping(now, key);
    }

    /// Queues a ping that covers what the session was written so far, unless its user has confirmed that; whether there was one.
    fn ping(&mut self, now: Now, key: SessionKey) -> bool {
        let Some(session) = self.roster.get(key) else { return false };
        let Some(probe) = self.outgoing.probes.open.get(session.probe as usize) else { return false };
        let Some(written) = self.unconfirmed(key, probe.inbox) else { return false };
        let (last, dialect) = (probe.number, session.dialect);
        let number = match dialect.proof() {
            Proof::Probe => {
                let Some((number, frame)) = self.outgoing.probes.ping(last, dialect.framing) else { return false };
                let Some(session) = self.roster.get_mut(key) else { return false };
                session.ticket.await_pong(number);
                // Behind a reply in parts it waits with what it is to confirm.
                self.outgoing.put(key, session, frame);
                number
            }
            // One ping at a time: a pong does not say which one it answers.
            Proof::Pong if matches!(session.state, State::Centrifuge(Heartbeat::Pinged)) => return true,
            Proof::Pong => {
                self.ask_for_pong(now, key);
                last
            }
            Proof::Written => last,
        };
        let Some(session) = self.roster.get_mut(key) else { return false };
        if let Some(probe) = self.outgoing.probes.open.get_mut(session.probe as usize) {
            let queued = session.socket.queued();
            (probe.number, probe.covers, probe.since, probe.queued) = (number, Some(written), now, queued);
        }
        true
    }

    /// Up to where a session was written its inbox, if that is further than what its user has confirmed.
    fn unconfirmed(&self, key: SessionKey, inbox: ChannelKey) -> Option<Position> {
        let (session, channel) = (self.roster.get(key)?, self.audience.get(inbox)?);
        let confirmed = self.rules.confirmed(inbox)?;
        written(key, session, inbox, channel)
            .filter(|written| written.epoch != confirmed.epoch || written.offset > confirmed.offset)
    }

    /// What time does to the pings: a client that does not answer is closed, one that was written more is pinged again.
    pub(super) fn look_at_probes(&mut self, now: Now) {
        self.outgoing.probes.make_up_for(now);
        while let Some((_, at)) = self.outgoing.probes.looks.pop_front_if(|(due, _)| *due <= now) {
            if self.is_still_probed(now, at) {
                self.outgoing.probes.looks.push_back((now + PROBE_EVERY, at));
                continue;
            }
            let probe = self.outgoing.probes.open.try_remove(at as usize);
            let session = probe.and_then(|probe| self.roster.find_mut(probe.session));
            if let Some(session) = session {
                session.probe = Session::<S>::NO_PROBE;
            }
        }
    }

    fn is_still_probed(&mut self, now: Now, at: ProbeKey) -> bool {
        let Some(probe) = self.outgoing.probes.open.get_mut(at as usize) else { return false };
        let id = probe.session;
        let Some(session) = self.roster.find(id).filter(|session| !session.is_gone()) else { return false };
        if probe.covers.is_none() {
            return self.ping(now, id.key);
        }
        let queued = session.socket.queued();
        if queued == 0 && session.dialect.proof() == Proof::Written {
            self.confirm_written(id.key);
            return true;
        }
        // It reads, and the pong may still be far behind. Or it is not read from, which is not its fault.
        if queued < probe.queued || session.ticket.awaits_answers() {
            probe.since = now;
        }
        probe.queued = queued;
        // A Centrifuge client has pings of its own protocol to answer.
        let is_silent = session.is_plain() && now >= probe.since + self.config.pong_timeout;
        if is_silent {
            self.close(id.key, Disconnect::NoPong);
        }
        !is_silent
    }

    /// Pings a session that is to go, whatever it was pinged before, so that nothing comes to it again elsewhere. It is handed
    /// nothing more. `false`: its user has confirmed everything.
    pub(super) fn ask_last_word(&mut self, now: Now, key: SessionKey, inbox: ChannelKey) -> bool {
        if self.unconfirmed(key, inbox).is_none() {
            return false;
        }
        let Some(session) = self.roster.get_mut(key) else { return false };
        if session.probe == Session::<S>::NO_PROBE {
            session.probe = self.outgoing.probes.begin(now, session.id(key), inbox);
        }
        self.ping(now, key)
    }
}

/// Up to where a session was written its inbox; `None` while it does not listen to it. Never further than it was: whoever has been
/// told more than was delivered here has its last part confirmed later.
fn written<S>(key: SessionKey, session: &Session<S>, inbox: ChannelKey, channel: &Channel) -> Option<Position> {
    let is_listener = session.sub(inbox)?.place != Sub::ON_THE_WAY;
    let is_ahead =
        || channel.transit.as_ref().is_some_and(|transit| transit.ahead.iter().any(|one| one.session == key));
    let position = channel.position.filter(|_| is_listener || is_ahead())?;
    let held = session.backlog.as_ref().map_or(0, |backlog| backlog.len());
    Some(Position { offset: position.offset.saturating_sub(held), ..position })
}

impl<S> Session<S> {
    /// No probe.
    pub(super) const NO_PROBE: ProbeKey = ProbeKey::MAX;

    /// It waits to be let go.
    pub(super) fn is_parting(&self) -> bool {
        matches!(self.state, State::Parting(_))
    }
}
