//! What clients are told without asking.

use super::reply::Expiry;
use super::{ClientInfo, Publication};

/// Something that happened, mostly in a channel.
#[derive(Debug, Clone)]
pub enum Push<'a> {
    /// A publication. The same bytes go to all subscribers of the channel.
    Publication {
        /// The channel's full name.
        channel: &'a str,
        /// What was published.
        publication: &'a Publication<'a>,
    },
    /// Somebody subscribed.
    Join {
        /// The channel's full name.
        channel: &'a str,
        /// Who.
        info: ClientInfo<'a>,
    },
    /// Somebody's subscription ended.
    Leave {
        /// The channel's full name.
        channel: &'a str,
        /// Who.
        info: ClientInfo<'a>,
    },
    /// The server ended the client's subscription; see [`super::Unsubscribed`] for the codes.
    Unsubscribe {
        /// The channel's full name.
        channel: &'a str,
        /// Below 2500 the client leaves it at that, else it subscribes again.
        code: u16,
        /// The text that goes with the code.
        reason: &'a str,
    },
    /// The server subscribed the client.
    Subscribe {
        /// The channel's full name.
        channel: &'a str,
        /// The new subscription.
        subscription: SubscribePush<'a>,
    },
    /// A payload from the application, of no channel.
    Message(&'a [u8]),
    /// The connection's new expiry.
    Refresh(Expiry),
    /// The connection ends. On WebSocket the close frame says so instead.
    Disconnect {
        /// See [`super::Disconnect`].
        code: u16,
        /// The text that goes with the code.
        reason: &'a str,
    },
}

/// A subscription that the server added while the client was connected.
#[derive(Debug, Clone, Copy, Default)]
pub struct SubscribePush<'a> {
    /// Whether the position can be recovered from.
    pub recoverable: bool,
    /// The stream's epoch; empty on channels without history.
    pub epoch: &'a str,
    /// The stream's top.
    pub offset: u64,
    /// Whether the server watches that no publication is skipped.
    pub positioned: bool,
    /// A payload of the application; empty for none.
    pub data: &'a [u8],
}
