//! Clients of gateways: people with devices, and backends. What they are told by a gateway's hub is what its frames say.
//!
//! A [`Client`] is a device through all its connections: it keeps the positions that it comes back with. A [`Connection`] is
//! one socket, as its client knows it; it outlives a client that is gone without a word.

mod backend;
mod clock;
mod connect;
mod disconnects;
mod doings;
mod frames;
mod inbox;
mod lies;
mod listen;
mod parting;
mod publish;
mod reading;
mod removals;
mod socket;
mod sockets;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use bytes::Bytes;
use parking_lot::Mutex;
use ringway_core::Position;
use ringway_core::member::Member;
use ringway_core::timing::Now;
use ringway_hub::{ApiAnswer, Batch, ClientInput, Hub, Ticket, Turns};

use super::{Event, Input, Time, World};
use crate::rng::Rng;
use crate::setup::Setup;

pub(crate) use backend::Call;
pub(crate) use clock::SimClock;
pub(crate) use disconnects::Closing;
pub(crate) use frames::{Answer, Subscribed, publication_in};
pub(crate) use inbox::User;
pub(crate) use parting::Order;
pub(crate) use removals::Removals;
pub(crate) use socket::{Port, SimSocket};

/// Subscriptions of one connection in a large cluster.
const CROWD: usize = 100;

/// How a client reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// At once.
    Quick,
    /// So many bytes now and then, and nothing for a while.
    Slow(usize),
}

/// A device, or a program that watches.
#[derive(Debug)]
pub(crate) struct Client {
    /// The inbox of its user, by channel; `None`: it has no name.
    pub(crate) user: Option<usize>,
    pub(crate) is_plain: bool,
    pub(crate) pace: Pace,
    /// Its process and connection.
    pub(crate) at: Option<(usize, u64)>,
    /// Channels that it wants to be in.
    pub(crate) wants: BTreeSet<usize>,
    /// Where it is in channels that it was in.
    pub(crate) seen: BTreeMap<usize, Position>,
}

/// What a command asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked {
    /// With this position in its own channel.
    Connect(Option<Position>),
    /// From this position.
    Subscribe(usize, Option<Position>),
    Unsubscribe(usize),
    Publish(u32),
    /// What was acknowledged when it was asked.
    History(usize, Option<Position>),
    Presence,
}

/// A channel that a connection is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sub {
    /// Its number among the checker's sessions.
    pub(crate) session: usize,
    /// Up to where it was told; `None` without history.
    pub(crate) at: Option<Position>,
    /// The client has asked to leave.
    pub(crate) leaves: bool,
    /// It has not been told all yet that was there when it came: it may still be told to come again with its position.
    pub(crate) is_behind: bool,
}

/// One socket, as its client knows it.
#[derive(Debug)]
pub(crate) struct Connection {
    /// Whose: its number among the clients.
    pub(crate) who: usize,
    pub(crate) ticket: Arc<Ticket>,
    pub(crate) socket: SimSocket,
    /// Its id at the gateway.
    pub(crate) id: u128,
    pub(crate) is_plain: bool,
    pub(crate) user: Option<usize>,
    /// As a publisher.
    sender: u32,
    /// It was greeted, or its connect was answered.
    pub(crate) is_in: bool,
    last_id: u32,
    pub(crate) asked: BTreeMap<u32, Asked>,
    pub(crate) subs: BTreeMap<usize, Sub>,
    /// What came of a message in fragments.
    partial: Vec<u8>,
    /// The last WebSocket ping that it has read and not answered, and what it had of its inbox by then.
    ping: Option<(Bytes, Option<Position>)>,
    /// It has shown to have its inbox up to here.
    confirmed: Option<Position>,
    /// Up to where it was told its inbox, if it is a plain one.
    inbox: Option<Position>,
    /// The client is gone without a word: what is written to it reaches nobody.
    pub(crate) vanished: bool,
    /// A plain client was asked to connect elsewhere.
    pub(crate) is_asked_to_go: bool,
    /// Where a run is sabotaged: what it is told later.
    kept_back: Option<frames::Told>,
    /// It reads nothing until then.
    sleeps_until: Time,
    /// Bytes that waited at least, and since when, while that was above the limit.
    lowest: Option<(usize, Time)>,
}

/// All that clients and backends have to do with one gateway process.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    /// The backend, as a publisher.
    sender: u32,
    pub(crate) port: Arc<Mutex<Port>>,
    pub(crate) seconds: Arc<AtomicU64>,
    pub(crate) connections: BTreeMap<u64, Connection>,
    batch: Batch<SimSocket>,
    turns: Turns<SimSocket>,
    /// The process is to take what has come in.
    is_due: bool,
    pub(crate) calls: BTreeMap<u64, Call>,
    answers: Arc<Mutex<Vec<(u64, ApiAnswer)>>>,
    pub(crate) orders: Vec<Order>,
}

impl Clients {
    pub(crate) fn new(sender: u32, setup: &Setup) -> Self {
        let port = Arc::new(Mutex::new(Port::new(setup.sockets_bytes)));
        Self { sender, port, ..Self::default() }
    }
}

