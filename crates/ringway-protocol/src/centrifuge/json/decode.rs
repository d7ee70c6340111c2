//! From a text frame to commands.

use std::str::Split;

use serde::Deserialize;

use crate::centrifuge::request::{OfChannel, OfData, OfToken};
use crate::centrifuge::{
    Command, ConnectRequest, HistoryRequest, PublishRequest, Request, RpcRequest, SubRefreshRequest, SubscribeRequest,
};
use crate::json::fields::{Strict, nullable, object};

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

/// A command on the wire: an id and, so it should be, one request.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Envelope<'a> {
    #[serde(deserialize_with = "nullable")]
    id: u32,
    #[serde(borrow, deserialize_with = "object")]
    connect: Option<ConnectRequest<'a>>,
    #[serde(borrow, deserialize_with = "object")]
    subscribe: Option<SubscribeRequest<'a>>,
    #[serde(borrow, deserialize_with = "object")]
    unsubscribe: Option<OfChannel<'a>>,
    #[serde(borrow, deserialize_with = "object")]
    publish: Option<PublishRequest<'a>>,
    #[serde(borrow, deserialize_with = "object")]
    presence: Option<OfChannel<'a>>,
    #[serde(borrow, deserialize_with = "object")]
    presence_stats: Option<OfChannel<'a>>,
    #[serde(borrow, deserialize_with = "object")]
    history: Option<HistoryRequest<'a>>,
    #[serde(borrow, deserialize_with = "object")]
    rpc: Option<RpcRequest<'a>>,
    #[serde(borrow, deserialize_with = "object")]
    send: Option<OfData<'a>>,
    #[serde(borrow, deserialize_with = "object")]
    refresh: Option<OfToken<'a>>,
    #[serde(borrow, deserialize_with = "object")]
    sub_refresh: Option<SubRefreshRequest<'a>>,
}

impl<'a> Envelope<'a> {
    /// The first request present, in the protocol's order.
    fn into_request(self) -> Result<Request<'a>, BadFrame> {
        let channel = |request: OfChannel<'a>| request.channel;
        let connect = self.connect.map(|request| Request::Connect(Box::new(request)));
        connect
            .or_else(|| self.subscribe.map(|request| Request::Subscribe(Box::new(request))))
            .or_else(|| self.unsubscribe.map(channel).map(Request::Unsubscribe))
            .or_else(|| self.publish.map(Request::Publish))
            .or_else(|| self.presence.map(channel).map(Request::Presence))
            .or_else(|| self.presence_stats.map(channel).map(Request::PresenceStats))
            .or_else(|| self.history.map(Request::History))
            .or_else(|| self.rpc.map(Request::Rpc))
            .or_else(|| self.send.map(|request| Request::Send(request.data)))
            .or_else(|| self.refresh.map(|request| Request::Refresh(request.token)))
            .or_else(|| self.sub_refresh.map(Request::SubRefresh))
            .ok_or(BadFrame::NoRequest)
    }
}

fn decode_command(line: &str) -> Result<Command<'_>, BadFrame> {
    if line.is_empty() {
        return Err(BadFrame::Empty);
    }
    let Strict(envelope) = serde_json::from_str::<Strict<Envelope<'_>>>(line)?;
    let id = envelope.id;
    let is_pong = id == 0 && envelope.send.is_none();
    let request = if is_pong { Request::Pong } else { envelope.into_request()? };
    Ok(Command { id, request })
}
