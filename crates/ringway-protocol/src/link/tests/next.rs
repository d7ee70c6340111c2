//! This version beside a next one, which has fields and kinds more: each reads what the other writes.

use std::sync::Arc;

use ringway_core::id::{Incarnation, MemberId, Slot};
use ringway_core::message::{Op, Presence, Rep, ResetCount};
use ringway_core::ring::Weight;
use ringway_core::view::NodeEntry;

use super::super::input::Input;
use super::super::wire::{Rest, Wire, wire_enum, wire_struct};
use super::golden::values;
use super::*;

/// [`ResetCount`] with two fields of two later versions.
#[derive(Debug, PartialEq)]
struct NextCount {
    number: u64,
    meant: u64,
    closed: u64,
    done: bool,
    disk_bytes: u64,
    zone: Box<str>,
}

/// [`NodeEntry`] with a field more.
#[derive(Debug, PartialEq)]
struct NextNode {
    id: MemberId,
    incarnation: Incarnation,
    address: Box<str>,
    now: Weight,
    next: Weight,
    zone: Box<str>,
}

/// [`Presence`] with two optional runs more.
#[derive(Debug, PartialEq)]
struct NextPresence {
    client: u128,
    user: Arc<str>,
    conn_info: Option<Bytes>,
    chan_info: Option<Bytes>,
    delta: Option<Bytes>,
    origin: Option<Bytes>,
}

/// [`Op`] with a kind more, whose field is longer than anything before it.
#[derive(Debug, PartialEq)]
enum NextOp {
    Seal(Box<str>),
}

/// [`Rejection`] with a kind more.
#[derive(Debug, PartialEq)]
enum NextRejection {
    TooOld,
}

wire_struct!(last NextCount { number, meant, closed, done; since(4) disk_bytes; since(5) zone });
wire_struct!(open NextNode { id, incarnation, address, now, next; since(4) zone });
wire_struct!(flagged NextPresence { client, user; 0 => conn_info, 1 => chan_info, 2 => delta, 40 => origin });
wire_enum!(closed NextOp { 9 => Seal(text) });
wire_enum!(closed NextRejection { 77 => TooOld });

