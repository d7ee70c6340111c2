//! What a session has missed: page after page, as its socket takes them.
//!
//! The first page comes with the reply to the subscribe. If there is more, the session is behind: it is told the rest as
//! publications, and no deliveries, until a page ends where the stream does. Then it listens from there. Its pages are jobs
//! of its [feed](super::feed), so they wait for the socket, and for one another.

use std::borrow::Cow;

use ringway_core::Position;
use ringway_core::gateway::{ChannelKey, QueryError};
use ringway_core::id::StreamEpoch;
use ringway_core::message::{Answer, Entry, HistoryPage, HistoryQuery, Query, Refusal};
use ringway_core::timing::Now;
use ringway_protocol::centrifuge::{Disconnect, ErrorCode};
use ringway_protocol::dialect::{Placed, Saying};

use super::asked::{Waiting, query_fault};
use super::channel::{Behind, Newcomer, PAGES};
use super::command::Seen;
use super::feed::Job;
use super::join::{Start, told_by, unread_of};
use super::keys::{SessionId, SessionKey};
use super::session::Session;
use super::{Hub, Socket};

/// An offset, and the stream it counts in, if that is known.
type Place = (u64, Option<StreamEpoch>);

impl<S: Socket> Hub<S> {
    /// The newcomer waits for what it has missed.
    pub(super) fn await_page(&mut self, key: ChannelKey, newcomer: Newcomer) {
        let session = newcomer.session;
        if let Some(channel) = self.audience.get_mut(key) {
            channel.transit_mut().newcomers.push(Newcomer { page: None, ..newcomer });
            self.enqueue(session, Job::Page(key));
        }
    }

    /// A session that was told up to here goes on with further pages.
    pub(super) fn let_follow(&mut self, key: ChannelKey, session: SessionKey, told: u64, unread: bool) {
        self.follow(key, Behind { session, told, page: None, tries: 0, unread });
        self.enqueue(session, Job::Page(key));
    }

    fn follow(&mut self, key: ChannelKey, behind: Behind) {
        if let Some(channel) = self.audience.get_mut(key) {
            channel.transit_mut().behind.push(behind);
        }
    }

    /// Asks the owner for the next page of a session in a channel, if it still wants one.
    pub(super) fn ask_page(&mut self, now: Now, session: SessionId, key: ChannelKey) {
        let Some((since, is_latest)) = self.place_of(session.key, key) else { return self.fed(session) };
        let (Some(name), Some(options)) = (self.rules.channel_name(key), self.rules.channel_options(key)) else {
            return self.fed(session);
        };
        let (channel, limit) = (name.clone(), if is_latest { 1 } else { self.config.limits.page });
        let query = HistoryQuery { channel, options, since, limit, reverse: is_latest };
        let token = self.asked.wait(Waiting::Page(key, session));
        self.mark_asked(session.key, key, token);
        if let Err(error) = self.rules.query(now, token, Query::History(Box::new(query))) {
            self.on_answered(now, token, Err(error));
        }
    }

    /// Up to where a session that recovers was told, and in which stream, if it was told something; and whether it wants the latest
    /// publication alone, wherever it was.
    fn place_of(&self, session: SessionKey, key: ChannelKey) -> Option<(Option<Place>, bool)> {
        let channel = self.audience.get(key)?;
        let transit = channel.transit.as_ref()?;
        let waits = |newcomer: &&Newcomer| newcomer.session == session && newcomer.page.is_none();
        if let Some(newcomer) = transit.newcomers.iter().find(waits) {
            if newcomer.unread.is_none() && newcomer.wish.terms().is_cache {
                return Some((None, true));
            }
            let unread = newcomer.unread.map(|after| after.offset);
            let offset = unread.or(newcomer.wish.recover().map(|seen| seen.offset))?;
            return Some((Some((offset, None)), false));
        }
        let behind = transit.behind.iter().find(|behind| behind.session == session)?;
        Some((Some((behind.told, channel.position.map(|position| position.epoch))), false))
    }

