//! Where a session of an inbox begins: after what its user has confirmed, by all that anybody may still have to say of it.

use super::*;

const OTHER: Incarnation = Incarnation(101);

fn bob() -> ChannelName {
    ChannelName::new("#bob").unwrap()
}

fn publish_some(cluster: &mut Cluster, count: u64) -> crate::StreamEpoch {
    (0..count).for_each(|_| cluster.publish("#bob", KEPT));
    cluster.acknowledged()[0].position.unwrap().epoch
}

fn attach(id: u64, from: AttachFrom, confirmed: u64) -> Message {
    let (channel, presence) = (bob(), Vec::new());
    let attach =
        Attach { channel, attach: AttachId(id), from, confirmed, options: KEPT, sessions: 1, presence, more: false };
    Message::Attach(vec![attach])
}

fn detach(id: u64, delivered: Position) -> Message {
    Message::Detach(Detach {
        channel: bob(),
        attach: AttachId(id),
        delivered: Some(delivered),
        durability: Durability::Memory,
    })
}

/// Three nodes, and two gateways of which one has not said anything yet.
fn with_two_gateways() -> Cluster {
    let id = MemberId::new("h").unwrap();
    let other = GatewayEntry { id, incarnation: OTHER, address: "h:1".into(), link: "h:3".into(), draining: false };
    let mut cluster = Cluster::begun(view(&[1, 2, 3]).with_gateway(other), NodeLimits::default());
    cluster.say_as(OTHER, "#bob", Message::AttachesDone(Epoch(u64::MAX)));
    cluster
}

impl Cluster {
    /// A gateway says something to the owner of a channel.
    fn say_as(&mut self, gateway: Incarnation, channel: &str, message: Message) {
        let owner = self.owner(self.slot(channel));
        let epoch = self.nodes[owner].view().epoch;
        self.nodes[owner].on_link_up(self.now, gateway);
        self.nodes[owner].on_message(self.now, gateway, epoch, message);
        self.settle();
    }

    fn attached_from(&mut self) -> Option<u64> {
        self.take(|message| if let Message::Attached(it) = message { Some(it.from) } else { None }).pop()
    }
}

#[test]
fn an_attach_with_a_position_goes_on_there_and_keeps_only_what_was_confirmed() {
    let mut cluster = Cluster::of(3);
    let epoch = publish_some(&mut cluster, 5);
    cluster.attach_confirmed(1, "#bob", AttachFrom::At(Position { epoch, offset: 4 }), 2, KEPT);
    assert_eq!((cluster.attached().from, cluster.delivered()), (4, vec![(1, 5)]));
    // The gateway is gone before it says more.
    let owner = cluster.owner(cluster.slot("#bob"));
    cluster.nodes[owner].on_link_down(cluster.now, GATEWAY);
    cluster.nodes[owner].on_link_up(cluster.now, GATEWAY);
    cluster.attach(2, "#bob", AttachFrom::Inbox, KEPT);
    assert_eq!(cluster.attached().from, 2);
}

#[test]
fn what_an_attach_says_is_known_to_the_next_owner_too() {
    let mut cluster = Cluster::of(3);
    let epoch = publish_some(&mut cluster, 5);
    cluster.attach_confirmed(1, "#bob", AttachFrom::At(Position { epoch, offset: 5 }), 3, KEPT);
    cluster.pass(PROGRESS);
    cluster.told.clear();
    cluster.kill_owner("#bob");
    cluster.attach(2, "#bob", AttachFrom::Inbox, KEPT);
    assert_eq!(cluster.attached().from, 3);
}

#[test]
fn an_inbox_whose_stream_is_another_is_handed_on_from_its_beginning() {
    let mut cluster = Cluster::of(3);
    publish_some(&mut cluster, 5);
    let lost = Position { epoch: crate::StreamEpoch::from_random(5), offset: 9 };
    cluster.attach_confirmed(1, "#bob", AttachFrom::At(lost), 9, KEPT);
    assert_eq!((cluster.attached().from, cluster.delivered().len()), (0, 5));
}

#[test]
fn what_is_left_of_a_trimmed_inbox_is_handed_on() {
    let mut cluster = Cluster::of(3);
    let small = ChannelOptions { history_size: 3, ..KEPT };
    (0..10).for_each(|_| cluster.publish("#bob", small));
    let epoch = cluster.acknowledged()[0].position.unwrap().epoch;
    cluster.attach_confirmed(1, "#bob", AttachFrom::At(Position { epoch, offset: 2 }), 2, small);
    assert_eq!((cluster.attached().from, cluster.delivered().len()), (6, 4));
}

