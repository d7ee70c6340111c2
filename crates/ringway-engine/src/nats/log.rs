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

use async_nats::Client;
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{self, DiscardPolicy, LastRawMessageErrorKind, StorageType};
use async_nats::jetstream::{self, ErrorCode};
use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::time::timeout;
use tracing::{info, warn};

use super::{
    Config, Next, OpenError, code_of, connect, direct_get, header, is_connected, late, made, next_of, refusal,
    stream_config, subject,
};
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

    /// Deletes the stream and all that is in it: for a log that was made to be measured.
    ///
    /// # Errors
    /// It may still be there.
    pub async fn delete(&self) -> Result<(), Away> {
        let name = &self.stream.cached_info().config.name;
        match timeout(PATIENCE * 5, self.context.delete_stream(name)).await {
            Ok(deleted) => deleted.map(drop).map_err(|error| Away(error.to_string())),
            Err(_) => Err(late()),
        }
    }

    /// Copies of the stream, as it was when the log was opened.
    pub fn replicas(&self) -> usize {
        self.stream.cached_info().config.num_replicas
    }

    fn subject(&self, slot: u32) -> String {
        subject(&self.config, &format!("log.{slot}"))
    }
}

impl Log for NatsLog {
    async fn append(&self, slot: u32, after: Option<Place>, record: Bytes) -> Result<Appended, Away> {
        is_connected(&self.client)?;
        let after = after.map_or(0, |place| place.0);
        let message = PublishMessage::build().payload(record).expected_last_subject_sequence(after);
        let subject = self.subject(slot);
        let sent = timeout(PATIENCE, async { self.context.send_publish(subject, message).await?.await }).await;
        match sent {
            Ok(Ok(ack)) => Ok(Appended::At(Place(ack.sequence))),
            Ok(Err(error)) if is_full(&error) => Ok(Appended::Full),
            Ok(Err(error)) => match refusal(&error) {
                Refused::Conflict => Ok(Appended::Conflict),
                other => Err(Away(other.to_string())),
            },
            Err(_) => Err(late()),
        }
    }

    async fn last(&self, slot: u32) -> Result<Option<(Place, Bytes)>, Away> {
        is_connected(&self.client)?;
        match timeout(PATIENCE, self.stream.get_last_raw_message_by_subject(&self.subject(slot))).await {
            Ok(Ok(message)) => Ok(Some((Place(message.sequence), message.payload))),
            Ok(Err(error)) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Ok(Err(error)) => Err(Away(error.to_string())),
            Err(_) => Err(late()),
        }
    }

    async fn read(&self, slot: u32, after: Option<Place>, room: usize) -> Result<Page, Away> {
        is_connected(&self.client)?;
        let (from, subject) = (after.map_or(1, |place| place.0 + 1), self.subject(slot));
        let ask = format!(r#"{{"batch":{BATCH},"max_bytes":{room},"seq":{from},"next_by_subj":"{subject}"}}"#);
        let all = async {
            let mut answers = direct_get(&self.client, &self.stream, ask).await?;
            let (mut page, mut bytes) = (Page::default(), 0);
            loop {
                let message = match next_of(&mut answers).await? {
                    Next::Message(message) => message,
                    Next::End { more } => return Ok(Page { more: page.more | more, ..page }),
                    Next::NoStream => return Err(Away("NATS has no such stream, or no leader for it".to_owned())),
                };
                let place = header(&message, "Nats-Sequence").and_then(|sequence| sequence.parse().ok());
                let Some(place) = place else { return Err(Away("NATS answers without a sequence".to_owned())) };
                bytes += message.payload.len();
                // The server counts more than the records.
                if page.more || bytes > room && !page.records.is_empty() {
                    page.more = true;
                } else {
                    page.records.push((Place(place), message.payload));
                }
            }
        };
        timeout(PATIENCE, all).await.unwrap_or_else(|_| Err(late()))
    }

    async fn trim(&self, slot: u32, before: Place) -> Result<(), Away> {
        is_connected(&self.client)?;
        let purge = async {
            // The last one stays: whoever appends names it.
            let last = self.last(slot).await?.map_or(before, |(last, _)| last.min(before));
            let purge = self.stream.purge().filter(self.subject(slot)).sequence(last.0);
            purge.await.map_err(|error| Away(error.to_string()))
        };
        timeout(PATIENCE, purge).await.unwrap_or_else(|_| Err(late())).map(drop)
    }

    async fn slots(&self) -> Result<Vec<u32>, Away> {
        is_connected(&self.client)?;
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
    let code = code_of(error);
    error.kind() == PublishErrorKind::Other
        && (code == Some(ErrorCode::STREAM_STORE_FAILED) || code == Some(ErrorCode::INSUFFICIENT_RESOURCES))
}
