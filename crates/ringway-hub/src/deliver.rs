//! Publications to those who listen: encoded once per protocol, the same bytes for all.

use bytes::Bytes;
use ringway_core::Position;
use ringway_core::gateway::ChannelKey;
use ringway_core::id::StreamEpoch;
use ringway_core::message::Entry;
use ringway_protocol::centrifuge::{Disconnect, Push, Unsubscribed, json};
use ringway_protocol::plain::{self, Body, InboxMessage};
use ringway_protocol::ws::{self, Kind};

use super::session::{SessionKey, Sub};
use super::stored::{self, Stored};
use super::{Hub, Socket};

impl<S: Socket> Hub<S> {
    pub(super) fn on_deliver(&mut self, key: ChannelKey, offset: u64, entry: &Entry) {
        let Some(channel) = self.audience.get_mut(key) else { return };
        // What is not kept has no place.
        if let Some(position) = channel.position.as_mut().filter(|_| offset > 0) {
            position.offset = offset;
        }
        if channel.transit.is_some() {
            self.catch_up(key, offset);
        }
        let (Some(channel), Some(name)) = (self.audience.get(key), self.rules.channel_name(key)) else { return };
        let (is_inbox, epoch) = (name.personal_user().is_some(), channel.epoch());
        let (mut push, mut message): (Option<Bytes>, Option<Bytes>) = (None, None);
        let scratch = &mut self.scratch;
        for &listener in &channel.listeners {
            let Some(session) = self.roster.get_mut(listener) else { continue };
            if session.is_plain() && session.must_wait(offset, channel.attach_top, self.outgoing.limit) {
                if session.hold(entry) {
                    self.outgoing.stall(listener);
                }
                continue;
            }
            let frame = match session.is_plain() {
                false => push.get_or_insert_with(|| encode_push(scratch, name.as_str(), epoch, offset, entry)),
                true => message.get_or_insert_with(|| encode_message(scratch, self.clock.text(), entry)),
            };
            session.unproven |= is_inbox;
            self.outgoing.put(listener, session, frame.clone());
        }
        self.counts.deliveries += channel.listeners.len() as u64;
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
        let is_positioned = channel.is_positioned;
        channel.tidy();
        let (reading, behind): (Vec<_>, Vec<_>) =
            behind.into_iter().partition(|behind| self.roster.is_plain(behind.session));
        let told = ahead.into_iter().map(|ahead| ahead.session).chain(behind.into_iter().map(|behind| behind.session));
        self.listen(key, told.collect());
        // Who cannot be told goes on with what is left of its inbox, if it is the same one.
        for one in reading {
            let told = if is_other { at.offset } else { one.told };
            self.let_follow(key, one.session, told, true);
        }
        if !is_positioned {
            return;
        }
        let Some(channel) = self.audience.get(key) else { return };
        for listener in channel.listeners.clone() {
            self.tell_lost(listener, key);
        }
    }

    /// A session that was promised to miss nothing has missed something.
    pub(super) fn tell_lost(&mut self, listener: SessionKey, key: ChannelKey) {
        let Some(session) = self.roster.get(listener).filter(|session| !session.is_plain()) else { return };
        match session.sub(key) {
            Some(Sub { by_server: true, .. }) => self.close(listener, Disconnect::InsufficientState),
            _ => self.end_sub(listener, key, Unsubscribed::InsufficientState),
        }
    }

    /// Takes a session out of a channel that its client has subscribed to, and tells it why.
    pub(super) fn end_sub(&mut self, session: SessionKey, key: ChannelKey, why: Unsubscribed) {
        let Some(name) = self.rules.channel_name(key) else { return };
        let push = encode_unsubscribe(&mut self.scratch, name.as_str(), why);
        self.send(session, push);
        self.leave(session, key);
    }
}

fn frame(scratch: &mut Vec<u8>, encode: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    scratch.clear();
    encode(scratch);
    let frame = ws::frame(Kind::Text, scratch);
    scratch.clear();
    frame
}

pub(super) fn encode_push(
    scratch: &mut Vec<u8>,
    channel: &str,
    epoch: Option<StreamEpoch>,
    offset: u64,
    entry: &Entry,
) -> Bytes {
    let stored = Stored::of(offset, entry);
    let publication = &stored.told(epoch.as_ref());
    frame(scratch, |out| json::push(out, &Push::Publication { channel, publication }))
}

fn encode_unsubscribe(scratch: &mut Vec<u8>, channel: &str, why: Unsubscribed) -> Bytes {
    let (code, reason) = (why.code(), why.reason());
    frame(scratch, |out| json::push(out, &Push::Unsubscribe { channel, code, reason }))
}

pub(super) fn encode_message(scratch: &mut Vec<u8>, date_time: &str, entry: &Entry) -> Bytes {
    let message = InboxMessage::decode(&entry.data);
    // What a client publishes says who published it; its payload may claim anything.
    let publisher = stored::publisher_of(entry);
    let from = message.from.as_deref().filter(|from| publisher.as_deref().is_none_or(|publisher| publisher == *from));
    let body = Body::Message { content: &message.content, from };
    frame(scratch, |out| plain::encode(out, date_time, &body))
}
