//! Subscriptions and tokens: who shows one for a channel, renews it, or does not.

use std::time::Duration;

use bytes::Bytes;
use ringway_core::ChannelName;
use ringway_core::gateway::ChannelKey;
use ringway_core::id::NameError;
use ringway_core::message::Presence;
use ringway_core::timing::Now;
use ringway_protocol::centrifuge::{Disconnect, ErrorCode, ErrorReply, Reply, Unsubscribed};

use super::auth::{Grant, TokenError};
use super::command::SubRefresh;
use super::connect::expiry;
use super::join::presence_of;
use super::keys::SessionKey;
use super::session::{Maker, Session, Sub};
use super::timers::{LATE_LIMIT, UNREAD_GRACE};
use super::{Hub, Socket};

/// What becomes of a client that asks for what it does not get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Denied {
    /// It is told, and stays.
    Error(ErrorCode),
    /// The same, and it is asked to try again.
    ForNow(ErrorCode),
    /// It is closed.
    Close(Disconnect),
}

impl From<ErrorCode> for Denied {
    fn from(error: ErrorCode) -> Self {
        Self::Error(error)
    }
}

impl<S: Socket> Session<S> {
    /// The token was made for this very session and channel.
    fn is_bearer_of(&self, grant: &Grant, channel: &ChannelName) -> bool {
        let is_client = grant.client.is_empty() || *grant.client == *self.client.to_string();
        *grant.channel == *channel.as_str() && *grant.user == *self.user_name() && is_client
    }
}

impl<S: Socket> Hub<S> {
    pub(super) fn deny(&mut self, key: SessionKey, id: u32, why: Denied) {
        match why {
            Denied::Error(error) => self.refuse(key, id, error),
            Denied::ForNow(error) => {
                self.reply(key, id, &Reply::Error(ErrorReply { temporary: true, ..error.into() }));
            }
            Denied::Close(why) => self.close(key, why),
        }
    }

    /// The grant that a client shows with a subscribe.
    ///
    /// # Errors
    /// It is not good, or of somebody else.
    pub(super) fn shown(
        &mut self,
        key: SessionKey,
        channel: &ChannelName,
        token: Result<Grant, TokenError>,
    ) -> Result<Grant, Denied> {
        let session = self.roster.get(key).ok_or(ErrorCode::Internal)?;
        let refused = &mut self.counts.refused;
        match token {
            Ok(grant) if !session.is_bearer_of(&grant, channel) => {
                refused.other_bearer += 1;
                Err(Denied::Close(Disconnect::InvalidToken))
            }
            Ok(grant) if is_over(&grant) => {
                refused.over += 1;
                Err(Denied::Error(ErrorCode::Expired))
            }
            Ok(grant) => Ok(grant),
            Err(TokenError::Expired) => Err(Denied::Error(ErrorCode::TokenExpired)),
            Err(TokenError::Unknown) => Err(Denied::Error(ErrorCode::Internal)),
            Err(TokenError::Invalid | TokenError::Unfit) => Err(Denied::Error(ErrorCode::PermissionDenied)),
        }
    }

    /// Keeps what a token says of a subscription, where it says something.
    pub(super) fn keep_grant(&mut self, now: Now, key: SessionKey, channel: ChannelKey, grant: &Grant) {
        let sub = self.roster.get_mut(key).and_then(|session| session.sub_mut(channel));
        let Some(sub) = sub.filter(|sub| sub.is_granted || grant.info.is_some() || grant.lifetime.is_some()) else {
            return;
        };
        sub.is_granted = true;
        let end = grant.lifetime.map(|lifetime| now.saturating_add(lifetime).saturating_add(self.config.expiry_grace));
        self.audience.grants.set((key, channel), grant.info.clone(), end);
    }

