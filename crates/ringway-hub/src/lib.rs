//! The rules of a gateway's sessions: who is connected, what they listen to, what they have asked, and what is on its way to them.
//!
//! The [`Hub`] is a plain struct without I/O, clock or randomness: inputs go in, frames come out at the sockets ([`Socket`]), and what
//! concerns other members goes through the core rules it owns. It stands before them in a [`Member`](ringway_core::member::Member), which
//! says when it is whose turn. Who drives it gives each input of a batch to [`Hub::on_input`], lets the member take its turn, and then
//! flushes ([`Hub::flush`], [`Batch::resume`]).

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
mod input;
mod join;
mod leave;
mod listing;
mod order;
mod parting;
mod plain;
pub mod present;
mod probes;
mod publish;
mod read;
mod recover;
mod reset;
mod session;
mod socket;
pub mod stored;
mod timers;
mod tokens;
mod turns;
mod waiting;
mod wheel;

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

pub use auth::{Credentials, Faults, Grant, TokenError, Verifier};
pub use call::{ApiAnswer, ApiPublish, ApiRequest, Call, ChannelsPlace, MemberInfo, ReplyTo, USERS_NAMED};
pub use command::{Ask, Command, Connect, History, Named, Seen, SubRefresh, Subscribe};
pub use config::{Allowed, ChannelRules, HubConfig, SessionLimits};
pub use counts::{Counts, Refused};
pub use input::{Batch, ClientInput, Protocol, Ticket};
pub use plain::WallClock;
pub use read::is_next_page;
pub use socket::{Room, Socket};
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

/// All sessions of a gateway, and what they listen to.
#[derive(Debug)]
pub struct Hub<S> {
    /// What the gateway has to do with other members. Whoever drives the hub comes to them through [`Front`].
    rules: Gateway,
    config: Arc<HubConfig>,
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
    clock: Box<dyn WallClock>,
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
    /// A hub without sessions, which reads the time of day from this clock.
    pub fn new(now: Now, rules: Gateway, config: Arc<HubConfig>, clock: Box<dyn WallClock>) -> Self {
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
            clock,
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
            ClientInput::Opened { ticket, socket, protocol, client } => {
                self.open(now, &ticket, socket, protocol, client);
            }
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
    pub(crate) fn on_events(&mut self, now: Now) {
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
