//! What may be much is given as fast as the socket takes it: recovery page after page, one read at a time, replies in parts.

use std::time::Duration;

use ringway_core::message::{Answer, Query, Refusal};
use serde_json::{Value, json};

use super::harness::*;
use crate::{HubConfig, Protocol};

const SUBSCRIBE: &str = r#"{"id":2,"subscribe":{"channel":"news","flag":1}}"#;
const RECOVER: &str = r#"{"id":2,"subscribe":{"channel":"news","recover":true,"offset":1,"epoch":"abcdefgh"}}"#;
const READ_ALL: &str = r#"{"id":9,"history":{"channel":"news","limit":-1}}"#;

/// More than half of what may be queued.
const MUCH: usize = 600 * 1024;

fn small_pages() -> World {
    let mut config = HubConfig::open();
    config.limits.page = 3;
    World::new(config)
}

/// A client in `news`, whose stream is at this offset.
fn member(world: &mut World, top: u64) -> Peer {
    let peer = world.anonymous();
    world.send(&peer, SUBSCRIBE);
    world.attached("news", Some(at(top)), top);
    let _ = peer.seen();
    peer
}

fn asked_since(world: &World) -> Option<u64> {
    match world.queries().pop() {
        Some((_, Query::History(query))) => query.since.map(|(offset, _)| offset),
        _ => None,
    }
}

#[test]
fn who_missed_more_than_a_page_gets_all_of_it_and_then_what_is_live() {
    let mut world = small_pages();
    let peer = world.anonymous();
    world.send(&peer, RECOVER);
    world.attached("news", Some(at(10)), 10);
    world.page(at(10), 2..=4);
    let reply = peer.one();
    assert_eq!((&reply["subscribe"]["recovered"], &reply["subscribe"]["offset"]), (&json!(true), &json!(1)));
    assert_eq!(reply["subscribe"]["publications"].as_array().unwrap().len(), 3);
    assert_eq!(asked_since(&world), Some(4));
    world.deliver_all("news", 11..=11);
    world.page(at(11), 5..=7);
    assert_eq!(peer.offsets(), [5, 6, 7], "what is live comes behind what was missed");
    world.page(at(11), 8..=10);
    world.deliver_all("news", 12..=12);
    world.page(at(13), 11..=13);
    assert_eq!(peer.offsets(), [8, 9, 10, 11, 12, 13]);
    let asked = world.queries().len();
    world.deliver_all("news", 13..=14);
    assert_eq!((peer.offsets(), world.queries().len()), (vec![14], asked));
    assert_eq!((world.hub.counts().recovered, world.hub.counts().not_recovered), (1, 0));
}

#[test]
fn a_last_page_that_is_older_than_the_deliveries_is_not_the_last() {
    let mut world = small_pages();
    let peer = world.anonymous();
    world.send(&peer, RECOVER);
    world.attached("news", Some(at(5)), 5);
    world.page(at(5), 2..=4);
    let _ = peer.seen();
    world.deliver_all("news", 6..=7);
    world.page(at(5), 5..=5);
    assert!(peer.offsets().is_empty(), "it is of a former owner");
    world.pass(Duration::from_millis(250));
    world.page(at(7), 5..=7);
    world.deliver_all("news", 8..=8);
    assert_eq!(peer.offsets(), [5, 6, 7, 8]);
}

#[test]
fn a_page_waits_for_the_socket() {
    let mut world = small_pages();
    let peer = world.anonymous();
    world.send(&peer, RECOVER);
    world.attached("news", Some(at(8)), 8);
    peer.socket.0.lock().stuck = MUCH;
    world.page(at(8), 2..=4);
    assert_eq!(world.queries().len(), 1, "the rest is not asked for yet");
    world.pass(Duration::from_secs(3));
    assert_eq!(world.queries().len(), 1);
    world.make_room(&peer);
    assert_eq!(asked_since(&world), Some(4));
    peer.socket.0.lock().is_crowded = true;
    world.page(at(8), 5..=7);
    assert_eq!(world.queries().len(), 2, "others have to be served first");
    peer.socket.0.lock().is_crowded = false;
    world.pass(Duration::from_millis(250));
    assert_eq!(asked_since(&world), Some(7));
}

