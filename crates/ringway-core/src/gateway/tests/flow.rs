//! Much at once: publishes and attaches wait here for what their owner has room for.

use super::*;
use crate::message::Lane;

impl World {
    fn with_limits(limits: GatewayLimits) -> Self {
        let mut world = Self::new();
        world.gateway = Gateway::new(ME, world.view.clone(), Timing::default(), limits);
        world.gateway.on_view(world.now, world.view.clone());
        world.gateway.on_link_up(world.now, FIRST);
        world.sent.clear();
        world.collect();
        world
    }

    fn publish_to(&mut self, token: u64, channel: &str) {
        let entry = Entry { data: Bytes::from(vec![b'x'; 100]), info: None, tags: None };
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
