//! A user of the plain protocol, for tests that look at each message.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use ringway_bench::socket::{Closed, Handler, SendError, Socket};
use ringway_http::Target;
use serde_json::Value;

use crate::mailbox::{Letters, Mailbox};

/// A connected user. Dropping it drops the connection without a close frame.
#[derive(Debug)]
pub struct PlainClient {
    user: String,
    socket: Socket,
    mailbox: Mailbox<Letters<Value>>,
}

impl PlainClient {
    /// Connects as `user`. The welcome (type 1) is the first message to receive.
    ///
    /// # Errors
    /// The connection or the upgrade failed.
    pub async fn connect(addr: SocketAddr, user: &str) -> anyhow::Result<Self> {
        Self::connect_at(&Target::from(addr), user).await
    }

    /// As [`PlainClient::connect`], under a path prefix.
    ///
    /// # Errors
    /// As there.
    pub async fn connect_at(target: &Target, user: &str) -> anyhow::Result<Self> {
        let mailbox = Mailbox::new();
        let socket = Socket::connect(target, &format!("/socket/{user}"), PlainHandler(mailbox.clone())).await;
        Ok(Self { user: user.to_owned(), socket: socket.with_context(|| format!("user {user}"))?, mailbox })
    }

    /// Its name.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Sends `text` as it is.
    ///
    /// # Errors
    /// The socket has ended or is stuck.
    pub fn send_text(&self, text: &str) -> Result<(), SendError> {
        self.socket.send_text(text)
    }

    /// Sends `text` to `user`.
    ///
    /// # Errors
    /// As [`PlainClient::send_text`].
    pub fn send_to(&self, user: &str, text: &str) -> Result<(), SendError> {
        self.send_text(&format!("@{user}:{text}"))
    }

    /// The next message that was not received yet.
    ///
    /// # Errors
    /// None came in time, or the socket ended.
    pub async fn recv(&mut self, limit: Duration) -> anyhow::Result<Value> {
        self.next(limit, |_| true).await.with_context(|| format!("no message within {limit:?}"))
    }

    /// The next message of this `type`; others before it are skipped.
    ///
    /// # Errors
    /// As [`PlainClient::recv`].
    pub async fn recv_type(&mut self, kind: u64, limit: Duration) -> anyhow::Result<Value> {
        let found = self.next(limit, |message| message["type"] == kind).await;
        found.with_context(|| format!("no message of type {kind} within {limit:?}; all so far: {:?}", self.all()))
    }

    /// The next message's (`content`, `from`), skipping what is no message between users.
    ///
    /// # Errors
    /// As [`PlainClient::recv`].
    pub async fn recv_content(&mut self, limit: Duration) -> anyhow::Result<(String, Option<String>)> {
        let message = self.recv_type(3, limit).await?;
        let content = message["content"].as_str().with_context(|| format!("content is no string: {message}"))?;
        Ok((content.to_owned(), message["from"].as_str().map(str::to_owned)))
    }

    /// Everything that came since it connected, in order.
    pub fn all(&self) -> Vec<Value> {
        self.mailbox.lock().got.clone()
    }

    /// The `content` of every message between users that came, in order.
    pub fn contents(&self) -> Vec<String> {
        let letters = self.mailbox.lock();
        let messages = letters.got.iter().filter(|message| message["type"] == 3);
        messages.filter_map(|message| message["content"].as_str().map(str::to_owned)).collect()
    }

    /// Waits until a ping of the server was answered after the last message between users: they will not come again.
    ///
    /// # Errors
    /// None came in time.
    pub async fn wait_confirmed(&mut self, limit: Duration) -> anyhow::Result<()> {
        let is_confirmed = |letters: &mut Letters<Value>| {
            letters.got[letters.confirmed..].iter().all(|message| message["type"] != 3).then_some(())
        };
        let confirmed = self.mailbox.wait(limit, is_confirmed).await;
        confirmed.with_context(|| format!("{} was sent no ping within {limit:?}", self.user))
    }

    /// How the socket ended, if it has.
    pub fn closed(&self) -> Option<Closed> {
        self.mailbox.lock().closed.clone()
    }

    /// Waits for the socket's end.
    ///
    /// # Errors
    /// It stayed open.
    pub async fn wait_closed(&mut self, limit: Duration) -> anyhow::Result<Closed> {
        let closed = self.mailbox.wait(limit, |letters| letters.closed.clone()).await;
        closed.with_context(|| format!("{} is still open after {limit:?}", self.user))
    }

    /// Asks the server to close.
    pub fn close(&self) {
        self.socket.close(1000, "");
    }

    async fn next(&mut self, limit: Duration, wanted: impl Fn(&Value) -> bool) -> Option<Value> {
        let found = self.mailbox.wait(limit, |Letters { got, read, closed, .. }| {
            let next = got[*read..].iter().position(&wanted);
            *read = next.map_or(got.len(), |at| *read + at + 1);
            match next {
                Some(_) => Some(Some(got[*read - 1].clone())),
                None => closed.is_some().then_some(None),
            }
        });
        found.await.flatten()
    }
}

impl Drop for PlainClient {
    fn drop(&mut self) {
        self.socket.abort();
    }
}

struct PlainHandler(Mailbox<Letters<Value>>);

impl Handler for PlainHandler {
    fn text(&mut self, text: &str, _: &Socket) {
        // What is no JSON is kept as a string, for the test to be surprised by.
        let message = serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()));
        self.0.change(|letters| letters.push(message));
    }

    fn pinged(&mut self) {
        self.0.change(|letters| letters.confirmed = letters.got.len());
    }

    fn closed(&mut self, closed: &Closed) {
        self.0.change(|letters| letters.closed = Some(closed.clone()));
    }
}