fn spelled<T>(value: &T, put: fn(&T, &mut Out<'_>)) -> BytesMut {
    let mut out = BytesMut::new();
    put(value, &mut Out::plain(&mut out));
    out
}

fn framed(body: &[u8]) -> BytesMut {
    let mut out = BytesMut::from(&(body.len() as u32).to_le_bytes()[..]);
    out.extend_from_slice(body);
    out
}

#[test]
fn a_message_with_more_fields_is_read_by_both() {
    let count = ResetCount { number: 1, meant: 2, closed: 3, done: true };
    let next = |disk_bytes, zone: &str| NextCount {
        number: 1,
        meant: 2,
        closed: 3,
        done: true,
        disk_bytes,
        zone: zone.into(),
    };
    let written = spelled(&next(6, "north"), Rest::put);
    assert_eq!(parse::<ResetCount>(&written), Ok(count));
    assert_eq!(parse::<NextCount>(&written), Ok(next(6, "north")));
    let now = spelled(&count, Rest::put);
    assert_eq!(parse::<NextCount>(&now), Ok(next(0, "")));
    // Of the version between.
    assert_eq!(parse::<NextCount>(&[&now[..], &[6]].concat()), Ok(next(6, "")));
    assert_eq!(parse::<NextCount>(&now[..now.len() - 1]), Err(FrameError::Truncated));
}

#[test]
fn whatever_follows_a_message_is_skipped() {
    for (name, frame) in values::frames() {
        let mut bytes = bytes_of(&frame);
        let length = u32::from_le_bytes(*bytes.first_chunk().unwrap());
        bytes[..LENGTH_BYTES].copy_from_slice(&(length + 3).to_le_bytes());
        bytes.extend_from_slice(&[0xff; 3]);
        bytes.extend_from_slice(&bytes_of(&frame));
        for _ in 0..2 {
            assert_eq!(taken(&mut bytes).as_ref(), Some(&frame), "{name}");
        }
    }
    for (name, message) in values::handshakes() {
        let mut bytes = BytesMut::new();
        encode_handshake(&message, &mut bytes).unwrap();
        bytes.extend_from_slice(b"more");
        assert_eq!(decode_handshake(&bytes[LENGTH_BYTES..]), Ok(message), "{name}");
    }
}

#[test]
fn an_element_with_more_fields_hides_nothing_that_follows() {
    let next = |zone: &str| NextNode {
        id: MemberId::new("n1").unwrap(),
        incarnation: Incarnation(1),
        address: "h:1".into(),
        now: Weight::ONE,
        next: Weight::ZERO,
        zone: zone.into(),
    };
    let NextNode { id, incarnation, now, next: weight, .. } = next("");
    let node = NodeEntry { id, incarnation, address: "h:1".into(), now, next: weight };
    // Long enough for a length of two bytes.
    let zone = "z".repeat(200);
    let written = spelled(&(vec![next(&zone), next("")], 7_u64), Wire::put);
    assert_eq!(Wire::take(&mut Input::new(&written, &[])), Ok((vec![node.clone(), node.clone()], 7_u64)));
    let written = spelled(&(vec![node.clone(), node], 7_u64), Wire::put);
    assert_eq!(Wire::take(&mut Input::new(&written, &[])), Ok((vec![next(""), next("")], 7_u64)));
}

#[test]
fn a_struct_with_more_runs_hides_nothing_that_follows() {
    let chan_info = Some(Bytes::from_static(b"{}"));
    let next = |delta: Option<&'static str>, origin: Option<&'static str>| {
        let (delta, origin) = (delta.map(Bytes::from), origin.map(Bytes::from));
        NextPresence { client: 1, user: "u".into(), conn_info: None, chan_info: chan_info.clone(), delta, origin }
    };
    let now = Presence { client: 1, user: "u".into(), conn_info: None, chan_info: chan_info.clone() };
    for written in [next(Some("d"), Some("o")), next(None, Some("")), next(None, None)] {
        let bytes = spelled(&(written, 7_u64), Wire::put);
        assert_eq!(Wire::take(&mut Input::new(&bytes, &[])), Ok((now.clone(), 7_u64)));
    }
    let bytes = spelled(&(now, 7_u64), Wire::put);
    assert_eq!(Wire::take(&mut Input::new(&bytes, &[])), Ok((next(None, None), 7_u64)));
}

/// What it says that the one in the middle does not know goes through it unharmed.
#[test]
fn an_entry_with_more_fields_is_passed_on_whole() {
    let mut packed = Entry::of(b"1").packed().to_vec();
    packed.extend_from_slice(&[200, 3, b'n', b'e', b'w']);
    let entry = Entry::from_packed(&packed).unwrap();
    assert_eq!((entry.data(), entry.packed()), (&b"1"[..], &packed[..]));
    round_trip(&Frame {
        epoch: Epoch(1),
        message: Message::Deliver(Deliver { attach: AttachId(1), offset: 1, entry: entry.clone() }),
    });
    let bytes = spelled(&(entry.clone(), 7_u64), Wire::put);
    assert_eq!(Wire::take(&mut Input::new(&bytes, &[])), Ok((entry, 7_u64)));
    let cut = spelled(&Bytes::from_static(&[0, 3, b'1']), Wire::put);
    assert_eq!(
        <Entry as Wire>::take(&mut Input::new(&cut, &[])),
        Err(FrameError::Entry(ringway_core::message::MalformedEntry))
    );
}

#[test]
fn a_page_of_who_is_present_comes_back() {
    let present = Presence { client: 1, user: "".into(), conn_info: None, chan_info: None };
    let census = ringway_core::message::Census { node: Incarnation(1), epoch: Epoch(1), losses: 0 };
    let page = ringway_core::message::PresencePage { census, clients: vec![present], more: false };
    round_trip(&Frame { epoch: Epoch(1), message: Message::Answer(1, ringway_core::message::Answer::Presence(page)) });
}

#[test]
fn a_message_of_an_unknown_kind_is_skipped_whole() {
    let known = Frame { epoch: Epoch(5), message: Message::AttachesDone(Epoch(5)) };
    let mut bytes = framed(&[5, 250, 1, 2, 3]);
    bytes.extend_from_slice(&bytes_of(&known));
    let unknown = UnknownKind { what: "Message", kind: 250 };
    assert_eq!(decode(&mut bytes), Ok(Some(Taken::Skipped(unknown))));
    assert!(unknown.is_message());
    assert_eq!(taken(&mut bytes), Some(known));
}

/// Half of a log is another log: nothing of the frame is taken, though its first operation could be read.
#[test]
fn a_message_with_an_unknown_kind_inside_is_skipped_whole() {
    let ops = vec![Op::Forget { channel: ringway_core::ChannelName::new("a").unwrap() }];
    let rep = Rep { slot: Slot(1), term: Epoch(2), index: 3, ops };
    let known = Frame { epoch: Epoch(2), message: Message::Rep(Box::new(rep)) };
    let mut body = bytes_of(&known).split_off(LENGTH_BYTES);
    let count = body.iter().position(|byte| *byte == 3).unwrap() + 1;
    body[count] += 1;
    body.extend_from_slice(&spelled(&NextOp::Seal("x".repeat(300).into()), Wire::put));
    let mut bytes = framed(&body);
    bytes.extend_from_slice(&bytes_of(&known));
    let unknown = UnknownKind { what: "Op", kind: 9 };
    assert_eq!(decode(&mut bytes), Ok(Some(Taken::Skipped(unknown))));
    assert!(!unknown.is_message());
    assert_eq!(taken(&mut bytes), Some(known));
}

#[test]
fn a_refusal_for_an_unknown_reason_is_a_refusal() {
    let mut body = vec![3];
    body.extend_from_slice(&spelled(&NextRejection::TooOld, Wire::put));
    assert_eq!(decode_handshake(&body), Ok(Handshake::Refused(Rejection::Unknown)));
    assert_eq!(decode_handshake(&[9]), Err(UnknownKind { what: "Handshake", kind: 9 }.into()));
}
