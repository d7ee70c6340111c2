//! A client that speaks the Centrifuge protocol as badly as it likes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use anyhow::bail;
use tokio::sync::Notify;

use super::super::party::Party;
use crate::socket::{Closed, Handler, Socket};

/// A connected socket and what came back on it.
pub(super) struct Client {
    socket: Socket,
    seen: Arc<Seen>,
    sent: u64,
}

#[derive(Default)]
struct Seen {
    answers: AtomicU64,
    news: Notify,
}

impl Seen {
    fn add(&self, answers: u64) {
        self.answers.fetch_add(answers, Relaxed);
        self.news.notify_one();
    }
}

struct Reader(Arc<Seen>);

impl Handler for Reader {
    fn text(&mut self, text: &str, socket: &Socket) {
        if text == "{}" {
            // A ping; who does not answer it is closed.
            let _ = socket.send_text("{}");
        }
        let answers = text.lines().filter(|line| line.starts_with(r#"{"id":"#)).count();
        if answers > 0 {
            self.0.add(answers as u64);
        }
    }

    fn closed(&mut self, _: &Closed) {
        self.0.add(0);
    }
}

impl Client {
    /// Connects, and says so in the protocol with these fields.
    pub(super) async fn connect(party: &Party, fields: &str) -> anyhow::Result<Self> {
        let seen = Arc::<Seen>::default();
        let target = &party.field.target;
        let socket = Socket::connect(target, "/connection/websocket", Reader(seen.clone())).await?;
        let mut client = Self { socket, seen, sent: 0 };
        client.send(&format!(r#"{{"id":1,"connect":{{{fields}}}}}"#), 1)?;
        Ok(client)
    }

    /// Sends a frame of so many commands.
    pub(super) fn send(&mut self, frame: &str, commands: u64) -> anyhow::Result<()> {
        self.socket.send_text(frame)?;
        self.sent += commands;
        Ok(())
    }

    /// Waits until no more than so many commands are unanswered; fails when the socket has ended.
    pub(super) async fn answered(&self, but: u64) -> anyhow::Result<()> {
        while self.sent - self.seen.answers.load(Relaxed) > but {
            self.goes_on().await?;
        }
        Ok(())
    }

    /// Listens until the socket has ended.
    pub(super) async fn listen(&self) {
        while self.goes_on().await.is_ok() {}
    }

    /// Waits for more; fails when the socket has ended.
    async fn goes_on(&self) -> anyhow::Result<()> {
        let news = self.seen.news.notified();
        if let Some(closed) = self.socket.closed() {
            bail!("closed: {}", closed.reason);
        }
        news.await;
        Ok(())
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.socket.abort();
    }
}