    pub(super) fn on_sub_refresh(&mut self, now: Now, key: SessionKey, id: u32, refresh: SubRefresh) {
        let channel = match refresh.channel {
            Err(NameError::Empty) => return self.close(key, Disconnect::BadRequest),
            Err(_) => return self.refuse(key, id, ErrorCode::PermissionDenied),
            Ok(channel) => channel,
        };
        match self.refreshed(key, &channel, refresh.token) {
            Ok((sub, grant)) => {
                let had = self.audience.grants.info((key, sub.channel)).cloned();
                self.keep_grant(now, key, sub.channel, &grant);
                if had != grant.info {
                    self.show_anew(key, sub.channel);
                }
                self.reply(key, id, &Reply::SubRefresh(expiry(grant.lifetime)));
            }
            Err(why) => self.deny(key, id, why),
        }
    }

    /// The subscription that a token renews.
    fn refreshed(
        &mut self,
        key: SessionKey,
        channel: &ChannelName,
        token: Option<Result<Grant, TokenError>>,
    ) -> Result<(Sub, Grant), Denied> {
        let session = self.roster.get(key).ok_or(ErrorCode::Internal)?;
        let sub = self.audience.key_of(channel).and_then(|channel| session.sub(channel));
        let sub = sub.ok_or(ErrorCode::PermissionDenied)?;
        if sub.maker != Maker::Client {
            return Err(Denied::Close(Disconnect::BadRequest));
        }
        let token = token.ok_or(ErrorCode::BadRequest)?;
        let grant = self.shown(key, channel, token).map_err(|why| match why {
            Denied::Error(ErrorCode::PermissionDenied) => Denied::Close(Disconnect::InvalidToken),
            // SDKs would take it for the subscription's end; so they come again with a new one.
            Denied::Error(ErrorCode::TokenExpired) => Denied::ForNow(ErrorCode::TokenExpired),
            why => why,
        })?;
        Ok((sub, grant))
    }

    /// Others are to see a session as its new token says.
    fn show_anew(&mut self, key: SessionKey, channel: ChannelKey) {
        let has_presence = self.rules.channel_options(channel).is_some_and(|options| options.presence);
        let Some(entry) = self.audience.get_mut(channel).filter(|_| has_presence) else { return };
        entry.changes.get_or_insert_default().joined.push(key);
        self.audience.list(channel);
    }

    /// How others see a session in a channel.
    pub(super) fn present_in(&self, key: SessionKey, channel: ChannelKey) -> Option<Presence> {
        if self.audience.get(channel)?.specials.get(key).is_some_and(|special| special.is_hidden) {
            return None;
        }
        let presence = presence_of(self.roster.get(key)?);
        Some(Presence { chan_info: self.granted_info(key, channel).cloned(), ..presence })
    }

    pub(super) fn granted_info(&self, key: SessionKey, channel: ChannelKey) -> Option<&Bytes> {
        self.audience.grants.info((key, channel))
    }

    /// Ends the subscriptions whose tokens ran out and were not renewed.
    pub(super) fn end_granted(&mut self, now: Now) {
        for (key, channel) in self.audience.grants.due(now) {
            let Some(session) = self.roster.get(key) else { continue };
            // What the client has sent for it may not have been read; or the subscription has not begun, for its owner is away.
            let waits = session.unread_excuse(UNREAD_GRACE).is_some() || self.audience.is_awaited(key, channel);
            if !(waits && self.audience.grants.put_off((key, channel), now.saturating_add(LATE_LIMIT))) {
                let maker = self.roster.get(key).and_then(|session| session.sub(channel)).map(|sub| sub.maker);
                match maker {
                    Some(Maker::Client) | None => self.end_sub(key, channel, Unsubscribed::Expired),
                    Some(_) => self.close(key, Disconnect::SubscriptionExpired),
                }
            }
        }
    }
}

/// Clients are told whole seconds.
fn is_over(grant: &Grant) -> bool {
    grant.lifetime.is_some_and(|lifetime| lifetime < Duration::from_secs(1))
}
