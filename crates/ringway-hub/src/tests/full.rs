//! The owner has no room for one more channel: whoever asks for it is told, and nothing is left behind.

use ringway_core::message::{Message, Refusal};
use serde_json::json;

use super::harness::*;
use crate::Protocol;

fn refuse(world: &mut World, channel: &str) {
    let attach = world.attach_of(channel).attach;
    world.hear(Message::AttachRefused(attach, Refusal::Full));
    world.turn();
}

#[test]
fn a_subscribe_is_refused_for_now() {
    let mut world = World::open();
    let peer = world.anonymous();
    world.send(&peer, r#"{"id":2,"subscribe":{"channel":"news"}}"#);
    refuse(&mut world, "news");
    let error = &peer.one()["error"];
    assert_eq!((&error["code"], &error["temporary"]), (&json!(111), &json!(true)));
    assert_eq!((peer.closed(), world.hub.counts().subscriptions, world.hub.counts().refused.full), (None, 0, 1));
    // It tries again, and there is room.
    world.send(&peer, r#"{"id":3,"subscribe":{"channel":"news"}}"#);
    world.attached("news", Some(at(3)), 3);
    assert_eq!(peer.one()["subscribe"]["offset"], 3);
}

#[test]
fn a_connect_whose_inbox_finds_no_room_connects_anew() {
    let mut world = World::open();
    let peer = world.connect(Protocol::Centrifuge);
    world.send(&peer, &json!({"id":1,"connect":{"token": token("ann", None)}}).to_string());
    refuse(&mut world, "#ann");
    assert_eq!(peer.closed(), Some(3004));
    let plain = world.plain("bob");
    refuse(&mut world, "#bob");
    assert_eq!(plain.closed(), Some(3004));
}

#[test]
fn listeners_of_before_stay_while_a_next_owner_is_full() {
    let mut world = World::open();
    let peer = world.anonymous();
    world.send(&peer, r#"{"id":2,"subscribe":{"channel":"news"}}"#);
    world.attached("news", Some(at(3)), 3);
    let _ = peer.seen();
    refuse(&mut world, "news");
    assert!(peer.seen().is_empty() && peer.closed().is_none());
}
