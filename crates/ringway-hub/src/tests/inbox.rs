//! Personal channels: what nobody has confirmed is for whoever comes, what is new for all, in both protocols.

use std::time::Duration;

use ringway_core::Position;
use ringway_core::message::{Answer, AttachFrom, Deliver, Entry, HistoryPage, Message, Publisher, Query};
use ringway_core::timing::Timing;
use serde_json::{Value, json};

use super::harness::*;
use crate::Protocol;

fn say(world: &mut World, user: &str, offset: u64, content: &str) {
    let data = json!({"content": content, "from": "bob"}).to_string();
    world.deliver(&format!("#{user}"), offset, &data);
}

fn centrifuge(world: &mut World, user: &str, recover: Option<u64>) -> Peer {
    let peer = world.connect(Protocol::Centrifuge);
    let subs = recover.map_or(json!({}), |offset| {
        let channel = format!("#{user}");
        json!({channel: {"recover": true, "offset": offset, "epoch": "abcdefgh"}})
    });
    world.send(&peer, &json!({"id": 1, "connect": {"token": token(user, None), "subs": subs}}).to_string());
    peer
}

#[test]
fn the_greeting_names_the_owner_then_comes_what_waited() {
    let mut world = World::open();
    let peer = world.plain("ann");
    assert!(peer.seen().is_empty());
    assert_eq!(world.attach_of("#ann").from, AttachFrom::Inbox);
    world.attached("#ann", Some(at(5)), 3);
    say(&mut world, "ann", 4, "one");
    say(&mut world, "ann", 5, "two");
    world.turn();
    let seen = peer.seen();
    let greeting = &seen[0];
    assert_eq!((&greeting["type"], &greeting["content"]), (&json!(1), &json!("connected")));
    assert_eq!((&greeting["ip"], &greeting["userCount"]), (&json!("『node-1:7002』"), &json!(42)));
    assert_eq!((&greeting["from"], greeting["dateTime"].as_str().unwrap().len()), (&Value::Null, 19));
    let texts: Vec<&Value> = seen[1..].iter().map(|message| &message["content"]).collect();
    assert_eq!(texts, ["one", "two"]);
    assert_eq!((&seen[1]["type"], &seen[1]["from"]), (&json!(3), &json!("bob")));
}

#[test]
fn a_second_device_gets_only_what_is_new() {
    let mut world = World::open();
    let first = world.plain("ann");
    world.attached("#ann", Some(at(5)), 3);
    say(&mut world, "ann", 4, "one");
    world.turn();
    world.pong(&first);
    let second = world.plain("ann");
    assert_eq!(second.one()["type"], 1);
    say(&mut world, "ann", 5, "two");
    say(&mut world, "ann", 6, "three");
    world.turn();
    assert_eq!(first.contents(), ["one", "two", "three"]);
    assert_eq!(second.contents(), ["two", "three"]);
}

#[test]
fn two_devices_that_come_together_both_get_what_waited() {
    let mut world = World::open();
    let (first, second) = (world.plain("ann"), world.plain("ann"));
    world.attached("#ann", Some(at(2)), 0);
    say(&mut world, "ann", 1, "one");
    say(&mut world, "ann", 2, "two");
    say(&mut world, "ann", 3, "three");
    world.turn();
    assert_eq!(first.contents(), ["one", "two", "three"]);
    assert_eq!(second.contents(), ["one", "two", "three"]);
}

#[test]
fn if_the_first_leaves_before_it_was_greeted_the_second_is_first() {
    let mut world = World::open();
    let (first, second) = (world.plain("ann"), world.plain("ann"));
    world.hang_up(&first);
    world.attached("#ann", Some(at(1)), 0);
    say(&mut world, "ann", 1, "one");
    world.turn();
    assert_eq!(second.contents(), ["one"]);
}

#[test]
fn the_last_device_out_says_how_far_the_user_has_confirmed() {
    let mut world = World::open();
    let peer = world.plain("ann");
    world.attached("#ann", Some(at(2)), 0);
    say(&mut world, "ann", 1, "one");
    world.turn();
    world.pong(&peer);
    // Written to it, but who knows what became of it.
    say(&mut world, "ann", 2, "two");
    world.hang_up(&peer);
    let Some(Message::Detach(detach)) = world.said.last() else { panic!("{:?}", world.said.last()) };
    assert_eq!(detach.delivered, Some(at(1)));
}

