//! What clients ask. Strings and payloads borrow from the frame wherever it holds them as they are.
//!
//! The field names are those of the protocol's schema, so the JSON reading of a request is derived from its type.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;

use crate::json::fields::{self, Strict, nullable, object, payload, text};

/// One thing that a client asks.
#[derive(Debug, Clone, PartialEq)]
pub struct Command<'a> {
    /// Chosen by the client and echoed in the reply; 0 for what has no reply.
    pub id: u32,
    /// What is asked.
    pub request: Request<'a>,
}

/// The requests, in the order in which the first one present in a command wins.
#[derive(Debug, Clone, PartialEq)]
pub enum Request<'a> {
    /// The first command of every connection.
    Connect(Box<ConnectRequest<'a>>),
    /// Asks for a channel's publications.
    Subscribe(Box<SubscribeRequest<'a>>),
    /// Ends a subscription to the channel named.
    Unsubscribe(Cow<'a, str>),
    /// Publishes to a channel.
    Publish(PublishRequest<'a>),
    /// Asks who is subscribed to the channel named.
    Presence(Cow<'a, str>),
    /// Asks how many are subscribed to the channel named.
    PresenceStats(Cow<'a, str>),
    /// Reads a part of a stream.
    History(HistoryRequest<'a>),
    /// Calls a method of the application.
    Rpc(RpcRequest<'a>),
    /// Sends a payload to the application; has no reply. `None` if the client sent no data.
    Send(Option<Cow<'a, [u8]>>),
    /// Renews the connection's token.
    Refresh(Cow<'a, str>),
    /// Renews a subscription's token.
    SubRefresh(SubRefreshRequest<'a>),
    /// Answers the server's ping: a command without id and `send`, whatever else it holds.
    Pong,
}

/// Asks for a session.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ConnectRequest<'a> {
    /// The connection token; empty for an anonymous client.
    #[serde(borrow, deserialize_with = "text")]
    pub token: Cow<'a, str>,
    /// A payload for the application.
    #[serde(borrow, deserialize_with = "payload")]
    pub data: Option<Cow<'a, [u8]>>,
    /// Positions of the subscriptions that the server makes, by channel.
    #[serde(borrow, deserialize_with = "subscriptions")]
    pub subs: BTreeMap<String, SubscribeRequest<'a>>,
    /// Name of the client's software, as `js`.
    #[serde(borrow, deserialize_with = "text")]
    pub name: Cow<'a, str>,
    /// Version of the client's software.
    #[serde(borrow, deserialize_with = "text")]
    pub version: Cow<'a, str>,
    /// HTTP headers that a browser could not set.
    #[serde(deserialize_with = "nullable")]
    pub headers: BTreeMap<String, String>,
    /// Bits of features that the client offers.
    #[serde(deserialize_with = "nullable")]
    pub flag: i64,
}

fn subscriptions<'de, D>(deserializer: D) -> Result<BTreeMap<String, SubscribeRequest<'de>>, D::Error>
where
    D: serde::Deserializer<'de>,
{
    let strict: BTreeMap<String, Strict<SubscribeRequest<'de>>> = nullable(deserializer)?;
    Ok(strict.into_iter().map(|(channel, request)| (channel, request.0)).collect())
}

/// Asks for a channel's publications, from a position or from now on.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct SubscribeRequest<'a> {
    /// The channel's full name.
    #[serde(borrow, deserialize_with = "text")]
    pub channel: Cow<'a, str>,
    /// The subscription token; empty for none.
    #[serde(borrow, deserialize_with = "text")]
    pub token: Cow<'a, str>,
    /// Whether what was published after `offset` of `epoch` is wanted.
    #[serde(deserialize_with = "nullable")]
    pub recover: bool,
    /// The stream epoch that `offset` counts in; empty matches any.
    #[serde(borrow, deserialize_with = "text")]
    pub epoch: Cow<'a, str>,
    /// Offset of the last publication that the client has seen.
    #[serde(deserialize_with = "nullable")]
    pub offset: u64,
    /// A payload for the application.
    #[serde(borrow, deserialize_with = "payload")]
    pub data: Option<Cow<'a, [u8]>>,
    /// Asks the server to watch that no publication is skipped.
    #[serde(deserialize_with = "nullable")]
    pub positioned: bool,
    /// Asks for a position that can be recovered from.
    #[serde(deserialize_with = "nullable")]
    pub recoverable: bool,
    /// Asks for join and leave pushes.
    #[serde(deserialize_with = "nullable")]
    pub join_leave: bool,
    /// Delta format that the client understands, `fossil`; empty for none.
    #[serde(borrow, deserialize_with = "text")]
    pub delta: Cow<'a, str>,
    /// A filter by tags, raw; a server that does not filter must refuse it.
    #[serde(borrow, rename = "tf", deserialize_with = "payload")]
    pub filter: Option<Cow<'a, [u8]>>,
    /// Bits: [`SubscribeRequest::REJECT_UNRECOVERED`] and offers that may be ignored.
    #[serde(deserialize_with = "nullable")]
    pub flag: i64,
    /// Kind of subscription: 0 is a stream, the others are experimental.
    #[serde(rename = "type", deserialize_with = "nullable")]
    pub kind: i32,
}

impl SubscribeRequest<'_> {
    /// Bit of `flag`: if the position cannot be recovered, answer error 112 instead of `recovered: false`.
    pub const REJECT_UNRECOVERED: i64 = 2;

    /// Whether the client wants an error when its position cannot be recovered.
    pub fn rejects_unrecovered(&self) -> bool {
        self.flag & Self::REJECT_UNRECOVERED != 0
    }
}

/// Publishes to a channel.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct PublishRequest<'a> {
    /// The channel's full name.
    #[serde(borrow, deserialize_with = "text")]
    pub channel: Cow<'a, str>,
    /// What to publish; a publication needs some.
    #[serde(borrow, deserialize_with = "payload")]
    pub data: Option<Cow<'a, [u8]>>,
    /// Kind of channel: 0 is a stream, the others are experimental.
    #[serde(rename = "type", deserialize_with = "nullable")]
    pub kind: i32,
}

/// Reads a part of a stream.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct HistoryRequest<'a> {
    /// The channel's full name.
    #[serde(borrow, deserialize_with = "text")]
    pub channel: Cow<'a, str>,
    /// How many publications: 0 for the position alone, -1 for as many as are kept.
    #[serde(deserialize_with = "nullable")]
    pub limit: i32,
    /// Where to start; at the oldest (or newest, if reversed) without it.
    #[serde(borrow, deserialize_with = "object")]
    pub since: Option<Since<'a>>,
    /// Newest first.
    #[serde(deserialize_with = "nullable")]
    pub reverse: bool,
}

/// A place in a stream as a client names it: its epoch may be anything.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Since<'a> {
    /// Reading starts after this offset, or before it if reversed.
    #[serde(deserialize_with = "nullable")]
    pub offset: u64,
    /// The stream epoch that `offset` counts in; empty matches any.
    #[serde(borrow, deserialize_with = "text")]
    pub epoch: Cow<'a, str>,
}

/// Calls a method of the application.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct RpcRequest<'a> {
    /// Name of the method; may be empty.
    #[serde(borrow, deserialize_with = "text")]
    pub method: Cow<'a, str>,
    /// The argument.
    #[serde(borrow, deserialize_with = "payload")]
    pub data: Option<Cow<'a, [u8]>>,
}

/// Renews a subscription's token.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct SubRefreshRequest<'a> {
    /// The channel's full name.
    #[serde(borrow, deserialize_with = "text")]
    pub channel: Cow<'a, str>,
    /// The new token.
    #[serde(borrow, deserialize_with = "text")]
    pub token: Cow<'a, str>,
    /// Kind of refresh: 0 renews a token, the others are experimental.
    #[serde(rename = "type", deserialize_with = "nullable")]
    pub kind: i32,
}

/// A request that holds a channel and nothing else.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct OfChannel<'a> {
    #[serde(borrow, deserialize_with = "text")]
    pub(super) channel: Cow<'a, str>,
}

/// A request that holds a payload and nothing else.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct OfData<'a> {
    #[serde(borrow, deserialize_with = "fields::payload")]
    pub(super) data: Option<Cow<'a, [u8]>>,
}

/// A request that holds a token and nothing else.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct OfToken<'a> {
    #[serde(borrow, deserialize_with = "text")]
    pub(super) token: Cow<'a, str>,
}
