//! What is published again: older versions, and idempotency keys of what is not kept.

use super::*;
use crate::message::{Post, Version};

/// Delivered, and not kept.
const UNKEPT: ChannelOptions = ChannelOptions {
    history_size: 0,
    history_ttl: Duration::ZERO,
    presence: false,
    history_bytes: 0,
    durability: Durability::Memory,
};

impl Cluster {
    /// Publishes the next one with a version. Returns the place that is answered.
    fn publish_version(&mut self, number: u64, epoch: &str) -> u64 {
        self.seq += 1;
        let mut publish = self.new_publish(self.seq, self.seq, "news", KEPT, None);
        publish.version = Some(Box::new(Version { number, epoch: epoch.into() }));
        self.tell_owner("news", Message::Publish(Box::new(publish)));
        self.place()
    }

    /// Publishes the next one with this key. Returns the place that is answered, 0 for none.
    fn publish_key(&mut self, channel: &str, options: ChannelOptions, key: &str) -> u64 {
        self.seq += 1;
        self.publish_as(self.seq, self.seq, channel, options, Some(key));
        self.place()
    }

    fn place(&mut self) -> u64 {
        let answered = self.acknowledged();
        answered.last().expect("an answer").position.map_or(0, |at| at.offset)
    }
}

#[test]
fn an_older_version_is_neither_kept_nor_delivered() {
    let mut cluster = Cluster::of(3);
    cluster.attach(1, "news", AttachFrom::Top, KEPT);
    assert_eq!(cluster.publish_version(5, "a"), 1);
    for (number, epoch) in [(5, "a"), (4, "a"), (5, "")] {
        assert_eq!(cluster.publish_version(number, epoch), 1, "{number} {epoch}");
    }
    assert_eq!(cluster.publish_version(6, "a"), 2);
    assert_eq!(cluster.publish_version(1, "b"), 3, "what it counts in is new");
    cluster.publish("news", KEPT);
    assert_eq!(cluster.place(), 4);
    assert_eq!(cluster.publish_version(1, "b"), 4, "what has no version changes none");
    assert_eq!(cluster.delivered(), [(1, 1), (1, 2), (1, 3), (1, 4)]);
    assert_eq!(cluster.history("news"), [1, 2, 3, 4]);
}

#[test]
fn versions_are_known_to_every_later_owner() {
    let mut cluster = Cluster::of(3);
    assert_eq!(cluster.publish_version(5, "a"), 1);
    // The next owner has it from the log, and the one after that from a state.
    for _ in 0..2 {
        cluster.kill_owner("news");
        assert_eq!((cluster.publish_version(5, "a"), cluster.publish_version(4, "")), (1, 1));
    }
    assert_eq!(cluster.publish_version(6, "a"), 2);
    assert_eq!(cluster.history("news"), [1, 2]);
}

#[test]
fn a_publish_whose_answer_was_lost_is_answered_again_as_old() {
    let mut cluster = Cluster::of(2);
    assert_eq!(cluster.publish_version(5, "a"), 1);
    assert_eq!(cluster.publish_version(4, "a"), 1);
    let mut again = cluster.new_publish(2, 2, "news", KEPT, None);
    again.version = Some(Box::new(Version { number: 4, epoch: "a".into() }));
    cluster.kill_owner("news");
    cluster.tell_owner("news", Message::Publish(Box::new(again)));
    assert_eq!(cluster.place(), 1);
}

#[test]
fn a_key_works_without_history() {
    let mut cluster = Cluster::of(3);
    cluster.attach(1, "live", AttachFrom::Top, UNKEPT);
    assert_eq!(cluster.attached().stream, None);
    (0..3).for_each(|_| assert_eq!(cluster.publish_key("live", UNKEPT, "k"), 0));
    assert_eq!(cluster.delivered(), [(1, 0)], "once, and the listener is not taken off");
    cluster.publish("live", UNKEPT);
    assert_eq!((cluster.publish_key("live", UNKEPT, "l"), cluster.delivered()), (0, vec![(1, 0), (1, 0)]));
    // By the log, and then by a state.
    for id in [2, 3] {
        cluster.kill_owner("live");
        cluster.attach(id, "live", AttachFrom::Top, UNKEPT);
        let attached = cluster.attached();
        assert_eq!((attached.stream, attached.from), (None, 0), "it has no places");
        cluster.acknowledged();
        assert_eq!(cluster.publish_key("live", UNKEPT, "k"), 0);
        assert_eq!(cluster.delivered(), []);
    }
    cluster.pass(Duration::from_secs(301));
    cluster.acknowledged();
    cluster.publish_key("live", UNKEPT, "k");
    assert_eq!(cluster.delivered(), [(3, 0)], "its time is over");
}

