//! A plain client is asked to connect elsewhere only when it has confirmed what it was written, and the owner has kept that.

use std::time::Duration;

use bytes::Bytes;
use ringway_core::id::{Position, UserName};
use ringway_core::message::{Deed, Message, Order};
use serde_json::json;

use super::harness::*;
use crate::ClientInput;

/// Positions of detached inboxes that the owner was told.
fn told(world: &World) -> Vec<Option<Position>> {
    let told = |message: &Message| if let Message::Detach(detach) = message { Some(detach.delivered) } else { None };
    world.said.iter().filter_map(told).collect()
}

fn say(world: &mut World, offset: u64, content: &str) {
    world.deliver("#ann", offset, &json!({"content": content}).to_string());
}

#[test]
fn a_plain_client_goes_when_its_inbox_is_safe() {
    let mut world = World::open();
    let ann = world.plain("ann");
    world.attached("#ann", Some(at(0)), 0);
    say(&mut world, 1, "one");
    assert_eq!(world.hub.shed(world.now, 1), 1, "it is still there");
    world.turn();
    assert_eq!((told(&world), ann.contents()), (vec![], vec!["one".to_owned()]));
    // What comes now is for whoever comes next.
    say(&mut world, 2, "two");
    world.turn();
    world.pong(&ann);
    assert_eq!((told(&world), ann.contents()), (vec![Some(at(1))], vec![]));
    assert_eq!(world.hub.shed(world.now, 1), 1, "and is not asked twice");
    world.pass(Duration::from_secs(1));
    assert_eq!((ann.closed(), told(&world).len() > 1), (None, true), "the owner is asked again");
    // Until then it may go on writing.
    let bob = UserName::new("bob").unwrap();
    world.input(ClientInput::Said(ann.ticket.clone(), bob, Bytes::from_static(b"{}")));
    world.turn();
    assert_eq!(world.publishes().len(), 1);
    world.detached("#ann");
    assert_eq!((ann.one()["type"].clone(), ann.closed()), (json!(2), Some(3001)));
    assert_eq!((world.hub.shed(world.now, 1), world.hub.counts().closed), (0, 1));
}

#[test]
fn an_order_closes_those_who_wait_to_be_let_go() {
    let mut world = World::open();
    let ann = world.plain("ann");
    world.attached("#ann", Some(at(0)), 0);
    say(&mut world, 1, "one");
    world.hub.shed(world.now, 1);
    world.turn();
    world.pong(&ann);
    assert_eq!(
        (told(&world), ann.closed()),
        (vec![Some(at(1))], None),
        "it is in no channel, and its owner has not answered"
    );
    for (user, closed) in [("bob", None), ("ann", Some(3503))] {
        let (user, reason) = (user.into(), "force disconnect".into());
        let order = Order { user, client: None, whitelist: vec![], deed: Deed::Close { code: 3503, reason } };
        world.hear(Message::Order(1, Box::new(order)));
        world.turn();
        assert_eq!(ann.closed(), closed);
    }
}

#[test]
fn it_does_not_wait_for_ever() {
    let mut world = World::open();
    let ann = world.plain("ann");
    world.attached("#ann", Some(at(0)), 0);
    world.hub.shed(world.now, 1);
    world.turn();
    world.pass(Duration::from_millis(4500));
    assert_eq!(ann.closed(), None);
    world.pass(Duration::from_secs(1));
    assert_eq!((ann.seen().pop().unwrap()["type"].clone(), ann.closed()), (json!(2), Some(3001)));
    world.detached("#ann");
    assert_eq!(world.hub.counts().closed, 1);
}

#[test]
fn nothing_is_waited_for_where_there_is_nothing_to_keep() {
    let mut world = World::open();
    let unanswered = world.plain("bob");
    let first = world.plain("ann");
    world.attached("#ann", Some(at(0)), 0);
    let second = world.plain("ann");
    world.hub.shed(world.now, 2);
    world.turn();
    assert_eq!((unanswered.closed(), first.closed()), (Some(3001), Some(3001)), "ann's other device is still there");
    world.hub.shed(world.now, 1);
    world.turn();
    assert_eq!(second.closed(), None);
    world.hub.shut_down();
    assert_eq!(second.closed(), Some(3001), "whoever stops at once waits for nothing");
}

#[test]
fn who_leaves_first_is_not_closed_again() {
    let mut world = World::open();
    let ann = world.plain("ann");
    world.attached("#ann", Some(at(0)), 0);
    world.hub.shed(world.now, 1);
    world.turn();
    world.hang_up(&ann);
    // In its place.
    let bob = world.plain("bob");
    world.detached("#ann");
    world.pass(Duration::from_secs(10));
    assert_eq!((ann.closed(), bob.closed()), (None, None));
}
