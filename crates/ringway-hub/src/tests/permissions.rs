//! Who may do what, and the codes of those who may not.

use serde_json::json;

use super::harness::*;
use crate::{Access, ChannelConfig, HubConfig, Protocol};

#[track_caller]
fn error(world: &mut World, peer: &Peer, frame: &str) -> u64 {
    world.send(peer, frame);
    peer.one()["error"]["code"].as_u64().expect("an error")
}

fn named(world: &mut World, user: &str) -> Peer {
    let peer = world.connect(Protocol::Centrifuge);
    world.send(&peer, &json!({"id":1,"connect":{"token": token(user, None)}}).to_string());
    world.attached(&format!("#{user}"), Some(at(0)), 0);
    let _ = peer.seen();
    peer
}

#[test]
fn subscribing_has_its_errors() {
    let mut world = World::open();
    let peer = named(&mut world, "ann");
    let long = json!({"id":2,"subscribe":{"channel":"x".repeat(256)}}).to_string();
    let table = [
        (r##"{"id":2,"subscribe":{"channel":"#bob"}}"##, 103),
        (r##"{"id":2,"subscribe":{"channel":"#ann"}}"##, 105),
        (r##"{"id":2,"subscribe":{"channel":"#ann,bob"}}"##, 102),
        (r##"{"id":2,"subscribe":{"channel":"room#bob,eve"}}"##, 103),
        (r#"{"id":2,"subscribe":{"channel":"$secret"}}"#, 103),
        (r#"{"id":2,"subscribe":{"channel":"other:news"}}"#, 102),
        (r#"{"id":2,"subscribe":{"channel":"news","type":1}}"#, 103),
        (&long, 107),
        (r#"{"id":2,"rpc":{"method":"m","data":{}}}"#, 108),
        (r#"{"id":2,"history":{"channel":"news"}}"#, 103),
        (r#"{"id":2,"presence":{"channel":"news"}}"#, 103),
    ];
    for (frame, code) in table {
        assert_eq!(error(&mut world, &peer, frame), code, "{frame}");
    }
    world.send(&peer, r#"{"id":3,"subscribe":{"channel":"room#bob,ann"}}"#);
    world.attached("room#bob,ann", Some(at(0)), 0);
    assert_eq!(peer.one()["id"], 3);
    assert_eq!(peer.closed(), None);
}

#[test]
fn a_second_subscribe_is_one_too_many_even_before_the_first_is_answered() {
    let mut world = World::open();
    let peer = world.anonymous();
    world.send(&peer, r#"{"id":2,"subscribe":{"channel":"news"}}"#);
    assert_eq!(error(&mut world, &peer, r#"{"id":3,"subscribe":{"channel":"news"}}"#), 105);
}

#[test]
fn channels_per_session_have_a_limit() {
    let mut config = HubConfig::open();
    config.limits.subscriptions = 2;
    let mut world = World::new(config);
    let peer = world.anonymous();
    world.send(&peer, r#"{"id":2,"subscribe":{"channel":"a"}}"#);
    world.send(&peer, r#"{"id":3,"subscribe":{"channel":"b"}}"#);
    assert_eq!(error(&mut world, &peer, r#"{"id":4,"subscribe":{"channel":"c"}}"#), 106);
}

#[test]
fn broken_clients_are_closed() {
    let table = [
        (r#"{"id":2,"subscribe":{"channel":""}}"#, 3501),
        (r#"{"id":2,"subscribe":{"channel":"news","delta":"nonsense"}}"#, 3501),
        (r#"{"id":2,"connect":{}}"#, 3501),
        (r#"{"send":{"data":{}}}"#, 3508),
        ("{}", 3501),
    ];
    for (frame, code) in table {
        let mut world = World::open();
        let peer = world.anonymous();
        world.send(&peer, frame);
        assert_eq!(peer.closed(), Some(code), "{frame}");
        world.send(&peer, r#"{"id":9,"subscribe":{"channel":"news"}}"#);
        assert!(peer.seen().is_empty(), "a closed session is not served");
        world.hang_up(&peer);
        assert_eq!(world.hub.counts().sessions, 0);
    }
}

#[test]
fn nothing_comes_before_the_connect() {
    let mut world = World::open();
    let peer = world.connect(Protocol::Centrifuge);
    world.send(&peer, r#"{"id":1,"subscribe":{"channel":"news"}}"#);
    assert_eq!(peer.closed(), Some(3501));
}

#[test]
fn tokens_are_needed_where_nobody_is_anonymous() {
    let closed = HubConfig::default();
    let mut world = World::new(closed);
    for (connect, code) in [(json!({}), 3501), (json!({"token": "nonsense"}), 3500)] {
        let peer = world.connect(Protocol::Centrifuge);
        world.send(&peer, &json!({"id": 1, "connect": connect}).to_string());
        assert_eq!(peer.closed(), Some(code));
    }
    let peer = world.connect(Protocol::Centrifuge);
    world.send(&peer, &json!({"id":1,"connect":{"token": token("ann", Some(1))}}).to_string());
    assert_eq!(peer.one(), json!({"id":1,"error":{"code":109,"message":"token expired"}}));
    assert_eq!(peer.closed(), None);
    world.send(&peer, r#"{"id":2,"connect":{}}"#);
    assert_eq!(peer.closed(), Some(3501), "after a failed connect nothing is served");
}

#[test]
fn publishing_follows_the_rules_of_the_channel() {
    let mut config = HubConfig::open();
    for (name, publish) in [
        ("nobody", Access::NOBODY),
        ("subscribers", Access::SUBSCRIBERS),
        ("named", Access::NAMED),
        ("anyone", Access::ANYONE),
    ] {
        config.namespaces.insert(name.into(), ChannelConfig { publish, ..ChannelConfig::open() });
    }
    let mut world = World::new(config);
    let (anonymous, ann) = (world.anonymous(), named(&mut world, "ann"));
    world.send(&anonymous, r#"{"id":2,"subscribe":{"channel":"subscribers:x"}}"#);
    world.attached("subscribers:x", Some(at(0)), 0);
    let _ = anonymous.seen();
    for (channel, anonymous_may, ann_may) in [
        ("nobody:x", false, false),
        ("subscribers:x", true, false),
        ("named:x", false, true),
        ("anyone:x", true, true),
        ("anyone:x#ann", false, true),
    ] {
        for (peer, may) in [(&anonymous, anonymous_may), (&ann, ann_may)] {
            let frame = json!({"id":3,"publish":{"channel":channel,"data":1}}).to_string();
            world.send(peer, &frame);
            let seen = peer.seen();
            assert_eq!(seen.is_empty(), may, "{channel}: {seen:?}");
            assert!(may || seen[0]["error"]["code"] == 103);
        }
    }
}