#[test]
fn keys_that_have_no_place_go_with_a_difference() {
    let mut cluster = Cluster::of(2);
    cluster.publish("news", KEPT);
    let slot = cluster.slot("news");
    let (owner, copy) = (cluster.owner(slot), 1 - cluster.owner(slot));
    cluster.interrupt(owner, copy, |cluster| {
        cluster.seq += 1;
        cluster.publish_as(cluster.seq, cluster.seq, "news", UNKEPT, Some("k"));
        cluster.publish("news", KEPT);
    });
    cluster.acknowledged();
    cluster.kill_owner("news");
    cluster.attach(1, "news", AttachFrom::Top, KEPT);
    assert_eq!(cluster.publish_key("news", UNKEPT, "k"), 0);
    assert_eq!((cluster.delivered(), cluster.history("news")), (vec![], vec![1, 2]));
}

#[test]
fn what_skips_the_history_has_no_place_in_it() {
    let mut cluster = Cluster::of(2);
    cluster.attach(1, "news", AttachFrom::Top, KEPT);
    cluster.publish("news", KEPT);
    cluster.publish("news", UNKEPT);
    assert_eq!(cluster.publish_key("news", UNKEPT, "k"), 0);
    assert_eq!(cluster.publish_key("news", KEPT, "k"), 0, "it was said, if not kept");
    cluster.publish("news", KEPT);
    assert_eq!(cluster.delivered(), [(1, 1), (1, 0), (1, 0), (1, 2)]);
    assert_eq!(cluster.history("news"), [1, 2]);
}

#[test]
fn what_skips_the_history_stays_behind_what_came_before_it() {
    let mut cluster = Cluster::of(2);
    cluster.attach(1, "news", AttachFrom::Top, KEPT);
    let slot = cluster.slot("news");
    let (owner, copy) = (cluster.owner(slot), 1 - cluster.owner(slot));
    cluster.interrupt(owner, copy, |cluster| {
        cluster.publish("news", KEPT);
        cluster.publish("news", UNKEPT);
        assert_eq!(cluster.delivered(), [], "the first is not committed");
    });
    assert_eq!(cluster.delivered(), [(1, 1), (1, 0)]);
}

#[test]
fn an_order_is_answered_when_every_gateway_has_carried_it_out_or_is_gone() {
    let mut cluster = Cluster::of(1);
    let reason = "force disconnect".into();
    let order = crate::message::Order {
        user: "".into(),
        client: Some(7),
        whitelist: vec![],
        deed: crate::message::Deed::Close { code: 3503, reason },
    };
    let ask = Message::Query(4, Query::Order(Box::new(order)));
    cluster.say(0, ask.clone());
    let told = |cluster: &mut Cluster| {
        cluster.take(|message| if let Message::Order(number, _) = message { Some(*number) } else { None })
    };
    let answers = |cluster: &mut Cluster| {
        cluster.take(|message| if let Message::Answer(4, answer) = message { Some(answer.clone()) } else { None })
    };
    assert_eq!((told(&mut cluster), answers(&mut cluster)), (vec![1], vec![]), "sessions may be open still");
    for (number, answered) in [(7, vec![]), (1, vec![Answer::Obeyed]), (1, vec![])] {
        cluster.say(0, Message::Obeyed(number));
        assert_eq!(answers(&mut cluster), answered, "{number}");
    }
    // Nobody waits for ever, nor is anything kept for whoever has given up.
    cluster.say(0, ask.clone());
    cluster.pass(Timing::default().deadline + Duration::from_millis(50));
    cluster.say(0, Message::Obeyed(2));
    assert_eq!((told(&mut cluster), answers(&mut cluster)), (vec![2], vec![]));
    let (now, epoch) = (cluster.now, cluster.nodes[0].view().epoch);
    cluster.nodes[0].on_link_down(now, GATEWAY);
    cluster.nodes[0].on_message(now, GATEWAY, epoch, ask);
    let said: Vec<Message> = cluster.nodes[0].drain_frames().map(|out| out.frame.message).collect();
    assert!(
        !said.iter().any(|message| matches!(message, Message::Order(..))),
        "it is refused while one cannot be told"
    );
}

