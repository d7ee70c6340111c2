//! Who may stand in the HTTP stage, and who has to go when it is full.
//!
//! Every connection that is no WebSocket yet has a [`Seat`]. One that has not sent a whole head costs its client nothing, so it
//! has no right to stay: where there is no room, the one that has been silent for longest makes room for the newcomer. One
//! that has sent a head is at work, and its deadlines end it. While there is no room, an address that holds more than its
//! share gives up a seat before anybody else does.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// An address may hold one in so many seats while there is no room.
const SHARE: usize = 4;

/// The door is no longer called full when it has let everybody in for this long.
const CALM: Duration = Duration::from_secs(10);

/// Counters of connections that the edge closed or sent away in the HTTP stage, by the reason; they only grow.
#[derive(Debug, Default)]
pub struct HttpClosed {
    /// Had not sent a whole head, and made room for a newcomer.
    pub oldest: AtomicU64,
    /// Of an address that held more than its share while there was no room.
    pub share: AtomicU64,
    /// Found no room: answered 503, or closed where no answer was possible.
    pub full: AtomicU64,
    /// The head did not come in time, or nothing more came after an answer.
    pub head: AtomicU64,
    /// The body did not come in time.
    pub body: AtomicU64,
    /// The answer was not read in time.
    pub answer: AtomicU64,
    /// A trusted proxy did not say in time, or not properly, for whom it asks.
    pub proxy: AtomicU64,
}

/// What a request is for, which says how much room there is for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Everything that clients ask for.
    Client,
    /// What tells and mends how the process is: for it there are seats that no client gets.
    Operator,
}

/// Bounds of one door.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    /// Seats for everybody.
    pub(crate) seats: usize,
    /// Seats beside these for requests of [`Class::Operator`], and for heads that are not known yet.
    pub(crate) reserve: usize,
}

#[derive(Debug)]
pub(crate) struct Door {
    room: Room,
    closed: Arc<HttpClosed>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Counts places in the queue. The lowest number has been silent, or at work, for longest.
    turns: u64,
    /// Everybody by their place.
    seated: HashMap<u64, Entry>,
    silent: BTreeSet<u64>,
    by_address: HashMap<IpAddr, Held>,
    /// Those that hold more than their share: no more than [`SHARE`] fit.
    greedy: Vec<IpAddr>,
    /// When somebody was last sent away for want of room, while the door counts as full.
    full: Option<Instant>,
}

#[derive(Debug)]
struct Entry {
    address: Option<IpAddr>,
    is_working: bool,
    leave: Arc<Notify>,
}

/// What one address holds.
#[derive(Debug, Default)]
struct Held {
    silent: BTreeSet<u64>,
    working: BTreeSet<u64>,
}

/// A place in the HTTP stage, until dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    door: Arc<Door>,
    /// Its place in the queue; another one whenever it begins to wait or to work.
    turn: AtomicU64,
    leave: Arc<Notify>,
}

impl Held {
    fn count(&self) -> usize {
        self.silent.len() + self.working.len()
    }

    fn oldest(&self) -> Option<u64> {
        self.silent.first().or_else(|| self.working.first()).copied()
    }
}

impl Inner {
    /// Connections that have sent a head and are at work.
    fn working(&self) -> usize {
        self.seated.len() - self.silent.len()
    }

    fn seat(&mut self, entry: Entry) -> u64 {
        self.turns += 1;
        let turn = self.turns;
        if !entry.is_working {
            self.silent.insert(turn);
        }
        if let Some(address) = entry.address {
            let held = self.by_address.entry(address).or_default();
            if entry.is_working {
                held.working.insert(turn)
            } else {
                held.silent.insert(turn)
            };
        }
        self.seated.insert(turn, entry);
        turn
    }

    fn unseat(&mut self, turn: u64) -> Option<Entry> {
        let entry = self.seated.remove(&turn)?;
        self.silent.remove(&turn);
        if let Some(address) = entry.address
            && let Some(held) = self.by_address.get_mut(&address)
        {
            if entry.is_working {
                held.working.remove(&turn)
            } else {
                held.silent.remove(&turn)
            };
            if held.count() == 0 {
                self.by_address.remove(&address);
            }
        }
        Some(entry)
    }

    /// Keeps the list of those that hold more than their share.
    fn weigh(&mut self, address: Option<IpAddr>, share: usize) {
        let Some(address) = address else { return };
        let is_greedy = self.by_address.get(&address).is_some_and(|held| held.count() > share);
        match self.greedy.iter().position(|known| *known == address) {
            Some(at) if !is_greedy => drop(self.greedy.swap_remove(at)),
            None if is_greedy => self.greedy.push(address),
            _ => {}
        }
    }

    /// The one who holds most of those above their share.
    fn greediest(&self) -> Option<(IpAddr, &Held)> {
        let held = self.greedy.iter().filter_map(|address| Some((*address, self.by_address.get(address)?)));
        held.max_by_key(|(_, held)| held.count())
    }
}

