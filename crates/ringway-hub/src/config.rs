//! What a gateway's sessions may do, and how the channels they use are kept.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use ringway_core::ChannelName;
use ringway_core::message::ChannelOptions;
use ringway_protocol::centrifuge::ErrorCode;

/// Settings of the gateway role. The default is closed: no anonymous clients, no channels but the personal ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayConfig {
    /// Clients without a token are welcome, under the empty user name.
    pub allow_anonymous: bool,
    /// Key of the connection tokens (HS256, HS384, HS512). Without it every token is invalid.
    pub token_hmac_secret: Option<String>,
    /// Rules by namespace: the part of a channel's name before its first `:`, without a `$` in front. Other namespaces are error 102.
    pub namespaces: BTreeMap<String, ChannelRules>,
    /// Rules of channels without a namespace; without them such channels are error 102.
    pub without_namespace: Option<ChannelRules>,
    /// Rules of the personal channels `#<user>`.
    pub inbox: ChannelRules,
    /// The plain protocol at `/socket/{user}`; off without it.
    pub plain: Option<PlainConfig>,
    /// A Centrifuge client is pinged this often; the first time after a random part of it, at least half.
    pub ping_interval: Duration,
    /// A client that has not answered a ping after this is closed with 3012.
    pub pong_timeout: Duration,
    /// A client that takes nothing for this long while something waits for it is closed with 3008.
    pub slow_timeout: Duration,
    /// A Centrifuge client that has not sent its connect after this is closed with 3502.
    pub stale_timeout: Duration,
    /// How long after the end of its token a client has to refresh it, before it is closed with 3005.
    pub expiry_grace: Duration,
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
    /// Bounds.
    pub limits: SessionLimits,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            allow_anonymous: false,
            token_hmac_secret: None,
            namespaces: BTreeMap::new(),
            without_namespace: None,
            inbox: ChannelRules::inbox(),
            plain: None,
            ping_interval: Duration::from_secs(25),
            pong_timeout: Duration::from_secs(8),
            slow_timeout: Duration::from_secs(10),
            stale_timeout: Duration::from_secs(10),
            expiry_grace: Duration::from_secs(25),
            allowed_origins: Vec::new(),
            is_open: false,
            names: Vec::new(),
            internal: None,
            api_key: None,
            limits: SessionLimits::default(),
        }
    }
}

impl GatewayConfig {
    /// Open to everybody, as the demo and `serve --dev` want it: anonymous clients, pages of this machine, the plain protocol,
    /// channels without a namespace with history, recovery and presence.
    pub fn open() -> Self {
        Self {
            allow_anonymous: true,
            without_namespace: Some(ChannelRules::open()),
            inbox: ChannelRules { publish: Allowed::Anyone, ..ChannelRules::inbox() },
            plain: Some(PlainConfig { get: true, ..PlainConfig::default() }),
            is_open: true,
            ..Self::default()
        }
    }

    /// The rules of a channel.
    ///
    /// # Errors
    /// [`ErrorCode::UnknownChannel`] if its namespace is not configured, or it looks like a personal channel and is none.
    pub fn rules_of(&self, channel: &ChannelName) -> Result<&ChannelRules, ErrorCode> {
        let name = channel.as_str();
        if name.starts_with('#') {
            return channel.personal_user().map(|_| &self.inbox).ok_or(ErrorCode::UnknownChannel);
        }
        // A `$` asks for a token and belongs to no namespace's name; an empty one is none.
        let namespace = name.strip_prefix('$').unwrap_or(name).split_once(':').map(|(namespace, _)| namespace);
        let rules = match namespace.filter(|namespace| !namespace.is_empty()) {
            Some(namespace) => self.namespaces.get(namespace),
            None => self.without_namespace.as_ref(),
        };
        rules.ok_or(ErrorCode::UnknownChannel)
    }
}

/// How a kind of channel is kept, and who may do what in it. The server API may do everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelRules {
    /// Most publications kept; 0: no history, delivered at most once.
    pub history_size: u32,
    /// How long a publication is kept.
    pub history_ttl: Duration,
    /// Most bytes of the publications kept, the newest one aside: the oldest go first. 0: no limit but the node's.
    pub history_bytes: usize,
    /// Subscribers get a position and come back to it without missing anything. Needs history.
    pub recovery: bool,
    /// Who is subscribed is kept and can be asked for by subscribers.
    pub presence: bool,
    /// Who may subscribe without a token for the channel. `Subscribers` means nobody.
    pub subscribe: Allowed,
    /// Who may publish.
    pub publish: Allowed,
}

