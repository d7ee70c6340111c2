//! Who begins where: subscriptions that race with deliveries.

use serde_json::json;

use super::harness::*;
use crate::Protocol;

const SUBSCRIBE: &str = r#"{"id":2,"subscribe":{"channel":"news","flag":1}}"#;

fn recover(offset: u64, epoch: &str) -> String {
    json!({"id": 2, "subscribe": {"channel": "news", "recover": true, "offset": offset, "epoch": epoch}}).to_string()
}

#[test]
fn the_first_subscriber_begins_at_the_owners_top() {
    let mut world = World::open();
    let peer = world.anonymous();
    world.send(&peer, SUBSCRIBE);
    assert!(peer.seen().is_empty(), "nothing is known before the owner has answered");
    world.attached("news", Some(at(3)), 3);
    let reply = json!({"id":2,"subscribe":{"recoverable":true,"epoch":"abcdefgh","offset":3,"positioned":true}});
    assert_eq!(peer.one(), reply);
    world.deliver_all("news", 4..=5);
    assert_eq!(peer.offsets(), [4, 5]);
}

#[test]
fn deliveries_behind_the_first_answer_are_not_skipped() {
    let mut world = World::open();
    let peer = world.anonymous();
    world.send(&peer, SUBSCRIBE);
    // The answer and two deliveries come in one batch: the rules are at 5 when the hub hears of 3.
    let attach = world.attach_of("news").attach;
    let attached = ringway_core::message::Attached { attach, stream: Some(at(3)), from: 3, users: 0 };
    world.hear(ringway_core::message::Message::Attached(attached));
    world.deliver("news", 4, "4");
    world.deliver("news", 5, "5");
    world.turn();
    let seen = peer.seen();
    assert_eq!(seen[0]["subscribe"]["offset"], 3);
    assert_eq!([&seen[1]["push"]["pub"]["offset"], &seen[2]["push"]["pub"]["offset"]], [4, 5]);
}

#[test]
fn a_later_subscriber_begins_at_the_position_of_the_gateway() {
    let mut world = World::open();
    let (first, second) = (world.anonymous(), world.anonymous());
    world.send(&first, SUBSCRIBE);
    world.attached("news", Some(at(3)), 3);
    world.deliver_all("news", 4..=4);
    // Delivery 5 has come in, but the hub has not worked it off: it belongs to those who were there.
    world.deliver("news", 5, "5");
    world.send(&second, SUBSCRIBE);
    assert_eq!(second.one()["subscribe"]["offset"], 5);
    world.deliver_all("news", 6..=6);
    assert_eq!(first.offsets(), [4, 5, 6]);
    assert_eq!(second.offsets(), [6]);
}

#[test]
fn who_is_up_to_date_recovers_without_a_question() {
    let mut world = World::open();
    let peer = world.anonymous();
    world.send(&peer, &recover(3, "abcdefgh"));
    world.attached("news", Some(at(3)), 3);
    let reply = json!({"id":2,"subscribe":{"recoverable":true,"epoch":"abcdefgh","recovered":true,"offset":3,
        "positioned":true,"was_recovering":true}});
    assert_eq!(peer.one(), reply);
    assert!(world.queries().is_empty());
}

#[test]
fn what_was_missed_comes_with_the_reply() {
    let mut world = World::open();
    let peer = world.anonymous();
    world.send(&peer, &recover(1, "abcdefgh"));
    world.attached("news", Some(at(3)), 3);
    world.page(at(3), 2..=3);
    let reply = json!({"id":2,"subscribe":{"recoverable":true,"epoch":"abcdefgh","recovered":true,"offset":1,
        "publications":[{"data":2,"offset":2},{"data":3,"offset":3}],"positioned":true,"was_recovering":true}});
    assert_eq!(peer.one(), reply);
    world.deliver_all("news", 4..=4);
    assert_eq!(peer.offsets(), [4]);
}

#[test]
fn a_page_ahead_of_the_deliveries_is_not_told_twice() {
    let mut world = World::open();
    let peer = world.anonymous();
    world.send(&peer, &recover(1, ""));
    world.attached("news", Some(at(3)), 3);
    world.page(at(6), 2..=6);
    assert_eq!(peer.one()["subscribe"]["publications"].as_array().unwrap().len(), 5);
    world.deliver_all("news", 4..=8);
    assert_eq!(peer.offsets(), [7, 8]);
}

