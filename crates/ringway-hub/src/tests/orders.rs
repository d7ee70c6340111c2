//! Orders of backends about sessions.

use std::time::Duration;

use ringway_core::message::{Deed, Message, NewExpiry, Order};
use serde_json::json;

use super::harness::*;
use crate::Protocol;

fn order(world: &mut World, user: &str, deed: Deed) {
    world.hear(Message::Order(1, Box::new(Order { user: user.into(), client: None, whitelist: vec![], deed })));
    world.turn();
    let obeyed = world.said.iter().filter(|said| **said == Message::Obeyed(1)).count();
    assert_eq!(obeyed, 1, "whoever asked waits for that");
    world.said.clear();
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
