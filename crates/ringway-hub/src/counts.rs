//! What a hub counts, for metrics.

/// Numbers of one hub; all but the first three only grow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Sessions now, of both protocols.
    pub sessions: u64,
    /// Channels attached now.
    pub channels: u64,
    /// Parts of sessions in channels now, personal ones included.
    pub subscriptions: u64,
    /// Publications handed to sessions.
    pub deliveries: u64,
    /// Publishes taken from clients and backends.
    pub publishes: u64,
    /// Publishes that were refused or not acknowledged.
    pub publishes_failed: u64,
    /// Sessions that recovered everything they had missed.
    pub recovered: u64,
    /// Sessions that asked to recover and could not.
    pub not_recovered: u64,
    /// Sessions closed by the hub, for whatever reason.
    pub closed: u64,
    /// Of these, for an order to connect anew after a change of owners.
    pub reset: u64,
    /// The same for orders that meant everybody.
    pub reset_all: u64,
    /// Of the closed ones, for an owner that this gateway could not reach for long.
    pub sent_away: u64,
    /// Clients that were not let in.
    pub refused: Refused,
    /// Kinds of channels that the cluster keeps otherwise than this gateway's config says.
    pub overruled: u64,
}

impl Counts {
    /// Those of two hubs together.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self {
            sessions: self.sessions + other.sessions,
            channels: self.channels + other.channels,
            subscriptions: self.subscriptions + other.subscriptions,
            deliveries: self.deliveries + other.deliveries,
            publishes: self.publishes + other.publishes,
            publishes_failed: self.publishes_failed + other.publishes_failed,
            recovered: self.recovered + other.recovered,
            not_recovered: self.not_recovered + other.not_recovered,
            closed: self.closed + other.closed,
            reset: self.reset + other.reset,
            reset_all: self.reset_all + other.reset_all,
            sent_away: self.sent_away + other.sent_away,
            // The gateways of a process have one file, so what differs is the same for all.
            overruled: self.overruled.max(other.overruled),
            refused: self.refused.and(&other.refused),
        }
    }

    /// Sessions that were asked to connect anew, for whatever reason.
    pub fn asked_anew(&self) -> u64 {
        self.reset + self.reset_all + self.sent_away
    }
}

/// Clients that were not let in by a hub, by the reason; all only grow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Refused {
    /// Their token had expired, ...
    pub expired: u64,
    /// ... or was invalid, ...
    pub invalid: u64,
    /// ... or could not be told from either, for its key was not known yet, ...
    pub unknown: u64,
    /// ... or they brought none, where one is needed.
    pub without_token: u64,
    /// They wanted a channel for which its owner had no room: subscribes as well as connects.
    pub full: u64,
    /// They did not say in time who they are.
    pub silent: u64,
    /// The owner of their inbox did not answer in time.
    pub unanswered: u64,
    /// Good tokens that were made for another user, channel or connection, ...
    pub other_bearer: u64,
    /// ... or for a subscription that is over.
    pub over: u64,
}

impl Refused {
    fn and(&self, other: &Self) -> Self {
        Self {
            expired: self.expired + other.expired,
            invalid: self.invalid + other.invalid,
            unknown: self.unknown + other.unknown,
            without_token: self.without_token + other.without_token,
            full: self.full + other.full,
            silent: self.silent + other.silent,
            unanswered: self.unanswered + other.unanswered,
            other_bearer: self.other_bearer + other.other_bearer,
            over: self.over + other.over,
        }
    }
}
