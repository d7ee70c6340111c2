//! Commands of Centrifuge clients, each to whoever carries it out.

use ringway_core::id::NameError;
use ringway_core::timing::Now;
use ringway_core::{ChannelName, UserName};
use ringway_protocol::centrifuge::{Disconnect, ErrorCode, Reply};
use smallvec::SmallVec;

use super::auth::{Grant, TokenError};
use super::command::{Ask, Command, Named, Subscribe};
use super::config::{Allowed, ChannelConfig};
use super::drained::Drained;
use super::keys::SessionKey;
use super::session::{HELD_COMMANDS, Session, State};
use super::tokens::Denied;
use super::wish::Wish;
use super::{Hub, Socket};

impl<S: Socket> Drained<'_, S> {
    /// The commands of one message, in order.
    pub(super) fn on_commands(self, now: Now, key: SessionKey, commands: SmallVec<[Command; 1]>) {
        let hub = self.into_hub();
        for command in commands {
            hub.on_command(now, key, command);
        }
    }
}

impl<S: Socket> Hub<S> {
    fn on_command(&mut self, now: Now, key: SessionKey, command: Command) {
        let Some(session) = self.roster.get_mut(key) else { return };
        match (&mut session.state, &command.ask) {
            (State::Gone | State::Broken, _) => return,
            (State::Centrifuge(_), _) => {}
            (State::Silent, Ask::Connect(_)) => {}
            (State::Connecting(connecting), _) if connecting.held.len() < HELD_COMMANDS => {
                return connecting.held.push(command);
            }
            (State::Connecting(_), _) => return self.close(key, Disconnect::TooManyRequests),
            _ => return self.close(key, Disconnect::BadRequest),
        }
        if let Some(command) = self.hold_back(key, command) {
            self.carry_out(now, key, command);
        }
    }

    pub(super) fn carry_out(&mut self, now: Now, key: SessionKey, Command { id, ask }: Command) {
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
            Ask::SubRefresh(refresh) => self.on_sub_refresh(now, key, id, *refresh),
            Ask::Pong => self.on_pong(key),
            Ask::Broken => self.on_broken(now, key),
        }
    }

    fn is_silent(&self, key: SessionKey) -> bool {
        self.roster.get(key).is_some_and(|session| matches!(session.state, State::Silent))
    }

    fn on_subscribe(&mut self, now: Now, key: SessionKey, id: u32, subscribe: Subscribe) {
        if subscribe.is_malformed {
            return self.close(key, Disconnect::BadRequest);
        }
        let Some(channel) = self.named(key, id, subscribe.channel) else { return };
        let Subscribe { recover, rejects_unrecovered, token, is_foreign, is_filtered, .. } = subscribe;
        match self.may_subscribe(key, &channel, token, is_foreign) {
            Ok(_) if is_filtered => self.refuse(key, id, ErrorCode::BadRequest),
            Ok(grant) => {
                let grant = grant.map(Box::new);
                self.join(now, key, channel, Wish::Subscribe { id, recover, rejects_unrecovered, grant });
            }
            Err(why) => self.deny(key, id, why),
        }
    }

    /// Whether a session may subscribe, and what its token grants, if it shows one.
    fn may_subscribe(
        &mut self,
        key: SessionKey,
        channel: &ChannelName,
        token: Option<Result<Grant, TokenError>>,
        is_foreign: bool,
    ) -> Result<Option<Grant>, Denied> {
        self.has_room_for(key, channel)?;
        if is_foreign {
            return Err(ErrorCode::PermissionDenied.into());
        }
        let grant = token.map(|token| self.shown(key, channel, token)).transpose()?;
        let session = self.roster.get(key).ok_or(ErrorCode::Internal)?;
        let config = self.config.channel(channel)?;
        // An inbox is its user's, whatever a token says.
        let is_granted = grant.is_some() && !channel.as_str().starts_with('#');
        let is_allowed = !needs_token(channel) && is_for(channel, session) && config.subscribe.permits(session, false);
        if is_granted || is_allowed { Ok(grant) } else { Err(ErrorCode::PermissionDenied.into()) }
    }

    /// Whether there is such a channel, and the session is not in it and may be in one more.
    fn has_room_for(&self, key: SessionKey, channel: &ChannelName) -> Result<(), ErrorCode> {
        let session = self.roster.get(key).ok_or(ErrorCode::Internal)?;
        self.config.channel(channel)?;
        if self.audience.key_of(channel).is_some_and(|channel| session.sub(channel).is_some()) {
            return Err(ErrorCode::AlreadySubscribed);
        }
        if session.subs.len() >= self.config.limits.subscriptions {
            return Err(ErrorCode::LimitExceeded);
        }
        Ok(())
    }

    fn on_unsubscribe(&mut self, key: SessionKey, id: u32, channel: Named) {
        let Some(channel) = self.named(key, id, channel) else { return };
        let session = self.roster.get(key);
        let sub = self.audience.key_of(&channel).and_then(|channel| session?.sub(channel));
        match sub {
            // What the server made, the client cannot end: by its inbox a user is found, to be told or disconnected.
            Some(sub) if sub.by_server => return self.refuse(key, id, ErrorCode::PermissionDenied),
            Some(sub) => self.leave(key, sub.channel),
            None => {}
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

    /// The channel is configured and has what is to be read, and the session is in it: what reading it takes.
    ///
    /// # Errors
    /// The code for the client.
    pub(super) fn config_for_member(
        &self,
        key: SessionKey,
        name: &ChannelName,
        has: impl Fn(&ChannelConfig) -> bool,
    ) -> Result<&ChannelConfig, ErrorCode> {
        let config = self.config.channel(name)?;
        if !has(config) {
            return Err(ErrorCode::NotAvailable);
        }
        let session = self.roster.get(key).ok_or(ErrorCode::Internal)?;
        let is_member = self.audience.key_of(name).is_some_and(|channel| session.sub(channel).is_some());
        if is_member { Ok(config) } else { Err(ErrorCode::PermissionDenied) }
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

/// Channels for bearers of a token for them: `$…`.
fn needs_token(channel: &ChannelName) -> bool {
    channel.as_str().starts_with('$')
}

/// Channels that a name reserves for some users: `…#ann,bob`, of which a personal channel is the simplest case.
pub(super) fn is_for<S>(channel: &ChannelName, session: &Session<S>) -> bool {
    let Some((_, users)) = channel.as_str().rsplit_once('#') else { return true };
    let user = session.user.as_ref().map(UserName::as_str);
    user.is_some_and(|user| users.split(',').any(|one| one == user))
}
