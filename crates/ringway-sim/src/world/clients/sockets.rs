//! What the edge does to sockets that are full for too long, and the pings that follow what is written to an inbox.

use bytes::Bytes;
use ringway_core::Position;
use ringway_hub::ClientInput;
use ringway_protocol::centrifuge::Disconnect;

use super::Connection;
use crate::world::{MS, Time, World, note};

/// Longest time in which a full socket makes no progress.
const SLOW: Time = 10_000 * MS;

/// A queue above its limit must reach a new low within this time.
const BEHIND: Time = 5000 * MS;

impl World {
    /// A client reads a WebSocket ping. It answers some time, after all that came before.
    pub(crate) fn pinged(&mut self, at: usize, number: u64, payload: Bytes) {
        let Some(connection) = self.processes[at].clients.connections.get_mut(&number) else { return };
        let had = connection.inbox_position();
        connection.ping = Some((payload, had));
    }

    /// Some clients answer pings, late; some are gone without a word, and their sockets end when nobody has answered for a while.
    pub(crate) fn answer_pings(&mut self, at: usize) {
        let quiet = self.is_quiet();
        let connections = &self.processes[at].clients.connections;
        let numbers: Vec<u64> = match self.setup.large {
            // Of very many, some have their turn.
            Some(_) => {
                let first = self.rng.below(self.people.connections + 1);
                connections.range(first..).take(20).map(|(number, _)| *number).collect()
            }
            None => connections.keys().copied().collect(),
        };
        for number in numbers {
            let (answers, vanishes) = (self.rng.chance(400), !quiet && self.rng.chance(25));
            let Some(connection) = self.processes[at].clients.connections.get_mut(&number) else { continue };
            let is_user = connection.user.is_some();
            if connection.vanished {
                if self.rng.chance(100) {
                    self.hang_up(at, number);
                }
            } else if vanishes && is_user && connection.is_in {
                self.vanish(at, number);
            } else if answers || quiet {
                self.pong(at, number);
            }
        }
    }

    pub(super) fn pong(&mut self, at: usize, number: u64) {
        let Some(connection) = self.processes[at].clients.connections.get_mut(&number) else { return };
        if connection.socket.standing().is_held {
            return;
        }
        let Some((payload, had)) = connection.ping.take() else { return };
        let ticket = connection.ticket.clone();
        if let Some(ping) = ticket.take_pong(&payload) {
            connection.confirmed = had.or(connection.confirmed);
            self.bring(at, ClientInput::Ponged(ticket, ping));
        }
    }

    /// A client is gone without a word. It may be elsewhere soon.
    fn vanish(&mut self, at: usize, number: u64) {
        let Some(connection) = self.processes[at].clients.connections.get_mut(&number) else { return };
        connection.vanished = true;
        for sub in connection.subs.values() {
            self.checker.unsubscribed(sub.session, self.now);
        }
        let who = connection.who;
        note!(self, "{}: client {who} vanishes from connection {number}", self.processes[at].id);
        self.people.list[who].at = None;
    }

    /// The edge closes whoever makes no progress with a full socket, or falls ever further behind.
    pub(crate) fn look_at_strain(&mut self, at: usize) {
        if self.setup.large.is_some() {
            return;
        }
        let now = self.now;
        let limit = self.setup.hub.limits.outbox_bytes;
        let connections = self.processes[at].clients.connections.iter_mut();
        let closed: Vec<u64> =
            connections.filter_map(|(number, connection)| connection.is_slow(now, limit).then_some(*number)).collect();
        for number in closed {
            if let Some(connection) = self.processes[at].clients.connections.get(&number) {
                connection.socket.close_slow(Disconnect::Slow.code());
            }
            self.read(at, number, usize::MAX);
        }
    }
}

impl Connection {
    /// Up to where it has its inbox.
    pub(crate) fn inbox_position(&self) -> Option<Position> {
        let sub = || self.subs.get(&self.user?).and_then(|sub| sub.at);
        self.inbox.or_else(sub)
    }

    /// It has read a ping that it has not answered.
    pub(crate) fn owes_pong(&self) -> bool {
        self.ping.is_some()
    }

    /// It has a part of a reply, and not all of it.
    pub(crate) fn is_replied_to(&self) -> bool {
        !self.partial.is_empty()
    }

    fn is_slow(&mut self, now: Time, limit: usize) -> bool {
        let standing = self.socket.standing();
        if standing.closed.is_some() {
            return false;
        }
        self.lowest = match self.lowest {
            _ if standing.queued <= limit => None,
            Some((lowest, since)) if lowest <= standing.queued => Some((lowest, since)),
            _ => Some((standing.queued, now)),
        };
        let stands = standing.queued > 0 && standing.progressed.is_some_and(|since| now > since + SLOW);
        stands || self.lowest.is_some_and(|(_, since)| now > since + BEHIND)
    }
}
