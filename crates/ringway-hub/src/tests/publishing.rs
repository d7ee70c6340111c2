//! Publishes, from both protocols, and how many may be under way.

use bytes::Bytes;
use ringway_core::UserName;
use serde_json::{Value, json};
use std::time::Duration;

use super::harness::*;
use crate::{ClientInput, Protocol};

fn publish(id: u32, data: &Value) -> String {
    json!({"id": id, "publish": {"channel": "news", "data": data}}).to_string()
}

fn subscriber(world: &mut World) -> Peer {
    let peer = world.anonymous();
    world.send(&peer, r#"{"id":2,"subscribe":{"channel":"news"}}"#);
    if !world.hub.rules.is_attached(world.attach_of("news").attach.channel_key()) {
        world.attached("news", Some(at(0)), 0);
    }
    let _ = peer.seen();
    peer
}

fn say(world: &mut World, peer: &Peer, to: &str, content: &str) {
    let data = Bytes::from(json!({"content": content, "from": "ann"}).to_string());
    peer.ticket.begin_asks(1);
    world.input(ClientInput::Said(peer.ticket.clone(), UserName::new(to).unwrap(), data));
    world.turn();
}

#[test]
fn a_publish_is_answered_when_the_owner_has_it() {
    let mut world = World::open();
    let peer = subscriber(&mut world);
    world.send(&peer, &publish(3, &json!({"a": 1})));
    assert!(peer.seen().is_empty());
    let sent = world.publishes().pop().unwrap();
    assert_eq!((sent.channel.as_str(), sent.entry.data()), ("news", &br#"{"a":1}"#[..]));
    let publisher = sent.entry.publisher().unwrap();
    assert!(publisher.user.is_empty() && publisher.client != 0);
    world.acknowledge(&sent, Some(at(1)));
    assert_eq!(peer.one(), json!({"id":3,"publish":{}}));
}

#[test]
fn the_info_of_a_client_travels_with_its_publication() {
    let mut world = World::open();
    let peer = world.connect(Protocol::Centrifuge);
    world.send(&peer, &json!({"id":1,"connect":{"token": token("ann", None)}}).to_string());
    world.attached("#ann", Some(at(0)), 0);
    world.send(&peer, r#"{"id":2,"subscribe":{"channel":"news"}}"#);
    world.attached("news", Some(at(0)), 0);
    let _ = peer.seen();
    world.send(&peer, &publish(3, &json!(1)));
    let sent = world.publishes().pop().unwrap();
    let attach = world.attach_of("news").attach;
    let deliver = ringway_core::message::Deliver { attach, offset: 1, entry: sent.entry };
    world.hear(ringway_core::message::Message::Deliver(deliver));
    world.turn();
    let info = &peer.one()["push"]["pub"]["info"];
    assert_eq!((&info["user"], &info["conn_info"]), (&json!("ann"), &json!({"of": "ann"})));
}

#[test]
fn a_publish_that_fails_has_a_temporary_error() {
    let mut world = World::open();
    let peer = subscriber(&mut world);
    world.send(&peer, &publish(3, &json!(1)));
    let sent = world.publishes().pop().unwrap();
    world.reject(&sent);
    assert_eq!(peer.one()["error"]["code"], 111);
    world.send(&peer, &publish(4, &json!(1)));
    world.pass(Duration::from_millis(5250));
    assert_eq!(peer.one()["error"], json!({"code":100,"message":"internal server error","temporary":true}));
}

#[test]
fn a_publish_without_data_makes_no_sense() {
    let mut world = World::open();
    let peer = subscriber(&mut world);
    world.send(&peer, r#"{"id":3,"publish":{"channel":"news"}}"#);
    assert_eq!(peer.one()["error"]["code"], 107);
}

#[test]
fn a_connection_pauses_at_its_limit_and_goes_on_at_half_of_it() {
    let mut world = World::open();
    let limit = world.hub.config.limits.publishes_in_flight;
    let peer = subscriber(&mut world);
    for id in 0..limit {
        assert!(!peer.ticket.must_pause(limit), "{id}");
        peer.ticket.begin_asks(1);
        world.send(&peer, &publish(10 + id, &json!(id)));
    }
    assert!(peer.ticket.must_pause(limit));
    for (done, sent) in world.publishes().into_iter().enumerate() {
        let expected = usize::from(done as u32 >= limit / 2);
        assert_eq!(peer.socket.0.lock().resumed, expected, "after {done} answers");
        world.acknowledge(&sent, Some(at(done as u64 + 1)));
    }
    assert_eq!(peer.socket.0.lock().resumed, 1, "once for each pause");
    assert!(!peer.ticket.must_pause(limit));
}

#[test]
fn answers_that_overtake_the_pause_cancel_it() {
    let ticket = crate::Ticket::new();
    ticket.begin_asks(32);
    assert!(ticket.must_pause(32));
    let resumed = (0..32).filter(|_| ticket.end_ask(32)).count();
    assert_eq!(resumed, 1);
    ticket.begin_asks(1);
    assert!(!ticket.must_pause(32));
    assert!(!ticket.end_ask(32));
}

#[test]
fn refused_publishes_are_not_under_way() {
    let mut world = World::open();
    let peer = world.anonymous();
    peer.ticket.begin_asks(3);
    let refused = [publish(2, &json!(1)), r#"{"id":3,"publish":{"channel":"a:b","data":1}}"#.into()];
    refused.iter().for_each(|frame| world.send(&peer, frame));
    world.send(&peer, &json!({"id":4,"publish":{"channel":"x".repeat(300),"data":1}}).to_string());
    assert_eq!(peer.seen().len(), 3);
    assert!(!peer.ticket.must_pause(1));
}

#[test]
fn a_plain_message_goes_to_the_inbox_of_its_user() {
    let mut world = World::open();
    let peer = world.plain("ann");
    world.attached("#ann", Some(at(0)), 0);
    let _ = peer.seen();
    say(&mut world, &peer, "bob", "hello");
    let sent = world.publishes().pop().unwrap();
    assert_eq!((sent.channel.as_str(), sent.entry.data()), ("#bob", &br#"{"content":"hello","from":"ann"}"#[..]));
    world.acknowledge(&sent, Some(at(1)));
    assert!(peer.seen().is_empty(), "silence is success");
}

#[test]
fn a_plain_message_that_was_not_acknowledged_is_a_problem() {
    let mut world = World::open();
    let peer = world.plain("ann");
    world.attached("#ann", Some(at(0)), 0);
    let _ = peer.seen();
    say(&mut world, &peer, "bob", "hello");
    world.pass(Duration::from_millis(5250));
    let problems: Vec<Value> = peer.seen().into_iter().filter(|message| message["type"] == 5).collect();
    assert_eq!(problems.len(), 1);
    assert!(problems[0]["content"].as_str().unwrap().starts_with("perhaps not sent"));
}

#[test]
fn a_puzzling_message_is_explained_after_the_greeting() {
    let mut world = World::open();
    let peer = world.plain("ann");
    world.input(ClientInput::Puzzled(peer.ticket.clone()));
    world.turn();
    assert!(peer.seen().is_empty());
    world.attached("#ann", Some(at(0)), 0);
    let types: Vec<Value> = peer.seen().iter().map(|message| message["type"].clone()).collect();
    assert_eq!(types, [1, 5]);
    world.input(ClientInput::Puzzled(peer.ticket.clone()));
    world.turn();
    assert_eq!(peer.one()["type"], 5);
}

#[test]
fn an_answer_for_a_session_that_has_gone_reaches_nobody_else() {
    let mut world = World::open();
    let (gone, stays) = (subscriber(&mut world), subscriber(&mut world));
    world.send(&gone, &publish(3, &json!(1)));
    world.hang_up(&gone);
    let next = world.connect(Protocol::Centrifuge);
    let sent = world.publishes().pop().unwrap();
    world.acknowledge(&sent, Some(at(1)));
    assert!(next.seen().is_empty() && stays.seen().is_empty());
}
