//! Methods that do something with a user's connections, wherever they are.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use ringway_core::ChannelName;
use ringway_core::limits::CHANNEL_INFO_BYTES;
use ringway_core::message::{Deed, NewExpiry, NewSub, Order};
use ringway_hub::{ApiRequest, Overrides};
use ringway_protocol::api::{
    self, ApiError, DisconnectRequest, RefreshRequest, SubscribeRequest, Switch, UnsubscribeRequest,
};
use uuid::Uuid;

use super::methods::Asked;

/// Whose connections a request means.
struct Whose<'a> {
    user: &'a str,
    client: &'a str,
    session: &'a str,
    whitelist: &'a [String],
}

impl Whose<'_> {
    /// No connection has an id that is no UUID, nor a session id: nothing to do is success.
    fn order(&self, deed: Deed) -> Asked {
        let id = |client: &str| Uuid::try_parse(client).ok().map(|client| client.as_u128());
        let client = id(self.client);
        if (client.is_none() && !self.client.is_empty()) || !self.session.is_empty() {
            return Asked::Answered(Ok(()));
        }
        let whitelist = self.whitelist.iter().filter_map(|client| id(client)).collect();
        Asked::Call(ApiRequest::Order(Box::new(Order { user: self.user.into(), client, whitelist, deed })))
    }
}

pub(super) fn disconnect(request: &DisconnectRequest<'_>) -> Result<Asked, ApiError> {
    let (code, reason) = request.close()?;
    let DisconnectRequest { user, client, session, whitelist, .. } = request;
    Ok(Whose { user, client, session, whitelist }.order(Deed::Close { code, reason: reason.into() }))
}

pub(super) fn subscribe(request: &SubscribeRequest<'_>) -> Result<Asked, ApiError> {
    let SubscribeRequest { user, client, session, .. } = request;
    let since = request.recover_since.as_ref().map(|since| (since.offset, since.epoch.as_ref().into()));
    let sub = NewSub {
        channel: ChannelName::new(&request.channel).map_err(|_| ApiError::BadRequest)?,
        info: document(request.info()?.as_deref())?,
        data: document(request.data()?.as_deref())?,
        since,
        lifetime: until(request.expire_at),
        overrides: overrides(&request.overrides.unwrap_or_default()).to_bits(),
    };
    Ok(Whose { user, client, session, whitelist: &[] }.order(Deed::Subscribe(Box::new(sub))))
}

pub(super) fn unsubscribe(request: &UnsubscribeRequest<'_>) -> Result<Asked, ApiError> {
    let UnsubscribeRequest { user, channel, client, session } = request;
    let name = || ChannelName::new(channel).map_err(|_| ApiError::BadRequest);
    let channel = if channel.is_empty() { None } else { Some(name()?) };
    Ok(Whose { user, client, session, whitelist: &[] }.order(Deed::Unsubscribe(channel)))
}

pub(super) fn refresh(request: &RefreshRequest<'_>) -> Result<Asked, ApiError> {
    let RefreshRequest { user, client, session, expired, expire_at, .. } = request;
    let info = document(request.info.as_deref())?;
    let refresh = NewExpiry { is_over: *expired, lifetime: until(*expire_at), info };
    Ok(Whose { user, client, session, whitelist: &[] }.order(Deed::Refresh(Box::new(refresh))))
}

/// A document that goes with a connection or a subscription. It is kept for as long, so it has the bounds of those of tokens.
fn document(document: Option<&[u8]>) -> Result<Option<Bytes>, ApiError> {
    match document {
        Some(document) if document.len() > CHANNEL_INFO_BYTES => Err(ApiError::BadRequest),
        Some(b"null") | None => Ok(None),
        Some(document) => Ok(Some(Bytes::copy_from_slice(document))),
    }
}

/// How long it is until this second of Unix time, by this gateway's clock: members do not compare theirs. 0: for ever.
fn until(second: i64) -> Option<Duration> {
    let end = UNIX_EPOCH + Duration::from_secs(u64::try_from(second).unwrap_or_default());
    (second != 0).then(|| end.duration_since(SystemTime::now()).unwrap_or_default())
}

fn overrides(asked: &api::Overrides) -> Overrides {
    let value = |switch: Option<Switch>| switch.map(|switch| switch.value);
    Overrides {
        presence: value(asked.presence),
        join_leave: value(asked.join_leave),
        force_push_join_leave: value(asked.force_push_join_leave),
        force_positioning: value(asked.force_positioning),
        force_recovery: value(asked.force_recovery),
    }
}
