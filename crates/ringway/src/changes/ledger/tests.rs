//! Receipts of changes that are made up: what belongs to which, when one is over, and what is counted.

use ringway_core::message::Toll;
use ringway_core::ring::{HashKey, SlotCount, Weight};
use ringway_core::view::{GatewayEntry, NodeEntry, Placement, Removal};

use super::super::{Departure, Predicted};
use super::*;

mod foreign;

/// gateway-0; nodes have the incarnations of their numbers.
const GATEWAY: Incarnation = Incarnation(100);
const SECOND: Incarnation = Incarnation(101);

fn id(name: &str) -> MemberId {
    MemberId::new(name).unwrap()
}

fn node(number: u64, incarnation: u64) -> NodeEntry {
    let (id, incarnation) = (id(&format!("node-{number}")), Incarnation(incarnation));
    NodeEntry { id, incarnation, address: "".into(), now: Weight::ONE, next: Weight::ONE }
}

fn gateway(name: &str, incarnation: Incarnation) -> GatewayEntry {
    GatewayEntry { id: id(name), incarnation, address: "".into(), link: "h:2".into(), draining: false }
}

fn millis_of(millis: u64) -> Now {
    Duration::from_secs(1_000) + Duration::from_millis(millis)
}

struct World {
    ledger: Ledger,
    view: Arc<View>,
    /// Milliseconds since the test began.
    now: u64,
    tolls: HashMap<Incarnation, Toll>,
}

impl World {
    /// gateway-0, node-1 to node-3, all calm.
    fn new() -> Self {
        let view = View::born(HashKey::from_bytes([7; 16]), SlotCount::new(64).unwrap());
        let view = (1..=3).fold(view.with_gateway(gateway("gateway-0", GATEWAY)), |view, n| view.with_node(node(n, n)));
        let view = Arc::new(view.activated());
        let tolls = HashMap::from([(GATEWAY, Toll::begun(GATEWAY))]);
        let mut world = Self { ledger: Ledger::new(view.clone(), Rebalance::default()), view, now: 0, tolls };
        world.tell_tolls();
        world.settle_nodes();
        world
    }

    fn begin(&mut self, action: Occasion, member: &str, predicted: Option<Predicted>) -> u64 {
        let (at, member, rebalance, weight) = (millis_of(self.now), id(member), None, None);
        self.ledger.begin(Intended { at, action, member, rebalance, weight, predicted })
    }

    fn begin_weight(&mut self, member: &str, weight: f64) -> u64 {
        let (at, member, weight) = (millis_of(self.now), id(member), Weight::from_number(weight).ok());
        let (action, rebalance, predicted) = (Occasion::Weight, None, None);
        self.ledger.begin(Intended { at, action, member, rebalance, weight, predicted })
    }

    fn view(&mut self, change: impl FnOnce(&View) -> View) {
        self.view_with(&[], change);
    }

    fn view_with(&mut self, left: &[Departure], change: impl FnOnce(&View) -> View) {
        self.view = Arc::new(change(&self.view));
        let (at, view, left) = (millis_of(self.now), self.view.clone(), left.to_vec());
        let placement = Placement::of(&view, None);
        self.ledger.on_fact(Fact::View { at, view, placement, left });
    }

    fn settle_nodes(&mut self) {
        let epoch = self.view.epoch;
        for node in self.view.nodes.clone() {
            let at = millis_of(self.now);
            self.ledger.on_fact(Fact::Node { at, node: node.incarnation, epoch, settled: true });
        }
    }

    fn tell_tolls(&mut self) {
        for (gateway, toll) in self.tolls.clone() {
            let (at, epoch, toll) = (millis_of(self.now), self.view.epoch, Box::new(toll));
            self.ledger.on_fact(Fact::Toll { at, gateway, epoch, toll });
        }
    }

    fn toll(&mut self) -> &mut Toll {
        self.tolls.get_mut(&GATEWAY).unwrap()
    }

    /// Everything calms down.
    fn calm(&mut self) {
        self.settle_nodes();
        self.tell_tolls();
    }

