//! Clients come and go.

use ringway_core::Position;
use ringway_hub::{Ask, ClientInput, Command, Connect, Credentials, Protocol, Seen, Ticket};
use smallvec::smallvec;
use uuid::Uuid;

use super::{Asked, Client, Connection, Pace, SimSocket};
use crate::world::process::State;
use crate::world::{World, note};

/// Bytes that the kernel holds for a slow client.
const KERNEL: usize = 400;

impl Connection {
    fn new(who: usize, client: &Client, socket: SimSocket, id: u128, sender: u32) -> Self {
        Self {
            who,
            ticket: Ticket::new(),
            socket,
            id,
            is_plain: client.is_plain,
            user: client.user,
            sender,
            is_in: false,
            last_id: 0,
            asked: Default::default(),
            subs: Default::default(),
            partial: Vec::new(),
            ping: None,
            confirmed: None,
            inbox: None,
            vanished: false,
            is_asked_to_go: false,
            kept_back: None,
            sleeps_until: 0,
            lowest: None,
        }
    }
}

impl World {
    /// A gateway that a client finds open here.
    pub(crate) fn is_open(&self, at: usize) -> bool {
        let process = &self.processes[at];
        process.has_gateway() && !process.leaving && process.state == State::Up
    }

    /// A client connects, and says who it is.
    pub(crate) fn connect_client(&mut self, at: usize, who: usize) {
        let (setup, id) = (self.setup.clone(), u128::from(self.rng.next()) << 64 | u128::from(self.rng.next()));
        let sender = self.checker.new_sender();
        self.people.connections += 1;
        let number = self.people.connections;
        let client = &mut self.people.list[who];
        let kernel = if client.pace == Pace::Quick { usize::MAX } else { KERNEL };
        let socket = SimSocket::new(number, self.processes[at].clients.port.clone(), kernel);
        let connection = Connection::new(who, client, socket, id, sender);
        client.at = Some((at, number));
        let user = client.user.and_then(|user| setup.channels[user].user.clone());
        let protocol = match user.clone().filter(|_| client.is_plain) {
            Some(user) => Protocol::Plain(user),
            None => Protocol::Centrifuge,
        };
        note!(self, "{}: client {who} connects as {number}, {id:x}", self.processes[at].id);
        let (ticket, socket, client) = (connection.ticket.clone(), connection.socket.clone(), Uuid::from_u128(id));
        let is_plain = connection.is_plain;
        self.processes[at].clients.connections.insert(number, connection);
        self.bring(at, ClientInput::Opened { ticket, socket, protocol, client });
        if !is_plain {
            let credentials = user.map(|user| Credentials { user: Some(user), ..Credentials::default() });
            let (connect, brought) = self.connect_of(who, credentials);
            self.ask(at, number, Asked::Connect(brought), Ask::Connect(Box::new(connect)));
            if self.rng.chance(500) {
                self.ask_for_channels(at, number);
            }
        }
    }

    fn connect_of(&self, who: usize, credentials: Option<Credentials>) -> (Connect, Option<Position>) {
        let client = &self.people.list[who];
        let position = client.user.and_then(|user| Some((user, *client.seen.get(&user)?)));
        let recover = position.map(|(user, at)| (self.setup.channels[user].name.as_str().to_owned(), seen(at)));
        let connect = Connect { credentials: credentials.map(Ok), recover: recover.into_iter().collect() };
        (connect, position.map(|(_, at)| at))
    }

    /// A client asks something, if it is read.
    pub(crate) fn ask(&mut self, at: usize, number: u64, asked: Asked, ask: Ask) -> bool {
        let limit = self.setup.hub.limits.publishes_in_flight;
        let Some(connection) = self.processes[at].clients.connections.get_mut(&number) else { return false };
        if connection.socket.standing().is_held {
            return false;
        }
        self.people.moves += u64::from(!ask.is_counted());
        connection.last_id += 1;
        let id = connection.last_id;
        connection.asked.insert(id, asked);
        let ticket = connection.ticket.clone();
        if ask.is_counted() {
            ticket.begin_asks(1);
            if ticket.must_pause(limit) {
                connection.socket.hold();
            }
        }
        self.bring(at, ClientInput::Commands(ticket, smallvec![Command { id, ask }]));
        true
    }

    /// A client ends its connection in order, and what it has not read is lost.
    pub(crate) fn hang_up(&mut self, at: usize, number: u64) {
        let Some(connection) = self.processes[at].clients.connections.remove(&number) else { return };
        note!(self, "{}: client {} ends connection {number}", self.processes[at].id, connection.who);
        self.bring(at, ClientInput::Closed(connection.ticket.clone()));
        self.connection_over(at, number, &connection);
    }

    /// A connection is over, whoever ended it: what was asked and not answered is not known.
    pub(crate) fn connection_over(&mut self, at: usize, number: u64, connection: &Connection) {
        self.people.moves += 1;
        connection.socket.end();
        for sub in connection.subs.values() {
            self.checker.unsubscribed(sub.session, self.now);
            if connection.is_replied_to() {
                // What waited behind the reply is gone with it.
                self.checker.discount(sub.session);
            }
        }
        for asked in connection.asked.values() {
            if let Asked::Publish(publication) = asked {
                self.watch_unanswered(*publication);
            }
        }
        let client = &mut self.people.list[connection.who];
        if client.at == Some((at, number)) {
            client.at = None;
        }
    }
}

/// A position as a client brings it.
pub(crate) fn seen(at: Position) -> Seen {
    Seen { offset: at.offset, epoch: at.epoch.as_str().into() }
}
