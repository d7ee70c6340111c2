//! What can be amiss, and how bad it is.

use std::time::Duration;

use ringway_core::Incarnation;

use super::{GRACE, Status};

/// One thing that is amiss, of one node where it concerns one. In the order in which they are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cause {
    /// The member task does not turn: nothing that is known here is new.
    Hanging,
    /// This member is not in the view.
    Outside,
    /// This member is on its way out.
    Leaving,
    /// Slots without an owner that this process reaches: followed one by one.
    NoOwner,
    /// The registry does not answer this process.
    RegistryAway,
    /// The bus for orders is away.
    BusAway,
    /// Members that this one cannot dial, or that cannot dial it.
    Undialed,
    /// The census is away, or wants what cannot be.
    Census,
    /// Keys that issuers of tokens publish cannot be fetched.
    TokenKeys,
    /// Slots that an owner has not taken over yet.
    NotLive(Incarnation),
    /// Slots in which an owner acknowledges nothing.
    Blocked(Incarnation),
    /// A node refuses publishes with history.
    HistoryFull(Incarnation),
    /// Slots that an owner keeps alone.
    Alone(Incarnation),
    /// A node will soon refuse publishes with history.
    HistoryNearlyFull(Incarnation),
    /// A node refuses new channels.
    ChannelsFull(Incarnation),
    /// A node refuses new idempotency keys.
    KeysFull(Incarnation),
    /// The log does not answer a node.
    LogAway(Incarnation),
    /// The log takes nothing from a node.
    LogFull(Incarnation),
    /// A node has found another cluster's records in the log.
    LogForeign(Incarnation),
    /// A member asks what is outside the cluster through another one.
    Relayed(Incarnation),
}

impl Cause {
    pub(super) fn status(self) -> Status {
        match self {
            Self::Hanging
            | Self::Outside
            | Self::Leaving
            | Self::NoOwner
            | Self::NotLive(_)
            | Self::Blocked(_)
            | Self::HistoryFull(_) => Status::Failing,
            Self::RegistryAway
            | Self::BusAway
            | Self::Undialed
            | Self::Census
            | Self::TokenKeys
            | Self::Alone(_)
            | Self::HistoryNearlyFull(_)
            | Self::ChannelsFull(_)
            | Self::KeysFull(_)
            | Self::LogAway(_)
            | Self::LogFull(_)
            | Self::LogForeign(_)
            | Self::Relayed(_) => Status::Degraded,
        }
    }

    /// How long it must last before it counts. Whoever leaves means to, and the registry was silent before it was away.
    pub(super) fn grace(self) -> Duration {
        match self {
            Self::Leaving => Duration::ZERO,
            Self::RegistryAway => GRACE / 3,
            _ => GRACE,
        }
    }

    /// The member that it is of.
    pub(super) fn node(self) -> Option<Incarnation> {
        match self {
            Self::Hanging
            | Self::Outside
            | Self::Leaving
            | Self::NoOwner
            | Self::RegistryAway
            | Self::BusAway
            | Self::Undialed
            | Self::Census
            | Self::TokenKeys => None,
            Self::NotLive(node)
            | Self::Blocked(node)
            | Self::HistoryFull(node)
            | Self::Alone(node)
            | Self::HistoryNearlyFull(node)
            | Self::ChannelsFull(node)
            | Self::KeysFull(node)
            | Self::LogAway(node)
            | Self::LogFull(node)
            | Self::LogForeign(node)
            | Self::Relayed(node) => Some(node),
        }
    }
}
