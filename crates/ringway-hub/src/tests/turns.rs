//! One session's many commands and another's few.

use super::harness::*;
use crate::{Batch, ClientInput, Turns};

fn publishes(world: &World) -> usize {
    world.hub.counts().publishes as usize
}

/// A frame of so many publishes to a channel that the session is in.
fn frame(from: usize, count: usize) -> String {
    let command = |id| format!(r#"{{"id":{id},"publish":{{"channel":"news","data":{id}}}}}"#);
    (from..from + count).map(command).collect::<Vec<_>>().join("\n")
}

fn member(world: &mut World) -> Peer {
    let peer = world.anonymous();
    world.send(&peer, r#"{"id":2,"subscribe":{"channel":"news"}}"#);
    if publishes(world) == 0 && world.hub.counts().subscriptions == 1 {
        world.attached("news", Some(at(0)), 0);
    }
    let _ = peer.seen();
    peer
}

#[test]
fn the_greedy_ones_rest_waits_and_stays_in_order() {
    let mut world = World::open();
    let (greedy, modest) = (member(&mut world), member(&mut world));
    let mut turns = Turns::default();
    let mut batch = Batch::default();
    batch.inputs.push(world.commands(&greedy, &frame(10, 200)));
    batch.inputs.push(world.commands(&greedy, &frame(300, 1)));
    batch.inputs.push(world.commands(&modest, &frame(10, 1)));
    batch.inputs.push(ClientInput::Closed(greedy.ticket.clone()));
    let now = world.now;
    for done in [65, 129, 193] {
        turns.work_off(now, &mut world.hub, &mut batch);
        assert_eq!(publishes(&world), done);
        assert!(turns.is_waiting() && batch.inputs.is_empty());
    }
    turns.work_off(now, &mut world.hub, &mut batch);
    assert_eq!((publishes(&world), turns.is_waiting()), (202, false));
    world.turn();
    assert_eq!(world.hub.counts().sessions, 1, "it left after all it had said");
}

#[test]
fn a_usual_turn_is_done_at_once() {
    let mut world = World::open();
    let peers: Vec<_> = (0..60).map(|_| member(&mut world)).collect();
    let mut turns = Turns::default();
    let mut batch = Batch::default();
    for peer in &peers {
        batch.inputs.push(world.commands(peer, &frame(10, 1)));
    }
    turns.work_off(world.now, &mut world.hub, &mut batch);
    assert_eq!((publishes(&world), turns.is_waiting()), (60, false));
}
