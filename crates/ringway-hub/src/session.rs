//! One client connection, as the hub knows it. There may be very many of them, so what few need is in boxes.

use std::sync::Arc;

use bytes::Bytes;
use ringway_core::UserName;
use ringway_core::gateway::ChannelKey;
use ringway_core::timing::Now;
use ringway_protocol::centrifuge::Disconnect;
use ringway_protocol::dialect::Dialect;
use smallvec::SmallVec;
use uuid::Uuid;

use super::backlog::Backlog;
use super::command::Command;
use super::feed::Feed;
use super::input::Ticket;
use super::keys::{ProbeKey, SessionId, SessionKey};
use super::ready::Ready;
use super::wheel::Tick;

/// Most commands that wait for the reply to a connect. SDKs send their connect and every subscribe in one frame, of at
/// most 1,024 commands; a client that sends more than two such frames without waiting is closed with 3013.
pub(super) const HELD_COMMANDS: usize = 2048;

#[derive(Debug)]
pub(super) struct Session<S> {
    pub(super) socket: S,
    pub(super) ticket: Arc<Ticket>,
    /// How it is spoken to.
    pub(super) dialect: Dialect,
    pub(super) client: Uuid,
    pub(super) user: Option<UserName>,
    /// JSON about the user, from the token.
    pub(super) info: Option<Box<Bytes>>,
    pub(super) subs: SmallVec<[Sub; 1]>,
    pub(super) serial: u32,
    /// When the wheel is to bring this session up.
    pub(super) due: Tick,
    /// When the wheel is to end it for its credentials.
    pub(super) expires: Tick,
    pub(super) state: State,
    /// What waited for the user and does not fit into the socket's queue yet.
    pub(super) backlog: Option<Box<Backlog>>,
    /// What it has asked for, while that waits for the socket.
    pub(super) feed: Option<Box<Feed>>,
    /// Its credentials have ended while it was not read from.
    pub(super) is_late: bool,
    /// Its probe, if it has one.
    pub(super) probe: ProbeKey,
    /// Its socket has frames that are not flushed.
    pub(super) dirty: bool,
    /// Something of its inbox is among them, or was, and no ping has followed yet.
    pub(super) unproven: bool,
}

#[derive(Debug)]
pub(super) enum State {
    /// A Centrifuge client that has not asked for a session, and what its requests will name it by, if it sends such.
    Silent(Option<Box<u128>>),
    /// Its token had expired: it may only go.
    Refused,
    /// A connect is being carried out.
    Connecting(Box<Connecting>),
    /// A Centrifuge session.
    Centrifuge(Heartbeat),
    /// A Centrifuge session whose client has sent what cannot be read: what it asked for before is answered, then it is closed.
    Broken(Disconnect),
    /// A plain client that was not greeted yet, and what it must be told then.
    #[allow(clippy::redundant_allocation, reason = "one word here instead of two, for every session")]
    Ungreeted { problem: Option<Box<&'static str>> },
    /// A plain session.
    Plain,
    /// A plain session that is asked to connect elsewhere as soon as its inbox is safe: first it confirms what it was written, then
    /// it is in no channel any more.
    Parting(Disconnect),
    /// Closed by us; its connection has not ended yet.
    Gone,
}

/// Where a Centrifuge session is between two pings.
///
/// ```text
///   Quiet ──ping──▶ Pinged ──pong──▶ Ponged ──timeout──▶ Quiet
///                     └────timeout────▶ closed with 3012
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heartbeat {
    /// No ping is unanswered.
    Quiet,
    /// The pong is awaited.
    Pinged,
    /// The pong came before its timeout.
    Ponged,
}

#[derive(Debug)]
pub(super) struct Connecting {
    /// Id of the connect command.
    pub(super) id: u32,
    /// Time until the credentials run out.
    pub(super) lifetime: Option<Now>,
    /// What the client's requests name the session by, if it sends such.
    pub(super) name: Option<Box<u128>>,
    /// What the client sent after its connect.
    pub(super) held: Vec<Command>,
    /// Subscriptions that the server makes for it and that have not begun.
    pub(super) awaited: usize,
    /// Those that may begin: with the answer to the connect, all at once.
    pub(super) ready: Vec<Ready>,
}

/// A session's part in a channel.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sub {
    pub(super) channel: ChannelKey,
    /// Place among the channel's listeners; [`Sub::ON_THE_WAY`] before it is one.
    pub(super) place: u32,
    pub(super) maker: Maker,
    /// A token says something of it, or when it ends.
    pub(super) is_granted: bool,
    /// Its client was promised that it would be told if it missed something.
    pub(super) is_positioned: bool,
}

/// Who has made a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Maker {
    /// The client asked for it.
    Client,
    /// The server did, on somebody's word: of a token, or of a backend.
    Server,
    /// The server did, because it is the session's own inbox.
    Inbox,
}

impl Sub {
    pub(super) const ON_THE_WAY: u32 = u32::MAX;
}

impl<S> Session<S> {
    pub(super) fn id(&self, key: SessionKey) -> SessionId {
        SessionId { key, serial: self.serial }
    }

    pub(super) fn sub(&self, channel: ChannelKey) -> Option<Sub> {
        self.subs.iter().find(|sub| sub.channel == channel).copied()
    }

    pub(super) fn sub_mut(&mut self, channel: ChannelKey) -> Option<&mut Sub> {
        self.subs.iter_mut().find(|sub| sub.channel == channel)
    }

    /// The user's own channel, which the server has taken it into.
    pub(super) fn inbox(&self) -> Option<ChannelKey> {
        self.subs.iter().find(|sub| sub.maker == Maker::Inbox).map(|sub| sub.channel)
    }

    /// It was let in, and is not closed.
    pub(super) fn is_online(&self) -> bool {
        matches!(self.state, State::Centrifuge(_) | State::Broken(_) | State::Plain | State::Parting(_))
    }

    pub(super) fn is_plain(&self) -> bool {
        matches!(self.state, State::Plain | State::Ungreeted { .. } | State::Parting(_))
    }

    pub(super) fn is_gone(&self) -> bool {
        matches!(self.state, State::Gone)
    }

    /// Nobody has asked it to go.
    pub(super) fn stays(&self) -> bool {
        !matches!(self.state, State::Gone | State::Parting(_))
    }

    pub(super) fn user_name(&self) -> &str {
        self.user.as_ref().map_or("", UserName::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A socket is one pointer.
    type Handle = Box<()>;

    #[test]
    fn an_idle_session_is_small() {
        // There may be hundreds of thousands: what few sessions need belongs into a box.
        assert!(size_of::<Session<Handle>>() <= 144, "{}", size_of::<Session<Handle>>());
        assert!(size_of::<super::super::channel::Channel>() <= 88, "{}", size_of::<super::super::channel::Channel>());
        assert!(size_of::<Ticket>() <= 16);
    }
}
