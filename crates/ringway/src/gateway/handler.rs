//! From frames to inputs, in each connection's own task: reading, checking and copying happen here, in parallel, so
//! that the hub has only to decide.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use ringway_core::UserName;
use ringway_edge::{Closed, Conn, Flow, Handler};
use ringway_protocol::centrifuge::json;
use ringway_protocol::plain::{Inbound, InboxMessage, parse};
use ringway_protocol::ws::Message;
use smallvec::SmallVec;

use super::auth::Verifier;
use super::command::{Ask, Command};
use super::inbox::{ClientInput, Inbox, Protocol, Ticket};
use super::pace::Pace;
use super::routes::Refusals;
use super::strangers::{Stranger, Strangers, turn_away};
use super::{Client, SessionLimits};
use crate::guesses::Reply;

/// What all connections of a gateway share.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) inbox: Arc<Inbox<Client>>,
    pub(super) verifier: Verifier,
    pub(super) limits: SessionLimits,
    pub(super) pace: Pace,
    pub(super) refusals: Arc<Refusals>,
    pub(super) strangers: Strangers,
}

impl Desk {
    fn open(&self, conn: &Client, ticket: &Arc<Ticket>, protocol: Protocol) {
        let (ticket, socket) = (ticket.clone(), conn.clone());
        self.inbox.push_always(ClientInput::Opened { ticket, socket, protocol });
    }

    /// A pong that was waited for is handed on. There is one for each ping at most, so nothing holds it up.
    fn pong(&self, ticket: &Arc<Ticket>, payload: &[u8]) {
        if let Some(number) = ticket.take_pong(payload) {
            self.inbox.push_always(ClientInput::Ponged(ticket.clone(), number));
        }
    }

    /// Hands an input on; whether its connection may go on reading.
    fn push(&self, conn: &Client, ticket: &Ticket, input: ClientInput<Client>, bytes: usize, asks: u32) -> Flow {
        if asks > 0 {
            ticket.begin_asks(asks);
        }
        let is_full = self.inbox.push(input, bytes, || conn.clone());
        // Each pause is resumed once, so there is one reason for it: the other one is looked at with the next message.
        let must_pause = is_full || asks > 0 && ticket.must_pause(self.limits.publishes_in_flight);
        if must_pause { Flow::Pause } else { Flow::Continue }
    }

    /// Counts commands; whether the connection may go on reading after them. One that is paused for another reason is looked at
    /// with its next message.
    fn pace(&self, conn: &Client, paid: &mut u32, commands: u32, flow: Flow) -> Flow {
        let wait = self.pace.count(paid, commands);
        let Some(wait) = wait.filter(|_| matches!(flow, Flow::Continue)) else { return flow };
        self.refusals.paced.fetch_add(1, Ordering::Relaxed);
        let conn = conn.clone();
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            conn.resume();
        });
        Flow::Pause
    }
}

/// Serves `/connection/websocket`.
#[derive(Debug)]
pub struct CentrifugeHandler {
    desk: Arc<Desk>,
    ticket: Arc<Ticket>,
    /// Up to when its commands are paid for.
    paid: u32,
    /// Until it has said who it is.
    stranger: Stranger,
}

impl CentrifugeHandler {
    pub(super) fn new(desk: Arc<Desk>, from: IpAddr) -> Self {
        let stranger = desk.strangers.enter(from);
        Self { desk, ticket: Ticket::new(), paid: 0, stranger }
    }

    /// What a message asks, in order. JSON is JSON, in whichever kind of message it comes.
    fn commands(&self, message: &Message<'_>) -> SmallVec<[Command; 1]> {
        let bytes = match message {
            Message::Text(text) => text.as_bytes(),
            Message::Binary(bytes) => bytes,
        };
        let mut commands = SmallVec::new();
        let frame = json::decode_frame(bytes).ok();
        let mut is_broken = frame.is_none();
        for command in frame.into_iter().flatten() {
            match command {
                Ok(command) => commands.push(Command::of(command, &self.desk.verifier)),
                Err(_) => is_broken = true,
            }
        }
        if is_broken {
            self.ticket.set_broken();
            // The hub closes: it knows when what came before is answered.
            commands.push(Command::BROKEN);
        }
        commands
    }

