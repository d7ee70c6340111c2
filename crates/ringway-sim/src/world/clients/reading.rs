//! Clients read what their gateway has written: whoever is quick, all of it at once; whoever is slow, a little now and then.

use bytes::Bytes;
use ringway_hub::{Ask, ClientInput};
use ringway_protocol::ws::{Opcode, server_frame};

use super::frames::{self, Told};
use super::{Answer, Asked, Client, Connection, Pace};
use crate::world::{World, note};

impl World {
    /// The process has ended a turn: what it has written is on its way.
    pub(crate) fn read_sockets(&mut self, at: usize) {
        if !self.processes[at].is_gateway {
            return;
        }
        let mut stirred = std::mem::take(&mut self.processes[at].clients.port.lock().stirred);
        for number in stirred.drain(..) {
            let Some(connection) = self.processes[at].clients.connections.get(&number) else { continue };
            connection.socket.settle();
            let is_quick =
                connection.vanished || self.is_quiet() || self.people.list[connection.who].pace == Pace::Quick;
            let is_closed = connection.socket.standing().closed.is_some();
            if is_quick || is_closed {
                self.read(at, number, usize::MAX);
            }
        }
        // Its memory is used again.
        let mut port = self.processes[at].clients.port.lock();
        if port.stirred.is_empty() {
            port.stirred = stirred;
        }
        drop(port);
        self.take_answers(at);
    }

    /// A client reads so many bytes.
    pub(crate) fn read(&mut self, at: usize, number: u64, mut budget: usize) {
        let Some(connection) = self.processes[at].clients.connections.get(&number) else { return };
        let (socket, vanished) = (connection.socket.clone(), connection.vanished);
        if socket.standing().closed.is_some() {
            // The end comes behind all that was written, however slowly it is read.
            budget = usize::MAX;
        }
        while !vanished && let Some(frame) = socket.read(&mut budget) {
            self.see_frame(at, number, &frame);
        }
        if vanished {
            self.lie_of_pongs(at, number);
        }
        if socket.take_room() && !self.hides_room() {
            self.make_room(at, number);
        }
        if let Some(code) = socket.standing().closed {
            self.closed(at, number, code);
        }
    }

    fn make_room(&mut self, at: usize, number: u64) {
        if let Some(ticket) = self.processes[at].clients.connections.get(&number).map(|one| one.ticket.clone()) {
            self.bring(at, ClientInput::Room(ticket));
            self.hand_in(at);
        }
    }

    fn see_frame(&mut self, at: usize, number: u64, frame: &Bytes) {
        let Some((opcode, ends, payload)) = server_frame(frame) else {
            return self.violate("frames", format!("connection {number} gets what is no frame"));
        };
        if opcode == Opcode::Ping {
            return self.pinged(at, number, frame.slice_ref(payload));
        }
        let begins = opcode != Opcode::Continuation;
        if begins && ends {
            return self.see_told(at, number, frames::told(payload));
        }
        let Some(connection) = self.processes[at].clients.connections.get_mut(&number) else { return };
        if begins != connection.partial.is_empty() {
            return self.violate("frames", format!("connection {number} gets a part of a message inside of another"));
        }
        connection.partial.extend_from_slice(payload);
        if ends {
            let message = std::mem::take(&mut connection.partial);
            self.see_told(at, number, frames::told(&message));
        }
    }

    fn see_told(&mut self, at: usize, number: u64, told: Told) {
        if self.sabotage.is_none() {
            return self.see(at, number, told);
        }
        for told in self.lied_told(at, number, told) {
            self.see(at, number, told);
        }
    }

