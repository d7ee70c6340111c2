//! Publications to those who listen: encoded once per dialect, the same bytes for all.

use ringway_core::Position;
use ringway_core::gateway::ChannelKey;
use ringway_core::message::Entry;
use ringway_protocol::centrifuge::{Disconnect, Push, Shape, Unsubscribed};
use ringway_protocol::dialect::{Placed, Saying};

use super::keys::SessionKey;
use super::session::{Maker, Sub};
use super::speaker::Shared;
use super::{Hub, Socket};

impl<S: Socket> Hub<S> {
    pub(super) fn on_deliver(&mut self, key: ChannelKey, offset: u64, entry: &Entry) {
        let Some(channel) = self.audience.get_mut(key) else { return };
        // What is not kept has no place.
        if let Some(position) = channel.position.as_mut().filter(|_| offset > 0) {
            position.offset = offset;
        }
        if let Some(what) = entry.happened().filter(|_| offset == 0) {
            return self.on_happening(key, entry, what);
        }
        if channel.transit.is_some() {
            self.catch_up(key, offset);
        }
        let (Some(channel), Some(name)) = (self.audience.get(key), self.rules.channel_name(key)) else { return };
        let (is_inbox, epoch) = (name.personal_user().is_some(), channel.epoch());
        if !channel.specials.is_empty() {
            return self.deliver_specially(key, offset, entry);
        }
        let placed = Placed { channel: name.as_str(), epoch, offset, entry, shape: Shape::Plain };
        let saying = Saying::Publication(placed);
        let mut shared = Shared::default();
        for &listener in &channel.listeners {
            let Some(session) = self.roster.get_mut(listener) else { continue };
            if session.is_plain() && session.must_wait(offset, channel.attach_top, self.outgoing.limit) {
                if session.hold(entry) {
                    self.outgoing.stall(listener);
                }
                continue;
            }
            session.unproven |= is_inbox;
            self.outgoing.say_too(listener, session, &saying, &mut shared);
        }
        self.counts.deliveries += channel.listeners.len() as u64;
    }

    /// The same where some are told it otherwise, or not at all.
    fn deliver_specially(&mut self, key: ChannelKey, offset: u64, entry: &Entry) {
        let (Some(channel), Some(name)) = (self.audience.get_mut(key), self.rules.channel_name(key)) else { return };
        let (is_inbox, epoch, attach_top) = (name.personal_user().is_some(), channel.epoch(), channel.attach_top);
        let has_deltas = self.config.channel(name).is_ok_and(|config| config.delta_publish);
        let difference = channel.specials.next_difference(entry, has_deltas);
        let (mut plain, mut whole, mut changed) = (Shared::default(), Shared::default(), Shared::default());
        for &listener in &channel.listeners {
            let Some(session) = self.roster.get_mut(listener) else { continue };
            let Some(shape) = channel.specials.next_shape(listener, entry, difference.as_deref()) else { continue };
            if session.is_plain() && session.must_wait(offset, attach_top, self.outgoing.limit) {
                if session.hold(entry) {
                    self.outgoing.stall(listener);
                }
                continue;
            }
            session.unproven |= is_inbox;
            let shared = match shape {
                Shape::Plain => &mut plain,
                Shape::Whole => &mut whole,
                Shape::Difference(_) => &mut changed,
            };
            let saying = Saying::Publication(Placed { channel: name.as_str(), epoch, offset, entry, shape });
            self.outgoing.say_too(listener, session, &saying, shared);
            self.counts.deliveries += 1;
        }
    }

    /// Those who were ahead listen from this offset on, if it is news to them.
    fn catch_up(&mut self, key: ChannelKey, offset: u64) {
        let Some(transit) = self.audience.get_mut(key).and_then(|channel| channel.transit.as_mut()) else { return };
        let reached: Vec<SessionKey> =
            transit.ahead.extract_if(.., |ahead| ahead.after < offset).map(|ahead| ahead.session).collect();
        self.listen(key, reached);
    }

    pub(super) fn listen(&mut self, key: ChannelKey, sessions: Vec<SessionKey>) {
        for session in sessions {
            let Some(channel) = self.audience.get_mut(key) else { return };
            let place = channel.listeners.len() as u32;
            channel.listeners.push(session);
            channel.tidy();
            self.roster.set_place(session, key, place);
        }
    }

    /// The stream goes on elsewhere: whoever was promised to miss nothing is told, and recovers or starts anew.
    pub(super) fn on_lost(&mut self, key: ChannelKey, at: Position) {
        let Some(channel) = self.audience.get_mut(key) else { return };
        let is_other = channel.position.is_some_and(|position| position.epoch != at.epoch);
        (channel.position, channel.attach_top) = (Some(at), 0);
        let (ahead, behind) = channel.transit.as_mut().map(|transit| transit.take_told()).unwrap_or_default();
        channel.tidy();
        // Who was told as much as what is lost, or more, has lost nothing, and is not told it again.
        let (kept, ahead): (Vec<_>, Vec<_>) =
            ahead.into_iter().partition(|ahead| !is_other && ahead.after >= at.offset);
        let (reading, behind): (Vec<_>, Vec<_>) =
            behind.into_iter().partition(|behind| self.roster.is_plain(behind.session));
        let told = ahead.into_iter().map(|ahead| ahead.session).chain(behind.into_iter().map(|behind| behind.session));
        self.listen(key, told.collect());
        // Who cannot be told goes on with what is left of its inbox, if it is the same one.
        for one in reading {
            let told = if is_other { at.offset } else { one.told };
            self.let_follow(key, one.session, told, true);
        }
        let listeners = self.audience.get(key).map(|channel| channel.listeners.clone()).unwrap_or_default();
        listeners.into_iter().for_each(|listener| self.tell_lost(listener, key));
        for one in kept {
            self.let_listen(key, one.session, Some(Position { offset: one.after, ..at }));
        }
    }

    /// A session that was promised to miss nothing has missed something.
    pub(super) fn tell_lost(&mut self, listener: SessionKey, key: ChannelKey) {
        let Some(session) = self.roster.get(listener).filter(|session| !session.is_plain()) else { return };
        match session.sub(key) {
            Some(Sub { is_positioned: false, .. }) | None => {}
            Some(Sub { maker: Maker::Client, .. }) => self.end_sub(listener, key, Unsubscribed::InsufficientState),
            // What the server has made, the client does not ask for again: it comes back and is given it.
            Some(_) => self.close(listener, Disconnect::InsufficientState),
        }
    }

    /// Takes a session out of a channel that its client has subscribed to, and tells it why.
    pub(super) fn end_sub(&mut self, session: SessionKey, key: ChannelKey, why: Unsubscribed) {
        let Some(name) = self.rules.channel_name(key) else { return };
        let (channel, code, reason) = (name.clone(), why.code(), why.reason());
        self.say(session, &Saying::Push(Push::Unsubscribe { channel: channel.as_str(), code, reason }));
        self.leave(session, key);
    }
}
