//! Users of inboxes: what they truly have, by whichever device, and what they have shown to have.

use std::collections::BTreeMap;

use ringway_core::{Position, StreamEpoch};

use crate::setup::Mode;
use crate::world::{World, note};

/// The user of an inbox.
#[derive(Debug, Clone, Default)]
pub(crate) struct User {
    /// The user truly has everything up to here, by the life of the stream: every session began at or before what it had.
    tops: BTreeMap<StreamEpoch, u64>,
    /// In a life of the stream that goes on with what a log had left: what the user had of that.
    carried: u64,
    /// It was let go in order, with everything up to here confirmed, and comes elsewhere: nothing of that may come again.
    pub(crate) let_go: Option<Position>,
}

impl User {
    /// A session got as far as this.
    fn reached(&mut self, at: Position) {
        let top = self.tops.entry(at.epoch).or_insert(self.carried);
        *top = at.offset.max(*top);
    }

    /// Up to where it has this life of the stream.
    pub(crate) fn had(&self, epoch: StreamEpoch) -> u64 {
        self.tops.get(&epoch).copied().unwrap_or(self.carried)
    }

    /// The log has lost its end: this much of the stream is left, and goes on as another life of it.
    pub(crate) fn is_left(&mut self, left: Option<Position>) {
        self.carried = left.map_or(0, |left| self.had(left.epoch).min(left.offset));
    }
}

impl World {
    /// A session of a user is told that it begins here, or begins with what follows this. One that brings a position of its own is
    /// told what follows that, whatever was confirmed.
    pub(crate) fn inbox_begins(&mut self, at: usize, number: u64, channel: usize, start: Position, brings: bool) {
        if !self.setup.channels[channel].is_inbox() {
            return;
        }
        let user = &mut self.people.users[channel];
        let (had, let_go) = (user.had(start.epoch), if brings { None } else { user.let_go.take() });
        note!(self, "{}: inbox {channel} begins at {start:?} for connection {number}", self.processes[at].id);
        if start.offset > had {
            let text = format!("the user of channel {channel} had {had} and goes on from {start:?}");
            self.violate("inbox", text);
        }
        let again = let_go.filter(|let_go| let_go.epoch == start.epoch && start.offset < let_go.offset);
        if let Some(let_go) = again.filter(|_| self.setup.mode != Mode::Wild) {
            let text = format!("the user of channel {channel} confirmed {let_go:?} and gets all from {start:?} again");
            self.violate("inbox", text);
        }
        self.inbox_reached(channel, start);
    }

    pub(crate) fn inbox_reached(&mut self, channel: usize, position: Position) {
        if self.setup.channels[channel].is_inbox() {
            self.people.users[channel].reached(position);
        }
    }

    /// A plain client is told a message, which has no number by itself.
    pub(crate) fn messaged(&mut self, at: usize, number: u64, publication: u32) {
        let Some(connection) = self.processes[at].clients.connections.get_mut(&number) else { return };
        let (Some(channel), before, is_in) = (connection.user, connection.inbox, connection.is_in) else { return };
        note!(self, "{}: connection {number}, inbox {channel}: {publication}", self.processes[at].id);
        if !is_in {
            return self.violate("early", format!("connection {number} is told {publication} before it is greeted"));
        }
        let place = self.checker.publications.get(publication as usize).filter(|known| known.channel == channel);
        let Some(position) = place.and_then(|known| known.place) else {
            let text = format!("the user of channel {channel} is told {publication}, which is not in its inbox");
            return self.violate("C2", text);
        };
        match before.filter(|before| before.epoch == position.epoch) {
            Some(before) if before.offset + 1 != position.offset => {
                let rule = if before.offset >= position.offset { "double" } else { "gap" };
                self.violate(
                    rule,
                    format!("connection {number}, inbox {channel}: {position:?} comes after {before:?}"),
                );
            }
            Some(_) => {}
            None => {
                let start = Position { offset: position.offset.saturating_sub(1), ..position };
                self.inbox_begins(at, number, channel, start, false);
            }
        }
        self.inbox_reached(channel, position);
        if let Some(connection) = self.processes[at].clients.connections.get_mut(&number) {
            connection.inbox = Some(position);
        }
    }
}
