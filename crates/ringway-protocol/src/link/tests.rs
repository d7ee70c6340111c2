//! Every kind of message goes through bytes and back, and no bytes do harm.

mod sample;

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use ringway_core::id::{ChannelName, Epoch, Incarnation, MemberId, Slot};
use ringway_core::message::{
    AttachId, ChannelOptions, Deliver, Entry, Frame, Load, Message, Op, Publish, Rep, SlotSync,
};
use ringway_core::ring::{HashKey, SlotCount, Weight};
use ringway_core::view::{NodeEntry, View};

use super::*;
pub(super) use sample::{Choices, Sample};

/// Kinds of message. A kind that is added without being listed here fails `every_kind_is_sampled`.
const KINDS: usize = 34;

fn bytes_of(frame: &Frame) -> BytesMut {
    let mut out = BytesMut::new();
    encode(frame, &mut out).unwrap();
    out
}

fn frame_of_kind(kind: usize, seed: u64) -> Frame {
    let mut choices = Choices::scattered(seed);
    let epoch = Epoch::sample(&mut choices);
    choices.force(kind);
    Frame { epoch, message: Message::sample(&mut choices) }
}

fn round_trip(frame: &Frame) {
    let mut bytes = bytes_of(frame);
    assert_eq!(decode(&mut bytes).unwrap().as_ref(), Some(frame));
    assert!(bytes.is_empty());
}

#[test]
fn every_kind_is_sampled() {
    let kinds: std::collections::HashSet<_> =
        (0..KINDS).map(|kind| std::mem::discriminant(&frame_of_kind(kind, 1).message)).collect();
    assert_eq!(kinds.len(), KINDS);
    assert_eq!(frame_of_kind(KINDS, 1), frame_of_kind(0, 1), "one kind more than KINDS says");
}

#[test]
fn every_kind_survives() {
    for kind in 0..KINDS {
        for seed in 0..200 {
            round_trip(&frame_of_kind(kind, seed));
        }
    }
}

#[test]
fn every_truncation_asks_for_more_or_fails() {
    for kind in 0..KINDS {
        let whole = bytes_of(&frame_of_kind(kind, 7));
        for end in 0..whole.len() {
            let mut part = BytesMut::from(&whole[..end]);
            assert_eq!(decode(&mut part), Ok(None), "kind {kind}, cut at {end}");
            assert_eq!(part.len(), end, "nothing is taken of an incomplete frame");
            if let Some(announced) = end.checked_sub(LENGTH_BYTES) {
                part[..LENGTH_BYTES].copy_from_slice(&(announced as u32).to_le_bytes());
                assert!(decode(&mut part).is_err(), "kind {kind}, announced as {announced} bytes");
            }
        }
    }
}

#[test]
fn frames_are_taken_one_by_one() {
    let frames: Vec<Frame> = (0..KINDS).map(|kind| frame_of_kind(kind, 3)).collect();
    let mut bytes = BytesMut::new();
    for frame in &frames {
        encode(frame, &mut bytes).unwrap();
    }
    let mut taken = Vec::new();
    while let Some(frame) = decode(&mut bytes).unwrap() {
        taken.push(frame);
    }
    assert_eq!(taken, frames);
}

#[test]
fn payloads_are_copies() {
    let entry = Entry { data: Bytes::from_static(b"\"hello\""), info: None, tags: None };
    let frame = Frame {
        epoch: Epoch(1),
        message: Message::Deliver(Deliver { attach: AttachId(1), offset: 1, entry: entry.clone() }),
    };
    let mut bytes = bytes_of(&frame);
    let range = bytes.as_ptr_range();
    let Some(Frame { message: Message::Deliver(deliver), .. }) = decode(&mut bytes).unwrap() else {
        panic!("another frame came back")
    };
    assert!(!range.contains(&deliver.entry.data.as_ptr()));
    assert_eq!(deliver.entry, entry);
}

#[test]
fn golden_ping() {
    let counts = Load { users: 1, channels: 300, history_bytes: 1 << 40, history_limit: 1 << 40, ..Load::default() };
    let load = Load { alone: 3, not_live: 2, blocked: 1, channels_full: true, ..counts };
    let frame = Frame { epoch: Epoch(5), message: Message::Ping(load) };
    let expected =
        b"\x19\0\0\0\x05\0\x01\xac\x02\0\x80\x80\x80\x80\x80\x20\0\x80\x80\x80\x80\x80\x20\x03\x02\x01\0\x01\0";
    assert_eq!(&bytes_of(&frame)[..], expected);
}

#[test]
fn golden_publish() {
    let publish = Publish {
        slot: Slot(513),
        seq: 2,
        floor: 1,
        channel: ChannelName::new("#bob").unwrap(),
        entry: Entry { data: Bytes::from_static(b"{}"), info: None, tags: Some(Bytes::from_static(b"{}")) },
        options: ChannelOptions { history_size: 100, history_ttl: Duration::from_secs(600), presence: true },
        idempotency_key: Some("k".into()),
    };
    let frame = Frame { epoch: Epoch(1), message: Message::Publish(Box::new(publish)) };
    let expected = b"\x1b\0\0\0\x01\x0a\x81\x04\x02\x01\x04#bob\x02{}\0\x01\x02{}\x64\xd8\x04\0\x01\x01\x01k";
    assert_eq!(&bytes_of(&frame)[..], expected);
}

