//! Subscriptions that the server makes: with a connect, for what its token names, and later, by the order of a backend.

use ringway_core::timing::Now;
use ringway_core::{ChannelName, UserName};
use ringway_protocol::centrifuge::{ErrorCode, Unsubscribed};

use super::auth::{Grant, ServerSub};
use super::command::Seen;
use super::keys::SessionKey;
use super::session::{Maker, Session};
use super::wish::{Joining, Wish};
use super::{Hub, Socket};

impl From<ServerSub> for Grant {
    fn from(sub: ServerSub) -> Self {
        let ServerSub { info, data, overrides, .. } = sub;
        Self { info, data, overrides, ..Self::default() }
    }
}

impl<S: Socket> Hub<S> {
    /// What the server subscribes a session to that connects: its inbox, and what its token names.
    ///
    /// # Errors
    /// There is no such channel, it is somebody else's inbox, or there are too many.
    pub(super) fn wishes_of(
        &self,
        key: SessionKey,
        subs: Vec<ServerSub>,
        mut recover: Vec<(String, Seen)>,
    ) -> Result<Vec<(ChannelName, Wish)>, ErrorCode> {
        let session = self.roster.get(key).ok_or(ErrorCode::Internal)?;
        let inbox = session.user.as_ref().filter(|_| self.config.personal_channels).and_then(UserName::inbox);
        let others = subs.into_iter().filter(|sub| Some(&sub.channel) != inbox.as_ref());
        let made = others.map(|sub| (Maker::Server, sub.channel.clone(), Some(Box::new(Grant::from(sub)))));
        let all = inbox.clone().map(|inbox| (Maker::Inbox, inbox, None)).into_iter().chain(made);
        let mut wishes = Vec::new();
        for (maker, channel, grant) in all {
            if maker == Maker::Server && is_inbox(&channel) {
                return Err(ErrorCode::PermissionDenied);
            }
            let known = recover.iter().position(|(known, _)| known == channel.as_str());
            let recover = known.map(|at| recover.swap_remove(at).1);
            let joining = Joining { recover, ..Joining::made(self.config.channel(&channel)?, grant) };
            wishes.push((channel, Wish::Connect { maker, joining }));
        }
        if wishes.len() > self.config.limits.subscriptions {
            return Err(ErrorCode::LimitExceeded);
        }
        Ok(wishes)
    }

    /// A new token names a channel that the server has not subscribed the session to.
    pub(super) fn lacks_one_of(&self, key: SessionKey, subs: &[ServerSub]) -> bool {
        let Some(session) = self.roster.get(key) else { return false };
        let is_made = |channel: &ChannelName| {
            let sub = self.audience.key_of(channel).and_then(|channel| session.sub(channel));
            sub.is_some_and(|sub| sub.maker != Maker::Client)
        };
        subs.iter().any(|sub| !is_made(&sub.channel))
    }

    /// Subscribes a session that is connected, by the order of a backend. One that is subscribed already stays as it is.
    ///
    /// # Errors
    /// There is no such channel, it is an inbox, or there are too many; nothing is done.
    pub(super) fn add_sub(
        &mut self,
        now: Now,
        key: SessionKey,
        channel: ChannelName,
        recover: Option<Seen>,
        grant: Grant,
    ) -> Result<(), ErrorCode> {
        let config = self.config.channel(&channel)?;
        if is_inbox(&channel) {
            return Err(ErrorCode::PermissionDenied);
        }
        let Some(session) = self.roster.get(key).filter(|session| session.is_online() && !session.is_plain()) else {
            return Ok(());
        };
        if self.audience.key_of(&channel).is_some_and(|channel| session.sub(channel).is_some()) {
            return Ok(());
        }
        if session.subs.len() >= self.config.limits.subscriptions {
            return Err(ErrorCode::LimitExceeded);
        }
        let joining = Joining { recover, ..Joining::made(config, Some(Box::new(grant))) };
        self.join(now, key, channel, Wish::Order(joining));
        Ok(())
    }

    /// Ends a session's subscription, or all but that to its inbox, by the order of a backend, whoever has made it.
    pub(super) fn end_subs(&mut self, key: SessionKey, channel: Option<&ChannelName>, why: Unsubscribed) {
        let subs = self.roster.get(key).filter(|session| !session.is_plain()).map(|session: &Session<S>| {
            let subs = session.subs.iter().filter(|sub| sub.maker != Maker::Inbox);
            subs.map(|sub| sub.channel).collect::<Vec<_>>()
        });
        let only = channel.map(|channel| self.audience.key_of(channel));
        for sub in subs.unwrap_or_default() {
            if only.is_none_or(|only| only == Some(sub)) {
                self.end_sub(key, sub, why);
            }
        }
    }
}

fn is_inbox(channel: &ChannelName) -> bool {
    channel.as_str().starts_with('#')
}
