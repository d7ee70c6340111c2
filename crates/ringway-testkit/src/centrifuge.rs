//! A small client of the Centrifuge protocol, for tests that look at each message. Tests see JSON, whichever form travels.
//!
//! Like the SDKs it answers pings, keeps its position in every channel, and subscribes again from there when the server's unsubscribe push asks for it.

mod protobuf;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use ringway_bench::client::Form;
use ringway_bench::socket::{Closed, Handler, SendError, Socket};
use ringway_http::Target;
use serde_json::{Value, json};
use thiserror::Error;

use crate::mailbox::{Letters, Mailbox};

/// A reply that takes longer is missing; SDKs give up after five seconds.
const REPLY_LIMIT: Duration = Duration::from_secs(5);
/// An unsubscribe push with this code or a higher one asks to subscribe again.
const UNSUBSCRIBED_FOR_NOW: u64 = 2500;
/// The client's own later subscribes are numbered from here, apart from the test's commands.
const RESUBSCRIBE: u64 = 1 << 31;

/// A connected client. Dropping it drops the connection without a close frame.
#[derive(Debug)]
pub struct CentrifugeClient {
    /// What the server calls it.
    id: String,
    socket: Socket,
    form: Form,
    mailbox: Mailbox<Inner>,
    last_command: u64,
}

/// Why a command failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CallError {
    /// The server answered with an error.
    #[error("error {code}: {message}")]
    Server {
        /// The protocol's number of the error.
        code: u64,
        /// Its words.
        message: String,
    },
    /// No answer came in time, or the socket ended before it.
    #[error("no reply (closed: {0:?})")]
    NoReply(Option<Closed>),
}

/// A publication as it came.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Publication {
    /// Its channel.
    pub channel: String,
    /// Its place in the channel's stream; 0 without history.
    pub offset: u64,
    /// What was published.
    pub data: Value,
    /// The publishing client's `info`, if it was one.
    pub info: Option<Value>,
}

/// Where a client is in a channel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Position {
    /// The last publication it has.
    pub offset: u64,
    /// The stream that this offset is of.
    pub epoch: String,
}

#[derive(Debug, Default)]
struct Inner {
    /// Publications, in the order of arrival.
    publications: Letters<Publication>,
    /// Pushes that are no publications.
    pushes: Letters<Value>,
    replies: HashMap<u64, Value>,
    positions: HashMap<String, Position>,
    /// Which channel each subscribe command was for.
    subscribing: HashMap<u64, String>,
    /// The answers to subscribes that the client made of its own accord.
    resubscribed: Vec<Value>,
    pings: u64,
    ignore_pings: bool,
}

impl CentrifugeClient {
    /// Connects without a token.
    ///
    /// # Errors
    /// The connection, the upgrade or the connect command failed.
    pub async fn connect(addr: SocketAddr) -> anyhow::Result<Self> {
        Self::connect_with(&Target::from(addr), json!({})).await
    }

    /// Connects with the given connect request, like `{"token": …}`.
    ///
    /// # Errors
    /// As [`CentrifugeClient::connect`].
    pub async fn connect_with(target: &Target, request: Value) -> anyhow::Result<Self> {
        Self::connect_in(Form::Json, target, request).await
    }

    /// The same in either form. In Protobuf, a payload that is a string of the form `base64:…` is sent as those bytes, and one that is no
    /// JSON is shown so.
    ///
    /// # Errors
    /// As [`CentrifugeClient::connect`].
    pub async fn connect_in(form: Form, target: &Target, request: Value) -> anyhow::Result<Self> {
        let mailbox = Mailbox::new();
        let handler = CentrifugeHandler { form, mailbox: mailbox.clone() };
        let socket = Socket::connect(target, form.path(), handler).await?;
        let mut client = Self { id: String::new(), socket, form, mailbox, last_command: 0 };
        let result = client.call("connect", request).await?;
        client.id = result["client"].as_str().context("the connect result names no client")?.to_owned();
        Ok(client)
    }

    /// What the server calls it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Sends a command and waits for its result.
    ///
    /// # Errors
    /// The server's error, or none came.
    pub async fn call(&mut self, method: &str, params: Value) -> Result<Value, CallError> {
        self.last_command += 1;
        let id = self.last_command;
        if method == "subscribe" {
            let channel = params["channel"].as_str().unwrap_or_default().to_owned();
            self.mailbox.lock().subscribing.insert(id, channel);
        }
        // What cannot be sent gets no reply, which is told below.
        let _ = send(self.form, &self.socket, &json!({"id": id, method: params}));
        let reply = self.mailbox.wait(REPLY_LIMIT, |inner| match inner.replies.remove(&id) {
            None => inner.publications.closed.is_some().then_some(None),
            reply => Some(reply),
        });
        let Some(mut reply) = reply.await.flatten() else { return Err(CallError::NoReply(self.closed())) };
        match reply.get("error") {
            Some(error) => Err(CallError::Server {
                code: error["code"].as_u64().unwrap_or_default(),
                message: error["message"].as_str().unwrap_or_default().to_owned(),
            }),
            None => Ok(reply[method].take()),
        }
    }

