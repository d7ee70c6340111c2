//! What counts as handed on: the pong that follows it, and nothing else.

use std::time::Duration;

use ringway_core::message::{AttachFrom, Message};
use serde_json::json;

use super::harness::*;

fn say(world: &mut World, offset: u64, content: &str) {
    world.deliver("#ann", offset, &json!({"content": content, "from": "bob"}).to_string());
}

fn say_all(world: &mut World, offsets: std::ops::RangeInclusive<u64>) {
    offsets.for_each(|offset| say(world, offset, &offset.to_string()));
    world.turn();
}

/// A user with an empty inbox.
fn ann(world: &mut World) -> Peer {
    let peer = world.plain("ann");
    world.attached("#ann", Some(at(0)), 0);
    let _ = peer.seen();
    peer
}

#[test]
fn only_the_pong_moves_what_the_owner_is_told() {
    let mut world = World::open();
    let peer = ann(&mut world);
    say_all(&mut world, 1..=3);
    assert_eq!((peer.contents().len(), peer.pings()), (3, 1), "one ping covers all that went before it");
    world.pass(Duration::from_secs(1));
    assert_eq!(world.told_confirmed(), None, "it was written, no more");
    world.pong(&peer);
    world.pass(Duration::from_millis(250));
    assert_eq!(world.told_confirmed(), Some(3));
}

#[test]
fn a_ping_goes_out_with_what_it_follows() {
    let mut world = World::open();
    let peer = ann(&mut world);
    let before = peer.socket.0.lock().flushes;
    say_all(&mut world, 1..=1);
    let after = peer.socket.0.lock().flushes;
    assert_eq!((after, peer.pings()), (before + 1, 1));
}

#[test]
fn an_idle_session_is_not_pinged() {
    let mut world = World::open();
    let peer = ann(&mut world);
    world.pass(Duration::from_secs(60));
    assert_eq!(peer.pings(), 0);
    say_all(&mut world, 1..=1);
    world.pong(&peer);
    world.pass(Duration::from_secs(60));
    assert_eq!((peer.pings(), peer.closed()), (0, None));
}

#[test]
fn pings_are_a_second_apart_and_one_is_under_way() {
    let mut world = World::open();
    let peer = ann(&mut world);
    say_all(&mut world, 1..=1);
    say_all(&mut world, 2..=2);
    assert_eq!(peer.pings(), 1);
    world.pong(&peer);
    say_all(&mut world, 3..=3);
    assert_eq!(peer.pings(), 0, "not so soon");
    world.pass(Duration::from_millis(1250));
    assert_eq!((peer.pings(), world.told_confirmed()), (1, Some(1)));
    world.pass(Duration::from_secs(3));
    assert_eq!(peer.pings(), 1, "the other one is not answered");
    world.pong(&peer);
    world.pass(Duration::from_millis(250));
    assert_eq!(world.told_confirmed(), Some(3));
}

#[test]
fn a_pong_that_was_not_asked_for_proves_nothing() {
    let mut world = World::open();
    let peer = ann(&mut world);
    say_all(&mut world, 1..=1);
    for payload in [&b""[..], &[0; 4], &[0xff; 4], &[0; 125]] {
        assert_eq!(peer.ticket.take_pong(payload), None, "{payload:?}");
    }
    let ping = peer.socket.0.lock().pings[0].clone();
    assert!(peer.ticket.take_pong(&ping).is_some());
    assert_eq!(peer.ticket.take_pong(&ping), None, "once");
}

#[test]
fn who_does_not_answer_is_closed_and_nothing_counts_as_handed_on() {
    let mut world = World::open();
    let peer = ann(&mut world);
    say_all(&mut world, 1..=2);
    let timeout = world.hub.config.pong_timeout;
    world.pass(timeout.saturating_sub(Duration::from_millis(250)));
    assert_eq!(peer.closed(), None);
    world.pass(Duration::from_secs(2));
    assert_eq!((peer.seen().pop().unwrap()["type"].clone(), peer.closed()), (json!(2), Some(3012)));
    let Some(Message::Detach(detach)) = world.said.last() else { panic!("{:?}", world.said.last()) };
    assert_eq!(detach.delivered, Some(at(0)), "at once, without waiting for a socket that may be half open");
}