#[test]
fn a_page_behind_the_deliveries_is_asked_for_again() {
    let mut world = World::open();
    let peer = world.anonymous();
    world.send(&peer, &recover(1, ""));
    world.attached("news", Some(at(3)), 3);
    world.deliver_all("news", 4..=5);
    world.page(at(3), 2..=3);
    assert!(peer.seen().is_empty());
    world.page(at(5), 2..=5);
    assert_eq!(peer.one()["subscribe"]["publications"].as_array().unwrap().len(), 4);
    world.deliver_all("news", 6..=6);
    assert_eq!(peer.offsets(), [6]);
}

#[test]
fn pages_that_never_meet_the_deliveries_end_in_a_temporary_error() {
    let mut world = World::open();
    let peer = world.anonymous();
    world.send(&peer, &recover(1, ""));
    world.attached("news", Some(at(3)), 3);
    for _ in 0..super::super::channel::PAGES {
        assert!(peer.seen().is_empty());
        world.page(at(2), 2..=2);
    }
    assert_eq!(peer.one()["error"], json!({"code":100,"message":"internal server error","temporary":true}));
    world.send(&peer, SUBSCRIBE);
    world.attached("news", Some(at(3)), 3);
    assert_eq!(peer.one()["subscribe"]["offset"], 3, "the session is out of the channel and may come again");
}

#[test]
fn who_missed_more_than_is_kept_begins_at_the_top() {
    for (seen, top, page) in [(1, 9, 4..=9), (1, 9, NOTHING), (12, 9, NOTHING)] {
        let mut world = World::open();
        let peer = world.anonymous();
        world.send(&peer, &recover(seen, "abcdefgh"));
        world.attached("news", Some(at(top)), top);
        world.page(at(top), page);
        let reply = json!({"id":2,"subscribe":{"recoverable":true,"epoch":"abcdefgh","offset":9,"positioned":true,
            "was_recovering":true}});
        assert_eq!(peer.one(), reply);
        world.deliver_all("news", 10..=10);
        assert_eq!(peer.offsets(), [10]);
    }
}

#[test]
fn another_stream_is_not_recovered() {
    for epoch in ["zzzzzzzz", "not one of ours"] {
        let mut world = World::open();
        let peer = world.anonymous();
        world.send(&peer, &recover(3, epoch));
        world.attached("news", Some(at(3)), 3);
        let reply = peer.one();
        assert_eq!(reply["subscribe"]["was_recovering"], true);
        assert!(reply["subscribe"]["recovered"].is_null());
        assert!(world.queries().is_empty());
    }
}

#[test]
fn who_rejects_an_unrecovered_start_gets_an_error_and_no_subscription() {
    let mut world = World::open();
    let peer = world.anonymous();
    let ask = r#"{"id":2,"subscribe":{"channel":"news","recover":true,"offset":3,"epoch":"zzzzzzzz","flag":3}}"#;
    world.send(&peer, ask);
    world.attached("news", Some(at(3)), 3);
    assert_eq!(peer.one()["error"]["code"], 112);
    assert_eq!(world.hub.counts().subscriptions, 0);
    assert_eq!(world.hub.rules.channel_count(), 0, "nobody is left");
}

#[test]
fn many_newcomers_are_let_in_together_each_at_its_own_position() {
    let mut world = World::open();
    let peers: Vec<_> = (0..100).map(|_| world.anonymous()).collect();
    for (index, peer) in peers.iter().enumerate() {
        let wish = if index % 2 == 0 { SUBSCRIBE.to_owned() } else { recover(3, "") };
        world.send(peer, &wish);
    }
    world.attached("news", Some(at(3)), 3);
    world.deliver_all("news", 4..=4);
    for peer in &peers {
        let seen = peer.seen();
        assert_eq!(seen.len(), 2);
        assert_eq!((&seen[0]["subscribe"]["offset"], &seen[1]["push"]["pub"]["offset"]), (&json!(3), &json!(4)));
    }
}

