//! Tokens for channels: who shows one, renews it, or lets it run out.

use std::time::Duration;

use serde_json::{Value, json};

use super::harness::*;
use crate::{Access, ChannelConfig, HubConfig, Protocol};

fn closed_world() -> World {
    let mut config = HubConfig::open();
    config.namespaces.insert("closed".into(), ChannelConfig { subscribe: Access::NOBODY, ..ChannelConfig::open() });
    World::new(config)
}

fn signed(claims: &Value) -> String {
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), claims, &key).unwrap()
}

fn subscribe(world: &mut World, peer: &Peer, channel: &str, token: &str) {
    world.send(peer, &json!({"id": 2, "subscribe": {"channel": channel, "token": token}}).to_string());
}

/// The answer to a `sub_refresh`.
fn refresh(world: &mut World, peer: &Peer, channel: &str, token: &str) -> Option<Value> {
    world.send(peer, &json!({"id": 3, "sub_refresh": {"channel": channel, "token": token}}).to_string());
    peer.seen().pop()
}

/// A client that is in `closed:x` with a token that ends then.
fn member(world: &mut World, end: u64) -> Peer {
    let peer = world.anonymous();
    subscribe(world, &peer, "closed:x", &signed(&json!({"channel": "closed:x", "exp": end, "info": {"old": 1}})));
    world.attached("closed:x", Some(at(0)), 0);
    let _ = peer.seen();
    peer
}

/// Lets so many seconds pass for a client that answers its pings; gives what else it was sent.
fn live(world: &mut World, peer: &Peer, seconds: u64) -> Vec<Value> {
    let mut others = Vec::new();
    for _ in 0..seconds {
        world.pass(Duration::from_secs(1));
        let (pings, seen): (Vec<Value>, Vec<Value>) = peer.seen().into_iter().partition(|seen| *seen == json!({}));
        others.extend(seen);
        pings.iter().for_each(|_| world.send(peer, "{}"));
    }
    others
}

