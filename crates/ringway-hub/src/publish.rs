//! Publishes of clients.

use ringway_core::gateway::{NewPublish, PublishError};
use ringway_core::message::{ChannelOptions, Entry, Publisher};
use ringway_core::timing::Now;
use ringway_core::{ChannelName, Position, UserName};
use ringway_protocol::centrifuge::{ErrorCode, Reply};
use ringway_protocol::plain::{HELP, NOT_ACKNOWLEDGED};

use super::asked::Waiting;
use super::call::ApiPublish;
use super::command::{Named, Payload};
use super::commands::is_for;
use super::drained::Drained;
use super::keys::{SessionId, SessionKey};
use super::{Hub, Socket};

/// What a plain client is told when its message could not even be sent.
const NOT_SENT: &str = "not sent: the cluster cannot take the message now. Wait a moment and send it again.";

impl<S: Socket> Drained<'_, S> {
    /// A plain client's message to a user's inbox.
    pub(super) fn on_said(self, now: Now, key: SessionKey, to: &UserName, data: &[u8]) {
        let hub = self.into_hub();
        let Some(session) = hub.roster.id_of(key).filter(|id| hub.roster.is_open(*id)) else { return };
        let entry = hub.entry_of(key, None, data);
        hub.publish(now, Waiting::Said(session), ChannelName::personal(to), entry, None);
    }

    pub(super) fn on_puzzled(self, key: SessionKey) {
        self.into_hub().tell_problem(key, HELP);
    }
}

impl<S: Socket> Hub<S> {
    pub(super) fn on_publish(&mut self, now: Now, key: SessionKey, id: u32, name: Named, payload: Option<Payload>) {
        let Some(session) = self.roster.get(key).map(|session| session.id(key)) else { return };
        let Some(channel) = self.named(key, id, name) else { return self.answered(session) };
        let entry = match self.may_publish(key, &channel) {
            Ok(()) => payload.map(|payload| self.publication_of(key, &channel, &payload)).ok_or(ErrorCode::BadRequest),
            Err(error) => Err(error),
        };
        match entry {
            Ok(entry) => self.publish(now, Waiting::Publish { session, id }, channel, entry, None),
            Err(error) => {
                self.refuse(key, id, error);
                self.answered(session);
            }
        }
    }

    fn may_publish(&self, key: SessionKey, channel: &ChannelName) -> Result<(), ErrorCode> {
        let config = self.config.channel(channel)?;
        let session = self.roster.get(key).ok_or(ErrorCode::Internal)?;
        // A personal channel is for its user to read and for others to write to.
        if !channel.as_str().starts_with('#') && !is_for(channel, session) {
            return Err(ErrorCode::PermissionDenied);
        }
        if !config.has_name(channel.as_str()) {
            return Err(ErrorCode::BadRequest);
        }
        let may = self.config.insecure || self.has_access(key, channel, config.publish)?;
        if may { Ok(()) } else { Err(ErrorCode::PermissionDenied) }
    }

    fn publication_of(&self, key: SessionKey, channel: &ChannelName, payload: &Payload) -> Entry {
        let entry = self.entry_of(key, Some(channel), &payload.data);
        if payload.is_opaque { entry.opaque() } else { entry }
    }

    pub(super) fn entry_of(&self, key: SessionKey, channel: Option<&ChannelName>, data: &[u8]) -> Entry {
        let channel =
            channel.filter(|_| !self.audience.grants.is_empty()).and_then(|channel| self.audience.key_of(channel));
        let granted = channel.and_then(|channel| self.granted_info(key, channel));
        let Some(session) = self.roster.get(key) else { return Entry::of(data) };
        let publisher = Publisher {
            user: session.user_name(),
            client: session.client.as_u128(),
            conn_info: session.info.as_deref().map(|info| &info[..]).unwrap_or_default(),
            chan_info: granted.map(|info| &info[..]).unwrap_or_default(),
        };
        Entry::by(data, &publisher)
    }

    /// Sends a publication to its owner; what becomes of it comes to [`Hub::on_published`].
    pub(super) fn publish(
        &mut self,
        now: Now,
        waiting: Waiting,
        channel: ChannelName,
        entry: Entry,
        idempotency_key: Option<Box<str>>,
    ) {
        let options = self.config.options(&channel);
        self.publish_as(now, waiting, NewPublish { channel, entry, options, idempotency_key, version: None });
    }

    /// What a backend publishes, which may be kept otherwise than the channel says.
    pub(super) fn publish_call(&mut self, now: Now, waiting: Waiting, channel: ChannelName, publish: &ApiPublish) {
        let options = self.config.options(&channel);
        let history_size = if publish.skip_history { 0 } else { options.history_size };
        let options = ChannelOptions { history_size, ..options };
        let (entry, idempotency_key) = (publish.entry.clone(), publish.idempotency_key.clone());
        let version = publish.version.clone();
        self.publish_as(now, waiting, NewPublish { channel, entry, options, idempotency_key, version });
    }

    fn publish_as(&mut self, now: Now, waiting: Waiting, new: NewPublish) {
        self.counts.publishes += 1;
        let token = self.asked.wait(waiting);
        if let Err(error) = self.rules.publish(now, token, new) {
            self.on_published(token, Err(error));
        }
    }

    pub(super) fn on_published(&mut self, token: u64, result: Result<(Option<Position>, u8), PublishError>) {
        let Some(waiting) = self.asked.take(token) else { return };
        if matches!(waiting, Waiting::Coming) {
            return;
        }
        self.counts.publishes_failed += u64::from(result.is_err());
        let result = result.map(|(position, _)| position);
        match waiting {
            Waiting::Publish { session, id } => {
                if self.roster.is_open(session) {
                    match result {
                        Ok(_) => self.reply(session.key, id, &Reply::Publish),
                        Err(error) => self.refuse(session.key, id, publish_fault(error)),
                    }
                }
                self.answered(session);
            }
            Waiting::Said(session) => {
                if let Err(error) = result
                    && self.roster.is_open(session)
                {
                    let problem = if error == PublishError::Unknown { NOT_ACKNOWLEDGED } else { NOT_SENT };
                    self.tell_problem(session.key, problem);
                }
                self.answered(session);
            }
            Waiting::Call(reply) => self.answer_publish(reply, result),
            Waiting::Part(gathering, part) => self.on_part_published(gathering, part, result),
            _ => {}
        }
    }

    /// One publish or read less is under way: a connection that was paused for them may go on.
    pub(super) fn answered(&mut self, id: SessionId) {
        let session = self.roster.find(id);
        if let Some(session) = session
            && session.ticket.end_ask(self.config.limits.publishes_in_flight)
        {
            session.socket.resume();
        }
    }
}

fn publish_fault(error: PublishError) -> ErrorCode {
    match error {
        PublishError::Busy | PublishError::Full => ErrorCode::TooManyRequests,
        PublishError::Unknown => ErrorCode::Internal,
    }
}
