//! A log in NATS JetStream: a stream on disk with a subject for each slot. A place is the number of a message.
//!
//! | what | is |
//! |---|---|
//! | append | a publish with `Nats-Expected-Last-Subject-Sequence`: refused if the subject has moved |
//! | last | `STREAM.MSG.GET` by last subject, which the leader of the stream answers |
//! | read | direct gets, which any replica answers: one that is behind shows less |
//! | trim | a purge of the subject, up to a message |
//!
//! The stream refuses what is above its limit, and lets nobody delete a message alone.

use std::sync::Arc;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{self, DiscardPolicy, LastRawMessageErrorKind, StorageType};
use async_nats::jetstream::{self, ErrorCode};
use async_nats::{Client, StatusCode};
use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::time::timeout;
use tracing::{info, warn};

use super::{Config, NO_CONTENT, OpenError, connect, late, made, stream_config, subject};
use crate::log::{Appended, Log, Page, Place};
use crate::store::{Away, Refused};

/// An append to a stream whose leader has just died is answered by the next one: an election takes up to 9 s. Whoever appends asks again
/// long before that, and finds out what became of it.
const PATIENCE: Duration = Duration::from_secs(2);

/// Most messages of one direct get.
const BATCH: usize = 256;

/// The log.
#[derive(Debug, Clone)]
pub struct NatsLog {
    client: Client,
    context: jetstream::Context,
    stream: stream::Stream,
    config: Arc<Config>,
}

impl NatsLog {
    /// Connects, and makes the stream if it is not there.
    ///
    /// # Errors
    /// [`OpenError`]
    pub async fn open(config: &Config) -> Result<Self, OpenError> {
        let client = connect(config).await?;
        let context = jetstream::new(client.clone());
        let stream = made(&context, wanted(config), config.replicas.is_none()).await?;
        let info = &stream.cached_info().config;
        info!(replicas = info.num_replicas, "the log is in NATS");
        if info.storage != StorageType::File {
            warn!(stream = %info.name, "this stream is not on disk: a restart of its servers loses what is kept in the log");
        }
        if info.discard != DiscardPolicy::New || info.max_age != Duration::ZERO {
            warn!(stream = %info.name, "this stream drops old records by itself: set its discard policy to new, and no limit of age");
        }
        Ok(Self { client, context, stream, config: Arc::new(config.clone()) })
    }

    fn subject(&self, slot: u32) -> String {
        subject(&self.config, &format!("log.{slot}"))
    }

    /// What is published while there is no connection would wait in the client, and come true much later.
    fn is_connected(&self) -> Result<(), Away> {
        match self.client.connection_state() {
            State::Connected => Ok(()),
            State::Pending | State::Disconnected => Err(Away("there is no connection to NATS".to_owned())),
        }
    }
}

impl Log for NatsLog {
    async fn append(&self, slot: u32, after: Option<Place>, record: Bytes) -> Result<Appended, Away> {
        self.is_connected()?;
        let after = after.map_or(0, |place| place.0);
        let message = PublishMessage::build().payload(record).expected_last_subject_sequence(after);
        let subject = self.subject(slot);
        let sent = timeout(PATIENCE, async { self.context.send_publish(subject, message).await?.await }).await;
        match sent {
            Ok(Ok(ack)) => Ok(Appended::At(Place(ack.sequence))),
            Ok(Err(error)) if is_full(&error) => Ok(Appended::Full),
            Ok(Err(error)) => match super::refusal(&error) {
                Refused::Conflict => Ok(Appended::Conflict),
                other => Err(Away(other.to_string())),
            },
            Err(_) => Err(late()),
        }
    }

    async fn last(&self, slot: u32) -> Result<Option<(Place, Bytes)>, Away> {
        self.is_connected()?;
        match timeout(PATIENCE, self.stream.get_last_raw_message_by_subject(&self.subject(slot))).await {
            Ok(Ok(message)) => Ok(Some((Place(message.sequence), message.payload))),
            Ok(Err(error)) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Ok(Err(error)) => Err(Away(error.to_string())),
            Err(_) => Err(late()),
        }
    }

