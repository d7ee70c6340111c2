//! The hub says what; how it is said is not its affair.

use ringway_protocol::dialect::{Codec, Dialect};
use ringway_protocol::framing::Framing;

use super::harness::*;

#[test]
fn a_delivery_is_encoded_once_for_each_dialect() {
    let mut world = World::open();
    let peers: Vec<Peer> = (0..4).map(|_| world.anonymous()).collect();
    for peer in &peers {
        world.send(peer, r#"{"id":2,"subscribe":{"channel":"news"}}"#);
    }
    world.attached("news", Some(at(0)), 0);
    let bare = Dialect { codec: Codec::Bare, framing: Framing::WebSocketText };
    for peer in &peers[2..] {
        world.hub.roster.get_mut(peer.ticket.session()).unwrap().dialect = bare;
    }
    let before: Vec<usize> = peers.iter().map(|peer| peer.socket.0.lock().frames.len()).collect();
    world.deliver("news", 1, "[1]");
    world.turn();
    let frame = |peer: usize| {
        let frames = &peers[peer].socket.0.lock().frames;
        assert_eq!(frames.len(), before[peer] + 1);
        frames[before[peer]].clone()
    };
    assert_eq!(frame(2), Framing::WebSocketText.whole(b"[1]"));
    for (one, other) in [(0, 1), (2, 3)] {
        assert_eq!(frame(one).as_ptr(), frame(other).as_ptr(), "the same bytes, and not only equal ones");
    }
    assert_ne!(frame(0), frame(2));
}

#[test]
fn what_a_dialect_has_no_words_for_ends_no_session() {
    let mut world = World::open();
    let peer = world.anonymous();
    world.hub.roster.get_mut(peer.ticket.session()).unwrap().dialect =
        Dialect { codec: Codec::Bare, framing: Framing::Lines };
    world.send(&peer, r#"{"id":2,"subscribe":{"channel":"news"}}"#);
    world.attached("news", Some(at(0)), 0);
    assert!(peer.seen().is_empty() && peer.closed().is_none());
    assert_eq!(world.hub.counts().subscriptions, 1);
}
