//! One measuring client of each protocol: it comes online, keeps itself alive, and tells an observer what happens to it.

pub mod centrifuge;
pub mod plain;

use std::time::Duration;

use anyhow::{Context, bail};
use tokio::sync::oneshot;

use crate::socket::{Closed, Socket};
use crate::stamp::Stamp;

/// A server that does not let a connected client in within this time does not serve.
const READY_LIMIT: Duration = Duration::from_secs(20);

/// Hears what happens to the clients; called in their tasks, so it must not block. `client` is the number the client was connected with.
pub trait Observer: Send + Sync + 'static {
    /// A numbered message came to the client.
    fn delivered(&self, client: u32, stamp: Stamp);
    /// The server acknowledged the client's publish with this command id.
    fn acknowledged(&self, client: u32, id: u32);
    /// The server refused something: a publish by its command id, or an unnamed plain message.
    fn refused(&self, client: u32, id: Option<u32>, why: &str);
    /// The client had to take its subscription anew; `recovered` tells whether nothing was missed by it.
    fn resubscribed(&self, client: u32, recovered: bool);
    /// The server asked the client to reconnect.
    fn reconnect_asked(&self, client: u32);
    /// The client's socket ended.
    fn closed(&self, client: u32, closed: &Closed);
}

/// Told once, when the client is online or will not be.
type Ready = oneshot::Receiver<Result<(), String>>;

/// Waits for a client to be online.
async fn online(ready: Ready, socket: &Socket) -> anyhow::Result<()> {
    let Ok(answer) = tokio::time::timeout(READY_LIMIT, ready).await else {
        socket.abort();
        bail!("connected, but not let in within {READY_LIMIT:?}");
    };
    answer.context("the connection ended at once")?.map_err(anyhow::Error::msg)
}

/// The reporting end of [`Ready`].
#[derive(Debug)]
struct Entry(Option<oneshot::Sender<Result<(), String>>>);

impl Entry {
    fn new() -> (Self, Ready) {
        let (sender, ready) = oneshot::channel();
        (Self(Some(sender)), ready)
    }

    /// Tells the outcome; later ones are ignored.
    fn tell(&mut self, outcome: Result<(), String>) {
        if let Some(sender) = self.0.take() {
            // Nobody listens if the connecting side gave up; then it is of no use either.
            let _ = sender.send(outcome);
        }
    }

    fn tell_closed(&mut self, closed: &Closed) {
        self.tell(Err(format!("closed before it was online: {:?} {}", closed.code, closed.reason)));
    }
}
