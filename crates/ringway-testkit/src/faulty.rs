//! A server that makes mistakes on purpose, so that tests can show that the checks find them. Made with another WebSocket library than ours.
//!
//! It speaks enough of both protocols, and of the server API, for clients that stay: no inbox, no history.

mod api;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};

/// What may wait for one client; a sender waits for room.
const QUEUE: usize = 256;
/// Small enough for hundreds of clients beside a test.
const BUFFER: usize = 4096;

/// Which deliveries go wrong: every so-manieth of all; none at 0.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// Is never sent.
    pub lose_every: u64,
    /// Is sent twice.
    pub double_every: u64,
    /// Is sent after the sender's next one.
    pub delay_every: u64,
}

/// A running server. Dropping it ends it and its connections.
#[derive(Debug)]
pub struct FaultyServer {
    addr: SocketAddr,
    hub: Arc<Hub>,
    accepting: JoinHandle<()>,
}

type Queue = mpsc::Sender<Message>;

#[derive(Debug, Default)]
struct Hub {
    faults: Mutex<Faults>,
    deliveries: AtomicU64,
    rooms: Mutex<HashMap<String, Room>>,
}

/// A user or a channel: who gets what is sent there.
#[derive(Debug, Default)]
struct Room {
    offset: u64,
    queues: Vec<Queue>,
}

impl FaultyServer {
    /// Starts on a free port of loopback.
    ///
    /// # Panics
    /// There is none.
    pub async fn start(faults: Faults) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("a bound socket has an address");
        let hub = Arc::new(Hub { faults: Mutex::new(faults), ..Hub::default() });
        let accepting = tokio::spawn(accept(listener, hub.clone()));
        Self { addr, hub, accepting }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Changes what goes wrong from now on.
    pub fn set_faults(&self, faults: Faults) {
        *lock(&self.hub.faults) = faults;
    }

    /// Whether a user or a channel has a socket, or had one.
    pub fn has(&self, room: &str) -> bool {
        lock(&self.hub.rooms).contains_key(room)
    }

    /// Closes every socket of a user or a channel.
    pub async fn close_all(&self, room: &str, code: u16, reason: &'static str) {
        let frame = CloseFrame { code: code.into(), reason: reason.into() };
        self.hub.send_all(room, &Message::Close(Some(frame))).await;
    }

    /// Sends `text` to every socket of a user or a channel.
    pub async fn push_all(&self, room: &str, text: impl Into<String>) {
        self.hub.send_all(room, &Message::text(text.into())).await;
    }
}

impl Drop for FaultyServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, hub: Arc<Hub>) {
    // Dropped with this task, and the connections with it.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, hub.clone()));
        while connections.try_join_next().is_some() {}
    }
}

// The handshake callback's error type is the library's.
#[allow(clippy::result_large_err)]
async fn serve(stream: TcpStream, hub: Arc<Hub>) {
    let _ = stream.set_nodelay(true);
    if api::is_post(&stream).await {
        return api::serve(stream, hub).await;
    }
    let mut path = String::new();
    let keep_path = |request: &Request, response: Response| {
        path = request.uri().path().to_owned();
        Ok(response)
    };
    let config = WebSocketConfig::default().read_buffer_size(BUFFER).write_buffer_size(0);
    let Ok(socket) = tokio_tungstenite::accept_hdr_async_with_config(stream, keep_path, Some(config)).await else {
        return;
    };
    let (mut sink, mut source) = socket.split();
    let (queue, mut queued) = mpsc::channel(QUEUE);
    let writing = async move {
        while let Some(message) = queued.recv().await {
            if sink.send(message).await.is_err() {
                break;
            }
        }
    };
    let reading = async move {
        let user = path.strip_prefix("/socket/").map(str::to_owned);
        let mut client = Client { hub, queue, user, delayed: None };
        client.welcome().await;
        while let Some(Ok(message)) = source.next().await {
            if let Message::Text(text) = message {
                client.text(&text).await;
            }
        }
    };
    // Either one's end is the connection's.
    tokio::select! {
        () = writing => {}
        () = reading => {}
    }
}

impl Hub {
    /// The push of the channel's next publication.
    fn publication(&self, channel: &str, data: &Value) -> Value {
        let mut rooms = lock(&self.rooms);
        let room = rooms.entry(channel.to_owned()).or_default();
        room.offset += 1;
        json!({"push": {"channel": channel, "pub": {"data": data, "offset": room.offset}}})
    }

