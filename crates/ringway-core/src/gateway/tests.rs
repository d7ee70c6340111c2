//! A gateway between an owner that a test plays and sessions that it stands for.

use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::id::ChannelName;
use crate::id::{MemberId, StreamEpoch};
use crate::keeping::KEPT;
use crate::limits::WINDOW;
use crate::message::{
    Attach, AttachFrom, AttachId, Attached, ChannelOptions, Deliver, Detach, Durability, PubNo, PubOk, Publish, Query,
    Refusal,
};
use crate::ring::{HashKey, SlotCount, Weight};
use crate::view::{GatewayEntry, NodeEntry, Removal};

mod inbox;
mod toll;

const ME: Incarnation = Incarnation(100);
const FIRST: Incarnation = Incarnation(1);

fn node(incarnation: Incarnation) -> NodeEntry {
    let id = MemberId::new(&format!("n{}", incarnation.0)).unwrap();
    NodeEntry { id, incarnation, address: "a:1".into(), now: Weight::ONE, next: Weight::ONE }
}

fn me() -> GatewayEntry {
    GatewayEntry {
        id: MemberId::new("g").unwrap(),
        incarnation: ME,
        address: "a:2".into(),
        link: "h:2".into(),
        draining: false,
    }
}

fn at(offset: u64) -> Position {
    Position { epoch: StreamEpoch::from_random(1), offset }
}

struct World {
    now: Now,
    gateway: Gateway,
    /// Frames that went out, newest last, with their receiver.
    sent: Vec<(Incarnation, Message)>,
    view: Arc<View>,
}

impl World {
    fn new() -> Self {
        let born = View::born(HashKey::from_bytes([3; 16]), SlotCount::MIN);
        let view = Arc::new(born.with_node(node(FIRST)).with_gateway(me()));
        let mut gateway = Gateway::new(ME, view.clone(), Timing::default(), GatewayLimits::default());
        let now = Duration::from_secs(1);
        gateway.on_view(now, view.clone());
        gateway.on_link_up(now, FIRST);
        let mut world = Self { now, gateway, sent: Vec::new(), view };
        world.collect();
        world
    }

    fn collect(&mut self) {
        let frames = self.gateway.take_frames(Vec::new()).completed(|_| {});
        self.sent.extend(frames.into_iter().map(|outgoing| (outgoing.to, outgoing.frame.message)));
    }

    /// The owner of everything becomes another node.
    fn replace_owner(&mut self, by: Incarnation) {
        let old = self.view.nodes[0].incarnation;
        let next = self.view.with_node(node(by)).without(old, Removal::Proven);
        self.view = Arc::new(View { epoch: self.view.epoch.next(), ..next });
        self.gateway.on_link_down(self.now, old);
        self.gateway.on_view(self.now, self.view.clone());
        self.gateway.on_link_up(self.now, by);
        self.collect();
    }

    fn hear(&mut self, message: Message) {
        let from = self.view.nodes[0].incarnation;
        self.gateway.on_message(self.now, from, self.view.epoch, message);
        self.collect();
    }

    fn pass(&mut self, millis: u64) {
        for _ in 0..millis / 10 {
            self.now += Duration::from_millis(10);
            self.gateway.tick(self.now);
        }
        self.collect();
    }

    fn publish(&mut self, token: u64) {
        let entry = Entry::of(token.to_string().as_bytes());
        let channel = ChannelName::new("news").unwrap();
        let new = NewPublish { channel, entry, options: KEPT, idempotency_key: None, version: None };
        self.gateway.publish(self.now, token, new).unwrap();
        self.collect();
    }

    fn take<T>(&mut self, pick: impl Fn(&Message) -> Option<T>) -> Vec<T> {
        let found = self.sent.iter().filter_map(|(_, message)| pick(message)).collect();
        self.sent.retain(|(_, message)| pick(message).is_none());
        found
    }

    fn publishes(&mut self) -> Vec<Publish> {
        self.take(|message| if let Message::Publish(publish) = message { Some((**publish).clone()) } else { None })
    }

    fn seqs(&mut self) -> Vec<u64> {
        self.publishes().iter().map(|publish| publish.seq).collect()
    }

