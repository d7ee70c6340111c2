//! From a text frame to commands.

use std::borrow::Cow;
use std::fmt;
use std::str::Split;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::centrifuge::request::{OfChannel, OfData, OfToken};
use crate::centrifuge::{Command, Emulated, Request};

/// Most commands in one frame. The JavaScript SDK puts its connect and every subscribe into its first frame, and a
/// connection has at most a few hundred channels. A frame with more is a [`BadFrame`] once the limit is reached.
pub const COMMANDS_PER_FRAME: usize = 1024;

/// What a client sent is not the protocol: the session ends with code 3501.
#[derive(Debug, thiserror::Error)]
pub enum BadFrame {
    /// The frame is not text.
    #[error("the frame is not UTF-8 text")]
    NotUtf8(#[from] std::str::Utf8Error),
    /// The frame, or a line of it, is empty.
    #[error("the frame has an empty line where a command should be")]
    Empty,
    /// A line is not a JSON object of the protocol's shape.
    #[error("a command cannot be read: {0}")]
    Malformed(#[from] serde_json::Error),
    /// A command has an id but no request that this server knows.
    #[error("the command holds no known request")]
    NoRequest,
    /// More than [`COMMANDS_PER_FRAME`] commands.
    #[error("the frame holds more than {COMMANDS_PER_FRAME} commands")]
    TooMany,
}

/// Splits a frame into its commands, read one by one as the iterator is driven, so that a normal frame costs no
/// allocation. A faulty command does not undo those before it; nothing follows it.
///
/// # Errors
/// [`BadFrame::NotUtf8`] if the frame is not text; every other fault comes out of the iterator.
pub fn decode_frame(frame: &[u8]) -> Result<Commands<'_>, BadFrame> {
    let text = std::str::from_utf8(frame)?;
    let lines = text.strip_suffix('\n').unwrap_or(text).split('\n');
    Ok(Commands { lines: Some(lines), count: 0 })
}

/// Reads the bare connect request of a client that only listens; `null` asks for nothing in particular.
///
/// # Errors
/// [`BadFrame`]: there is no session for it.
pub fn decode_connect(request: &[u8]) -> Result<Command<'_>, BadFrame> {
    let request: Option<_> = serde_json::from_str(std::str::from_utf8(request)?)?;
    Ok(Command { id: 1, request: Request::Connect(Box::new(request.unwrap_or_default())) })
}

/// Reads what was posted for a session.
///
/// # Errors
/// [`BadFrame`].
pub fn decode_emulated(body: &[u8]) -> Result<Emulated<'_>, BadFrame> {
    #[derive(Deserialize)]
    struct Posted<'a> {
        #[serde(borrow, default)]
        session: Cow<'a, str>,
        #[serde(borrow, default)]
        node: Cow<'a, str>,
        #[serde(borrow, default)]
        data: Cow<'a, str>,
    }
    let Posted { session, node, data } = serde_json::from_str(std::str::from_utf8(body)?)?;
    let data = match data {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    };
    Ok(Emulated { session, node, data })
}

/// The commands of one frame, in order, up to the first fault.
#[derive(Debug, Clone)]
pub struct Commands<'a> {
    lines: Option<Split<'a, char>>,
    count: usize,
}

impl<'a> Iterator for Commands<'a> {
    type Item = Result<Command<'a>, BadFrame>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.lines.as_mut()?.next()?;
        self.count += 1;
        let command = if self.count > COMMANDS_PER_FRAME { Err(BadFrame::TooMany) } else { decode_command(line) };
        if command.is_err() {
            self.lines = None;
        }
        Some(command)
    }
}

fn decode_command(line: &str) -> Result<Command<'_>, BadFrame> {
    if line.is_empty() {
        return Err(BadFrame::Empty);
    }
    let Line { id, sends, first } = serde_json::from_str(line)?;
    let request = match first {
        _ if id == 0 && !sends => Request::Pong,
        Some((_, request)) => request,
        None => return Err(BadFrame::NoRequest),
    };
    Ok(Command { id, request })
}

/// The keys of a command. Of several requests the one that stands first here counts.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Key {
    Connect,
    Subscribe,
    Unsubscribe,
    Publish,
    Presence,
    PresenceStats,
    History,
    Rpc,
    Send,
    Refresh,
    SubRefresh,
    Id,
    #[serde(other)]
    Unknown,
}

/// What a line says, as far as it counts. Read by hand: a derived type would hold every request at once, a kilobyte to
/// move about for each pong.
#[derive(Default)]
struct Line<'a> {
    id: u32,
    /// Whether `send` is among the requests.
    sends: bool,
    first: Option<(Key, Request<'a>)>,
}

impl<'de> Deserialize<'de> for Line<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Lines;
        impl<'de> Visitor<'de> for Lines {
            type Value = Line<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a command object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Line<'de>, A::Error> {
                let mut line = Line::default();
                while let Some(key) = map.next_key()? {
                    line.read_value(key, &mut map)?;
                }
                Ok(line)
            }
        }
        deserializer.deserialize_map(Lines)
    }
}

impl<'de> Line<'de> {
    fn read_value<A: MapAccess<'de>>(&mut self, key: Key, map: &mut A) -> Result<(), A::Error> {
        let request = match key {
            Key::Connect => value(map)?.map(|request| Request::Connect(Box::new(request))),
            Key::Subscribe => value(map)?.map(|request| Request::Subscribe(Box::new(request))),
            Key::Unsubscribe => value(map)?.map(|OfChannel { channel }| Request::Unsubscribe(channel)),
            Key::Publish => value(map)?.map(Request::Publish),
            Key::Presence => value(map)?.map(|OfChannel { channel }| Request::Presence(channel)),
            Key::PresenceStats => value(map)?.map(|OfChannel { channel }| Request::PresenceStats(channel)),
            Key::History => value(map)?.map(Request::History),
            Key::Rpc => value(map)?.map(Request::Rpc),
            Key::Send => value(map)?.map(|OfData { data }| Request::Send(data)),
            Key::Refresh => value(map)?.map(|OfToken { token }| Request::Refresh(token)),
            Key::SubRefresh => value(map)?.map(Request::SubRefresh),
            Key::Id => {
                self.id = map.next_value::<Option<u32>>()?.unwrap_or(0);
                None
            }
            Key::Unknown => map.next_value::<IgnoredAny>().map(|_| None)?,
        };
        let Some(request) = request else { return Ok(()) };
        self.sends |= key == Key::Send;
        if self.first.as_ref().is_none_or(|(had, _)| key <= *had) {
            self.first = Some((key, request));
        }
        Ok(())
    }
}

/// A request, or nothing for `null`.
fn value<'de, A: MapAccess<'de>, T: Deserialize<'de>>(map: &mut A) -> Result<Option<T>, A::Error> {
    map.next_value()
}
