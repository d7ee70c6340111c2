//! The loads, by name.

use clap::ValueEnum;
use serde::Serialize;

/// One kind of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Load {
    /// 5,000 connections to the clients' port that say nothing; who is closed comes again
    IdleTcp,
    /// `max_http` requests whose body comes a byte a second
    SlowBodies,
    /// `max_http` connections that ask for pages and do not read them
    UnreadAnswers,
    /// 600 connections to the link port that stop in the middle of the handshake; who is closed comes again
    HalfOpenLinks,
    /// Eight clients that subscribe and unsubscribe names that are always new, to the limit of the nodes and beyond
    FreshNames,
    /// Eight clients that subscribe and unsubscribe one channel as fast as they are let
    OneChannel,
    /// Wrong admin tokens, up to 4,000 a second
    AdminTokens,
    /// Wrong connection tokens, up to 1,000 a second
    ClientTokens,
    /// Wrong join secrets, up to 1,000 a second
    JoinSecrets,
    /// 60,000 bytes to 20 readers, 30 times a second
    Storm,
    /// Clients that come back and have missed 3 MB, eight a second
    Recoveries,
    /// Three clients that ask for a history of 60 MB over and over
    Histories,
    /// One client that publishes to one channel as fast as it is let
    OnePublisher,
}

impl Load {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::IdleTcp,
        Self::SlowBodies,
        Self::UnreadAnswers,
        Self::HalfOpenLinks,
        Self::FreshNames,
        Self::OneChannel,
        Self::AdminTokens,
        Self::ClientTokens,
        Self::JoinSecrets,
        Self::Storm,
        Self::Recoveries,
        Self::Histories,
        Self::OnePublisher,
    ];

    /// As on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::IdleTcp => "idle-tcp",
            Self::SlowBodies => "slow-bodies",
            Self::UnreadAnswers => "unread-answers",
            Self::HalfOpenLinks => "half-open-links",
            Self::FreshNames => "fresh-names",
            Self::OneChannel => "one-channel",
            Self::AdminTokens => "admin-tokens",
            Self::ClientTokens => "client-tokens",
            Self::JoinSecrets => "join-secrets",
            Self::Storm => "storm",
            Self::Recoveries => "recoveries",
            Self::Histories => "histories",
            Self::OnePublisher => "one-publisher",
        }
    }

    /// What is counted of it.
    pub(super) fn unit(self) -> &'static str {
        match self {
            Self::IdleTcp | Self::SlowBodies | Self::UnreadAnswers | Self::HalfOpenLinks => "connects",
            Self::FreshNames | Self::OneChannel => "commands",
            Self::AdminTokens | Self::ClientTokens | Self::JoinSecrets => "tries",
            Self::Storm | Self::OnePublisher => "publishes",
            Self::Recoveries => "recoveries",
            Self::Histories => "answers",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_load_has_the_name_that_it_is_asked_for_by() {
        assert_eq!(Load::value_variants(), Load::ALL);
        for load in Load::ALL {
            let named = load.to_possible_value().expect("none is hidden");
            assert_eq!(named.get_name(), load.name());
            assert_eq!(serde_json::to_value(load).expect("a text"), load.name());
        }
    }
}