    fn mark_asked(&mut self, session: SessionKey, key: ChannelKey, token: u64) {
        let Some(transit) = self.audience.get_mut(key).and_then(|channel| channel.transit.as_mut()) else { return };
        if let Some(newcomer) = transit.newcomers.iter_mut().find(|one| one.session == session && one.page.is_none()) {
            newcomer.page = Some(token);
            newcomer.pages += 1;
        } else if let Some(behind) = transit.behind.iter_mut().find(|one| one.session == session) {
            behind.page = Some(token);
        }
    }

    /// A page came, or none. Whoever asked for it may have gone.
    pub(super) fn on_page(
        &mut self,
        now: Now,
        key: ChannelKey,
        session: SessionId,
        token: u64,
        result: Result<Answer, QueryError>,
    ) {
        let channel = self.audience.get_mut(key);
        let position = channel.as_ref().and_then(|channel| channel.position);
        if let (Some(channel), Some(position)) = (channel, position) {
            if let Some(newcomer) = channel.take_asking(token) {
                match newcomer.unread.is_some() {
                    true => self.on_unread(now, key, newcomer, result),
                    false => self.on_first_page(now, key, newcomer, position, result),
                }
            } else if let Some(behind) = channel.take_behind(token) {
                return self.on_next_page(key, behind, session, position, result);
            }
        }
        self.fed(session);
    }

    fn on_first_page(
        &mut self,
        now: Now,
        key: ChannelKey,
        newcomer: Newcomer,
        position: Position,
        result: Result<Answer, QueryError>,
    ) {
        let Some(seen) = newcomer.wish.recover() else { return };
        let page = match result {
            Ok(Answer::History(page)) => page,
            Ok(_) => return self.turn_away(now, key, newcomer, ErrorCode::Internal),
            Err(error) => return self.turn_away(now, key, newcomer, query_fault(error)),
        };
        if newcomer.wish.terms().is_cache {
            self.on_latest(now, key, newcomer, position, &page);
        } else if !seen.is_in(position.epoch) {
            // The stream was lost while we asked.
            self.start_anew(now, key, newcomer, None);
        } else if page.top.epoch != position.epoch || page.top.offset < position.offset {
            // One of the two is of a former owner. They meet as soon as the channel is attached at the new one.
            match newcomer.pages < PAGES {
                true => self.await_page(key, newcomer),
                false => self.turn_away(now, key, newcomer, ErrorCode::Internal),
            }
        } else if let Some(told) = end_of(&page, seen.offset) {
            let at = Some(Position { offset: told, ..page.top });
            let is_behind = told < page.top.offset;
            let recovered = Some(Cow::Borrowed(&page.publications[..]));
            self.welcome(now, key, newcomer, Start { at, recovered, is_behind, unread: None }, None);
        } else {
            self.start_anew(now, key, newcomer, None);
        }
    }

    /// What is published last came, for a client that wants no more than that.
    fn on_latest(&mut self, now: Now, key: ChannelKey, newcomer: Newcomer, position: Position, page: &HistoryPage) {
        if page.top.epoch != position.epoch || page.top.offset < position.offset {
            return match newcomer.pages < PAGES {
                true => self.await_page(key, newcomer),
                false => self.turn_away(now, key, newcomer, ErrorCode::Internal),
            };
        }
        let is_top = |(offset, _): &&(u64, Entry)| *offset == page.top.offset;
        let Some(latest) = page.publications.first().filter(is_top) else {
            return self.start_anew(now, key, newcomer, None);
        };
        let has_seen = |seen: &Seen| seen.offset == page.top.offset && *seen.epoch == *page.top.epoch.as_str();
        let latest = match newcomer.wish.recover().is_some_and(has_seen) {
            true => &[][..],
            false => std::slice::from_ref(latest),
        };
        let start = Start { at: Some(page.top), recovered: Some(Cow::Borrowed(latest)), ..Start::default() };
        self.welcome(now, key, newcomer, start, None);
    }

