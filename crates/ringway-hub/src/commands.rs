//! Commands of Centrifuge clients, each to whoever carries it out.

use ringway_core::id::NameError;
use ringway_core::timing::Now;
use ringway_core::{ChannelName, UserName};
use ringway_protocol::centrifuge::{Disconnect, ErrorCode, Filter, NoFilter, Reply};
use smallvec::SmallVec;

use super::auth::{Grant, TokenError};
use super::command::{Ask, Command, Named, Subscribe};
use super::config::{Access, ChannelConfig};
use super::drained::Drained;
use super::keys::SessionKey;
use super::session::{HELD_COMMANDS, Maker, Session, State};
use super::special::Special;
use super::tokens::Denied;
use super::wish::{Extras, Joining, Readers, Wish};
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
            (State::Gone | State::Broken(_), _) => return,
            (State::Centrifuge(_), _) => {}
            (State::Silent(_), Ask::Connect(_)) => {}
            (State::Connecting(connecting), _) if connecting.held.len() < HELD_COMMANDS => {
                return connecting.held.push(command);
            }
            (State::Connecting(_), _) => return self.close(key, Disconnect::TooManyRequests),
            (_, Ask::Broken(why)) => {
                let why = *why;
                return self.close(key, why);
            }
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
            Ask::Broken(why) => self.on_broken(now, key, why),
        }
    }

    fn is_silent(&self, key: SessionKey) -> bool {
        self.roster.get(key).is_some_and(|session| matches!(session.state, State::Silent(_)))
    }

    fn on_subscribe(&mut self, now: Now, key: SessionKey, id: u32, subscribe: Subscribe) {
        if subscribe.is_malformed {
            return self.close(key, Disconnect::BadRequest);
        }
        let Some(channel) = self.named(key, id, subscribe.channel) else { return };
        let Subscribe { recover, rejects_unrecovered, token, is_foreign, filter, extras, .. } = subscribe;
        let grant = self.may_subscribe(key, &channel, token, is_foreign);
        let filter = grant.and_then(|grant| Ok((grant, self.filter_of(&channel, filter)?)));
        match filter {
            Ok((grant, filter)) => {
                let joining = Joining { recover, ..self.joining_of(key, &channel, extras, grant.map(Box::new)) };
                let special = Special { filter, ..joining.special };
                let joining = Joining { special, ..joining };
                self.join(now, key, channel, Wish::Subscribe { id, rejects_unrecovered, joining });
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
        let is_named = session.user.is_some();
        let is_reserved = config.user_limited && is_limited(channel);
        let is_open = is_reserved || config.subscribe.permits(is_named, false) || self.config.insecure;
        let is_allowed = !needs_token(channel) && is_for(channel, session) && is_open;
        if is_granted || is_allowed { Ok(grant) } else { Err(ErrorCode::PermissionDenied.into()) }
    }

    /// The filter that a subscriber asks for, where its channel lets it.
    fn filter_of(
        &self,
        channel: &ChannelName,
        filter: Option<Result<Box<Filter>, NoFilter>>,
    ) -> Result<Option<Box<Filter>>, ErrorCode> {
        let Some(filter) = filter else { return Ok(None) };
        if !self.config.channel(channel)?.tags_filter {
            return Err(ErrorCode::BadRequest);
        }
        filter.map(Some).map_err(|_| ErrorCode::BadRequest)
    }

    /// What a subscriber of a channel gets that asks for this.
    fn joining_of(&self, key: SessionKey, channel: &ChannelName, extras: Extras, grant: Option<Box<Grant>>) -> Joining {
        let (Some(session), Ok(config)) = (self.roster.get(key), self.config.channel(channel)) else {
            return Joining::default();
        };
        let may = |access: Access| self.config.insecure || access.permits(session.user.is_some(), true);
        let readers = Readers { of_history: may(config.read_history), of_presence: may(config.read_presence) };
        Joining::asked(config, extras, readers, grant)
    }

    /// Whether there is such a channel, and the session is not in it and may be in one more.
    fn has_room_for(&self, key: SessionKey, channel: &ChannelName) -> Result<(), ErrorCode> {
        let session = self.roster.get(key).ok_or(ErrorCode::Internal)?;
        if !self.config.channel(channel)?.has_name(channel.as_str()) {
            return Err(ErrorCode::BadRequest);
        }
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
            // The client cannot leave its inbox: by that a user is found, to be told or disconnected.
            Some(sub) if sub.maker == Maker::Inbox => return self.refuse(key, id, ErrorCode::PermissionDenied),
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

    /// The channel is configured and has what is to be read, and the session may read it.
    ///
    /// # Errors
    /// The code for the client.
    pub(super) fn config_for_reader(
        &self,
        key: SessionKey,
        name: &ChannelName,
        has: impl Fn(&ChannelConfig) -> bool,
        access: impl Fn(&ChannelConfig) -> Access,
    ) -> Result<&ChannelConfig, ErrorCode> {
        let config = self.config.channel(name)?;
        if !config.has_name(name.as_str()) {
            return Err(ErrorCode::BadRequest);
        }
        if !has(config) {
            return Err(ErrorCode::NotAvailable);
        }
        if self.has_access(key, name, access(config))? { Ok(config) } else { Err(ErrorCode::PermissionDenied) }
    }

    /// Whether a session may do what is open to these. An inbox is its user's, however open all else is.
    ///
    /// # Errors
    /// The code for the client.
    pub(super) fn has_access(&self, key: SessionKey, name: &ChannelName, access: Access) -> Result<bool, ErrorCode> {
        let session = self.roster.get(key).ok_or(ErrorCode::Internal)?;
        let is_member = self.audience.key_of(name).is_some_and(|channel| session.sub(channel).is_some());
        let is_open = self.config.insecure && !name.as_str().starts_with('#');
        Ok(is_open || access.permits(session.user.is_some(), is_member))
    }

    pub(super) fn refuse(&mut self, key: SessionKey, id: u32, error: ErrorCode) {
        self.reply(key, id, &Reply::Error(error.into()));
    }
}

/// Channels for bearers of a token for them: `$…`.
fn needs_token(channel: &ChannelName) -> bool {
    channel.as_str().starts_with('$')
}

/// Channels whose names list users.
fn is_limited(channel: &ChannelName) -> bool {
    channel.as_str().contains('#')
}

/// Channels that a name reserves for some users: `…#ann,bob`, of which a personal channel is the simplest case.
pub(super) fn is_for<S>(channel: &ChannelName, session: &Session<S>) -> bool {
    let Some((_, users)) = channel.as_str().rsplit_once('#') else { return true };
    let user = session.user.as_ref().map(UserName::as_str);
    user.is_some_and(|user| users.split(',').any(|one| one == user))
}
