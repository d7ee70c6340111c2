//! The role "gateway" of the process: client sessions, the channels they listen to, and calls from backends.
//!
//! The [`Hub`] decides everything about sessions. It is a plain struct without I/O: inputs go in, frames come out at
//! the sockets, and what concerns other members goes through the core rules it owns. Who drives it does, again and again:
//!
//! 1. take a [`Batch`] from the [`Inbox`] and give each input to [`Hub::on_input`];
//! 2. [`Hub::on_events`];
//! 3. send what `hub.rules` has to send, the attaches of a frame completed by [`Hub::fill_attaches`];
//! 4. [`Hub::flush`], and [`Batch::resume`].
//!
//! Frames from other members go to `hub.rules` before step 2, and [`Hub::tick`] is called several times a second.

mod auth;
mod backend;
mod backlog;
mod call;
mod channel;
mod command;
mod commands;
mod config;
mod connect;
mod counts;
mod crowd;
mod deliver;
mod feed;
mod gather;
mod grants;
mod handler;
mod inbox;
mod join;
mod leave;
mod listing;
mod order;
mod origin;
mod pace;
mod parting;
mod plain;
pub(crate) mod present;
mod probes;
mod publish;
mod read;
mod recover;
mod reset;
mod routes;
mod session;
mod socket;
pub(crate) mod stored;
mod timers;
mod tokens;
mod turns;
mod waiting;
mod wheel;
mod wrong_tokens;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use ringway_core::ChannelName;
use ringway_core::gateway::{ChannelKey, Event, Gateway};
use ringway_core::member::Front;
use ringway_core::message::Message;
use ringway_core::timing::Now;
use slab::Slab;

use ringway_protocol::centrifuge::json;
use ringway_protocol::ws::{self, Kind};

pub use auth::{Credentials, Grant, TokenError, Verifier};
pub use call::{ApiAnswer, ApiPublish, ApiRequest, Call, ChannelsPlace, MemberInfo, USERS_NAMED};
pub use command::{Ask, Command, Connect, History, Named, Seen, SubRefresh, Subscribe};
pub use config::{Allowed, ChannelRules, GatewayConfig, PlainConfig, SessionLimits};
pub use counts::{Counts, Refused};
pub use handler::{CentrifugeHandler, PlainHandler};
pub use inbox::{Batch, ClientInput, Inbox, Protocol, Ticket};
pub(crate) use origin::{is_known_host, may_change};
pub(crate) use read::is_next_page;
pub(crate) use routes::USER_NAME_RULE;
pub use routes::{Refusals, SocketRoutes};
pub use socket::Socket;
pub use turns::Turns;

use channel::Channels;
use crowd::Crowds;
use gather::Gathering;
use grants::Grants;
use parting::Partings;
use probes::Probes;
use reset::Resets;
use session::{Session, SessionId, SessionKey};
use waiting::Waiting;
use wheel::Wheel;

/// A socket of the edge: what the hub writes to outside of tests.
pub type Client = Arc<ringway_edge::Conn>;

/// All sessions of a gateway, and what they listen to.
#[derive(Debug)]
pub struct Hub<S = Client> {
    /// What the gateway has to do with other members. Frames from links go in here, and its frames go out.
    pub rules: Gateway,
    config: Arc<GatewayConfig>,
    sessions: Slab<Session<S>>,
    /// Tells sessions from earlier ones with the same key.
    serial: u32,
    names: HashMap<ChannelName, ChannelKey>,
    channels: Channels,
    crowds: Crowds,
    /// Publishes and queries by the token they were given to the rules with.
    waiting: Slab<Waiting>,
    gatherings: Slab<Gathering>,
    /// API calls without an answer.
    calls: usize,
    wheel: Wheel,
    /// Sessions with frames that are not flushed.
    dirty: Vec<SessionKey>,
    /// Sessions with a backlog.
    stalled: Vec<SessionKey>,
    /// Sessions that may be given more.
    hungry: Vec<SessionId>,
    /// Sessions that wait until all sockets together hold less, or an owner can be asked again.
    crowded: Vec<SessionId>,
    /// Sessions that are closed as soon as what they asked for is answered.
    broken: Vec<SessionId>,
    /// What tokens say of subscriptions.
    grants: Grants,
    resets: Resets,
    partings: Partings,
    probes: Probes,
    /// Channels whose sessions changed in this turn.
    listed: Vec<ChannelKey>,
    clock: plain::WallClock,
    ping: Bytes,
    /// For encoding; always left empty.
    scratch: Vec<u8>,
    counts: Counts,
}

