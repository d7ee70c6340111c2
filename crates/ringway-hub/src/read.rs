//! What clients read: history and presence.

use ringway_core::Position;
use ringway_core::gateway::QueryError;
use ringway_core::id::StreamEpoch;
use ringway_core::message::{Answer, Entry, HistoryPage, HistoryQuery, Presence, PresencePage, PresenceQuery, Refusal};
use ringway_core::timing::Now;
use ringway_protocol::centrifuge::{Disconnect, ErrorCode, HistoryResult, Publication, Reply, Stored, with_infos};
use ringway_protocol::dialect::Saying;
use ringway_protocol::framing::Part;

use super::asked::query_fault;
use super::channel::PAGES;
use super::command::{History, Named};
use super::config::ChannelConfig;
use super::feed::{Job, Reading, Wanted};
use super::gathered::{Added, Gathered};
use super::keys::{SessionId, SessionKey};
use super::{Hub, Socket};

/// What was read of a stream for an answer that goes out whole.
type PublicationsRead = Gathered<(u64, Entry)>;

/// What is wanted of a channel's presence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PresenceKind {
    Full,
    Stats,
}

/// What came of a history before: the stream's place then, and what was gathered of it.
type Before = (Position, Option<Box<PublicationsRead>>);

impl<S: Socket> Hub<S> {
    pub(super) fn on_history_asked(&mut self, key: SessionKey, id: u32, history: History) {
        let Some(session) = self.roster.get(key).map(|session| session.id(key)) else { return };
        let History { channel, limit, since, reverse } = history;
        let Some(channel) = self.named(key, id, channel) else { return self.answered(session) };
        let config = self.config_for_reader(
            key,
            &channel,
            |config| config.options().has_history(),
            |config| config.read_history,
        );
        let history = History { channel: Ok(channel), limit, since, reverse };
        match config.and_then(|config| history_query(history, config, self.config.limits.page)) {
            Ok(query) => self.enqueue(key, Job::History { id, query }),
            Err(error) => self.refuse_read(session, id, error),
        }
    }

    /// A read ends without what was asked for.
    fn refuse_read(&mut self, session: SessionId, id: u32, error: ErrorCode) {
        self.refuse(session.key, id, error);
        self.answered(session);
    }

    /// A page for the command that is being answered.
    pub(super) fn on_read(&mut self, now: Now, session: SessionId, result: Result<Answer, QueryError>) {
        let Some(reading) = self.feed_of(session).and_then(|feed| feed.reading.take()) else { return };
        let Reading { id, wanted, tries, .. } = reading;
        match (result, wanted) {
            (Ok(Answer::History(page)), Wanted::History { query, top, gathered }) => {
                let before = top.map(|top| (top, gathered));
                self.on_history_page(now, session, (id, query, before), page);
            }
            (Ok(Answer::Presence(page)), Wanted::Presence { query, gathered }) => {
                self.on_presence_page(now, session, (id, query, gathered), page);
            }
            (other, wanted) => self.on_no_page(session, Reading { id, wanted, tries }, other.err()),
        }
    }