    /// Subscribes to `channel` from now on.
    ///
    /// # Errors
    /// As [`CentrifugeClient::call`].
    pub async fn subscribe(&mut self, channel: &str) -> Result<Value, CallError> {
        self.call("subscribe", json!({"channel": channel, "flag": 1})).await
    }

    /// Subscribes to `channel` and asks for what came after `position`; that counts among the publications.
    ///
    /// # Errors
    /// As [`CentrifugeClient::call`].
    pub async fn recover(&mut self, channel: &str, position: &Position) -> Result<Value, CallError> {
        let Position { offset, epoch } = position;
        let params = json!({"channel": channel, "flag": 1, "recover": true, "offset": offset, "epoch": epoch});
        self.call("subscribe", params).await
    }

    /// Ends the subscription to `channel`.
    ///
    /// # Errors
    /// As [`CentrifugeClient::call`].
    pub async fn unsubscribe(&mut self, channel: &str) -> Result<Value, CallError> {
        self.call("unsubscribe", json!({"channel": channel})).await
    }

    /// Publishes `data` to `channel`; done when the server acknowledged it.
    ///
    /// # Errors
    /// As [`CentrifugeClient::call`].
    pub async fn publish(&mut self, channel: &str, data: Value) -> Result<Value, CallError> {
        self.call("publish", json!({"channel": channel, "data": data})).await
    }

    /// Who is subscribed to `channel`: client id to info.
    ///
    /// # Errors
    /// As [`CentrifugeClient::call`].
    pub async fn presence(&mut self, channel: &str) -> Result<Value, CallError> {
        self.call("presence", json!({"channel": channel})).await.map(|mut result| result["presence"].take())
    }

    /// All of `channel`'s history, with its offset and epoch.
    ///
    /// # Errors
    /// As [`CentrifugeClient::call`].
    pub async fn history(&mut self, channel: &str) -> Result<Value, CallError> {
        self.call("history", json!({"channel": channel, "limit": -1})).await
    }

    /// Sends `text` as it is.
    ///
    /// # Errors
    /// The socket has ended or is stuck.
    pub fn send_text(&self, text: &str) -> anyhow::Result<()> {
        Ok(self.socket.send_text(text)?)
    }

    /// The next publication that was not received yet, of any channel.
    ///
    /// # Errors
    /// None came in time, or the socket ended.
    pub async fn recv(&mut self, limit: Duration) -> anyhow::Result<Publication> {
        let found = self.mailbox.wait(limit, |inner| next(&mut inner.publications)).await.flatten();
        found.with_context(|| format!("no publication within {limit:?}"))
    }

    /// The next push that is no publication (join, leave, unsubscribe, …), as it stands in `push`.
    ///
    /// # Errors
    /// None came in time.
    pub async fn recv_push(&mut self, limit: Duration) -> anyhow::Result<Value> {
        let found = self.mailbox.wait(limit, |inner| next(&mut inner.pushes)).await.flatten();
        found.with_context(|| format!("no push within {limit:?}"))
    }

    /// All publications of `channel` so far, in the order of arrival.
    pub fn publications(&self, channel: &str) -> Vec<Publication> {
        let inner = self.mailbox.lock();
        inner.publications.got.iter().filter(|publication| publication.channel == channel).cloned().collect()
    }

    /// Waits until `channel` has had `count` publications; gives them all.
    ///
    /// # Errors
    /// There were fewer in time; the error shows them.
    pub async fn wait_publications(
        &mut self,
        channel: &str,
        count: usize,
        limit: Duration,
    ) -> anyhow::Result<Vec<Publication>> {
        let enough = |inner: &mut Inner| {
            let its = inner.publications.got.iter().filter(|publication| publication.channel == channel).count();
            (its >= count).then_some(())
        };
        let found = self.mailbox.wait(limit, enough).await;
        let publications = self.publications(channel);
        found.with_context(|| format!("fewer than {count} publications within {limit:?}: {publications:?}"))?;
        Ok(publications)
    }

    /// Where it is in `channel`; what [`CentrifugeClient::recover`] of another connection goes on from.
    pub fn position(&self, channel: &str) -> Option<Position> {
        self.mailbox.lock().positions.get(channel).cloned()
    }

    /// The replies to the subscribes that it made by itself because the server asked for it.
    pub fn resubscribed(&self) -> Vec<Value> {
        self.mailbox.lock().resubscribed.clone()
    }

    /// How many pings it got.
    pub fn pings(&self) -> u64 {
        self.mailbox.lock().pings
    }

    /// Leaves pings unanswered from now on.
    pub fn ignore_pings(&self) {
        self.mailbox.lock().ignore_pings = true;
    }

