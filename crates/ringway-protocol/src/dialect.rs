//! How a client is spoken to. The hub says *what* ([`Saying`]); a [`Dialect`] makes bytes of it, in two steps that know nothing of each
//! other: its [`Codec`] writes the message, its [`Framing`] wraps it for its way out.
//!
//! ```text
//!   Saying ──codec──▶ message ──framing──▶ bytes, the same for every session of this dialect
//! ```
//!
//! Whatever makes two sessions get different bytes for the same saying belongs into the dialect, and only that: sessions with equal
//! dialects share what was encoded for one of them. A binary wire is a codec and a framing, an event stream a framing; publications told
//! as differences from an earlier one have that one in their dialect.

use bytes::Bytes;
use ringway_core::id::StreamEpoch;
use ringway_core::message::Entry;

use crate::centrifuge::{Push, Reply, Shape, json, protobuf};
use crate::framing::{Framing, Part};
use crate::plain::{self, Body};
use crate::ws;

/// How a session is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Dialect {
    /// Writes a message.
    pub codec: Codec,
    /// Wraps it.
    pub framing: Framing,
}

/// A client protocol on a wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// The Centrifuge protocol as JSON.
    CentrifugeJson,
    /// The Centrifuge protocol as Protobuf.
    CentrifugeProtobuf,
    /// The same for clients that only listen: bare pushes, of which the first says that the session has begun. Nobody is answered.
    CentrifugeJsonPushes,
    /// The plain protocol, which is JSON.
    Plain,
    /// Publications as their payloads, and nothing else; for tests of what is to be the same for every client.
    #[cfg(any(test, feature = "testing"))]
    Bare,
}

/// What is said to a client. A codec that has no words for it says nothing.
#[derive(Debug, Clone)]
pub enum Saying<'a> {
    /// A publication of a channel that it listens to.
    Publication(Placed<'a>),
    /// The answer to its command of this id, or a part of it.
    Reply(u32, &'a Reply<'a>, Part),
    /// What else happened to its session.
    Push(Push<'a>),
    /// It is to answer that it is there.
    Ping,
    /// What only the plain protocol says.
    Plain(Body<'a>),
}

/// A publication and where it stands.
#[derive(Debug, Clone, Copy)]
pub struct Placed<'a> {
    /// The channel's full name.
    pub channel: &'a str,
    /// Its stream; `None` without history.
    pub epoch: Option<StreamEpoch>,
    /// Its place in there; 0 without history.
    pub offset: u64,
    /// What was published.
    pub entry: &'a Entry,
    /// How its payload is told.
    pub shape: Shape<'a>,
}

impl Saying<'_> {
    /// Which part of its message it is.
    pub fn part(&self) -> Part {
        if let Self::Reply(_, _, part) = self { *part } else { Part::WHOLE }
    }
}

impl Dialect {
    /// Centrifuge clients with JSON over a WebSocket.
    pub const CENTRIFUGE: Self = Self { codec: Codec::CentrifugeJson, framing: Framing::WebSocketText };
    /// Centrifuge clients with Protobuf over a WebSocket.
    pub const CENTRIFUGE_PROTOBUF: Self = Self { codec: Codec::CentrifugeProtobuf, framing: Framing::WebSocketBinary };
    /// The same over a response that streams lines, or events.
    pub const HTTP_STREAM: Self = Self { codec: Codec::CentrifugeJson, framing: Framing::Lines };
    /// The same with Protobuf, in length-delimited pieces.
    pub const HTTP_STREAM_PROTOBUF: Self = Self { codec: Codec::CentrifugeProtobuf, framing: Framing::Delimited };
    /// As above.
    pub const SSE: Self = Self { codec: Codec::CentrifugeJson, framing: Framing::Events };
    /// Centrifuge clients that only listen, on each way.
    pub const UNI_WEBSOCKET: Self = Self { codec: Codec::CentrifugeJsonPushes, framing: Framing::WebSocketText };
    /// As above.
    pub const UNI_HTTP_STREAM: Self = Self { codec: Codec::CentrifugeJsonPushes, framing: Framing::Lines };
    /// As above.
    pub const UNI_SSE: Self = Self { codec: Codec::CentrifugeJsonPushes, framing: Framing::Events };
    /// Plain clients.
    pub const PLAIN: Self = Self { codec: Codec::Plain, framing: Framing::WebSocketText };

    /// The bytes of a saying, if there are words for it. `scratch` is for writing in, and is left empty. `date_time` tells the present as
    /// people read it.
    pub fn encode<'c>(
        self,
        scratch: &mut Vec<u8>,
        saying: &Saying<'_>,
        date_time: impl FnOnce() -> &'c str,
    ) -> Option<Bytes> {
        let part = saying.part();
        if part != Part::WHOLE {
            let mut is_said = false;
            let frame = self.framing.part(part, |out| is_said = self.codec.write(out, saying, date_time));
            return is_said.then_some(frame);
        }
        let is_said = self.codec.write(scratch, saying, date_time);
        let frame = is_said.then(|| self.framing.whole(scratch));
        scratch.clear();
        frame
    }
}

impl Dialect {
    /// The last that a client hears: a close frame where the way out has one, a push where it has none, and both for one that only listens.
    pub fn farewell(self, code: u16, reason: &str) -> Bytes {
        let push = || {
            let saying = Saying::Push(Push::Disconnect { code, reason });
            self.encode(&mut Vec::new(), &saying, || "").unwrap_or_default()
        };
        match (self.framing, self.codec) {
            (Framing::WebSocketText, Codec::CentrifugeJsonPushes) => {
                Bytes::from([push(), ws::close_frame(code, reason)].concat())
            }
            (Framing::WebSocketText | Framing::WebSocketBinary, _) => ws::close_frame(code, reason),
            (Framing::Lines | Framing::Events | Framing::Delimited, _) => push(),
        }
    }

