//! A stream that goes on elsewhere: whoever was promised to miss nothing is told.

use serde_json::json;

use super::harness::*;

#[test]
fn client_subscriptions_are_ended_so_that_they_recover() {
    let mut world = World::open();
    let peer = world.anonymous();
    world.send(&peer, r#"{"id":2,"subscribe":{"channel":"news"}}"#);
    world.attached("news", Some(at(3)), 3);
    let _ = peer.seen();
    world.lose("news", ringway_core::Position { epoch: other_epoch(), offset: 0 });
    let push = json!({"push":{"channel":"news","unsubscribe":{"code":2500,"reason":"insufficient state"}}});
    assert_eq!(peer.one(), push);
    assert_eq!(peer.closed(), None);
    world.send(&peer, r#"{"id":3,"subscribe":{"channel":"news","recover":true,"offset":3,"epoch":"abcdefgh"}}"#);
    world.attached("news", Some(ringway_core::Position { epoch: other_epoch(), offset: 1 }), 1);
    let reply = peer.one();
    assert_eq!((&reply["subscribe"]["epoch"], &reply["subscribe"]["offset"]), (&json!("zzzzzzzz"), &json!(1)));
    assert!(reply["subscribe"]["recovered"].is_null());
}

#[test]
fn a_session_with_a_personal_channel_connects_anew() {
    let mut world = World::open();
    let peer = world.connect(crate::Protocol::Centrifuge);
    world.send(&peer, &json!({"id":1,"connect":{"token": token("ann", None)}}).to_string());
    world.attached("#ann", Some(at(3)), 3);
    world.lose("#ann", at(7));
    assert_eq!(peer.closed(), Some(3010));
}

#[test]
fn plain_sessions_go_on() {
    let mut world = World::open();
    let peer = world.plain("ann");
    world.attached("#ann", Some(at(3)), 3);
    let _ = peer.seen();
    world.lose("#ann", ringway_core::Position { epoch: other_epoch(), offset: 0 });
    world.deliver("#ann", 1, r#"{"content":"hi","from":"bob"}"#);
    world.turn();
    assert_eq!(peer.contents(), ["hi"]);
    assert_eq!(peer.closed(), None);
}

#[test]
fn the_same_position_at_a_new_owner_is_no_loss() {
    let mut world = World::open();
    let peer = world.anonymous();
    world.send(&peer, r#"{"id":2,"subscribe":{"channel":"news"}}"#);
    world.attached("news", Some(at(3)), 3);
    let _ = peer.seen();
    world.lose("news", at(3));
    assert!(peer.seen().is_empty());
    world.deliver_all("news", 4..=4);
    assert_eq!(peer.offsets(), [4]);
}

#[test]
fn who_was_ahead_listens_to_the_new_stream_or_is_told() {
    let mut world = World::open();
    let peer = world.anonymous();
    world.send(&peer, r#"{"id":2,"subscribe":{"channel":"news","recover":true,"offset":1,"epoch":""}}"#);
    world.attached("news", Some(at(3)), 3);
    world.page(at(9), 2..=9);
    let _ = peer.seen();
    world.lose("news", ringway_core::Position { epoch: other_epoch(), offset: 0 });
    assert_eq!(peer.one()["push"]["unsubscribe"]["code"], 2500);
}

/// The gateway missed what is not kept any more; who had it from a page before has missed nothing.
#[test]
fn who_was_told_what_its_gateway_lost_is_told_nothing_of_it_and_nothing_twice() {
    let mut world = World::open();
    let [late, ahead, there] = [9, 7, 5].map(|end| {
        let peer = world.anonymous();
        world.send(&peer, r#"{"id":2,"subscribe":{"channel":"news","recover":true,"offset":1,"epoch":""}}"#);
        if end == 9 {
            world.attached("news", Some(at(3)), 3);
        }
        world.page(at(end), 2..=end);
        let _ = peer.seen();
        peer
    });
    let behind = world.anonymous();
    world.send(&behind, r#"{"id":2,"subscribe":{"channel":"news"}}"#);
    let _ = behind.seen();
    world.lose("news", at(7));
    assert!(late.seen().is_empty() && ahead.seen().is_empty());
    for peer in [&there, &behind] {
        assert_eq!(peer.one()["push"]["unsubscribe"]["code"], 2500);
    }
    world.deliver_all("news", 8..=10);
    assert_eq!((ahead.offsets(), late.offsets()), (vec![8, 9, 10], vec![10]));
}

#[test]
fn a_stream_lost_while_a_page_was_asked_for_is_not_recovered() {
    let mut world = World::open();
    let peer = world.anonymous();
    world.send(&peer, r#"{"id":2,"subscribe":{"channel":"news","recover":true,"offset":1,"epoch":"abcdefgh"}}"#);
    world.attached("news", Some(at(3)), 3);
    let asked = world.queries();
    world.lose("news", ringway_core::Position { epoch: other_epoch(), offset: 0 });
    assert!(peer.seen().is_empty(), "the newcomer has nothing to lose yet");
    assert!(!asked.is_empty());
    world.page(ringway_core::Position { epoch: other_epoch(), offset: 0 }, NOTHING);
    let reply = peer.one();
    assert_eq!(
        (&reply["subscribe"]["epoch"], &reply["subscribe"]["was_recovering"]),
        (&json!("zzzzzzzz"), &json!(true))
    );
    assert!(reply["subscribe"]["recovered"].is_null());
}