    fn acknowledge(&mut self, publish: &Publish, offset: u64) {
        let (slot, seq, position) = (publish.slot, publish.seq, Some(at(offset)));
        self.hear(Message::PubOk(PubOk { slot, seq, position, copies: 2, durability: Durability::Memory }));
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.gateway.next_event()).collect()
    }

    fn delivered(&mut self) -> Vec<u64> {
        let offset = |event| if let Event::Deliver { offset, .. } = event { Some(offset) } else { None };
        self.events().into_iter().filter_map(offset).collect()
    }

    fn attaches(&mut self) -> Vec<Attach> {
        let all =
            self.take(|message| if let Message::Attach(attaches) = message { Some(attaches.clone()) } else { None });
        all.concat()
    }

    fn attach(&mut self, name: &str) -> (ChannelKey, Attach) {
        let key = self.gateway.attach(self.now, ChannelName::new(name).unwrap(), KEPT);
        self.collect();
        (key, self.attaches().pop().unwrap())
    }

    fn attached(&mut self, attach: &Attach, from: u64, top: u64) {
        let stream = Some(at(top));
        self.hear(Message::Attached(Attached { attach: attach.attach, stream, from, users: 1 }));
    }

    fn deliver(&mut self, attach: &Attach, offset: u64) {
        let entry = Entry::of(b"1");
        self.hear(Message::Deliver(Deliver { attach: attach.attach, offset, entry }));
    }
}

#[test]
fn publishes_are_numbered_and_the_window_moves_with_the_answers() {
    let mut world = World::new();
    (1..=WINDOW + 2).for_each(|token| world.publish(token));
    let sent = world.publishes();
    assert_eq!(sent.iter().map(|publish| publish.seq).collect::<Vec<_>>(), (1..=WINDOW).collect::<Vec<_>>());
    world.acknowledge(&sent[1], 2);
    assert!(world.seqs().is_empty(), "the oldest is open");
    world.acknowledge(&sent[0], 1);
    assert_eq!(world.seqs(), [WINDOW + 1, WINDOW + 2]);
    let tokens: Vec<u64> = world
        .events()
        .into_iter()
        .map(|event| if let Event::Published { token, result: Ok(_) } = event { token } else { panic!("{event:?}") })
        .collect();
    assert_eq!(tokens, [2, 1]);
}

#[test]
fn a_new_owner_gets_all_that_is_unanswered_in_order_under_the_old_numbers() {
    let mut world = World::new();
    (1..=3).for_each(|token| world.publish(token));
    let first = world.publishes();
    world.acknowledge(&first[0], 1);
    world.replace_owner(Incarnation(2));
    let again = world.publishes();
    assert_eq!(again.iter().map(|publish| (publish.seq, publish.floor)).collect::<Vec<_>>(), [(2, 2), (3, 2)]);
}

#[test]
fn a_refused_publish_is_sent_again_with_those_behind_it() {
    let mut world = World::new();
    (1..=2).for_each(|token| world.publish(token));
    let sent = world.publishes();
    for publish in &sent {
        world.hear(Message::PubNo(PubNo {
            slot: publish.slot,
            seq: publish.seq,
            why: Refusal::Retry,
            durability: Durability::Memory,
        }));
    }
    assert!(world.seqs().is_empty(), "not at once");
    world.pass(50);
    assert_eq!(world.seqs(), [1, 2]);
}

#[test]
fn a_refused_publish_is_sent_again_as_soon_as_the_owner_is_seen_to_serve_the_slot() {
    let mut world = World::new();
    let channel = ChannelName::new("news").unwrap();
    world.gateway.attach(world.now, channel, KEPT);
    world.collect();
    let attaches =
        world.take(|message| if let Message::Attach(attaches) = message { Some(attaches.clone()) } else { None });
    world.publish(1);
    let sent = world.publishes().remove(0);
    world.hear(Message::PubNo(PubNo {
        slot: sent.slot,
        seq: sent.seq,
        why: Refusal::Retry,
        durability: Durability::Memory,
    }));
    let attach = attaches[0][0].attach;
    world.hear(Message::Attached(Attached { attach, stream: Some(at(0)), from: 0, users: 0 }));
    assert_eq!(world.seqs(), [1]);
    world.pass(50);
    assert!(world.seqs().is_empty(), "and not once more");
}