impl Door {
    pub(crate) fn new(room: Room, closed: Arc<HttpClosed>) -> Self {
        Self { room, closed, inner: Mutex::default() }
    }

    fn share(&self) -> usize {
        (self.room.seats / SHARE).max(1)
    }

    fn all(&self) -> usize {
        self.room.seats.saturating_add(self.room.reserve)
    }

    /// Lets a newcomer in. Where every seat is taken, somebody goes: the oldest of an address with more than its share, or
    /// else whoever has been silent for longest. `None`: all are at work.
    pub(crate) fn enter(self: &Arc<Self>, address: Option<IpAddr>) -> Option<Seat> {
        let (address, leave) = (address.map(network), Arc::new(Notify::new()));
        let mut inner = self.inner.lock();
        if inner.seated.len() >= self.all() {
            self.is_full(&mut inner);
            let greedy = inner.greediest().and_then(|(_, held)| held.oldest());
            let Some((turn, why)) = greedy
                .map(|turn| (turn, &self.closed.share))
                .or_else(|| Some((*inner.silent.first()?, &self.closed.oldest)))
            else {
                self.closed.full.fetch_add(1, Ordering::Relaxed);
                return None;
            };
            self.send_away(&mut inner, turn, why);
        }
        let turn = inner.seat(Entry { address, is_working: false, leave: leave.clone() });
        inner.weigh(address, self.share());
        drop(inner);
        Some(Seat { door: self.clone(), turn: AtomicU64::new(turn), leave })
    }

    fn send_away(&self, inner: &mut Inner, turn: u64, why: &AtomicU64) {
        let Some(entry) = inner.unseat(turn) else { return };
        inner.weigh(entry.address, self.share());
        why.fetch_add(1, Ordering::Relaxed);
        entry.leave.notify_one();
    }

    /// Says so once while it lasts.
    fn is_full(&self, inner: &mut Inner) {
        if inner.full.replace(Instant::now()).is_none() {
            tracing::warn!(
                seats = self.room.seats,
                "every place for connections that are no WebSocket yet is taken: who is silent for longest, or holds more \
                 than a quarter of them, is closed for newcomers. Look at who connects; `server.max_http` is the number of places"
            );
        }
    }

    /// To be called now and then: tells when there is room again.
    pub(crate) fn look(&self) {
        let mut inner = self.inner.lock();
        if inner.full.is_some_and(|last| last.elapsed() >= CALM) {
            inner.full = None;
            drop(inner);
            tracing::info!("there is room again for connections that are no WebSocket yet");
        }
    }
}

impl Seat {
    /// A whole head has come, from this address. False: there is no room for its kind of request.
    pub(crate) fn begin(&self, address: IpAddr, class: Class) -> bool {
        let (door, address) = (&self.door, network(address));
        let limit = match class {
            Class::Client => door.room.seats,
            Class::Operator => door.all(),
        };
        let mut inner = door.inner.lock();
        let Some(mut entry) = inner.unseat(self.turn.load(Ordering::Relaxed)) else { return false };
        inner.weigh(entry.address, door.share());
        if inner.working() >= limit {
            door.is_full(&mut inner);
            // Whoever holds as much itself cannot push others out.
            let mine = inner.by_address.get(&address).map_or(0, Held::count);
            let victim = inner.greediest().filter(|(greedy, held)| *greedy != address && held.count() > mine + 1);
            if let Some(turn) = victim.and_then(|(_, held)| held.working.first().copied()) {
                door.send_away(&mut inner, turn, &door.closed.share);
            }
        }
        entry.is_working = inner.working() < limit;
        entry.address = Some(address);
        let is_let_in = entry.is_working;
        let turn = inner.seat(entry);
        inner.weigh(Some(address), door.share());
        drop(inner);
        self.turn.store(turn, Ordering::Relaxed);
        if !is_let_in {
            door.closed.full.fetch_add(1, Ordering::Relaxed);
        }
        is_let_in
    }

    /// The answer is written: from now on it waits for the next head, as one that just came.
    pub(crate) fn rest(&self) {
        let mut inner = self.door.inner.lock();
        let Some(entry) = inner.unseat(self.turn.load(Ordering::Relaxed)) else { return };
        let turn = inner.seat(Entry { is_working: false, ..entry });
        drop(inner);
        self.turn.store(turn, Ordering::Relaxed);
    }

    /// Ends when it has to make room.
    pub(crate) async fn lost(&self) {
        self.leave.notified().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut inner = self.door.inner.lock();
        if let Some(entry) = inner.unseat(self.turn.load(Ordering::Relaxed)) {
            inner.weigh(entry.address, self.door.share());
        }
    }
}

/// Whoever has one IPv6 address has its whole /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests;
