//! Reads of a gateway: sent to the owner of a channel, asked again when the owner changes, given up at a deadline.

use std::borrow::Cow;
use std::collections::VecDeque;

use super::{Event, Gateway};
use crate::id::{ChannelName, Incarnation};
use crate::message::{Answer, ChannelOptions, Message, Query, Refusal};
use crate::retries::{Retries, Tries};
use crate::timing::Now;

/// Why a query found nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// Nothing was asked; try again.
    #[error("too many queries wait for their owners; try again")]
    Busy,
    /// Nobody answered in time.
    #[error("the owner did not answer in time; try again")]
    TimedOut,
    /// The member that was to answer is not linked.
    #[error("the owner cannot be reached now; try again")]
    Unreachable,
    /// The owner refused.
    #[error("the owner refused")]
    Refused(Refusal),
}

#[derive(Debug)]
struct Open {
    token: u64,
    query: Query,
    /// Only this node can answer; otherwise the owner of the query's channel does.
    node: Option<Incarnation>,
    sent: Option<Incarnation>,
    /// It was refused then: after a pause, once more.
    refused: Option<Now>,
    tries: Tries,
}

#[derive(Debug, Default)]
pub(super) struct Queries {
    open: std::collections::BTreeMap<u64, Open>,
    next: u64,
    again: Retries<u64>,
    deadlines: VecDeque<(Now, u64)>,
    /// Bytes of posts among them.
    posted: usize,
}

impl Queries {
    /// What is asked from now on says how its channel is kept now: owners go by what they are told last.
    pub(super) fn keep_anew(&mut self, options_of: impl Fn(&ChannelName) -> Option<ChannelOptions>) {
        for Open { query, .. } in self.open.values_mut() {
            match query {
                Query::History(history) => {
                    history.options = options_of(&history.channel).unwrap_or(history.options);
                }
                Query::RemoveHistory(channel, options) => *options = options_of(channel).unwrap_or(*options),
                _ => {}
            }
        }
    }
}

/// The name whose owner is asked. Any node can pass an order on: the user's name spreads that work.
fn name_of(query: &Query) -> Option<Cow<'_, str>> {
    match query {
        Query::History(history) => Some(history.channel.as_str().into()),
        Query::Presence(presence) => Some(presence.channel.as_str().into()),
        Query::PresenceStats(channel) | Query::RemoveHistory(channel, _) => Some(channel.as_str().into()),
        Query::Order(order) => Some((*order.user).into()),
        // Any node can pass it on: the session spreads that work, and keeps its order.
        Query::Post(post) => Some(Cow::Owned(format!("{:032x}", post.session))),
        Query::Channels(_) | Query::Info => None,
    }
}

/// Bytes that a query holds until it is answered.
fn bytes_of(query: &Query) -> usize {
    if let Query::Post(post) = query { post.data.len() } else { 0 }
}

impl Gateway {
    /// Asks the owner of the query's channel; [`Event::Answered`] with this token ends it.
    ///
    /// # Errors
    /// [`QueryError::Busy`] at the limit of open queries. Nothing was asked.
    pub fn query(&mut self, now: Now, token: u64, query: Query) -> Result<(), QueryError> {
        self.open_query(now, token, query, None)
    }

    /// Asks one node; [`Event::Answered`] with this token ends it.
    ///
    /// # Errors
    /// [`QueryError::Busy`] at the limit of open queries, [`QueryError::Unreachable`] without a link. Nothing was asked.
    pub fn query_node(&mut self, now: Now, token: u64, node: Incarnation, query: Query) -> Result<(), QueryError> {
        if !self.peers.is_up(node) {
            return Err(QueryError::Unreachable);
        }
        self.open_query(now, token, query, Some(node))
    }

