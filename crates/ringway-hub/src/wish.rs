//! Why a session joins a channel, and on what terms.

use bytes::Bytes;

use super::auth::{Grant, Overrides};
use super::command::Seen;
use super::config::{ChannelConfig, Offer, RecoveryMode};
use super::session::Maker;
use super::special::Special;

/// What it was that wanted it: how it is told.
#[derive(Debug)]
pub(super) enum Wish {
    /// A subscribe command.
    Subscribe { id: u32, rejects_unrecovered: bool, joining: Joining },
    /// The server, for a Centrifuge session that connects; told with the reply to its connect.
    Connect { maker: Maker, joining: Joining },
    /// The server, while the session is connected; told by itself.
    Order(Joining),
    /// The inbox of a plain session; told with its greeting.
    Greeting,
}

/// From where on a session joins, and what it gets.
#[derive(Debug, Default)]
pub(super) struct Joining {
    /// Where it was before.
    pub(super) recover: Option<Seen>,
    pub(super) terms: Terms,
    pub(super) special: Special,
    /// What a token or a backend says of it.
    pub(super) grant: Option<Box<Grant>>,
}

/// What a subscriber gets beside the publications.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Terms {
    /// It is told if it misses something.
    pub(super) positioned: bool,
    /// It may come back to where it was.
    pub(super) recoverable: bool,
    /// And is then given the latest publication alone.
    pub(super) is_cache: bool,
}

/// What a client asks for beside the publications.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extras {
    /// To be told if it misses something.
    pub positioned: bool,
    /// To be able to come back to where it was.
    pub recoverable: bool,
    /// To be told who comes and goes.
    pub join_leave: bool,
    /// To be told of publications what is other in them than in the one before.
    pub deltas: bool,
}

impl Terms {
    /// For somebody who asks for these extras, and may read the history or not.
    fn of(config: &ChannelConfig, asked: Extras, may_read: bool, overrides: Overrides) -> Self {
        let gets = |offer: Offer, asked: bool, forced: Option<bool>| match (forced, offer) {
            (Some(true), _) | (None, Offer::Always) => true,
            (_, Offer::IfAsked) => asked,
            _ => asked && may_read,
        };
        let has_history = config.options().has_history();
        let recoverable = has_history && gets(config.recovery, asked.recoverable, overrides.force_recovery);
        let is_positioned = || gets(config.positioning, asked.positioned, overrides.force_positioning);
        let positioned = recoverable || has_history && is_positioned();
        Self { positioned, recoverable, is_cache: config.recovery_mode == RecoveryMode::Cache }
    }
}

impl Joining {
    /// For a client that asks for these extras.
    pub(super) fn asked(config: &ChannelConfig, asked: Extras, readers: Readers, grant: Option<Box<Grant>>) -> Self {
        let overrides = grant.as_ref().map(|grant| grant.overrides).unwrap_or_default();
        Self {
            recover: None,
            terms: Terms::of(config, asked, readers.of_history, overrides),
            special: Special::of(config, asked, readers.of_presence, overrides),
            grant,
        }
    }

    /// For whom the server subscribes: it asks for nothing.
    pub(super) fn made(config: &ChannelConfig, grant: Option<Box<Grant>>) -> Self {
        Self::asked(config, Extras::default(), Readers::default(), grant)
    }
}

/// What a subscriber may read of its channel.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Readers {
    pub(super) of_history: bool,
    pub(super) of_presence: bool,
}

impl Wish {
    fn joining(&self) -> Option<&Joining> {
        match self {
            Self::Subscribe { joining, .. } | Self::Connect { joining, .. } | Self::Order(joining) => Some(joining),
            Self::Greeting => None,
        }
    }

    pub(super) fn recover(&self) -> Option<&Seen> {
        self.joining().and_then(|joining| joining.recover.as_ref())
    }

    pub(super) fn grant(&self) -> Option<&Grant> {
        self.joining().and_then(|joining| joining.grant.as_deref())
    }

    /// What the subscriber is given by whoever let it in.
    pub(super) fn data(&self) -> Option<&Bytes> {
        self.grant().and_then(|grant| grant.data.as_ref())
    }

    pub(super) fn terms(&self) -> Terms {
        self.joining().map(|joining| joining.terms).unwrap_or_default()
    }

    /// What is special about the subscriber, for the channel to know.
    pub(super) fn take_special(&mut self) -> Special {
        match self {
            Self::Subscribe { joining, .. } | Self::Connect { joining, .. } | Self::Order(joining) => {
                std::mem::take(&mut joining.special)
            }
            Self::Greeting => Special::default(),
        }
    }

    pub(super) fn maker(&self) -> Maker {
        match self {
            Self::Subscribe { .. } => Maker::Client,
            Self::Connect { maker, .. } => *maker,
            Self::Order(_) => Maker::Server,
            Self::Greeting => Maker::Inbox,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_subscriber_gets_is_what_its_channel_offers() {
        let terms = |positioned, recoverable| Terms { positioned, recoverable, is_cache: false };
        let asked = |positioned, recoverable| Extras { positioned, recoverable, ..Extras::default() };
        let of = |positioning, recovery, extras, may_read| {
            let config = ChannelConfig { positioning, recovery, ..ChannelConfig::open() };
            Terms::of(&config, extras, may_read, Overrides::default())
        };
        let (all, none) = (asked(true, true), asked(false, false));
        assert_eq!(of(Offer::Always, Offer::Never, none, false), terms(true, false));
        assert_eq!(of(Offer::Never, Offer::Always, none, false), terms(true, true));
        assert_eq!(of(Offer::IfAsked, Offer::IfAsked, none, true), terms(false, false));
        assert_eq!(of(Offer::IfAsked, Offer::IfAsked, all, false), terms(true, true));
        assert_eq!(of(Offer::IfAsked, Offer::Never, all, false), terms(true, false));
        assert_eq!(of(Offer::Never, Offer::Never, all, false), terms(false, false));
        assert_eq!(of(Offer::Never, Offer::Never, all, true), terms(true, true));
        assert_eq!(of(Offer::Never, Offer::Never, asked(true, false), true), terms(true, false));
        let overridden = |force_positioning, force_recovery| {
            let config = ChannelConfig { recovery: Offer::Always, ..ChannelConfig::open() };
            let overrides = Overrides { force_positioning, force_recovery, ..Overrides::default() };
            Terms::of(&config, none, false, overrides)
        };
        assert_eq!(overridden(None, Some(false)), terms(false, false));
        assert_eq!(overridden(Some(true), Some(false)), terms(true, false));
        let unkept = ChannelConfig { history_size: 0, ..ChannelConfig::open() };
        assert_eq!(Terms::of(&unkept, all, true, Overrides::default()), terms(false, false));
    }
}
