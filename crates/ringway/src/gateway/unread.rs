//! A session comes to an inbox of which not everything is confirmed: something was written to another session, which may be of a device
//! that is not there any more. It is asked of the owner, page by page, and handed to the newcomer first.
//!
//! So every session of an inbox has all that is not confirmed, and the pong of any one confirms it for all.

use ringway_core::Position;
use ringway_core::gateway::{ChannelKey, QueryError};
use ringway_core::message::{Answer, Entry, HistoryPage};
use ringway_core::timing::Now;
use ringway_protocol::centrifuge::ErrorCode;

use super::channel::Newcomer;
use super::join::Start;
use super::waiting::query_fault;
use super::{Hub, Socket};

/// Pages that a newcomer asks for of what nobody has confirmed: 19,200 publications of an inbox at the default size of a page, which
/// keeps 1,000. One that would need more is closed and comes again: by then the silent device is closed too.
const UNREAD_PAGES: u8 = 64;

/// Publications of an inbox that were written to another session and that nobody has confirmed.
#[derive(Debug)]
pub(super) struct Unread {
    /// What they follow.
    pub(super) after: Position,
    pub(super) entries: Vec<(u64, Entry)>,
}

impl Unread {
    /// Up to where it was read.
    fn end(&self) -> u64 {
        self.entries.last().map_or(self.after.offset, |(offset, _)| *offset)
    }

    /// Takes a page. Whether that is all up to its top, and the deliveries here are not further: a later owner has what this one
    /// lacked. A page without anything says that the rest is gone from the inbox.
    fn takes(&mut self, page: HistoryPage, position: Position) -> bool {
        let (end, top) = (self.end(), page.top.offset);
        self.entries.extend(page.publications.into_iter().filter(|(offset, _)| *offset > end && *offset <= top));
        top >= position.offset && (self.end() >= top || self.end() == end)
    }
}

impl<S: Socket> Hub<S> {
    /// Lets a newcomer in that recovers nothing: at the position, or, in an inbox, after what its user has confirmed.
    pub(super) fn start_anew(&mut self, now: Now, key: ChannelKey, newcomer: Newcomer, users: Option<u64>) {
        let Some(position) = self.channels.get(key).and_then(|channel| channel.position) else { return };
        let confirmed = self.rules.confirmed(key);
        let after = confirmed.filter(|after| after.epoch == position.epoch && after.offset < position.offset);
        let Some(after) = after else {
            let start = Start { at: Some(position), recovered: None, unread: None };
            return self.welcome(now, key, &newcomer, &start, users);
        };
        let unread = Some(Box::new(Unread { after, entries: Vec::new() }));
        self.ask_page(now, key, Newcomer { unread, ..newcomer }, after.offset);
    }

    /// A part of what nobody has confirmed came, or none.
    pub(super) fn on_unread(
        &mut self,
        now: Now,
        key: ChannelKey,
        newcomer: Newcomer,
        result: Result<Answer, QueryError>,
    ) {
        let Some(position) = self.channels.get(key).and_then(|channel| channel.position) else { return };
        let page = match result {
            Ok(Answer::History(page)) => page,
            // The owner is away, and the newcomer waits for it, as the first one would.
            Err(QueryError::TimedOut) => return self.start_anew(now, key, Newcomer { unread: None, ..newcomer }, None),
            Ok(_) => return self.turn_away(key, &newcomer, ErrorCode::Internal),
            Err(error) => return self.turn_away(key, &newcomer, query_fault(error)),
        };
        let Newcomer { unread: Some(mut unread), .. } = newcomer else { return };
        let newcomer = Newcomer { unread: None, ..newcomer };
        let top = page.top;
        // Otherwise the stream was lost while we asked, or is yet to be.
        let is_same = top.epoch == unread.after.epoch && top.epoch == position.epoch;
        if is_same && unread.takes(page, position) {
            let start = Start { at: Some(top), recovered: None, unread: Some(&unread) };
            return self.welcome(now, key, &newcomer, &start, None);
        }
        if newcomer.pages >= UNREAD_PAGES {
            return self.turn_away(key, &newcomer, ErrorCode::Internal);
        }
        if !is_same {
            return self.start_anew(now, key, newcomer, None);
        }
        let after = unread.end();
        self.ask_page(now, key, Newcomer { unread: Some(unread), ..newcomer }, after);
    }
}
