use super::*;
use bytes::BytesMut;
use proptest::prelude::*;

/// An event that borrows nothing, to compare.
#[derive(Debug, Clone, PartialEq)]
enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
}

impl From<Event<'_>> for Seen {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Message(Message::Text(text)) => Self::Text(text.into_owned()),
            Event::Message(Message::Binary(bytes)) => Self::Binary(bytes.into_owned()),
            Event::Ping(bytes) => Self::Ping(bytes.into_owned()),
            Event::Pong(bytes) => Self::Pong(bytes.into_owned()),
            Event::Close(close) => Self::Close(close.code, close.reason.into_owned()),
        }
    }
}

fn feed(decoder: &mut Decoder, chunk: &[u8], seen: &mut Vec<Seen>) -> Result<(), DecodeError> {
    let mut scratch = chunk.to_vec();
    let mut input = &mut scratch[..];
    while let Some(event) = decoder.decode(&mut input)? {
        seen.push(event.into());
    }
    assert!(input.is_empty(), "all input is taken");
    Ok(())
}

/// Decodes whole and byte by byte; both must agree.
fn decode(side: Side, bytes: &[u8]) -> Result<Vec<Seen>, DecodeError> {
    let mut seen = Vec::new();
    let whole = feed(&mut Decoder::new(side, LIMIT), bytes, &mut seen);
    let mut slow = Decoder::new(side, LIMIT);
    let mut seen_slow = Vec::new();
    let by_byte = bytes.chunks(1).try_for_each(|chunk| feed(&mut slow, chunk, &mut seen_slow));
    assert_eq!(whole, by_byte);
    assert_eq!(seen, seen_slow);
    whole.map(|()| seen)
}

const LIMIT: usize = 1 << 20;
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

fn client_frames(frames: &[(Opcode, &[u8], bool)]) -> Vec<u8> {
    let mut out = BytesMut::new();
    for (opcode, payload, last) in frames {
        write_fragment(&mut out, *opcode, payload, *last, Some(KEY));
    }
    out.to_vec()
}

