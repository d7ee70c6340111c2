//! What a gateway's sessions may do, and how the channels they use are kept.

mod channel;

use std::collections::BTreeMap;
use std::time::Duration;

use ringway_core::ChannelName;
use ringway_core::keeping::Keeping;
use ringway_core::message::{ChannelOptions, Durability};
use ringway_protocol::centrifuge::ErrorCode;

pub use channel::{Access, ChannelConfig, NamePattern, Offer, RecoveryMode};

/// What the hub decides by. The default is closed: no anonymous clients, no channels but the personal ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubConfig {
    /// Clients without a token are welcome, under the empty user name.
    pub allow_anonymous: bool,
    /// Tokens without a user open no connection.
    pub disallow_anonymous_tokens: bool,
    /// Everybody may connect without a token, and clients may do in channels whatever there is to do, but listen to the inboxes of others. For
    /// trying things out.
    pub insecure: bool,
    /// A Centrifuge client with a user name is subscribed to its personal channel.
    pub personal_channels: bool,
    /// How channels are kept, by namespace: the part of a channel's name before its first `:`, without a `$` in front. Other namespaces are error 102.
    pub namespaces: BTreeMap<String, ChannelConfig>,
    /// The same for channels without a namespace; without them such channels are error 102.
    pub without_namespace: Option<ChannelConfig>,
    /// The same for the personal channels `#<user>`.
    pub inbox: ChannelConfig,
    /// A plain client is told about its owner (type 4) this often.
    pub info_interval: Duration,
    /// A Centrifuge client is pinged this often; the first time after a random part of it, at least half.
    pub ping_interval: Duration,
    /// A client that has not answered a ping after this is closed with 3012.
    pub pong_timeout: Duration,
    /// A Centrifuge client that has not sent its connect after this is closed with 3502.
    pub stale_timeout: Duration,
    /// How long after the end of its token a client has to refresh it, before it is closed with 3005.
    pub expiry_grace: Duration,
    /// Bounds.
    pub limits: SessionLimits,
}

impl Default for HubConfig {
    fn default() -> Self {
        Self {
            allow_anonymous: false,
            disallow_anonymous_tokens: false,
            insecure: false,
            personal_channels: true,
            namespaces: BTreeMap::new(),
            without_namespace: None,
            inbox: ChannelConfig::inbox(),
            info_interval: Duration::from_secs(5),
            ping_interval: Duration::from_secs(25),
            pong_timeout: Duration::from_secs(8),
            stale_timeout: Duration::from_secs(10),
            expiry_grace: Duration::from_secs(25),
            limits: SessionLimits::default(),
        }
    }
}

impl HubConfig {
    /// Open to everybody, as the demo and `serve --dev` want it: anonymous clients, channels without a namespace with history,
    /// recovery and presence.
    pub fn open() -> Self {
        Self {
            allow_anonymous: true,
            without_namespace: Some(ChannelConfig::open()),
            inbox: ChannelConfig { publish: Access::ANYONE, ..ChannelConfig::inbox() },
            ..Self::default()
        }
    }

    /// How a channel is kept.
    ///
    /// # Errors
    /// [`ErrorCode::UnknownChannel`] if its namespace is not configured, or it looks like a personal channel and is none.
    pub fn channel(&self, channel: &ChannelName) -> Result<&ChannelConfig, ErrorCode> {
        let config = match channel.kind() {
            "#" => channel.personal_user().map(|_| &self.inbox),
            "" => self.without_namespace.as_ref(),
            namespace => self.namespaces.get(namespace),
        };
        config.ok_or(ErrorCode::UnknownChannel)
    }

    /// How channels are kept, by this config alone.
    pub fn keeping(&self) -> Keeping {
        let without = self.without_namespace.iter().map(|config| ("", config));
        let named = self.namespaces.iter().map(|(name, config)| (&**name, config));
        let all = without.chain([("#", &self.inbox)]).chain(named);
        let mut kinds: Vec<_> = all.map(|(kind, config)| (kind.into(), config.options())).collect();
        kinds.sort_unstable_by(|(a, _): &(Box<str>, _), (b, _)| a.cmp(b));
        Keeping { kinds }
    }

    /// The same config where the cluster keeps channels like this. What the cluster does not know is closed, and what this config does not
    /// know stays unknown: nothing says who may do what there.
    #[must_use]
    pub fn kept(&self, keeping: &Keeping) -> Self {
        let kept = |kind: &str, config: &ChannelConfig| keeping.of_kind(kind).map(|options| config.kept(options));
        let namespaces = self.namespaces.iter();
        let mut config = self.clone();
        config.without_namespace = self.without_namespace.as_ref().and_then(|config| kept("", config));
        config.inbox = kept("#", &self.inbox).unwrap_or_else(|| self.inbox.clone());
        config.namespaces = namespaces.filter_map(|(name, config)| Some((name.clone(), kept(name, config)?))).collect();
        config
    }

    /// Keeps all that has a history in the log.
    pub fn keep_in_the_log(&mut self) {
        let all = self.namespaces.values_mut().chain(&mut self.without_namespace).chain([&mut self.inbox]);
        for config in all.filter(|config| config.options().has_history()) {
            config.durability = Durability::Log;
        }
    }

    /// What its owner is told of how a channel is kept. Of one that is not configured nothing is.
    pub(crate) fn options(&self, channel: &ChannelName) -> ChannelOptions {
        self.channel(channel).map(ChannelConfig::options).unwrap_or_default()
    }
}

/// Bounds of sessions and of what they may leave waiting in the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLimits {
    /// Channels per session, as in the reference server; one more is error 106.
    pub subscriptions: usize,
    /// Bytes that may wait for a client for any time. A longer queue must get shorter, or the client is closed with 3008.
    /// Answers that may be large wait until half of it is free, and live traffic behind a reply in parts has as much again.
    pub outbox_bytes: usize,
    /// Publishes and reads of one session that are not answered. At the limit nothing more is read from it.
    pub publishes_in_flight: u32,
    /// Publications in one answer of history, and in one page of recovery. Who wants more asks again; recovery goes on by
    /// itself.
    pub page: u32,
    /// API calls that wait for an answer. At the limit a call is answered 503.
    pub calls: usize,
    /// Channels in one broadcast. More are error 107.
    pub broadcast: usize,
}

impl Default for SessionLimits {
    fn default() -> Self {
        Self {
            subscriptions: 128,
            outbox_bytes: 1 << 20,
            publishes_in_flight: 32,
            page: 300,
            calls: 16_384,
            broadcast: 1024,
        }
    }
}
