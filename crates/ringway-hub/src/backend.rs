//! Calls of backends. Every one is answered once, at the latest when the rules give its publish or query up.

use ringway_core::gateway::{PublishError, QueryError};
use ringway_core::message::{Answer, Deed, Entry, Order, Query, Refusal};
use ringway_core::ring::SlotSet;
use ringway_core::timing::Now;
use ringway_core::{ChannelName, Position, UserName};
use ringway_protocol::api::ApiError;
use ringway_protocol::centrifuge::ErrorCode;

use super::asked::Waiting;
use super::call::{ApiAnswer, ApiPublish, ApiRequest, Call, ReplyTo, USERS_NAMED};
use super::command::{History, Named};
use super::drained::Drained;
use super::read::history_query;
use super::{Hub, Socket};

impl<S: Socket> Drained<'_, S> {
    pub(super) fn on_call(self, now: Now, Call { request, reply }: Call) {
        let hub = self.into_hub();
        match hub.asked.begin_call(hub.config.limits.calls) {
            true => hub.carry_out_call(now, request, reply),
            // The caller may have gone; then nobody is to be told.
            false => reply.send(ApiAnswer::Overloaded),
        }
    }
}

impl<S: Socket> Hub<S> {
    fn carry_out_call(&mut self, now: Now, request: ApiRequest, reply: ReplyTo) {
        match request {
            ApiRequest::Publish(publish) => self.call_publish(now, reply, &publish),
            ApiRequest::Broadcast(channels, publish) => self.call_broadcast(now, reply, channels, &publish),
            ApiRequest::Say(user, data) => {
                let entry = Entry::of(&data);
                self.publish(now, Waiting::Call(reply), ChannelName::personal(&user), entry, None);
            }
            ApiRequest::Presence(channel) => self.call_presence(now, reply, channel, Self::first_presence),
            ApiRequest::MorePresence(query) => self.ask(now, Waiting::Call(reply), Query::Presence(query)),
            ApiRequest::PresenceStats(channel) => self.call_presence(now, reply, channel, Query::PresenceStats),
            ApiRequest::History(history) => self.call_history(now, reply, *history),
            ApiRequest::RemoveHistory(channel) => self.call_remove_history(now, reply, channel),
            ApiRequest::Order(order) => self.call_order(now, reply, order),
            ApiRequest::Post(post) => self.ask(now, Waiting::Call(reply), Query::Post(post)),
            ApiRequest::Info => self.gather_info(now, reply),
            ApiRequest::Channels(place) => self.call_channels(now, reply, place),
            ApiRequest::Users(slots) => {
                let (count, names) = self.users_in(&slots);
                self.asked.answer(reply, ApiAnswer::Users(count, names));
            }
            ApiRequest::Sightings => {
                let (seen, is_whole) = self.take_sightings();
                self.asked.answer(reply, ApiAnswer::Sightings(seen, is_whole));
            }
            ApiRequest::Online(place, most) => {
                let (sessions, next) = self.online_from(place, most);
                self.asked.answer(reply, ApiAnswer::Online(sessions, next));
            }
        }
    }

    /// Users with a session here whose inbox is in one of the slots. One hash per user, so a million take some 10 ms.
    fn users_in(&self, slots: &SlotSet) -> (u64, Vec<UserName>) {
        let is_connected = |key| self.audience.sessions_of(key) > 0;
        let inboxes = self.audience.names().filter(|(name, _)| name.as_str().starts_with('#'));
        let inside = inboxes.filter(|(name, _)| slots.has(self.rules.slot_of(name.as_str())));
        let (mut count, mut names) = (0, Vec::new());
        for (name, _) in inside.filter(|(_, key)| is_connected(*key)) {
            count += 1;
            if names.len() < USERS_NAMED {
                names.extend(name.personal_user());
            }
        }
        (count, names)
    }

    fn call_publish(&mut self, now: Now, reply: ReplyTo, publish: &ApiPublish) {
        match self.known(publish.channel.clone()) {
            Ok(channel) => self.publish_call(now, Waiting::Call(reply), channel, publish),
            Err(error) => self.asked.answer(reply, ApiAnswer::Failed(error)),
        }
    }

