//! What clients do of themselves, a little at each step of their gateway: what it does meanwhile is no matter, it may be frozen.

use ringway_hub::{Ask, History};

use super::Asked;
use crate::world::{Event, Input, World};

impl World {
    /// The clients of a gateway do something, and will again after a pause.
    pub(crate) fn client_step(&mut self, at: usize) {
        let pause = self.rng.range(self.setup.pace / 4, self.setup.pace * 2);
        self.schedule(self.now + pause, Event::Clients(at));
        if !self.processes[at].has_gateway() {
            return;
        }
        if !self.processes[at].leaving {
            self.fill_some(at);
            self.do_something(at);
            self.come_in(at);
        }
        self.read_slowly(at);
        self.answer_pings(at);
        self.look_at_strain(at);
        let process = &mut self.processes[at];
        if !process.clients.batch.inputs.is_empty() && !std::mem::replace(&mut process.clients.is_due, true) {
            let boot = process.boot;
            self.reach(at, boot, Input::Clients);
        }
    }

    fn do_something(&mut self, at: usize) {
        let publishing = !self.is_quiet();
        match self.rng.below(100) {
            0..=69 if publishing => self.publish_some(at),
            70..=84 => self.toggle_some(at),
            // A history may take so many pages that somebody would always be reading one.
            85..=88 if publishing => self.read_some(at),
            89..=91 if publishing => self.read_as_client(at),
            92 if publishing => self.disconnect_some(at),
            93..=95 if publishing && self.setup.removes => self.remove_some(at),
            _ => {}
        }
    }

    /// One of the connections here.
    pub(crate) fn some_connection(&mut self, at: usize) -> Option<u64> {
        let connections = &self.processes[at].clients.connections;
        if connections.is_empty() {
            return None;
        }
        let which = self.rng.below(connections.len() as u64) as usize;
        let (number, connection) = self.processes[at].clients.connections.iter().nth(which)?;
        (!connection.vanished).then_some(*number)
    }

    /// Somebody here comes into a channel, leaves one, or goes.
    fn toggle_some(&mut self, at: usize) {
        if self.setup.large.is_some() || self.is_quiet() {
            // Where an answer takes so long there would be no moment in which nobody waits for one.
            return;
        }
        let Some(number) = self.some_connection(at) else { return };
        if self.rng.chance(200) {
            return self.hang_up(at, number);
        }
        let channel = self.some_channel();
        let Some(connection) = self.processes[at].clients.connections.get(&number) else { return };
        if connection.is_plain || self.setup.channels[channel].is_inbox() {
            return;
        }
        let (who, is_in) = (connection.who, connection.subs.get(&channel).is_some_and(|sub| !sub.leaves));
        if !is_in {
            self.people.list[who].wants.insert(channel);
            return self.ask_for_channels(at, number);
        }
        if self.rng.chance(300) {
            self.people.list[who].wants.remove(&channel);
            self.ask_to_unsubscribe(at, number, channel);
            if self.rng.chance(500) {
                self.people.list[who].seen.remove(&channel);
            }
        }
    }

    /// Somebody who is nowhere connects here, and whoever lacks a channel asks for it.
    fn come_in(&mut self, at: usize) {
        if self.setup.large.is_some() {
            return;
        }
        let quiet = self.is_quiet();
        for who in 0..self.people.list.len() {
            match self.people.list[who].at {
                None if self.is_open(at) && self.rng.chance(if quiet { 500 } else { 150 }) => {
                    self.connect_client(at, who);
                }
                Some((here, number)) if here == at && self.rng.chance(300) => self.ask_for_channels(at, number),
                _ => {}
            }
        }
    }

    /// A client reads the history of a channel that it is in, or who is there.
    fn read_as_client(&mut self, at: usize) {
        let Some(number) = self.some_connection(at) else { return };
        let channel = self.some_channel();
        let setup = self.setup.channels[channel].clone();
        let Some(connection) = self.processes[at].clients.connections.get(&number) else { return };
        if connection.is_plain || connection.subs.get(&channel).is_none_or(|sub| sub.leaves) {
            return;
        }
        if setup.options.presence && self.rng.chance(500) {
            self.ask(at, number, Asked::Presence, Ask::Presence(Ok(setup.name)));
        } else if setup.options.has_history() {
            let known = self.checker.acknowledged_top(channel);
            let history = History { channel: Ok(setup.name), limit: -1, since: None, reverse: false };
            self.ask(at, number, Asked::History(channel, known), Ask::History(Box::new(history)));
        }
    }
}