/// Which clients may do something in a channel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Allowed {
    /// No client.
    #[default]
    Nobody,
    /// Clients that are subscribed to the channel.
    Subscribers,
    /// Clients with a user name.
    Named,
    /// Every client.
    Anyone,
}

impl ChannelRules {
    /// What the demo gives to channels without a namespace: 1,000 publications for 10 minutes, open to all.
    pub fn open() -> Self {
        Self {
            history_size: 1000,
            history_ttl: Duration::from_secs(600),
            history_bytes: 0,
            recovery: true,
            presence: true,
            subscribe: Allowed::Anyone,
            publish: Allowed::Subscribers,
        }
    }

    /// A personal channel: 1,000 publications for a day; only the user listens, only servers and plain clients write.
    pub fn inbox() -> Self {
        Self {
            history_size: 1000,
            history_ttl: Duration::from_secs(24 * 3600),
            history_bytes: 0,
            recovery: true,
            presence: false,
            subscribe: Allowed::Named,
            publish: Allowed::Nobody,
        }
    }

    /// What the owner is told of such channels.
    pub fn options(&self) -> ChannelOptions {
        let Self { history_size, history_ttl, history_bytes, presence, .. } = *self;
        ChannelOptions { history_size, history_ttl, presence, history_bytes: history_bytes as u64 }
    }

    /// Subscribers get a position.
    pub fn is_positioned(&self) -> bool {
        self.recovery && self.options().has_history()
    }
}

impl Default for ChannelRules {
    /// No history, no presence, open to subscribe; only servers publish.
    fn default() -> Self {
        Self {
            history_size: 0,
            history_ttl: Duration::ZERO,
            history_bytes: 0,
            recovery: false,
            presence: false,
            subscribe: Allowed::Anyone,
            publish: Allowed::Nobody,
        }
    }
}

/// Settings of the plain protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlainConfig {
    /// Path under which its routes stand as well, without a slash at the end.
    pub prefix: String,
    /// Sending from outside is also done with GET, which a link on any page can do.
    pub get: bool,
    /// A client is told about its owner (type 4) this often.
    pub info_interval: Duration,
}

impl Default for PlainConfig {
    fn default() -> Self {
        Self { prefix: "/ufire-websocket".into(), get: false, info_interval: Duration::from_secs(5) }
    }
}

/// Bounds of sessions and of what they may leave waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLimits {
    /// Channels per session, as in the reference server; one more is error 106.
    pub subscriptions: usize,
    /// Bytes of a client's message; a larger one closes its connection with 1009.
    pub message_bytes: usize,
    /// Bytes that may wait for a client for any time. A longer queue must get shorter, or the client is closed with 3008.
    /// Answers that may be large wait until half of it is free, and live traffic behind a reply in parts has as much again.
    pub outbox_bytes: usize,
    /// Bytes that wait for full sockets, of all sessions together. At the limit pages wait, and the longest queues are closed
    /// with 3008.
    pub sockets_bytes: usize,
    /// Publishes and reads of one session that are not answered. At the limit nothing more is read from it.
    pub publishes_in_flight: u32,
    /// Commands of one session in a second, without publishes and pongs. Above it nothing is read from it until its turn comes.
    pub commands_per_second: u32,
    /// Commands that it may have done at once before that.
    pub command_burst: u32,
    /// Publications in one answer of history, and in one page of recovery. Who wants more asks again; recovery goes on by
    /// itself.
    pub page: u32,
    /// Bytes of the inputs that wait for the hub. Above it, whoever brings more is not read from until they are worked off.
    pub inbox_bytes: usize,
    /// API calls that wait for an answer. At the limit a call is answered 503.
    pub calls: usize,
    /// Channels in one broadcast. More are error 107.
    pub broadcast: usize,
    /// Bytes of an API request's body. A larger one is answered 413.
    pub body_bytes: usize,
}

impl Default for SessionLimits {
    fn default() -> Self {
        Self {
            subscriptions: 128,
            message_bytes: 64 << 10,
            outbox_bytes: 1 << 20,
            sockets_bytes: 256 << 20,
            publishes_in_flight: 32,
            commands_per_second: 500,
            command_burst: 4096,
            page: 300,
            inbox_bytes: 8 << 20,
            calls: 16_384,
            broadcast: 1024,
            body_bytes: 1 << 20,
        }
    }
}
