//! Orders of backends about sessions.

use std::time::Duration;

use ringway_core::message::{Deed, Message, NewExpiry, NewSub, Order};
use serde_json::json;

use super::harness::*;
use crate::{HubConfig, Protocol};

fn order(world: &mut World, user: &str, deed: Deed) {
    world.hear(Message::Order(1, Box::new(Order { user: user.into(), client: None, whitelist: vec![], deed })));
    world.turn();
    let obeyed = world.said.iter().filter(|said| **said == Message::Obeyed(1)).count();
    assert_eq!(obeyed, 1, "whoever asked waits for that");
    world.said.retain(|said| *said != Message::Obeyed(1));
}

fn refresh(seconds: Option<u64>, is_over: bool) -> Deed {
    let lifetime = seconds.map(Duration::from_secs);
    Deed::Refresh(Box::new(NewExpiry { is_over, lifetime, info: None }))
}

fn tenant(world: &mut World) -> Peer {
    let peer = world.connect(Protocol::Centrifuge);
    world.send(&peer, &json!({"id":1,"connect":{"token": token("tenant:42", None)}}).to_string());
    assert!(peer.one()["connect"]["client"].is_string());
    peer
}

#[test]
fn credentials_end_when_a_backend_says_so() {
    let mut world = World::open();
    let peer = tenant(&mut world);
    order(&mut world, "somebody", refresh(Some(60), false));
    assert!(peer.seen().is_empty(), "it is somebody else");
    order(&mut world, "tenant:42", refresh(Some(60), false));
    assert_eq!(peer.one()["push"]["refresh"], json!({"expires": true, "ttl": 60}));
    order(&mut world, "tenant:42", refresh(None, false));
    assert_eq!(peer.one()["push"]["refresh"], json!({}));
    order(&mut world, "tenant:42", refresh(Some(60), true));
    assert_eq!(peer.closed(), Some(3005));
    let peer = tenant(&mut world);
    order(&mut world, "tenant:42", refresh(Some(0), false));
    assert_eq!(peer.closed(), Some(3005), "the end is over already");
}

fn subscribe(channel: &str, since: Option<(u64, Box<str>)>, lifetime: Option<u64>) -> Deed {
    let data = Some(bytes::Bytes::from_static(b"{\"for\":\"you\"}"));
    let lifetime = lifetime.map(Duration::from_secs);
    Deed::Subscribe(Box::new(NewSub { channel: name(channel), info: None, data, since, lifetime, overrides: 0 }))
}

#[test]
fn a_backend_subscribes_and_unsubscribes() {
    let mut world = World::open();
    let (peer, other) = (tenant(&mut world), world.connect(Protocol::Centrifuge));
    order(&mut world, "tenant:42", subscribe("news", None, None));
    assert!(peer.seen().is_empty(), "its owner is asked first");
    world.attached("news", Some(at(7)), 7);
    let told = peer.one();
    assert_eq!(told["push"]["channel"], "news");
    assert_eq!(told["push"]["subscribe"]["data"], json!({"for": "you"}));
    order(&mut world, "tenant:42", subscribe("news", None, None));
    assert!(peer.seen().is_empty(), "it is subscribed already");
    order(&mut world, "tenant:42", Deed::Unsubscribe(Some(name("other"))));
    assert!(peer.seen().is_empty());
    order(&mut world, "tenant:42", Deed::Unsubscribe(Some(name("news"))));
    assert_eq!(peer.one()["push"]["unsubscribe"]["code"], 2000);
    order(&mut world, "tenant:42", subscribe("news", None, None));
    order(&mut world, "tenant:42", subscribe("more", None, None));
    world.attached("news", Some(at(7)), 7);
    world.attached("more", Some(at(7)), 7);
    assert_eq!(peer.seen().len(), 2);
    order(&mut world, "tenant:42", Deed::Unsubscribe(None));
    assert_eq!(peer.seen().len(), 2, "it is told of each");
    assert!(other.seen().is_empty(), "others are left alone");
}

#[test]
fn an_inbox_is_nobodys_to_give() {
    let mut world = World::open();
    let peer = tenant(&mut world);
    order(&mut world, "tenant:42", subscribe("#ann", None, None));
    world.turn();
    assert!(peer.seen().is_empty());
}

#[test]
fn who_has_no_personal_channel_is_found_all_the_same() {
    let mut world = World::new(HubConfig { personal_channels: false, ..HubConfig::open() });
    let peer = world.connect(Protocol::Centrifuge);
    world.send(&peer, &json!({"id":1,"connect":{"token": token("ann", None)}}).to_string());
    let _ = peer.seen();
    order(&mut world, "bob", Deed::Close { code: 3503, reason: "go".into() });
    assert_eq!(peer.closed(), None);
    order(&mut world, "ann", Deed::Close { code: 3503, reason: "go".into() });
    assert_eq!(peer.closed(), Some(3503));
}