    /// How the client shows that it has what it was sent.
    pub fn proof(self) -> Proof {
        match (self.framing, self.codec) {
            (Framing::WebSocketText | Framing::WebSocketBinary, _) => Proof::Probe,
            (_, Codec::CentrifugeJsonPushes) => Proof::Written,
            (Framing::Lines | Framing::Events | Framing::Delimited, _) => Proof::Pong,
        }
    }

    /// The client only listens: it is not answered, and answers nothing.
    pub fn is_one_way(self) -> bool {
        self.codec == Codec::CentrifugeJsonPushes
    }
}

/// How a client shows that it has what it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// Its side answers [`Framing::probe`] by itself.
    Probe,
    /// It answers the protocol's ping.
    Pong,
    /// Not at all. What has left for it counts as there.
    Written,
}

impl Codec {
    /// Appends a saying; whether there are words for it.
    fn write<'c>(self, out: &mut Vec<u8>, saying: &Saying<'_>, date_time: impl FnOnce() -> &'c str) -> bool {
        match self {
            Self::CentrifugeJson => json::say(out, saying),
            Self::CentrifugeProtobuf => protobuf::say(out, saying),
            Self::CentrifugeJsonPushes => json::say_one_way(out, saying),
            Self::Plain => plain::say(out, saying, date_time),
            #[cfg(any(test, feature = "testing"))]
            Self::Bare => match saying {
                Saying::Publication(placed) => {
                    out.extend_from_slice(placed.entry.data());
                    true
                }
                _ => false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::centrifuge::ConnectResult;

    fn encoded(dialect: Dialect, saying: &Saying<'_>) -> Option<Bytes> {
        let mut scratch = Vec::new();
        let frame = dialect.encode(&mut scratch, saying, || "2026-11-22 20:16:18");
        assert!(scratch.is_empty());
        frame
    }

    #[test]
    fn a_codec_and_a_framing_know_nothing_of_each_other() {
        let entry = Entry::of(b"[1]");
        let saying =
            Saying::Publication(Placed { channel: "news", epoch: None, offset: 7, entry: &entry, shape: Shape::Plain });
        let said = |codec, framing| encoded(Dialect { codec, framing }, &saying).unwrap();
        let json = br#"{"push":{"channel":"news","pub":{"data":[1],"offset":7}}}"#;
        assert_eq!(said(Codec::CentrifugeJson, Framing::Lines), [&json[..], b"\n"].concat());
        assert_eq!(said(Codec::CentrifugeJson, Framing::WebSocketText), Framing::WebSocketText.whole(json));
        assert_eq!(said(Codec::Bare, Framing::Lines), &b"[1]\n"[..]);
        assert_eq!(said(Codec::Bare, Framing::WebSocketText), Framing::WebSocketText.whole(b"[1]"));
    }

    #[test]
    fn who_only_listens_gets_bare_pushes() {
        let entry = Entry::of(b"[1]");
        let placed = Placed { channel: "news", epoch: None, offset: 7, entry: &entry, shape: Shape::Plain };
        let result = ConnectResult { client: "c", version: "v", ping: 25, ..ConnectResult::default() };
        for (saying, expected) in [
            (Saying::Publication(placed), r#"{"channel":"news","pub":{"data":[1],"offset":7}}"#),
            (
                Saying::Reply(0, &Reply::Connect(&result), Part::WHOLE),
                r#"{"connect":{"client":"c","version":"v","ping":25}}"#,
            ),
            (Saying::Ping, "{}"),
            (Saying::Push(Push::Message(b"1")), r#"{"message":{"data":1}}"#),
        ] {
            assert_eq!(encoded(Dialect::UNI_HTTP_STREAM, &saying).unwrap(), format!("{expected}\n"));
        }
        assert!(encoded(Dialect::UNI_SSE, &Saying::Reply(1, &Reply::Publish, Part::WHOLE)).is_none());
    }

    #[test]
    fn the_last_word_is_a_push_where_there_is_no_close_frame() {
        let push = r#"{"push":{"disconnect":{"code":3001,"reason":"shutdown"}}}"#;
        assert_eq!(Dialect::HTTP_STREAM.farewell(3001, "shutdown"), format!("{push}\n"));
        assert_eq!(Dialect::SSE.farewell(3001, "shutdown"), format!("data: {push}\n\n"));
        let bare = r#"{"disconnect":{"code":3001,"reason":"shutdown"}}"#;
        assert_eq!(Dialect::UNI_SSE.farewell(3001, "shutdown"), format!("data: {bare}\n\n"));
        assert_eq!(Dialect::CENTRIFUGE.farewell(3001, "shutdown"), ws::close_frame(3001, "shutdown"));
        let both = [Framing::WebSocketText.whole(bare.as_bytes()), ws::close_frame(3001, "shutdown")].concat();
        assert_eq!(Dialect::UNI_WEBSOCKET.farewell(3001, "shutdown"), both);
    }

    #[test]
    fn what_a_protocol_has_no_words_for_is_not_said() {
        for saying in [Saying::Ping, Saying::Reply(1, &Reply::Publish, Part::WHOLE)] {
            assert!(encoded(Dialect::CENTRIFUGE, &saying).is_some());
            assert!(encoded(Dialect::PLAIN, &saying).is_none());
        }
        let problem = Saying::Plain(Body::Problem("no"));
        assert!(encoded(Dialect::CENTRIFUGE, &problem).is_none() && encoded(Dialect::PLAIN, &problem).is_some());
    }
}