#[test]
fn one_frame_serves_all_subscribers_and_one_write_each() {
    let mut world = World::open();
    let peers: Vec<_> = (0..3).map(|_| world.anonymous()).collect();
    peers.iter().for_each(|peer| world.send(peer, SUBSCRIBE));
    world.attached("news", Some(at(0)), 0);
    let before: Vec<usize> = peers.iter().map(|peer| peer.socket.0.lock().flushes).collect();
    world.deliver_all("news", 1..=5);
    let last = |peer: &Peer| peer.socket.0.lock().frames.last().unwrap().as_ptr();
    assert!(peers.iter().all(|peer| last(peer) == last(&peers[0])), "the same bytes");
    for (peer, before) in peers.iter().zip(before) {
        assert_eq!(peer.socket.0.lock().flushes, before + 1, "five deliveries, one write");
    }
}

#[test]
fn leaving_in_any_order_leaves_the_others_listening() {
    let mut world = World::open();
    let peers: Vec<_> = (0..20).map(|_| world.anonymous()).collect();
    peers.iter().for_each(|peer| world.send(peer, SUBSCRIBE));
    world.attached("news", Some(at(0)), 0);
    for (gone, index) in [0, 19, 7, 1, 18].into_iter().enumerate() {
        match index % 2 {
            0 => world.hang_up(&peers[index]),
            _ => world.send(&peers[index], r#"{"id":3,"unsubscribe":{"channel":"news"}}"#),
        }
        peers.iter().for_each(|peer| drop(peer.seen()));
        let offset = gone as u64 + 1;
        world.deliver_all("news", offset..=offset);
        let told = peers.iter().filter(|peer| peer.offsets() == [offset]).count();
        assert_eq!(told, 20 - gone - 1);
    }
}

#[test]
fn the_last_one_out_detaches_the_channel() {
    let mut world = World::open();
    let peer = world.anonymous();
    world.send(&peer, SUBSCRIBE);
    world.attached("news", Some(at(0)), 0);
    world.hang_up(&peer);
    assert_eq!(world.hub.rules.channel_count(), 0);
    assert!(matches!(world.said.last(), Some(ringway_core::message::Message::Detach(_))));
}

#[test]
fn leaving_and_coming_back_in_one_turn_keeps_the_channel() {
    let mut world = World::open();
    let peer = world.anonymous();
    world.send(&peer, SUBSCRIBE);
    world.attached("news", Some(at(4)), 4);
    let _ = peer.seen();
    world.send(
        &peer,
        "{\"id\":3,\"unsubscribe\":{\"channel\":\"news\"}}\n{\"id\":4,\"subscribe\":{\"channel\":\"news\"}}",
    );
    let seen = peer.seen();
    assert_eq!(seen[0], json!({"id":3,"unsubscribe":{}}));
    assert_eq!(seen[1]["subscribe"]["offset"], 4);
    world.deliver_all("news", 5..=5);
    assert_eq!(peer.offsets(), [5]);
}

#[test]
fn a_page_that_comes_after_its_asker_has_gone_harms_nobody() {
    let mut world = World::open();
    let (asker, other) = (world.anonymous(), world.anonymous());
    world.send(&other, SUBSCRIBE);
    world.attached("news", Some(at(3)), 3);
    let _ = other.seen();
    world.send(&asker, &recover(1, ""));
    world.hang_up(&asker);
    // Another session takes the same place.
    let third = world.connect(Protocol::Centrifuge);
    world.page(at(3), 2..=3);
    assert!(third.seen().is_empty() && other.seen().is_empty());
}

#[test]
fn channels_without_history_have_no_positions() {
    let mut config = crate::HubConfig::open();
    let subscribe = crate::Access::ANYONE;
    config.without_namespace = Some(crate::ChannelConfig { subscribe, ..crate::ChannelConfig::default() });
    let mut world = World::new(config);
    let peer = world.anonymous();
    world.send(&peer, SUBSCRIBE);
    world.attached("news", None, 0);
    assert_eq!(peer.one(), json!({"id":2,"subscribe":{}}));
    world.deliver("news", 0, "{\"a\":1}");
    world.turn();
    assert_eq!(peer.one(), json!({"push":{"channel":"news","pub":{"data":{"a":1}}}}));
}