#[test]
fn what_is_not_answered_in_time_ends_as_unknown_and_does_not_hold_up_the_rest() {
    let mut world = World::new();
    world.publish(7);
    world.publishes();
    world.pass(5100);
    assert_eq!(world.events(), [Event::Published { token: 7, result: Err(PublishError::Unknown) }]);
    world.publish(8);
    let next = world.publishes();
    assert_eq!((next[0].seq, next[0].floor), (2, 2));
}

#[test]
fn a_full_owner_is_an_answer() {
    let mut world = World::new();
    world.publish(7);
    let sent = world.publishes().remove(0);
    world.hear(Message::PubNo(PubNo {
        slot: sent.slot,
        seq: sent.seq,
        why: Refusal::Full,
        durability: Durability::Memory,
    }));
    assert_eq!(world.events(), [Event::Published { token: 7, result: Err(PublishError::Full) }]);
}

#[test]
fn only_the_next_offset_is_handed_on() {
    let mut world = World::new();
    let (_, attach) = world.attach("news");
    world.attached(&attach, 4, 4);
    for offset in [5, 5, 4, 6] {
        world.deliver(&attach, offset);
    }
    assert_eq!(world.delivered(), [5, 6]);
    world.deliver(&attach, 9);
    assert!(world.delivered().is_empty());
    let again = world.attaches();
    assert_eq!(again[0].from, AttachFrom::At(at(6)), "a gap is asked for");
    world.deliver(&attach, 7);
    assert!(world.delivered().is_empty(), "the old attach is over");
    world.attached(&again[0], 6, 9);
    (7..=9).for_each(|offset| world.deliver(&again[0], offset));
    assert_eq!(world.delivered(), [7, 8, 9]);
}

#[test]
fn a_channel_follows_its_owner_with_its_position() {
    let mut world = World::new();
    let (key, attach) = world.attach("news");
    world.attached(&attach, 0, 0);
    (1..=3).for_each(|offset| world.deliver(&attach, offset));
    world.events();
    world.replace_owner(Incarnation(2));
    let again = world.attaches();
    assert_eq!((again.len(), again[0].from), (1, AttachFrom::At(at(3))));
    world.attached(&again[0], 3, 3);
    assert!(world.events().is_empty(), "sessions notice nothing");
    world.replace_owner(Incarnation(3));
    let third = world.attaches().remove(0);
    world.attached(&third, 8, 8);
    assert_eq!(world.events(), [Event::Lost { channel: key, at: at(8) }], "what was between is gone: that is said");
}

#[test]
fn an_attach_without_an_answer_is_repeated_under_its_id() {
    let mut world = World::new();
    let (_, attach) = world.attach("news");
    world.pass(70);
    let repeated = world.attaches();
    assert_eq!(repeated.iter().map(|attach| attach.attach).collect::<Vec<_>>(), [attach.attach]);
    world.attached(&attach, 0, 0);
    world.pass(200);
    assert!(world.attaches().is_empty());
}

#[test]
fn who_does_not_answer_is_asked_less_and_less() {
    let mut world = World::new();
    world.gateway.attach(world.now, ChannelName::new("news").unwrap(), KEPT);
    world.publish(1);
    world.collect();
    let attaches = |world: &mut World| world.take(|message| matches!(message, Message::Attach(_)).then_some(())).len();
    let mut refused = 0;
    let mut asked = attaches(&mut world);
    for _ in 0..300 {
        for publish in world.publishes() {
            refused += 1;
            world.hear(Message::PubNo(PubNo {
                slot: publish.slot,
                seq: publish.seq,
                why: Refusal::Retry,
                durability: Durability::Memory,
            }));
        }
        world.pass(10);
        asked += attaches(&mut world);
    }
    // Three seconds at a constant pace would be 50 attaches and 100 publishes.
    assert!((10..=16).contains(&asked), "{asked} attaches");
    assert!((12..=20).contains(&refused), "{refused} publishes");
    world.replace_owner(Incarnation(2));
    let sent = world.publishes();
    world.hear(Message::PubNo(PubNo {
        slot: sent[0].slot,
        seq: sent[0].seq,
        why: Refusal::Retry,
        durability: Durability::Memory,
    }));
    world.pass(50);
    assert_eq!((attaches(&mut world), world.seqs().len()), (1, 1), "another owner has refused nothing yet");
}

