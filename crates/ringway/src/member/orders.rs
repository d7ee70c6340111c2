//! Orders of this member to others, and theirs to it, where they go through a bus beside the links.
//!
//! ```text
//!  disconnects   bus ─ taken, and answered within a second ─▶ done
//!                 └─ not taken, or no answer ─▶ over the link, whose end the rules hear of
//!  resets        see `resets`
//! ```
//!
//! An order may come both ways, so a gateway takes each once. It may come ahead of the view that it follows, so it waits for that.

use std::collections::{HashMap, VecDeque};

use ringway_core::Incarnation;
use ringway_core::message::{Frame, Message, Reset};
use ringway_core::once::Once;
use ringway_core::peers::Outgoing;
use ringway_core::timing::Now;
use ringway_core::view::View;
use ringway_engine::bus::{Order, PATIENCE};
use tracing::{debug, warn};

use super::Task;
use super::resets::Outbox;
use crate::orders::{By, Come, Counts, Handle, Key, Kind, Told};

/// Disconnects that were given to the bus within a second. Above it they go over the links.
const A_SECOND: usize = 4_096;

/// Numbers of disconnects that are waited for, of each node.
const NUMBERS: usize = 4_096;

/// Orders that wait for their view. One more is dropped, and given again by whoever gave it.
const WAITING: usize = 256;

/// How long one waits.
const LONGEST_WAIT: Now = Now::from_secs(5);

/// What this member has given and taken.
#[derive(Debug)]
pub(super) struct Orders {
    pub(super) handle: Handle,
    pub(super) resets: Outbox,
    counts: Counts,
    closes: HashMap<Key, Frame>,
    /// When the link is tried for each of them, in the order in which they were given.
    due: VecDeque<(Now, Key)>,
    /// Disconnects that were taken, by the node that gave them.
    taken: HashMap<Incarnation, Once>,
    waiting: VecDeque<Waiting>,
}

/// An order that has come ahead of its view.
#[derive(Debug)]
struct Waiting {
    until: Now,
    come: Come,
    order: Order,
}

impl Orders {
    pub(super) fn new(handle: Handle) -> Self {
        Self {
            handle,
            resets: Outbox::default(),
            counts: Counts::default(),
            closes: HashMap::new(),
            due: VecDeque::new(),
            taken: HashMap::new(),
            waiting: VecDeque::new(),
        }
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    /// Another life begins: nothing of the former one is waited for.
    pub(super) fn begin_life(&mut self, me: Incarnation) {
        self.resets = Outbox::default();
        self.closes.clear();
        self.due.clear();
        self.waiting.clear();
        self.handle.begin_life(me);
    }

    /// Whether a disconnect was not taken before. Without a bus it comes once.
    fn is_first(&mut self, from: Incarnation, number: u64) -> bool {
        !self.handle.is_through_a_bus() || self.taken.entry(from).or_insert_with(|| Once::new(NUMBERS)).take(number)
    }

    /// Who is no longer in the view gives none that is obeyed.
    fn see(&mut self, view: &View) {
        self.taken.retain(|node, _| view.has(*node));
    }
}

impl Task {
    /// Puts a frame of the rules on its way. A disconnect goes through the bus, if there is one.
    pub(super) fn send_out(&mut self, now: Now, outgoing: Outgoing) {
        let Message::Order(number, _) = outgoing.frame.message else { return self.put(outgoing) };
        let (me, birth) = (self.me, self.member.view().birth());
        let key = Key { to: outgoing.to, kind: Kind::Close, number };
        let orders = &mut self.orders;
        if orders.due.len() < A_SECOND && orders.handle.give(me, birth, key, &outgoing.frame) {
            orders.closes.insert(key, outgoing.frame);
            orders.due.push_back((now + PATIENCE, key));
        } else {
            self.put_order(key, outgoing.frame);
        }
    }

    /// Puts an order on the link. Says whether there is one that took it.
    pub(super) fn put_order(&mut self, key: Key, frame: Frame) -> bool {
        let went = self.mesh.peers.get(&key.to).is_some_and(|peer| peer.sender.send(frame).is_ok());
        if went {
            self.orders.counts.gave(By::Link, key.kind);
        }
        went
    }

    /// The bus says what became of an order, or has one for this member.
    pub(super) fn on_told(&mut self, now: Now, told: Told) {
        match told {
            Told::Taken(key) => self.orders.counts.gave(By::Bus, key.kind),
            Told::NotTaken(key) if key.kind == Kind::Close => self.close_over_the_link(key),
            Told::NotTaken(key) => self.reset_over_the_link(key),
            Told::Order(come, order) => self.on_order(now, come, order),
        }
    }

    fn close_over_the_link(&mut self, key: Key) {
        if let Some(frame) = self.orders.closes.remove(&key) {
            self.put_order(key, frame);
        }
    }

    /// A gateway has done what an order says.
    pub(super) fn on_closed(&mut self, gateway: Incarnation, number: u64) {
        self.orders.closes.remove(&Key { to: gateway, kind: Kind::Close, number });
    }

