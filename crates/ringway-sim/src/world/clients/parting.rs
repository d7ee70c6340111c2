//! Clients are sent away: by a gateway that leaves, or by an order to connect anew.

use ringway_core::Incarnation;
use ringway_core::member::{Front, Member};
use ringway_core::message::Reset;
use ringway_core::ring::SlotSet;
use ringway_core::timing::Now;

use super::{Asked, Connection, Pace};
use crate::world::process::Process;
use crate::world::{Event, Input, MS, Time, World, note};

/// Longest wait of a gateway that leaves for owners to confirm how far inboxes were read.
const CONFIRM: Time = 1000 * MS;

/// An order to connect anew that a gateway was given.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) reset: Reset,
    /// Time that its gateway has run since.
    pub(crate) passed: Time,
    /// Time that it was given more, because it had stood still.
    pub(crate) grace: Time,
    /// Connections that were in such a channel for certain when it came, and are still there.
    pub(crate) due: Vec<u64>,
    /// Connections that may have been.
    pub(crate) meant: Vec<u64>,
}

impl World {
    /// A gateway that leaves sends some clients away. Once nobody is left it leaves.
    pub(crate) fn shed(&mut self, at: usize, now: Now) {
        let Some(since) = self.processes[at].sheds else { return };
        let time = self.now;
        let few = self.rng.range(1, 4) as usize;
        let Some(hub) = self.hub_mut(at) else { return };
        let left = hub.shed(now, few);
        if left > 0 {
            return self.processes[at].sheds = Some(time);
        }
        let confirmed = hub.gateway().lingering_count() == 0 && time > since;
        if confirmed || time >= since + CONFIRM {
            self.processes[at].sheds = None;
            let boot = self.processes[at].boot;
            self.schedule(self.now, Event::To(at, boot, Input::Leave));
        }
    }

    /// Whoever came in meanwhile.
    pub(crate) fn shut_down_hub(&mut self, at: usize) {
        if let Some(hub) = self.hub_mut(at) {
            hub.shut_down();
        }
    }

    /// Every gateway is given an order to have the clients of some slots connect anew, or all.
    pub(crate) fn give_reset(&mut self) {
        self.people.orders += 1;
        let number = self.people.orders;
        let some = self.rng.chance(800).then(|| {
            let all: Vec<_> = self.setup.slots.slots().collect();
            SlotSet::of(all.into_iter().filter(|_| self.rng.chance(300)).collect::<Vec<_>>())
        });
        let window = std::time::Duration::from_millis(self.rng.below(1500));
        let reset = Reset { number, slots: some, window };
        for at in 0..self.setup.gateways {
            let boot = self.processes[at].boot;
            self.schedule(self.now, Event::To(at, boot, Input::Reset(Box::new(reset.clone()))));
        }
    }

    /// An order comes to a gateway.
    pub(crate) fn take_reset(&mut self, at: usize, now: Now, reset: &Reset) {
        let from = Incarnation(1);
        note!(self, "{}: order {} to connect anew: {:?}", self.processes[at].id, reset.number, reset.slots);
        let (order, lied) = (self.order_of(at, reset), self.lied_reset(reset));
        let Some(hub) = self.processes[at].member.as_mut().and_then(Member::front_mut) else { return };
        hub.reset(now, from, &lied);
        self.processes[at].clients.orders.push(order);
    }

    fn order_of(&self, at: usize, reset: &Reset) -> Order {
        let inside =
            |channel: &usize| reset.slots.as_ref().is_none_or(|slots| slots.has(self.setup.channels[*channel].slot));
        let connections = &self.processes[at].clients.connections;
        // Whoever is slow may not have read yet that it is in a channel no more.
        let is_quick = |one: &Connection| self.people.list[one.who].pace == Pace::Quick && !one.vanished;
        let is_in = |one: &Connection| {
            let personal = one.user.filter(|_| one.is_plain && one.is_in && !one.is_asked_to_go);
            let in_channels = one.subs.iter().any(|(channel, sub)| !sub.leaves && inside(channel));
            let is_meant = in_channels || personal.is_some_and(|user| inside(&user));
            is_quick(one) && (is_meant || (reset.slots.is_none() && one.is_in))
        };
        let may_be = |one: &Connection| {
            let asks = one.asked.values().any(|asked| match asked {
                Asked::Subscribe(channel, _) | Asked::Unsubscribe(channel) => inside(channel),
                _ => false,
            });
            asks || one.subs.keys().any(inside) || one.user.is_some_and(|user| inside(&user)) || reset.slots.is_none()
        };
        let all = |pick: &dyn Fn(&Connection) -> bool| {
            connections.iter().filter(|(_, one)| pick(one)).map(|(number, _)| *number).collect()
        };
        Order { reset: reset.clone(), passed: 0, grace: 0, due: all(&is_in), meant: all(&may_be) }
    }

    /// A plain client is asked to connect elsewhere. If it has answered its last ping, and is the only one of its user, nothing that
    /// it has may come again.
    pub(crate) fn asked_to_go(&mut self, at: usize, number: u64) {
        let Some(connection) = self.processes[at].clients.connections.get_mut(&number) else { return };
        connection.is_asked_to_go = true;
        let (user, confirmed, has_all) = (
            connection.user,
            connection.confirmed,
            connection.ping.is_none() && connection.confirmed == connection.inbox,
        );
        let Some(channel) = user else { return };
        let of_user =
            |process: &Process| process.clients.connections.values().filter(|one| one.user == Some(channel)).count();
        // Whoever waited for its owner for too long goes without its word.
        let gateway = self.processes[at].member.as_ref().and_then(Member::gateway);
        let is_kept = gateway.is_some_and(|gateway| gateway.lingering_count() == 0);
        let alone = self.processes.iter().map(of_user).sum::<usize>() == 1;
        if has_all && alone && is_kept && !self.is_known_elsewhere(at, channel) {
            note!(self, "{}: connection {number} is let go with {confirmed:?} of {channel}", self.processes[at].id);
            self.people.users[channel].let_go = confirmed;
        }
    }

    /// Another gateway had the inbox, and does not know yet that its session there has ended: it stands still, or its owner has not heard.
    /// What is confirmed here meanwhile it is not told, so whoever comes there begins at what it knows.
    fn is_known_elsewhere(&self, at: usize, channel: usize) -> bool {
        let stands = |(other, process): (usize, &Process)| other != at && process.frozen;
        let name = &self.setup.channels[channel].name;
        let nodes = self.processes.iter().filter_map(|process| process.node());
        let listeners = nodes.filter_map(|node| node.inspect_channel(name)).map(|report| report.listeners).max();
        self.processes.iter().enumerate().any(stands) || listeners > Some(1)
    }
}