#[test]
fn the_position_of_a_left_inbox_is_told_until_it_is_confirmed() {
    let mut world = World::new();
    let (key, attach) = world.attach("#bob");
    assert_eq!(attach.from, AttachFrom::Inbox);
    world.attached(&attach, 0, 2);
    (1..=2).for_each(|offset| world.deliver(&attach, offset));
    world.gateway.confirm(key, at(1));
    assert_eq!(world.gateway.detach(world.now, key), Some(attach.attach));
    world.events();
    world.collect();
    let detaches = |world: &mut World| -> Vec<Detach> {
        world.take(|message| if let Message::Detach(detach) = message { Some(detach.clone()) } else { None })
    };
    assert_eq!(detaches(&mut world)[0].delivered, Some(at(1)), "one of two was confirmed by nobody");
    world.replace_owner(Incarnation(2));
    assert_eq!(detaches(&mut world)[0].delivered, Some(at(1)));
    assert!(world.events().is_empty());
    world.hear(Message::Detached(attach.attach));
    assert_eq!(world.events(), [Event::Detached(attach.attach)]);
    world.hear(Message::Detached(attach.attach));
    world.pass(300);
    assert!(detaches(&mut world).is_empty() && world.events().is_empty());
}

#[test]
fn a_new_incarnation_keeps_positions_and_gives_up_publishes() {
    let mut world = World::new();
    let (_, attach) = world.attach("news");
    world.attached(&attach, 5, 5);
    world.publish(9);
    world.events();
    let reborn = GatewayEntry { incarnation: Incarnation(200), ..me() };
    world.view = Arc::new(world.view.without(ME, Removal::Suspected).with_gateway(reborn));
    world.gateway.live_anew(world.now, Incarnation(200), world.view.clone());
    world.gateway.on_view(world.now, world.view.clone());
    world.gateway.on_link_up(world.now, FIRST);
    world.collect();
    assert_eq!(world.events(), [Event::Published { token: 9, result: Err(PublishError::Unknown) }]);
    assert_eq!(world.attaches().last().unwrap().from, AttachFrom::At(at(5)));
    world.publishes();
    world.publish(10);
    assert_eq!(world.seqs(), [1], "numbers begin anew");
}

#[test]
fn nothing_is_sent_before_the_view_has_the_gateway() {
    let mut world = World::new();
    let without = View { gateways: Vec::new(), epoch: world.view.epoch, ..(*world.view).clone() };
    world.gateway = Gateway::new(ME, Arc::new(without.clone()), Timing::default(), GatewayLimits::default());
    world.gateway.on_view(world.now, Arc::new(without.clone()));
    world.gateway.on_link_up(world.now, FIRST);
    world.publish(1);
    let query = Query::PresenceStats(ChannelName::new("news").unwrap());
    world.gateway.query(world.now, 2, query).unwrap();
    world.collect();
    assert_eq!(world.seqs(), Vec::<u64>::new(), "the owner would drop it without an answer");
    world.gateway.on_view(world.now, Arc::new(without.with_gateway(me())));
    world.collect();
    assert_eq!(world.seqs(), [1]);
    assert_eq!(world.take(|message| matches!(message, Message::Query(..)).then_some(())).len(), 1);
}

#[test]
fn after_a_skipped_view_a_query_is_asked_again() {
    let mut world = World::new();
    let asked = |world: &mut World| world.take(|message| matches!(message, Message::Query(..)).then_some(())).len();
    world.gateway.query(world.now, 1, Query::PresenceStats(ChannelName::new("news").unwrap())).unwrap();
    world.collect();
    assert_eq!(asked(&mut world), 1);
    // The owner may have lost the slot in the view between, and dropped what waited.
    let later = world.view.affirmed().affirmed();
    world.gateway.on_view(world.now, Arc::new(later));
    world.collect();
    assert_eq!(asked(&mut world), 1);
}

