//! Which changes order clients to connect anew, and what their receipts say of it.

use std::sync::Arc;
use std::time::Duration;

use ringway_core::Incarnation;
use ringway_core::message::Toll;
use ringway_core::ring::{HashKey, SlotCount, Weight};
use ringway_core::timing::Now;
use ringway_core::view::{GatewayEntry, NodeEntry, Placement, Removal};

use super::super::ledger::{Ledger, Shift};
use super::super::receipt::{Occasion, Receipt, State};
use super::super::{Fact, Intended};
use super::*;

const GATEWAYS: [Incarnation; 2] = [Incarnation(100), Incarnation(101)];
const RESET: Rebalance = Rebalance { mode: Mode::Reset, window: Duration::from_secs(7) };
const RESET_ALL: Rebalance = Rebalance { mode: Mode::ResetAll, window: Duration::ZERO };

fn id(name: &str) -> MemberId {
    MemberId::new(name).unwrap()
}

fn node(number: u64) -> NodeEntry {
    NodeEntry {
        id: id(&format!("node-{number}")),
        incarnation: Incarnation(number),
        address: "".into(),
        now: Weight::ONE,
        next: Weight::ONE,
    }
}

/// Two gateways and so many active nodes.
fn cluster(nodes: u64) -> View {
    let born = View::born(HashKey::from_bytes([7; 16]), SlotCount::new(64).unwrap());
    let gateway = |incarnation: Incarnation| GatewayEntry {
        id: id(&format!("gateway-{}", incarnation.0 - 100)),
        incarnation,
        address: "".into(),
        link: "h:2".into(),
        draining: false,
    };
    let view = GATEWAYS.into_iter().fold(born, |view, incarnation| view.with_gateway(gateway(incarnation)));
    (1..=nodes).fold(view, |view, number| view.with_node(node(number)).activated())
}

struct World {
    ledger: Ledger,
    view: View,
    now: Now,
}

impl World {
    fn new(nodes: u64, usual: Rebalance) -> Self {
        let view = cluster(nodes);
        Self { ledger: Ledger::new(Arc::new(view.clone()), usual), view, now: Duration::from_secs(1) }
    }

    fn tell(&mut self, fact: impl FnOnce(Now) -> Fact) -> Vec<Shift> {
        self.now += Duration::from_millis(1);
        self.ledger.on_fact(fact(self.now))
    }

    fn ask(&mut self, action: Occasion, member: &str, rebalance: Option<Rebalance>) -> u64 {
        let (at, member) = (self.now, id(member));
        self.ledger.begin(Intended { at, action, member, rebalance, weight: None, predicted: None })
    }

    /// Applies a view. Returns the orders.
    fn see(&mut self, change: impl FnOnce(&View) -> View) -> Vec<Reset> {
        self.view = change(&self.view);
        let view = Arc::new(self.view.clone());
        let placement = Placement::of(&view, None);
        let shifts = self.tell(|at| Fact::View { at, view, placement, left: Vec::new() });
        shifts.into_iter().filter_map(|shift| shift.order).collect()
    }

    /// Every node is settled, and every gateway has told what it saw.
    fn calm(&mut self) {
        let epoch = self.view.epoch;
        for node in self.view.nodes.clone() {
            let node = node.incarnation;
            self.tell(|at| Fact::Node { at, node, epoch, settled: true });
        }
        for gateway in self.view.gateways.clone() {
            let gateway = gateway.incarnation;
            let toll = Box::new(Toll::begun(gateway));
            self.tell(|at| Fact::Toll { at, gateway, epoch, toll });
        }
    }

    fn given(&mut self, number: u64, missed: Vec<Incarnation>) {
        self.tell(|at| Fact::ResetGiven { at, number, missed });
    }

    fn count(&mut self, number: u64, gateway: Incarnation, closed: u64, done: bool) {
        let count = ResetCount { number, meant: 9, closed, done };
        self.tell(|at| Fact::Reset { at, gateway, count });
    }

    fn receipt(&self) -> Receipt {
        self.ledger.receipts().pop().expect("a receipt")
    }
}

fn without(view: &View, number: u64) -> View {
    view.without(Incarnation(number), Removal::Proven)
}

/// The slots whose owner differs.
fn moved(before: &View, after: &View) -> SlotSet {
    let (before, after) = (Placement::of(before, None), Placement::of(after, None));
    SlotSet::of(before.table().count().slots().filter(|slot| before.owner(*slot) != after.owner(*slot)))
}

#[test]
fn an_order_names_the_slots_that_have_another_owner() {
    let mut world = World::new(3, Rebalance::default());
    world.ask(Occasion::Kill, "node-2", Some(RESET));
    let before = world.view.clone();
    let orders = world.see(|view| without(view, 2));
    let slots = moved(&before, &world.view);
    assert!(!slots.is_empty());
    assert_eq!(orders, [Reset { number: 1, slots: Some(slots), window: RESET.window }]);
    assert_eq!(world.receipt().mode, Mode::Reset);
}

#[test]
fn a_node_that_joins_orders_when_it_becomes_active() {
    let mut world = World::new(2, Rebalance::default());
    world.ask(Occasion::Add, "node-3", Some(RESET));
    assert_eq!(world.see(|view| view.with_node(node(3))), []);
    let before = world.view.clone();
    let orders = world.see(View::activated);
    assert_eq!(orders[0].slots, Some(moved(&before, &world.view)));
}