    /// Sends what a page brings: the whole reply, or a part of it that others follow.
    fn on_history_page(
        &mut self,
        now: Now,
        session: SessionId,
        (id, mut query, before): (u32, Box<HistoryQuery>, Option<Before>),
        mut page: HistoryPage,
    ) {
        let is_first = before.is_none();
        let (top, gathered) = before.unwrap_or((page.top, None));
        if !is_first && (page.top.epoch != top.epoch || !is_followed_by(&query, &page, top)) {
            return match gathered {
                Some(_) => self.refuse_whole(session, id, ErrorCode::Internal),
                None => self.close(session.key, Disconnect::InsufficientState),
            };
        }
        advance(&mut query, &page, top);
        let is_last = !page.more || query.limit == 0 || page.publications.is_empty();
        let mut part = Part { is_first, is_last };
        if part != Part::WHOLE && !self.takes_parts(session.key) {
            let mut all = gathered.unwrap_or_else(|| Box::new(self.outgoing.gathering.begin()));
            match all.add(&page.publications, |(offset, entry)| size_of_val(offset) + entry.size()) {
                Added::Held if !is_last => {
                    let wanted = Wanted::History { query, top: Some(top), gathered: Some(all) };
                    return self.sent_part(now, session, Some(Reading { id, wanted, tries: 0 }));
                }
                Added::Held | Added::TooLarge => (page.publications, part) = (all.take(), Part::WHOLE),
                Added::Crowded => return self.refuse_whole(session, id, ErrorCode::TooManyRequests),
            }
        }
        let kept: Vec<Stored<'_>> = stored(&page);
        let epoch = Some(&top.epoch);
        let publications: Vec<Publication<'_>> = kept.iter().map(|stored| stored.told(epoch)).collect();
        let result = HistoryResult { publications: &publications, epoch: top.epoch.as_str(), offset: top.offset };
        self.say(session.key, &Saying::Reply(id, &Reply::History(&result), part));
        let wanted = Wanted::History { query, top: Some(top), gathered: None };
        self.sent_part(now, session, (!part.is_last).then_some(Reading { id, wanted, tries: 0 }));
    }

    /// The same of who is present.
    fn on_presence_page(
        &mut self,
        now: Now,
        session: SessionId,
        (id, mut query, gathered): (u32, Box<PresenceQuery>, Option<Box<Gathered<Presence>>>),
        mut page: PresencePage,
    ) {
        let is_first = query.after.is_none();
        let is_last = !query.advance(&page);
        let mut part = Part { is_first, is_last };
        if part != Part::WHOLE && !self.takes_parts(session.key) {
            let mut all = gathered.unwrap_or_else(|| Box::new(self.outgoing.gathering.begin()));
            match all.add(&page.clients, Presence::size) {
                Added::Held if !is_last => {
                    let wanted = Wanted::Presence { query, gathered: Some(all) };
                    return self.sent_part(now, session, Some(Reading { id, wanted, tries: 0 }));
                }
                Added::Held => (page.clients, part) = (all.take(), Part::WHOLE),
                Added::TooLarge => return self.refuse_whole(session, id, ErrorCode::LimitExceeded),
                Added::Crowded => return self.refuse_whole(session, id, ErrorCode::TooManyRequests),
            }
        }
        with_infos(&page.clients, |infos| {
            self.say(session.key, &Saying::Reply(id, &Reply::Presence(infos), part));
        });
        let wanted = Wanted::Presence { query, gathered: None };
        self.sent_part(now, session, (!part.is_last).then_some(Reading { id, wanted, tries: 0 }));
    }

    fn takes_parts(&self, key: SessionKey) -> bool {
        self.roster.get(key).is_some_and(|session| session.dialect.framing.has_parts())
    }

    /// A reply that was to go out whole does not come to that.
    fn refuse_whole(&mut self, session: SessionId, id: u32, error: ErrorCode) {
        self.refuse_read(session, id, error);
        self.fed(session);
    }

    /// A part of a reply is sent; the rest follows, or that was the last.
    fn sent_part(&mut self, now: Now, session: SessionId, rest: Option<Reading>) {
        match rest {
            Some(rest) => self.go_on_reading(session, rest),
            None => {
                self.release(now, session);
                self.answered(session);
            }
        }
        self.fed(session);
    }

    fn go_on_reading(&mut self, session: SessionId, reading: Reading) {
        if let Some(feed) = self.feed_of(session) {
            feed.reading = Some(reading);
        }
        self.enqueue_first(session.key, Job::Rest);
    }

    /// The owner did not answer, or not with a page. A reply that has begun cannot be taken back.
    fn on_no_page(&mut self, session: SessionId, reading: Reading, why: Option<QueryError>) {
        match why {
            _ if !reading.has_begun() => {
                self.refuse_whole(session, reading.id, why.map_or(ErrorCode::Internal, query_fault));
            }
            Some(QueryError::Refused(Refusal::Unrecoverable)) => self.close(session.key, Disconnect::InsufficientState),
            Some(QueryError::Busy | QueryError::TimedOut | QueryError::Unreachable) if reading.tries < PAGES => {
                self.go_on_reading(session, Reading { tries: reading.tries + 1, ..reading });
                self.feed_later(session);
            }
            _ => self.close(session.key, Disconnect::InternalServerError),
        }
    }

