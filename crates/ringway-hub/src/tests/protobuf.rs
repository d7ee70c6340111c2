//! Sessions that speak Protobuf: answers that go out whole, and payloads that are any bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use prost::Message as _;
use ringway_core::message::{Answer, Deliver, Entry, HistoryPage, Message, Query, Refusal};
use ringway_protocol::centrifuge::protobuf::schema::Reply;
use ringway_protocol::ws::server_frame;
use serde_json::json;

use super::harness::*;
use crate::gathered::{ALL_BYTES, ANSWER_BYTES};
use crate::{Ask, ClientInput, Command, Payload, Protocol};

const READ_ALL: &str = r#"{"id":9,"history":{"channel":"news","limit":-1}}"#;
const WHO: &str = r#"{"id":9,"presence":{"channel":"news"}}"#;

/// What was sent since the last look.
fn replies(peer: &Peer) -> Vec<Reply> {
    let frames = std::mem::take(&mut peer.socket.0.lock().frames);
    let reply = |frame: &Bytes| Reply::decode_length_delimited(server_frame(frame).unwrap().2).unwrap();
    frames.iter().map(reply).collect()
}

#[track_caller]
fn one(peer: &Peer) -> Reply {
    let mut replies = replies(peer);
    assert_eq!(replies.len(), 1, "{replies:?}");
    replies.remove(0)
}

