//! The WebSocket codec against tungstenite, in memory: what one writes the other must read, message by message.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::BytesMut;
use proptest::prelude::*;
use ringway_protocol::ws::{self, Decoder, Event, Kind, Opcode, Side};
use std::io::{self, Read, Write};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocket};
use tokio_tungstenite::tungstenite::{Error, Message};

const LIMIT: usize = 1 << 22;

/// One end of a connection whose other end is the test.
#[derive(Debug, Default)]
struct Pipe {
    input: io::Cursor<Vec<u8>>,
    output: Vec<u8>,
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.input.read(buffer)? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            count => Ok(count),
        }
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Everything but the close, until the input ends, breaks a rule or closes.
fn theirs(role: Role, bytes: &[u8]) -> Vec<Message> {
    let pipe = Pipe { input: io::Cursor::new(bytes.to_vec()), ..Pipe::default() };
    let mut socket = WebSocket::from_raw_socket(pipe, role, None);
    let mut seen = Vec::new();
    loop {
        match socket.read() {
            Ok(Message::Close(_)) | Err(_) => return seen,
            Ok(message) => seen.push(message),
        }
    }
}

/// The same by this codec, from pieces of `cut` bytes.
fn ours(side: Side, bytes: &[u8], cut: usize) -> Vec<Message> {
    let mut decoder = Decoder::new(side, LIMIT);
    let mut seen = Vec::new();
    for chunk in bytes.chunks(cut) {
        let mut scratch = chunk.to_vec();
        let mut input = &mut scratch[..];
        loop {
            seen.push(match decoder.decode(&mut input) {
                Ok(None) => break,
                Ok(Some(Event::Close(_))) | Err(_) => return seen,
                Ok(Some(Event::Message(ws::Message::Text(text)))) => Message::text(text.into_owned()),
                Ok(Some(Event::Message(ws::Message::Binary(data)))) => Message::binary(data.into_owned()),
                Ok(Some(Event::Ping(payload))) => Message::Ping(payload.into_owned().into()),
                Ok(Some(Event::Pong(payload))) => Message::Pong(payload.into_owned().into()),
            });
        }
    }
    seen
}

fn any_message() -> impl Strategy<Value = Message> {
    let small = proptest::collection::vec(any::<u8>(), 0..126);
    prop_oneof![
        3 => proptest::collection::vec(any::<char>(), 0..300).prop_map(|text| Message::text(text.into_iter().collect::<String>())),
        3 => proptest::collection::vec(any::<u8>(), 0..1000).prop_map(Message::binary),
        1 => proptest::collection::vec(any::<u8>(), 65_000..70_000).prop_map(Message::binary),
        1 => small.clone().prop_map(|payload| Message::Ping(payload.into())),
        1 => small.prop_map(|payload| Message::Pong(payload.into())),
    ]
}

/// Writes with this codec, data messages in fragments of `piece` bytes.
fn write(messages: &[Message], piece: usize, key: Option<[u8; 4]>) -> BytesMut {
    let mut out = BytesMut::new();
    for message in messages {
        let payload = message.clone().into_data();
        let opcode = match message {
            Message::Text(_) => Opcode::Text,
            Message::Binary(_) => Opcode::Binary,
            Message::Ping(_) => Opcode::Ping,
            _ => Opcode::Pong,
        };
        let piece = if matches!(opcode, Opcode::Text | Opcode::Binary) { piece } else { usize::MAX };
        let count = payload.len().div_ceil(piece).max(1);
        for index in 0..count {
            let range = (index * piece).min(payload.len())..(index * piece).saturating_add(piece).min(payload.len());
            let opcode = if index == 0 { opcode } else { Opcode::Continuation };
            ws::write_fragment(&mut out, opcode, &payload[range], index + 1 == count, key);
        }
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn it_reads_what_this_codec_writes(
        messages in proptest::collection::vec(any_message(), 0..8),
        piece in 1_usize..3000,
        key in any::<Option<[u8; 4]>>(),
    ) {
        let role = if key.is_some() { Role::Server } else { Role::Client };
        prop_assert_eq!(theirs(role, &write(&messages, piece, key)), messages);
    }

    #[test]
    fn this_codec_reads_what_it_writes(
        messages in proptest::collection::vec(any_message(), 0..8),
        cut in 1_usize..5000,
        from_client in any::<bool>(),
    ) {
        let (role, side) = if from_client { (Role::Client, Side::Server) } else { (Role::Server, Side::Client) };
        let mut socket = WebSocket::from_raw_socket(Pipe::default(), role, None);
        for message in &messages {
            socket.write(message.clone()).unwrap();
        }
        socket.flush().unwrap();
        prop_assert_eq!(ours(side, &socket.get_ref().output, cut), messages);
    }

    #[test]
    fn both_understand_damaged_input_alike(
        messages in proptest::collection::vec(any_message(), 1..5),
        piece in 1_usize..500,
        cut in 1_usize..5000,
        at in any::<proptest::sample::Index>(),
        damage in 1_u8..,
        key in any::<Option<[u8; 4]>>(),
    ) {
        let (role, side) = if key.is_some() { (Role::Server, Side::Server) } else { (Role::Client, Side::Client) };
        let mut bytes = write(&messages, piece, key);
        let at = at.index(bytes.len());
        bytes[at] ^= damage;
        prop_assert_eq!(ours(side, &bytes, cut), theirs(role, &bytes));
    }
}

#[test]
fn it_understands_the_shared_frames_and_closes() {
    let mut bytes = ws::frame(Kind::Text, b"shared").to_vec();
    bytes.extend_from_slice(&ws::fragment_with(Kind::Binary.into(), true, |out| out.extend_from_slice(&[1, 2, 3])));
    bytes.extend_from_slice(&ws::close_frame(3008, "slow"));
    let pipe = Pipe { input: io::Cursor::new(bytes), ..Pipe::default() };
    let mut socket = WebSocket::from_raw_socket(pipe, Role::Client, None);
    assert_eq!(socket.read().unwrap(), Message::text("shared"));
    assert_eq!(socket.read().unwrap(), Message::binary(vec![1, 2, 3]));
    let Message::Close(Some(close)) = socket.read().unwrap() else { panic!("expected a close") };
    assert_eq!((u16::from(close.code), close.reason.as_str()), (3008, "slow"));
    assert!(matches!(socket.read(), Err(Error::ConnectionClosed | Error::Io(_))));
}