#[test]
fn an_order_is_asked_for_again_where_a_gateway_breaks_off_and_not_where_it_is_gone() {
    let asker = Incarnation(101);
    let entry = GatewayEntry {
        id: MemberId::new("h").unwrap(),
        incarnation: asker,
        address: "h:1".into(),
        link: "h:2".into(),
        draining: false,
    };
    let mut cluster = Cluster::begun(view(&[1]).with_gateway(entry), NodeLimits::default());
    let now = cluster.now;
    cluster.nodes[0].on_link_up(now, asker);
    let order = |client| crate::message::Order {
        user: "ann".into(),
        client,
        whitelist: vec![],
        deed: crate::message::Deed::Close { code: 3503, reason: "force disconnect".into() },
    };
    let say = |cluster: &mut Cluster, message| {
        let epoch = cluster.nodes[0].view().epoch;
        cluster.nodes[0].on_message(now, asker, epoch, message);
        cluster.settle();
        cluster.take(|message| if let Message::Answer(_, answer) = message { Some(answer.clone()) } else { None })
    };
    let ask = |id| Message::Query(id, Query::Order(Box::new(order(None))));
    assert_eq!((say(&mut cluster, ask(1)), say(&mut cluster, Message::Obeyed(1))), (vec![], vec![]));
    // Its clients are still there, and it may never have heard of the order.
    cluster.nodes[0].on_link_down(now, GATEWAY);
    let retry = Answer::Refused(Refusal::Retry);
    assert_eq!(say(&mut cluster, Message::Obeyed(1)), std::slice::from_ref(&retry));
    assert_eq!(say(&mut cluster, ask(2)), [retry], "nor can it be told now");
    cluster.nodes[0].on_link_up(now, GATEWAY);
    assert_eq!((say(&mut cluster, ask(3)), say(&mut cluster, Message::Obeyed(2))), (vec![], vec![]));
    let without = Arc::new(cluster.nodes[0].view().without(GATEWAY, Removal::Proven));
    cluster.nodes[0].on_view(now, &without);
    assert_eq!(say(&mut cluster, Message::Obeyed(2)), [Answer::Obeyed]);
}

#[test]
fn a_post_is_passed_on_and_answered_for_its_gateway() {
    let mut cluster = Cluster::of(1);
    let ask = |id, gateway| {
        let post = Post { gateway, session: 7, number: id, data: "{}".into() };
        Message::Query(id, Query::Post(Box::new(post)))
    };
    let passed = |cluster: &mut Cluster| {
        cluster
            .take(|message| if let Message::Post(number, post) = message { Some((*number, post.number)) } else { None })
    };
    let answers = |cluster: &mut Cluster| {
        cluster
            .take(|message| if let Message::Answer(id, answer) = message { Some((*id, answer.clone())) } else { None })
    };
    cluster.say(0, ask(4, GATEWAY));
    assert_eq!((passed(&mut cluster), answers(&mut cluster)), (vec![(1, 4)], vec![]));
    cluster.say(0, Message::Posted(7, true));
    assert_eq!(answers(&mut cluster), [], "another one");
    cluster.say(0, Message::Posted(1, true));
    cluster.say(0, Message::Posted(1, true));
    assert_eq!(answers(&mut cluster), [(4, Answer::Posted(true))], "once");
    cluster.say(0, ask(5, Incarnation(99)));
    assert_eq!(answers(&mut cluster), [(5, Answer::Posted(false))], "no such gateway has a session");
    // A gateway that breaks off may have had it or not.
    cluster.say(0, ask(6, GATEWAY));
    let now = cluster.now;
    cluster.nodes[0].on_link_down(now, GATEWAY);
    cluster.nodes[0].on_link_up(now, GATEWAY);
    cluster.settle();
    assert_eq!(passed(&mut cluster), [(2, 6)]);
    cluster.say(0, Message::Posted(2, true));
    assert!(answers(&mut cluster).iter().all(|(_, answer)| *answer == Answer::Refused(Refusal::Retry)));
}