    /// Lets time pass: what the bus has taken and nobody has answered goes over the link as well.
    pub(super) fn tick_orders(&mut self, now: Now) {
        while let Some((_, key)) = self.orders.due.pop_front_if(|(due, _)| *due <= now) {
            self.close_over_the_link(key);
        }
        while let Some(late) = self.orders.waiting.pop_front_if(|waiting| waiting.until <= now) {
            debug!(from = %late.come.from, "the view that an order follows did not come");
            late.order.taken();
        }
        self.repeat_resets(now);
    }

    /// A disconnect has come. One that was carried out is not carried out again: the user may have come back since.
    pub(super) fn on_close(&mut self, now: Now, (from, by): (Incarnation, By), number: u64, frame: Frame) {
        if from != self.me {
            if !self.orders.is_first(from, number) {
                return;
            }
            self.orders.counts.took(by, Kind::Close);
        }
        self.member.on_frame(now, from, frame);
    }

    /// An order to connect anew has come.
    pub(super) fn on_reset_by(&mut self, now: Now, (from, by): (Incarnation, By), order: &Reset) {
        if self.on_reset(now, from, order) && from != self.me {
            self.orders.counts.took(by, Kind::Reset);
        }
    }

    fn on_order(&mut self, now: Now, come: Come, order: Order) {
        let view = self.member.view();
        let is_ours = come.to == self.me && come.birth == view.birth();
        if is_ours && come.frame.epoch > view.epoch {
            if self.orders.waiting.len() < WAITING {
                self.orders.waiting.push_back(Waiting { until: now + LONGEST_WAIT, come, order });
                return;
            }
            warn!("{WAITING} orders wait for newer views; one was dropped, and is given again");
        } else if is_ours {
            self.obey(now, come);
        } else {
            debug!(from = %come.from, "an order for another life or another cluster");
        }
        order.taken();
    }

    fn obey(&mut self, now: Now, Come { from, frame, .. }: Come) {
        match &frame.message {
            Message::Reset(order) => self.on_reset_by(now, (from, By::Bus), order),
            // Where there is no link, nobody can be told that it is done, and its giver has given it up.
            Message::Order(number, _) if self.mesh.peers.contains_key(&from) => {
                self.on_close(now, (from, By::Bus), *number, frame);
            }
            _ => debug!(%from, "what is no order came through the bus, or nobody waits for it any more"),
        }
    }

    /// A view was applied: what waited for it is carried out.
    pub(super) fn obey_in(&mut self, now: Now, view: &View) {
        self.orders.see(view);
        let all = std::mem::take(&mut self.orders.waiting).into_iter();
        let (ready, waiting): (VecDeque<_>, VecDeque<_>) = all.partition(|one| one.come.frame.epoch <= view.epoch);
        self.orders.waiting = waiting;
        for Waiting { come, order, .. } in ready {
            self.on_order(now, come, order);
        }
    }

    /// A link has ended: its other end has given up the disconnects that it had given.
    pub(super) fn orders_cut_off(&mut self, peer: Incarnation) {
        let is_given_up = |one: &Waiting| one.come.from == peer && matches!(one.come.frame.message, Message::Order(..));
        let all = std::mem::take(&mut self.orders.waiting).into_iter();
        let (given_up, waiting): (VecDeque<_>, VecDeque<_>) = all.partition(is_given_up);
        self.orders.waiting = waiting;
        for Waiting { order, .. } in given_up {
            order.taken();
        }
        self.orders.closes.retain(|key, _| key.to != peer);
    }
}

#[cfg(test)]
mod tests {
    use ringway_engine::memory::MemoryBus;
    use ringway_link::Secret;

    use super::*;

    const NODE: Incarnation = Incarnation(7);

    #[tokio::test]
    async fn a_disconnect_that_comes_both_ways_is_carried_out_once() {
        let me = Incarnation(1);
        let mut orders = Orders::new(Handle::through(MemoryBus::default(), Secret::new("known between members"), me));
        assert!(orders.is_first(NODE, 1));
        assert!(!orders.is_first(NODE, 1), "the other way");
        assert!(orders.is_first(NODE, 3) && orders.is_first(NODE, 2), "one may overtake another");
        assert!(orders.is_first(Incarnation(8), 1), "each node counts for itself");
        // The numbers of another life of this gateway's are those of the same nodes.
        orders.begin_life(Incarnation(2));
        assert!(!orders.is_first(NODE, 2));
        let view = View::born(ringway_core::ring::HashKey::from_bytes([1; 16]), ringway_core::ring::SlotCount::DEFAULT);
        orders.see(&view);
        assert!(orders.taken.is_empty(), "nobody obeys who is not in the view");
    }

    #[test]
    fn what_comes_over_links_alone_comes_once() {
        let mut orders = Orders::new(Handle::Links);
        assert!(orders.is_first(NODE, 1) && orders.taken.is_empty());
    }
}