impl<S: Socket> Front for Hub<S> {
    fn gateway(&self) -> &Gateway {
        &self.rules
    }

    fn gateway_mut(&mut self) -> &mut Gateway {
        &mut self.rules
    }

    fn take_events(&mut self, now: Now) {
        self.on_events(now);
    }

    /// Attaches leave with who is present.
    fn complete(&mut self, message: &mut Message) {
        if let Message::Attach(attaches) = message {
            self.fill_attaches(attaches);
        }
    }

    fn pass(&mut self, now: Now) {
        self.tick(now);
    }
}

impl<S: Socket> Hub<S> {
    /// A hub without sessions.
    pub fn new(now: Now, rules: Gateway, config: Arc<GatewayConfig>) -> Self {
        let mut ping = Vec::new();
        json::ping(&mut ping);
        Self {
            rules,
            config,
            sessions: Slab::new(),
            serial: 0,
            names: HashMap::new(),
            channels: Channels::default(),
            crowds: Crowds::default(),
            waiting: Slab::new(),
            gatherings: Slab::new(),
            calls: 0,
            wheel: Wheel::new(now),
            dirty: Vec::new(),
            stalled: Vec::new(),
            hungry: Vec::new(),
            crowded: Vec::new(),
            broken: Vec::new(),
            grants: Grants::new(now),
            resets: Resets::default(),
            partings: Partings::default(),
            probes: Probes::default(),
            listed: Vec::new(),
            clock: plain::WallClock::default(),
            ping: ws::frame(Kind::Text, &ping),
            scratch: Vec::new(),
            counts: Counts::default(),
        }
    }

    /// Works off one input.
    pub fn on_input(&mut self, now: Now, input: ClientInput<S>) {
        // What the rules have delivered goes first to those who were there, and not to whoever comes now.
        self.drain_events(now);
        match input {
            ClientInput::Opened { ticket, socket, protocol } => self.open(now, &ticket, socket, protocol),
            ClientInput::Commands(ticket, commands) => {
                for command in commands {
                    self.on_command(now, ticket.session(), command);
                }
            }
            ClientInput::Said(ticket, user, data) => self.on_said(now, ticket.session(), &user, data),
            ClientInput::Puzzled(ticket) => self.on_puzzled(ticket.session()),
            ClientInput::Room(ticket) => self.on_room(&ticket),
            ClientInput::Ponged(ticket, number) => self.on_ponged(ticket.session(), number),
            ClientInput::Closed(ticket) => self.on_closed(&ticket),
            ClientInput::Call(call) => self.on_call(now, call),
        }
    }

    /// Acts on what the rules report, then lets channels go that nobody listens to and tells owners who came and went, and who is there.
    pub fn on_events(&mut self, now: Now) {
        self.drain_events(now);
        // Owners learn who came before they are asked who is there.
        self.settle(now);
        self.feed_sessions(now);
        self.settle(now);
        self.tell_crowds();
    }

