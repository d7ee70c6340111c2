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

/// In which form a Centrifuge client speaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Form {
    /// Lines of JSON.
    #[default]
    Json,
    /// Length-delimited Protobuf.
    Protobuf,
}

impl Form {
    /// Where a client of this form connects.
    pub fn path(self) -> &'static str {
        match self {
            Self::Json => "/connection/websocket",
            Self::Protobuf => "/connection/websocket?format=protobuf",
        }
    }
}

/// Hears what happens to the clients; called in their tasks, so it must not block. `client` is the number the client was connected with.
pub trait Observer: Send + Sync + 'static {
    /// Something came from the server, whatever it is.
    fn heard(&self, _client: u32) {}
    /// The client's socket is about to be told closed, and this is up to where it has everything.
    fn left_at(&self, _client: u32, _position: Position) {}
    /// The client answered a ping: the server knows that it has what came before.
    fn pinged(&self, _client: u32) {}
    /// A numbered message came to the client.
    fn delivered(&self, client: u32, stamp: Stamp);
    /// The server acknowledged the client's publish with this command id.
    fn acknowledged(&self, client: u32, id: u32);
    /// The server refused something: a publish by its command id, or an unnamed plain message.
    fn refused(&self, client: u32, id: Option<u32>, why: &str);
    /// The client had to take its subscription anew; what the server said of its position.
    fn resubscribed(&self, client: u32, resumed: Resumed);
    /// The server asked the client to reconnect.
    fn reconnect_asked(&self, client: u32);
    /// The client's socket ended.
    fn closed(&self, client: u32, closed: &Closed);
}

/// What the server says of a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resumed {
    /// The stream goes on: nothing was missed.
    Recovered,
    /// The stream is a new one, and the client was told so: not recovered, and another epoch.
    BeganAnew,
    /// Something is missing; or the answer contradicts itself.
    Lost,
}

/// Up to where a Centrifuge client has everything of its channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The stream's epoch.
    pub epoch: Box<str>,
    /// The last offset.
    pub offset: u64,
}

/// Told once, when the client is online or will not be.
type Ready = oneshot::Receiver<Result<(), String>>;

/// Waits for a client to be online. A socket that does not come to that is dropped, and so it is if nobody waits any more: a client that
/// nobody knows of must not go on receiving.
async fn online(ready: Ready, socket: Socket) -> anyhow::Result<Socket> {
    let guard = Unknown(Some(socket));
    let Ok(answer) = tokio::time::timeout(READY_LIMIT, ready).await else {
        bail!("connected, but not let in within {READY_LIMIT:?}");
    };
    answer.context("the connection ended at once")?.map_err(anyhow::Error::msg)?;
    Ok(guard.online())
}

/// A socket whose client is not online yet.
struct Unknown(Option<Socket>);

impl Unknown {
    fn online(mut self) -> Socket {
        self.0.take().expect("it is taken here only, once")
    }
}

impl Drop for Unknown {
    fn drop(&mut self) {
        if let Some(socket) = &self.0 {
            socket.abort();
        }
    }
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
