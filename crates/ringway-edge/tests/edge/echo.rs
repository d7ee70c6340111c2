//! The echo against a well-kept client library, message by message.

use crate::support::{Client, Got, KEY, TestEdge, frames};
use bytes::BytesMut;
use futures_util::{SinkExt, StreamExt};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use ringway_edge::{ConnOptions, ECHO_MAX_MESSAGE, EdgeConfig};
use ringway_protocol::ws::{self, Opcode};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

const ROUNDS: usize = 400;

fn random_message(rng: &mut SmallRng) -> Message {
    let size = match rng.random_range(0..10) {
        0 => 0,
        1..6 => rng.random_range(0..200),
        6..9 => rng.random_range(0..20_000),
        _ => rng.random_range(60_000..200_000),
    };
    match rng.random_range(0..5) {
        0 | 1 => Message::binary((0..size).map(|_| rng.random()).collect::<Vec<u8>>()),
        2 | 3 => Message::text((0..size / 2).map(|_| rng.random::<char>()).collect::<String>()),
        _ => Message::Ping((0..size.min(125)).map(|_| rng.random()).collect::<Vec<u8>>().into()),
    }
}

/// The message whole, or as a sequence of frames.
fn cut(message: Message, rng: &mut SmallRng) -> Vec<Message> {
    if message.is_ping() || rng.random_bool(0.5) {
        return vec![message];
    }
    let (first, data) = match message {
        Message::Text(text) => (Data::Text, bytes::Bytes::from(text)),
        other => (Data::Binary, other.into_data()),
    };
    let piece = rng.random_range(1..=data.len() / 2 + 1);
    let pieces: Vec<_> = data.chunks(piece).map(|piece| data.slice_ref(piece)).collect();
    let last = pieces.len().saturating_sub(1);
    pieces
        .into_iter()
        .enumerate()
        .map(|(index, piece)| {
            let kind = if index == 0 { first } else { Data::Continue };
            Message::Frame(Frame::message(piece, OpCode::Data(kind), index == last))
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_message_comes_back_as_the_library_sent_it() {
    let test =
        TestEdge::start_with(EdgeConfig::default(), ConnOptions { max_message: 1 << 20, max_outbox: 1 << 24 }).await;
    let (socket, _) = tokio_tungstenite::connect_async(format!("ws://{}/echo", test.addr)).await.unwrap();
    let (mut sink, mut stream) = socket.split();
    let seed = rand::random();
    let mut rng = SmallRng::seed_from_u64(seed);
    let messages: Vec<Message> = (0..ROUNDS)
        .map(|_| random_message(&mut rng))
        .filter(|message| message.is_ping() || !message.is_empty())
        .collect();
    let expected = messages.clone();
    let sending = tokio::spawn(async move {
        for message in messages {
            for part in cut(message, &mut rng) {
                sink.feed(part).await.unwrap();
            }
            sink.flush().await.unwrap();
        }
        sink.send(Message::Close(None)).await.unwrap();
    });
    for (index, message) in expected.into_iter().enumerate() {
        let echoed = stream.next().await.unwrap().unwrap();
        let message = if let Message::Ping(payload) = message { Message::Pong(payload) } else { message };
        assert!(echoed == message, "message {index} of seed {seed} came back changed");
    }
    assert!(matches!(stream.next().await, Some(Ok(Message::Close(None)))));
    sending.await.unwrap();
}

#[tokio::test]
async fn the_largest_message_comes_back_byte_for_byte() {
    let options = ConnOptions { max_message: ECHO_MAX_MESSAGE, ..ConnOptions::default() };
    let test = TestEdge::start_with(EdgeConfig::default(), options).await;
    let mut client = Client::connect(test.addr, "/echo").await;
    let payload: Vec<u8> = (0..ECHO_MAX_MESSAGE).map(|index| (index % 251).to_le_bytes()[0]).collect();
    client.send(Opcode::Binary, &payload).await;
    assert!(client.next().await == Got::Message(payload));
}

#[tokio::test]
async fn frames_sent_along_with_the_request_are_not_lost() {
    let test = TestEdge::start().await;
    let stream = TcpStream::connect(test.addr).await.unwrap();
    let mut eager = frames(&[(Opcode::Text, b"one"), (Opcode::Text, b"two")]);
    let mut third = BytesMut::new();
    ws::append_masked(&mut third, Opcode::Text, b"three", KEY);
    let (begin, end) = third.split_at(5);
    eager.extend_from_slice(begin);
    let mut client = Client::upgrade(stream, "/echo", &eager).await;
    client.send_raw(end).await;
    for expected in [&b"one"[..], b"two", b"three"] {
        assert_eq!(client.next().await, Got::Message(expected.to_vec()));
    }
}