#[test]
fn who_reads_slowly_is_waited_for() {
    let mut world = World::open();
    let peer = ann(&mut world);
    peer.socket.0.lock().stuck = 400_000;
    say_all(&mut world, 1..=1);
    for _ in 0..10 {
        peer.socket.0.lock().stuck -= 30_000;
        world.pass(Duration::from_secs(3));
    }
    assert_eq!(peer.closed(), None, "30 s without a pong, but it reads");
    world.pass(Duration::from_secs(10));
    assert_eq!(peer.closed(), Some(3012));
}

#[test]
fn who_is_not_read_from_is_not_blamed_for_it() {
    let mut world = World::open();
    let peer = ann(&mut world);
    say_all(&mut world, 1..=1);
    // The pong may stand behind what is not read until this is answered.
    peer.ticket.begin_asks(1);
    world.pass(Duration::from_secs(60));
    assert_eq!(peer.closed(), None);
}

#[test]
fn whoever_comes_while_the_last_one_is_silent_gets_what_nobody_has_confirmed() {
    let mut world = World::open();
    let silent = ann(&mut world);
    say_all(&mut world, 1..=1);
    world.pong(&silent);
    say_all(&mut world, 2..=3);
    let next = world.plain("ann");
    assert!(next.seen().is_empty(), "the owner is asked");
    // Something new comes meanwhile, before the page and after it.
    say_all(&mut world, 4..=4);
    world.page(at(4), 2..=4);
    say_all(&mut world, 5..=5);
    let seen = next.seen();
    assert_eq!(seen[0]["type"], 1);
    let contents: Vec<_> = seen[1..].iter().map(|message| message["content"].as_str().unwrap().to_owned()).collect();
    assert_eq!(contents, ["2", "3", "4", "5"]);
    assert_eq!(silent.contents(), ["1", "2", "3", "4", "5"], "a device that was there all the time gets each once");
    world.pong(&next);
    world.pass(Duration::from_millis(1250));
    world.pong(&next);
    world.pass(Duration::from_millis(250));
    assert_eq!(world.told_confirmed(), Some(5), "what one device has confirmed does not wait for the other");
}

#[test]
fn a_page_that_is_ahead_of_the_deliveries_is_told_once() {
    let mut world = World::open();
    let silent = ann(&mut world);
    say_all(&mut world, 1..=2);
    let next = world.plain("ann");
    world.page(at(4), 1..=4);
    assert_eq!(next.contents(), ["1", "2", "3", "4"]);
    world.pong(&next);
    say_all(&mut world, 3..=5);
    assert_eq!((next.contents(), silent.contents().len()), (vec!["5".to_owned()], 5));
    world.pass(Duration::from_millis(1250));
    world.pong(&next);
    world.pass(Duration::from_millis(250));
    assert_eq!(world.told_confirmed(), Some(5));
}

#[test]
fn much_that_nobody_has_confirmed_comes_in_pages() {
    let mut world = World::open();
    let _silent = ann(&mut world);
    say_all(&mut world, 1..=7);
    let next = world.plain("ann");
    world.page(at(7), 1..=3);
    assert_eq!(next.contents(), ["1", "2", "3"], "nothing is gathered");
    world.page(at(7), 4..=6);
    world.page(at(7), 7..=7);
    assert_eq!(next.contents(), ["4", "5", "6", "7"]);
}

#[test]
fn what_is_gone_from_the_inbox_is_not_waited_for() {
    let mut world = World::open();
    let _silent = ann(&mut world);
    say_all(&mut world, 1..=7);
    let next = world.plain("ann");
    world.page(at(7), 6..=7);
    assert_eq!(next.contents(), ["6", "7"]);
    let third = world.plain("ann");
    world.page(at(7), NOTHING);
    assert_eq!(third.one()["type"], 1);
}

