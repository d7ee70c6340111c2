//! The numbers a client acts upon: errors in replies, reasons to disconnect, reasons to be unsubscribed.

/// Why a command failed. The connection stays open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum ErrorCode {
    /// Something failed here; trying again may help.
    Internal = 100,
    /// The command needs credentials that the client has not shown.
    Unauthorized = 101,
    /// The channel's namespace is not configured.
    UnknownChannel = 102,
    /// The client may not do this, or its subscription token is invalid.
    PermissionDenied = 103,
    /// There is no such method.
    MethodNotFound = 104,
    /// The client is subscribed to the channel already.
    AlreadySubscribed = 105,
    /// A limit of the client is reached, as that of its channels.
    LimitExceeded = 106,
    /// The command is well-formed but makes no sense.
    BadRequest = 107,
    /// The feature is off for this channel or server.
    NotAvailable = 108,
    /// The token has expired: the client fetches a new one.
    TokenExpired = 109,
    /// The connection or subscription has expired.
    Expired = 110,
    /// The client asks too often; later is fine.
    TooManyRequests = 111,
    /// The stream does not reach back to the client's position, or it is another stream now.
    UnrecoverablePosition = 112,
    /// Another page of the same channel is being read.
    ConcurrentPagination = 113,
}

impl ErrorCode {
    /// The number on the wire.
    pub fn code(self) -> u16 {
        self as u16
    }

    /// The text that goes with the number.
    pub fn message(self) -> &'static str {
        match self {
            Self::Internal => "internal server error",
            Self::Unauthorized => "unauthorized",
            Self::UnknownChannel => "unknown channel",
            Self::PermissionDenied => "permission denied",
            Self::MethodNotFound => "method not found",
            Self::AlreadySubscribed => "already subscribed",
            Self::LimitExceeded => "limit exceeded",
            Self::BadRequest => "bad request",
            Self::NotAvailable => "not available",
            Self::TokenExpired => "token expired",
            Self::Expired => "expired",
            Self::TooManyRequests => "too many requests",
            Self::UnrecoverablePosition => "unrecoverable position",
            Self::ConcurrentPagination => "concurrent pagination",
        }
    }

    /// Whether the client should try again by itself.
    pub(super) fn is_temporary(self) -> bool {
        matches!(self, Self::Internal | Self::TooManyRequests | Self::ConcurrentPagination)
    }
}

/// Why the server closes a connection: code and reason of the close frame. The reason is never empty and never JSON:
/// the JavaScript SDK ignores the rule of [`Disconnect::is_terminal`] without a reason, and takes a JSON one for advice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Disconnect {
    /// The client closed; never sent.
    ConnectionClosed = 3000,
    /// The server goes away, the client connects elsewhere.
    Shutdown = 3001,
    /// Something failed here.
    InternalServerError = 3004,
    /// The connection's credentials ran out and were not renewed.
    ConnectionExpired = 3005,
    /// The credentials of a subscription made by the server ran out.
    SubscriptionExpired = 3006,
    /// The client reads slower than it is written to.
    Slow = 3008,
    /// The socket took no bytes.
    WriteError = 3009,
    /// The server noticed a gap: the client comes back and recovers.
    InsufficientState = 3010,
    /// Somebody asked for this client to connect anew.
    ForceReconnect = 3011,
    /// A ping was not answered.
    NoPong = 3012,
    /// Too much at once.
    TooManyRequests = 3013,
    /// Everything that the client knows is void: tokens and positions.
    StateInvalidated = 3014,
    /// The token is not ours, or belongs to another user.
    InvalidToken = 3500,
    /// The client broke the protocol.
    BadRequest = 3501,
    /// The client connected and then said nothing.
    Stale = 3502,
    /// Somebody asked for this client to go; the API's default.
    ForceDisconnect = 3503,
    /// The user has too many connections.
    ConnectionLimit = 3504,
    /// The connection has too many channels.
    ChannelLimit = 3505,
    /// Binary data is due to a client that reads JSON.
    InappropriateProtocol = 3506,
    /// The client may not be here.
    PermissionDenied = 3507,
    /// The client asked for what this server does not do.
    NotAvailable = 3508,
    /// Too many commands failed.
    TooManyErrors = 3509,
}

impl Disconnect {
    /// The code of the close frame.
    pub fn code(self) -> u16 {
        self as u16
    }

    /// The reason of the close frame.
    pub fn reason(self) -> &'static str {
        match self {
            Self::ConnectionClosed => "connection closed",
            Self::Shutdown => "shutdown",
            Self::InternalServerError => "internal server error",
            Self::ConnectionExpired => "connection expired",
            Self::SubscriptionExpired => "subscription expired",
            Self::Slow => "slow",
            Self::WriteError => "write error",
            Self::InsufficientState => "insufficient state",
            Self::ForceReconnect => "force reconnect",
            Self::NoPong => "no pong",
            Self::TooManyRequests => "too many requests",
            Self::StateInvalidated => "state invalidated",
            Self::InvalidToken => "invalid token",
            Self::BadRequest => "bad request",
            Self::Stale => "stale",
            Self::ForceDisconnect => "force disconnect",
            Self::ConnectionLimit => "connection limit",
            Self::ChannelLimit => "channel limit",
            Self::InappropriateProtocol => "inappropriate protocol",
            Self::PermissionDenied => "permission denied",
            Self::NotAvailable => "not available",
            Self::TooManyErrors => "too many errors",
        }
    }

    /// Whether the client stays away; after every other code it connects again by itself.
    pub fn is_terminal(self) -> bool {
        self.code() >= 3500
    }
}

/// Why the server ended a subscription. From 2500 on the client subscribes again at once, without backoff.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Unsubscribed {
    /// Somebody asked for it; the client leaves it at that.
    Server = 2000,
    /// The server noticed a gap: the client subscribes again and recovers.
    InsufficientState = 2500,
    /// The subscription's token ran out.
    Expired = 2501,
    /// The client's position is void.
    StateInvalidated = 2502,
}

impl Unsubscribed {
    /// The number on the wire.
    pub fn code(self) -> u16 {
        self as u16
    }

    /// The text that goes with the number.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Server => "server unsubscribe",
            Self::InsufficientState => "insufficient state",
            Self::Expired => "expired",
            Self::StateInvalidated => "state invalidated",
        }
    }
}
