//! Sessions on a response that streams: what they are told otherwise, and what counts as handed on.

use std::time::Duration;

use ringway_protocol::dialect::Dialect;
use serde_json::{Value, json};

use super::harness::*;
use crate::Protocol;

const NAME: u128 = 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef;

fn emulated() -> Protocol {
    Protocol::CentrifugeBy(Dialect::HTTP_STREAM, Some(NAME))
}

fn one_way() -> Protocol {
    Protocol::CentrifugeBy(Dialect::UNI_SSE, None)
}

/// A user with a session and an empty inbox, and what its connect was answered.
fn ann(world: &mut World, protocol: Protocol) -> (Peer, Value) {
    let peer = world.connect(protocol);
    let connect = json!({"id": 1, "connect": {"token": token("ann", None)}});
    world.send(&peer, &connect.to_string());
    world.attached("#ann", Some(at(0)), 0);
    let answer = peer.one();
    (peer, answer)
}

fn say(world: &mut World, offset: u64) {
    world.deliver("#ann", offset, &json!({"content": "hi"}).to_string());
    world.turn();
}

/// How many pings of the client protocol were written since the last look.
fn pings(peer: &Peer) -> usize {
    peer.seen().iter().filter(|seen| **seen == json!({})).count()
}

#[test]
fn the_answer_names_the_session_and_its_gateway_where_requests_need_them() {
    let mut world = World::open();
    let (_, answer) = ann(&mut world, emulated());
    assert_eq!(answer["connect"]["session"], "0123456789abcdef0123456789abcdef");
    assert_eq!((&answer["connect"]["node"], &answer["connect"]["pong"]), (&json!("0000000000000001"), &json!(true)));
    let peer = world.connect(Protocol::Centrifuge);
    world.send(&peer, r#"{"id":1,"connect":{}}"#);
    let answer = peer.one();
    assert!(answer["connect"].get("session").or(answer["connect"].get("node")).is_none(), "{answer}");
}

#[test]
fn the_pong_of_the_client_protocol_confirms_and_no_other_ping_is_sent() {
    let mut world = World::open();
    let (peer, _) = ann(&mut world, emulated());
    say(&mut world, 1);
    say(&mut world, 2);
    assert_eq!((pings(&peer), peer.pings()), (1, 0), "one ping, and none of a WebSocket");
    world.pass(Duration::from_secs(2));
    assert_eq!(world.told_confirmed(), None, "it was written, no more");
    world.send(&peer, "{}");
    world.pass(Duration::from_millis(250));
    assert_eq!(world.told_confirmed(), Some(1), "what the ping followed");
    world.pass(Duration::from_secs(1));
    assert_eq!(pings(&peer), 1);
    world.send(&peer, "{}");
    world.pass(Duration::from_millis(250));
    assert_eq!((world.told_confirmed(), peer.closed()), (Some(2), None));
    world.send(&peer, "{}");
    assert_eq!(peer.closed(), Some(3501), "a pong that answers no ping");
}

#[test]
fn a_ping_that_is_under_way_is_waited_for() {
    let mut world = World::open();
    let (peer, _) = ann(&mut world, emulated());
    while pings(&peer) == 0 {
        world.pass(Duration::from_millis(250));
    }
    say(&mut world, 1);
    world.send(&peer, "{}");
    world.pass(Duration::from_millis(250));
    assert_eq!(world.told_confirmed(), None, "that pong answers an earlier ping");
    world.pass(Duration::from_secs(1));
    assert_eq!(pings(&peer), 1);
    world.send(&peer, "{}");
    world.pass(Duration::from_millis(250));
    assert_eq!((world.told_confirmed(), peer.closed()), (Some(1), None));
}

#[test]
fn who_answers_no_ping_is_closed() {
    let mut world = World::open();
    let (peer, _) = ann(&mut world, emulated());
    say(&mut world, 1);
    world.pass(Duration::from_secs(60));
    assert_eq!(peer.closed(), Some(3012));
}

#[test]
fn who_only_listens_is_not_answered_and_answers_nothing() {
    let mut world = World::open();
    let (peer, answer) = ann(&mut world, one_way());
    assert_eq!((answer.get("id"), answer["connect"].get("pong")), (None, None));
    assert!(answer["connect"]["subs"]["#ann"].is_object() && answer["connect"]["ping"].is_u64());
    world.pass(Duration::from_secs(120));
    assert!(pings(&peer) >= 4 && peer.closed().is_none());
    say(&mut world, 1);
    let publication = peer.one();
    assert_eq!((&publication["channel"], &publication["pub"]["offset"]), (&json!("#ann"), &json!(1)));
}

#[test]
fn what_has_left_for_who_only_listens_is_confirmed() {
    let mut world = World::open();
    let (peer, _) = ann(&mut world, one_way());
    peer.socket.0.lock().stuck = 10;
    say(&mut world, 1);
    world.pass(Duration::from_secs(3));
    assert_eq!(world.told_confirmed(), None, "it has not left");
    peer.socket.0.lock().stuck = 0;
    world.pass(Duration::from_millis(1_500));
    assert_eq!(world.told_confirmed(), Some(1));
    say(&mut world, 2);
    world.hang_up(&peer);
    assert_eq!(world.told_confirmed(), Some(1), "the connection has ended before anybody looked");
}

#[test]
fn who_only_listens_is_closed_where_others_are_told_an_error() {
    let mut world = World::open();
    let connect = json!({"id": 1, "connect": {"token": token("ann", Some(1))}}).to_string();
    let [peer, other] = [one_way(), emulated()].map(|protocol| world.connect(protocol));
    world.send(&peer, &connect);
    world.send(&other, &connect);
    assert_eq!((peer.closed(), peer.seen()), (Some(3005), vec![]));
    assert_eq!((other.closed(), &other.one()["error"]["code"]), (None, &json!(109)));
}