    fn call_remove_history(&mut self, now: Now, reply: ReplyTo, channel: Named) {
        let kept = self.known(channel).and_then(|channel| {
            let options = self.config.channel(&channel).map_err(api_error)?.options();
            options.has_history().then_some((channel, options)).ok_or(ApiError::NotAvailable)
        });
        match kept {
            Ok((channel, options)) => self.ask(now, Waiting::Call(reply), Query::RemoveHistory(channel, options)),
            Err(error) => self.asked.answer(reply, ApiAnswer::Failed(error)),
        }
    }

    /// Channels that an order names are as they are to be here, and so at every gateway.
    fn call_order(&mut self, now: Now, reply: ReplyTo, order: Box<Order>) {
        let channel = match &order.deed {
            Deed::Subscribe(sub) => Some(&sub.channel),
            Deed::Unsubscribe(channel) => channel.as_ref(),
            Deed::Close { .. } | Deed::Refresh(_) => None,
        };
        match channel.map_or(Ok(()), |channel| self.config.channel(channel).map(drop)) {
            Ok(()) => self.ask(now, Waiting::Call(reply), Query::Order(order)),
            Err(error) => self.asked.answer(reply, ApiAnswer::Failed(api_error(error))),
        }
    }

    fn call_history(&mut self, now: Now, reply: ReplyTo, history: History) {
        let query = self.known(history.channel).and_then(|channel| {
            let config = self.config.channel(&channel).map_err(api_error)?;
            let history = History { channel: Ok(channel), ..history };
            history_query(history, config, u32::MAX).map_err(api_error)
        });
        match query {
            Ok(query) => self.ask(now, Waiting::Call(reply), Query::History(query)),
            Err(error) => self.asked.answer(reply, ApiAnswer::Failed(error)),
        }
    }

    /// The channel, if its name and namespace are in order.
    ///
    /// # Errors
    /// What the caller is told.
    pub(super) fn known(&self, channel: Named) -> Result<ChannelName, ApiError> {
        let channel = channel.map_err(|_| ApiError::BadRequest)?;
        match self.config.channel(&channel) {
            Ok(_) => Ok(channel),
            Err(error) => Err(api_error(error)),
        }
    }

    pub(super) fn answer_publish(&mut self, reply: ReplyTo, result: Result<Option<Position>, PublishError>) {
        let answer = match result {
            Ok(position) => ApiAnswer::Published(position),
            Err(PublishError::Busy) => ApiAnswer::Overloaded,
            Err(PublishError::Unknown | PublishError::Full) => ApiAnswer::Failed(ApiError::Internal),
        };
        self.asked.answer(reply, answer);
    }

    pub(super) fn answer_query(&mut self, reply: ReplyTo, result: Result<Answer, QueryError>) {
        let answer = match result {
            Ok(Answer::Presence(page)) => ApiAnswer::Presence(page),
            Ok(Answer::PresenceStats(clients, users)) => ApiAnswer::PresenceStats(clients, users),
            Ok(Answer::History(page)) => ApiAnswer::History(page),
            Ok(Answer::Obeyed | Answer::Removed) => ApiAnswer::Done,
            Ok(Answer::Posted(is_taken)) => ApiAnswer::Posted(is_taken),
            Ok(_) => ApiAnswer::Failed(ApiError::Internal),
            Err(error) => failed(error),
        };
        self.asked.answer(reply, answer);
    }
}

pub(super) fn failed(error: QueryError) -> ApiAnswer {
    match error {
        QueryError::Busy => ApiAnswer::Overloaded,
        QueryError::Refused(Refusal::Unrecoverable) => ApiAnswer::Failed(ApiError::UnrecoverablePosition),
        QueryError::Refused(Refusal::NotAvailable) => ApiAnswer::Failed(ApiError::NotAvailable),
        QueryError::TimedOut | QueryError::Unreachable | QueryError::Refused(_) => {
            ApiAnswer::Failed(ApiError::Internal)
        }
    }
}

fn api_error(error: ErrorCode) -> ApiError {
    match error {
        ErrorCode::UnknownChannel => ApiError::UnknownChannel,
        ErrorCode::BadRequest => ApiError::BadRequest,
        ErrorCode::NotAvailable => ApiError::NotAvailable,
        ErrorCode::UnrecoverablePosition => ApiError::UnrecoverablePosition,
        _ => ApiError::Internal,
    }
}