    /// Writes what is queued: one write per socket, however much was sent to it since the last time, and a ping behind it
    /// where somebody has to confirm it.
    pub fn flush(&mut self, now: Now) {
        let mut dirty = std::mem::take(&mut self.dirty);
        for key in dirty.drain(..) {
            let Some(session) = self.sessions.get_mut(key as usize) else { continue };
            if !session.unproven {
                session.dirty = false;
                session.socket.flush();
                continue;
            }
            self.probe(now, key);
            if let Some(session) = self.sessions.get_mut(key as usize) {
                session.dirty = false;
                session.socket.flush();
            }
        }
        // Nothing was added to it meanwhile, and its memory is used again.
        self.dirty = dirty;
        self.probes.end_turn();
    }

    /// Sessions, those included that are closing.
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// What was counted so far.
    pub fn counts(&self) -> Counts {
        Counts { sessions: self.sessions.len() as u64, channels: self.names.len() as u64, ..self.counts }
    }

    /// What the rules have delivered is handed on before anybody leaves, and nobody who comes later is handed it.
    fn drain_events(&mut self, now: Now) {
        while let Some(event) = self.rules.next_event() {
            match event {
                Event::Attached { channel, stream, from, users } => self.on_attached(now, channel, stream, from, users),
                Event::Refused { channel } => self.on_refused(now, channel),
                Event::Deliver { channel, offset, entry } => self.on_deliver(channel, offset, &entry),
                Event::Lost { channel, at } => self.on_lost(channel, at),
                Event::Detached(attach) => self.on_detached(attach),
                Event::Published { token, result } => self.on_published(token, result),
                Event::Answered { token, result } => self.on_answered(now, token, result),
                Event::Disconnect(order) => self.on_order(&order),
            }
        }
    }

    /// Ends a turn for the channels whose sessions changed. Not before all events are worked off: a detach frees a key that an
    /// event may still name.
    fn settle(&mut self, now: Now) {
        for key in std::mem::take(&mut self.listed) {
            let Some(channel) = self.channels.get_mut(key) else { continue };
            channel.is_listed = false;
            channel.tidy();
            let sessions = channel.sessions();
            let changes = channel.changes.take();
            let is_fresh = std::mem::take(&mut channel.is_fresh);
            if sessions == 0 {
                self.detach(now, key);
            } else if let Some(changes) = changes.filter(|_| !is_fresh) {
                self.tell_changes(key, *changes);
            }
        }
        self.part_from_others();
        self.end_broken();
    }

    fn detach(&mut self, now: Now, key: ChannelKey) {
        if let Some(name) = self.rules.channel_name(key) {
            self.names.remove(name);
        }
        self.channels.remove(key);
        self.crowds.forget(key);
        let word = self.rules.detach(now, key);
        self.await_word(key, word);
    }

    /// Has the channel looked at when the turn ends.
    fn list(&mut self, key: ChannelKey) {
        if let Some(channel) = self.channels.get_mut(key)
            && !std::mem::replace(&mut channel.is_listed, true)
        {
            self.listed.push(key);
        }
    }

    /// Queues a frame for a session.
    fn send(&mut self, key: SessionKey, frame: Bytes) {
        let Some(session) = self.sessions.get_mut(key as usize).filter(|session| !session.is_gone()) else { return };
        if session.put(frame, self.config.limits.outbox_bytes) {
            self.hungry.push(session.id(key));
        }
        if !std::mem::replace(&mut session.dirty, true) {
            self.dirty.push(key);
        }
    }

    /// Queues a part of a message that is under way.
    fn send_part(&mut self, key: SessionKey, frame: Bytes) {
        let Some(session) = self.sessions.get_mut(key as usize) else { return };
        session.socket.send(frame);
        if !std::mem::replace(&mut session.dirty, true) {
            self.dirty.push(key);
        }
    }

    /// Queues what `encode` writes, as one text frame.
    fn send_text(&mut self, key: SessionKey, encode: impl FnOnce(&mut Vec<u8>)) {
        let mut scratch = std::mem::take(&mut self.scratch);
        encode(&mut scratch);
        self.send(key, ws::frame(Kind::Text, &scratch));
        scratch.clear();
        self.scratch = scratch;
    }
}
