//! What clients read: history and presence.

use ringway_core::gateway::QueryError;
use ringway_core::id::StreamEpoch;
use ringway_core::message::{Answer, HistoryPage, HistoryQuery, Query};
use ringway_core::timing::Now;
use ringway_protocol::centrifuge::{ClientInfo, ErrorCode, HistoryResult, Publication, Reply};

use super::command::{History, Named};
use super::config::ChannelRules;
use super::session::{SessionId, SessionKey};
use super::stored::Stored;
use super::waiting::{Waiting, query_fault};
use super::{Hub, Socket, present};

/// What is wanted of a channel's presence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PresenceKind {
    Full,
    Stats,
}

impl<S: Socket> Hub<S> {
    pub(super) fn on_history_asked(&mut self, now: Now, key: SessionKey, id: u32, history: History) {
        let Some(session) = self.sessions.get(key as usize).map(|session| session.id(key)) else { return };
        let History { channel, limit, since, reverse } = history;
        let Some(channel) = self.named(key, id, channel) else { return };
        let rules = self.rules_for_member(key, &channel);
        let history = History { channel: Ok(channel), limit, since, reverse };
        match rules.and_then(|rules| history_query(history, rules, self.config.limits.page)) {
            Ok(query) => self.ask(now, Waiting::History { session, id }, query),
            Err(error) => self.refuse(key, id, error),
        }
    }

    pub(super) fn on_history(&mut self, session: SessionId, id: u32, result: Result<Answer, QueryError>) {
        if !self.is_open(session) {
            return;
        }
        match result {
            Ok(Answer::History(page)) => {
                let kept: Vec<Stored<'_>> = stored(&page);
                let publications: Vec<Publication<'_>> = kept.iter().map(Stored::publication).collect();
                let HistoryPage { top, .. } = &page;
                let epoch = top.epoch.as_str();
                let result = HistoryResult { publications: &publications, epoch, offset: top.offset };
                self.reply(session.key, id, &Reply::History(&result));
            }
            Ok(_) => self.refuse(session.key, id, ErrorCode::Internal),
            Err(error) => self.refuse(session.key, id, query_fault(error)),
        }
    }

    pub(super) fn on_presence_asked(&mut self, now: Now, key: SessionKey, id: u32, name: Named, kind: PresenceKind) {
        let Some(session) = self.sessions.get(key as usize).map(|session| session.id(key)) else { return };
        let Some(channel) = self.named(key, id, name) else { return };
        let waiting = match kind {
            PresenceKind::Full => Waiting::Presence { session, id },
            PresenceKind::Stats => Waiting::PresenceStats { session, id },
        };
        match self.rules_for_member(key, &channel).map(|rules| rules.presence) {
            Ok(true) => self.ask(now, waiting, Query::Presence(channel)),
            Ok(false) => self.refuse(key, id, ErrorCode::NotAvailable),
            Err(error) => self.refuse(key, id, error),
        }
    }

    pub(super) fn on_presence(&mut self, session: SessionId, id: u32, result: Result<Answer, QueryError>) {
        if !self.is_open(session) {
            return;
        }
        match result {
            Ok(Answer::Presence(found)) => {
                let clients: Vec<String> = found.iter().map(present::client_id).collect();
                let infos: Vec<ClientInfo<'_>> =
                    found.iter().zip(&clients).map(|(one, client)| present::client_info(one, client)).collect();
                self.reply(session.key, id, &Reply::Presence(&infos));
            }
            Ok(_) => self.refuse(session.key, id, ErrorCode::Internal),
            Err(error) => self.refuse(session.key, id, query_fault(error)),
        }
    }

    pub(super) fn on_presence_stats(&mut self, session: SessionId, id: u32, result: Result<Answer, QueryError>) {
        if !self.is_open(session) {
            return;
        }
        match result {
            Ok(Answer::Presence(found)) => {
                let (clients, users) = present::count(&found);
                self.reply(session.key, id, &Reply::PresenceStats { clients, users });
            }
            Ok(_) => self.refuse(session.key, id, ErrorCode::Internal),
            Err(error) => self.refuse(session.key, id, query_fault(error)),
        }
    }
}

/// The query for a part of a stream.
///
/// # Errors
/// The code for whoever asked.
pub(super) fn history_query(history: History, rules: &ChannelRules, page: u32) -> Result<Query, ErrorCode> {
    let options = rules.options();
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
    Ok(Query::History(Box::new(HistoryQuery { channel, options, since, limit, reverse: history.reverse })))
}

fn stored(page: &HistoryPage) -> Vec<Stored<'_>> {
    page.publications.iter().map(|(offset, entry)| Stored::of(*offset, entry)).collect()
}