/// Everybody who may connect somewhere.
#[derive(Debug)]
pub(crate) struct People {
    pub(crate) list: Vec<Client>,
    /// Users by their inbox.
    pub(crate) users: Vec<User>,
    /// In a large cluster: the users of inboxes, who come first.
    inboxes: usize,
    /// Idempotency keys, and their channels.
    keys: Vec<(usize, u32)>,
    /// The last number that each sender has published to a channel.
    numbers: HashMap<(u32, usize), u64>,
    connections: u64,
    /// How often somebody has come, gone, or asked for a channel.
    pub(crate) moves: u64,
    calls: u64,
    pub(crate) orders: u64,
    /// Orders to close sessions, by their number.
    closings: Vec<Closing>,
    /// Histories that were removed.
    pub(crate) removals: Removals,
}

impl People {
    /// All processes have ended at once.
    pub(crate) fn forget_what_was_confirmed(&mut self) {
        self.users.iter_mut().for_each(|user| user.let_go = None);
    }

    pub(crate) fn new(setup: &Setup, rng: &mut Rng) -> Self {
        let mut list = Vec::new();
        if setup.large.is_some() {
            Self::draw_crowd(setup, &mut list);
        } else {
            Self::draw(setup, rng, &mut list);
        }
        let inboxes = list.iter().filter(|client| client.user.is_some()).count();
        Self {
            list,
            inboxes,
            users: vec![User::default(); setup.channels.len()],
            keys: Vec::new(),
            numbers: HashMap::new(),
            connections: 0,
            moves: 0,
            calls: 0,
            orders: 0,
            closings: Vec::new(),
            removals: Removals::default(),
        }
    }

    fn draw(setup: &Setup, rng: &mut Rng, list: &mut Vec<Client>) {
        let pace = |rng: &mut Rng| match rng.below(10) {
            0 | 1 => Pace::Slow(rng.pick(&[100, 300, 1000]) as usize),
            _ => Pace::Quick,
        };
        for _ in 0..2 * setup.gateways {
            list.push(Client::new(None, false, pace(rng)));
        }
        for user in (0..setup.channels.len()).filter(|channel| setup.channels[*channel].is_inbox()) {
            let is_plain = rng.chance(700);
            list.push(Client::new(Some(user), is_plain, pace(rng)));
            if rng.chance(400) {
                let is_plain = rng.chance(400);
                list.push(Client::new(Some(user), is_plain, pace(rng)));
            }
        }
    }

    /// One plain client for each inbox, and watchers of a hundred channels each.
    fn draw_crowd(setup: &Setup, list: &mut Vec<Client>) {
        for channel in 0..setup.channels.len() {
            if setup.channels[channel].is_inbox() {
                list.push(Client::new(Some(channel), true, Pace::Quick));
            }
        }
        for _ in 0..setup.gateways * setup.channels.len().div_ceil(CROWD) {
            list.push(Client::new(None, false, Pace::Quick));
        }
    }
}

impl Client {
    fn new(user: Option<usize>, is_plain: bool, pace: Pace) -> Self {
        Self { user, is_plain, pace, at: None, wants: BTreeSet::new(), seen: BTreeMap::new() }
    }
}

impl World {
    pub(crate) fn hub_mut(&mut self, at: usize) -> Option<&mut Hub<SimSocket>> {
        self.processes[at].member.as_mut().and_then(Member::front_mut)
    }

    /// Something of a client reaches its gateway's process, which takes it when it runs.
    pub(crate) fn bring(&mut self, at: usize, input: ClientInput<SimSocket>) {
        self.processes[at].clients.batch.inputs.push(input);
    }

    /// The process of a gateway is to look at what clients have brought.
    pub(crate) fn hand_in(&mut self, at: usize) {
        let process = &mut self.processes[at];
        if process.clients.batch.inputs.is_empty() || std::mem::replace(&mut process.clients.is_due, true) {
            return;
        }
        let boot = process.boot;
        self.schedule(self.now, Event::To(at, boot, Input::Clients));
    }

    /// The process takes what clients have brought, as far as one turn goes.
    pub(crate) fn take_clients(&mut self, at: usize, now: Now) {
        let time = self.now;
        let process = &mut self.processes[at];
        let clients = &mut process.clients;
        clients.is_due = false;
        clients.port.lock().now = time;
        if let Some(hub) = process.member.as_mut().and_then(Member::front_mut) {
            clients.turns.work_off(now, hub, &mut clients.batch);
            clients.turns.resume(&mut clients.batch);
        }
        if self.processes[at].clients.turns.is_waiting() {
            let boot = self.processes[at].boot;
            self.processes[at].clients.is_due = true;
            self.schedule(self.now, Event::To(at, boot, Input::Clients));
        }
    }

    /// The process of these clients ended: their connections are lost, and nothing is known of what was open.
    pub(crate) fn clients_lost(&mut self, at: usize) {
        let clients = std::mem::take(&mut self.processes[at].clients);
        for (number, connection) in clients.connections {
            self.connection_over(at, number, &connection);
        }
    }
}
