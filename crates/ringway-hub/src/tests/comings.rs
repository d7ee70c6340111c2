//! Who comes and goes, told to those who want to know.

use ringway_core::message::{Deliver, Happening, Message};
use serde_json::{Value, json};

use super::harness::*;
use crate::{ChannelConfig, HubConfig, Protocol};

/// Channels of `told` tell who comes and goes, to those who ask; those of `forced` tell it to all.
fn world() -> World {
    let told = ChannelConfig { join_leave: true, ..ChannelConfig::open() };
    let forced = ChannelConfig { force_push_join_leave: true, ..told.clone() };
    let mut config = HubConfig::open();
    config.namespaces.extend([("told".to_owned(), told), ("forced".to_owned(), forced)]);
    World::new(config)
}

impl World {
    fn joined_by(&mut self, channel: &str, extra: &Value) -> Peer {
        let peer = self.anonymous();
        let mut wish = json!({"channel": channel});
        wish.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        self.send(&peer, &json!({"id": 2, "subscribe": wish}).to_string());
        peer
    }

    /// The owner delivers what it was last told of somebody, which is kept nowhere. Ends the turn.
    fn deliver_last(&mut self) -> (Happening, String) {
        let publish = self.publishes().pop().expect("something was told");
        assert!(!publish.options.has_history());
        let attach = self.attach_of(publish.channel.as_str()).attach;
        self.acknowledge(&publish, None);
        self.hear(Message::Deliver(Deliver { attach, offset: 0, entry: publish.entry.clone() }));
        self.turn();
        let client = uuid::Uuid::from_u128(publish.entry.publisher().unwrap().client);
        (publish.entry.happened().unwrap(), client.to_string())
    }
}

#[test]
fn those_who_ask_are_told_who_comes_and_goes() {
    let mut world = world();
    let asks = world.joined_by("told:x", &json!({"join_leave": true}));
    world.attached("told:x", Some(at(0)), 0);
    let (what, me) = world.deliver_last();
    assert_eq!(what, Happening::Join);
    let seen = asks.seen();
    assert_eq!(seen[1], json!({"push": {"channel": "told:x", "join": {"info": {"user": "", "client": me}}}}));
    let silent = world.joined_by("told:x", &json!({}));
    let (_, other) = world.deliver_last();
    assert_eq!(asks.one()["push"]["join"]["info"]["client"], json!(other));
    assert_eq!(silent.seen().len(), 1, "its reply alone");
    world.hang_up(&silent);
    assert_eq!(world.deliver_last(), (Happening::Leave, other.clone()));
    assert_eq!(asks.one()["push"]["leave"]["info"]["client"], json!(other));
}

#[test]
fn where_it_is_forced_nobody_needs_to_ask() {
    let mut world = world();
    let peer = world.joined_by("forced:x", &json!({}));
    world.attached("forced:x", Some(at(0)), 0);
    world.deliver_last();
    assert_eq!(peer.seen().len(), 2);
    world.send(&peer, r#"{"id":3,"unsubscribe":{"channel":"forced:x"}}"#);
    assert_eq!(world.publishes().pop().unwrap().entry.happened(), Some(Happening::Leave));
}

#[test]
fn nothing_is_told_where_the_channel_does_not_or_before_somebody_is_in() {
    let mut world = world();
    let peer = world.joined_by("news", &json!({"join_leave": true}));
    world.attached("news", Some(at(0)), 0);
    world.hang_up(&peer);
    let early = world.joined_by("told:x", &json!({}));
    world.hang_up(&early);
    assert_eq!(world.publishes(), []);
}

#[test]
fn a_token_may_say_otherwise() {
    let mut world = world();
    let sign = |claims: &Value| {
        let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
        jsonwebtoken::encode(&jsonwebtoken::Header::default(), claims, &key).unwrap()
    };
    let hidden =
        json!({"channel": "told:x", "override": {"join_leave": {"value": false}, "presence": {"value": false}}});
    let _hidden = world.joined_by("told:x", &json!({"token": sign(&hidden)}));
    world.attached("told:x", Some(at(0)), 0);
    assert_eq!(world.publishes(), []);
    assert_eq!(world.attach_of("told:x").presence, []);
    let loud = json!({"channel": "news", "override": {"join_leave": {"value": true}, "force_push_join_leave": {"value": true}}});
    let loud = world.joined_by("news", &json!({"token": sign(&loud)}));
    world.attached("news", Some(at(0)), 0);
    world.deliver_last();
    assert_eq!(loud.seen().len(), 2);
}

#[test]
fn a_plain_client_is_told_nothing_of_it() {
    let mut config = HubConfig::open();
    config.inbox = ChannelConfig { join_leave: true, force_push_join_leave: true, ..ChannelConfig::inbox() };
    let mut world = World::new(config);
    let plain = world.plain("ann");
    world.attached("#ann", Some(at(0)), 0);
    world.deliver_last();
    assert_eq!(plain.seen().len(), 1, "its greeting alone");
    let second = world.connect(Protocol::Centrifuge);
    world.send(&second, &json!({"id": 1, "connect": {"token": token("ann", None)}}).to_string());
    world.deliver_last();
    assert!(plain.seen().is_empty());
    assert!(second.seen().iter().any(|seen| seen["push"]["join"].is_object()));
}