#[test]
fn the_examples_of_the_rfc() {
    assert_eq!(frame(Kind::Text, b"Hello")[..], [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
    let masked = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    assert_eq!(masked_frame(Opcode::Text, b"Hello", KEY)[..], masked);
    assert_eq!(decode(Side::Server, &masked), Ok(vec![Seen::Text("Hello".into())]));
    let fragments = [0x01, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c, 0x6f];
    assert_eq!(decode(Side::Client, &fragments), Ok(vec![Seen::Text("Hello".into())]));
    assert_eq!(ping_frame(b"Hello")[..], [0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
    let pong = [0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    assert_eq!(decode(Side::Server, &pong), Ok(vec![Seen::Pong(b"Hello".to_vec())]));
    assert_eq!(frame(Kind::Binary, &[7; 256])[..4], [0x82, 0x7e, 0x01, 0x00]);
    assert_eq!(frame(Kind::Binary, &[7; 65536])[..10], [0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0]);
    assert_eq!(accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert!(is_valid_key("dGhlIHNhbXBsZSBub25jZQ==") && !is_valid_key("c2hvcnQ="));
}

#[test]
fn an_idle_decoder_is_small_and_holds_no_heap() {
    assert!(size_of::<Decoder>() <= 32, "{}", size_of::<Decoder>());
    let bytes = client_frames(&[
        (Opcode::Text, b"a", false),
        (Opcode::Ping, b"p", true),
        (Opcode::Continuation, b"b", true),
        (Opcode::Binary, b"whole", true),
    ]);
    let mut decoder = Decoder::new(Side::Server, LIMIT);
    for chunk in bytes.chunks(3) {
        feed(&mut decoder, chunk, &mut Vec::new()).unwrap();
    }
    assert!(decoder.is_idle());
}

#[test]
fn control_frames_pass_between_fragments() {
    let bytes = client_frames(&[
        (Opcode::Text, "gr\u{fc}".as_bytes(), false),
        (Opcode::Ping, b"1", true),
        (Opcode::Continuation, b"", false),
        (Opcode::Pong, b"2", true),
        (Opcode::Continuation, "\u{df}e".as_bytes(), true),
        (Opcode::Close, &[0x03, 0xe8, b'b', b'y', b'e'], true),
    ]);
    let expected = vec![
        Seen::Ping(b"1".to_vec()),
        Seen::Pong(b"2".to_vec()),
        Seen::Text("gr\u{fc}\u{df}e".into()),
        Seen::Close(Some(1000), "bye".into()),
    ];
    assert_eq!(decode(Side::Server, &bytes), Ok(expected));
}

#[test]
fn every_broken_rule_has_its_error_and_code() {
    let long_control = [0x89, 0xfe, 0x00, 0x7e];
    let huge = [0x82, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let cases: &[(&[u8], DecodeError, u16)] = &[
        (&[0x81, 0x01, b'a'], DecodeError::Unmasked, 1002),
        (&[0xc1], DecodeError::ReservedBits, 1002),
        (&[0x83], DecodeError::UnknownOpcode(3), 1002),
        (&[0x8b], DecodeError::UnknownOpcode(11), 1002),
        (&[0x09], DecodeError::FragmentedControl, 1002),
        (&long_control, DecodeError::OversizedControl, 1002),
        (&huge, DecodeError::BadLength, 1002),
        (&client_frames(&[(Opcode::Continuation, b"x", true)]), DecodeError::LoneContinuation, 1002),
        (
            &client_frames(&[(Opcode::Text, b"x", false), (Opcode::Text, b"y", true)]),
            DecodeError::InterruptedMessage,
            1002,
        ),
        (&client_frames(&[(Opcode::Close, &[3], true)]), DecodeError::BadClosePayload, 1002),
        (&client_frames(&[(Opcode::Close, &[0x03, 0xed], true)]), DecodeError::BadCloseCode(1005), 1002),
        (&client_frames(&[(Opcode::Close, &[0x03, 0xe8, 0xff], true)]), DecodeError::InvalidUtf8, 1007),
        (&client_frames(&[(Opcode::Text, &[0xc0, 0x80], true)]), DecodeError::InvalidUtf8, 1007),
        (&client_frames(&[(Opcode::Text, &[0xce], true)]), DecodeError::InvalidUtf8, 1007),
    ];
    for (bytes, error, code) in cases {
        assert_eq!(decode(Side::Server, bytes), Err(*error));
        assert_eq!(error.close_code(), *code);
    }
    assert_eq!(decode(Side::Client, &[0x81, 0x81]), Err(DecodeError::Masked));
}

#[test]
fn a_message_over_the_limit_is_refused_from_its_head() {
    let mut decoder = Decoder::new(Side::Server, 10);
    let mut seen = Vec::new();
    feed(&mut decoder, &client_frames(&[(Opcode::Text, b"0123456789", true)]), &mut seen).unwrap();
    feed(&mut decoder, &client_frames(&[(Opcode::Text, b"01234", false)]), &mut seen).unwrap();
    let head_only = &client_frames(&[(Opcode::Continuation, b"012345", true)])[..6];
    let error = feed(&mut decoder, head_only, &mut seen).unwrap_err();
    assert_eq!((error, error.close_code()), (DecodeError::TooBig { limit: 10 }, 1009));
    assert_eq!(seen, [Seen::Text("0123456789".into())]);
}

#[test]
fn empty_fragments_without_end_are_refused() {
    let mut decoder = Decoder::new(Side::Server, 10);
    let mut frames = vec![(Opcode::Text, &b""[..], false)];
    frames.resize(MAX_FRAGMENTS as usize, (Opcode::Continuation, &b""[..], false));
    feed(&mut decoder, &client_frames(&frames), &mut Vec::new()).unwrap();
    let more = client_frames(&[(Opcode::Continuation, b"", false)]);
    let error = feed(&mut decoder, &more, &mut Vec::new()).unwrap_err();
    assert_eq!((error, error.close_code()), (DecodeError::TooManyFragments, 1009));
}

#[test]
fn bad_text_is_refused_before_its_frame_ends() {
    // The bytes begin a character beyond the last one; the third is never waited for.
    let bytes = client_frames(&[(Opcode::Text, &[0xce, 0xba, 0xf4, 0x90, 0x80, 0x80], true)]);
    let mut decoder = Decoder::new(Side::Server, LIMIT);
    feed(&mut decoder, &bytes[..9], &mut Vec::new()).unwrap();
    assert_eq!(feed(&mut decoder, &bytes[9..10], &mut Vec::new()), Err(DecodeError::InvalidUtf8));
}

#[test]
fn a_fragment_filled_in_place_equals_one_copied() {
    for len in [0, 1, 125, 126, 65535, 65536] {
        let payload = vec![b'x'; len];
        let (mut written, fill) = (BytesMut::new(), |out: &mut Vec<u8>| out.extend_from_slice(&payload));
        write_fragment(&mut written, Opcode::Continuation, &payload, false, None);
        assert_eq!(fragment_with(Opcode::Continuation, false, fill), written);
    }
}

#[test]
fn a_long_reason_is_cut_between_characters() {
    let reason = "\u{20ac}".repeat(60);
    let bytes = close_frame(3008, &reason);
    assert_eq!(bytes.len(), 2 + 2 + 123);
    assert_eq!(decode(Side::Client, &bytes), Ok(vec![Seen::Close(Some(3008), "\u{20ac}".repeat(41))]));
    assert_eq!(
        decode(Side::Server, &masked_close_frame(1000, "bye", KEY)),
        Ok(vec![Seen::Close(Some(1000), "bye".into())])
    );
    assert_eq!(decode(Side::Client, &[0x88, 0x00]), Ok(vec![Seen::Close(None, String::new())]));
}

#[test]
fn a_client_checks_the_answer_to_its_request() {
    let request = ClientRequest::new("localhost:9888", "/echo", *b"the sample nonce", &[("X-Test", "1")]);
    let text = std::str::from_utf8(request.as_bytes()).unwrap();
    assert!(text.contains("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n") && text.ends_with("X-Test: 1\r\n\r\n"));
    let answer = b"HTTP/1.1 101 Switching Protocols\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x81";
    assert_eq!(request.check_response(answer), Ok(Some(answer.len() - 1)));
    assert_eq!(request.check_response(&answer[..40]), Ok(None));
    assert_eq!(request.check_response(b"HTTP/1.1 503 Service Unavailable\r\n\r\n"), Err(HandshakeError::Refused(503)));
    assert_eq!(request.check_response(b"HTTP/1.1 101 Ok\r\nfoo: bar\r\n\r\n"), Err(HandshakeError::BadAccept));
    assert_eq!(request.check_response(b"SSH-2.0\r\n\r\n"), Err(HandshakeError::NotHttp));
}

fn any_message() -> impl Strategy<Value = Seen> {
    prop_oneof![
        3 => proptest::collection::vec(any::<char>(), 0..200).prop_map(|text| Seen::Text(text.into_iter().collect())),
        3 => proptest::collection::vec(any::<u8>(), 0..70_000).prop_map(Seen::Binary),
        1 => proptest::collection::vec(any::<u8>(), 0..126).prop_map(Seen::Ping),
        1 => proptest::collection::vec(any::<u8>(), 0..126).prop_map(Seen::Pong),
    ]
}

/// Writes a message, data in fragments of `piece` bytes, each followed by an empty ping if `noisy`.
fn write_pieces(out: &mut BytesMut, message: &Seen, piece: usize, noisy: bool, key: Option<[u8; 4]>) -> usize {
    let (opcode, data) = match message {
        Seen::Text(text) => (Opcode::Text, text.as_bytes()),
        Seen::Binary(data) => (Opcode::Binary, &data[..]),
        Seen::Ping(data) => return write_control(out, Opcode::Ping, data, key),
        Seen::Pong(data) => return write_control(out, Opcode::Pong, data, key),
        Seen::Close(..) => unreachable!("not generated"),
    };
    let mut pieces: Vec<&[u8]> = data.chunks(piece).collect();
    if pieces.is_empty() {
        pieces.push(&[]);
    }
    let mut pings = 0;
    for (index, payload) in pieces.iter().enumerate() {
        let last = index + 1 == pieces.len();
        write_fragment(out, if index == 0 { opcode } else { Opcode::Continuation }, payload, last, key);
        if noisy && !last {
            write_fragment(out, Opcode::Ping, b"", true, key);
            pings += 1;
        }
    }
    pings
}

fn write_control(out: &mut BytesMut, opcode: Opcode, data: &[u8], key: Option<[u8; 4]>) -> usize {
    write_fragment(out, opcode, data, true, key);
    0
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_cut_of_any_fragmentation_gives_the_messages(
        messages in proptest::collection::vec(any_message(), 1..6),
        piece in 1_usize..5000,
        cuts in proptest::collection::vec(1_usize..9000, 1..20),
        key in any::<Option<[u8; 4]>>(),
        noisy in any::<bool>(),
    ) {
        let side = if key.is_some() { Side::Server } else { Side::Client };
        let mut bytes = BytesMut::new();
        let mut pings = 0;
        for message in &messages {
            pings += write_pieces(&mut bytes, message, piece, noisy, key);
        }
        let mut decoder = Decoder::new(side, LIMIT);
        let (mut seen, mut rest, mut cut) = (Vec::new(), &bytes[..], cuts.iter().cycle());
        while !rest.is_empty() {
            let (chunk, tail) = rest.split_at(rest.len().min(*cut.next().unwrap()));
            prop_assert!(feed(&mut decoder, chunk, &mut seen).is_ok());
            rest = tail;
        }
        prop_assert!(decoder.is_idle());
        let noise = seen.iter().filter(|event| **event == Seen::Ping(Vec::new())).count();
        let sent_noise = messages.iter().filter(|event| **event == Seen::Ping(Vec::new())).count();
        prop_assert_eq!(noise, pings + sent_noise);
        seen.retain(|event| *event != Seen::Ping(Vec::new()));
        let expected: Vec<_> = messages.into_iter().filter(|event| *event != Seen::Ping(Vec::new())).collect();
        prop_assert_eq!(seen, expected);
    }

    #[test]
    fn utf8_in_pieces_agrees_with_utf8_at_once(
        mut bytes in proptest::collection::vec(any::<char>(), 0..30).prop_map(|c| c.into_iter().collect::<String>().into_bytes()),
        damage in proptest::option::of((any::<proptest::sample::Index>(), any::<u8>())),
        piece in 1_usize..7,
    ) {
        if let Some((index, byte)) = damage && !bytes.is_empty() {
            let index = index.index(bytes.len());
            bytes[index] = byte;
        }
        let frames: Vec<(Opcode, &[u8], bool)> = bytes.chunks(piece).enumerate()
            .map(|(index, chunk)| (if index == 0 { Opcode::Text } else { Opcode::Continuation }, chunk, false))
            .chain([(if bytes.is_empty() { Opcode::Text } else { Opcode::Continuation }, &b""[..], true)])
            .collect();
        let expected = String::from_utf8(bytes.clone()).map(|text| vec![Seen::Text(text)]).map_err(|_| DecodeError::InvalidUtf8);
        prop_assert_eq!(decode(Side::Server, &client_frames(&frames)), expected);
    }

    #[test]
    fn noise_never_panics_nor_splits_differently(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode(Side::Server, &bytes);
        let _ = decode(Side::Client, &bytes);
    }
}
