//! The cases: frames of a client, and what it is answered.

mod channels;
mod frames;
mod streams;
mod tokens;

use jsonwebtoken::{EncodingKey, Header, encode};
use ringway_protocol::ws::Opcode;
use serde_json::{Value, json};

use super::talk::Answers;

/// What the servers under test sign with.
const SIGNING_KEY: &[u8] = b"a signing key for tests alone";

/// One client's talk.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// The connect request.
    pub(crate) connect: Value,
    pub(crate) steps: Vec<Step>,
    /// What the reference server answers, and this one unless `ours` says otherwise.
    pub(crate) expected: Answers,
    /// What this one answers, where that is another thing on purpose: docs/clients.md says why.
    pub(crate) ours: Option<Answers>,
}

#[derive(Debug)]
pub(crate) enum Step {
    /// A frame of commands.
    Frame(String, Opcode),
    /// A call of the server API.
    Api(&'static str, Value),
    /// Nothing, until so many pushes have come in all.
    Pushed(usize),
    /// So many publications of the server API: 1, 2, 3 and so on.
    Published(String, u64),
}

/// All cases, in channels that nobody has used before.
pub(crate) fn cases(names: &Names) -> Vec<Case> {
    let groups = [streams::cases(names), channels::cases(names), frames::cases(names), tokens::cases(names)];
    groups.into_iter().flatten().collect()
}

/// Names of channels that are new with each run.
#[derive(Debug)]
pub(crate) struct Names(pub(crate) String);

impl Names {
    pub(crate) fn channel(&self, name: &str) -> String {
        format!("{name}-{}", self.0)
    }

    /// A token with these claims.
    pub(crate) fn token(&self, claims: &Value) -> String {
        encode(&Header::default(), claims, &EncodingKey::from_secret(SIGNING_KEY)).expect("a token")
    }
}

impl Case {
    fn new(name: &'static str) -> Self {
        Self { name, connect: json!({}), steps: Vec::new(), expected: Answers::default(), ours: None }
    }

    fn connect(self, connect: Value) -> Self {
        Self { connect, ..self }
    }

    fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// Commands in one frame.
    fn send<const COUNT: usize>(self, commands: [Value; COUNT]) -> Self {
        let lines: Vec<String> = commands.into_iter().map(|command| command.to_string()).collect();
        self.text(&lines.join("\n"))
    }

    fn text(self, frame: &str) -> Self {
        self.step(Step::Frame(frame.to_owned(), Opcode::Text))
    }

    fn binary(self, frame: &str) -> Self {
        self.step(Step::Frame(frame.to_owned(), Opcode::Binary))
    }

    fn published(self, channel: &str, count: u64) -> Self {
        self.step(Step::Published(channel.to_owned(), count))
    }

    fn pushed(self, count: usize) -> Self {
        self.step(Step::Pushed(count))
    }

    fn api(self, method: &'static str, body: Value) -> Self {
        self.step(Step::Api(method, body))
    }

    fn replies<const COUNT: usize>(mut self, replies: [Value; COUNT]) -> Self {
        self.expected.replies = replies.into();
        self
    }

    fn pushes<const COUNT: usize>(mut self, pushes: [Value; COUNT]) -> Self {
        self.expected.pushes = pushes.into();
        self
    }

    fn closed(mut self, code: u16) -> Self {
        self.expected.closed = Some(code);
        self
    }

    /// This server answers otherwise.
    fn but_here<const COUNT: usize>(mut self, replies: [Value; COUNT]) -> Self {
        self.ours = Some(Answers { replies: replies.into(), ..Answers::default() });
        self
    }
}

fn command(id: u32, method: &str, request: Value) -> Value {
    let mut command = json!({"id": id});
    command[method] = request;
    command
}

fn subscribe(id: u32, channel: &str) -> Value {
    command(id, "subscribe", json!({"channel": channel}))
}

/// What a subscriber of a channel with recovery is answered, where nothing is published yet.
fn fresh(id: u32) -> Value {
    command(id, "subscribe", json!({"recoverable": true, "epoch": "*", "positioned": true}))
}

fn error(id: u32, code: u16, message: &str) -> Value {
    command(id, "error", json!({"code": code, "message": message}))
}

fn denied(id: u32) -> Value {
    error(id, 103, "permission denied")
}

/// Publications of these offsets, newest first if so.
fn publications(offsets: std::ops::RangeInclusive<u64>, is_reverse: bool) -> Value {
    let mut publications: Vec<Value> = offsets.map(|offset| json!({"data": offset, "offset": offset})).collect();
    if is_reverse {
        publications.reverse();
    }
    publications.into()
}
