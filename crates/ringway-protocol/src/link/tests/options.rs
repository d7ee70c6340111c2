//! Options are told once on each way of a link.

use ringway_core::message::Durability;
use std::time::Duration;

use bytes::BytesMut;
use proptest::prelude::*;
use ringway_core::id::{ChannelName, Epoch, Slot};
use ringway_core::message::{ChannelOptions, Entry, Frame, Message, Publish};

use super::super::testing::{Choices, Sample};
use super::super::{Decoder, Encoder, FrameError, LENGTH_BYTES, MAX_FRAME_BYTES, Taken, decode, encode};

fn kept(history_size: u32) -> ChannelOptions {
    let history_ttl = Duration::from_secs(600);
    ChannelOptions { history_size, history_ttl, presence: true, history_bytes: 1 << 20, durability: Durability::Memory }
}

fn publish(options: ChannelOptions, payload: &[u8]) -> Frame {
    let publish = Publish {
        durability: Durability::Memory,
        slot: Slot(7),
        seq: 1,
        floor: 1,
        channel: ChannelName::new("news").unwrap(),
        entry: Entry::of(payload),
        options,
        idempotency_key: None,
        version: None,
    };
    Frame { epoch: Epoch(3), message: Message::Publish(Box::new(publish)) }
}

fn read(decoder: &mut Decoder, bytes: &mut BytesMut) -> Vec<Frame> {
    let next = || match decoder.decode(bytes).unwrap()? {
        Taken::Frame(frame) => Some(frame),
        Taken::Skipped(unknown) => panic!("{unknown}"),
    };
    std::iter::from_fn(next).collect()
}

#[test]
fn they_are_told_once_and_named_by_a_number_then() {
    let (mut encoder, mut decoder, mut bytes) = (Encoder::default(), Decoder::default(), BytesMut::new());
    let mut length = |options| encoder.encode(&publish(options, b"1"), &mut bytes).unwrap();
    let alone = encode(&publish(kept(1), b"1"), &mut BytesMut::new()).unwrap();
    let lengths: Vec<usize> = [kept(1), kept(1), kept(2), kept(1), kept(2)].into_iter().map(&mut length).collect();
    let (first, named) = (lengths[0], lengths[1]);
    assert!(named < alone && alone < first, "{named} {alone} {first}");
    assert_eq!(lengths, [first, named, first, named, named]);
    let frames: Vec<Frame> = [1, 1, 2, 1, 2].map(|size| publish(kept(size), b"1")).into();
    assert_eq!(read(&mut decoder, &mut bytes), frames);
}

/// With more kinds of channels than a table has room for, the rest is spelled out.
#[test]
fn what_has_no_room_is_spelled_out_each_time() {
    let (mut encoder, mut decoder, mut bytes) = (Encoder::default(), Decoder::default(), BytesMut::new());
    let frames: Vec<Frame> = (0..200).chain(0..200).map(|size| publish(kept(size), b"1")).collect();
    for frame in &frames {
        encoder.encode(frame, &mut bytes).unwrap();
    }
    assert_eq!(read(&mut decoder, &mut bytes), frames);
}

#[test]
fn a_frame_that_is_not_sent_tells_nothing() {
    let (mut encoder, mut decoder, mut bytes) = (Encoder::default(), Decoder::default(), BytesMut::new());
    assert!(encoder.encode(&publish(kept(1), &vec![b'1'; MAX_FRAME_BYTES]), &mut bytes).is_err());
    assert!(bytes.is_empty());
    let frame = publish(kept(1), b"1");
    encoder.encode(&frame, &mut bytes).unwrap();
    assert_eq!(read(&mut decoder, &mut bytes), [frame]);
}

#[test]
fn a_number_that_was_not_told_is_an_error() {
    let (mut encoder, mut bytes) = (Encoder::default(), BytesMut::new());
    encoder.encode(&publish(kept(1), b"1"), &mut BytesMut::new()).unwrap();
    encoder.encode(&publish(kept(1), b"1"), &mut bytes).unwrap();
    assert_eq!(Decoder::default().decode(&mut bytes.clone()), Err(FrameError::UnknownOptions(1)));
    assert_eq!(decode(&mut bytes), Err(FrameError::UnknownOptions(1)));
}

#[test]
fn a_table_is_told_in_order_and_no_longer_than_it_may_be() {
    let (mut encoder, mut bytes) = (Encoder::default(), BytesMut::new());
    encoder.encode(&publish(kept(1), b"1"), &mut bytes).unwrap();
    let told = bytes.split_to(LENGTH_BYTES + usize::from(bytes[0]));
    #[cfg(not(feature = "next"))]
    assert_eq!(&told[..], b"\x0d\0\0\0\0\x2a\x01\x09\x01\xd8\x04\0\x01\x80\x80\x40\0", "golden");
    let mut decoder = Decoder::default();
    assert_eq!(decoder.decode(&mut told.clone()), Ok(None));
    assert_eq!(decoder.decode(&mut told.clone()), Err(FrameError::OutOfRange), "the same number again");
    for end in LENGTH_BYTES + 2..told.len() {
        let mut cut = BytesMut::from(&told[..end]);
        cut[0] = (end - LENGTH_BYTES) as u8;
        // Without a single one it is whole.
        assert_eq!(Decoder::default().decode(&mut cut).is_err(), end > LENGTH_BYTES + 2, "cut at {end}");
    }
}

proptest! {
    /// Whatever goes over a link, in whatever order, comes out the same.
    #[test]
    fn any_frames_survive_in_a_row(seeds in proptest::collection::vec(any::<u64>(), 1..30)) {
        let (mut encoder, mut decoder, mut bytes) = (Encoder::default(), Decoder::default(), BytesMut::new());
        let frames: Vec<Frame> = seeds.into_iter().map(|seed| Frame::sample(&mut Choices::scattered(seed))).collect();
        for frame in &frames {
            encoder.encode(frame, &mut bytes).unwrap();
        }
        prop_assert_eq!(read(&mut decoder, &mut bytes), frames);
    }

    #[test]
    fn any_table_does_no_harm(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut framed = BytesMut::from(&(body.len() as u32 + 2).to_le_bytes()[..]);
        framed.extend_from_slice(&[1, super::super::options::KIND]);
        framed.extend_from_slice(&body);
        let _ = Decoder::default().decode(&mut framed);
    }
}