    /// How the socket ended, if it has.
    pub fn closed(&self) -> Option<Closed> {
        self.mailbox.lock().publications.closed.clone()
    }

    /// Waits for the socket's end.
    ///
    /// # Errors
    /// It stayed open.
    pub async fn wait_closed(&mut self, limit: Duration) -> anyhow::Result<Closed> {
        let closed = self.mailbox.wait(limit, |inner| inner.publications.closed.clone()).await;
        closed.with_context(|| format!("client {} is still open after {limit:?}", self.id))
    }

    /// Asks the server to close.
    pub fn close(&self) {
        self.socket.close(1000, "");
    }
}

impl Drop for CentrifugeClient {
    fn drop(&mut self) {
        self.socket.abort();
    }
}

fn next<T: Clone>(letters: &mut Letters<T>) -> Option<Option<T>> {
    match letters.got.get(letters.read) {
        Some(letter) => {
            letters.read += 1;
            Some(Some(letter.clone()))
        }
        None => letters.closed.is_some().then_some(None),
    }
}

/// Sends a command.
fn send(form: Form, socket: &Socket, command: &Value) -> Result<(), SendError> {
    match form {
        Form::Json => socket.send_text(&command.to_string()),
        Form::Protobuf => socket.send_binary(&protobuf::frame(command)),
    }
}

struct CentrifugeHandler {
    form: Form,
    mailbox: Mailbox<Inner>,
}

impl CentrifugeHandler {
    fn take(&self, message: Value, socket: &Socket) {
        let answer = self.mailbox.change(|inner| inner.take(message));
        if let Some(answer) = answer {
            // What cannot be sent is followed by the socket's end.
            let _ = send(self.form, socket, &answer);
        }
    }
}

impl Handler for CentrifugeHandler {
    fn text(&mut self, text: &str, socket: &Socket) {
        for line in text.split('\n').filter(|line| !line.is_empty()) {
            self.take(serde_json::from_str(line).unwrap_or_else(|_| Value::String(line.to_owned())), socket);
        }
    }

    fn binary(&mut self, frame: &[u8], socket: &Socket) -> bool {
        protobuf::messages(frame).into_iter().for_each(|message| self.take(message, socket));
        self.form == Form::Protobuf
    }

    fn closed(&mut self, closed: &Closed) {
        self.mailbox.change(|inner| {
            inner.publications.closed = Some(closed.clone());
            inner.pushes.closed = Some(closed.clone());
        });
    }
}

impl Inner {
    /// Files one message; gives what is to be answered.
    fn take(&mut self, mut message: Value) -> Option<Value> {
        if message.as_object().is_some_and(serde_json::Map::is_empty) {
            self.pings += 1;
            return (!self.ignore_pings).then(|| json!({}));
        }
        if let Some(push) = message.get_mut("push").map(Value::take) {
            return self.push(push);
        }
        match message["id"].as_u64() {
            Some(id) => self.reply(id, message),
            None => self.pushes.push(message),
        }
        None
    }

    fn push(&mut self, mut push: Value) -> Option<Value> {
        let channel = push["channel"].as_str().unwrap_or_default().to_owned();
        if let Some(publication) = push.get_mut("pub") {
            self.publication(&channel, publication.take());
            return None;
        }
        let code = push["unsubscribe"]["code"].as_u64();
        self.pushes.push(push);
        if code? < UNSUBSCRIBED_FOR_NOW {
            self.positions.remove(&channel);
            return None;
        }
        let Position { offset, epoch } = self.positions.get(&channel).cloned().unwrap_or_default();
        let id = RESUBSCRIBE + self.subscribing.len() as u64;
        self.subscribing.insert(id, channel.clone());
        let subscribe = json!({"channel": channel, "flag": 1, "recover": true, "offset": offset, "epoch": epoch});
        Some(json!({"id": id, "subscribe": subscribe}))
    }

    fn reply(&mut self, id: u64, reply: Value) {
        if let (Some(channel), Some(result)) = (self.subscribing.get(&id).cloned(), reply.get("subscribe")) {
            let epoch = result["epoch"].as_str().unwrap_or_default().to_owned();
            let offset = result["offset"].as_u64().unwrap_or_default();
            self.positions.insert(channel.clone(), Position { offset, epoch });
            for publication in result["publications"].as_array().into_iter().flatten() {
                self.publication(&channel, publication.clone());
            }
        }
        if id >= RESUBSCRIBE {
            self.resubscribed.push(reply);
        } else {
            self.replies.insert(id, reply);
        }
    }

    fn publication(&mut self, channel: &str, mut publication: Value) {
        let offset = publication["offset"].as_u64().unwrap_or_default();
        if let Some(position) = self.positions.get_mut(channel) {
            position.offset = offset.max(position.offset);
        }
        let info = publication.get_mut("info").map(Value::take);
        let channel = channel.to_owned();
        self.publications.push(Publication { channel, offset, data: publication["data"].take(), info });
    }
}
