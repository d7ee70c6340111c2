//! What clients are answered.

use super::{ClientInfo, ErrorCode, Publication};

/// The answer to a command; it carries the command's id.
#[derive(Debug, Clone)]
pub enum Reply<'a> {
    /// The command failed.
    Error(ErrorReply<'a>),
    /// The session has begun.
    Connect(&'a ConnectResult<'a>),
    /// The subscription has begun; pushes of the channel follow.
    Subscribe(&'a SubscribeResult<'a>),
    /// The subscription has ended, or there was none.
    Unsubscribe,
    /// The publication is accepted.
    Publish,
    /// Who is subscribed, each under the id of its connection.
    Presence(&'a [ClientInfo<'a>]),
    /// How many are subscribed: connections, and different users with the anonymous one counted as one.
    PresenceStats {
        /// Connections.
        clients: u32,
        /// Users.
        users: u32,
    },
    /// A part of a stream.
    History(&'a HistoryResult<'a>),
    /// What the application returned; empty for nothing.
    Rpc(&'a [u8]),
    /// The connection's new expiry.
    Refresh(Expiry),
    /// The subscription's new expiry.
    SubRefresh(Expiry),
}

/// What went wrong: a code of ours, or one that the application chose (400 to 1999).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorReply<'a> {
    /// The number that programs act upon.
    pub code: u16,
    /// The text that people read.
    pub message: &'a str,
    /// Whether the client should try again by itself.
    pub temporary: bool,
}

impl From<ErrorCode> for ErrorReply<'static> {
    fn from(error: ErrorCode) -> Self {
        Self { code: error.code(), message: error.message(), temporary: error.is_temporary() }
    }
}

/// When credentials run out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Expiry {
    /// Never.
    #[default]
    Never,
    /// The client sends a new token after this many seconds.
    InSeconds(u32),
}

/// A session, as its client sees it.
#[derive(Debug, Clone, Default)]
pub struct ConnectResult<'a> {
    /// The id of the connection.
    pub client: &'a str,
    /// The server's version; must not be empty.
    pub version: &'a str,
    /// When the connection's credentials run out.
    pub expiry: Expiry,
    /// A payload of the application; empty for none.
    pub data: &'a [u8],
    /// Subscriptions that the server made, by channel.
    pub subs: Vec<(&'a str, SubscribeResult<'a>)>,
    /// Seconds between the server's pings; 0 for none.
    pub ping: u32,
    /// Whether the client must answer pings.
    pub pong: bool,
    /// Names the session to transports that send over HTTP requests; empty on WebSocket.
    pub session: &'a str,
    /// Names the gateway to such transports; empty on WebSocket.
    pub node: &'a str,
}

/// A subscription as it begins.
#[derive(Debug, Clone, Default)]
pub struct SubscribeResult<'a> {
    /// When the subscription's credentials run out.
    pub expiry: Expiry,
    /// Whether the position can be recovered from.
    pub recoverable: bool,
    /// The stream's epoch; empty on channels without history.
    pub epoch: &'a str,
    /// If recovered, the offset that the client asked from, else the stream's top.
    pub offset: u64,
    /// What the client missed. All of it if `recovered`, else nothing.
    pub publications: &'a [Publication<'a>],
    /// Whether the client has missed nothing.
    pub recovered: bool,
    /// Whether the client asked for recovery.
    pub was_recovering: bool,
    /// Whether the server watches that no publication is skipped.
    pub positioned: bool,
    /// A payload of the application; empty for none.
    pub data: &'a [u8],
    /// Payloads may be told as what is other in them than in the one before.
    pub delta: bool,
}

/// A part of a stream.
#[derive(Debug, Clone, Default)]
pub struct HistoryResult<'a> {
    /// The publications asked for.
    pub publications: &'a [Publication<'a>],
    /// The stream's epoch.
    pub epoch: &'a str,
    /// The stream's top.
    pub offset: u64,
}