#[test]
fn channels_are_recovered_one_page_at_a_time() {
    let mut world = small_pages();
    let peer = world.anonymous();
    for channel in 0..60 {
        let recover = json!({"channel": format!("c{channel}"), "recover": true, "offset": 1, "epoch": "abcdefgh"});
        world.queue(&peer, &json!({"id": channel + 2, "subscribe": recover}).to_string());
    }
    world.turn();
    for channel in 0..60 {
        world.attached(&format!("c{channel}"), Some(at(3)), 3);
        assert_eq!(world.queries().len(), 1, "one is asked for at a time");
    }
    for asked in 1..=60 {
        assert_eq!(world.queries().len(), asked);
        world.page(at(3), 2..=3);
    }
    assert!(peer.seen().iter().all(|reply| reply["subscribe"]["recovered"] == true));
    assert_eq!(world.queries().len(), 60);
}

#[test]
fn who_loses_the_thread_is_told() {
    let gone = |answer: fn(&mut World)| {
        let mut world = small_pages();
        let peer = world.anonymous();
        world.send(&peer, RECOVER);
        world.attached("news", Some(at(20)), 20);
        world.page(at(20), 2..=4);
        let _ = peer.seen();
        answer(&mut world);
        assert_eq!(peer.one()["push"]["unsubscribe"]["code"], 2500);
        assert_eq!((world.hub.counts().subscriptions, world.hub.rules.channel_count()), (0, 0));
        world.send(&peer, SUBSCRIBE);
        world.attached("news", Some(at(20)), 20);
        assert_eq!(peer.one()["subscribe"]["offset"], 20, "it may come again");
    };
    gone(|world| world.page(at(20), 7..=9));
    gone(|world| world.page(at(20), NOTHING));
    gone(|world| world.answer(Answer::Refused(Refusal::Unrecoverable)));
    gone(|world| world.lose("news", ringway_core::Position { epoch: other_epoch(), offset: 0 }));
}

#[test]
fn an_owner_that_is_away_for_a_while_costs_only_time() {
    let mut world = small_pages();
    let peer = world.anonymous();
    world.send(&peer, RECOVER);
    world.attached("news", Some(at(6)), 6);
    world.page(at(6), 2..=4);
    world.pass(Duration::from_secs(11));
    world.page(at(6), 5..=6);
    assert_eq!(peer.offsets(), [5, 6]);
}

#[test]
fn a_personal_channel_is_recovered_in_pages_too() {
    let mut world = small_pages();
    let peer = world.connect(Protocol::Centrifuge);
    let recover = json!({"#ann": {"recover": true, "offset": 1, "epoch": "abcdefgh"}});
    world.send(&peer, &json!({"id":1,"connect":{"token": token("ann", None), "subs": recover}}).to_string());
    world.attached("#ann", Some(at(6)), 6);
    world.page(at(6), 2..=4);
    assert_eq!(peer.one()["connect"]["subs"]["#ann"]["recovered"], true);
    world.page(at(6), 5..=6);
    world.deliver_all("#ann", 7..=7);
    assert_eq!(peer.offsets(), [5, 6, 7]);
}