#[test]
fn only_who_is_asked_for_another_mode_departs_from_the_usual() {
    for (usual, asked, expected) in [
        (Rebalance::default(), None, None),
        (RESET, Some(Rebalance::default()), None),
        (RESET, None, Some(true)),
        (Rebalance::default(), Some(RESET_ALL), Some(false)),
        (RESET_ALL, Some(RESET), Some(true)),
    ] {
        let mut world = World::new(3, usual);
        world.ask(Occasion::Kill, "node-2", asked);
        let orders = world.see(|view| without(view, 2));
        let has_slots = orders.first().map(|order| order.slots.is_some());
        assert_eq!(has_slots, expected, "{usual:?} {asked:?}");
        assert_eq!(world.receipt().mode, asked.unwrap_or(usual).mode);
    }
    let mut world = World::new(3, RESET_ALL);
    let orders = world.see(|view| without(view, 2));
    assert_eq!(orders, [Reset { number: 1, slots: None, window: Duration::ZERO }], "nobody asked for it");
    assert_eq!((world.receipt().action, world.receipt().mode), (Occasion::Exit, Mode::ResetAll));
}

#[test]
fn changes_in_one_view_order_each_for_its_own_slots() {
    let mut world = World::new(2, Rebalance::default());
    world.ask(Occasion::Add, "node-3", Some(RESET));
    world.ask(Occasion::Add, "node-4", None);
    world.see(|view| view.with_node(node(3)));
    world.see(|view| view.with_node(node(4)));
    let orders = world.see(View::activated);
    let after = Placement::of(&world.view, None);
    let mine = after.table().count().slots().filter(|slot| after.owner(*slot) == Some(Incarnation(3)));
    assert_eq!(orders.len(), 1);
    assert_eq!(orders[0].slots, Some(SlotSet::of(mine)));
}

#[test]
fn without_an_owner_before_nobody_is_meant() {
    let mut world = World::new(0, RESET_ALL);
    assert_eq!(world.see(|view| view.with_node(node(1))), []);
    assert_eq!(world.see(|view| without(view, 1)), []);
}

#[test]
fn a_receipt_runs_until_everybody_was_asked() {
    let mut world = World::new(3, RESET);
    world.calm();
    let order = world.see(|view| without(view, 2)).remove(0);
    world.given(order.number, Vec::new());
    world.calm();
    assert_eq!(world.receipt().state, State::Running);
    world.count(order.number, GATEWAYS[0], 0, false);
    world.count(order.number, GATEWAYS[1], 2, true);
    world.count(order.number, GATEWAYS[0], 2, false);
    assert_eq!((world.receipt().state, world.receipt().sockets_closed), (State::Running, 4));
    world.count(order.number, GATEWAYS[0], 3, true);
    let receipt = world.receipt();
    assert_eq!((receipt.state, receipt.sockets_closed, receipt.why), (State::Settled, 5, None));
}

#[test]
fn who_is_not_reached_is_not_waited_for_and_is_named() {
    let mut world = World::new(3, RESET);
    let order = world.see(|view| without(view, 2)).remove(0);
    world.given(order.number, vec![GATEWAYS[1]]);
    world.count(order.number, GATEWAYS[0], 3, true);
    world.calm();
    let receipt = world.receipt();
    assert_eq!((receipt.state, receipt.sockets_closed), (State::Settled, 3));
    assert!(receipt.why.unwrap().contains("gateway-1"));
}

#[test]
fn a_gateway_that_leaves_is_not_waited_for() {
    let mut world = World::new(3, RESET);
    let order = world.see(|view| without(view, 2)).remove(0);
    world.count(order.number, GATEWAYS[0], 3, true);
    world.count(order.number, GATEWAYS[1], 1, false);
    world.see(|view| view.without(GATEWAYS[1], Removal::Proven));
    world.calm();
    let receipts = world.ledger.receipts();
    assert_eq!((receipts[0].state, receipts[0].sockets_closed), (State::Settled, 4), "{:?}", receipts[0]);
}

#[test]
fn an_order_that_could_not_be_given_is_said() {
    let mut world = World::new(3, RESET);
    let order = world.see(|view| without(view, 2)).remove(0);
    world.ledger.not_given(order.number);
    world.calm();
    assert_eq!(world.receipt().state, State::Settled);
    assert!(world.receipt().why.unwrap().contains("could not be given"));
}

#[test]
fn a_long_window_is_no_reason_to_give_up() {
    let mut world = World::new(3, Rebalance { window: Duration::from_secs(600), ..RESET });
    let order = world.see(|view| without(view, 2)).remove(0);
    world.given(order.number, Vec::new());
    world.calm();
    world.ledger.look(world.now + Duration::from_secs(600));
    assert_eq!(world.receipt().state, State::Running);
    world.ledger.look(world.now + Duration::from_secs(661));
    let receipt = world.receipt();
    assert_eq!(receipt.state, State::Unsettled);
    assert!(receipt.why.unwrap().contains("gateway-0"), "who is missing");
}

#[test]
fn what_happens_to_a_member_later_is_another_change() {
    let mut world = World::new(3, Rebalance { window: Duration::from_secs(600), ..RESET });
    let first = world.ask(Occasion::Kill, "node-2", None);
    let order = world.see(|view| without(view, 2)).remove(0);
    world.given(order.number, Vec::new());
    world.calm();
    world.ask(Occasion::Start, "node-2", Some(Rebalance::default()));
    world.see(|view| view.with_node(NodeEntry { incarnation: Incarnation(22), ..node(2) }));
    world.see(View::activated);
    world.calm();
    let again = world.ask(Occasion::Kill, "node-2", None);
    assert_ne!(first, again, "the first one only waits for its clients");
    world.see(|view| without(view, 22));
    let receipts = world.ledger.receipts();
    assert_eq!(receipts.iter().map(|receipt| receipt.moved.slots > 0).collect::<Vec<_>>(), [true, true, true]);
    assert_eq!(receipts[0].moved.slots, receipts[2].moved.slots);
}