    async fn read(&self, slot: u32, after: Option<Place>, room: usize) -> Result<Page, Away> {
        self.is_connected()?;
        let (name, inbox) = (&self.stream.cached_info().config.name, self.client.new_inbox());
        let failed = |error: String| Away(error);
        let mut answers = self.client.subscribe(inbox.clone()).await.map_err(|error| failed(error.to_string()))?;
        let (from, subject) = (after.map_or(1, |place| place.0 + 1), self.subject(slot));
        let ask = format!(r#"{{"batch":{BATCH},"max_bytes":{room},"seq":{from},"next_by_subj":"{subject}"}}"#);
        let all = async {
            let to = format!("$JS.API.DIRECT.GET.{name}");
            self.client.publish_with_reply(to, inbox, ask.into()).await.map_err(|error| failed(error.to_string()))?;
            let (mut page, mut bytes) = (Page::default(), 0);
            while let Some(message) = answers.next().await {
                let header = |name: &str| message.headers.as_ref().and_then(|headers| headers.get(name));
                match message.status {
                    Some(status) if status == StatusCode::NOT_FOUND => return Ok(page),
                    Some(status) if status.as_u16() == NO_CONTENT => {
                        let left = header("Nats-Num-Pending").and_then(|left| left.as_str().parse::<u64>().ok());
                        page.more |= left.is_some_and(|left| left > 0);
                        return Ok(page);
                    }
                    Some(status) if status.is_client_error() || status.is_server_error() => {
                        return Err(failed(format!("NATS answers {status}")));
                    }
                    _ => {}
                }
                let place = header("Nats-Sequence").and_then(|sequence| sequence.as_str().parse().ok());
                let Some(place) = place else { return Err(failed("NATS answers without a sequence".to_owned())) };
                bytes += message.payload.len();
                // The server counts more than the records.
                if page.more || bytes > room && !page.records.is_empty() {
                    page.more = true;
                } else {
                    page.records.push((Place(place), message.payload));
                }
            }
            Err(failed("the connection to NATS has ended".to_owned()))
        };
        timeout(PATIENCE, all).await.unwrap_or_else(|_| Err(late()))
    }

    async fn trim(&self, slot: u32, before: Place) -> Result<(), Away> {
        self.is_connected()?;
        let purge = async {
            // The last one stays: whoever appends names it.
            let last = self.last(slot).await?.map_or(before, |(last, _)| last.min(before));
            let purge = self.stream.purge().filter(self.subject(slot)).sequence(last.0);
            purge.await.map_err(|error| Away(error.to_string()))
        };
        timeout(PATIENCE, purge).await.unwrap_or_else(|_| Err(late())).map(drop)
    }

    async fn slots(&self) -> Result<Vec<u32>, Away> {
        self.is_connected()?;
        let all = async {
            let mut info = self
                .stream
                .info_with_subjects(subject(&self.config, "log.>"))
                .await
                .map_err(|error| Away(error.to_string()))?;
            let (mut slots, under) = (Vec::new(), subject(&self.config, "log."));
            while let Some(next) = info.next().await {
                let (subject, _) = next.map_err(|error| Away(error.to_string()))?;
                slots.extend(subject.strip_prefix(&under).and_then(|slot| slot.parse::<u32>().ok()));
            }
            Ok(slots)
        };
        timeout(PATIENCE * 5, all).await.unwrap_or_else(|_| Err(late()))
    }
}

/// What the stream is made like.
fn wanted(config: &Config) -> stream::Config {
    stream::Config {
        max_messages_per_subject: -1,
        discard: DiscardPolicy::New,
        deny_delete: true,
        // A record that comes twice is refused by its place.
        duplicate_window: Duration::from_millis(100),
        ..stream_config(config, "LOG", "log.>", StorageType::File)
    }
}

fn is_full(error: &jetstream::context::PublishError) -> bool {
    use std::error::Error as _;
    let source = error.source().and_then(|source| source.downcast_ref::<jetstream::Error>());
    let code = source.map(jetstream::Error::error_code);
    error.kind() == PublishErrorKind::Other
        && (code == Some(ErrorCode::STREAM_STORE_FAILED) || code == Some(ErrorCode::INSUFFICIENT_RESOURCES))
}
