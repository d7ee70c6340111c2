//! From frames to inputs, in each connection's own task: reading, checking and copying happen here, in parallel, so
//! that the hub has only to decide.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use ringway_core::UserName;
use ringway_edge::{Closed, Conn, Flow, Handler};
use ringway_hub::{Ask, ClientInput, Command, Protocol, Ticket, Verifier};
use ringway_protocol::centrifuge::{self, json, protobuf};
use ringway_protocol::plain::{Inbound, InboxMessage, parse};
use ringway_protocol::ws::Message;

use super::Client;
use super::desk::{Commands, Desk};
use super::wrong_tokens;
use crate::guesses::{Network, Reply};

/// In which form a client speaks the Centrifuge protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    Protobuf,
}

/// Serves `/connection/websocket`, and is the inside of whatever serves another way of the same protocol.
#[derive(Debug)]
pub struct CentrifugeHandler {
    pub(super) desk: Arc<Desk>,
    ticket: Arc<Ticket>,
    /// Where it comes from: its wrong tokens are counted by that.
    from: Network,
    /// Up to when its commands are paid for.
    paid: u32,
    form: Form,
}

impl CentrifugeHandler {
    pub(super) fn new(desk: Arc<Desk>, from: IpAddr, form: Form) -> Self {
        Self { desk, ticket: Ticket::new(), from: Network::of(from), paid: 0, form }
    }

    /// Has the hub know of the connection, and how it speaks.
    pub(super) fn open(&self, conn: &Arc<Conn>, protocol: Protocol) {
        self.desk.open(conn, &self.ticket, protocol);
    }

    /// Takes what came in one message. Nothing is read behind a fault.
    pub(super) fn take(&mut self, conn: &Arc<Conn>, message: &Message<'_>) -> Flow {
        if self.ticket.is_broken() {
            return Flow::Continue;
        }
        let commands = self.commands(message);
        self.hand_on(conn, commands)
    }

    /// Takes the connect request of a client that only listens.
    pub(super) fn take_request(&mut self, conn: &Arc<Conn>, request: &[u8]) -> Flow {
        let mut commands = Commands::new();
        if !read(&mut commands, &self.desk.verifier, std::iter::once(json::decode_connect(request))) {
            self.ticket.set_broken();
            commands.push(Command::BROKEN);
        }
        self.hand_on(conn, commands)
    }

    fn hand_on(&mut self, conn: &Arc<Conn>, commands: Commands) -> Flow {
        let reply = wrong_tokens::look(&self.desk.guesses, self.from, &commands);
        if reply != Reply::AtOnce {
            return self.put_off(conn, commands, reply);
        }
        let paced = paced(&commands);
        let flow = self.desk.push_commands(conn, &self.ticket, commands);
        self.desk.pace(conn, &mut self.paid, paced, flow)
    }

    /// What a message asks, in order. JSON is JSON, in whichever kind of message it comes.
    fn commands(&self, message: &Message<'_>) -> Commands {
        let (mut commands, verifier) = (Commands::new(), &self.desk.verifier);
        let (is_whole, fault) = match (self.form, message) {
            (Form::Json, Message::Text(text)) => {
                (read(&mut commands, verifier, json_commands(text.as_bytes())), Command::BROKEN)
            }
            // What is none in a binary one is most likely the other form.
            (Form::Json, Message::Binary(bytes)) => {
                (read(&mut commands, verifier, json_commands(bytes)), Command::FOREIGN)
            }
            (Form::Protobuf, Message::Binary(bytes)) => {
                (read(&mut commands, verifier, protobuf::decode_frame(bytes)), Command::BROKEN)
            }
            (Form::Protobuf, Message::Text(_)) => (false, Command::FOREIGN),
        };
        if !is_whole {
            self.ticket.set_broken();
            // The hub closes: it knows when what came before is answered.
            commands.push(fault);
        }
        commands
    }

    /// What becomes of a message with wrong tokens that are too many of their address.
    fn put_off(&mut self, conn: &Arc<Conn>, mut commands: Commands, reply: Reply) -> Flow {
        let Some(delay) = reply.delay() else {
            let strangers = u64::from(wrong_tokens::is_of_stranger(&commands));
            self.desk.refusals.turned_away.fetch_add(strangers, Ordering::Relaxed);
            return wrong_tokens::turn_away(conn);
        };
        wrong_tokens::end_at_last(&mut commands);
        let pace = self.desk.pace.count(&mut self.paid, paced(&commands));
        wrong_tokens::hand_on_late(&self.desk, conn, &self.ticket, commands, delay.max(pace.unwrap_or_default()))
    }
}

/// Takes commands up to the first fault; whether there was none.
fn read<'a, E>(
    to: &mut Commands,
    verifier: &Verifier,
    commands: impl Iterator<Item = Result<centrifuge::Command<'a>, E>>,
) -> bool {
    for command in commands {
        let Ok(command) = command else { return false };
        to.push(Command::of(command, verifier));
    }
    true
}

/// The commands of a frame of JSON. That it is no text is a fault like others.
fn json_commands(frame: &[u8]) -> impl Iterator<Item = Result<centrifuge::Command<'_>, json::BadFrame>> {
    let (commands, fault) = match json::decode_frame(frame) {
        Ok(commands) => (Some(commands), None),
        Err(fault) => (None, Some(Err(fault))),
    };
    commands.into_iter().flatten().chain(fault)
}

/// How many of them count for the pace.
fn paced(commands: &Commands) -> u32 {
    let is_paced = |command: &&Command| !matches!(command.ask, Ask::Publish(..) | Ask::Pong);
    commands.iter().filter(is_paced).count() as u32
}

impl Handler for CentrifugeHandler {
    fn on_open(&mut self, conn: &Arc<Conn>) {
        let protocol = match self.form {
            Form::Json => Protocol::Centrifuge,
            Form::Protobuf => Protocol::CentrifugeProtobuf,
        };
        self.open(conn, protocol);
    }

    fn on_message(&mut self, conn: &Arc<Conn>, message: Message<'_>) -> Flow {
        self.take(conn, &message)
    }

    fn on_room(&mut self, _conn: &Arc<Conn>) {
        self.desk.intake.push_always(ClientInput::Room(self.ticket.clone()));
    }

    fn on_pong(&mut self, _conn: &Arc<Conn>, payload: &[u8]) {
        self.desk.pong(&self.ticket, payload);
    }

    fn on_closed(&mut self, _conn: &Arc<Conn>, how: &Closed) {
        self.desk.closed(&self.ticket, how);
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
    fn on_open(&mut self, conn: &Arc<Conn>) {
        self.desk.open(conn, &self.ticket, Protocol::Plain(self.user.clone()));
    }

    fn on_message(&mut self, conn: &Arc<Conn>, message: Message<'_>) -> Flow {
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

    fn on_pong(&mut self, _conn: &Arc<Conn>, payload: &[u8]) {
        self.desk.pong(&self.ticket, payload);
    }

    fn on_room(&mut self, _conn: &Arc<Conn>) {
        self.desk.intake.push_always(ClientInput::Room(self.ticket.clone()));
    }

    fn on_closed(&mut self, _conn: &Arc<Conn>, how: &Closed) {
        self.desk.closed(&self.ticket, how);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_connection_has_for_itself_is_small() {
        assert!(size_of::<CentrifugeHandler>() <= 32, "{}", size_of::<CentrifugeHandler>());
    }
}
