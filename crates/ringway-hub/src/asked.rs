//! What was asked: what waits for the end of a publish or query, by its token, and the calls of backends.

use ringway_core::gateway::ChannelKey;
use ringway_core::gateway::QueryError;
use ringway_core::message::{Answer, Query, Refusal};
use ringway_core::timing::Now;
use ringway_protocol::centrifuge::ErrorCode;
use slab::Slab;

use super::call::{ApiAnswer, ChannelsPlace, ReplyTo};
use super::gathering::{Found, Gatherings};
use super::keys::SessionId;
use super::{Hub, Socket};

#[derive(Debug)]
pub(super) enum Waiting {
    /// A publish command.
    Publish { session: SessionId, id: u32 },
    /// A plain client's message.
    Said(SessionId),
    /// A page for a session that recovers in this channel.
    Page(ChannelKey, SessionId),
    /// The command that this session's feed is at.
    Read(SessionId),
    /// A `presence_stats` command.
    PresenceStats { session: SessionId, id: u32 },
    /// An API call.
    Call(ReplyTo),
    /// An API call for a page of channels.
    Channels(ReplyTo, ChannelsPlace),
    /// What others are told of somebody who came or went.
    Coming,
    /// One of several that answer an API call together: which gathering, and which part of it.
    Part(usize, usize),
}

#[derive(Debug, Default)]
pub(super) struct Asked {
    /// Publishes and queries by the token they were given to the rules with.
    waiting: Slab<Waiting>,
    /// Calls that need several answers.
    pub(super) gatherings: Gatherings,
    /// Calls without an answer.
    calls: usize,
}

impl Asked {
    /// The token by which the rules end what is waited for.
    pub(super) fn wait(&mut self, waiting: Waiting) -> u64 {
        self.waiting.insert(waiting) as u64
    }

    pub(super) fn take(&mut self, token: u64) -> Option<Waiting> {
        self.waiting.try_remove(token as usize)
    }

    /// Counts a call, unless as many as may are unanswered.
    pub(super) fn begin_call(&mut self, limit: usize) -> bool {
        let has_room = self.calls < limit;
        self.calls += usize::from(has_room);
        has_room
    }

    /// Ends a call.
    pub(super) fn answer(&mut self, reply: ReplyTo, answer: ApiAnswer) {
        self.calls -= 1;
        // The caller may have hung up.
        reply.send(answer);
    }

    /// Takes a part of what several answer together; the last one ends the call.
    pub(super) fn on_part(&mut self, gathering: usize, take: impl FnOnce(&mut Found)) {
        if let Some((reply, answer)) = self.gatherings.on_part(gathering, take) {
            self.answer(reply, answer);
        }
    }
}

impl<S: Socket> Hub<S> {
    /// Asks the owner of a channel; the answer, or why there is none, comes to [`Hub::on_answered`].
    pub(super) fn ask(&mut self, now: Now, waiting: Waiting, mut query: Query) {
        // It may have waited for its turn while the cluster's word on its channel was another one.
        let kept = match &mut query {
            Query::History(history) => Some((&history.channel, &mut history.options)),
            Query::RemoveHistory(channel, options) => Some((&*channel, options)),
            _ => None,
        };
        if let Some((channel, options)) = kept
            && let Ok(config) = self.config.channel(channel)
        {
            *options = config.options();
        }
        let token = self.asked.wait(waiting);
        if let Err(error) = self.rules.query(now, token, query) {
            self.on_answered(now, token, Err(error));
        }
    }

    pub(super) fn on_answered(&mut self, now: Now, token: u64, result: Result<Answer, QueryError>) {
        let Some(waiting) = self.asked.take(token) else { return };
        match waiting {
            Waiting::Page(channel, session) => self.on_page(now, channel, session, token, result),
            Waiting::Read(session) => self.on_read(now, session, result),
            Waiting::PresenceStats { session, id } => self.on_presence_stats(session, id, &result),
            Waiting::Channels(reply, place) => self.on_channels(reply, &place, result),
            Waiting::Call(reply) => self.answer_query(reply, result),
            Waiting::Part(gathering, part) => self.on_part_answered(gathering, part, result),
            Waiting::Publish { .. } | Waiting::Said(_) | Waiting::Coming => {}
        }
    }
}

/// What a client is told of a query that found nothing.
pub(super) fn query_fault(error: QueryError) -> ErrorCode {
    match error {
        QueryError::Busy | QueryError::Refused(Refusal::Full) => ErrorCode::TooManyRequests,
        QueryError::Refused(Refusal::Unrecoverable) => ErrorCode::UnrecoverablePosition,
        QueryError::Refused(Refusal::NotAvailable) => ErrorCode::NotAvailable,
        QueryError::TimedOut | QueryError::Unreachable | QueryError::Refused(_) => ErrorCode::Internal,
    }
}