#[test]
fn a_centrifuge_device_confirms_too() {
    let mut world = World::open();
    let silent = ann(&mut world);
    say_all(&mut world, 1..=1);
    world.pong(&silent);
    say_all(&mut world, 2..=2);
    let rich = world.connect(crate::Protocol::Centrifuge);
    world.send(&rich, &json!({"id":1,"connect":{"token": token("ann", None)}}).to_string());
    world.page(at(2), 2..=2);
    let seen = rich.seen();
    assert_eq!(seen[0]["connect"]["subs"]["#ann"]["offset"], 1, "pushes go on from here");
    let offsets: Vec<_> = seen[1..].iter().map(|push| push["push"]["pub"]["offset"].as_u64().unwrap()).collect();
    assert_eq!(offsets, [2]);
    world.pong(&rich);
    say_all(&mut world, 3..=3);
    world.pass(Duration::from_millis(1250));
    world.pong(&rich);
    world.pass(Duration::from_millis(250));
    assert_eq!((world.told_confirmed(), silent.closed()), (Some(3), None));
    // Its own protocol says whether it lives.
    world.hang_up(&silent);
    say_all(&mut world, 4..=4);
    world.pass(Duration::from_secs(10));
    assert_eq!(rich.closed(), None);
}

#[test]
fn after_a_change_of_the_owner_the_session_goes_on_and_only_what_is_confirmed_is_told() {
    let mut world = World::open();
    let peer = ann(&mut world);
    say_all(&mut world, 1..=2);
    world.pong(&peer);
    say_all(&mut world, 3..=5);
    world.lose("#ann", at(5));
    let attach = world.attach_of("#ann");
    assert_eq!((attach.from, attach.confirmed), (AttachFrom::At(at(5)), 2));
    say_all(&mut world, 6..=6);
    assert_eq!(peer.contents(), ["1", "2", "3", "4", "5", "6"]);
}

#[test]
fn a_pong_for_a_stream_that_was_lost_says_nothing_of_the_new_one() {
    let mut world = World::open();
    let peer = ann(&mut world);
    say_all(&mut world, 1..=5);
    world.lose("#ann", ringway_core::Position { epoch: other_epoch(), offset: 0 });
    say_all(&mut world, 1..=3);
    world.pong(&peer);
    world.hang_up(&peer);
    let Some(Message::Detach(detach)) = world.said.last() else { panic!("{:?}", world.said.last()) };
    assert_eq!(detach.delivered.map(|position| position.offset), Some(0));
}

#[test]
fn one_who_is_asked_to_go_and_never_answers_goes_all_the_same() {
    let mut world = World::open();
    let peer = ann(&mut world);
    say_all(&mut world, 1..=1);
    world.hub.shed(world.now, 1);
    world.turn();
    assert_eq!(peer.pings(), 2, "a last one, whatever is under way");
    world.pass(Duration::from_secs(6));
    assert_eq!(peer.closed(), Some(3001));
    let Some(Message::Detach(detach)) = world.said.last() else { panic!("{:?}", world.said.last()) };
    assert_eq!(detach.delivered, Some(at(0)));
}

#[test]
fn who_could_not_be_heard_while_the_process_stood_still_is_not_closed_for_it() {
    let mut world = World::open();
    let peer = ann(&mut world);
    say_all(&mut world, 1..=1);
    assert_eq!(peer.pings(), 1);
    world.pass(Duration::from_millis(500));
    world.now += Duration::from_secs(60);
    world.pass(Duration::from_millis(250));
    assert_eq!(peer.closed(), None, "its pong may have come meanwhile");
    world.pass(Duration::from_secs(12));
    assert_eq!(peer.closed(), Some(3012), "and it did not");
}
