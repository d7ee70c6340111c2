//! A member's turn, as its pump sees it: what goes in, what comes out, and in which order.

mod keeping;

use std::time::Duration;

use super::*;
use crate::gateway::{Event, NewPublish};
use crate::id::{ChannelName, MemberId};
use crate::keeping::KEPT;
use crate::limits::{GatewayLimits, NodeLimits};
use crate::message::{Attach, ChannelOptions, Entry, RegistryOp};
use crate::registry::{Registry, Seat};
use crate::ring::{HashKey, SlotCount, Weight};
use crate::view::{GatewayEntry, NodeEntry};

const ME: Incarnation = Incarnation(1);

/// A gateway whose events are kept, and who is asked to complete attaches.
#[derive(Debug)]
struct Listeners {
    gateway: Gateway,
    events: Vec<Event>,
    completed: usize,
}

impl Front for Listeners {
    fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    fn gateway_mut(&mut self) -> &mut Gateway {
        &mut self.gateway
    }

    fn take_events(&mut self, _now: Now) {
        self.events.extend(std::iter::from_fn(|| self.gateway.next_event()));
    }

    fn complete(&mut self, _attaches: &mut [Attach]) {
        self.completed += 1;
    }

    fn pass(&mut self, _now: Now) {}
}

fn identity(me: Incarnation) -> Life {
    let id = MemberId::new(&format!("m{}", me.0)).unwrap();
    let (now, next) = (Weight::ZERO, Weight::ONE);
    let node = NodeEntry { id: id.clone(), incarnation: me, address: "h:1".into(), now, next };
    let gateway =
        GatewayEntry { id: id.clone(), incarnation: me, link: "l:2".into(), address: "h:1".into(), draining: false };
    Life { id, incarnation: me, node: Some(node), gateway: Some(gateway) }
}

/// One member with every role, and the registry beside it.
struct World {
    now: Now,
    member: Member<Listeners>,
    registry: Registry,
    actions: Vec<Action>,
}

impl World {
    fn new() -> Self {
        let (now, timing) = (Duration::from_secs(100), Timing::default());
        let view = Arc::new(View::born(HashKey::from_bytes([7; 16]), SlotCount::MIN));
        let node = Node::new(now, ME, view.clone(), timing, NodeLimits::default(), 7);
        let gateway = Gateway::new(ME, view.clone(), timing, GatewayLimits::default());
        let front = Listeners { gateway, events: Vec::new(), completed: 0 };
        let member = Member::new(now, identity(ME), &view, timing, Seat::Here).with(now, Some(node), Some(front));
        Self { now, member, registry: Registry::new(view, timing.ttl), actions: Vec::new() }
    }

    /// Takes turns, and answers for the registry, until nothing comes out.
    fn settle(&mut self) {
        loop {
            self.member.turn(self.now);
            let actions: Vec<Action> = std::iter::from_fn(|| self.member.next_action()).collect();
            if actions.is_empty() {
                return;
            }
            for action in &actions {
                if let Action::Request(request) = action {
                    let answer = self.registry.handle(self.now, request.clone());
                    self.member.on_answer(self.now, &answer);
                }
            }
            self.actions.extend(actions);
        }
    }

    fn pass(&mut self, millis: u64) {
        for _ in 0..millis / 10 {
            self.now += Duration::from_millis(10);
            self.member.tick(self.now);
            self.member.tick_membership(self.now);
            self.settle();
        }
    }

    /// It has joined, and serves every slot.
    fn joined() -> Self {
        let mut world = Self::new();
        world.pass(1_000);
        assert!(world.member.membership().is_inside());
        assert!(world.member.node().unwrap().is_settled());
        world
    }

    fn events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.member.front_mut().unwrap().events)
    }

    fn frames(&mut self) -> Vec<Outgoing> {
        let mut frames = Vec::new();
        self.member.swap_frames(&mut frames);
        frames
    }
}

#[test]
fn views_come_out_once_in_order_and_say_what_was_before() {
    let world = World::joined();
    let applied = |action: &Action| match action {
        Action::View { before, view, .. } => Some((before.epoch, view.epoch)),
        _ => None,
    };
    let views: Vec<_> = world.actions.iter().filter_map(applied).collect();
    assert!(!views.is_empty());
    assert!(views.windows(2).all(|pair| pair[0].1 == pair[1].0), "{views:?}");
    assert_eq!(world.member.gateway().unwrap().view(), world.member.view());
    assert_eq!(world.member.node().unwrap().view(), world.member.view());
}

