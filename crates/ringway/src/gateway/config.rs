//! Settings of the gateway role: of its door, and of the hub behind it.

use std::net::SocketAddr;
use std::time::Duration;

use ringway_hub::{HubConfig, Tokens};

use crate::api::ErrorMode;

/// Settings of the gateway role. The default is closed: no token is valid, no page but our own may connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayConfig {
    /// What sessions may do, and how the channels that they use are kept.
    pub hub: HubConfig,
    /// What makes tokens good.
    pub tokens: Tokens,
    /// The plain protocol at `/socket/{user}`; off without it.
    pub plain: Option<PlainConfig>,
    /// A client that takes nothing for this long while something waits for it is closed with 3008.
    pub slow_timeout: Duration,
    /// Origins that browsers may connect from, as `https://example.org`; `*` for any. Empty: the host asked for.
    pub allowed_origins: Vec<String>,
    /// Pages on loopback and our own are welcome beside those, and no secret is too short: for trying things out.
    pub is_open: bool,
    /// Host names under which this server is known, beside addresses and `localhost`.
    pub names: Vec<String>,
    /// Where the page is, if it has a port of its own: it is no stranger.
    pub internal: Option<SocketAddr>,
    /// Key of the server API; without it every call is answered 401.
    pub api_key: Option<String>,
    /// Everybody may call it without one.
    pub api_insecure: bool,
    /// How its callers are told of errors, if they do not say how.
    pub api_errors: ErrorMode,
    /// Ways to connect beside a WebSocket.
    pub transports: Transports,
    /// Bounds of the door.
    pub limits: DoorLimits,
}

/// Which ways to connect there are beside a WebSocket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Transports {
    /// A response that streams, with requests for what the client sends.
    pub http_stream: bool,
    /// The same as an event stream.
    pub sse: bool,
    /// WebSockets whose clients only listen.
    pub uni_websocket: bool,
    /// Such responses.
    pub uni_http_stream: bool,
    /// Such event streams.
    pub uni_sse: bool,
}

impl Transports {
    /// Every one.
    pub const ALL: Self =
        Self { http_stream: true, sse: true, uni_websocket: true, uni_http_stream: true, uni_sse: true };
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            hub: HubConfig::default(),
            tokens: Tokens::default(),
            plain: None,
            slow_timeout: Duration::from_secs(10),
            allowed_origins: Vec::new(),
            is_open: false,
            names: Vec::new(),
            internal: None,
            api_key: None,
            api_insecure: false,
            api_errors: ErrorMode::Body,
            transports: Transports::default(),
            limits: DoorLimits::default(),
        }
    }
}

impl GatewayConfig {
    /// Open to everybody, as the demo and `serve --dev` want it: an open hub, pages of this machine, the plain protocol.
    pub fn open() -> Self {
        Self {
            hub: HubConfig::open(),
            plain: Some(PlainConfig { get: true, ..PlainConfig::default() }),
            is_open: true,
            transports: Transports::ALL,
            ..Self::default()
        }
    }
}

/// Settings of the plain protocol's routes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlainConfig {
    /// Path under which its routes stand as well, without a slash at the end.
    pub prefix: String,
    /// Sending from outside is also done with GET, which a link on any page can do.
    pub get: bool,
}

impl Default for PlainConfig {
    fn default() -> Self {
        Self { prefix: "/ufire-websocket".into(), get: false }
    }
}

/// Bounds of what clients bring, before it comes to the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DoorLimits {
    /// Bytes of a client's message; a larger one closes its connection with 1009.
    pub message_bytes: usize,
    /// Bytes that wait for full sockets, of all sessions together. At the limit pages wait, and the longest queues are closed
    /// with 3008.
    pub sockets_bytes: usize,
    /// Commands of one session in a second, without publishes and pongs. Above it nothing is read from it until its turn comes.
    pub commands_per_second: u32,
    /// Commands that it may have done at once before that.
    pub command_burst: u32,
    /// Bytes of the inputs that wait for the hub. Above it, whoever brings more is not read from until they are worked off.
    pub intake_bytes: usize,
    /// Bytes of an API request's body. A larger one is answered 413.
    pub body_bytes: usize,
}

impl Default for DoorLimits {
    fn default() -> Self {
        Self {
            message_bytes: 64 << 10,
            sockets_bytes: 256 << 20,
            commands_per_second: 500,
            command_burst: 4096,
            intake_bytes: 8 << 20,
            body_bytes: 1 << 20,
        }
    }
}
