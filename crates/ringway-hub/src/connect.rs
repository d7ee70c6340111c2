//! Sessions begin and end.

use std::sync::Arc;
use std::time::Duration;

use ringway_core::ChannelName;
use ringway_core::timing::Now;
use ringway_protocol::centrifuge::{ConnectResult, Disconnect, ErrorCode, Expiry, Reply, SubscribeResult};
use ringway_protocol::dialect::Saying;
use ringway_protocol::framing::Part;
use ringway_protocol::plain::Body;
use uuid::Uuid;

use super::auth::{Credentials, TokenError};
use super::command::{Command, Connect};
use super::drained::Drained;
use super::input::{Protocol, Ticket};
use super::keys::SessionKey;
use super::session::{Connecting, Heartbeat, Session, State};
use super::wish::Wish;
use super::{Hub, Socket};

/// What clients are told of the server's version.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " Ringway");

impl<S: Socket> Drained<'_, S> {
    pub(super) fn open(self, now: Now, ticket: &Arc<Ticket>, socket: S, protocol: Protocol, client: Uuid) {
        let hub = self.into_hub();
        let dialect = protocol.dialect();
        let (state, user) = match protocol {
            Protocol::Centrifuge | Protocol::CentrifugeProtobuf => (State::Silent(None), None),
            Protocol::CentrifugeBy(_, name) => (State::Silent(name.map(Box::new)), None),
            Protocol::Plain(user) => (State::Ungreeted { problem: None }, Some(user)),
        };
        let personal = user.as_ref().map(ChannelName::personal);
        let key = hub.roster.insert(ticket, socket, dialect, client, user, state);
        match personal {
            Some(personal) => {
                hub.roster.wake_after(now, key, hub.config.info_interval);
                hub.join(now, key, personal, Wish::Greeting);
            }
            None => hub.roster.wake_after(now, key, hub.config.stale_timeout),
        }
    }

    /// The connection is over, by whomever.
    pub(super) fn on_closed(self, ticket: &Ticket) {
        let hub = self.into_hub();
        hub.end(ticket.session());
        hub.roster.remove(ticket);
    }

    /// Asks up to `count` clients to connect elsewhere. Returns how many are left.
    fn shed(self, now: Now, count: usize) -> usize {
        let hub = self.into_hub();
        let keys: Vec<SessionKey> = hub.roster.staying().map(|(key, _)| key).take(count).collect();
        for key in keys {
            hub.let_go(now, key, Disconnect::Shutdown);
        }
        hub.still_open()
    }
}

impl<S: Socket> Hub<S> {
    pub(super) fn on_connect(&mut self, now: Now, key: SessionKey, id: u32, connect: Connect) {
        let Some(session) = self.roster.get_mut(key) else { return };
        let Credentials { user, info, lifetime, subs, .. } = match connect.credentials {
            Some(Ok(Credentials { user: None, .. })) if self.config.disallow_anonymous_tokens => {
                self.counts.refused.invalid += 1;
                return self.close(key, Disconnect::PermissionDenied);
            }
            Some(Ok(credentials)) if self.config.insecure => credentials.endless(),
            Some(Ok(credentials)) => credentials,
            None if self.config.allow_anonymous || self.config.insecure => Credentials::default(),
            None => {
                self.counts.refused.without_token += 1;
                return self.close(key, Disconnect::BadRequest);
            }
            Some(Err(TokenError::Invalid | TokenError::Unfit)) => {
                self.counts.refused.invalid += 1;
                return self.close(key, Disconnect::InvalidToken);
            }
            Some(Err(TokenError::Unknown)) => {
                self.counts.refused.unknown += 1;
                return self.refuse_connect(key, id, ErrorCode::Internal);
            }
            Some(Err(TokenError::Expired)) => {
                self.counts.refused.expired += 1;
                return self.refuse_connect(key, id, ErrorCode::TokenExpired);
            }
        };
        if lifetime == Some(Duration::ZERO) {
            self.counts.refused.expired += 1;
            return self.refuse_connect(key, id, ErrorCode::Expired);
        }
        session.user = user;
        session.info = info.map(Box::new);
        let wishes = match self.wishes_of(key, subs, connect.recover) {
            Ok(wishes) => wishes,
            Err(error) => return self.refuse_connect(key, id, error),
        };
        let Some(session) = self.roster.get_mut(key) else { return };
        let name = if let State::Silent(name) = &mut session.state { name.take() } else { None };
        let connecting = Connecting { id, lifetime, name, held: Vec::new(), awaited: wishes.len(), ready: Vec::new() };
        session.state = State::Connecting(Box::new(connecting));
        if wishes.is_empty() {
            return self.begin(now, key);
        }
        for (channel, wish) in wishes {
            // The one before it may have closed the session.
            if self.roster.get(key).is_none_or(Session::is_gone) {
                return;
            }
            self.join(now, key, channel, wish);
        }
    }