#[test]
fn a_message_after_the_hang_up_is_not_taken_for_told() {
    let mut world = World::open();
    let peer = world.plain("ann");
    world.attached("#ann", Some(at(0)), 0);
    world.input(crate::ClientInput::Closed(peer.ticket.clone()));
    world.turn();
    let Some(Message::Detach(detach)) = world.said.last() else { panic!("{:?}", world.said.last()) };
    assert_eq!(detach.delivered, Some(at(0)));
}

#[test]
fn anything_that_is_not_a_plain_message_is_shown_as_json() {
    let mut world = World::open();
    let peer = world.plain("ann");
    world.attached("#ann", Some(at(0)), 0);
    let _ = peer.seen();
    world.deliver("#ann", 1, r#"{"a":[1,2]}"#);
    world.turn();
    let message = peer.one();
    assert_eq!((&message["content"], &message["from"]), (&json!(r#"{"a":[1,2]}"#), &Value::Null));
}

#[test]
fn both_protocols_share_the_inbox() {
    let mut world = World::open();
    let plain = world.plain("ann");
    world.attached("#ann", Some(at(0)), 0);
    let rich = centrifuge(&mut world, "ann", None);
    assert_eq!(rich.one()["connect"]["subs"]["#ann"]["positioned"], true);
    say(&mut world, "ann", 1, "hi");
    world.turn();
    assert_eq!(plain.contents(), ["hi"]);
    let push =
        json!({"push":{"channel":"#ann","pub":{"data":{"content":"hi","from":"bob"},"offset":1,"epoch":"abcdefgh"}}});
    assert_eq!(rich.one(), push);
}

#[test]
fn a_first_centrifuge_session_is_told_what_waited() {
    let mut world = World::open();
    let peer = centrifuge(&mut world, "ann", None);
    world.attached("#ann", Some(at(5)), 3);
    let reply = peer.one();
    assert_eq!(reply["connect"]["subs"]["#ann"]["offset"], 3, "pushes go on from here");
    say(&mut world, "ann", 4, "one");
    say(&mut world, "ann", 5, "two");
    world.turn();
    assert_eq!(peer.offsets(), [4, 5]);
}

#[test]
fn a_centrifuge_session_recovers_its_personal_channel() {
    let mut world = World::open();
    let peer = centrifuge(&mut world, "ann", Some(1));
    world.attached("#ann", Some(at(5)), 3);
    world.page(at(5), 2..=5);
    let reply = peer.one();
    let sub = &reply["connect"]["subs"]["#ann"];
    assert_eq!((&sub["recovered"], &sub["offset"]), (&json!(true), &json!(1)));
    assert_eq!(sub["publications"].as_array().unwrap().len(), 4);
    // What waited is among what it recovered, and not told again.
    say(&mut world, "ann", 4, "one");
    say(&mut world, "ann", 5, "two");
    say(&mut world, "ann", 6, "three");
    world.turn();
    assert_eq!(peer.offsets(), [6]);
}

/// A second session of a user comes with a position of a stream that the gateway is yet to see. What nobody has confirmed is asked
/// for; then the stream turns out to be that one.
fn comes_from_the_next_stream(world: &mut World) -> Peer {
    let first = world.plain("ann");
    world.attached("#ann", Some(at(5)), 3);
    say(world, "ann", 4, "one");
    world.turn();
    assert_eq!(first.pings(), 1, "and it has not answered");
    let peer = world.connect(Protocol::Centrifuge);
    let subs = json!({"#ann": {"recover": true, "offset": 2, "epoch": other_epoch().as_str()}});
    world.send(&peer, &json!({"id": 1, "connect": {"token": token("ann", None), "subs": subs}}).to_string());
    assert!(matches!(world.queries()[..], [(_, Query::History(_))]));
    world.lose("#ann", Position { epoch: other_epoch(), offset: 4 });
    peer
}

fn recovers_two_after_the_second(world: &mut World, peer: &Peer) {
    world.page(Position { epoch: other_epoch(), offset: 4 }, 3..=4);
    let reply = peer.one();
    let sub = &reply["connect"]["subs"]["#ann"];
    assert_eq!((&sub["recovered"], &sub["offset"]), (&json!(true), &json!(2)));
    assert_eq!(sub["publications"].as_array().unwrap().len(), 2);
}

#[test]
fn who_comes_with_a_position_of_a_stream_that_its_gateway_is_yet_to_see_recovers_it() {
    let mut world = World::open();
    let peer = comes_from_the_next_stream(&mut world);
    world.page(at(4), 4..=4);
    recovers_two_after_the_second(&mut world, &peer);
}

#[test]
fn who_comes_with_such_a_position_recovers_it_though_nobody_answers_in_time() {
    let mut world = World::open();
    let peer = comes_from_the_next_stream(&mut world);
    world.pass(Timing::default().deadline);
    recovers_two_after_the_second(&mut world, &peer);
}

#[test]
fn commands_sent_with_the_connect_are_answered_after_it() {
    let mut world = World::open();
    let peer = world.connect(Protocol::Centrifuge);
    let connect = json!({"id":1,"connect":{"token": token("ann", None)}});
    world.send(&peer, &format!("{connect}\n{}", r#"{"id":2,"subscribe":{"channel":"news"}}"#));
    assert!(peer.seen().is_empty());
    world.attached("#ann", Some(at(0)), 0);
    assert_eq!(peer.one()["connect"]["subs"]["#ann"]["epoch"], "abcdefgh");
    world.attached("news", Some(at(0)), 0);
    assert_eq!(peer.one()["id"], 2);
}

#[test]
fn news_of_the_owner_come_at_the_interval() {
    let mut world = World::open();
    let peer = world.plain("ann");
    world.attached("#ann", Some(at(0)), 0);
    let _ = peer.seen();
    world.hear(Message::Ping(ringway_core::message::Load { users: 7, ..Default::default() }));
    world.pass(std::time::Duration::from_millis(5250));
    let news = peer.one();
    assert_eq!((&news["type"], &news["userCount"], &news["ip"]), (&json!(4), &json!(7), &json!("『node-1:7002』")));
    world.pass(std::time::Duration::from_secs(10));
    assert_eq!(peer.seen().len(), 2);
}

#[test]
fn what_waited_is_handed_on_as_the_client_reads() {
    let mut world = World::open();
    let first = world.plain("ann");
    world.attached("#ann", Some(at(4)), 0);
    say(&mut world, "ann", 1, "one");
    world.turn();
    first.socket.0.lock().stuck = world.hub.config.limits.outbox_bytes;
    world.pong(&first);
    let second = world.plain("ann");
    for (offset, content) in [(2, "two"), (3, "three"), (4, "four"), (5, "new")] {
        say(&mut world, "ann", offset, content);
    }
    world.turn();
    assert_eq!(first.contents(), ["one"]);
    let all = ["two", "three", "four", "new"];
    assert_eq!(second.contents(), all, "another device does not wait for the slow one, and gets what nobody has");
    world.pass(std::time::Duration::from_millis(250));
    assert!(first.contents().is_empty());
    first.socket.0.lock().stuck = 0;
    world.pass(std::time::Duration::from_millis(250));
    say(&mut world, "ann", 6, "newer");
    world.turn();
    assert_eq!(first.contents(), ["two", "three", "four", "new", "newer"]);
    assert_eq!(first.closed(), None);
}

#[test]
fn what_a_session_was_not_handed_stays_in_the_inbox() {
    let mut world = World::open();
    let peer = world.plain("ann");
    world.attached("#ann", Some(at(3)), 0);
    peer.socket.0.lock().stuck = world.hub.config.limits.outbox_bytes;
    for (offset, content) in [(1, "one"), (2, "two"), (3, "three")] {
        say(&mut world, "ann", offset, content);
    }
    world.turn();
    world.hang_up(&peer);
    let detach = world.said.iter().rev().find_map(|message| match message {
        Message::Detach(detach) => Some(detach.delivered),
        _ => None,
    });
    assert_eq!(detach, Some(Some(at(0))), "all three were held back");
}

#[test]
fn nobody_writes_in_the_name_of_another() {
    let mut world = World::open();
    let peer = world.plain("ann");
    world.attached("#ann", Some(at(0)), 0);
    let _ = peer.seen();
    for (offset, user) in [(1, "bob"), (2, "eve"), (3, "")] {
        let attach = world.attach_of("#ann").attach;
        let publisher = Publisher { user, client: 1, ..Publisher::default() };
        let entry = Entry::by(br#"{"content":"hello","from":"bob"}"#, &publisher);
        world.hear(Message::Deliver(Deliver { attach, offset, entry }));
    }
    world.turn();
    let from: Vec<_> = peer.seen().into_iter().map(|message| message["from"].clone()).collect();
    assert_eq!(from, [json!("bob"), json!(null), json!(null)]);
}

/// The owner answers the newest query with these messages of an inbox that is at `top`.
fn page_of(world: &mut World, top: u64, offsets: std::ops::RangeInclusive<u64>) {
    let said = |offset: u64| entry(&json!({"content": offset.to_string(), "from": "bob"}).to_string());
    let publications = offsets.map(|offset| (offset, said(offset))).collect();
    let page = HistoryPage { top: at(top), publications, more: true };
    world.answer(Answer::History(page));
}

/// A user with a session that was written ten messages and has confirmed none, and a second one that comes then.
fn second_comes(world: &mut World) -> (Peer, Peer) {
    let first = world.plain("ann");
    world.attached("#ann", Some(at(0)), 0);
    (1..=10).for_each(|offset| say(world, "ann", offset, &offset.to_string()));
    world.turn();
    let _ = first.seen();
    let second = world.plain("ann");
    (first, second)
}

fn asked_since(world: &World) -> Option<u64> {
    match world.queries().pop() {
        Some((_, Query::History(query))) => query.since.map(|(offset, _)| offset),
        _ => None,
    }
}

#[test]
fn what_nobody_has_confirmed_is_handed_on_page_by_page() {
    let mut world = World::open();
    let (_first, second) = second_comes(&mut world);
    assert_eq!(asked_since(&world), Some(0));
    second.socket.0.lock().stuck = world.hub.config.limits.outbox_bytes;
    page_of(&mut world, 10, 1..=3);
    assert_eq!(world.queries().len(), 1, "no page is asked for while the socket is full: nothing is gathered");
    second.socket.0.lock().stuck = 0;
    world.input(crate::ClientInput::Room(second.ticket.clone()));
    world.turn();
    assert_eq!(asked_since(&world), Some(3));
    say(&mut world, "ann", 11, "11");
    world.turn();
    page_of(&mut world, 11, 4..=8);
    world.pass(Duration::from_millis(250));
    assert_eq!(second.pings(), 0, "it has not been handed everything, so its pong would prove nothing");
    page_of(&mut world, 11, 10..=11);
    say(&mut world, "ann", 12, "12");
    world.turn();
    world.pass(Duration::from_secs(2));
    let contents = second.contents();
    assert_eq!(contents, ["1", "2", "3", "4", "5", "6", "7", "8", "10", "11", "12"], "what is gone is not missed");
    assert_eq!(second.pings(), 1);
    world.pong(&second);
    world.pass(Duration::from_millis(250));
    assert_eq!(world.told_confirmed(), Some(12));
}

#[test]
fn who_cannot_be_handed_the_rest_is_asked_to_come_again() {
    let mut world = World::open();
    let (_first, second) = second_comes(&mut world);
    page_of(&mut world, 10, 1..=3);
    world.pass(Duration::from_secs(120));
    assert_eq!(second.closed(), Some(3004));
    assert_eq!(world.told_confirmed(), Some(0), "nothing counts as handed on");
}

#[test]
fn an_inbox_that_goes_on_elsewhere_is_handed_on_from_where_its_session_is() {
    let mut world = World::open();
    let (_first, second) = second_comes(&mut world);
    page_of(&mut world, 10, 1..=3);
    world.lose("#ann", at(12));
    // What was asked before is not taken, and asked again.
    page_of(&mut world, 12, 7..=9);
    assert_eq!(asked_since(&world), Some(3));
    page_of(&mut world, 12, 4..=9);
    page_of(&mut world, 12, 12..=12);
    say(&mut world, "ann", 13, "13");
    world.turn();
    world.pass(Duration::from_millis(500));
    assert_eq!(second.contents(), ["1", "2", "3", "4", "5", "6", "7", "8", "9", "12", "13"]);
}