#[test]
fn who_left_on_purpose_is_waited_for_through_later_views_too() {
    let mut world = World::new();
    let second = Incarnation(2);
    let speak = |world: &mut World, from: Incarnation, epoch: Epoch| {
        world.gateway.on_message(world.now, from, epoch, Message::Ping(Load::default()));
        world.collect();
        world.take(|message| if let Message::AttachesDone(epoch) = message { Some(*epoch) } else { None })
    };
    let apply = |world: &mut World, view: View| {
        world.view = Arc::new(view);
        world.gateway.on_view(world.now, world.view.clone());
    };
    let both = world.view.with_node(node(second)).activated();
    apply(&mut world, both);
    world.gateway.on_link_up(world.now, second);
    let epoch = world.view.epoch;
    speak(&mut world, second, epoch);
    assert!(speak(&mut world, FIRST, epoch).contains(&epoch));
    let left = world.view.without(FIRST, Removal::Planned);
    apply(&mut world, left);
    let left = world.view.epoch;
    let later = world.view.affirmed();
    apply(&mut world, later);
    let later = world.view.epoch;
    assert_eq!(speak(&mut world, second, later), [], "the first one's last deliveries may still be under way");
    assert_eq!(speak(&mut world, FIRST, left), [later]);
}

#[test]
fn without_history_a_former_owners_delivery_does_not_follow_a_later_ones() {
    let mut world = World::new();
    let options = ChannelOptions::default();
    let key = world.gateway.attach(world.now, ChannelName::new("chat").unwrap(), options);
    world.collect();
    let attaches = |world: &mut World| {
        world.take(|message| if let Message::Attach(all) = message { Some(all[0].attach) } else { None })
    };
    let deliver = |world: &mut World, attach: AttachId, text: &'static [u8]| {
        let entry = Entry::of(text);
        world.hear(Message::Deliver(Deliver { attach, offset: 0, entry }));
        std::iter::from_fn(|| world.gateway.next_event()).filter(|event| matches!(event, Event::Deliver { .. })).count()
    };
    let first = attaches(&mut world)[0];
    world.hear(Message::Attached(Attached { attach: first, stream: None, from: 0, users: 0 }));
    assert_eq!((first.channel_key(), deliver(&mut world, first, b"1")), (key, 1));
    world.replace_owner(Incarnation(2));
    let second = attaches(&mut world)[0];
    assert_eq!(deliver(&mut world, first, b"2"), 1, "late, and in order");
    assert_eq!(deliver(&mut world, second, b"3"), 1);
    assert_eq!(deliver(&mut world, first, b"2 of another sender"), 0, "too late");
}

#[test]
fn a_node_that_is_not_heard_holds_up_no_change() {
    let mut world = World::new();
    world.sent.clear();
    let second = Incarnation(2);
    world.gateway.on_link_up(world.now, second);
    world.view = Arc::new(world.view.with_node(node(second)).activated());
    world.gateway.on_view(world.now, world.view.clone());
    let (epoch, timing) = (world.view.epoch, Timing::default());
    let done = |world: &mut World, from: Incarnation, epoch: Epoch| {
        world.gateway.on_message(world.now, from, epoch, Message::Ping(Load::default()));
        world.pass(timing.ping.as_millis() as u64);
        world.take(|message| if let Message::AttachesDone(epoch) = message { Some(*epoch) } else { None })
    };
    // The first one hangs in the view before, and so does what it has still to say.
    for _ in 0..30 {
        assert_eq!(done(&mut world, second, epoch), []);
        world.gateway.on_message(world.now, FIRST, Epoch(epoch.0 - 1), Message::Ping(Load::default()));
    }
    let begun = world.now;
    let told = (0..30).find_map(|_| Some(done(&mut world, second, epoch)).filter(|told| !told.is_empty()));
    assert_eq!(told, Some(vec![epoch, epoch]), "each is told");
    assert!(world.now > begun + timing.suspect && world.now <= begun + timing.suspect + timing.ping * 2);
}

mod flow;
