//! Much at once: publishes and attaches wait here for what their owner has room for.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;
use crate::limits::JOINS_UNDER_WAY;
use crate::message::{Lane, Presence, SessionChange};

impl World {
    fn with_limits(limits: GatewayLimits) -> Self {
        Self::with(limits, Timing::default())
    }

    fn with(limits: GatewayLimits, timing: Timing) -> Self {
        let mut world = Self::new();
        world.gateway = Gateway::new(ME, world.view.clone(), timing, limits);
        world.gateway.on_view(world.now, world.view.clone());
        world.gateway.on_link_up(world.now, FIRST);
        world.sent.clear();
        world.collect();
        world
    }

    fn publish_to(&mut self, token: u64, channel: &str) {
        let entry = Entry::of(&[b'x'; 100]);
        let channel = ChannelName::new(channel).unwrap();
        let new = NewPublish { channel, entry, options: KEPT, idempotency_key: None, version: None };
        self.gateway.publish(self.now, token, new).unwrap();
        self.collect();
    }
}

#[test]
fn an_owner_is_sent_so_many_bytes_at_a_time() {
    let mut world = World::with_limits(GatewayLimits { sent_bytes: 300, ..GatewayLimits::default() });
    (0..20).for_each(|token| world.publish_to(token, &format!("channel-{token}")));
    let mut ended = 0;
    let mut sent = world.publishes();
    for _ in 0..20 {
        assert!(sent.len() <= 3, "{} are under way", sent.len());
        let publish = sent.remove(0);
        world.acknowledge(&publish, 1);
        ended += world.events().len();
        sent.extend(world.publishes());
    }
    assert_eq!((ended, sent.len()), (20, 0), "every one had its turn");
}

#[test]
fn what_was_sent_on_a_broken_link_takes_no_room_on_the_next() {
    let mut world = World::with_limits(GatewayLimits { sent_bytes: 300, ..GatewayLimits::default() });
    (0..10).for_each(|token| world.publish_to(token, &format!("channel-{token}")));
    let first = world.publishes();
    world.gateway.on_link_down(world.now, FIRST);
    world.gateway.on_link_up(world.now, FIRST);
    world.collect();
    let again = world.publishes();
    assert_eq!((first.len(), again.len()), (3, 3));
    world.replace_owner(Incarnation(2));
    assert_eq!(world.publishes().len(), 3, "nor does it at another owner");
}

#[test]
fn what_was_given_up_lets_others_go() {
    let mut world = World::with_limits(GatewayLimits { sent_bytes: 300, ..GatewayLimits::default() });
    (0..3).for_each(|token| world.publish_to(token, &format!("channel-{token}")));
    world.pass(4_000);
    world.publish_to(3, "channel-3");
    assert_eq!(world.publishes().len(), 3);
    world.pass(1_100);
    assert_eq!(world.publishes().len(), 1, "those before it ran out of time");
}

impl World {
    /// Tells the owner at once that somebody with so much to be said came, if there is room.
    fn join(&mut self, key: ChannelKey, client: u128, bytes: usize) -> bool {
        let info = Some(Bytes::from(vec![b'x'; bytes]));
        let joined = vec![Presence { client, user: "".into(), conn_info: info, chan_info: None }];
        let has_room = self.gateway.has_room_for_joins(key);
        if has_room {
            let (sessions, left) = (1, Vec::new());
            self.gateway.sessions_changed(key, |channel, attach| SessionChange {
                channel,
                attach,
                sessions,
                joined,
                left,
                last: false,
                more: false,
            });
        }
        self.collect();
        has_room
    }

    fn next_told(&mut self) -> Option<(Incarnation, ChannelKey)> {
        self.gateway.next_to_tell().map(|(owner, attach)| (owner, attach.channel_key()))
    }

    /// Tells the last part of whoever is next.
    fn tell_last(&mut self) {
        let (owner, attach) = self.gateway.next_to_tell().unwrap();
        let channel = self.gateway.channel_name(attach.channel_key()).unwrap().clone();
        let (joined, left) = (Vec::new(), Vec::new());
        let part = SessionChange { channel, attach, sessions: 1, joined, left, last: true, more: false };
        self.gateway.tell_part(owner, part);
    }
}

#[test]
fn who_comes_is_told_at_once_up_to_a_limit_for_each_owner_and_what_was_taken_makes_room() {
    let mut world = World::with_limits(GatewayLimits::default());
    let (one, other) = (world.attach("one").0, world.attach("other").0);
    let told = |world: &mut World, key| (0..1_000).take_while(|client| world.join(key, *client, 64 << 10)).count();
    assert_eq!(told(&mut world, one), JOINS_UNDER_WAY / (64 << 10), "and one that goes beyond it a little");
    assert_eq!(told(&mut world, other), 0, "channels of one owner share the limit");
    world.hear(Message::Taken(Lane::Attaches, u64::MAX));
    assert!(told(&mut world, other) > 10);
    world.replace_owner(Incarnation(2));
    assert!(world.gateway.has_room_for_joins(one), "another owner has other room");
}