#[test]
fn what_is_not_kept_is_delivered_by_the_one_who_took_it() {
    let mut cluster = Cluster::of(2);
    cluster.attach(1, "live", AttachFrom::Top, UNKEPT);
    let slot = cluster.slot("live");
    let (owner, copy) = (cluster.owner(slot), 1 - cluster.owner(slot));
    cluster.interrupt(owner, copy, |cluster| {
        cluster.seq += 1;
        cluster.publish_as(cluster.seq, cluster.seq, "live", UNKEPT, Some("k"));
        assert_eq!(cluster.delivered(), [], "its key is not committed");
        // Another one owns it from now on, and has nothing that it could deliver.
        cluster.nodes[owner].stop(slot);
        cluster.settle();
        assert_eq!((cluster.delivered(), cluster.place()), (vec![(1, 0)], 0));
    });
}

#[test]
fn a_gateway_that_has_let_go_listens_nowhere_whatever_it_had_asked_before() {
    let mut cluster = Cluster::of(2);
    let owner = cluster.owner(cluster.slot("news"));
    let detach = |id| {
        let channel = ChannelName::new("news").unwrap();
        Message::Detach(Detach { channel, attach: AttachId(id), delivered: None, durability: Durability::Memory })
    };
    cluster.interrupt(owner, 1 - owner, |cluster| {
        cluster.publish("news", KEPT);
        // Nothing is committed, so both wait: the gateway has given the first up when it asks anew.
        cluster.attach(1, "news", AttachFrom::Top, KEPT);
        cluster.attach(2, "news", AttachFrom::Top, KEPT);
        cluster.tell_owner("news", detach(2));
    });
    let listeners = |cluster: &Cluster| {
        cluster.nodes[owner].inspect_channel(&ChannelName::new("news").unwrap()).map(|report| report.listeners)
    };
    assert_eq!(listeners(&cluster), Some(0));
    cluster.attach(3, "news", AttachFrom::Top, KEPT);
    cluster.tell_owner("news", detach(2));
    assert_eq!(listeners(&cluster), Some(1), "what comes late says nothing of what was asked since");
    cluster.tell_owner("news", detach(4));
    assert_eq!(listeners(&cluster), Some(0), "a newer one was asked and let go before it was sent");
}

#[test]
fn what_a_gateway_asked_before_the_slot_was_anothers_is_not_taken() {
    let mut cluster = Cluster::of(2);
    let owner = cluster.owner(cluster.slot("news"));
    let before = cluster.nodes[owner].view().clone();
    let weighed = |view: &View, weight| {
        let mut next = view.affirmed();
        (next.nodes[owner].now, next.nodes[owner].next) = (weight, weight);
        Arc::new(next)
    };
    let elsewhere = weighed(&before, Weight::from_thousandths(1).unwrap());
    cluster.apply(&elsewhere);
    assert_ne!(cluster.owner(cluster.slot("news")), owner, "this shows nothing");
    let attach = Attach {
        channel: ChannelName::new("news").unwrap(),
        attach: AttachId(1),
        from: AttachFrom::Top,
        confirmed: 0,
        options: KEPT,
        sessions: 1,
        presence: Vec::new(),
        more: false,
    };
    let now = cluster.now;
    // A link that carried nothing for a while carries it now. The gateway has let the channel go since, and has said so where it was.
    let late = |cluster: &mut Cluster| {
        let message = Message::Attach(vec![attach.clone()]);
        cluster.nodes[owner].on_message(now, GATEWAY, before.epoch, message);
    };
    let back = weighed(&elsewhere, Weight::ONE);
    cluster.nodes[owner].on_view(now, &back);
    late(&mut cluster);
    cluster.apply(&back);
    late(&mut cluster);
    cluster.publish("news", KEPT);
    let listeners =
        |cluster: &Cluster| cluster.nodes[owner].inspect_channel(&attach.channel).map(|report| report.listeners);
    assert_eq!(listeners(&cluster), Some(0));
    cluster.attach(2, "news", AttachFrom::Top, KEPT);
    assert_eq!(listeners(&cluster), Some(1));
}
