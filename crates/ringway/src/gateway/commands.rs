//! Commands of Centrifuge clients, each to whoever carries it out.

use ringway_core::id::NameError;
use ringway_core::timing::Now;
use ringway_core::{ChannelName, UserName};
use ringway_protocol::centrifuge::{Disconnect, ErrorCode, Expiry, Reply};

use super::command::{Ask, Command, Named, Subscribe};
use super::config::{Allowed, ChannelRules};
use super::session::{HELD_COMMANDS, Session, SessionKey, State, Wish};
use super::{Hub, Socket};

impl<S: Socket> Hub<S> {
    pub(super) fn on_command(&mut self, now: Now, key: SessionKey, command: Command) {
        let Some(session) = self.sessions.get_mut(key as usize) else { return };
        match (&mut session.state, &command.ask) {
            (State::Gone, _) | (State::Centrifuge(_), _) => {}
            (State::Silent, Ask::Connect(_)) => {}
            (State::Connecting(connecting), _) if connecting.held.len() < HELD_COMMANDS => {
                return connecting.held.push(command);
            }
            (State::Connecting(_), _) => return self.close(key, Disconnect::TooManyRequests),
            _ => return self.close(key, Disconnect::BadRequest),
        }
        if !session.is_gone() {
            self.carry_out(now, key, command);
        }
    }

    fn carry_out(&mut self, now: Now, key: SessionKey, Command { id, ask }: Command) {
        match ask {
            Ask::Connect(connect) if self.is_silent(key) => self.on_connect(now, key, id, *connect),
            Ask::Connect(_) => self.close(key, Disconnect::BadRequest),
            Ask::Subscribe(subscribe) => self.on_subscribe(now, key, id, *subscribe),
            Ask::Unsubscribe(channel) => self.on_unsubscribe(key, id, channel),
            Ask::Publish(channel, data) => self.on_publish(now, key, id, channel, data),
            Ask::Presence(channel) => self.on_presence_asked(key, id, channel, super::read::PresenceKind::Full),
            Ask::PresenceStats(channel) => {
                self.on_presence_asked(key, id, channel, super::read::PresenceKind::Stats);
            }
            Ask::History(history) => self.on_history_asked(key, id, *history),
            Ask::Rpc => self.refuse(key, id, ErrorCode::NotAvailable),
            Ask::Send => self.close(key, Disconnect::NotAvailable),
            Ask::Refresh(token) => self.on_refresh(now, key, id, *token),
            // No subscription of ours expires, so there is nothing to renew.
            Ask::SubRefresh => self.reply(key, id, &Reply::SubRefresh(Expiry::Never)),
            Ask::Pong => self.on_pong(key),
        }
    }

    fn is_silent(&self, key: SessionKey) -> bool {
        self.sessions.get(key as usize).is_some_and(|session| matches!(session.state, State::Silent))
    }

    fn on_subscribe(&mut self, now: Now, key: SessionKey, id: u32, subscribe: Subscribe) {
        if subscribe.is_malformed {
            return self.close(key, Disconnect::BadRequest);
        }
        let Some(channel) = self.named(key, id, subscribe.channel) else { return };
        match self.may_subscribe(key, &channel, subscribe.is_foreign) {
            Ok(()) => {
                let Subscribe { recover, rejects_unrecovered, .. } = subscribe;
                self.join(now, key, channel, Wish::Subscribe { id, recover, rejects_unrecovered });
            }
            Err(error) => self.refuse(key, id, error),
        }
    }

    fn may_subscribe(&self, key: SessionKey, channel: &ChannelName, is_foreign: bool) -> Result<(), ErrorCode> {
        let session = self.sessions.get(key as usize).ok_or(ErrorCode::Internal)?;
        let rules = self.config.rules_of(channel)?;
        if is_foreign || !is_for(channel, session) || !rules.subscribe.permits(session, false) {
            return Err(ErrorCode::PermissionDenied);
        }
        if self.names.get(channel).is_some_and(|channel| session.sub(*channel).is_some()) {
            return Err(ErrorCode::AlreadySubscribed);
        }
        if session.subs.len() >= self.config.limits.subscriptions {
            return Err(ErrorCode::LimitExceeded);
        }
        Ok(())
    }

    fn on_unsubscribe(&mut self, key: SessionKey, id: u32, channel: Named) {
        let Some(channel) = self.named(key, id, channel) else { return };
        let session = self.sessions.get(key as usize);
        let sub = self.names.get(&channel).and_then(|channel| session?.sub(*channel));
        // What the server made, the client cannot end.
        if let Some(sub) = sub.filter(|sub| !sub.by_server) {
            self.leave(key, sub.channel);
        }
        self.reply(key, id, &Reply::Unsubscribe);
    }

    /// The name, or the end of the command: the protocol takes an empty one for a broken client.
    pub(super) fn named(&mut self, key: SessionKey, id: u32, name: Named) -> Option<ChannelName> {
        match name {
            Ok(name) => return Some(name),
            Err(NameError::Empty) => self.close(key, Disconnect::BadRequest),
            Err(_) => self.refuse(key, id, ErrorCode::BadRequest),
        }
        None
    }

    /// The session is in the channel, and the channel is configured: what reading it takes.
    ///
    /// # Errors
    /// The code for the client.
    pub(super) fn rules_for_member(&self, key: SessionKey, name: &ChannelName) -> Result<&ChannelRules, ErrorCode> {
        let rules = self.config.rules_of(name)?;
        let session = self.sessions.get(key as usize).ok_or(ErrorCode::Internal)?;
        let is_member = self.names.get(name).is_some_and(|channel| session.sub(*channel).is_some());
        if is_member { Ok(rules) } else { Err(ErrorCode::PermissionDenied) }
    }

    pub(super) fn refuse(&mut self, key: SessionKey, id: u32, error: ErrorCode) {
        self.reply(key, id, &Reply::Error(error.into()));
    }
}

impl Allowed {
    /// Whether this session, being in the channel or not, may.
    pub(super) fn permits<S>(self, session: &Session<S>, is_member: bool) -> bool {
        match self {
            Self::Nobody => false,
            Self::Subscribers => is_member,
            Self::Named => session.user.is_some(),
            Self::Anyone => true,
        }
    }
}

/// Channels that a name reserves: `$…` for bearers of a token for it, which nobody has here, and `…#ann,bob` for
/// these users, of which a personal channel is the simplest case.
pub(super) fn is_for<S>(channel: &ChannelName, session: &Session<S>) -> bool {
    let name = channel.as_str();
    let Some((_, users)) = name.rsplit_once('#') else { return !name.starts_with('$') };
    let user = session.user.as_ref().map(UserName::as_str);
    !name.starts_with('$') && user.is_some_and(|user| users.split(',').any(|one| one == user))
}