    async fn send_all(&self, room: &str, message: &Message) {
        let queues = lock(&self.rooms).get(room).map(|room| room.queues.clone()).unwrap_or_default();
        for queue in queues {
            // A client that is gone needs nothing.
            let _ = queue.send(message.clone()).await;
        }
    }
}

/// One connection's reading side.
struct Client {
    hub: Arc<Hub>,
    queue: Queue,
    /// Set for the plain protocol.
    user: Option<String>,
    /// A delivery that waits for the next one to the same client to pass it.
    delayed: Option<(Queue, String)>,
}

impl Client {
    async fn welcome(&self) {
        if let Some(user) = &self.user {
            self.enter(user.clone());
            self.answer(json!({"type": 1, "content": "connected", "ip": "『node-1:1』", "userCount": 1, "from": null}))
                .await;
        }
    }

    fn enter(&self, room: String) {
        lock(&self.hub.rooms).entry(room).or_default().queues.push(self.queue.clone());
    }

    async fn answer(&self, message: Value) {
        let _ = self.queue.send(Message::text(first_type(&message))).await;
    }

    async fn text(&mut self, text: &str) {
        let Some(user) = self.user.clone() else { return self.commands(text).await };
        match text.strip_prefix('@').and_then(|rest| rest.split_once([':', ' '])) {
            Some((to, content)) => self.send(to, json!({"type": 3, "content": content, "from": user})).await,
            None => self.answer(json!({"type": 5, "content": "write @user:text", "from": null})).await,
        }
    }

    async fn commands(&mut self, text: &str) {
        for line in text.lines() {
            let Ok(command) = serde_json::from_str::<Value>(line) else { continue };
            let id = &command["id"];
            if command.get("connect").is_some() {
                let result = json!({"client": "c", "version": "faulty", "ping": 25, "pong": true});
                self.answer(json!({"id": id, "connect": result})).await;
            } else if let Some(channel) = command["subscribe"]["channel"].as_str() {
                self.enter(channel.to_owned());
                let recovered = command["subscribe"]["recover"] == true;
                self.answer(json!({"id": id, "subscribe": {"epoch": "e", "offset": 0, "recovered": recovered}})).await;
            } else if let Some(channel) = command["publish"]["channel"].as_str() {
                self.publish(channel, &command).await;
            }
        }
    }

    async fn publish(&mut self, channel: &str, command: &Value) {
        let id = &command["id"];
        if command["publish"]["data"].is_null() {
            self.answer(json!({"id": id, "error": {"code": 107, "message": "bad request"}})).await;
            return;
        }
        self.answer(json!({"id": id, "publish": {}})).await;
        let publication = self.hub.publication(channel, &command["publish"]["data"]);
        self.send(channel, publication).await;
    }

    /// Sends to all of a room, with the faults that are due.
    async fn send(&mut self, room: &str, message: Value) {
        let queues = lock(&self.hub.rooms).get(room).map(|room| room.queues.clone()).unwrap_or_default();
        let text = first_type(&message);
        let faults = *lock(&self.hub.faults);
        for queue in queues {
            let number = self.hub.deliveries.fetch_add(1, Relaxed) + 1;
            let due = |every: u64| every > 0 && number.is_multiple_of(every);
            if due(faults.delay_every) && self.delayed.is_none() {
                self.delayed = Some((queue, text.clone()));
                continue;
            }
            let copies = if due(faults.lose_every) { 0 } else { 1 + usize::from(due(faults.double_every)) };
            let passed = self.delayed.take_if(|(held, _)| held.same_channel(&queue)).map(|(_, text)| text);
            for text in std::iter::repeat_n(text.clone(), copies).chain(passed) {
                // A client that is gone needs nothing.
                let _ = queue.send(Message::text(text)).await;
            }
        }
    }
}

/// As JSON with `type` or `push` in front, as Ringway writes it; the library sorts keys.
fn first_type(message: &Value) -> String {
    let text = message.to_string();
    match message.get("type") {
        Some(kind) => {
            let mut rest = message.clone();
            if let Some(fields) = rest.as_object_mut() {
                fields.remove("type");
            }
            format!("{{\"type\":{kind},{}", &rest.to_string()[1..])
        }
        None => text,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