    fn on_next_page(
        &mut self,
        key: ChannelKey,
        behind: Behind,
        session: SessionId,
        position: Position,
        result: Result<Answer, QueryError>,
    ) {
        let page = match result {
            Ok(Answer::History(page)) => page,
            Err(QueryError::Refused(Refusal::Unrecoverable)) | Ok(_) => return self.give_up(key, behind, session),
            Err(_) => return self.ask_later(key, behind, session),
        };
        if page.top.epoch != position.epoch || page.top.offset < behind.told.max(position.offset) {
            return self.ask_later(key, behind, session);
        }
        let told = match behind.unread {
            true => {
                self.hand_on(key, session.key, unread_of(&page, behind.told));
                told_by(&page, behind.told)
            }
            false => {
                let Some(told) = end_of(&page, behind.told) else { return self.give_up(key, behind, session) };
                self.push_page(key, session.key, &page);
                told
            }
        };
        if told < page.top.offset {
            self.follow(key, Behind { told, page: None, tries: 0, ..behind });
            self.enqueue(session.key, Job::Page(key));
        } else {
            self.let_listen(key, session.key, Some(page.top));
            if behind.unread {
                // Only now its pong proves something.
                self.must_prove(session.key);
            }
            if let Some(channel) = self.audience.get_mut(key) {
                channel.tidy();
            }
        }
        self.fed(session);
    }

    fn push_page(&mut self, key: ChannelKey, session: SessionKey, page: &HistoryPage) {
        let epoch = Some(page.top.epoch);
        for (offset, entry) in &page.publications {
            let Some(name) = self.rules.channel_name(key) else { return };
            let Some(specials) = self.audience.get(key).map(|channel| &channel.specials) else { return };
            if !specials.lets(session, entry) {
                continue;
            }
            let shape = specials.shape_of(session);
            let placed = Placed { channel: name.as_str(), epoch, offset: *offset, entry, shape };
            let Some(reader) = self.roster.get_mut(session).filter(|session| !session.is_gone()) else { return };
            self.outgoing.say(session, reader, &Saying::Publication(placed));
        }
        self.counts.deliveries += page.publications.len() as u64;
        if self.rules.confirmed(key).is_some() {
            self.must_prove(session);
        }
    }

    /// The owner cannot say now what follows: it is asked again with the next tick.
    fn ask_later(&mut self, key: ChannelKey, behind: Behind, session: SessionId) {
        if behind.tries >= PAGES {
            return self.give_up(key, behind, session);
        }
        self.follow(key, Behind { page: None, tries: behind.tries + 1, ..behind });
        self.enqueue_first(session.key, Job::Page(key));
        self.feed_later(session);
    }

    /// What follows is not there any more. The client is told, and comes back or begins anew.
    fn give_up(&mut self, key: ChannelKey, behind: Behind, session: SessionId) {
        if self.roster.get(session.key).is_some_and(Session::is_plain) {
            // It cannot be told what it lacks. What it has not confirmed waits for it.
            return self.close(session.key, Disconnect::InternalServerError);
        }
        self.listen(key, vec![behind.session]);
        self.tell_lost(behind.session, key);
        self.fed(session);
    }
}

/// The offset of the page's last publication, if the page holds everything between `offset` and there, and nothing is
/// missing where it holds nothing.
fn end_of(page: &HistoryPage, offset: u64) -> Option<u64> {
    // Told in differences: no offset, of whomever, is the last there is.
    let places = page.publications.iter().map(|(found, _)| found.checked_sub(offset));
    let is_whole = places.eq((1..).take(page.publications.len()).map(Some));
    let end = page.publications.last().map_or(offset, |(last, _)| *last);
    let ends_well = if page.publications.is_empty() { end == page.top.offset } else { end <= page.top.offset };
    (is_whole && ends_well).then_some(end)
}
