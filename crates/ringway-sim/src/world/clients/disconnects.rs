//! Backends have the sessions of a user closed, wherever they are: an order through the owner of the user's name, answered when every
//! gateway has carried it out.

use ringway_core::Incarnation;
use ringway_core::member::Member;
use ringway_core::message::{Deed, Order};
use ringway_hub::ApiRequest;

use super::{Call, Connection};
use crate::world::{World, note};

/// Close codes of orders, one for each: so a client knows which one has closed it.
const CODES: std::ops::Range<u16> = 4000..5000;

/// An order to close the sessions of a user, as whoever gave it knows it.
#[derive(Debug, Clone)]
pub(crate) struct Closing {
    /// The user's inbox; `None`: of everybody without a name.
    user: Option<usize>,
    /// Only this session, and none of these.
    client: Option<u128>,
    whitelist: Vec<u128>,
    /// Sessions that it means and that were there when it was given: the process of their gateway, its life, and their connection.
    due: Vec<(usize, Incarnation, u64)>,
}

impl Closing {
    fn means(&self, connection: &Connection) -> bool {
        self.user == connection.user
            && self.client.is_none_or(|only| only == connection.id)
            && !self.whitelist.contains(&connection.id)
    }

    fn order(&self, code: u16, name: &str) -> Order {
        let (client, whitelist) = (self.client, self.whitelist.clone());
        Order { user: name.into(), client, whitelist, deed: Deed::Close { code, reason: "ordered".into() } }
    }
}

impl World {
    /// A backend has the sessions of somebody closed: mostly all, now and then one of them, or all but one.
    pub(crate) fn disconnect_some(&mut self, at: usize) {
        let number = self.people.closings.len() as u16;
        if self.setup.large.is_some() || number >= CODES.end - CODES.start {
            return;
        }
        let who = self.rng.below(self.people.list.len() as u64) as usize;
        let user = self.people.list[who].user;
        let mut closing = Closing { user, client: None, whitelist: Vec::new(), due: Vec::new() };
        let known: Vec<u128> = self.connections_of(&closing).map(|(.., connection)| connection.id).collect();
        if !known.is_empty() {
            let one = self.rng.pick(&known);
            match self.rng.below(4) {
                0 => closing.client = Some(one),
                1 => closing.whitelist.push(one),
                _ => {}
            }
        }
        closing.due = self.due_of(at, &closing);
        let name = user.and_then(|user| self.setup.channels[user].user.clone());
        let code = CODES.start + number;
        let order = closing.order(code, name.as_ref().map_or("", |name| name.as_str()));
        note!(self, "{}: a backend has closed with {code}: {closing:?}", self.processes[at].id);
        self.people.closings.push(closing);
        self.call(at, Call::Disconnect(number), ApiRequest::Order(Box::new(order)));
    }

    /// Connections that an order means, and the processes of their gateways.
    fn connections_of(&self, closing: &Closing) -> impl Iterator<Item = (usize, u64, &Connection)> {
        let all = self.processes.iter().enumerate();
        let all = all.flat_map(|(at, process)| process.clients.connections.iter().map(move |one| (at, one)));
        all.filter(|(_, (_, connection))| closing.means(connection)).map(|(at, (number, one))| (at, *number, one))
    }

    /// Of those, the ones whose sessions have begun, at gateways that are in the view of the one that is asked.
    fn due_of(&self, asked: usize, closing: &Closing) -> Vec<(usize, Incarnation, u64)> {
        let Some(view) = self.processes[asked].member.as_ref().map(Member::view) else { return Vec::new() };
        let begun = self.connections_of(closing).filter(|(.., connection)| connection.is_in);
        let lives = begun.map(|(at, number, _)| (at, self.processes[at].incarnation, number));
        lives.filter(|(_, gateway, _)| view.gateway(*gateway).is_some()).collect()
    }

    /// The order is answered: what was due is closed at every gateway that is still in the view. One that was removed may live, and
    /// hears of nothing.
    pub(crate) fn watch_disconnected(&mut self, number: u16) {
        let Some(closing) = self.people.closings.get(usize::from(number)) else { return };
        let view = self.newest_view();
        let survives = |(at, gateway, number): &&(usize, Incarnation, u64)| {
            let process = &self.processes[*at];
            let is_there = process.incarnation == *gateway && view.gateway(*gateway).is_some();
            let connection = process.clients.connections.get(number).filter(|_| is_there);
            connection.is_some_and(|connection| connection.socket.standing().closed.is_none())
        };
        if let Some((at, _, connection)) = closing.due.iter().find(survives) {
            let id = &self.processes[*at].id;
            let text = format!("{id}: connection {connection} survives order {number}, which is answered");
            self.violate("disconnect", text);
        }
    }

    /// Whether an order with this code means the connection; `None`: no order has it.
    pub(crate) fn is_ordered_away(&self, connection: &Connection, code: u16) -> Option<bool> {
        let number = CODES.contains(&code).then(|| usize::from(code - CODES.start))?;
        Some(self.people.closings.get(number).is_some_and(|closing| closing.means(connection)))
    }
}
