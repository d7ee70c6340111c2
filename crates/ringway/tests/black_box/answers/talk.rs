//! Talks to a server as a case says, and compares what it answers.

use std::fmt;
use std::net::SocketAddr;

use anyhow::{Context, ensure};
use ringway_protocol::ws::Opcode;
use ringway_testkit::raw::Frame;
use ringway_testkit::server::KEY;
use ringway_testkit::{RawWs, http};
use serde_json::{Value, json};

use super::cases::{Case, Step};
use crate::support::SOON;

/// Id of the command behind all of a case, whose answer says that nothing more comes: an error of both servers.
const LAST: u64 = 4_000_000;

/// What a client was answered.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answers {
    /// Replies by their ids, then answers of the API.
    pub(crate) replies: Vec<Value>,
    /// In the order in which they came.
    pub(crate) pushes: Vec<Value>,
    /// Why it was closed, if it was.
    pub(crate) closed: Option<u16>,
}

impl Answers {
    /// Whether these are those, with `"*"` here for anything there.
    pub(crate) fn matches(&self, got: &Self) -> bool {
        is_like(&json!(self.replies), &json!(got.replies))
            && is_like(&json!(self.pushes), &json!(got.pushes))
            && self.closed == got.closed
    }
}

impl fmt::Display for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { replies, pushes, closed } = self;
        write!(f, "{} {}", json!(replies), json!(pushes))?;
        closed.map_or(Ok(()), |code| write!(f, " closed {code}"))
    }
}

fn is_like(expected: &Value, got: &Value) -> bool {
    match (expected, got) {
        (Value::String(any), _) if any == "*" => true,
        (Value::Array(expected), Value::Array(got)) => {
            expected.len() == got.len() && expected.iter().zip(got).all(|(expected, got)| is_like(expected, got))
        }
        (Value::Object(expected), Value::Object(got)) => {
            let has = |(key, value): (&String, &Value)| got.get(key).is_some_and(|got| is_like(value, got));
            expected.len() == got.len() && expected.iter().all(has)
        }
        _ => expected == got,
    }
}

/// Takes a case's steps one after the other, each when the one before it is answered.
pub(crate) async fn answers(addr: SocketAddr, case: &Case) -> anyhow::Result<Answers> {
    let mut talk = Talk { raw: RawWs::connect(addr, "/connection/websocket").await?, got: Answers::default() };
    talk.say(&json!({"id": 1, "connect": case.connect}).to_string(), Opcode::Text).await?;
    ensure!(talk.got.replies[0]["connect"]["client"].is_string(), "no session: {}", talk.got);
    talk.got = Answers::default();
    let mut from_api = Vec::new();
    for step in &case.steps {
        match step {
            Step::Frame(frame, opcode) => talk.say(frame, *opcode).await?,
            Step::Pushed(count) => talk.wait_pushes(*count).await?,
            Step::Api(method, body) => from_api.push(api(addr, method, body).await?),
            Step::Published(channel, count) => {
                for number in 1..=*count {
                    api(addr, "publish", &json!({"channel": channel, "data": number})).await?;
                }
            }
        }
    }
    if talk.got.closed.is_none() {
        talk.say(&json!({"id": LAST, "rpc": {"method": "none"}}).to_string(), Opcode::Text).await?;
    }
    let expected = case.ours.as_ref().unwrap_or(&case.expected);
    // Pushes may come behind the replies; where there are to be none, none may have come.
    talk.wait_pushes(expected.pushes.len()).await?;
    let mut got = talk.got;
    got.replies.retain(|reply| reply["id"] != LAST);
    got.replies.sort_by_key(|reply| reply["id"].as_u64());
    got.replies.extend(from_api);
    Ok(got)
}

async fn api(addr: SocketAddr, method: &str, body: &Value) -> anyhow::Result<Value> {
    http::post(addr, &format!("/api/{method}"), &[("x-api-key", KEY)], body).await?.json()
}

struct Talk {
    raw: RawWs,
    got: Answers,
}

impl Talk {
    /// Sends a frame and waits for the replies to all that can be read of it, or for the end.
    async fn say(&mut self, frame: &str, opcode: Opcode) -> anyhow::Result<()> {
        if self.got.closed.is_some() {
            return Ok(());
        }
        self.raw.send(opcode, frame.as_bytes()).await?;
        let read: Vec<Option<Value>> =
            frame.trim_end().split('\n').map(|line| serde_json::from_str(line).ok()).collect();
        let ids: Vec<Value> = read.iter().flatten().map(|command| command["id"].clone()).collect();
        let is_whole = read.iter().all(Option::is_some);
        let is_answered = |got: &Answers| {
            is_whole && ids.iter().all(|id| id.is_null() || got.replies.iter().any(|reply| reply["id"] == *id))
        };
        while self.got.closed.is_none() && !is_answered(&self.got) {
            self.hear().await.with_context(|| format!("after {frame}, with {}", self.got))?;
        }
        Ok(())
    }

    async fn wait_pushes(&mut self, count: usize) -> anyhow::Result<()> {
        while self.got.closed.is_none() && self.got.pushes.len() < count {
            self.hear().await?;
        }
        Ok(())
    }

    async fn hear(&mut self) -> anyhow::Result<()> {
        match self.raw.recv(SOON).await? {
            Frame::Text(text) => {
                for line in text.lines() {
                    let message: Value = serde_json::from_str(line)?;
                    let to = if message.get("push").is_some() { &mut self.got.pushes } else { &mut self.got.replies };
                    to.push(message);
                }
            }
            Frame::Close(code, _) => self.got.closed = code,
            Frame::End => self.got.closed = Some(self.got.closed.unwrap_or(0)),
            Frame::Ping(_) | Frame::Pong(_) | Frame::Binary(_) => {}
        }
        Ok(())
    }
}