    /// Whether a client with a wrong token is one too many of its address, and has been dealt with here.
    fn turned_away(&mut self, conn: &Client, commands: &[Command]) -> Option<Flow> {
        let reply = self.desk.strangers.look(&mut self.stranger, commands);
        if reply == Reply::AtOnce {
            return None;
        }
        // Those who are known refresh.
        let is_new = self.stranger != Stranger::NONE;
        self.desk.refusals.late_tokens.fetch_add(u64::from(is_new), Ordering::Relaxed);
        Some(turn_away(conn, reply.delay()))
    }
}

impl Drop for CentrifugeHandler {
    fn drop(&mut self) {
        self.desk.strangers.forget(&mut self.stranger);
    }
}

impl Handler for CentrifugeHandler {
    fn on_open(&mut self, conn: &Client) {
        self.desk.open(conn, &self.ticket, Protocol::Centrifuge);
    }

    fn on_message(&mut self, conn: &Client, message: Message<'_>) -> Flow {
        if self.ticket.is_broken() {
            return Flow::Continue;
        }
        let commands = self.commands(&message);
        if let Some(flow) = self.turned_away(conn, &commands) {
            return flow;
        }
        let bytes = commands.iter().map(Command::size).sum();
        let asks = commands.iter().filter(|command| command.ask.is_counted()).count() as u32;
        let is_paced = |command: &&Command| !matches!(command.ask, Ask::Publish(..) | Ask::Pong);
        let paced = commands.iter().filter(is_paced).count() as u32;
        let input = ClientInput::Commands(self.ticket.clone(), commands);
        let flow = self.desk.push(conn, &self.ticket, input, bytes, asks);
        self.desk.pace(conn, &mut self.paid, paced, flow)
    }

    fn on_room(&mut self, _conn: &Arc<Conn>) {
        self.desk.inbox.push_always(ClientInput::Room(self.ticket.clone()));
    }

    fn on_pong(&mut self, _conn: &Client, payload: &[u8]) {
        self.desk.pong(&self.ticket, payload);
    }

    fn on_closed(&mut self, _conn: &Arc<Conn>, _how: &Closed) {
        self.desk.inbox.push_always(ClientInput::Closed(self.ticket.clone()));
    }
}

/// Serves `/socket/{user}`.
#[derive(Debug)]
pub struct PlainHandler {
    desk: Arc<Desk>,
    ticket: Arc<Ticket>,
    user: UserName,
    /// As above.
    paid: u32,
}

impl PlainHandler {
    pub(super) fn new(desk: Arc<Desk>, user: UserName) -> Self {
        Self { desk, ticket: Ticket::new(), user, paid: 0 }
    }
}

impl Handler for PlainHandler {
    fn on_open(&mut self, conn: &Client) {
        self.desk.open(conn, &self.ticket, Protocol::Plain(self.user.clone()));
    }

    fn on_message(&mut self, conn: &Client, message: Message<'_>) -> Flow {
        let inbound = match &message {
            Message::Text(text) => parse(text),
            Message::Binary(_) => Inbound::Help,
        };
        let (input, bytes, publishes) = match inbound {
            Inbound::To { user, content } => {
                let mut data = Vec::with_capacity(content.len() + self.user.as_str().len() + 24);
                InboxMessage::encode(&mut data, content, Some(self.user.as_str()));
                let bytes = data.len() + size_of::<ClientInput<Client>>();
                (ClientInput::Said(self.ticket.clone(), user, Bytes::from(data)), bytes, 1)
            }
            Inbound::Help => (ClientInput::Puzzled(self.ticket.clone()), size_of::<ClientInput<Client>>(), 0),
        };
        let flow = self.desk.push(conn, &self.ticket, input, bytes, publishes);
        // What is no message is answered, and nothing else bounds that.
        self.desk.pace(conn, &mut self.paid, u32::from(publishes == 0), flow)
    }

    fn on_pong(&mut self, _conn: &Client, payload: &[u8]) {
        self.desk.pong(&self.ticket, payload);
    }

    fn on_room(&mut self, _conn: &Arc<Conn>) {
        self.desk.inbox.push_always(ClientInput::Room(self.ticket.clone()));
    }

    fn on_closed(&mut self, _conn: &Arc<Conn>, _how: &Closed) {
        self.desk.inbox.push_always(ClientInput::Closed(self.ticket.clone()));
    }
}
