//! Every kind of message goes through bytes and back, and no bytes do harm.

mod golden;
mod next;
mod options;

use bytes::{BufMut, Bytes, BytesMut};
use proptest::prelude::*;
use ringway_core::id::Epoch;
use ringway_core::message::{AttachId, Deliver, Entry, Frame, Load, Message};

use super::testing::{Choices, MESSAGE_KINDS as KINDS, Sample, message_of_kind};
use super::wire::{Out, Wire, put_open};
use super::*;
pub(super) use golden::note;

fn bytes_of(frame: &Frame) -> BytesMut {
    let mut out = BytesMut::new();
    encode(frame, &mut out).unwrap();
    out
}

fn frame_of_kind(kind: usize, seed: u64) -> Frame {
    let mut choices = Choices::scattered(seed);
    let epoch = Epoch::sample(&mut choices);
    Frame { epoch, message: message_of_kind(kind, &mut choices) }
}

/// The next frame, which is one that can be read.
fn taken(bytes: &mut BytesMut) -> Option<Frame> {
    match decode(bytes).unwrap()? {
        Taken::Frame(frame) => Some(frame),
        Taken::Skipped(unknown) => panic!("{unknown}"),
    }
}

fn round_trip(frame: &Frame) {
    let mut bytes = bytes_of(frame);
    assert_eq!(taken(&mut bytes).as_ref(), Some(frame));
    assert!(bytes.is_empty());
}

#[test]
fn every_kind_is_sampled() {
    let kinds: std::collections::HashSet<_> =
        (0..KINDS).map(|kind| std::mem::discriminant(&frame_of_kind(kind, 1).message)).collect();
    assert_eq!(kinds.len(), KINDS);
    assert_eq!(frame_of_kind(KINDS, 1), frame_of_kind(0, 1), "one kind more than MESSAGE_KINDS says");
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
    let again: Vec<Frame> = std::iter::from_fn(|| taken(&mut bytes)).collect();
    assert_eq!(again, frames);
}

#[test]
fn payloads_are_copies() {
    let entry = Entry::of(b"\"hello\"");
    let frame = Frame {
        epoch: Epoch(1),
        message: Message::Deliver(Deliver { attach: AttachId(1), offset: 1, entry: entry.clone() }),
    };
    let mut bytes = bytes_of(&frame);
    let range = bytes.as_ptr_range();
    let Some(Frame { message: Message::Deliver(deliver), .. }) = taken(&mut bytes) else {
        panic!("another frame came back")
    };
    assert!(!range.contains(&deliver.entry.data().as_ptr()));
    assert_eq!(deliver.entry, entry);
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
    let length = bytes_of(&load).len() - size_of::<u32>();
    let mut out = BytesMut::from(&b"before"[..]);
    assert_eq!(append(&load, 3, &mut Out::plain(&mut out)), Err(FrameTooLong { length, limit: 3 }));
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
    let number = |body: &[u8]| u64::take(&mut Input::new(body, &[]));
    for body in [&[0xff; 11][..], &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02]] {
        assert_eq!(number(body), Err(FrameError::OutOfRange));
    }
    assert_eq!(number(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]), Ok(u64::MAX));
    assert_eq!(u16::take(&mut Input::new(&[0x80, 0x80, 0x04], &[])), Err(FrameError::OutOfRange));
}

/// Lengths below and above what one byte tells.
#[test]
fn what_is_open_is_preceded_by_its_length() {
    for length in [0, 1, 127, 128, 300, 20_000] {
        let mut out = BytesMut::from(&b"before"[..]);
        put_open(&mut Out::plain(&mut out), |out| out.put_bytes(7, length));
        out.put_u8(9);
        let mut input = Input::new(&out[b"before".len()..], &[]);
        assert_eq!(input.bytes(), Ok(&vec![7; length][..]));
        assert_eq!((input.byte(), input.left()), (Ok(9), 0));
    }
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
    fn any_bytes_do_no_harm(body in proptest::collection::vec(any::<u8>(), 0..300), kind in 0_u8..43) {
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
        if let Ok(Some(Taken::Frame(frame))) = decode(&mut bytes) {
            round_trip(&frame);
        }
    }
}