#[test]
fn a_token_opens_what_is_closed_without_one() {
    for channel in ["closed:x", "$closed:x", "$news", "room#bob"] {
        let mut world = closed_world();
        let peer = world.anonymous();
        world.send(&peer, &json!({"id": 2, "subscribe": {"channel": channel}}).to_string());
        assert_eq!(peer.one()["error"]["code"], 103, "{channel}");
        let claims = json!({"channel": channel, "exp": unix() + 100, "info": {"role": "guest"}, "data": [1]});
        subscribe(&mut world, &peer, channel, &signed(&claims));
        world.attached(channel, Some(at(0)), 0);
        let subscribed = peer.one()["subscribe"].take();
        assert_eq!((&subscribed["expires"], &subscribed["data"]), (&json!(true), &json!([1])), "{subscribed}");
        assert!((90..=100).contains(&subscribed["ttl"].as_u64().unwrap()), "{subscribed}");
        assert_eq!(subscribed["recoverable"], true, "{subscribed}");
        let present = world.attach_of(channel).presence;
        assert_eq!(present[0].chan_info.as_deref(), Some(&br#"{"role":"guest"}"#[..]), "{channel}");
        if channel != "room#bob" {
            world.send(&peer, &json!({"id": 3, "publish": {"channel": channel, "data": 1}}).to_string());
            let entry = world.publishes().pop().unwrap().entry;
            assert_eq!(entry.publisher().unwrap().chan_info, br#"{"role":"guest"}"#, "{channel}");
        }
    }
}

#[test]
fn a_token_that_is_shown_must_be_right() {
    let (past, future) = (unix() - 10, unix() + 100);
    let foreign = jsonwebtoken::EncodingKey::from_secret(b"another key");
    let claims = json!({"channel": "news"});
    let foreign = jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &foreign).unwrap();
    for (token, error, closed) in [
        ("garbage".to_owned(), Some(103), None),
        (foreign, Some(103), None),
        (signed(&json!({"sub": ""})), Some(103), None),
        (signed(&json!({"channel": "news", "exp": past})), Some(109), None),
        (signed(&json!({"channel": "news", "nbf": future})), Some(109), None),
        (signed(&json!({"channel": "news", "exp": future, "expire_at": past})), Some(110), None),
        (signed(&json!({"channel": "other"})), None, Some(3500)),
        (signed(&json!({"channel": "news", "sub": "bob"})), None, Some(3500)),
        (signed(&json!({"channel": "news", "client": "another"})), None, Some(3500)),
    ] {
        let mut world = closed_world();
        let peer = world.anonymous();
        subscribe(&mut world, &peer, "news", &token);
        let code = peer.seen().pop().map(|seen| seen["error"]["code"].as_u64().unwrap());
        assert_eq!((code, peer.closed()), (error, closed), "{token}");
        let refused = world.hub.counts().refused;
        // What is wrong with the token itself is counted where it is read.
        let is_good = !matches!(error, Some(103 | 109));
        assert_eq!(refused.other_bearer + refused.over, u64::from(is_good), "{token}");
    }
}

#[test]
fn an_inbox_is_its_users_whatever_a_token_says() {
    let mut world = closed_world();
    let peer = world.anonymous();
    subscribe(&mut world, &peer, "#bob", &signed(&json!({"channel": "#bob"})));
    assert_eq!(peer.one()["error"]["code"], 103);
}

#[test]
fn a_subscription_ends_a_grace_after_its_token() {
    let mut world = closed_world();
    let peer = member(&mut world, unix() + 20);
    assert!(live(&mut world, &peer, 43).is_empty(), "it has 25 s to renew it");
    let ended = json!({"push":{"channel":"closed:x","unsubscribe":{"code":2501,"reason":"expired"}}});
    assert_eq!((live(&mut world, &peer, 4), peer.closed()), (vec![ended], None));
    assert_eq!((world.hub.counts().subscriptions, world.hub.audience.grants.len()), (0, 0));
}

#[test]
fn who_renews_a_token_in_time_stays() {
    let mut world = closed_world();
    let peer = member(&mut world, unix() + 20);
    let renewed = signed(&json!({"channel": "closed:x", "exp": unix() + 1000, "info": {"new": 1}}));
    let answer = refresh(&mut world, &peer, "closed:x", &renewed).unwrap();
    assert_eq!((&answer["id"], &answer["sub_refresh"]["expires"]), (&json!(3), &json!(true)), "{answer}");
    assert!(answer["sub_refresh"]["ttl"].as_u64().unwrap() > 900, "{answer}");
    let told = world.said.iter().rev().find_map(|message| match message {
        ringway_core::message::Message::Sessions(changes) => Some(changes.clone()),
        _ => None,
    });
    let told = told.expect("its owner is told");
    assert_eq!(told.joined[0].chan_info.as_deref(), Some(&br#"{"new":1}"#[..]));
    assert!(live(&mut world, &peer, 120).is_empty());
    world.send(&peer, r#"{"id":4,"unsubscribe":{"channel":"closed:x"}}"#);
    assert_eq!((peer.seen().pop().unwrap()["id"].as_u64(), world.hub.audience.grants.len()), (Some(4), 0));
}

#[test]
fn what_is_no_renewal_has_its_answer() {
    let end = unix() + 100;
    let good = signed(&json!({"channel": "closed:x", "exp": end}));
    for (channel, token, error, closed) in [
        ("other", good.as_str(), Some(103), None),
        ("", &good, None, Some(3501)),
        ("closed:x", "", Some(107), None),
        ("closed:x", "garbage", None, Some(3500)),
        ("closed:x", &signed(&json!({"channel": "other"})), None, Some(3500)),
        ("closed:x", &signed(&json!({"channel": "closed:x", "exp": end - 1000})), Some(109), None),
        ("closed:x", &signed(&json!({"channel": "closed:x", "expire_at": end - 1000})), Some(110), None),
    ] {
        let mut world = closed_world();
        let peer = member(&mut world, end);
        let answer = refresh(&mut world, &peer, channel, token);
        let code = answer.map(|answer| answer["error"]["code"].as_u64().unwrap());
        assert_eq!((code, peer.closed()), (error, closed), "{channel} {token}");
    }
    let mut world = closed_world();
    let peer = world.connect(Protocol::Centrifuge);
    world.send(&peer, &json!({"id":1,"connect":{"token": token("ann", None)}}).to_string());
    world.attached("#ann", Some(at(0)), 0);
    let _ = peer.seen();
    assert_eq!(refresh(&mut world, &peer, "#ann", &good), None);
    assert_eq!(peer.closed(), Some(3501), "the server made it, and renews it");
}

#[test]
fn a_token_may_come_for_what_was_open_without_one() {
    let mut world = closed_world();
    let peer = world.anonymous();
    world.send(&peer, r#"{"id":2,"subscribe":{"channel":"news"}}"#);
    let claims = json!({"channel": "news", "exp": unix() + 50});
    assert_eq!(refresh(&mut world, &peer, "news", &signed(&claims)), None, "it waits for the subscription");
    world.attached("news", Some(at(0)), 0);
    let seen = peer.seen();
    assert_eq!((&seen[0]["id"], &seen[1]["sub_refresh"]["expires"]), (&json!(2), &json!(true)), "{seen:?}");
    assert_eq!(world.hub.audience.grants.len(), 1);
    world.hang_up(&peer);
    assert_eq!(world.hub.audience.grants.len(), 0);
}