    pub(super) fn on_presence_asked(&mut self, key: SessionKey, id: u32, name: Named, kind: PresenceKind) {
        let Some(session) = self.roster.get(key).map(|session| session.id(key)) else { return };
        let Some(channel) = self.named(key, id, name) else { return self.answered(session) };
        match self.config_for_reader(key, &channel, |config| config.presence, |config| config.read_presence) {
            Ok(_) if kind == PresenceKind::Stats => self.enqueue(key, Job::PresenceStats { id, channel }),
            Ok(_) => self.enqueue(key, Job::Presence { id, query: PresenceQuery::of(channel) }),
            Err(error) => self.refuse_read(session, id, error),
        }
    }

    pub(super) fn on_presence_stats(&mut self, session: SessionId, id: u32, result: &Result<Answer, QueryError>) {
        if !self.roster.is_open(session) {
            return;
        }
        match result {
            Ok(Answer::PresenceStats(clients, users)) => {
                self.reply(session.key, id, &Reply::PresenceStats { clients: *clients, users: *users });
            }
            Ok(_) => self.refuse(session.key, id, ErrorCode::Internal),
            Err(error) => self.refuse(session.key, id, query_fault(*error)),
        }
        self.answered(session);
        self.fed(session);
    }
}

/// The page goes on where another one ended, that at `last`, of a stream that was at `top`. The way down may end early: the
/// oldest may have gone meanwhile.
pub fn is_next_page(page: &HistoryPage, last: u64, is_reverse: bool, top: Position) -> bool {
    let next = page.publications.first().map(|(offset, _)| *offset);
    match is_reverse {
        true => next.is_none_or(|next| next.checked_add(1) == Some(last)),
        false => next.map_or(last >= top.offset, |next| last.checked_add(1) == Some(next)),
    }
}

fn is_followed_by(query: &HistoryQuery, page: &HistoryPage, top: Position) -> bool {
    query.since.is_some_and(|(last, _)| is_next_page(page, last, query.reverse, top))
}

/// What is to be asked for next, so that nothing comes that is newer than the reply says.
fn advance(query: &mut HistoryQuery, page: &HistoryPage, top: Position) {
    let Some((last, _)) = page.publications.last() else { return };
    let left = query.limit.saturating_sub(page.publications.len() as u32);
    let newer = u32::try_from(top.offset.saturating_sub(*last)).unwrap_or(u32::MAX);
    query.limit = if query.reverse { left } else { left.min(newer) };
    query.since = Some((*last, Some(top.epoch)));
}

/// The query for a part of a stream.
///
/// # Errors
/// The code for whoever asked.
pub(super) fn history_query(
    history: History,
    config: &ChannelConfig,
    page: u32,
) -> Result<Box<HistoryQuery>, ErrorCode> {
    let options = config.options();
    if !options.has_history() {
        return Err(ErrorCode::NotAvailable);
    }
    let limit = u32::try_from(history.limit).map_or(page, |limit| limit.min(page));
    let since = match history.since {
        Some(seen) if history.reverse && seen.offset == 0 => return Err(ErrorCode::BadRequest),
        Some(seen) if seen.epoch.is_empty() => Some((seen.offset, None)),
        Some(seen) => {
            let epoch = StreamEpoch::parse(&seen.epoch).ok_or(ErrorCode::UnrecoverablePosition)?;
            Some((seen.offset, Some(epoch)))
        }
        None => None,
    };
    let channel = history.channel.map_err(|_| ErrorCode::BadRequest)?;
    Ok(Box::new(HistoryQuery { channel, options, since, limit, reverse: history.reverse }))
}

fn stored(page: &HistoryPage) -> Vec<Stored<'_>> {
    page.publications.iter().map(|(offset, entry)| Stored::of(*offset, entry)).collect()
}
