//! Much at once: large publications to many, much to recover, long histories.

use std::time::Duration;

use anyhow::{Context, bail};
use bytes::BytesMut;
use ringway_protocol::ws::{self, Decoder, Event, Message, Opcode, Side};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::super::party::{Beat, Party};
use super::AGAIN;
use super::client::Client;
use crate::socket;
use ringway_http::Connection;

/// Readers of a storm, its publications, and how many there are in a second.
const READERS: usize = 20;
const LARGE: usize = 60_000;
const STORM: u32 = 30;
/// The channel of those who have missed much: 3 MB.
pub(in super::super) const MISSED: &str = "missed";
pub(in super::super) const MISSED_COUNT: usize = 50;
pub(in super::super) const MISSED_BYTES: usize = 60_000;
const RETURNS: u32 = 8;
const RETURNERS: usize = 16;
/// The channel with a long history: 60 MB in one answer.
pub(in super::super) const LONG: &str = "long";
pub(in super::super) const LONG_COUNT: usize = 300;
pub(in super::super) const LONG_BYTES: usize = 200_000;
const ASKERS: usize = 3;
/// An answer with all of it is one message.
const LARGEST: usize = 128 * 1024 * 1024;
/// A client that hears nothing for so long tries another connection.
const PATIENCE: Duration = Duration::from_secs(30);

pub(in super::super) async fn storm(party: Party) {
    let mut readers = JoinSet::new();
    for _ in 0..READERS {
        let party = party.clone();
        readers.spawn(async move {
            loop {
                if let Ok(mut client) = Client::connect(&party, "").await
                    && client.send(r#"{"id":2,"subscribe":{"channel":"storm"}}"#, 1).is_ok()
                {
                    client.listen().await;
                }
                sleep(AGAIN).await;
            }
        });
    }
    let beat = Beat::new(STORM);
    loop {
        let Ok(mut api) = Connection::open(party.field.target.addr).await else { continue };
        loop {
            beat.next().await;
            if party.field.publish(&mut api, "storm", LARGE).await.is_err() {
                break;
            }
            party.tally.did();
        }
        sleep(AGAIN).await;
    }
}

pub(in super::super) async fn recoveries(party: Party) {
    let beat = Beat::new(RETURNS);
    many(&party, RETURNERS, move |party| {
        let beat = beat.clone();
        async move {
            let mut api = Connection::open(party.field.target.addr).await?;
            let place = party.field.call(&mut api, "history", &json!({ "channel": MISSED })).await?;
            let epoch = place["epoch"].as_str().context("a stream has an epoch")?.to_owned();
            loop {
                beat.next().await;
                let mut reader = Reader::connect(&party).await?;
                let subscribe = json!({"channel": MISSED, "recover": true, "offset": 0, "epoch": epoch});
                reader.say(&json!({ "id": 2, "subscribe": subscribe })).await?;
                reader.read(MISSED_COUNT * MISSED_BYTES).await?;
                party.tally.did();
            }
        }
    })
    .await;
}

pub(in super::super) async fn histories(party: Party) {
    many(&party, ASKERS, |party| async move {
        let mut reader = Reader::connect(&party).await?;
        reader.say(&json!({"id": 2, "subscribe": {"channel": LONG}})).await?;
        reader.read(1).await?;
        loop {
            reader.say(&json!({"id": 3, "history": {"channel": LONG, "limit": LONG_COUNT}})).await?;
            reader.read(LONG_COUNT * LONG_BYTES).await?;
            party.tally.did();
        }
    })
    .await;
}

/// So many who do this over and over.
async fn many<F, D>(party: &Party, count: usize, go: F)
where
    F: Fn(Party) -> D + Clone + Send + 'static,
    D: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    for _ in 0..count {
        let (party, go) = (party.clone(), go.clone());
        tasks.spawn(async move {
            loop {
                let _ = go(party.clone()).await;
                sleep(AGAIN).await;
            }
        });
    }
    while tasks.join_next().await.is_some() {}
}

/// A client that takes messages of any size, one after the other.
struct Reader {
    stream: TcpStream,
    decoder: Decoder,
    buffer: Vec<u8>,
}

impl Reader {
    async fn connect(party: &Party) -> anyhow::Result<Self> {
        let (stream, _) = socket::upgrade(&party.field.target, "/connection/websocket").await?;
        let decoder = Decoder::new(Side::Client, LARGEST);
        let mut reader = Self { stream, decoder, buffer: vec![0; 256 * 1024] };
        reader.say(&json!({"id": 1, "connect": {}})).await?;
        reader.read(1).await?;
        Ok(reader)
    }

    async fn say(&mut self, command: &Value) -> anyhow::Result<()> {
        let mut frame = BytesMut::new();
        ws::append_masked(&mut frame, Opcode::Text, command.to_string().as_bytes(), [1, 2, 3, 4]);
        Ok(self.stream.write_all(&frame).await?)
    }

    /// Reads messages until so many bytes have come.
    async fn read(&mut self, mut bytes: usize) -> anyhow::Result<()> {
        while bytes > 0 {
            let count = tokio::time::timeout(PATIENCE, self.stream.read(&mut self.buffer)).await??;
            if count == 0 {
                bail!("the connection ended");
            }
            let mut input = &mut self.buffer[..count];
            while let Some(event) = self.decoder.decode(&mut input)? {
                match event {
                    Event::Message(Message::Text(text)) => bytes = bytes.saturating_sub(text.len()),
                    Event::Close(_) => bail!("closed"),
                    _ => {}
                }
            }
        }
        Ok(())
    }
}
