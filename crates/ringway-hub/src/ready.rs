//! Subscriptions that the server makes for a session that connects: they begin together, with the answer to the connect.
//!
//! Each is made ready on its own, as its owner answers, and then waits for the others: until the client has its answer, it would not know
//! what to do with a publication. What comes in a channel meanwhile is told from its history, as to anybody who is behind.

use std::time::Duration;

use bytes::Bytes;
use ringway_core::Position;
use ringway_core::gateway::ChannelKey;
use ringway_core::timing::Now;
use ringway_protocol::centrifuge::{Disconnect, SubscribeResult};

use super::channel::Newcomer;
use super::command::{Command, Seen};
use super::connect::expiry;
use super::join::{Start, Told};
use super::keys::SessionKey;
use super::session::State;
use super::wish::{Joining, Terms, Wish};
use super::{Hub, Socket};

/// A subscription that may begin.
#[derive(Debug)]
pub(super) struct Ready {
    channel: ChannelKey,
    start: Start<'static>,
    terms: Terms,
    recover: Option<Seen>,
    lifetime: Option<Duration>,
    data: Option<Bytes>,
}

impl Start<'_> {
    /// The same, on its own.
    fn into_owned(self) -> Start<'static> {
        let owned = |told: Told<'_>| Told::Owned(told.into_owned());
        Start {
            at: self.at,
            recovered: self.recovered.map(owned),
            unread: self.unread.map(|(after, unread)| (after, owned(unread))),
            is_behind: self.is_behind,
        }
    }
}

impl<S: Socket> Hub<S> {
    /// One subscription of a session that connects is ready. With the last one, its connect is answered.
    pub(super) fn make_ready(&mut self, now: Now, key: ChannelKey, newcomer: Newcomer, start: Start<'_>) {
        let session = newcomer.session;
        let Wish::Connect { joining: Joining { recover, terms, grant, .. }, .. } = newcomer.wish else { return };
        let Some(channel) = self.audience.get_mut(key) else { return };
        channel.transit_mut().ready.push(session);
        let Some(State::Connecting(connecting)) = self.roster.get_mut(session).map(|session| &mut session.state) else {
            return;
        };
        let (lifetime, data) = grant.map_or((None, None), |grant| (grant.lifetime, grant.data));
        connecting.ready.push(Ready { channel: key, start: start.into_owned(), terms, recover, lifetime, data });
        connecting.awaited -= 1;
        if connecting.awaited == 0 {
            self.begin(now, session);
        }
    }

    /// Answers a connect, and lets the session listen to what the server has subscribed it to.
    pub(super) fn begin(&mut self, now: Now, session: SessionKey) {
        let Some(State::Connecting(connecting)) = self.roster.get_mut(session).map(|session| &mut session.state) else {
            return;
        };
        let ready = std::mem::take(&mut connecting.ready);
        if ready.iter().any(|one| self.is_elsewhere(one)) {
            // A stream was lost meanwhile: the client comes again, and learns what has become of it.
            return self.close(session, Disconnect::InsufficientState);
        }
        let held = self.answer_connect(now, session, &ready);
        for Ready { channel, mut start, .. } in ready {
            self.leave_ready(channel, session);
            start.is_behind |= self.is_overtaken(channel, start.at);
            self.enter(channel, session, &start);
        }
        self.go_on(now, session, held);
    }

    fn answer_connect(&mut self, now: Now, session: SessionKey, ready: &[Ready]) -> Vec<Command> {
        let kept: Vec<_> = ready.iter().map(|one| one.start.kept()).collect();
        let told: Vec<_> = ready.iter().zip(&kept).map(|(one, kept)| one.start.told(kept)).collect();
        let names: Vec<_> = ready.iter().map(|one| self.rules.channel_name(one.channel).cloned()).collect();
        let results = ready.iter().zip(&told).map(|(one, publications)| SubscribeResult {
            expiry: expiry(one.lifetime),
            data: one.data.as_deref().unwrap_or_default(),
            ..one.start.result(one.terms, one.recover.as_ref(), publications)
        });
        let subs = names.iter().zip(results).filter_map(|(name, result)| Some((name.as_ref()?.as_str(), result)));
        self.connected(now, session, subs.collect())
    }

    /// The channel goes on in another stream than the one that the subscription was made ready in.
    fn is_elsewhere(&self, ready: &Ready) -> bool {
        let epoch = self.audience.get(ready.channel).and_then(|channel| channel.position).map(|at| at.epoch);
        ready.start.at.is_some_and(|at| Some(at.epoch) != epoch)
    }

    fn leave_ready(&mut self, channel: ChannelKey, session: SessionKey) {
        let Some(entry) = self.audience.get_mut(channel) else { return };
        if let Some(transit) = &mut entry.transit {
            transit.ready.retain(|one| *one != session);
        }
        entry.tidy();
    }

    /// Something was delivered in the channel while the subscription waited: the session is still to be told.
    fn is_overtaken(&self, channel: ChannelKey, at: Option<Position>) -> bool {
        let position = self.audience.get(channel).and_then(|channel| channel.position);
        at.zip(position).is_some_and(|(at, position)| at.offset < position.offset)
    }
}