    fn see(&mut self, at: usize, number: u64, told: Told) {
        match told {
            Told::Pushed { channel, publication, offset } => self.pushed(at, number, channel, publication, offset),
            Told::Unsubscribed { channel } => self.unsubscribed(at, number, channel),
            Told::Answered { id, reply } => self.answered(at, number, id, reply),
            Told::Message(publication) => self.messaged(at, number, publication),
            Told::Ping => {
                if let Some(connection) = self.processes[at].clients.connections.get(&number) {
                    let ticket = connection.ticket.clone();
                    let pong = ringway_hub::Command { id: 0, ask: Ask::Pong };
                    self.bring(at, ClientInput::Commands(ticket, smallvec::smallvec![pong]));
                    self.hand_in(at);
                }
            }
            Told::Greeted => {
                if let Some(connection) = self.processes[at].clients.connections.get_mut(&number)
                    && std::mem::replace(&mut connection.is_in, true)
                {
                    self.violate("answers", format!("connection {number} is greeted twice"));
                }
            }
            Told::Reconnect => self.asked_to_go(at, number),
            Told::News => {}
            Told::Nonsense(text) => self.violate("frames", format!("connection {number} gets {text}")),
        }
    }

    /// A command is answered: with what belongs to it, and once.
    fn answered(&mut self, at: usize, number: u64, id: u32, reply: Answer) {
        let Some(connection) = self.processes[at].clients.connections.get_mut(&number) else { return };
        let Some(asked) = connection.asked.remove(&id) else {
            return self.violate("answers", format!("connection {number} is answered {id} again: {reply:?}"));
        };
        match (asked, reply) {
            (Asked::Connect(brought), Answer::Connected { personal }) => {
                connection.is_in = true;
                if let Some((channel, told)) = personal {
                    self.subscribed(at, number, channel, brought, &told);
                }
            }
            (Asked::Subscribe(channel, from), Answer::Subscribed(told)) => {
                self.subscribed(at, number, channel, from, &told);
            }
            (Asked::Unsubscribe(channel), Answer::Unsubscribed) => drop(connection.subs.remove(&channel)),
            (Asked::Publish(publication), Answer::Published) => self.watch_published(publication, None),
            (Asked::Publish(publication), Answer::Failed(_)) => self.watch_unanswered(publication),
            (Asked::History(channel, known), Answer::History { top, publications }) => {
                self.watch_told_history(channel, known, top, &publications);
            }
            (Asked::Presence, Answer::Present(_)) => {}
            (asked, Answer::Failed(code)) => {
                note!(self, "{}: connection {number} fails with {code}: {asked:?}", self.processes[at].id);
            }
            (asked, reply) => {
                self.violate("answers", format!("connection {number} asked {asked:?} and is answered {reply:?}"));
            }
        }
    }

    /// A client sees that its connection was closed.
    fn closed(&mut self, at: usize, number: u64, code: u16) {
        let Some(connection) = self.processes[at].clients.connections.remove(&number) else { return };
        note!(
            self,
            "{}: connection {number} of client {} is closed with {code}",
            self.processes[at].id,
            connection.who
        );
        self.bring(at, ClientInput::Closed(connection.ticket.clone()));
        self.hand_in(at);
        self.watch_closed(at, number, &connection, code);
        self.connection_over(at, number, &connection);
    }

    /// Whoever is slow reads something, or rests for a while.
    pub(crate) fn read_slowly(&mut self, at: usize) {
        let slow = |connection: &Connection, list: &[Client]| match list[connection.who].pace {
            Pace::Slow(bytes) if !connection.vanished => Some((bytes, connection.sleeps_until)),
            _ => None,
        };
        if self.setup.large.is_some() {
            return;
        }
        let connections = self.processes[at].clients.connections.iter();
        let reading: Vec<(u64, usize, u64)> = connections
            .filter_map(|(number, connection)| {
                let (bytes, sleeps) = slow(connection, &self.people.list)?;
                Some((*number, bytes, sleeps))
            })
            .collect();
        for (number, bytes, sleeps) in reading {
            if self.now < sleeps {
                continue;
            }
            if !self.is_quiet() && self.rng.chance(50) {
                let until = self.now + self.rng.range(100, 1500) * crate::world::MS;
                if let Some(connection) = self.processes[at].clients.connections.get_mut(&number) {
                    connection.sleeps_until = until;
                }
                continue;
            }
            let bytes = if self.is_quiet() { bytes * 20 } else { bytes };
            self.read(at, number, bytes);
        }
    }
}