#[test]
fn what_its_roles_say_to_each_other_is_settled_within_a_turn_and_goes_nowhere() {
    let mut world = World::joined();
    world.frames();
    let channel = ChannelName::new("news").unwrap();
    let front = world.member.front_mut().unwrap();
    front.gateway.attach(world.now, channel.clone(), KEPT);
    let entry = Entry::of(b"1");
    let new = NewPublish { channel, entry, options: KEPT, idempotency_key: None, version: None };
    front.gateway.publish(world.now, 9, new).unwrap();
    // What was taken is told in a turn of its own; the publish does not wait for it.
    world.member.turn(world.now);
    let events = world.events();
    assert!(events.iter().any(|event| matches!(event, Event::Published { token: 9, result: Ok(_) })), "{events:?}");
    assert!(events.iter().any(|event| matches!(event, Event::Deliver { offset: 1, .. })), "{events:?}");
    assert_eq!(world.member.front().unwrap().completed, 1);
    assert!(world.frames().is_empty());
}

#[test]
fn a_frame_of_a_newer_view_finds_its_roles_there() {
    let mut world = World::joined();
    let other = Incarnation(2);
    world.member.on_link_up(world.now, other);
    let view = world.member.view();
    let newer = view.with_node(identity(other).node.unwrap());
    let newer = Arc::new(View { epoch: view.epoch.next(), ..newer });
    let epoch = newer.epoch;
    world.member.on_frame(world.now, other, Frame { epoch, message: Message::Moved(newer.clone()) });
    assert_eq!(world.member.node().unwrap().view(), &newer);
    world.member.turn(world.now);
    let frames = world.frames();
    let at = |found: fn(&Message) -> bool| frames.iter().position(|out| found(&out.frame.message));
    let view_at = at(|message| matches!(message, Message::Moved(_)));
    assert!(frames.iter().all(|out| out.to == other));
    assert_eq!(view_at, Some(0), "the view goes before what is said of it");
}

#[test]
fn an_ended_life_has_no_node_and_the_next_one_keeps_who_listens() {
    let mut world = World::joined();
    let front = world.member.front_mut().unwrap();
    let key = front.gateway.attach(world.now, ChannelName::new("news").unwrap(), KEPT);
    world.settle();
    world.events();
    let view = world.member.view();
    let without = View { nodes: Vec::new(), gateways: Vec::new(), epoch: view.epoch.next(), ..(**view).clone() };
    let without = Arc::new(without);
    world.member.on_view(world.now, &without);
    world.member.turn(world.now);
    let actions: Vec<Action> = std::iter::from_fn(|| world.member.next_action()).collect();
    assert!(actions.contains(&Action::Expelled), "{actions:?}");
    assert!(world.member.node().is_none());
    let next = Incarnation(3);
    let node = Node::new(world.now, next, without.clone(), Timing::default(), NodeLimits::default(), 8);
    world.registry = Registry::new(without.clone(), Timing::default().ttl);
    world.member.live_anew(world.now, identity(next), &without, Some(node));
    assert_eq!(world.member.incarnation(), next);
    // A stream begins anew only later than any removed owner may act.
    world.pass(15_000);
    assert!(world.member.membership().is_inside());
    assert!(world.member.gateway().unwrap().is_attached(key));
}

#[test]
fn what_is_asked_of_the_registry_comes_out_and_the_answer_goes_in() {
    let mut world = World::new();
    world.member.tick_membership(world.now);
    world.member.turn(world.now);
    let Some(Action::Request(request)) = world.member.next_action() else { panic!("it asks for a lease first") };
    assert!(matches!(request.op, RegistryOp::Put(_) | RegistryOp::Cas(_)), "{request:?}");
    assert_eq!(world.member.next_action(), None, "one at a time");
    let answer = world.registry.handle(world.now, request);
    world.member.on_answer(world.now, &answer);
    world.pass(100);
    assert!(world.member.membership().is_inside());
}

#[test]
fn lies_reach_the_roles_and_nobody_else() {
    let mut world = World::new();
    let lies = Lies { view: Some(|_, view| View { removals: 77, ..view.clone() }), ..Lies::default() };
    world.member = world.member.lied_to(lies);
    world.pass(1_000);
    assert_eq!(world.member.node().unwrap().view().removals, 77);
    assert_eq!(world.member.view().removals, 0);
}
