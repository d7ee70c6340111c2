//! How a message is wrapped for its way out: what tells a client where a message begins and ends. Whoever wrote the message does not know.
//!
//! A further way out is a variant here. Nothing else has to know of it but whoever opens such a connection.

use bytes::Bytes;

use crate::ws::{self, Kind, Opcode};

/// One way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Framing {
    /// A text message of a WebSocket.
    WebSocketText,
    /// A binary message of a WebSocket, in which the message stands behind its length as a varint. There are no parts of it: the length of
    /// the whole would have to be known with the first.
    WebSocketBinary,
    /// A line of a body that is streamed. No message has a line end inside: payloads are compact.
    Lines,
    /// An event of an event stream, in the same way.
    Events,
    /// A piece of such a body, behind its length as a varint. There are no parts of it, for the same reason.
    Delimited,
}

/// Where a part of a message stands in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Nothing comes before it.
    pub is_first: bool,
    /// Nothing follows it.
    pub is_last: bool,
}

impl Part {
    /// The whole message.
    pub const WHOLE: Self = Self { is_first: true, is_last: true };
}

impl Framing {
    /// A whole message.
    #[must_use]
    pub fn whole(self, message: &[u8]) -> Bytes {
        match self {
            Self::WebSocketText => ws::frame(Kind::Text, message),
            Self::WebSocketBinary => with_length(message, |length| ws::frame_of(Kind::Binary, &[length, message])),
            Self::Delimited => with_length(message, |length| Bytes::from([length, message].concat())),
            Self::Lines => Bytes::from([message, b"\n"].concat()),
            Self::Events => Bytes::from([EVENT, message, EVENT_END].concat()),
        }
    }

    /// Messages may go out in parts; if not, each is to be whole.
    pub fn has_parts(self) -> bool {
        !matches!(self, Self::WebSocketBinary | Self::Delimited)
    }

    /// A part of a message, which `write` appends to what it is given: parts are large, and this one stays where it is written.
    #[must_use]
    pub fn part(self, part: Part, write: impl FnOnce(&mut Vec<u8>)) -> Bytes {
        match self {
            Self::WebSocketText => {
                let opcode = if part.is_first { Opcode::Text } else { Opcode::Continuation };
                ws::fragment_with(opcode, part.is_last, write)
            }
            Self::WebSocketBinary | Self::Delimited => {
                let mut message = Vec::new();
                write(&mut message);
                self.whole(&message)
            }
            Self::Lines => wrapped(b"", part, write, b"\n"),
            Self::Events => wrapped(EVENT, part, write, EVENT_END),
        }
    }

    /// Asks the other end to answer with this number, which it does by itself once it has read what came before. `None` where this way has
    /// nothing of the kind.
    #[must_use]
    pub fn probe(self, number: u32) -> Option<Bytes> {
        match self {
            Self::WebSocketText | Self::WebSocketBinary => Some(ws::ping_frame(&number.to_be_bytes())),
            Self::Lines | Self::Events | Self::Delimited => None,
        }
    }
}

/// Gives a message's length as a varint to whoever puts it in front.
fn with_length(message: &[u8], wrap: impl FnOnce(&[u8]) -> Bytes) -> Bytes {
    let mut delimiter = [0; 10];
    let size = prost::length_delimiter_len(message.len());
    prost::encode_length_delimiter(message.len(), &mut &mut delimiter[..]).expect("a varint has ten bytes at most");
    wrap(&delimiter[..size])
}

/// What an event begins and ends with.
const EVENT: &[u8] = b"data: ";
const EVENT_END: &[u8] = b"\n\n";

fn wrapped(begin: &[u8], part: Part, write: impl FnOnce(&mut Vec<u8>), end: &[u8]) -> Bytes {
    let mut out = if part.is_first { begin.to_vec() } else { Vec::new() };
    write(&mut out);
    out.extend_from_slice(if part.is_last { end } else { b"" });
    Bytes::from(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_in_parts_is_the_message() {
        let parts = [("ab", true, false), ("", false, false), ("c", false, true)];
        for (framing, expected) in [(Framing::Lines, "abc\n"), (Framing::Events, "data: abc\n\n")] {
            let joined: Vec<u8> = parts
                .iter()
                .flat_map(|(text, is_first, is_last)| {
                    let part = Part { is_first: *is_first, is_last: *is_last };
                    framing.part(part, |out| out.extend_from_slice(text.as_bytes()))
                })
                .collect();
            assert_eq!(joined, framing.whole(b"abc"));
            assert_eq!(joined, expected.as_bytes());
        }
        assert!(Framing::WebSocketText.has_parts() && Framing::Lines.has_parts());
        let whole = Framing::WebSocketText.part(Part::WHOLE, |out| out.extend_from_slice(b"abc"));
        assert_eq!(whole, Framing::WebSocketText.whole(b"abc"));
    }

    #[test]
    fn a_binary_message_stands_behind_its_length() {
        let binary = Framing::WebSocketBinary;
        assert!(!binary.has_parts());
        for (length, delimiter) in
            [(0, &[0][..]), (3, &[3]), (127, &[127]), (128, &[0x80, 1]), (70_000, &[0xf0, 0xa2, 4])]
        {
            let message = vec![7; length];
            let frame = binary.whole(&message);
            let (opcode, is_last, payload) = ws::server_frame(&frame).unwrap();
            assert_eq!((opcode, is_last), (Opcode::Binary, true));
            assert_eq!(payload, [delimiter, &message].concat(), "{length}");
            assert_eq!(binary.part(Part::WHOLE, |out| out.extend_from_slice(&message)), frame);
        }
    }
}
