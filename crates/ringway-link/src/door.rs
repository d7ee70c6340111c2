//! Who may knock at the link port at a time, and who goes when too many do.
//!
//! Knocking costs nothing and proves nothing, so nobody is refused for want of room: whoever has been knocking for longest goes
//! for the newcomer, an address with more than its share before others. Addresses from which a member has proved who it is have room
//! of their own, so that a storm of strangers does not keep a cluster from coming together again.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tracing::{info, warn};

/// An address may hold one in so many places while there is no room.
const SHARE: usize = 4;
/// Addresses of members that are remembered: as many as a cluster may have members.
const KNOWN: usize = 2_048;
/// The door is no longer called full when nobody had to go for this long.
const CALM: Duration = Duration::from_secs(10);

/// Counters of those who knocked and did not become a link; they only grow.
#[derive(Debug, Default)]
pub struct Turned {
    /// Had been shaking hands for longest, and made room for a newcomer.
    pub oldest: AtomicU64,
    /// Of an address that held more than its share while there was no room.
    pub share: AtomicU64,
    /// The handshake was not over in time.
    pub timeout: AtomicU64,
    /// Did not know the join secret.
    pub secret: AtomicU64,
}

#[derive(Debug)]
pub(crate) struct Door {
    /// For everybody.
    places: usize,
    /// Beside these, for addresses of members.
    reserve: usize,
    pub(crate) turned: Arc<Turned>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    turns: u64,
    /// By the time of their coming.
    knocking: BTreeMap<u64, Entry>,
    known: HashMap<IpAddr, ()>,
    /// `known` in the order of proof, the oldest first.
    order: VecDeque<IpAddr>,
    full: Option<Instant>,
}

#[derive(Debug)]
struct Entry {
    from: IpAddr,
    leave: Arc<Notify>,
}

/// A place at the door, until dropped.
#[derive(Debug)]
pub(crate) struct Place {
    door: Arc<Door>,
    turn: u64,
    leave: Arc<Notify>,
}

impl Door {
    pub(crate) fn new(places: usize, reserve: usize) -> Self {
        Self { places: places.max(1), reserve, turned: Arc::default(), inner: Mutex::default() }
    }

    /// Lets a newcomer knock. Where every place is taken, somebody goes.
    pub(crate) fn enter(self: &Arc<Self>, from: IpAddr) -> Place {
        let (from, leave) = (from.to_canonical(), Arc::new(Notify::new()));
        let mut inner = self.inner.lock();
        let room = if inner.known.contains_key(&from) { self.places + self.reserve } else { self.places };
        if inner.knocking.len() >= room {
            self.make_room(&mut inner);
        }
        inner.turns += 1;
        let turn = inner.turns;
        inner.knocking.insert(turn, Entry { from, leave: leave.clone() });
        Place { door: self.clone(), turn, leave }
    }

    /// Sends away, in this order: the oldest of an address with more than its share, the oldest stranger, the oldest.
    fn make_room(&self, inner: &mut Inner) {
        let mut held: HashMap<IpAddr, (usize, u64)> = HashMap::new();
        for (turn, entry) in &inner.knocking {
            held.entry(entry.from).or_insert((0, *turn)).0 += 1;
        }
        let share = (self.places / SHARE).max(1);
        let greedy = held.values().filter(|(count, _)| *count > share).max_by_key(|(count, _)| *count);
        let stranger = || inner.knocking.iter().find(|(_, entry)| !inner.known.contains_key(&entry.from));
        let (turn, why) = match greedy {
            Some((_, turn)) => (Some(*turn), &self.turned.share),
            None => {
                let oldest = stranger().or_else(|| inner.knocking.first_key_value());
                (oldest.map(|(turn, _)| *turn), &self.turned.oldest)
            }
        };
        if let Some(entry) = turn.and_then(|turn| inner.knocking.remove(&turn)) {
            why.fetch_add(1, Ordering::Relaxed);
            entry.leave.notify_one();
        }
        if inner.full.replace(Instant::now()).is_none() {
            warn!(
                places = self.places,
                "too many shake hands at the link port at a time: who has been at it for longest is closed for newcomers. \
                 Look at who connects; nobody but members should reach this port"
            );
        }
    }

    /// A member has proved that it is at this address.
    pub(crate) fn know(&self, address: IpAddr) {
        let address = address.to_canonical();
        let mut inner = self.inner.lock();
        if inner.known.insert(address, ()).is_some() {
            return;
        }
        inner.order.push_back(address);
        if inner.order.len() > KNOWN
            && let Some(oldest) = inner.order.pop_front()
        {
            inner.known.remove(&oldest);
        }
    }

    /// To be called now and then: tells when there is room again.
    pub(crate) fn look(&self) {
        let mut inner = self.inner.lock();
        if inner.full.is_some_and(|last| last.elapsed() >= CALM) {
            inner.full = None;
            drop(inner);
            info!("there is room again at the link port");
        }
    }
}

impl Place {
    /// Ends when it has to make room.
    pub(crate) async fn lost(&self) {
        self.leave.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.door.inner.lock().knocking.remove(&self.turn);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    fn is_lost(place: &Place) -> bool {
        !place.door.inner.lock().knocking.contains_key(&place.turn)
    }

    #[test]
    fn whoever_knocks_for_longest_goes_first() {
        let door = Arc::new(Door::new(4, 2));
        let places: Vec<_> = (0..4).map(|last| door.enter(ip(last))).collect();
        let newcomer = door.enter(ip(9));
        assert!(is_lost(&places[0]) && !is_lost(&places[1]) && !is_lost(&newcomer));
    }

    #[test]
    fn an_address_above_its_share_goes_before_others() {
        let door = Arc::new(Door::new(8, 0));
        let good = door.enter(ip(1));
        let greedy: Vec<_> = (0..7).map(|_| door.enter(ip(2))).collect();
        let other = door.enter(ip(3));
        assert!(!is_lost(&good) && is_lost(&greedy[0]) && !is_lost(&other));
    }

    #[test]
    fn members_have_room_of_their_own() {
        let door = Arc::new(Door::new(8, 2));
        door.know(ip(100));
        let strangers: Vec<_> = (0..8).map(|last| door.enter(ip(last))).collect();
        let members: Vec<_> = (0..2).map(|_| door.enter(ip(100))).collect();
        assert!(!strangers.iter().chain(&members).any(is_lost));
        // Strangers make room for one another, and members lose nothing by it.
        let more: Vec<_> = (50..60).map(|last| door.enter(ip(last))).collect();
        assert!(strangers.iter().all(is_lost) && !members.iter().any(is_lost) && !is_lost(&more[9]));
    }
}
