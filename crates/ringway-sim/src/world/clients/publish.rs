//! What clients and backends publish.

use bytes::Bytes;
use ringway_core::message::Entry;
use ringway_hub::{ApiPublish, ApiRequest, Ask, ClientInput};
use ringway_protocol::plain::InboxMessage;

use super::{Asked, Call};
use crate::checker::Publication;
use crate::world::{World, note};

/// Publishes of a gateway that wait for their owners: with more, its clients wait.
const WAITING: usize = 200;
const WAITING_IN_A_CROWD: usize = 20_000;

/// The publication's number, and as much behind it as it takes.
fn text(publication: u32, size: usize) -> String {
    let mut text = publication.to_string();
    if text.len() + 1 < size {
        text.push(' ');
        text.extend(std::iter::repeat_n('x', size - text.len()));
    }
    text
}

/// The same as a payload.
fn payload(publication: u32, size: usize) -> Bytes {
    format!("\"{}\"", text(publication, size)).into()
}

impl World {
    pub(crate) fn publish_some(&mut self, at: usize) {
        let burst = self.rng.range(1, 5);
        let same = self.some_channel();
        for _ in 0..burst {
            let channel = if self.rng.chance(700) { same } else { self.some_channel() };
            let key = self.some_key(channel);
            let by = if key.is_some() || self.rng.chance(500) { None } else { self.some_connection(at) };
            match by {
                Some(number) => self.publish_as_client(at, number, channel),
                None => self.publish_as_backend(at, channel, key, 0),
            }
        }
    }

    pub(crate) fn some_channel(&mut self) -> usize {
        self.rng.below(self.setup.channels.len() as u64) as usize
    }

    /// Now and then a publish has a key, and now and then one that was used before, perhaps through another gateway.
    fn some_key(&mut self, channel: usize) -> Option<u32> {
        if !self.setup.channels[channel].options.has_history() || !self.rng.chance(150) {
            return None;
        }
        let used: Vec<u32> =
            self.people.keys.iter().rev().take(8).filter(|(on, _)| *on == channel).map(|(_, key)| *key).collect();
        if !used.is_empty() && self.rng.chance(600) {
            return Some(self.rng.pick(&used));
        }
        let key = self.people.keys.len() as u32;
        self.people.keys.push((channel, key));
        Some(key)
    }

    fn has_room_for_publishes(&self, at: usize) -> bool {
        let most = if self.setup.large.is_some() { WAITING_IN_A_CROWD } else { WAITING };
        let gateway = self.processes[at].member.as_ref().and_then(ringway_core::member::Member::gateway);
        gateway.is_some_and(|gateway| gateway.publishes_waiting() <= most)
    }

    fn new_publication(&mut self, sender: u32, channel: usize, key: Option<u32>) -> u32 {
        let number = self.people.numbers.entry((sender, channel)).or_default();
        *number += 1;
        self.checker.published(Publication::new(channel, sender, *number, key, self.now))
    }

    /// A backend publishes through the API.
    pub(crate) fn publish_as_backend(&mut self, at: usize, channel: usize, key: Option<u32>, size: usize) {
        if !self.has_room_for_publishes(at) {
            return;
        }
        let publication = self.new_publication(self.processes[at].clients.sender, channel, key);
        let setup = self.setup.clone();
        let setup = &setup.channels[channel];
        note!(self, "{}: a backend publishes {publication} to channel {channel}, key {key:?}", self.processes[at].id);
        let request = match setup.user.clone().filter(|_| key.is_none() && publication.is_multiple_of(2)) {
            Some(user) => {
                let mut data = Vec::new();
                InboxMessage::encode(&mut data, &text(publication, size), None);
                ApiRequest::Say(user, data.into())
            }
            None => ApiRequest::Publish(Box::new(ApiPublish {
                channel: Ok(setup.name.clone()),
                entry: Entry::of(&payload(publication, size)),
                idempotency_key: key.map(|key| format!("key-{key}").into()),
                version: None,
                skip_history: false,
            })),
        };
        self.call(at, Call::Publish(publication), request);
    }

    fn publish_as_client(&mut self, at: usize, number: u64, channel: usize) {
        let Some(connection) = self.processes[at].clients.connections.get(&number) else { return };
        let (sender, is_plain) = (connection.sender, connection.is_plain);
        if !connection.is_in || connection.socket.standing().is_held || !self.has_room_for_publishes(at) {
            return;
        }
        if is_plain {
            return self.say(at, number, channel);
        }
        let publication = self.new_publication(sender, channel, None);
        note!(self, "{}: connection {number} publishes {publication} to channel {channel}", self.processes[at].id);
        let ask = Ask::Publish(Ok(self.setup.channels[channel].name.clone()), Some(payload(publication, 0).into()));
        self.ask(at, number, Asked::Publish(publication), ask);
    }

    /// A plain client writes to an inbox. It is told only if that fails.
    fn say(&mut self, at: usize, number: u64, channel: usize) {
        let Some(to) = self.setup.channels[channel].user.clone() else { return };
        let limit = self.setup.hub.limits.publishes_in_flight;
        let Some(connection) = self.processes[at].clients.connections.get(&number) else { return };
        let (ticket, socket, sender) = (connection.ticket.clone(), connection.socket.clone(), connection.sender);
        let publication = self.new_publication(sender, channel, None);
        let mut data = Vec::new();
        InboxMessage::encode(&mut data, &text(publication, 0), Some("somebody"));
        ticket.begin_asks(1);
        if ticket.must_pause(limit) {
            socket.hold();
        }
        note!(self, "{}: connection {number} says {publication} to channel {channel}", self.processes[at].id);
        self.bring(at, ClientInput::Said(ticket, to, data.into()));
    }

    /// The size of a publication in a large cluster.
    pub(crate) fn publish_sized(&mut self, at: usize, channel: usize, size: usize) {
        self.publish_as_backend(at, channel, None, size);
    }
}
