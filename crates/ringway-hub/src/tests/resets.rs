//! Orders to connect anew: who is meant, when each has its turn, and what is reported of it.

use std::time::Duration;

use ringway_core::message::{Reset, ResetCount};
use ringway_core::ring::SlotSet;
use ringway_core::{Incarnation, Slot};

use super::harness::*;
use crate::Protocol;

const HOST: Incarnation = Incarnation(9);
const SECOND: Duration = Duration::from_secs(1);
const STEP: Duration = Duration::from_millis(10);

fn order(number: u64, slots: Option<SlotSet>, window: Duration) -> Reset {
    Reset { number, slots, window }
}

impl World {
    fn reset(&mut self, order: &Reset) {
        self.hub.reset(self.now, HOST, order);
        self.turn();
    }

    /// Lets time pass as the member task does.
    fn steps(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now += STEP;
            self.hub.tick(self.now);
            self.turn();
        }
    }

    /// A plain client that was greeted.
    fn greeted(&mut self, user: &str) -> Peer {
        let peer = self.plain(user);
        self.attached(&format!("#{user}"), Some(at(0)), 0);
        peer.seen();
        peer
    }

    /// A named Centrifuge client with a session.
    fn named(&mut self, user: &str) -> Peer {
        let peer = self.connect(Protocol::Centrifuge);
        self.send(&peer, &format!(r#"{{"id":1,"connect":{{"token":"{}"}}}}"#, token(user, None)));
        self.attached(&format!("#{user}"), Some(at(0)), 0);
        peer
    }

    /// An anonymous Centrifuge client that is subscribed to a channel.
    fn subscribed(&mut self, channel: &str) -> Peer {
        let peer = self.anonymous();
        self.send(&peer, &format!(r#"{{"id":2,"subscribe":{{"channel":"{channel}"}}}}"#));
        peer
    }
}

fn closed(peers: &[Peer]) -> usize {
    peers.iter().filter(|peer| peer.closed().is_some()).count()
}

/// The set of half of the slots.
fn half() -> SlotSet {
    SlotSet::of((0..4).map(Slot))
}

/// A name with this beginning that lies in the half, or does not.
fn one(world: &World, beginning: &str, is_in: bool) -> String {
    let mut names = (0..).map(|number| format!("{beginning}{number}"));
    names.find(|name| half().has(world.hub.rules.slot_of(name)) == is_in).unwrap()
}

#[test]
fn those_are_meant_who_have_a_part_in_a_slot_that_moved() {
    let mut world = World::open();
    let mut peers = Vec::new();
    for is_in in [true, false] {
        let user = |world: &World, name: &str| one(world, name, is_in).trim_start_matches('#').to_owned();
        let (bob, cid) = (user(&world, "#bob"), user(&world, "#cid"));
        peers.push((is_in, world.greeted(&bob)));
        peers.push((is_in, world.named(&cid)));
        let (hall, room) = (one(&world, "hall", is_in), one(&world, "room", is_in));
        let listener = world.subscribed(&hall);
        world.attached(&hall, Some(at(0)), 0);
        peers.push((is_in, listener));
        // Its answer has not come: it is on its way into the channel.
        peers.push((is_in, world.subscribed(&room)));
    }
    // One channel of several is enough.
    let both = world.subscribed(&one(&world, "both", false));
    let inside = one(&world, "both", true);
    world.send(&both, &format!(r#"{{"id":3,"subscribe":{{"channel":"{inside}"}}}}"#));
    peers.extend([(true, both), (false, world.connect(Protocol::Centrifuge)), (false, world.anonymous())]);
    world.reset(&order(1, Some(half()), Duration::ZERO));
    world.detached(&one(&world, "#bob", true));
    for (is_meant, peer) in &peers {
        assert_eq!(peer.closed(), is_meant.then_some(3011));
    }
    assert_eq!(peers[0].1.one()["type"], 2, "a plain client is told before it is closed");
    assert_eq!(world.hub.take_reset_counts(), [ResetCount { number: 1, meant: 5, closed: 5, done: true }]);
    assert_eq!((world.hub.counts().reset, world.hub.counts().reset_all), (5, 0));
}

#[test]
fn without_slots_everybody_is_meant() {
    let mut world = World::open();
    let peers = [world.greeted("bob"), world.named("cid"), world.anonymous(), world.connect(Protocol::Centrifuge)];
    world.reset(&order(1, None, Duration::ZERO));
    assert_eq!(closed(&peers), 3, "the plain one's inbox is not safe yet");
    world.detached("#bob");
    assert_eq!(closed(&peers), 4);
    assert_eq!((world.hub.counts().reset, world.hub.counts().reset_all), (0, 4));
}

#[test]
fn they_are_spread_evenly_over_the_window() {
    let mut world = World::open();
    let peers: Vec<_> = (0..100).map(|_| world.anonymous()).collect();
    world.reset(&order(1, None, SECOND * 5));
    assert_eq!((closed(&peers), world.hub.take_reset_counts().len()), (0, 1));
    for tenth in 1..=10 {
        world.steps(SECOND / 2);
        assert_eq!(closed(&peers), tenth * 10);
    }
    assert_eq!(world.hub.take_reset_counts(), [ResetCount { number: 1, meant: 100, closed: 100, done: true }]);
    assert!(world.hub.take_reset_counts().is_empty(), "what is done is forgotten");
}

#[test]
fn time_that_a_process_stood_still_is_not_made_up_for() {
    let mut world = World::open();
    let peers: Vec<_> = (0..100).map(|_| world.anonymous()).collect();
    world.reset(&order(1, None, SECOND * 5));
    world.now += SECOND * 4;
    world.steps(STEP);
    assert_eq!(closed(&peers), 2, "as many as a tenth of a second has");
}

#[test]
fn who_left_is_not_counted_and_who_came_is_not_touched() {
    let mut world = World::open();
    let peers: Vec<_> = (0..10).map(|_| world.anonymous()).collect();
    world.reset(&order(1, None, SECOND));
    world.hang_up(&peers[9]);
    // In the place of the one that left.
    let late = world.anonymous();
    world.steps(SECOND * 2);
    assert_eq!((closed(&peers), late.closed()), (9, None));
    assert_eq!(world.hub.take_reset_counts(), [ResetCount { number: 1, meant: 10, closed: 9, done: true }]);
}

#[test]
fn a_repetition_changes_nothing() {
    let mut world = World::open();
    let early = world.anonymous();
    world.reset(&order(7, None, Duration::ZERO));
    let late = world.anonymous();
    world.reset(&order(7, None, Duration::ZERO));
    assert_eq!((early.closed(), late.closed()), (Some(3011), None));
    // Another host counts anew.
    world.hub.reset(world.now, Incarnation(10), &order(1, None, Duration::ZERO));
    assert_eq!(late.closed(), Some(3011));
}

#[test]
fn an_order_that_was_overtaken_is_carried_out() {
    let mut world = World::open();
    let early = world.anonymous();
    world.reset(&order(2, Some(SlotSet::of([])), Duration::ZERO));
    assert_eq!(early.closed(), None, "it has nothing in these slots");
    world.reset(&order(1, None, Duration::ZERO));
    assert_eq!(early.closed(), Some(3011));
    let numbers: Vec<u64> = world.hub.take_reset_counts().iter().map(|count| count.number).collect();
    assert_eq!(numbers, [2, 1]);
}

#[test]
fn whoever_gives_an_order_again_is_told_again_how_far_it_is() {
    let mut world = World::open();
    let peers: Vec<_> = (0..10).map(|_| world.anonymous()).collect();
    world.reset(&order(1, None, SECOND));
    let count = |closed, done| ResetCount { number: 1, meant: 10, closed, done };
    assert_eq!(world.hub.take_reset_counts(), [count(0, false)]);
    assert!(world.hub.take_reset_counts().is_empty());
    world.reset(&order(1, None, SECOND));
    assert_eq!(world.hub.take_reset_counts(), [count(0, false)], "the same again");
    world.steps(SECOND * 2);
    assert_eq!((closed(&peers), world.hub.take_reset_counts()), (10, vec![count(10, true)]));
    for _ in 0..2 {
        world.reset(&order(1, None, SECOND));
        assert_eq!(world.hub.take_reset_counts(), [count(10, true)], "though it is over");
    }
}

#[test]
fn nobody_is_counted_by_two_orders() {
    let mut world = World::open();
    let peers: Vec<_> = (0..10).map(|_| world.anonymous()).collect();
    world.reset(&order(1, None, SECOND));
    world.steps(SECOND / 2);
    world.reset(&order(2, None, SECOND * 2));
    world.steps(SECOND * 3);
    assert_eq!(closed(&peers), 10);
    let counts = world.hub.take_reset_counts();
    assert_eq!(counts.iter().map(|count| count.closed).sum::<u64>(), 10);
    assert!(counts.iter().all(|count| count.done), "{counts:?}");
}

#[test]
fn one_order_too_many_ends_the_oldest_at_once() {
    let mut world = World::open();
    let peers: Vec<_> = (0..9).map(|number| world.greeted(&format!("u{number}"))).collect();
    let slots = |number: u64| Some(SlotSet::of([Slot(number as u32 % 8)]));
    let first = one(&world, "#u", true);
    let slot = world.hub.rules.slot_of(&first);
    let inside = (0..9).filter(|number| world.hub.rules.slot_of(&format!("#u{number}")) == slot).count();
    world.reset(&order(1, Some(SlotSet::of([slot])), SECOND * 100));
    for number in 2..=8 {
        world.reset(&order(number, slots(number), SECOND * 100));
        assert_eq!(closed(&peers), 0);
    }
    world.reset(&order(9, slots(9), SECOND * 100));
    (0..9).for_each(|number| world.detached(&format!("#u{number}")));
    assert_eq!(closed(&peers), inside);
}

#[test]
fn who_needs_what_is_not_reached_is_sent_away_at_a_pace_and_nobody_is_told() {
    let mut world = World::open();
    let room = one(&world, "room", true);
    let inside: Vec<_> = (0..20).map(|_| world.subscribed(&room)).collect();
    let outside = world.subscribed(&one(&world, "room", false));
    assert_eq!(world.hub.send_away(world.now, &half(), 10), Some(20));
    world.steps(SECOND);
    assert_eq!(closed(&inside), 10, "ten a second");
    assert_eq!(world.hub.send_away(world.now, &half(), 10), None, "not all have had their turn");
    world.steps(SECOND);
    assert_eq!((closed(&inside), outside.closed()), (20, None));
    assert!(inside.iter().all(|peer| peer.closed() == Some(3011)));
    assert!(world.hub.take_reset_counts().is_empty(), "nobody gave the order");
    let counts = world.hub.counts();
    assert_eq!((counts.reset, counts.sent_away, counts.asked_anew()), (0, 20, 20));
    assert_eq!(world.hub.send_away(world.now, &half(), 10), Some(0));
}
