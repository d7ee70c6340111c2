//! What does a message of a link cost: its bytes, and the time for writing and for reading it?
//!
//! `cargo bench -p ringway-protocol --bench link` prints a line for each of the messages that a cluster sends most, and for
//! a part of a slot's state. Of many rounds the fastest counts: everything else on the machine only adds.

use ringway_core::message::{Durability, PubId};
use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use ringway_core::message::{
    AttachId, ChannelOptions, Deliver, Entry, Frame, Have, Message, Op, PubOk, Publish, Publisher, Rep, SlotState,
    StateKind, StreamState,
};
use ringway_core::{ChannelName, Epoch, Incarnation, Position, Slot, StreamEpoch};
use ringway_protocol::link::{Decoder, Encoder};

const ROUNDS: usize = 300;
const FRAMES: usize = 2_000;
/// Frames of one round hold no more than this together.
const ROUND_BYTES: usize = 4 << 20;

fn main() {
    println!("{:<22} {:>9} {:>10} {:>10}", "message", "bytes", "write ns", "read ns");
    for (name, message) in messages() {
        let frame = Frame { epoch: Epoch(300), message };
        let (mut bytes, mut encoder) = (BytesMut::new(), Encoder::default());
        // The second one: what is told once is told.
        let mut length = || encoder.encode(&frame, &mut bytes).expect("it is shorter than a frame may be");
        let length = [length(), length()][1];
        let frames = FRAMES.min(ROUND_BYTES / length).max(1);
        let (write, read) = cost(&frame, frames);
        println!("{name:<22} {length:>9} {write:>10.1} {read:>10.1}");
    }
}

/// Nanoseconds for writing a frame, and for reading it.
fn cost(frame: &Frame, frames: usize) -> (f64, f64) {
    let (mut write, mut read) = (Duration::MAX, Duration::MAX);
    let mut bytes = BytesMut::new();
    for _ in 0..ROUNDS {
        bytes.clear();
        bytes.reserve(ROUND_BYTES + (1 << 20));
        let (mut encoder, mut decoder) = (Encoder::default(), Decoder::default());
        let began = Instant::now();
        for _ in 0..frames {
            encoder.encode(black_box(frame), &mut bytes).expect("it was written before");
        }
        write = write.min(began.elapsed());
        let began = Instant::now();
        while let Some(taken) = decoder.decode(&mut bytes).expect("it was just written") {
            black_box(taken);
        }
        read = read.min(began.elapsed());
    }
    let each = |all: Duration| all.as_secs_f64() * 1e9 / frames as f64;
    (each(write), each(read))
}

fn messages() -> Vec<(&'static str, Message)> {
    let position = Position { epoch: StreamEpoch::from_random(7), offset: 4711 };
    let ok =
        PubOk { slot: Slot(4711), seq: 12_345, position: Some(position), copies: 2, durability: Durability::Memory };
    let have = Have { slot: Slot(4711), term: Epoch(300), sync: 9, index: 12_345, mark: true };
    vec![
        ("Publish, 40 bytes", publish(40)),
        ("Publish, 300 bytes", publish(300)),
        ("PubOk", Message::PubOk(ok)),
        ("Rep, 40 bytes", rep(40)),
        ("Rep, 300 bytes", rep(300)),
        ("Have", Message::Have(vec![have])),
        ("Deliver, 40 bytes", deliver(40)),
        ("Deliver, 300 bytes", deliver(300)),
        ("State, 400 entries", state(400)),
    ]
}

fn channel() -> ChannelName {
    ChannelName::new("room:12345").expect("a well-formed name")
}

fn options() -> ChannelOptions {
    ChannelOptions {
        history_size: 100,
        history_ttl: Duration::from_secs(600),
        presence: false,
        history_bytes: 0,
        durability: Durability::Memory,
    }
}

fn entry(length: usize) -> Entry {
    let client = 0x9a8e_7c51_6b0e_4f6e_a3ef_0d6f_1b3e_3a77;
    Entry::by(&vec![b'7'; length], &Publisher { user: "alice", client, ..Publisher::default() })
}

fn publish(length: usize) -> Message {
    Message::Publish(Box::new(Publish {
        durability: Durability::Memory,
        slot: Slot(4711),
        seq: 12_345,
        floor: 12_340,
        channel: channel(),
        entry: entry(length),
        options: options(),
        idempotency_key: None,
        version: None,
    }))
}

fn rep(length: usize) -> Message {
    let op = Op::Append {
        channel: channel(),
        options: options(),
        offset: 4711,
        first: 4612,
        entry: entry(length),
        publisher: PubId {
            gateway: Incarnation(0x0123_4567_89ab_cdef),
            durability: Durability::Memory,
            seq: 12_345,
            floor: 12_340,
        },
        key: None,
        version: None,
    };
    Message::Rep(Box::new(Rep { slot: Slot(4711), term: Epoch(300), index: 12_345, ops: vec![op] }))
}

fn deliver(length: usize) -> Message {
    Message::Deliver(Deliver { attach: AttachId(7 << 32 | 12), offset: 4711, entry: entry(length) })
}

fn state(entries: u64) -> Message {
    let stream = StreamState {
        channel: channel(),
        options: options(),
        top: Position { epoch: StreamEpoch::from_random(7), offset: entries },
        delivered: 0,
        first: 1,
        start: 1,
        entries: (0..entries).map(|at| (Duration::from_millis(at), entry(300))).collect(),
        keys: Vec::new(),
        version: None,
        last: true,
    };
    Message::State(Box::new(SlotState {
        standing: Default::default(),
        slot: Slot(4711),
        kind: StateKind::Sync(9),
        term: Epoch(300),
        index: 12_345,
        base: None,
        part: 0,
        last: true,
        streams: vec![stream],
        publishers: Vec::new(),
    }))
}
