//! The rules of a gateway's sessions: who is connected, what they listen to, what they have asked, and what is on its way to them.
//!
//! The [`Hub`] is a plain struct without I/O, clock or randomness: inputs go in, frames come out at the sockets ([`Socket`]), and what
//! concerns other members goes through the core rules it owns. It stands before them in a [`Member`](ringway_core::member::Member), which
//! says when it is whose turn. Who drives it gives each input of a batch to [`Hub::on_input`], lets the member take its turn, and then
//! flushes ([`Hub::flush`], [`Batch::resume`]).

mod asked;
mod audience;
mod auth;
mod backend;
mod backlog;
mod call;
mod channel;
mod comings;
mod command;
mod commands;
mod config;
mod connect;
mod counts;
mod crowd;
mod deliver;
mod drained;
mod feed;
mod feeding;
mod gather;
mod gathered;
mod gathering;
mod grants;
mod hand_on;
mod input;
mod join;
mod kept;
mod keys;
mod leave;
mod listing;
mod made;
mod obey;
mod order;
mod outgoing;
mod parting;
mod plain;
mod posts;
mod probes;
mod publish;
mod read;
mod ready;
mod recover;
mod reset;
mod roster;
mod session;
mod sightings;
mod socket;
mod speaker;
mod special;
mod timers;
mod tokens;
mod turns;
mod wheel;
mod wish;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use ringway_core::gateway::Gateway;
use ringway_core::keeping::Keeping;
use ringway_core::member::Front;
use ringway_core::message::Attach;
use ringway_core::timing::Now;

use ringway_protocol::dialect::Saying;

pub use auth::{Credentials, Faults, Grant, Key, KeyError, KeySet, Keys, Overrides, Rule, ServerSub, SetError, Source};
pub use auth::{TokenError, TokenFault, Tokens, Verifier};
pub use call::{ApiAnswer, ApiPublish, ApiRequest, Call, ChannelsPlace, MemberInfo, ReplyTo, USERS_NAMED};
pub use command::{Ask, Command, Connect, History, Named, Payload, Seen, SubRefresh, Subscribe};
pub use config::{Access, ChannelConfig, HubConfig, NamePattern, Offer, RecoveryMode, SessionLimits};
pub use counts::{Counts, Refused};
pub use input::{Batch, ClientInput, Protocol, Ticket};
pub use kept::{How, Overruled};
pub use plain::WallClock;
pub use posts::Posted;
pub use read::is_next_page;
pub use sightings::Sighting;
pub use socket::{Room, Socket};
pub use turns::Turns;
pub use wish::Extras;

use asked::Asked;
use audience::Audience;
use kept::Kept;
use keys::SessionKey;
use outgoing::Outgoing;
use reset::Resets;
use roster::Roster;
use sightings::Sightings;
use speaker::Speaker;

/// All sessions of a gateway, and what they listen to.
#[derive(Debug)]
pub struct Hub<S> {
    /// What the gateway has to do with other members. Whoever drives the hub comes to them through [`Front`].
    rules: Gateway,
    config: Arc<HubConfig>,
    /// Who is connected.
    roster: Roster<S>,
    /// Who listens.
    audience: Audience,
    /// What was asked.
    asked: Asked,
    /// What goes out.
    outgoing: Outgoing,
    /// Who is to connect anew.
    resets: Resets,
    counts: Counts,
    /// Whose word on how channels are kept `config` goes by.
    kept: Kept,
    /// What has come for sessions here and was not handed to them yet.
    posts: Vec<Posted>,
    /// Who has come and gone, if somebody wants to know.
    sightings: Option<Box<Sightings>>,
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
    fn complete(&mut self, attaches: &mut [Attach]) {
        self.fill_attaches(attaches);
    }

    fn pass(&mut self, now: Now) {
        self.tick(now);
    }

    fn keeping(&self) -> Option<Arc<Keeping>> {
        Some(self.kept.keeping())
    }

    fn keep(&mut self, _now: Now, keeping: &Arc<Keeping>) {
        let Some(config) = self.kept.keep(keeping) else { return };
        self.config = config;
        let config = &self.config;
        self.rules.keep_anew(|name| config.channel(name).ok().map(ChannelConfig::options));
    }
}

impl<S: Socket> Hub<S> {
    /// A hub without sessions, which reads the time of day from this clock.
    pub fn new(now: Now, rules: Gateway, config: Arc<HubConfig>, clock: Box<dyn WallClock>) -> Self {
        Self {
            rules,
            roster: Roster::new(now),
            audience: Audience::new(now),
            asked: Asked::default(),
            outgoing: Outgoing::new(config.limits.outbox_bytes, Speaker::new(clock)),
            resets: Resets::default(),
            kept: Kept::new(config.clone()),
            config,
            counts: Counts::default(),
            posts: Vec::new(),
            sightings: None,
        }
    }

    /// Works off one input.
    pub fn on_input(&mut self, now: Now, input: ClientInput<S>) {
        self.drain(now).take(now, input);
    }

    /// Acts on what the rules report, then lets channels go that nobody listens to and tells owners who came and went, and who is there.
    pub(crate) fn on_events(&mut self, now: Now) {
        // Owners learn who came before they are asked who is there.
        let hub = self.drain(now).settle(now);
        hub.feed_sessions(now);
        hub.drain(now).settle(now).tell_crowds();
    }

    /// Ends a turn: names every socket that something was queued at since the last time, once, to have it written; with a ping behind it
    /// where somebody has to confirm it.
    pub fn flush(&mut self, now: Now, mut write: impl FnMut(&S)) {
        let mut dirty = self.outgoing.take_dirty();
        for key in dirty.drain(..) {
            if self.roster.get(key).is_some_and(|session| session.unproven) {
                self.probe(now, key);
            }
            if let Some(session) = self.roster.get_mut(key) {
                session.dirty = false;
                write(&session.socket);
            }
        }
        self.outgoing.give_back(dirty);
        self.outgoing.probes.end_turn();
    }

    /// What was counted so far.
    pub fn counts(&self) -> Counts {
        let (sessions, channels) = (self.roster.len() as u64, self.audience.len() as u64);
        Counts { sessions, channels, overruled: self.kept.overruled().len() as u64, ..self.counts }
    }

    /// Where the cluster keeps channels otherwise than this gateway's config says, once after each change of it.
    pub fn take_overruled(&mut self) -> Option<Vec<Overruled>> {
        self.kept.take_news()
    }

    /// Says something to a session, in its dialect.
    fn say(&mut self, key: SessionKey, saying: &Saying<'_>) {
        if let Some(session) = self.roster.get_mut(key).filter(|session| !session.is_gone()) {
            self.outgoing.say(key, session, saying);
        }
    }
}
