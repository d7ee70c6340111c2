//! Bodies of the server API, in the shapes of the Centrifuge server API:
//!
//! | route | request | answer |
//! |---|---|---|
//! | `POST /api/publish` | [`PublishRequest`] with `channel` | [`Answer::Publish`] |
//! | `POST /api/broadcast` | [`PublishRequest`] with `channels` | [`Answer::Broadcast`] |
//! | `POST /api/presence` | [`ChannelRequest`] | [`Answer::Presence`] |
//! | `POST /api/presence_stats` | [`ChannelRequest`] | [`Answer::PresenceStats`] |
//! | `POST /api/history` | [`HistoryRequest`] | [`Answer::History`] |
//! | `POST /api/disconnect` | [`DisconnectRequest`] | [`Answer::Done`] |
//! | `POST /api/subscribe` | [`SubscribeRequest`] | [`Answer::Done`] |
//! | `POST /api/unsubscribe` | [`UnsubscribeRequest`] | [`Answer::Done`] |
//! | `POST /api/refresh` | [`RefreshRequest`] | [`Answer::Done`] |
//! | `POST /api/history_remove` | [`ChannelRequest`] | [`Answer::Done`] |
//! | `POST /api/info` | [`InfoRequest`] | [`Answer::Info`] |
//! | `POST /api/channels` | [`ChannelsRequest`] | [`Answer::Channels`] |
//! | `POST /api/rpc` | [`RpcRequest`] | an error |
//! | `POST /api/batch` | [`BatchRequest`] | of each command its result under the method's name, or its error |
//! | `POST /api` | [`LegacyCommand`]s | of each command a line |
//!
//! A body that cannot be read is answered with HTTP 400. Everything else is HTTP 200 with `{"result":{...}}` or
//! `{"error":{"code":102,"message":"unknown channel"}}`, unless the caller asks for errors as statuses.

use serde::Deserialize;

use crate::json::fields::Strict;

mod answer;
mod batch;
mod request;

pub use crate::centrifuge::HistoryRequest;
pub use answer::{
    Answer, NodeInfo, PublishedAt, bare_failure, channels_part, failure, history_part, presence_part, result,
};
pub use batch::{BatchRequest, Command, LegacyCommand, LegacyMethod, decode_lines};
pub use request::{
    ChannelRequest, ChannelsRequest, CloseRequest, DisconnectRequest, InfoRequest, Overrides, PublishRequest,
    RefreshRequest, RpcRequest, SubscribeRequest, Switch, UnsubscribeRequest,
};

/// Why an API call failed. The numbers are part of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum ApiError {
    /// Something failed here, or the cluster cannot serve the channel right now; trying again may help.
    Internal = 100,
    /// The channel's namespace is not configured.
    UnknownChannel = 102,
    /// There is no such method.
    NotFound = 104,
    /// The request can be read but makes no sense.
    BadRequest = 107,
    /// The feature is off for this channel.
    NotAvailable = 108,
    /// The stream does not reach back to the position, or it is another stream now.
    UnrecoverablePosition = 112,
    /// Another change got in between.
    Conflict = 113,
}

impl ApiError {
    /// The number in the answer.
    pub fn code(self) -> u16 {
        self as u16
    }

    /// The HTTP status that says it, where the caller wishes for that.
    pub fn status(self) -> u16 {
        match self {
            Self::Internal => 500,
            Self::UnknownChannel | Self::NotFound => 404,
            Self::BadRequest | Self::NotAvailable => 400,
            Self::UnrecoverablePosition => 416,
            Self::Conflict => 409,
        }
    }

    /// The text in the answer.
    pub fn message(self) -> &'static str {
        match self {
            Self::Internal => "internal server error",
            Self::UnknownChannel => "unknown channel",
            Self::NotFound => "not found",
            Self::BadRequest => "bad request",
            Self::NotAvailable => "not available",
            Self::UnrecoverablePosition => "unrecoverable position",
            Self::Conflict => "conflict",
        }
    }
}

/// A body is not a JSON object of the request's shape. Nothing was done; the answer is HTTP 400.
#[derive(Debug, thiserror::Error)]
#[error("the request body cannot be read: {0}")]
pub struct BadBody(#[from] serde_json::Error);

/// Reads a request's body. Fields that are missing or `null` have their defaults, unknown ones are ignored.
///
/// # Errors
/// [`BadBody`] if it is not one JSON object, or a field has the wrong type.
pub fn decode<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, BadBody> {
    let Strict(request) = serde_json::from_slice(body)?;
    Ok(request)
}

/// Like [`decode`] for requests that need no body: without one, every field has its default.
///
/// # Errors
/// [`BadBody`] if there is a body and it cannot be read.
pub fn decode_optional<'a, T: Deserialize<'a> + Default>(body: &'a [u8]) -> Result<T, BadBody> {
    if body.is_empty() { Ok(T::default()) } else { decode(body) }
}

#[cfg(test)]
mod tests;