#[test]
fn members_follow_once_the_attach_is_answered_and_each_channel_once() {
    let mut world = World::with_limits(GatewayLimits::default());
    let ((early, first), (late, second)) = (world.attach("early"), world.attach("late"));
    world.attached(&first, 0, 0);
    let follow = |world: &mut World, key| (0..3).map(|_| world.gateway.joins_follow(key)).collect::<Vec<_>>();
    assert_eq!(follow(&mut world, late), [true, false, false], "it is news once");
    assert_eq!(world.next_told(), None, "the attach might be sent again");
    assert_eq!(follow(&mut world, early), [true, false, false]);
    world.attached(&second, 0, 0);
    assert_eq!(world.next_told(), Some((FIRST, early)));
    world.tell_last();
    assert_eq!(world.next_told(), Some((FIRST, late)));
    assert_eq!(follow(&mut world, early), [true, false, false], "it is told, so there may be news again");
    world.tell_last();
    // The owner changes in the middle: the next one is told by the attach.
    world.replace_owner(Incarnation(2));
    assert_eq!(world.next_told(), None);
    assert_eq!(follow(&mut world, early), [true, false, false]);
    for attach in world.attaches() {
        world.attached(&attach, 0, 0);
    }
    assert_eq!(world.next_told(), Some((Incarnation(2), early)));
    world.gateway.detach(world.now, early);
    assert_eq!(world.next_told(), None);
    assert!(!world.gateway.has_to_tell());
}

#[test]
fn what_is_under_way_behind_a_refused_one_is_not_sent_again_before_it_is_refused_too() {
    let mut world = World::new();
    (1..=5).for_each(|token| world.publish(token));
    let refuse = |world: &mut World, sent: &Publish| {
        world.hear(Message::PubNo(PubNo {
            slot: sent.slot,
            seq: sent.seq,
            why: Refusal::Retry,
            durability: Durability::Memory,
        }));
        world.pass(50);
        world.seqs()
    };
    let sent = world.publishes();
    assert_eq!(refuse(&mut world, &sent[2]), [3], "1 and 2 were taken, 4 and 5 are under way");
    world.publish(6);
    assert!(world.seqs().is_empty(), "6 follows 4 and 5, which will be refused");
    assert_eq!(refuse(&mut world, &sent[3]), [4]);
    assert_eq!(refuse(&mut world, &sent[4]), [5, 6]);
}

/// An owner that is far away and takes what it is sent in the order of its numbers, or not for now.
struct FarOwner {
    /// What is under way there, and the answers that are under way back.
    there: VecDeque<(u64, Publish)>,
    back: VecDeque<(u64, Message)>,
    last: u64,
    taken: Vec<u64>,
}

impl FarOwner {
    fn hear(&mut self, at: u64, publish: &Publish, refuses: bool) {
        let Publish { slot, seq, floor, .. } = *publish;
        let (is_old, is_next) = (seq <= self.last, seq == self.last + 1 || seq == floor);
        let answer = if is_old || (is_next && !refuses) {
            if !is_old {
                self.last = seq;
                self.taken.push(seq);
            }
            Message::PubOk(PubOk {
                slot,
                seq,
                position: Some(super::at(seq)),
                copies: 2,
                durability: Durability::Memory,
            })
        } else {
            Message::PubNo(PubNo { slot, seq, why: Refusal::Retry, durability: Durability::Memory })
        };
        self.back.push_back((at, answer));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However far the owner is and whatever it refuses, a link has no more under way than there is room for.
    #[test]
    fn refusals_do_not_multiply_what_is_under_way(
        delay in 1_u64..60,
        refusals in proptest::collection::vec(0_u64..400, 0..12),
        limit in 1_usize..30,
    ) {
        const ALL: u64 = 40;
        let patient = Timing { deadline: Duration::from_secs(3600), ..Timing::default() };
        let mut world = World::with(GatewayLimits { sent_bytes: limit * 100, ..GatewayLimits::default() }, patient);
        let mut owner = FarOwner { there: VecDeque::new(), back: VecDeque::new(), last: 0, taken: Vec::new() };
        let mut ended = Vec::new();
        for step in 0_u64.. {
            if step < ALL {
                world.publish_to(step + 1, "news");
            }
            let at = step + delay;
            owner.there.extend(world.publishes().into_iter().map(|publish| (at, publish)));
            prop_assert!(owner.there.len() <= limit, "{} are under way, not {limit}", owner.there.len());
            while let Some((_, publish)) = owner.there.pop_front_if(|(due, _)| *due <= step) {
                // It refuses for twenty steps at a time.
                let refuses = refusals.iter().any(|from| (*from..*from + 20).contains(&step));
                owner.hear(at, &publish, refuses);
            }
            while let Some((_, answer)) = owner.back.pop_front_if(|(due, _)| *due <= step) {
                world.hear(answer);
            }
            world.pass(10);
            let token = |event| if let Event::Published { token, result: Ok(_) } = event { Some(token) } else { None };
            ended.extend(world.events().into_iter().filter_map(token));
            if ended.len() == ALL as usize {
                break;
            }
        }
        prop_assert_eq!(&owner.taken, &(1..=ALL).collect::<Vec<_>>());
        prop_assert_eq!(ended, owner.taken);
    }
}

#[test]
fn attaches_wait_until_the_owner_has_taken_others() {
    let mut world = World::with_limits(GatewayLimits { bulk_bytes: 100_000, ..GatewayLimits::default() });
    for number in 0..2_000 {
        let name = ChannelName::new(&format!("channel-{number}")).unwrap();
        world.gateway.attach(world.now, name, KEPT);
    }
    world.collect();
    let mut attached = world.attaches().len();
    world.sent.clear();
    assert!(attached < 2_000 && world.gateway.channels.has_attaches_for(FIRST));
    world.gateway.on_view(world.now, Arc::new(world.view.affirmed()));
    world.view = world.gateway.view().clone();
    world.collect();
    let done = |world: &mut World| !world.take(|m| matches!(m, Message::AttachesDone(_)).then_some(())).is_empty();
    let mut finished = done(&mut world);
    for _ in 0..100 {
        assert_eq!(finished, !world.gateway.channels.has_attaches_for(FIRST), "not before all are sent");
        if finished {
            break;
        }
        world.hear(Message::Taken(Lane::Attaches, u64::MAX));
        attached += world.attaches().len();
        finished = done(&mut world);
    }
    assert!(finished);
    assert_eq!(attached, 2_000, "each once");
}