#[test]
fn who_leaves_while_it_catches_up_leaves_nothing_behind() {
    for leave in [true, false] {
        let mut world = small_pages();
        let peer = world.anonymous();
        world.send(&peer, RECOVER);
        world.attached("news", Some(at(9)), 9);
        world.page(at(9), 2..=4);
        match leave {
            true => world.send(&peer, r#"{"id":3,"unsubscribe":{"channel":"news"}}"#),
            false => world.hang_up(&peer),
        }
        let _ = peer.seen();
        world.page(at(9), 5..=7);
        assert!(peer.seen().is_empty());
        assert_eq!((world.hub.counts().subscriptions, world.hub.rules.channel_count()), (0, 0));
    }
}

#[test]
fn many_reads_at_once_are_asked_one_after_the_other() {
    let mut world = World::open();
    let peer = member(&mut world, 2);
    let reads: Vec<String> =
        (10..760).map(|id| format!(r#"{{"id":{id},"history":{{"channel":"news","limit":-1}}}}"#)).collect();
    peer.ticket.begin_asks(750);
    assert!(peer.ticket.must_pause(32));
    world.send(&peer, &reads.join("\n"));
    for asked in 1..=400 {
        assert_eq!(world.queries().len(), asked);
        world.page(at(2), 1..=2);
    }
    peer.socket.0.lock().stuck = MUCH;
    world.page(at(2), 1..=2);
    assert_eq!(world.queries().len(), 401, "the socket is full");
    assert_eq!(peer.seen().len(), 401);
    assert_eq!(peer.socket.0.lock().resumed, 0);
    world.make_room(&peer);
    for _ in 401..750 {
        world.page(at(2), 1..=2);
    }
    assert_eq!(peer.seen().len(), 349);
    assert_eq!(peer.socket.0.lock().resumed, 1, "the client is read from again");
    world.send(&peer, r#"{"id":3,"presence_stats":{"channel":"news"}}"#);
    assert!(matches!(world.queries().pop(), Some((_, Query::PresenceStats(_)))));
}

#[test]
fn a_read_that_is_refused_is_answered_for_the_pause_too() {
    let mut world = World::open();
    let peer = member(&mut world, 2);
    let reads = [
        r#"{"id":3,"history":{"channel":"elsewhere","limit":1}}"#,
        r#"{"id":4,"presence":{"channel":"elsewhere"}}"#,
        r#"{"id":5,"history":{"channel":"news","limit":1,"since":{"offset":1,"epoch":"bogus"}}}"#,
    ];
    peer.ticket.begin_asks(3);
    assert!(peer.ticket.must_pause(3));
    reads.iter().for_each(|read| world.send(&peer, read));
    assert_eq!((peer.seen().len(), peer.socket.0.lock().resumed), (3, 1));
}

#[test]
fn a_long_reply_comes_in_parts_and_nothing_stands_between() {
    let mut world = World::open();
    let peer = member(&mut world, 6);
    world.send(&peer, READ_ALL);
    world.page_of_more(at(6), 1..=2);
    world.deliver_all("news", 7..=7);
    world.send(&peer, r#"{"id":10,"publish":{"channel":"no:such"}}"#);
    assert!(peer.seen().is_empty(), "the message is not whole, and what follows it waits");
    assert_eq!(asked_since(&world), Some(2));
    peer.socket.0.lock().stuck = MUCH;
    world.page_of_more(at(7), 3..=4);
    assert_eq!(asked_since(&world), Some(2), "the next part waits for the socket");
    world.make_room(&peer);
    assert_eq!(asked_since(&world), Some(4));
    world.page(at(7), 5..=6);
    let seen = peer.seen();
    let mut publications: Vec<Value> = (1..=6).map(|offset| json!({"data": offset, "offset": offset})).collect();
    publications[0]["epoch"] = "abcdefgh".into();
    assert_eq!(seen[0], json!({"id":9,"history":{"publications":publications,"epoch":"abcdefgh","offset":6}}));
    assert_eq!(seen[1]["push"]["pub"]["offset"], 7);
    assert_eq!((seen[2]["id"].as_u64(), seen.len()), (Some(10), 3));
    world.deliver_all("news", 8..=8);
    assert_eq!(peer.offsets(), [8]);
}

#[test]
fn a_ping_that_waits_behind_a_long_reply_has_its_time_from_then_on() {
    let mut world = World::open();
    let peer = member(&mut world, 20);
    world.send(&peer, READ_ALL);
    world.page_of_more(at(20), 1..=2);
    // The ping is due after 25 s at the latest.
    for offset in 3..=9 {
        world.pass(Duration::from_secs(4));
        world.page_of_more(at(20), [offset].into_iter());
    }
    assert!(peer.seen().is_empty());
    world.page(at(20), 10..=20);
    assert_eq!(peer.seen().len(), 2, "the reply, and the ping");
    world.pass(Duration::from_millis(7500));
    assert_eq!(peer.closed(), None);
    world.pass(Duration::from_millis(750));
    assert_eq!(peer.closed(), Some(3012));
}

#[test]
fn a_long_reply_downwards_ends_where_the_stream_does() {
    let mut world = World::open();
    let peer = member(&mut world, 6);
    world.send(&peer, r#"{"id":9,"history":{"channel":"news","limit":5,"reverse":true}}"#);
    world.page_of_more(at(6), (5..=6).rev());
    world.page_of_more(at(6), [4].into_iter());
    let Some((_, Query::History(query))) = world.queries().pop() else { panic!("a page is asked for") };
    assert_eq!((query.limit, query.since.map(|(offset, _)| offset)), (2, Some(4)));
    world.page(at(6), NOTHING);
    let reply = peer.one();
    let offsets =
        reply["history"]["publications"].as_array().unwrap().iter().map(|one| one["offset"].as_u64().unwrap());
    assert_eq!(offsets.collect::<Vec<_>>(), [6, 5, 4], "the oldest are gone meanwhile");
}

const WHO: &str = r#"{"id":9,"presence":{"channel":"news"}}"#;

#[test]
fn who_is_present_comes_in_parts_and_nothing_stands_between() {
    let mut world = World::open();
    let peer = member(&mut world, 6);
    world.send(&peer, WHO);
    world.answer(presence(1..=2, true));
    world.deliver_all("news", 7..=7);
    assert!(peer.seen().is_empty(), "the message is not whole, and what follows it waits");
    peer.socket.0.lock().stuck = MUCH;
    world.answer(presence(3..=4, true));
    let Some((_, Query::Presence(asked))) = world.queries().pop() else { panic!("a page is asked for") };
    assert_eq!(asked.after, Some((2, CENSUS)), "the next part waits for the socket");
    world.make_room(&peer);
    world.answer(presence(5..=5, false));
    let seen = peer.seen();
    let clients = seen[0]["presence"]["presence"].as_object().unwrap();
    let expected: Vec<String> = (1..=5).map(|client| uuid::Uuid::from_u128(client).to_string()).collect();
    assert_eq!((&seen[0]["id"], clients.keys().cloned().collect::<Vec<_>>()), (&json!(9), expected));
    assert_eq!((seen[1]["push"]["pub"]["offset"].as_u64(), seen.len()), (Some(7), 2));
    world.deliver_all("news", 8..=8);
    assert_eq!(peer.offsets(), [8]);
}

#[test]
fn half_of_those_who_are_present_is_never_all_of_them() {
    let closed = |is_begun: bool, answer: fn(&mut World)| {
        let mut world = World::open();
        let peer = member(&mut world, 6);
        world.send(&peer, WHO);
        if is_begun {
            world.answer(presence(1..=2, true));
        }
        answer(&mut world);
        (peer.closed(), peer.seen().first().map(|reply| reply["error"]["code"].clone()))
    };
    let another = |world: &mut World| world.answer(Answer::Refused(Refusal::Unrecoverable));
    assert_eq!(closed(true, another), (Some(3010), None), "another owner, or another link of a gateway");
    assert_eq!(closed(true, |world| world.pass(Duration::from_secs(11))), (None, None), "it may come back");
    assert_eq!(closed(true, |world| world.pass(Duration::from_secs(60))), (Some(3004), None));
    assert_eq!(closed(false, |world| world.pass(Duration::from_secs(11))), (None, Some(json!(100))));
}

#[test]
fn a_reply_that_cannot_be_finished_closes() {
    let closed = |answer: fn(&mut World)| {
        let mut world = World::open();
        let peer = member(&mut world, 6);
        world.send(&peer, READ_ALL);
        world.page_of_more(at(6), 1..=2);
        answer(&mut world);
        peer.closed()
    };
    assert_eq!(closed(|world| world.page(at(6), 4..=6)), Some(3010), "what came between is gone");
    assert_eq!(closed(|world| world.page(at(6), NOTHING)), Some(3010));
    assert_eq!(closed(|world| world.answer(Answer::Refused(Refusal::Unrecoverable))), Some(3010));
    assert_eq!(closed(|world| world.answer(Answer::Refused(Refusal::Full))), Some(3004));
    assert_eq!(closed(|world| world.pass(Duration::from_secs(11))), None, "an owner that is away may come back");
    assert_eq!(closed(|world| world.pass(Duration::from_secs(60))), Some(3004));
}

#[test]
fn what_waits_behind_a_reply_has_a_limit() {
    let mut world = World::open();
    let peer = member(&mut world, 6);
    world.send(&peer, READ_ALL);
    world.page_of_more(at(6), 1..=2);
    let large = format!("\"{}\"", "x".repeat(100_000));
    for offset in 7..=16 {
        world.deliver("news", offset, &large);
        world.turn();
        assert_eq!(peer.closed(), None);
    }
    world.deliver("news", 17, &large);
    world.turn();
    assert_eq!(peer.closed(), Some(3008));
}
