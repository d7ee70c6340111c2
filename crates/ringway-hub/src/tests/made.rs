//! Subscriptions that the server makes, with a connect.

use serde_json::{Value, json};

use super::harness::*;
use crate::{HubConfig, Protocol};

fn signed(claims: &Value) -> String {
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), claims, &key).unwrap()
}

/// A client that has sent its connect with these claims, and comes back to these places.
fn connecting(world: &mut World, claims: &Value, subs: &Value) -> Peer {
    let peer = world.connect(Protocol::Centrifuge);
    world.send(&peer, &json!({"id": 1, "connect": {"token": signed(claims), "subs": subs}}).to_string());
    peer
}

#[test]
fn a_connect_is_answered_when_all_its_subscriptions_may_begin() {
    let mut world = World::open();
    let peer = connecting(&mut world, &json!({"sub": "ann", "channels": ["news", "$secret"]}), &json!({}));
    world.attached("#ann", Some(at(0)), 0);
    world.attached("$secret", Some(at(2)), 2);
    assert!(peer.seen().is_empty(), "one is awaited");
    world.attached("news", Some(at(3)), 3);
    let subs = &peer.one()["connect"]["subs"];
    let sub = |offset: u64| json!({"recoverable": true, "epoch": "abcdefgh", "offset": offset, "positioned": true});
    let first = json!({"recoverable": true, "epoch": "abcdefgh", "positioned": true});
    assert_eq!(*subs, json!({"#ann": first, "news": sub(3), "$secret": sub(2)}));
    world.deliver_all("news", 4..=4);
    world.deliver_all("$secret", 3..=3);
    assert_eq!(peer.offsets(), [4, 3]);
}

#[test]
fn what_comes_while_another_is_awaited_is_told_behind_the_answer() {
    let mut world = World::open();
    let other = world.anonymous();
    world.send(&other, r#"{"id":2,"subscribe":{"channel":"news"}}"#);
    world.attached("news", Some(at(3)), 3);
    let _ = other.seen();
    let peer = connecting(&mut world, &json!({"sub": "ann", "channels": ["news"]}), &json!({}));
    world.deliver_all("news", 4..=5);
    assert!(peer.seen().is_empty() && other.offsets() == [4, 5]);
    world.attached("#ann", Some(at(0)), 0);
    assert_eq!(peer.one()["connect"]["subs"]["news"]["offset"], 3);
    world.page(at(5), 4..=5);
    world.deliver_all("news", 6..=6);
    assert_eq!(peer.offsets(), [4, 5, 6]);
}

#[test]
fn who_comes_back_recovers_what_the_server_subscribes_it_to() {
    let mut world = World::open();
    let claims = json!({"sub": "ann", "subs": {"news": {"data": {"a": 1}}}});
    let subs = json!({"news": {"recover": true, "offset": 1, "epoch": "abcdefgh"}});
    let peer = connecting(&mut world, &claims, &subs);
    world.attached("#ann", Some(at(0)), 0);
    world.attached("news", Some(at(3)), 3);
    world.page(at(3), 2..=3);
    let sub = peer.one()["connect"]["subs"]["news"].clone();
    assert_eq!(sub["recovered"], true);
    assert_eq!((sub["data"].clone(), sub["offset"].clone()), (json!({"a": 1}), json!(1)));
    assert_eq!(sub["publications"].as_array().unwrap().len(), 2);
    world.deliver_all("news", 4..=4);
    assert_eq!(peer.offsets(), [4]);
}

#[test]
fn a_stream_that_is_lost_meanwhile_has_the_client_come_again() {
    let mut world = World::open();
    let peer = connecting(&mut world, &json!({"sub": "ann", "channels": ["news"]}), &json!({}));
    world.attached("news", Some(at(3)), 3);
    world.lose("news", ringway_core::Position { epoch: other_epoch(), offset: 0 });
    world.attached("#ann", Some(at(0)), 0);
    assert_eq!(peer.closed(), Some(3010));
}

#[test]
fn who_leaves_before_its_answer_leaves_nothing_behind() {
    let mut world = World::open();
    let peer = connecting(&mut world, &json!({"sub": "ann", "channels": ["news"]}), &json!({}));
    world.attached("news", Some(at(3)), 3);
    world.hang_up(&peer);
    world.attached("#ann", Some(at(0)), 0);
    assert!(peer.seen().is_empty());
    assert_eq!((world.hub.counts().channels, world.hub.counts().subscriptions), (0, 0));
}

#[test]
fn what_cannot_be_is_refused_whole() {
    let mut config = HubConfig::open();
    config.limits.subscriptions = 2;
    let mut world = World::new(config);
    let table = [(json!(["unknown:x"]), 102), (json!(["#bob"]), 103), (json!(["a", "b", "c"]), 106)];
    for (channels, code) in table {
        let peer = connecting(&mut world, &json!({"sub": "ann", "channels": channels}), &json!({}));
        assert_eq!(peer.one()["error"]["code"], code, "{channels}");
    }
    assert_eq!(world.hub.counts().subscriptions, 0);
}

#[test]
fn a_client_may_leave_what_the_server_made_but_its_inbox() {
    let mut world = World::open();
    let peer = connecting(&mut world, &json!({"sub": "ann", "channels": ["news"]}), &json!({}));
    world.attached("#ann", Some(at(0)), 0);
    world.attached("news", Some(at(3)), 3);
    let _ = peer.seen();
    world.send(&peer, r#"{"id":2,"unsubscribe":{"channel":"news"}}"#);
    assert_eq!(peer.one(), json!({"id": 2, "unsubscribe": {}}));
    world.send(&peer, r##"{"id":3,"unsubscribe":{"channel":"#ann"}}"##);
    assert_eq!(peer.one()["error"]["code"], 103);
}

#[test]
fn a_new_token_with_another_channel_has_the_client_come_again() {
    let mut world = World::open();
    for (channels, closed) in [(json!(["news"]), None), (json!(["news", "other"]), Some(3010))] {
        let peer = connecting(&mut world, &json!({"sub": "ann", "channels": ["news"]}), &json!({}));
        if closed.is_none() {
            world.attached("#ann", Some(at(0)), 0);
            world.attached("news", Some(at(3)), 3);
        }
        let _ = peer.seen();
        let token = signed(&json!({"sub": "ann", "channels": channels}));
        world.send(&peer, &json!({"id": 2, "refresh": {"token": token}}).to_string());
        assert_eq!(peer.closed(), closed);
    }
}

#[test]
fn without_personal_channels_there_is_none() {
    let mut world = World::new(HubConfig { personal_channels: false, ..HubConfig::open() });
    let peer = connecting(&mut world, &json!({"sub": "ann"}), &json!({}));
    assert_eq!(peer.one()["connect"]["subs"], Value::Null);
    assert_eq!(world.hub.counts().channels, 0);
}
