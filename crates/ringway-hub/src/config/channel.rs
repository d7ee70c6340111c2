//! How a kind of channel is kept, and who may do what in it.

use std::time::Duration;

use regex::Regex;
use ringway_core::message::{ChannelOptions, Durability};

/// How a kind of channel is kept, and which clients may do what in it. The server API may do everything. The default: no history, no
/// presence, and no client may do anything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChannelConfig {
    /// Most publications kept; 0: no history, delivered at most once.
    pub history_size: u32,
    /// How long a publication is kept.
    pub history_ttl: Duration,
    /// Most bytes of the publications kept, the newest one aside: the oldest go first. 0: no limit but the node's.
    pub history_bytes: usize,
    /// Where a publication is before it is acknowledged. The log needs history.
    pub durability: Durability,
    /// Subscribers get a position, and are told when one is skipped. Needs history.
    pub positioning: Offer,
    /// Subscribers get a position and come back to it without missing anything. Needs history.
    pub recovery: Offer,
    /// What they come back to.
    pub recovery_mode: RecoveryMode,
    /// Who is subscribed is kept and can be asked for.
    pub presence: bool,
    /// Subscribers may be told who comes and goes: those who ask for it and may read the presence.
    pub join_leave: bool,
    /// All of them are.
    pub force_push_join_leave: bool,
    /// Who may subscribe without a token for the channel. Being a subscriber does not count.
    pub subscribe: Access,
    /// Who may publish.
    pub publish: Access,
    /// Who may ask for the presence.
    pub read_presence: Access,
    /// Who may ask for the history.
    pub read_history: Access,
    /// The users that a name `…#ann,bob` lists may subscribe without a token for the channel.
    pub user_limited: bool,
    /// What the part of a name behind the namespace must match.
    pub names: Option<NamePattern>,
    /// A subscriber may ask for publications with some tags alone.
    pub tags_filter: bool,
    /// A subscriber may ask for differences between publications.
    pub allows_deltas: bool,
    /// Publications are told as differences to those who ask for them.
    pub delta_publish: bool,
}

/// Whether subscribers get something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Offer {
    /// None does, but who may read the history and asks for it.
    #[default]
    Never,
    /// Who asks for it does.
    IfAsked,
    /// All do.
    Always,
}

/// What a client that comes back is given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RecoveryMode {
    /// All that it has missed.
    #[default]
    Stream,
    /// The latest publication alone, if it has not seen that.
    Cache,
}

/// Which clients may do something in a channel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Access {
    /// All of them.
    pub client: bool,
    /// Those that are subscribed to the channel.
    pub subscriber: bool,
    /// Of these, those without a user name too.
    pub anonymous: bool,
}

impl Access {
    /// No client.
    pub const NOBODY: Self = Self { client: false, subscriber: false, anonymous: false };
    /// Clients with a user name.
    pub const NAMED: Self = Self { client: true, ..Self::NOBODY };
    /// Every client.
    pub const ANYONE: Self = Self { client: true, subscriber: false, anonymous: true };
    /// Every subscriber.
    pub const SUBSCRIBERS: Self = Self { client: false, subscriber: true, anonymous: true };

    /// Whether a client may: with a user name or not, subscribed or not.
    pub fn permits(self, is_named: bool, is_subscriber: bool) -> bool {
        (self.client || self.subscriber && is_subscriber) && (is_named || self.anonymous)
    }
}

/// A pattern for names.
#[derive(Debug, Clone)]
pub struct NamePattern(Regex);

impl NamePattern {
    /// Compiles it. A name matches if the pattern is found in it: `^` and `$` tie it to the ends.
    ///
    /// # Errors
    /// Why it is no pattern, for people.
    pub fn new(pattern: &str) -> Result<Self, String> {
        Regex::new(pattern).map(Self).map_err(|error| error.to_string())
    }

    fn is_match(&self, name: &str) -> bool {
        self.0.is_match(name)
    }
}

impl PartialEq for NamePattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for NamePattern {}

impl ChannelConfig {
    /// What the demo gives to channels without a namespace: 1,000 publications for 10 minutes, open to all.
    pub fn open() -> Self {
        Self {
            history_size: 1000,
            history_ttl: Duration::from_secs(600),
            recovery: Offer::Always,
            presence: true,
            subscribe: Access::ANYONE,
            publish: Access::SUBSCRIBERS,
            read_presence: Access::SUBSCRIBERS,
            read_history: Access::SUBSCRIBERS,
            user_limited: true,
            tags_filter: true,
            allows_deltas: true,
            delta_publish: true,
            ..Self::default()
        }
    }

    /// A personal channel: 1,000 publications for a day; only the user listens, only servers and plain clients write.
    pub fn inbox() -> Self {
        Self {
            history_size: 1000,
            history_ttl: Duration::from_secs(24 * 3600),
            recovery: Offer::Always,
            read_presence: Access::SUBSCRIBERS,
            read_history: Access::SUBSCRIBERS,
            ..Self::default()
        }
    }

    /// What the owner is told of such channels.
    pub fn options(&self) -> ChannelOptions {
        let Self { history_size, history_ttl, history_bytes, presence, durability, .. } = *self;
        ChannelOptions { history_size, history_ttl, presence, history_bytes: history_bytes as u64, durability }
    }

    /// The same, kept like this.
    pub(super) fn kept(&self, options: ChannelOptions) -> Self {
        let ChannelOptions { history_size, history_ttl, presence, history_bytes, durability } = options;
        let history_bytes = usize::try_from(history_bytes).unwrap_or(usize::MAX);
        Self { history_size, history_ttl, presence, history_bytes, durability, ..self.clone() }
    }

    /// A channel of this kind may have this name, of which the part behind the namespace counts.
    pub(crate) fn has_name(&self, name: &str) -> bool {
        let Some(pattern) = &self.names else { return true };
        let own = name.split_once(':').map_or(name, |(_, own)| own);
        pattern.is_match(own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_is_a_matter_of_name_and_subscription() {
        let of = |client, subscriber, anonymous| Access { client, subscriber, anonymous };
        // For whom: a stranger, an anonymous subscriber, a named client, a named subscriber.
        let table = [
            (of(false, false, false), [false; 4]),
            (of(false, false, true), [false; 4]),
            (of(true, false, false), [false, false, true, true]),
            (of(true, false, true), [true; 4]),
            (of(false, true, false), [false, false, false, true]),
            (of(false, true, true), [false, true, false, true]),
            (of(true, true, false), [false, false, true, true]),
        ];
        for (access, may) in table {
            let all = [(false, false), (false, true), (true, false), (true, true)];
            assert_eq!(all.map(|(named, subscribed)| access.permits(named, subscribed)), may, "{access:?}");
        }
    }

    #[test]
    fn a_pattern_is_for_what_stands_behind_the_namespace() {
        let names = NamePattern::new("^[0-9]+$").ok();
        let config = ChannelConfig { names, ..ChannelConfig::open() };
        for (name, fits) in
            [("12", true), ("room:12", true), ("$room:12", true), ("room:a", false), ("room:1:2", false)]
        {
            assert_eq!(config.has_name(name), fits, "{name}");
        }
        assert!(NamePattern::new("(").is_err());
        assert!(ChannelConfig::open().has_name("anything"));
    }
}
