//! What a client asks for and may be much (history, presence, what it has missed) is worked off one at a time, and only
//! while its socket has room: what is asked for at once waits here as a few words, not in the socket's queue as an answer.
//!
//! ```text
//!   waiting ──room──▶ asked ──answer──▶ sent, and the next one waits for room
//!      └──no room: the socket says when, or the next tick looks where all sockets together hold too much
//! ```
//! Its length is bounded by what one message may hold: while more than a few reads are unanswered, the client is not read
//! from. What a newcomer has missed is one entry for each of its channels.

use std::collections::VecDeque;

use bytes::Bytes;
use ringway_core::gateway::ChannelKey;
use ringway_core::message::{Entry, HistoryQuery, Presence, PresenceQuery, Query};
use ringway_core::{ChannelName, Position};

use super::gathered::Gathered;

/// What one session has asked for.
#[derive(Debug, Default)]
pub(super) struct Feed {
    pub(super) jobs: VecDeque<Job>,
    /// An owner is asked, and has not answered.
    pub(super) is_asked: bool,
    /// In one of the hub's lists of sessions to look at.
    pub(super) is_listed: bool,
    /// The command that is being answered page by page.
    pub(super) reading: Option<Reading>,
    /// Frames that wait behind a reply in parts, shared with those who were sent them.
    held: VecDeque<Bytes>,
    held_bytes: usize,
}

/// One thing that may be much.
#[derive(Debug)]
pub(super) enum Job {
    /// The next page for a session that recovers in this channel.
    Page(ChannelKey),
    /// A history command.
    History { id: u32, query: Box<HistoryQuery> },
    /// The next page for the command that is being answered.
    Rest,
    /// A presence command.
    Presence { id: u32, query: Box<PresenceQuery> },
    /// A `presence_stats` command.
    PresenceStats { id: u32, channel: ChannelName },
}

/// A command on the way to its answer, which may have many pages.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) id: u32,
    pub(super) wanted: Wanted,
    /// Times in a row that the owner did not answer.
    pub(super) tries: u8,
}

/// What is read, by the next page of it. `gathered`: what was read before, for an answer that goes out whole and has several pages.
#[derive(Debug)]
pub(super) enum Wanted {
    /// The query's limit is what is still wanted. `top`: the stream when the first page was read; `None` before.
    History { query: Box<HistoryQuery>, top: Option<Position>, gathered: Option<Box<Gathered<(u64, Entry)>>> },
    /// From the first client before the first page is read, and then behind the last one that was.
    Presence { query: Box<PresenceQuery>, gathered: Option<Box<Gathered<Presence>>> },
}

impl Reading {
    /// The first part of the reply is sent.
    pub(super) fn has_begun(&self) -> bool {
        match &self.wanted {
            Wanted::History { top, gathered, .. } => top.is_some() && gathered.is_none(),
            Wanted::Presence { query, gathered } => query.after.is_some() && gathered.is_none(),
        }
    }

    pub(super) fn query(&self) -> Query {
        match &self.wanted {
            Wanted::History { query, .. } => Query::History(query.clone()),
            Wanted::Presence { query, .. } => Query::Presence(query.clone()),
        }
    }
}

impl Feed {
    /// The first part of a reply is sent, and not the last.
    pub(super) fn is_replying(&self) -> bool {
        self.reading.as_ref().is_some_and(Reading::has_begun)
    }

    pub(super) fn is_done(&self) -> bool {
        self.jobs.is_empty() && !self.is_asked && self.reading.is_none()
    }

    /// Holds a frame back behind a reply in parts. True if as much is held as may be, and nobody was told yet.
    pub(super) fn hold(&mut self, frame: Bytes, limit: usize) -> bool {
        self.held_bytes += frame.len();
        self.held.push_back(frame);
        self.held_bytes > limit && !std::mem::replace(&mut self.is_listed, true)
    }

    pub(super) fn holds_more_than(&self, limit: usize) -> bool {
        self.held_bytes > limit
    }

    /// Takes out what was held back.
    pub(super) fn release(&mut self) -> VecDeque<Bytes> {
        self.held_bytes = 0;
        std::mem::take(&mut self.held)
    }
}
