//! Publishes of clients.

use bytes::Bytes;
use ringway_core::gateway::{NewPublish, PublishError};
use ringway_core::message::{ChannelOptions, Entry};
use ringway_core::timing::Now;
use ringway_core::{ChannelName, Position, UserName};
use ringway_protocol::centrifuge::{ErrorCode, Reply};
use ringway_protocol::plain::{HELP, NOT_ACKNOWLEDGED};
use uuid::Uuid;

use super::call::ApiPublish;
use super::command::Named;
use super::commands::is_for;
use super::config::ChannelRules;
use super::session::{SessionId, SessionKey};
use super::stored::info_of;
use super::waiting::Waiting;
use super::{Hub, Socket};

/// What a plain client is told when its message could not even be sent.
const NOT_SENT: &str = "not sent: the cluster cannot take the message now. Wait a moment and send it again.";

impl<S: Socket> Hub<S> {
    pub(super) fn on_publish(&mut self, now: Now, key: SessionKey, id: u32, name: Named, data: Option<Bytes>) {
        let Some(session) = self.sessions.get(key as usize).map(|session| session.id(key)) else { return };
        let Some(channel) = self.named(key, id, name) else { return self.answered(session) };
        let entry = match self.may_publish(key, &channel) {
            Ok(()) => data.map(|data| self.entry_of(key, Some(&channel), data)).ok_or(ErrorCode::BadRequest),
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
        let rules = self.config.rules_of(channel)?;
        let session = self.sessions.get(key as usize).ok_or(ErrorCode::Internal)?;
        // A personal channel is for its user to read and for others to write to.
        if !channel.as_str().starts_with('#') && !is_for(channel, session) {
            return Err(ErrorCode::PermissionDenied);
        }
        let is_member = self.names.get(channel).is_some_and(|channel| session.sub(*channel).is_some());
        if rules.publish.permits(session, is_member) { Ok(()) } else { Err(ErrorCode::PermissionDenied) }
    }

    /// A plain client's message to a user's inbox.
    pub(super) fn on_said(&mut self, now: Now, key: SessionKey, to: &UserName, data: Bytes) {
        let Some(session) = self.sessions.get(key as usize).filter(|session| !session.is_gone()) else { return };
        let (session, entry) = (session.id(key), self.entry_of(key, None, data));
        self.publish(now, Waiting::Said(session), ChannelName::personal(to), entry, None);
    }

    pub(super) fn on_puzzled(&mut self, key: SessionKey) {
        self.tell_problem(key, HELP);
    }

    fn entry_of(&self, key: SessionKey, channel: Option<&ChannelName>, data: Bytes) -> Entry {
        let channel = channel.filter(|_| !self.grants.is_empty()).and_then(|channel| self.names.get(channel));
        let granted = channel.and_then(|channel| self.granted_info(key, *channel));
        let info = self.sessions.get(key as usize).map(|session| {
            let mut buffer = Uuid::encode_buffer();
            let client = session.client.hyphenated().encode_lower(&mut buffer);
            info_of(session.user_name(), client, session.info.as_deref(), granted)
        });
        Entry { data, info, tags: None }
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
        let options = self.config.rules_of(&channel).map(ChannelRules::options).unwrap_or_default();
        self.publish_as(now, waiting, NewPublish { channel, entry, options, idempotency_key, version: None });
    }

    /// What a backend publishes, which may be kept otherwise than the channel says.
    pub(super) fn publish_call(&mut self, now: Now, waiting: Waiting, channel: ChannelName, publish: &ApiPublish) {
        let options = self.config.rules_of(&channel).map(ChannelRules::options).unwrap_or_default();
        let history_size = if publish.skip_history { 0 } else { options.history_size };
        let options = ChannelOptions { history_size, ..options };
        let (entry, idempotency_key) = (publish.entry.clone(), publish.idempotency_key.clone());
        let version = publish.version.clone();
        self.publish_as(now, waiting, NewPublish { channel, entry, options, idempotency_key, version });
    }

    fn publish_as(&mut self, now: Now, waiting: Waiting, new: NewPublish) {
        self.counts.publishes += 1;
        let token = self.waiting.insert(waiting) as u64;
        if let Err(error) = self.rules.publish(now, token, new) {
            self.on_published(token, Err(error));
        }
    }

    pub(super) fn on_published(&mut self, token: u64, result: Result<(Option<Position>, u8), PublishError>) {
        let Some(waiting) = self.waiting.try_remove(token as usize) else { return };
        self.counts.publishes_failed += u64::from(result.is_err());
        let result = result.map(|(position, _)| position);
        match waiting {
            Waiting::Publish { session, id } => {
                if self.is_open(session) {
                    match result {
                        Ok(_) => self.reply(session.key, id, &Reply::Publish),
                        Err(error) => self.refuse(session.key, id, publish_fault(error)),
                    }
                }
                self.answered(session);
            }
            Waiting::Said(session) => {
                if let Err(error) = result
                    && self.is_open(session)
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

    /// Whether this very session is still there to be told.
    pub(super) fn is_open(&self, id: SessionId) -> bool {
        self.sessions.get(id.key as usize).is_some_and(|session| session.serial == id.serial && !session.is_gone())
    }

    /// One publish or read less is under way: a connection that was paused for them may go on.
    pub(super) fn answered(&mut self, id: SessionId) {
        let session = self.sessions.get(id.key as usize).filter(|session| session.serial == id.serial);
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
