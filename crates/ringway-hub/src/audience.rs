//! Who listens: the channels that are attached here, by name and by key, and what is to be said of them when a turn ends.

use std::collections::HashMap;

use ringway_core::ChannelName;
use ringway_core::gateway::ChannelKey;
use ringway_core::message::Entry;
use ringway_core::timing::Now;

use super::channel::{Channel, Channels, Newcomer};
use super::crowd::Crowds;
use super::grants::Grants;
use super::keys::SessionKey;
use super::parting::Partings;
use super::wish::Wish;

#[derive(Debug)]
pub(super) struct Audience {
    names: HashMap<ChannelName, ChannelKey>,
    channels: Channels,
    /// Channels whose sessions changed in this turn.
    listed: Vec<ChannelKey>,
    /// Who is still to be told to owners.
    pub(super) crowds: Crowds,
    /// What tokens say of subscriptions.
    pub(super) grants: Grants,
    /// Who came and went in this turn, and where.
    pub(super) comings: Vec<(ChannelName, Entry)>,
    /// Who leaves its inbox only with the owner's word.
    pub(super) partings: Partings,
}

impl Audience {
    pub(super) fn new(now: Now) -> Self {
        Self {
            names: HashMap::new(),
            channels: Channels::default(),
            listed: Vec::new(),
            crowds: Crowds::default(),
            grants: Grants::new(now),
            comings: Vec::new(),
            partings: Partings::default(),
        }
    }

    pub(super) fn insert(&mut self, name: ChannelName, key: ChannelKey, channel: Channel) {
        self.names.insert(name, key);
        self.channels.insert(key, channel);
    }

    /// The channel is let go.
    pub(super) fn remove(&mut self, name: Option<&ChannelName>, key: ChannelKey) {
        if let Some(name) = name {
            self.names.remove(name);
        }
        self.channels.remove(key);
        self.crowds.forget(key);
    }

    /// How many channels there are.
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    pub(super) fn key_of(&self, name: &ChannelName) -> Option<ChannelKey> {
        self.names.get(name).copied()
    }

    pub(super) fn named(&self, name: &ChannelName) -> Option<&Channel> {
        self.get(self.key_of(name)?)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = (&ChannelName, ChannelKey)> {
        self.names.iter().map(|(name, key)| (name, *key))
    }

    pub(super) fn get(&self, key: ChannelKey) -> Option<&Channel> {
        self.channels.get(key)
    }

    pub(super) fn get_mut(&mut self, key: ChannelKey) -> Option<&mut Channel> {
        self.channels.get_mut(key)
    }

    /// Has the channel looked at when the turn ends.
    pub(super) fn list(&mut self, key: ChannelKey) {
        if let Some(channel) = self.channels.get_mut(key)
            && !std::mem::replace(&mut channel.is_listed, true)
        {
            self.listed.push(key);
        }
    }

    /// The channels to be looked at.
    pub(super) fn take_listed(&mut self) -> Vec<ChannelKey> {
        let listed = std::mem::take(&mut self.listed);
        for key in &listed {
            if let Some(channel) = self.channels.get_mut(*key) {
                channel.is_listed = false;
                channel.tidy();
            }
        }
        listed
    }

    /// Sessions on a channel, in any part.
    pub(super) fn sessions_of(&self, key: ChannelKey) -> usize {
        self.get(key).map_or(0, Channel::sessions)
    }

    /// A client's subscribe that is not answered.
    pub(super) fn subscribing(&mut self, session: SessionKey, channel: ChannelKey) -> Option<&mut Newcomer> {
        let transit = self.get_mut(channel)?.transit.as_mut()?;
        let is_it = |one: &&mut Newcomer| one.session == session && matches!(one.wish, Wish::Subscribe { .. });
        transit.newcomers.iter_mut().find(is_it)
    }

    /// The session waits to be let in.
    pub(super) fn is_awaited(&self, session: SessionKey, channel: ChannelKey) -> bool {
        let transit = self.get(channel).and_then(|channel| channel.transit.as_ref());
        transit.is_some_and(|transit| {
            transit.ready.contains(&session) || transit.newcomers.iter().any(|newcomer| newcomer.session == session)
        })
    }
}
