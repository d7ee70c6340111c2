//! What clients ask. Strings and payloads borrow from the frame wherever it holds them as they are.
//!
//! Behind each type stands how it is read, by the keys of the protocol's schema.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::json::lenient::{Given, Payload, Text, plain, read_leniently};

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
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ConnectRequest<'a> {
    /// The connection token; empty for an anonymous client.
    pub token: Cow<'a, str>,
    /// A payload for the application.
    pub data: Option<Cow<'a, [u8]>>,
    /// Positions of the subscriptions that the server makes, by channel.
    pub subs: BTreeMap<String, SubscribeRequest<'a>>,
    /// Name of the client's software, as `js`.
    pub name: Cow<'a, str>,
    /// Version of the client's software.
    pub version: Cow<'a, str>,
    /// HTTP headers that a browser could not set.
    pub headers: BTreeMap<String, String>,
    /// Bits of features that the client offers.
    pub flag: i64,
}

read_leniently!(ConnectRequest {
    "token" => token: Text,
    "data" => data: Payload,
    "subs" => subs: plain(),
    "name" => name: Text,
    "version" => version: Text,
    "headers" => headers: plain(),
    "flag" => flag: plain(),
});

/// Asks for a channel's publications, from a position or from now on.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SubscribeRequest<'a> {
    /// The channel's full name.
    pub channel: Cow<'a, str>,
    /// The subscription token; empty for none.
    pub token: Cow<'a, str>,
    /// Whether what was published after `offset` of `epoch` is wanted.
    pub recover: bool,
    /// The stream epoch that `offset` counts in; empty matches any.
    pub epoch: Cow<'a, str>,
    /// Offset of the last publication that the client has seen.
    pub offset: u64,
    /// A payload for the application.
    pub data: Option<Cow<'a, [u8]>>,
    /// Asks the server to watch that no publication is skipped.
    pub positioned: bool,
    /// Asks for a position that can be recovered from.
    pub recoverable: bool,
    /// Asks for join and leave pushes.
    pub join_leave: bool,
    /// Delta format that the client understands, `fossil`; empty for none.
    pub delta: Cow<'a, str>,
    /// A filter by tags, as JSON on every wire; a server that does not filter must refuse it.
    pub filter: Option<Cow<'a, [u8]>>,
    /// Bits: [`SubscribeRequest::REJECT_UNRECOVERED`] and offers that may be ignored.
    pub flag: i64,
    /// Kind of subscription: 0 is a stream, the others are experimental.
    pub kind: i32,
}

read_leniently!(SubscribeRequest {
    "channel" => channel: Text,
    "token" => token: Text,
    "recover" => recover: plain(),
    "epoch" => epoch: Text,
    "offset" => offset: plain(),
    "data" => data: Payload,
    "positioned" => positioned: plain(),
    "recoverable" => recoverable: plain(),
    "join_leave" => join_leave: plain(),
    "delta" => delta: Text,
    "tf" => filter: Given,
    "flag" => flag: plain(),
    "type" => kind: plain(),
});

impl SubscribeRequest<'_> {
    /// Bit of `flag`: if the position cannot be recovered, answer error 112 instead of `recovered: false`.
    pub const REJECT_UNRECOVERED: i64 = 2;

    /// Whether the client wants an error when its position cannot be recovered.
    pub fn rejects_unrecovered(&self) -> bool {
        self.flag & Self::REJECT_UNRECOVERED != 0
    }
}

/// Publishes to a channel.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PublishRequest<'a> {
    /// The channel's full name.
    pub channel: Cow<'a, str>,
    /// What to publish; a publication needs some.
    pub data: Option<Cow<'a, [u8]>>,
    /// The data are any bytes, and not compact JSON. Of no wire that is JSON.
    pub is_opaque: bool,
    /// Kind of channel: 0 is a stream, the others are experimental.
    pub kind: i32,
}

read_leniently!(PublishRequest {
    "channel" => channel: Text,
    "data" => data: Payload,
    "type" => kind: plain(),
});

/// Reads a part of a stream.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HistoryRequest<'a> {
    /// The channel's full name.
    pub channel: Cow<'a, str>,
    /// How many publications: 0 for the position alone, -1 for as many as are kept.
    pub limit: i32,
    /// Where to start; at the oldest (or newest, if reversed) without it.
    pub since: Option<Since<'a>>,
    /// Newest first.
    pub reverse: bool,
}

read_leniently!(HistoryRequest {
    "channel" => channel: Text,
    "limit" => limit: plain(),
    "since" => since: plain(),
    "reverse" => reverse: plain(),
});

/// A place in a stream as a client names it: its epoch may be anything.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Since<'a> {
    /// Reading starts after this offset, or before it if reversed.
    pub offset: u64,
    /// The stream epoch that `offset` counts in; empty matches any.
    pub epoch: Cow<'a, str>,
}

read_leniently!(Since {
    "offset" => offset: plain(),
    "epoch" => epoch: Text,
});

/// Calls a method of the application.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RpcRequest<'a> {
    /// Name of the method; may be empty.
    pub method: Cow<'a, str>,
    /// The argument.
    pub data: Option<Cow<'a, [u8]>>,
}

read_leniently!(RpcRequest {
    "method" => method: Text,
    "data" => data: Payload,
});

/// Renews a subscription's token.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SubRefreshRequest<'a> {
    /// The channel's full name.
    pub channel: Cow<'a, str>,
    /// The new token.
    pub token: Cow<'a, str>,
    /// Kind of refresh: 0 renews a token, the others are experimental.
    pub kind: i32,
}

read_leniently!(SubRefreshRequest {
    "channel" => channel: Text,
    "token" => token: Text,
    "type" => kind: plain(),
});

/// A request that holds a channel and nothing else.
#[derive(Debug, Default)]
pub(super) struct OfChannel<'a> {
    pub(super) channel: Cow<'a, str>,
}

read_leniently!(OfChannel {
    "channel" => channel: Text,
});

/// A request that holds a payload and nothing else.
#[derive(Debug, Default)]
pub(super) struct OfData<'a> {
    pub(super) data: Option<Cow<'a, [u8]>>,
}

read_leniently!(OfData {
    "data" => data: Payload,
});

/// A request that holds a token and nothing else.
#[derive(Debug, Default)]
pub(super) struct OfToken<'a> {
    pub(super) token: Cow<'a, str>,
}

read_leniently!(OfToken {
    "token" => token: Text,
});
