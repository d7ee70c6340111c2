//! Channels that clients are in: asked for with the position that they come back with, and what follows from the answers.

use ringway_core::Position;
use ringway_hub::{Ask, Extras, Subscribe};

use super::connect::seen;
use super::{Asked, CROWD, Pace, Sub, Subscribed};
use crate::world::{World, note};

impl World {
    /// Asks for every channel that the client wants to be in and is not.
    pub(crate) fn ask_for_channels(&mut self, at: usize, number: u64) {
        let Some(connection) = self.processes[at].clients.connections.get(&number) else { return };
        if connection.is_plain || connection.vanished {
            return;
        }
        let is_asked = |channel: &usize| {
            connection.asked.values().any(|asked| matches!(asked, Asked::Subscribe(of, _) if of == channel))
        };
        let wants = self.people.list[connection.who].wants.iter();
        let missing: Vec<usize> =
            wants.copied().filter(|channel| !connection.subs.contains_key(channel) && !is_asked(channel)).collect();
        for channel in missing {
            self.ask_to_subscribe(at, number, channel);
        }
    }

    fn ask_to_subscribe(&mut self, at: usize, number: u64, channel: usize) {
        let Some(who) = self.processes[at].clients.connections.get(&number).map(|connection| connection.who) else {
            return;
        };
        let from = self.people.list[who].seen.get(&channel).copied();
        let subscribe = Subscribe {
            channel: Ok(self.setup.channels[channel].name.clone()),
            recover: from.map(seen),
            rejects_unrecovered: false,
            token: None,
            is_foreign: false,
            filter: None,
            is_malformed: false,
            extras: Extras::default(),
        };
        note!(self, "{}: connection {number} subscribes to channel {channel} from {from:?}", self.processes[at].id);
        self.ask(at, number, Asked::Subscribe(channel, from), Ask::Subscribe(Box::new(subscribe)));
    }

    pub(crate) fn ask_to_unsubscribe(&mut self, at: usize, number: u64, channel: usize) {
        let name = self.setup.channels[channel].name.clone();
        if !self.ask(at, number, Asked::Unsubscribe(channel), Ask::Unsubscribe(Ok(name))) {
            return;
        }
        let Some(connection) = self.processes[at].clients.connections.get_mut(&number) else { return };
        let Some(sub) = connection.subs.get_mut(&channel) else { return };
        sub.leaves = true;
        let position = sub.at;
        self.checker.unsubscribed(sub.session, self.now);
        note!(self, "{}: connection {number} leaves channel {channel} at {position:?}", self.processes[at].id);
    }

    /// A client is told that it is in a channel, from where, and what it had missed.
    pub(crate) fn subscribed(
        &mut self,
        at: usize,
        number: u64,
        channel: usize,
        brought: Option<Position>,
        told: &Subscribed,
    ) {
        note!(
            self,
            "{}: connection {number} is in channel {channel} from {brought:?}: {told:?}",
            self.processes[at].id
        );
        self.watch_begun(channel, brought, told);
        let session = self.checker.subscribed(channel, self.now);
        let Some(connection) = self.processes[at].clients.connections.get_mut(&number) else { return };
        if self.people.list[connection.who].pace != Pace::Quick {
            // It may never read what has reached its kernel.
            self.checker.discount(session);
        }
        let is_behind = told.at.is_some();
        let sub = Sub { session, at: told.at, leaves: false, is_behind };
        if connection.subs.insert(channel, sub).is_some() {
            self.violate("answers", format!("connection {number} is told twice that it is in channel {channel}"));
        }
        if let Some(start) = told.at {
            self.remember(at, number, channel, start);
            self.inbox_begins(at, number, channel, start, told.was_recovering);
        }
        for (offset, publication) in &told.publications {
            self.pushed(at, number, channel, *publication, *offset);
        }
        self.look_whether_behind(at, number, channel);
    }

    /// Somebody who has been told all that is there has caught up.
    fn look_whether_behind(&mut self, at: usize, number: u64, channel: usize) {
        let Some(connection) = self.processes[at].clients.connections.get_mut(&number) else { return };
        let Some(sub) = connection.subs.get_mut(&channel).filter(|sub| sub.is_behind) else { return };
        let top = sub.at.and_then(|at| self.checker.logs.get(&at.epoch)).map_or(0, |log| log.top);
        sub.is_behind = sub.at.is_some_and(|at| at.offset < top);
    }

    fn remember(&mut self, at: usize, number: u64, channel: usize, position: Position) {
        let Some(connection) = self.processes[at].clients.connections.get(&number) else { return };
        self.people.list[connection.who].seen.insert(channel, position);
    }

    /// A client is told a publication.
    pub(crate) fn pushed(&mut self, at: usize, number: u64, channel: usize, publication: u32, offset: u64) {
        let Some(connection) = self.processes[at].clients.connections.get_mut(&number) else { return };
        let Some(sub) = connection.subs.get_mut(&channel) else {
            let text = format!("connection {number} is told {publication} of channel {channel} and is not in it");
            return self.violate("early", text);
        };
        let (session, before) = (sub.session, sub.at);
        if let Some(position) = sub.at.as_mut().filter(|_| offset > 0) {
            position.offset = offset;
        }
        let after = sub.at.filter(|_| offset > 0);
        let who = connection.who;
        note!(self, "{}: connection {number}, channel {channel}: {publication} at {offset}", self.processes[at].id);
        self.watch_delivered(channel, session, before, offset, publication);
        if let Some(after) = after {
            self.people.list[who].seen.insert(channel, after);
            self.inbox_reached(channel, after);
            self.look_whether_behind(at, number, channel);
        }
    }

    /// A client is told that it is in a channel no more, because it would have missed something.
    pub(crate) fn unsubscribed(&mut self, at: usize, number: u64, channel: usize) {
        let Some(connection) = self.processes[at].clients.connections.get_mut(&number) else { return };
        let Some(sub) = connection.subs.remove(&channel) else {
            return self
                .violate("early", format!("connection {number} is put out of channel {channel}, and is not in it"));
        };
        self.people.moves += 1;
        // It had been put out when an order that has only just come looked who is meant.
        let orders = self.processes[at].clients.orders.iter_mut().filter(|order| order.passed == 0);
        orders.for_each(|order| order.due.retain(|due| *due != number));
        self.checker.unsubscribed(sub.session, self.now);
        note!(self, "{}: connection {number} lost channel {channel} at {:?}", self.processes[at].id, sub.at);
        if !sub.is_behind {
            self.watch_lost(channel, sub.at);
        }
    }
}

impl World {
    /// Somebody of a large cluster listens to a channel: the user whose inbox it is, or one of those who listen to many.
    pub(crate) fn listen_in_crowd(&mut self, at: usize, channel: usize) {
        let inboxes = self.people.inboxes;
        let watchers = (self.people.list.len() - inboxes) / self.setup.gateways;
        let who = match self.setup.channels[channel].is_inbox() {
            true => channel / 4,
            false => inboxes + at * watchers + channel / CROWD,
        };
        if self.people.list[who].at.is_none() {
            self.connect_client(at, who);
        }
        self.people.list[who].wants.insert(channel);
        if let Some((here, number)) = self.people.list[who].at.filter(|(here, _)| *here == at) {
            self.ask_for_channels(here, number);
        }
    }
}
