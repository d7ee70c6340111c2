//! Plain sessions: the greeting, news of the owner, problems.

use std::collections::HashMap;

use ringway_core::Incarnation;
use ringway_core::gateway::{ChannelKey, Gateway};
use ringway_protocol::dialect::Saying;
use ringway_protocol::plain::{Body, Owner};

use super::keys::SessionKey;
use super::session::State;
use super::speaker::Shared;
use super::{Hub, Socket};

/// News that were encoded in this tick, by owner.
pub(super) type News = HashMap<Option<Incarnation>, Shared>;

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
        let Some(session) = self.roster.get_mut(key) else { return };
        let owner = told_of(&self.rules, owner);
        self.outgoing.say(key, session, &Saying::Plain(Body::Connected { owner, users }));
        let before = std::mem::replace(&mut session.state, State::Plain);
        self.sighted(key, true);
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
        let users = self.users_of(owner);
        let shared = news.entry(owner).or_default();
        let owner = told_of(&self.rules, owner);
        if let Some(session) = self.roster.get_mut(key) {
            self.outgoing.say_too(key, session, &Saying::Plain(Body::Server { owner, users }), shared);
        }
    }

    pub(super) fn tell_problem(&mut self, key: SessionKey, problem: &'static str) {
        let Some(session) = self.roster.get_mut(key) else { return };
        match &mut session.state {
            // The greeting comes first, whatever happened before it.
            State::Ungreeted { problem: owed } => *owed = Some(Box::new(problem)),
            State::Plain | State::Parting(_) => self.say(key, &Saying::Plain(Body::Problem(problem))),
            _ => {}
        }
    }

    fn owner_of(&self, channel: ChannelKey) -> Option<Incarnation> {
        let name = self.rules.channel_name(channel)?;
        self.rules.placement()?.owner(self.rules.slot_of(name.as_str()))
    }

    /// Users of an owner as it last said. It may not know yet of the one who is told, who is there for certain.
    fn users_of(&self, owner: Option<Incarnation>) -> u64 {
        owner.map_or(0, |owner| self.rules.load(owner).users.max(1))
    }
}

/// An owner, as its users are told of it.
fn told_of(rules: &Gateway, owner: Option<Incarnation>) -> Option<Owner<'_>> {
    let entry = rules.view().node(owner?)?;
    let port = entry.address.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    Some(Owner { id: entry.id.as_str(), port: port.unwrap_or_default() })
}