    fn open_query(&mut self, now: Now, token: u64, query: Query, node: Option<Incarnation>) -> Result<(), QueryError> {
        let posted = self.queries.posted + bytes_of(&query);
        if self.queries.open.len() >= self.limits.queries || bytes_of(&query) > 0 && posted > self.limits.sent_bytes {
            return Err(QueryError::Busy);
        }
        self.queries.posted = posted;
        self.queries.next += 1;
        let id = self.queries.next;
        self.queries.deadlines.push_back((now + self.timing.deadline, id));
        self.queries.open.insert(id, Open { token, query, node, sent: None, refused: None, tries: Tries::default() });
        self.send_query(id);
        Ok(())
    }

    fn send_query(&mut self, id: u64) {
        let Some(open) = self.queries.open.get(&id) else { return };
        let owner = || self.reachable_owner(self.slot_of(&name_of(&open.query)?));
        let Some(to) = open.node.or_else(owner) else { return };
        let query = open.query.clone();
        if let Some(open) = self.queries.open.get_mut(&id) {
            (open.sent, open.refused) = (Some(to), None);
        }
        self.peers.send(to, Message::Query(id, query));
    }

    /// After a skipped view nothing counts as asked: the owner may have seen another in between, and dropped what waited.
    pub(super) fn forget_queries(&mut self, skipped: bool) {
        for open in self.queries.open.values_mut().filter(|open| skipped && open.node.is_none()) {
            open.sent = None;
        }
    }

    /// Asks again whatever was asked of somebody who does not own its channel, or of nobody yet.
    pub(super) fn retry_queries(&mut self) {
        let ids: Vec<u64> =
            self.queries.open.iter().filter(|(_, open)| open.node.is_none()).map(|(id, _)| *id).collect();
        for id in ids {
            let open = &self.queries.open[&id];
            let owner = name_of(&open.query).and_then(|name| self.reachable_owner(self.slot_of(&name)));
            if owner.is_some() && open.sent != owner {
                self.send_query(id);
            }
        }
    }

    /// A link ended: what it was to answer is asked again, or is lost if only that node could answer.
    pub(super) fn lose_queries_at(&mut self, peer: Incarnation) {
        let lost: Vec<u64> =
            self.queries.open.iter().filter(|(_, open)| open.sent == Some(peer)).map(|(id, _)| *id).collect();
        for id in lost {
            match self.queries.open.get_mut(&id) {
                Some(open) if open.node.is_none() => open.sent = None,
                _ => self.end_query(id, Err(QueryError::Unreachable)),
            }
        }
    }

    pub(super) fn on_answer(&mut self, now: Now, from: Incarnation, id: u64, answer: Answer) {
        let Some(open) = self.queries.open.get_mut(&id).filter(|open| open.sent == Some(from)) else { return };
        match answer {
            Answer::Refused(Refusal::Retry) if open.node.is_none() => {
                (open.sent, open.refused) = (None, Some(now));
                self.queries.again.push(now, open.tries, id);
                open.tries = open.tries.more();
            }
            Answer::Refused(why) => self.end_query(id, Err(QueryError::Refused(why))),
            answer => self.end_query(id, Ok(answer)),
        }
    }

    fn end_query(&mut self, id: u64, result: Result<Answer, QueryError>) {
        if let Some(open) = self.queries.open.remove(&id) {
            self.queries.posted -= bytes_of(&open.query);
            self.events.push_back(Event::Answered { token: open.token, result });
        }
    }

    pub(super) fn expire_queries(&mut self, now: Now) {
        while let Some(waiting) = self.queries.again.due(now, self.timing.publish_retry) {
            if self.queries.open.get(&waiting.what).is_some_and(|open| open.refused == Some(waiting.since)) {
                self.send_query(waiting.what);
            }
        }
        while let Some((deadline, id)) = self.queries.deadlines.front().copied() {
            if now < deadline && self.queries.open.contains_key(&id) {
                break;
            }
            self.queries.deadlines.pop_front();
            if now >= deadline {
                self.end_query(id, Err(QueryError::TimedOut));
            }
        }
    }
}