    fn receipt(&self, number: u64) -> Receipt {
        self.ledger.receipts().into_iter().find(|receipt| receipt.number == number).unwrap()
    }

    fn last(&self) -> Receipt {
        self.ledger.receipts().pop().unwrap()
    }

    fn slots_of(&self, name: &str) -> u32 {
        let table = Placement::of(&self.view, None).table().clone();
        table.index_of(&id(name)).map_or(0, |index| table.slots_owned(index))
    }
}

fn lost(number: u64, since: u64, ended: bool, sockets: u64) -> Departure {
    Departure { incarnation: Incarnation(number), since: millis_of(since), ended, sockets }
}

#[test]
fn a_kill_is_measured_from_the_order_to_the_last_report() {
    let mut world = World::new();
    let owned = world.slots_of("node-2");
    let predicted = Predicted { slots: owned, users: Some(0), ..Predicted::default() };
    let number = world.begin(Occasion::Kill, "node-2", Some(predicted));
    assert_eq!(world.receipt(number).state, State::Running);
    world.now = 30;
    world.view(|view| view.without(Incarnation(2), Removal::Proven));
    world.toll().pauses.record(Duration::from_millis(45));
    world.now = 80;
    world.settle_nodes();
    let receipt = world.receipt(number);
    assert_eq!((receipt.state, receipt.settled_ms), (State::Running, Some(80.0)), "gateways have not told yet");
    world.tell_tolls();
    let receipt = world.receipt(number);
    assert_eq!((receipt.state, receipt.why), (State::Settled, None));
    assert_eq!((receipt.moved.slots, receipt.bystander_moves), (owned, 0));
    assert_eq!((receipt.predicted, receipt.detection_ms), (Some(predicted), Some(30.0)));
    assert_eq!(receipt.epochs.after, receipt.epochs.before + 1);
    assert_eq!((receipt.pauses.count, receipt.pauses.max_ms), (1, 45.0));
}

#[test]
fn channels_that_wait_keep_a_change_open() {
    let mut world = World::new();
    let number = world.begin(Occasion::Kill, "node-2", None);
    world.view(|view| view.without(Incarnation(2), Removal::Proven));
    world.toll().waiting = 3;
    world.calm();
    assert_eq!(world.receipt(number).state, State::Running);
    world.toll().waiting = 0;
    world.toll().pauses.record(Duration::from_secs(1));
    world.calm();
    let receipt = world.receipt(number);
    assert_eq!((receipt.state, receipt.pauses.count), (State::Settled, 1));
    world.toll().gaps = 9;
    world.calm();
    assert_eq!(world.receipt(number).gaps, 0, "what is over stands");
}

#[test]
fn a_join_takes_two_views_and_is_one_change() {
    let mut world = World::new();
    let number = world.begin(Occasion::Add, "node-4", None);
    world.view(|view| view.with_node(node(4, 4)));
    world.calm();
    assert_eq!((world.receipt(number).state, world.receipt(number).moved.slots), (State::Running, 0));
    world.now = 500;
    world.view(View::activated);
    world.calm();
    let (receipt, owned) = (world.receipt(number), world.slots_of("node-4"));
    assert_eq!((receipt.state, receipt.moved.slots), (State::Settled, owned));
    assert_eq!((receipt.settled_ms, receipt.detection_ms), (Some(500.0), None));
    assert_eq!(world.ledger.receipts().len(), 1);
}

#[test]
fn what_was_seen_before_it_was_said_is_the_same_change() {
    let mut world = World::new();
    world.view(|view| view.with_node(node(4, 4)));
    assert_eq!(world.last().action, Occasion::Joined);
    let number = world.begin(Occasion::Add, "node-4", Some(Predicted::default()));
    assert_eq!((world.last().number, world.last().action), (number, Occasion::Add));
    assert!(world.last().predicted.is_some());
    assert_eq!(world.begin(Occasion::Add, "node-4", None), number, "and what is asked for twice, too");
}