#[test]
fn golden_rep() {
    let channel = ChannelName::new("a").unwrap();
    let rep = Rep { slot: Slot(1), term: Epoch(2), index: 3, ops: vec![Op::Trim { channel, first: 128 }] };
    let frame = Frame { epoch: Epoch(2), message: Message::Rep(Box::new(rep)) };
    assert_eq!(&bytes_of(&frame)[..], b"\x0b\0\0\0\x02\x22\x01\x02\x03\x01\x02\x01a\x80\x01");
}

#[test]
fn golden_syncs() {
    let (slot, term, number, index) = (Slot(300), Epoch(2), 7, 0);
    let empty = SlotSync { slot, term, number, index, base: None };
    let same = SlotSync { slot: Slot(1), index: 9, base: Some((Epoch(1), 9)), ..empty };
    let frame = Frame { epoch: Epoch(2), message: Message::Syncs(vec![empty, same]) };
    assert_eq!(&bytes_of(&frame)[..], b"\x10\0\0\0\x02\x28\x02\xac\x02\x02\x07\0\0\x01\x02\x07\x09\x01\x01\x09");
}

#[test]
fn golden_view() {
    let mut view = View::born(HashKey::from_bytes(*b"0123456789abcdef"), SlotCount::MIN);
    view.nodes.push(NodeEntry {
        id: MemberId::new("n1").unwrap(),
        incarnation: Incarnation(0x0102_0304_0506_0708),
        address: "h:1".into(),
        now: Weight::ONE,
        next: Weight::ZERO,
    });
    view.checksum = 0;
    let frame = Frame { epoch: Epoch(1), message: Message::Moved(Arc::new(view)) };
    let expected = b"\x2d\0\0\0\x01\x01\x010123456789abcdef\x08\x02\x01\x01\x02n1\x08\x07\x06\x05\x04\x03\x02\x01\x03h:1\xe8\x07\0\0\0\0\0";
    assert_eq!(&bytes_of(&frame)[..], expected);
}

#[test]
fn golden_preamble() {
    assert_eq!(&preamble(), b"ringway\0\x02\0");
    assert_eq!(read_preamble(b"ringway\0\x02\x01"), Ok(258));
    assert_eq!(read_preamble(b"GET / HTTP"), Err(NotALink));
}

#[test]
fn an_announced_length_over_the_limit_is_refused_before_anything_is_buffered() {
    let mut bytes = BytesMut::from(&u32::MAX.to_le_bytes()[..]);
    let length = u32::MAX as usize;
    assert_eq!(decode(&mut bytes), Err(FrameError::TooLong { length, limit: MAX_FRAME_BYTES }));
}

#[test]
fn a_frame_over_the_limit_is_not_written() {
    let load = Frame { epoch: Epoch(1), message: Message::Ping(Load::default()) };
    let mut out = BytesMut::from(&b"before"[..]);
    assert_eq!(append(&load, 3, &mut out), Err(FrameTooLong { length: 14, limit: 3 }));
    assert_eq!(&out[..], b"before");
}

/// A list of 2^40 slots in six bytes, for each kind that begins with a list.
#[test]
fn a_hostile_count_is_refused() {
    for kind in [13, 30, 31, 35, 40] {
        let mut bytes = BytesMut::from(&[8, 0, 0, 0, 1, kind, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20][..]);
        assert_eq!(decode(&mut bytes), Err(FrameError::TooMany { count: 1 << 40, left: 0 }));
    }
}

#[test]
fn varints_end() {
    for body in [&[0xff; 11][..], &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02]] {
        assert_eq!(parse::<u64>(body), Err(FrameError::OutOfRange));
    }
    assert_eq!(parse::<u64>(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]), Ok(u64::MAX));
    assert_eq!(parse::<u16>(&[0x80, 0x80, 0x04]), Err(FrameError::OutOfRange));
}

#[test]
fn what_follows_the_last_field_is_refused() {
    assert_eq!(parse::<Frame>(&[1, 39, 1, 0]), Err(FrameError::Trailing(1)));
    assert_eq!(parse::<Frame>(&[1, 250]), Err(FrameError::UnknownKind { what: "Message", kind: 250 }));
}

proptest! {
    #[test]
    fn any_frame_survives(choices in proptest::collection::vec(any::<u8>(), 0..400)) {
        round_trip(&Frame::sample(&mut Choices::of(choices)));
    }

    #[test]
    fn any_handshake_survives(choices in proptest::collection::vec(any::<u8>(), 0..400)) {
        let message = Handshake::sample(&mut Choices::of(choices));
        let mut out = BytesMut::new();
        encode_handshake(&message, &mut out).unwrap();
        prop_assert_eq!(decode_handshake(&out[LENGTH_BYTES..]), Ok(message));
    }

    #[test]
    fn any_bytes_do_no_harm(body in proptest::collection::vec(any::<u8>(), 0..300), kind in 0_u8..41) {
        let mut framed = BytesMut::from(&(body.len() as u32 + 2).to_le_bytes()[..]);
        framed.extend_from_slice(&[1, kind]);
        framed.extend_from_slice(&body);
        let _ = decode(&mut framed);
        let _ = decode_handshake(&body);
        let _ = decode(&mut BytesMut::from(&body[..]));
    }

    /// Whatever is changed in a frame, what is read has a spelling of its own that reads back the same.
    #[test]
    fn a_damaged_frame_is_refused_or_is_another(seed: u64, kind in 0..KINDS, at: prop::sample::Index, xor in 1_u8..) {
        let mut bytes = bytes_of(&frame_of_kind(kind, seed));
        let at = LENGTH_BYTES + at.index(bytes.len() - LENGTH_BYTES);
        bytes[at] ^= xor;
        if let Ok(Some(frame)) = decode(&mut bytes) {
            round_trip(&frame);
        }
    }
}
