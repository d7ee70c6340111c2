//! Plain sessions: the greeting, news of the owner, problems.

use std::collections::HashMap;

use bytes::Bytes;
use ringway_core::Incarnation;
use ringway_core::gateway::ChannelKey;
use ringway_protocol::plain::{self, Body, Owner};
use ringway_protocol::ws::{self, Kind};

use super::session::{SessionKey, State};
use super::{Hub, Socket};

/// News that were encoded in this tick, by owner.
pub(super) type News = HashMap<Option<Incarnation>, Bytes>;

/// Tells the present as people read it.
pub trait WallClock: std::fmt::Debug + Send {
    /// Date and time of day, in whole seconds.
    fn text(&mut self) -> &str;
}

impl<S: Socket> Hub<S> {
    /// The first message of a plain session, and then what went wrong before it.
    pub(super) fn greet(&mut self, key: SessionKey, channel: ChannelKey, users: Option<u64>) {
        let owner = self.owner_of(channel);
        let users = users.unwrap_or_else(|| self.users_of(owner));
        let frame = self.encode_about(owner, |owner| Body::Connected { owner, users });
        self.send(key, frame);
        let Some(session) = self.roster.get_mut(key) else { return };
        let before = std::mem::replace(&mut session.state, State::Plain);
        if let State::Ungreeted { problem: Some(problem) } = before {
            self.tell_problem(key, *problem);
        }
    }

    /// Who owns the user and how many others, as in the greeting.
    pub(super) fn send_news(&mut self, key: SessionKey, news: &mut News) {
        let Some(sub) = self.roster.get(key).and_then(|session| session.subs.first().copied()) else {
            return;
        };
        let owner = self.owner_of(sub.channel);
        let frame = match news.get(&owner) {
            Some(frame) => frame.clone(),
            None => {
                let users = self.users_of(owner);
                let frame = self.encode_about(owner, |owner| Body::Server { owner, users });
                news.insert(owner, frame.clone());
                frame
            }
        };
        self.send(key, frame);
    }

    pub(super) fn tell_problem(&mut self, key: SessionKey, problem: &'static str) {
        let Some(session) = self.roster.get_mut(key) else { return };
        match &mut session.state {
            // The greeting comes first, whatever happened before it.
            State::Ungreeted { problem: owed } => *owed = Some(Box::new(problem)),
            State::Plain | State::Parting(_) => self.send_plain(key, &Body::Problem(problem)),
            _ => {}
        }
    }

    pub(super) fn send_plain(&mut self, key: SessionKey, body: &Body<'_>) {
        let mut payload = Vec::new();
        plain::encode(&mut payload, self.clock.text(), body);
        self.send(key, ws::frame(Kind::Text, &payload));
    }

    fn owner_of(&self, channel: ChannelKey) -> Option<Incarnation> {
        let name = self.rules.channel_name(channel)?;
        self.rules.placement()?.owner(self.rules.slot_of(name.as_str()))
    }

    /// Users of an owner as it last said. It may not know yet of the one who is told, who is there for certain.
    fn users_of(&self, owner: Option<Incarnation>) -> u64 {
        owner.map_or(0, |owner| self.rules.load(owner).users.max(1))
    }

    fn encode_about(&mut self, owner: Option<Incarnation>, body: impl FnOnce(Option<Owner<'_>>) -> Body<'_>) -> Bytes {
        let mut payload = Vec::new();
        let view = self.rules.view();
        let entry = owner.and_then(|owner| view.node(owner));
        let owner = entry.map(|entry| {
            let port = entry.address.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
            Owner { id: entry.id.as_str(), port: port.unwrap_or_default() }
        });
        plain::encode(&mut payload, self.clock.text(), &body(owner));
        ws::frame(Kind::Text, &payload)
    }
}