    /// Tells why there is no session. A client that is not answered is closed.
    fn refuse_connect(&mut self, key: SessionKey, id: u32, why: ErrorCode) {
        let Some(session) = self.roster.get_mut(key) else { return };
        if session.dialect.is_one_way() {
            let is_over = matches!(why, ErrorCode::TokenExpired | ErrorCode::Expired);
            return self
                .close(key, if is_over { Disconnect::ConnectionExpired } else { Disconnect::InternalServerError });
        }
        session.state = State::Refused;
        self.reply(key, id, &Reply::Error(why.into()));
    }

    /// Answers the connect, with what the server has subscribed the session to. Returns what the client has sent since, which is due
    /// when the session listens.
    #[must_use]
    pub(super) fn connected(
        &mut self,
        now: Now,
        key: SessionKey,
        subs: Vec<(&str, SubscribeResult<'_>)>,
    ) -> Vec<Command> {
        let Some(session) = self.roster.get_mut(key) else { return Vec::new() };
        let State::Connecting(connecting) = std::mem::replace(&mut session.state, State::Silent(None)) else {
            return Vec::new();
        };
        let Connecting { id, lifetime, name, held, .. } = *connecting;
        session.state = State::Centrifuge(Heartbeat::Quiet);
        let client = session.client;
        let mut buffer = Uuid::encode_buffer();
        let name = name.map(|name| (format!("{:032x}", *name), format!("{:016x}", self.rules.incarnation().0)));
        let result = ConnectResult {
            client: client.hyphenated().encode_lower(&mut buffer),
            version: VERSION,
            expiry: expiry(lifetime),
            subs,
            ping: self.config.ping_interval.as_secs() as u32,
            pong: !session.dialect.is_one_way(),
            session: name.as_ref().map_or("", |(name, _)| name),
            node: name.as_ref().map_or("", |(_, gateway)| gateway),
            ..ConnectResult::default()
        };
        self.reply(key, id, &Reply::Connect(&result));
        self.sighted(key, true);
        self.expire_after(now, key, lifetime);
        // The id is random, so its bits spread the first pings over half of the interval.
        let half = self.config.ping_interval / 2;
        let spread = half.mul_f64(f64::from(client.as_u128() as u16) / f64::from(u16::MAX));
        self.roster.wake_after(now, key, half + spread);
        held
    }

    pub(super) fn on_refresh(&mut self, now: Now, key: SessionKey, id: u32, token: Result<Credentials, TokenError>) {
        let lacks_one = token.as_ref().is_ok_and(|credentials| self.lacks_one_of(key, &credentials.subs));
        let Some(session) = self.roster.get_mut(key) else { return };
        let is_endless = self.config.insecure;
        match token.map(|credentials| if is_endless { credentials.endless() } else { credentials }) {
            Ok(Credentials { user, lifetime, .. }) if user == session.user && lifetime == Some(Duration::ZERO) => {
                self.close(key, Disconnect::ConnectionExpired);
            }
            Ok(credentials) if credentials.user == session.user && lacks_one => {
                // SDKs come again, and are then given what the new token says.
                self.close(key, Disconnect::InsufficientState);
            }
            Ok(credentials) if credentials.user == session.user => {
                session.info = credentials.info.map(Box::new);
                self.reply(key, id, &Reply::Refresh(expiry(credentials.lifetime)));
                self.expire_after(now, key, credentials.lifetime);
            }
            // SDKs try again by themselves.
            Err(TokenError::Unknown) => self.refuse(key, id, ErrorCode::Internal),
            Err(TokenError::Expired) => self.close(key, Disconnect::ConnectionExpired),
            Err(TokenError::Invalid | TokenError::Unfit) => self.close(key, Disconnect::InvalidToken),
            Ok(_) => {
                self.counts.refused.other_bearer += 1;
                self.close(key, Disconnect::InvalidToken);
            }
        }
    }

    /// Credentials that run out are enforced a grace later; `None` is for ever.
    pub(super) fn expire_after(&mut self, now: Now, key: SessionKey, lifetime: Option<Duration>) {
        let end = lifetime.map(|lifetime| now.saturating_add(lifetime).saturating_add(self.config.expiry_grace));
        if let Some(session) = self.roster.get_mut(key) {
            session.is_late = false;
        }
        self.roster.expire_at(key, end);
    }

    pub(super) fn close(&mut self, key: SessionKey, why: Disconnect) {
        self.close_with(key, why.code(), why.reason());
    }

    pub(super) fn close_with(&mut self, key: SessionKey, code: u16, reason: &str) {
        let Some(session) = self.roster.get(key).filter(|session| !session.is_gone()) else { return };
        self.counts.closed += u64::from(session.stays());
        self.dismiss(key, code, reason);
    }

    pub(super) fn dismiss(&mut self, key: SessionKey, code: u16, reason: &str) {
        let Some(session) = self.roster.get(key) else { return };
        // Codes from 3500 on mean "stay away"; the plain protocol can only say "come back", and before it closes.
        if matches!(session.state, State::Plain | State::Parting(_)) && code < Disconnect::InvalidToken.code() {
            self.say(key, &Saying::Plain(Body::Reconnect));
        }
        let Some(session) = self.roster.get(key) else { return };
        session.socket.close(code, reason);
        self.end(key);
    }

    fn end(&mut self, key: SessionKey) {
        self.sighted(key, false);
        self.leave_all(key);
        if let Some(session) = self.roster.get_mut(key) {
            session.state = State::Gone;
            (session.user, session.info, session.backlog) = (None, None, None);
            session.feed = None;
        }
    }

    /// Asks up to `count` clients to connect elsewhere, for a gateway that leaves. Returns how many are left.
    pub fn shed(&mut self, now: Now, count: usize) -> usize {
        self.drain(now).shed(now, count)
    }

    /// Sessions that nobody has asked to go.
    pub fn staying(&self) -> usize {
        self.roster.staying().count()
    }

    /// Sessions that have not ended, those included that are asked to go.
    pub fn still_open(&self) -> usize {
        self.roster.open().count()
    }

    /// Closes every session, and waits for nothing: the gateway stops.
    pub fn shut_down(&mut self) {
        let keys: Vec<SessionKey> = self.roster.open().map(|(key, _)| key).collect();
        for key in keys {
            self.close(key, Disconnect::Shutdown);
        }
    }

    /// Queues a reply.
    pub(super) fn reply(&mut self, key: SessionKey, id: u32, reply: &Reply<'_>) {
        self.say(key, &Saying::Reply(id, reply, Part::WHOLE));
    }
}

/// Tells clients whole seconds, and at least one: 0 would mean that there is no end.
pub(super) fn expiry(lifetime: Option<Duration>) -> Expiry {
    lifetime.map_or(Expiry::Never, |lifetime| Expiry::InSeconds(lifetime.as_secs().clamp(1, u32::MAX.into()) as u32))
}