#[test]
fn a_user_who_comes_to_a_new_owner_waits_for_what_its_last_gateway_has_to_say() {
    let mut cluster = Cluster::of(3);
    let epoch = publish_some(&mut cluster, 5);
    // The new owner is being asked by everybody before it owns anything.
    let owner = cluster.owner(cluster.slot("#bob"));
    let dead = cluster.nodes.remove(owner).me;
    cluster.nodes.iter_mut().for_each(|node| node.on_link_down(cluster.now, dead));
    let next = Arc::new(cluster.nodes[0].view().without(dead, Removal::Proven));
    cluster.nodes.iter_mut().for_each(|node| node.on_view(cluster.now, &next));
    let owner = cluster.owner(cluster.slot("#bob"));
    for message in [attach(7, AttachFrom::Inbox, 0), detach(1, Position { epoch, offset: 4 })] {
        cluster.nodes[owner].on_message(cluster.now, GATEWAY, next.epoch, message);
    }
    cluster.settle();
    cluster.say(owner, Message::AttachesDone(next.epoch));
    assert_eq!((cluster.attached_from(), cluster.delivered()), (Some(4), vec![(7, 5)]));
    let kept = cluster.take(|message| if let Message::Detached(id) = message { Some(*id) } else { None });
    assert_eq!(kept, [AttachId(1)]);
}

#[test]
fn a_user_who_comes_waits_for_the_attaches_of_other_gateways_but_not_for_long() {
    for speaks in [true, false] {
        let mut cluster = with_two_gateways();
        let epoch = publish_some(&mut cluster, 5);
        let owner = cluster.owner(cluster.slot("#bob"));
        let dead = cluster.nodes.remove(owner).me;
        cluster.nodes.iter_mut().for_each(|node| node.on_link_down(cluster.now, dead));
        // The first gateway has changed over, the other one has not.
        let next = Arc::new(View {
            epoch: Epoch(cluster.nodes[0].view().epoch.0 + 1),
            ..cluster.nodes[0].view().without(dead, Removal::Proven)
        });
        cluster.nodes.iter_mut().for_each(|node| node.gateways.values_mut().for_each(|side| side.done = Epoch(0)));
        cluster.apply(&next);
        cluster.told.clear();
        cluster.say_as(GATEWAY, "#bob", attach(7, AttachFrom::Inbox, 0));
        assert_eq!(cluster.attached_from(), None, "its sessions at the other one may have confirmed more");
        if speaks {
            cluster.say_as(OTHER, "#bob", attach(8, AttachFrom::At(Position { epoch, offset: 5 }), 4));
            assert_eq!(cluster.attached_from(), Some(5));
            cluster.say_as(OTHER, "#bob", Message::AttachesDone(next.epoch));
            assert_eq!((cluster.attached_from(), cluster.delivered()), (Some(4), vec![(7, 5)]));
        } else {
            cluster.pass(Timing::default().crash_hold);
            assert_eq!(cluster.attached_from(), Some(0), "nothing is lost, and what was confirmed may come again");
        }
    }
}

#[test]
fn a_newer_attach_takes_the_place_of_one_that_waits() {
    let mut cluster = with_two_gateways();
    let epoch = publish_some(&mut cluster, 5);
    let owner = cluster.owner(cluster.slot("#bob"));
    let dead = cluster.nodes.remove(owner).me;
    cluster.nodes.iter_mut().for_each(|node| node.on_link_down(cluster.now, dead));
    let without = cluster.nodes[0].view().without(dead, Removal::Proven);
    let next = Arc::new(View { epoch: Epoch(cluster.nodes[0].view().epoch.0 + 1), ..without });
    cluster.nodes.iter_mut().for_each(|node| node.gateways.values_mut().for_each(|side| side.done = Epoch(0)));
    cluster.apply(&next);
    cluster.told.clear();
    cluster.say_as(GATEWAY, "#bob", attach(7, AttachFrom::Inbox, 0));
    let owner = cluster.owner(cluster.slot("#bob"));
    cluster.say(owner, attach(8, AttachFrom::At(Position { epoch, offset: 3 }), 3));
    assert_eq!((cluster.attached().attach, cluster.delivered()), (AttachId(8), vec![(8, 4), (8, 5)]));
    cluster.say_as(OTHER, "#bob", Message::AttachesDone(next.epoch));
    cluster.publish("#bob", KEPT);
    assert_eq!(cluster.delivered(), [(8, 6)], "the one that waited is over");
}