#[test]
fn what_nobody_asked_for_has_a_receipt_too() {
    let mut world = World::new();
    world.now = 90;
    world.view_with(&[lost(3, 20, true, 0)], |view| view.without(Incarnation(3), Removal::Suspected));
    world.calm();
    let receipt = world.last();
    assert_eq!((receipt.action, receipt.detection_ms, receipt.predicted), (Occasion::Exit, Some(70.0), None));
    world.view(|view| view.with_node(node(3, 30)).activated());
    world.calm();
    assert_eq!((world.last().action, world.last().state), (Occasion::Joined, State::Settled));
    world.view(|view| view.with_next_weight(Incarnation(1), Weight::ZERO));
    let owned = world.slots_of("node-1");
    world.view(|view| view.without(Incarnation(1), Removal::Planned));
    world.calm();
    let receipt = world.last();
    assert_eq!((receipt.action, receipt.moved.slots, receipt.detection_ms), (Occasion::Left, owned, None));
    assert_eq!(world.ledger.receipts().len(), 3);
}

#[test]
fn slots_belong_to_the_change_of_their_member_and_sights_to_all_that_run() {
    let mut world = World::new();
    let (first, second) = (world.begin(Occasion::Kill, "node-1", None), world.begin_weight("node-2", 3.0));
    let owned = world.slots_of("node-1");
    world.view(|view| view.without(Incarnation(1), Removal::Proven));
    let before = world.slots_of("node-2");
    world.view(|view| view.with_next_weight(Incarnation(2), Weight::from_number(3.0).unwrap()));
    world.view(View::activated);
    world.toll().gaps = 2;
    world.calm();
    let (killed, weighed) = (world.receipt(first), world.receipt(second));
    assert_eq!((killed.moved.slots, weighed.moved.slots), (owned, world.slots_of("node-2") - before));
    assert_eq!((killed.bystander_moves, weighed.bystander_moves), (0, 0));
    assert_eq!((killed.gaps, weighed.gaps), (2, 2));
}

#[test]
fn slots_between_others_are_counted() {
    let mut world = World::new();
    let number = world.begin_weight("node-1", 2.0);
    world.view(|view| view.with_next_weight(Incarnation(1), Weight::from_number(2.0).unwrap()));
    // As if the table of before had been another one: the rules themselves never move such slots.
    world.ledger.placement = Placement::of(&world.view.without(Incarnation(3), Removal::Proven), None);
    world.view(View::activated);
    let receipt = world.receipt(number);
    assert!(receipt.bystander_moves > 0 && receipt.moved.slots > receipt.bystander_moves, "{receipt:?}");
}

#[test]
fn a_freeze_that_nobody_noticed_ends_with_the_thaw() {
    let mut world = World::new();
    let frozen = world.begin(Occasion::Freeze, "node-1", None);
    world.now = 400;
    let thawed = world.begin(Occasion::Thaw, "node-1", None);
    world.calm();
    let receipt = world.receipt(frozen);
    assert_eq!((receipt.state, receipt.detection_ms), (State::Settled, None));
    assert!(receipt.why.is_some());
    assert_eq!((world.receipt(thawed).state, world.receipt(thawed).why), (State::Settled, None));
}

#[test]
fn a_thawed_member_is_back_when_its_next_life_is_active() {
    let mut world = World::new();
    let frozen = world.begin(Occasion::Freeze, "node-1", None);
    world.now = 1600;
    world.view_with(&[lost(1, 0, false, 0)], |view| view.without(Incarnation(1), Removal::Suspected));
    world.calm();
    assert_eq!((world.receipt(frozen).state, world.receipt(frozen).detection_ms), (State::Settled, Some(1600.0)));
    let thawed = world.begin(Occasion::Thaw, "node-1", None);
    world.calm();
    assert_eq!(world.receipt(thawed).state, State::Running);
    world.view(|view| view.with_node(node(1, 11)));
    world.view(View::activated);
    world.calm();
    assert_eq!(
        (world.receipt(thawed).state, world.receipt(thawed).moved.slots),
        (State::Settled, world.slots_of("node-1"))
    );
}

