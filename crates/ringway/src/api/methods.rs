//! The methods of the server API: what each asks of the hub.

use ringway_core::ChannelName;
use ringway_core::limits::VERSION_EPOCH_BYTES;
use ringway_core::message::{Entry, Version};
use ringway_hub::{ApiPublish, ApiRequest, History, Named, Seen};
use ringway_protocol::api::{
    ApiError, BadBody, ChannelRequest, ChannelsRequest, HistoryRequest, InfoRequest, PublishRequest, RpcRequest,
    decode, decode_optional,
};

use super::orders;
use super::pattern::Pattern;

/// A method. What a batch asks first for is the first of these that it names, as with the reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Publish,
    Broadcast,
    Subscribe,
    Unsubscribe,
    Disconnect,
    History,
    HistoryRemove,
    Presence,
    PresenceStats,
    Info,
    Rpc,
    Refresh,
    Channels,
}

/// A request that was read.
#[derive(Debug)]
pub(super) enum Asked {
    /// The hub answers it.
    Call(ApiRequest),
    /// The same, page by page.
    History(History),
    Presence(Named),
    Channels(Pattern),
    /// There is nothing to ask.
    Answered(Result<(), ApiError>),
}

impl Method {
    pub(super) const ALL: &[Self] = &[
        Self::Publish,
        Self::Broadcast,
        Self::Subscribe,
        Self::Unsubscribe,
        Self::Disconnect,
        Self::History,
        Self::HistoryRemove,
        Self::Presence,
        Self::PresenceStats,
        Self::Info,
        Self::Rpc,
        Self::Refresh,
        Self::Channels,
    ];

    /// Its name, in paths and in batches.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Broadcast => "broadcast",
            Self::Subscribe => "subscribe",
            Self::Unsubscribe => "unsubscribe",
            Self::Disconnect => "disconnect",
            Self::History => "history",
            Self::HistoryRemove => "history_remove",
            Self::Presence => "presence",
            Self::PresenceStats => "presence_stats",
            Self::Info => "info",
            Self::Rpc => "rpc",
            Self::Refresh => "refresh",
            Self::Channels => "channels",
        }
    }

    /// Reads a request.
    ///
    /// # Errors
    /// [`BadBody`]
    pub(super) fn read(self, body: &[u8]) -> Result<Asked, BadBody> {
        let asked = match self {
            Self::Publish => publish(&decode(body)?),
            Self::Broadcast => broadcast(&decode(body)?),
            Self::Subscribe => orders::subscribe(&decode(body)?),
            Self::Unsubscribe => orders::unsubscribe(&decode(body)?),
            Self::Disconnect => orders::disconnect(&decode(body)?),
            Self::Refresh => orders::refresh(&decode(body)?),
            Self::History => Ok(history(decode(body)?)),
            Self::HistoryRemove => {
                let ChannelRequest { channel } = decode(body)?;
                Ok(Asked::Call(ApiRequest::RemoveHistory(ChannelName::new(&channel))))
            }
            Self::Presence => {
                let ChannelRequest { channel } = decode(body)?;
                Ok(Asked::Presence(ChannelName::new(&channel)))
            }
            Self::PresenceStats => {
                let ChannelRequest { channel } = decode(body)?;
                Ok(Asked::Call(ApiRequest::PresenceStats(ChannelName::new(&channel))))
            }
            Self::Info => {
                let InfoRequest {} = decode_optional(body)?;
                Ok(Asked::Call(ApiRequest::Info))
            }
            Self::Rpc => Ok(rpc(&decode(body)?)),
            Self::Channels => {
                let ChannelsRequest { pattern } = decode_optional(body)?;
                Pattern::new(&pattern).map(Asked::Channels)
            }
        };
        Ok(asked.unwrap_or_else(|error| Asked::Answered(Err(error))))
    }
}

fn publish(request: &PublishRequest<'_>) -> Result<Asked, ApiError> {
    Ok(Asked::Call(ApiRequest::Publish(Box::new(publication(request)?))))
}

fn broadcast(request: &PublishRequest<'_>) -> Result<Asked, ApiError> {
    let channels = request.channels.iter().map(|name| ChannelName::new(name)).collect();
    Ok(Asked::Call(ApiRequest::Broadcast(channels, Box::new(publication(request)?))))
}

fn history(request: HistoryRequest<'_>) -> Asked {
    let HistoryRequest { channel, limit, since, reverse } = request;
    let since = since.map(|since| Seen { offset: since.offset, epoch: since.epoch.as_ref().into() });
    Asked::History(History { channel: ChannelName::new(&channel), limit, since, reverse })
}

/// There are no extensions.
fn rpc(request: &RpcRequest<'_>) -> Asked {
    let error = if request.method.is_empty() { ApiError::BadRequest } else { ApiError::NotFound };
    Asked::Answered(Err(error))
}

fn publication(request: &PublishRequest<'_>) -> Result<ApiPublish, ApiError> {
    let tags = request.tags.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let entry = Entry::with_tags(&request.payload()?, tags);
    if request.version_epoch.len() > VERSION_EPOCH_BYTES {
        return Err(ApiError::BadRequest);
    }
    let version = || Box::new(Version { number: request.version, epoch: request.version_epoch.as_ref().into() });
    let key = &request.idempotency_key;
    Ok(ApiPublish {
        channel: ChannelName::new(&request.channel),
        entry,
        idempotency_key: (!key.is_empty()).then(|| key.as_ref().into()),
        version: (request.version > 0).then(version),
        skip_history: request.skip_history,
    })
}
