//! Who listens to a channel here.
//!
//! ```text
//!                    attached, no recovery wanted, or recovered up to the position
//!   newcomer ─────────────────────────────────────────────────────────────────────▶ listener
//!       ├──── recovered beyond the gateway's position ────▶ ahead ──── position reaches it ──▲
//!       └──── there was more than one page ───▶ behind ──── the last page ─────────┴─────────┘
//! ```
//! A newcomer waits for the owner's first answer or for a page of history. Whoever is behind is told page after page, as
//! its socket takes them, and no deliveries. Whoever is ahead was told publications that the gateway has not been delivered
//! yet, and must not be told them again.
//!
//! An inbox has something that nobody has confirmed, where a session was written it a moment ago, or has fallen silent: a newcomer gets
//! that first, page by page as well, so that every session of an inbox has all that is not confirmed, and the pong of any one that listens is
//! enough.

use ringway_core::Position;
use ringway_core::gateway::ChannelKey;
use ringway_core::id::StreamEpoch;
use smallvec::SmallVec;

use super::command::Command;
use super::keys::SessionKey;
use super::special::Specials;
use super::wish::Wish;

/// Pages that a newcomer asks for before it gives up with a temporary error. One is the rule; another is needed only
/// where the channel changed its owner between the page and the position.
pub(super) const PAGES: u8 = 8;

/// Commands that wait for one newcomer. SDKs wait for an answer after one or two; a client with more is closed with 3013.
pub(super) const HELD_FOR_NEWCOMER: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Channel {
    /// They get every delivery. In no order, so that leaving costs nothing.
    pub(super) listeners: SmallVec<[SessionKey; 2]>,
    /// Sessions that are not listeners yet; mostly there are none.
    pub(super) transit: Option<Box<Transit>>,
    /// What the owner has not been told since the last attach.
    pub(super) changes: Option<Box<Changes>>,
    /// Up to where the listeners were told; `None` before the first answer and without history. The rules may be
    /// further: this follows the events.
    pub(super) position: Option<Position>,
    /// Top of the stream at the first attach: whatever is below it has waited in an inbox.
    pub(super) attach_top: u64,
    /// The owner has answered.
    pub(super) is_attached: bool,
    /// Attached in this turn: the frame that goes out says everything.
    pub(super) is_fresh: bool,
    /// What is special about some of its sessions.
    pub(super) specials: Specials,
    /// In the hub's list of channels to look at when the turn ends.
    pub(super) is_listed: bool,
}

#[derive(Debug, Default)]
pub(super) struct Transit {
    pub(super) newcomers: Vec<Newcomer>,
    pub(super) ahead: Vec<Ahead>,
    pub(super) behind: Vec<Behind>,
    /// They are handed nothing more, and have a pong to send before they go.
    pub(super) parting: Vec<SessionKey>,
    /// They begin with the answer to their connect, which waits for other channels.
    pub(super) ready: Vec<SessionKey>,
}

#[derive(Debug)]
pub(super) struct Newcomer {
    pub(super) session: SessionKey,
    pub(super) wish: Wish,
    /// Token of the page that was asked for; `None` before the first answer to the attach.
    pub(super) page: Option<u64>,
    pub(super) pages: u8,
    /// Of an inbox: what follows this was written to another session, and nobody has confirmed it.
    pub(super) unread: Option<Position>,
    /// What its client asks of the channel and is to be done when it is in.
    pub(super) held: Vec<Command>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Ahead {
    pub(super) session: SessionKey,
    /// Up to here it was told.
    pub(super) after: u64,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Behind {
    pub(super) session: SessionKey,
    /// Up to here it was told.
    pub(super) told: u64,
    /// Token of the page that was asked for.
    pub(super) page: Option<u64>,
    /// Pages in a row that brought nothing.
    pub(super) tries: u8,
    /// It is told what nobody has confirmed of an inbox: what is not there any more, it does not miss.
    pub(super) unread: bool,
}

impl Transit {
    /// Takes out those who have been told something.
    pub(super) fn take_told(&mut self) -> (Vec<Ahead>, Vec<Behind>) {
        (std::mem::take(&mut self.ahead), std::mem::take(&mut self.behind))
    }

    fn len(&self) -> usize {
        self.newcomers.len() + self.ahead.len() + self.behind.len() + self.parting.len() + self.ready.len()
    }
}

#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Who came, or is to be seen anew. They are described when their owner is told: by then some may have left.
    pub(super) joined: Vec<SessionKey>,
    /// Who left. Whoever is among both left before it came.
    pub(super) left: Vec<u128>,
}

impl Channel {
    /// Sessions in any part.
    pub(super) fn sessions(&self) -> usize {
        self.listeners.len() + self.transit.as_ref().map_or(0, |transit| transit.len())
    }

    /// The stream that offsets here count in.
    pub(super) fn epoch(&self) -> Option<StreamEpoch> {
        self.position.map(|position| position.epoch)
    }

    /// Keys of all sessions, in any part.
    pub(super) fn keys(&self) -> impl Iterator<Item = SessionKey> + '_ {
        let newcomers = self.transit.iter().flat_map(|transit| transit.newcomers.iter().map(|one| one.session));
        let ahead = self.transit.iter().flat_map(|transit| transit.ahead.iter().map(|one| one.session));
        let behind = self.transit.iter().flat_map(|transit| transit.behind.iter().map(|one| one.session));
        let parting = self.transit.iter().flat_map(|transit| transit.parting.iter().copied());
        let ready = self.transit.iter().flat_map(|transit| transit.ready.iter().copied());
        self.listeners.iter().copied().chain(newcomers).chain(ahead).chain(behind).chain(parting).chain(ready)
    }

    pub(super) fn transit_mut(&mut self) -> &mut Transit {
        self.transit.get_or_insert_default()
    }

    /// Takes out the newcomer that asked for this page.
    pub(super) fn take_asking(&mut self, token: u64) -> Option<Newcomer> {
        let newcomers = &mut self.transit.as_mut()?.newcomers;
        let index = newcomers.iter().position(|newcomer| newcomer.page == Some(token))?;
        Some(newcomers.swap_remove(index))
    }

    /// Takes out the session that is behind and asked for this page.
    pub(super) fn take_behind(&mut self, token: u64) -> Option<Behind> {
        let behind = &mut self.transit.as_mut()?.behind;
        let index = behind.iter().position(|one| one.page == Some(token))?;
        Some(behind.swap_remove(index))
    }

    /// Gives memory back when nobody is on the way.
    pub(super) fn tidy(&mut self) {
        if self.transit.as_ref().is_some_and(|transit| transit.len() == 0) {
            self.transit = None;
        }
    }
}

/// Channels by their key.
#[derive(Debug, Default)]
pub(super) struct Channels {
    by_key: Vec<Option<Channel>>,
}

impl Channels {
    pub(super) fn insert(&mut self, key: ChannelKey, channel: Channel) {
        let index = key.0 as usize;
        if self.by_key.len() <= index {
            self.by_key.resize_with(index + 1, || None);
        }
        self.by_key[index] = Some(channel);
    }

    pub(super) fn remove(&mut self, key: ChannelKey) {
        if let Some(place) = self.by_key.get_mut(key.0 as usize) {
            *place = None;
        }
    }

    pub(super) fn get(&self, key: ChannelKey) -> Option<&Channel> {
        self.by_key.get(key.0 as usize)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, key: ChannelKey) -> Option<&mut Channel> {
        self.by_key.get_mut(key.0 as usize)?.as_mut()
    }
}
