//! A session leaves a channel.

use ringway_core::gateway::ChannelKey;
use ringway_core::message::Happening;

use super::keys::SessionKey;
use super::session::Sub;
use super::{Hub, Socket};

impl<S: Socket> Hub<S> {
    /// Takes a session out of a channel. The channel itself is let go when the turn ends, if nobody is left.
    pub(super) fn leave(&mut self, key: SessionKey, channel: ChannelKey) {
        if !self.audience.is_awaited(key, channel) {
            self.announce(key, channel, Happening::Leave);
        }
        let Some(sub) = self.forget_sub(key, channel) else { return };
        let Some(entry) = self.audience.get_mut(channel) else { return };
        if sub.place != Sub::ON_THE_WAY {
            return self.take_out(channel, sub.place);
        }
        let Some(transit) = entry.transit.as_mut() else { return };
        transit.ahead.retain(|ahead| ahead.session != key);
        transit.behind.retain(|behind| behind.session != key);
        transit.parting.retain(|parting| *parting != key);
        transit.ready.retain(|ready| *ready != key);
        transit.newcomers.retain(|newcomer| newcomer.session != key);
        entry.tidy();
    }

    /// Hands a session nothing more of its inbox, which stays attached for it.
    pub(super) fn stop_listening(&mut self, key: SessionKey, inbox: ChannelKey) {
        let Some(sub) = self.roster.get(key).and_then(|session| session.sub(inbox)) else { return };
        let Some(entry) = self.audience.get_mut(inbox) else { return };
        match sub.place {
            Sub::ON_THE_WAY => entry.transit_mut().ahead.retain(|ahead| ahead.session != key),
            place => self.take_out(inbox, place),
        }
        self.roster.set_place(key, inbox, Sub::ON_THE_WAY);
        if let Some(entry) = self.audience.get_mut(inbox) {
            entry.transit_mut().parting.push(key);
        }
    }

    /// Takes the listener at this place out.
    fn take_out(&mut self, channel: ChannelKey, place: u32) {
        let Some(entry) = self.audience.get_mut(channel) else { return };
        entry.listeners.swap_remove(place as usize);
        if let Some(moved) = entry.listeners.get(place as usize).copied() {
            self.roster.set_place(moved, channel, place);
        }
    }

    pub(super) fn leave_all(&mut self, key: SessionKey) {
        while let Some(sub) = self.roster.get(key).and_then(|session| session.subs.last().copied()) {
            self.leave(key, sub.channel);
        }
    }

    /// The session has no part in the channel any more; the channel's own lists are the caller's affair.
    pub(super) fn forget_sub(&mut self, key: SessionKey, channel: ChannelKey) -> Option<Sub> {
        let session = self.roster.get_mut(key)?;
        let index = session.subs.iter().position(|sub| sub.channel == channel)?;
        let sub = session.subs.swap_remove(index);
        let client = session.client.as_u128();
        if sub.is_granted {
            self.audience.grants.remove((key, channel));
        }
        self.counts.subscriptions -= 1;
        let has_presence = self.rules.channel_options(channel).is_some_and(|options| options.presence);
        if let Some(entry) = self.audience.get_mut(channel) {
            entry.changes.get_or_insert_default().left.extend(has_presence.then_some(client));
            entry.specials.remove(key);
        }
        self.audience.list(channel);
        Some(sub)
    }
}