/// A subscriber of `news`, whose stream has this top.
fn member(world: &mut World, top: u64) -> Peer {
    let peer = world.connect(Protocol::CentrifugeProtobuf);
    world.send(&peer, r#"{"id":1,"connect":{}}"#);
    assert!(!one(&peer).connect.unwrap().client.is_empty());
    world.send(&peer, r#"{"id":2,"subscribe":{"channel":"news"}}"#);
    if !world.hub.rules.is_attached(world.attach_of("news").attach.channel_key()) {
        world.attached("news", Some(at(top)), top);
    }
    assert_eq!(one(&peer).subscribe.unwrap().epoch, "abcdefgh");
    peer
}

fn publish(world: &mut World, peer: &Peer, data: &[u8], is_opaque: bool) -> Entry {
    let payload = Payload { data: Bytes::copy_from_slice(data), is_opaque };
    let command = Command { id: 5, ask: Ask::Publish(Ok(name("news")), Some(payload)) };
    peer.ticket.begin_asks(1);
    world.input(ClientInput::Commands(peer.ticket.clone(), [command].into_iter().collect()));
    world.turn();
    world.publishes().pop().unwrap().entry
}

fn deliver(world: &mut World, offset: u64, entry: &Entry) {
    let attach = world.attach_of("news").attach;
    world.hear(Message::Deliver(Deliver { attach, offset, entry: entry.clone() }));
    world.turn();
}

#[test]
fn a_long_history_comes_whole_and_live_messages_do_not_wait_for_it() {
    let mut world = World::open();
    let peer = member(&mut world, 6);
    world.send(&peer, READ_ALL);
    world.page_of_more(at(6), 1..=2);
    world.deliver_all("news", 7..=7);
    assert_eq!(one(&peer).push.unwrap().r#pub.unwrap().offset, 7);
    world.page_of_more(at(7), 3..=4);
    assert!(replies(&peer).is_empty());
    world.page(at(7), 5..=6);
    let reply = one(&peer);
    let history = reply.history.unwrap();
    let read: Vec<(u64, &[u8], &str)> =
        history.publications.iter().map(|one| (one.offset, &*one.data, &*one.epoch)).collect();
    assert_eq!((reply.id, history.offset, &*history.epoch, read.len()), (9, 6, "abcdefgh", 6));
    assert_eq!((read[0], read[5]), ((1, &b"1"[..], "abcdefgh"), (6, &b"6"[..], "")));
    assert_eq!(world.hub.outgoing.gathering.bytes(), 0);
}

#[test]
fn who_is_present_comes_whole() {
    let mut world = World::open();
    let peer = member(&mut world, 0);
    world.send(&peer, WHO);
    world.answer(presence(1..=2, true));
    world.answer(presence(3..=4, true));
    world.answer(presence(5..=5, false));
    let present = one(&peer).presence.unwrap().presence;
    let expected: Vec<String> = (1..=5).map(|client| uuid::Uuid::from_u128(client).to_string()).collect();
    assert_eq!(present.keys().cloned().collect::<Vec<_>>(), expected);
    assert!(present.iter().all(|(client, info)| info.client == *client && info.user == "ann"));
}

#[test]
fn a_reply_that_is_not_finished_is_refused_and_closes_nobody() {
    let refused = |answer: fn(&mut World)| {
        let mut world = World::open();
        let peer = member(&mut world, 6);
        world.send(&peer, READ_ALL);
        world.page_of_more(at(6), 1..=2);
        answer(&mut world);
        assert_eq!((peer.closed(), world.hub.outgoing.gathering.bytes()), (None, 0));
        one(&peer).error.unwrap().code
    };
    assert_eq!(refused(|world| world.page(at(6), 4..=6)), 100, "what came between is gone");
    assert_eq!(refused(|world| world.answer(Answer::Refused(Refusal::Unrecoverable))), 112);
    assert_eq!(refused(|world| world.answer(Answer::Refused(Refusal::Full))), 111);
}

/// Answers with a publication of this size, and says that there are more.
fn page_of_bytes(world: &mut World, offset: u64, bytes: usize) {
    let publications = vec![(offset, Entry::of(&vec![b'1'; bytes]))];
    world.answer(Answer::History(HistoryPage { top: at(6), publications, more: true }));
}

#[test]
fn a_history_that_is_too_large_ends_early_and_goes_on_from_there() {
    let mut world = World::open();
    let peer = member(&mut world, 6);
    world.send(&peer, READ_ALL);
    page_of_bytes(&mut world, 1, ANSWER_BYTES / 2);
    page_of_bytes(&mut world, 2, ANSWER_BYTES / 4);
    page_of_bytes(&mut world, 3, ANSWER_BYTES / 2);
    let history = one(&peer).history.unwrap();
    assert_eq!((history.publications.len(), history.offset), (2, 6));
    world.send(&peer, r#"{"id":9,"history":{"channel":"news","limit":-1,"since":{"offset":2,"epoch":"abcdefgh"}}}"#);
    let Some((_, Query::History(query))) = world.queries().pop() else { panic!("it is asked for") };
    assert_eq!(query.since.map(|(offset, _)| offset), Some(2));
}

#[test]
fn answers_have_a_bound_together_and_who_leaves_gives_its_room_back() {
    let mut world = World::open();
    let (peer, other) = (member(&mut world, 6), member(&mut world, 6));
    world.send(&other, READ_ALL);
    page_of_bytes(&mut world, 1, 1_000);
    world.send(&peer, READ_ALL);
    page_of_bytes(&mut world, 1, 1_000);
    let held = world.hub.outgoing.gathering.bytes();
    assert!(held > 2_000);
    world.hang_up(&other);
    assert_eq!(world.hub.outgoing.gathering.bytes(), held / 2);
    world.hub.outgoing.gathering.fill(ALL_BYTES - held / 2);
    page_of_bytes(&mut world, 2, 1_000);
    let error = one(&peer).error.unwrap();
    assert_eq!((error.code, error.temporary, peer.closed()), (111, true, None));
    assert_eq!(world.hub.outgoing.gathering.bytes(), ALL_BYTES - held / 2);
}

/// Any bytes reach Protobuf as they are, JSON as something that JSON can hold: live, in history and in recovery.
#[test]
fn payloads_of_any_bytes_cross_over() {
    for (data, is_opaque, as_json) in [
        (&b"{\"a\":1}"[..], false, json!({"a": 1})),
        (b"\xff\n\x00", true, json!(STANDARD.encode(b"\xff\n\x00"))),
        (b"{ \"a\":\n1 }", true, json!({"a": 1})),
        (b"a\nb", true, json!(STANDARD.encode(b"a\nb"))),
    ] {
        let mut world = World::open();
        let peer = member(&mut world, 0);
        let json = world.anonymous();
        world.send(&json, r#"{"id":2,"subscribe":{"channel":"news"}}"#);
        let _ = json.seen();
        let entry = publish(&mut world, &peer, data, is_opaque);
        assert_eq!((entry.data(), entry.is_opaque()), (data, is_opaque));
        deliver(&mut world, 1, &entry);
        let push = one(&peer).push.unwrap();
        assert_eq!((&*push.channel, &*push.r#pub.unwrap().data), ("news", data));
        assert_eq!(json.one()["push"]["pub"]["data"], as_json);
        let page = HistoryPage { top: at(1), publications: vec![(1, entry)], more: false };
        for reader in [&peer, &json] {
            world.send(reader, READ_ALL);
            world.answer(Answer::History(page.clone()));
        }
        assert_eq!(one(&peer).history.unwrap().publications[0].data, data);
        assert_eq!(json.one()["history"]["publications"][0]["data"], as_json);
        let late = [world.connect(Protocol::CentrifugeProtobuf), world.connect(Protocol::Centrifuge)];
        for one in &late {
            world.send(one, r#"{"id":1,"connect":{}}"#);
            world.send(one, r#"{"id":2,"subscribe":{"channel":"news","recover":true,"offset":0,"epoch":""}}"#);
            world.answer(Answer::History(page.clone()));
        }
        assert_eq!(replies(&late[0])[1].subscribe.as_ref().unwrap().publications[0].data, data);
        assert_eq!(late[1].seen()[1]["subscribe"]["publications"][0]["data"], as_json);
    }
}

#[test]
fn a_ping_is_answered_and_the_wrong_form_closes() {
    let mut world = World::open();
    let peer = member(&mut world, 0);
    // It is due after 25 s at the latest.
    while peer.socket.0.lock().frames.is_empty() && peer.closed().is_none() {
        world.pass(std::time::Duration::from_secs(1));
    }
    assert_eq!(one(&peer), Reply::default());
    world.send(&peer, "{}");
    assert_eq!(peer.closed(), None);
    world.input(ClientInput::Commands(peer.ticket.clone(), [Command::FOREIGN].into_iter().collect()));
    world.turn();
    assert_eq!(peer.closed(), Some(3506));
}