#[test]
fn sockets_are_those_that_were_closed_and_those_that_went_with_a_process() {
    let mut world = World::new();
    world.tolls.insert(SECOND, Toll { closed: 1_000, ..Toll::begun(SECOND) });
    world.view(|view| view.with_gateway(gateway("gateway-1", SECOND)));
    world.calm();
    assert_eq!(world.last().sockets_closed, 0, "a gateway's first word is where counting begins");

    let stopped = world.begin(Occasion::Stop, "gateway-1", None);
    world.view(|view| view.with_draining_gateway(SECOND));
    world.tolls.get_mut(&SECOND).unwrap().closed += 7;
    world.tell_tolls();
    world.view(|view| view.without(SECOND, Removal::Planned));
    world.calm();
    assert_eq!((world.receipt(stopped).sockets_closed, world.receipt(stopped).state), (7, State::Settled));
}

#[test]
fn a_frozen_gateway_keeps_its_sockets_until_it_is_killed() {
    let mut world = World::new();
    world.view(|view| view.with_gateway(gateway("gateway-1", SECOND)));
    world.tolls.insert(SECOND, Toll::begun(SECOND));
    world.calm();
    let frozen = world.begin(Occasion::Freeze, "gateway-1", None);
    let left = [Departure { incarnation: SECOND, ..lost(0, 0, false, 300) }];
    world.view_with(&left, |view| view.without(SECOND, Removal::Suspected));
    world.tolls.remove(&SECOND);
    world.calm();
    assert_eq!(world.receipt(frozen).sockets_closed, 0);
    let killed = world.begin(Occasion::Kill, "gateway-1", None);
    world.calm();
    assert_eq!((world.receipt(killed).sockets_closed, world.receipt(killed).state), (300, State::Settled));
}

#[test]
fn what_takes_too_long_is_given_up_and_says_why() {
    let mut world = World::new();
    let number = world.begin(Occasion::Add, "node-4", None);
    let late = millis_of(0) + PATIENCE + Duration::from_millis(1);
    world.ledger.look(late - Duration::from_millis(1));
    assert_eq!(world.receipt(number).state, State::Running);
    world.ledger.look(late);
    let receipt = world.receipt(number);
    assert_eq!((receipt.state, receipt.why.as_deref()), (State::Unsettled, Some("node-4 has not joined")));

    let number = world.begin(Occasion::Kill, "node-1", None);
    world.view(|view| view.without(Incarnation(1), Removal::Proven));
    world.ledger.look(late);
    assert_eq!(world.receipt(number).why.as_deref(), Some("slots of node-2, node-3 have not all their copies"));
}

#[test]
fn a_cluster_without_nodes_has_not_settled() {
    let mut world = World::new();
    for number in 1..=3 {
        world.view(|view| view.without(Incarnation(number), Removal::Proven));
    }
    world.calm();
    assert_eq!(world.last().state, State::Running, "nobody owns the slots");
    world.view(|view| view.with_node(node(1, 4)).activated());
    world.calm();
    let receipts = world.ledger.receipts();
    assert!(receipts.iter().all(|receipt| receipt.state == State::Settled), "{receipts:?}");
}

#[test]
fn a_refused_change_leaves_no_receipt() {
    let mut world = World::new();
    let number = world.begin(Occasion::Kill, "node-1", None);
    world.ledger.take_back(number);
    assert!(world.ledger.receipts().is_empty());
}

#[test]
fn the_newest_receipts_are_kept() {
    let mut world = World::new();
    for _ in 0..KEPT + 3 {
        world.begin(Occasion::Remove, "node-9", None);
    }
    let kept = world.ledger.receipts();
    assert_eq!((kept.len(), kept[0].number, kept[0].state), (KEPT, 4, State::Settled));
}

#[test]
fn times_are_written_as_programs_read_them() {
    let mut world = World::new();
    world.begin(Occasion::Remove, "node-9", None);
    let began = world.last().began;
    assert!(began.parse::<jiff::Timestamp>().is_ok() && began.len() == 24, "{began}");
}
