//! From a binary frame to commands.

use std::borrow::Cow;

use prost::{DecodeError, Message};

use super::schema;
use crate::centrifuge::json::COMMANDS_PER_FRAME;
use crate::centrifuge::{
    Command, ConnectRequest, Emulated, HistoryRequest, PublishRequest, Request, RpcRequest, Since, SubRefreshRequest,
    SubscribeRequest,
};
use crate::json;

/// What a client sent is not the protocol: the session ends with code 3501.
#[derive(Debug, thiserror::Error)]
pub enum BadFrame {
    /// The frame has no bytes.
    #[error("the frame is empty")]
    Empty,
    /// A message ends behind the frame's end, or is not of the protocol's shape.
    #[error("a command cannot be read: {0}")]
    Malformed(#[from] DecodeError),
    /// A command has an id but no request that this server knows.
    #[error("the command holds no known request")]
    NoRequest,
    /// More than [`COMMANDS_PER_FRAME`] commands.
    #[error("the frame holds more than {COMMANDS_PER_FRAME} commands")]
    TooMany,
}

/// Splits a frame into its commands, read one by one as the iterator is driven. A faulty command does not undo those before it; nothing
/// follows it.
pub fn decode_frame(frame: &[u8]) -> Commands<'_> {
    Commands { rest: Some(frame), count: 0 }
}

/// Reads what was posted for a session.
///
/// # Errors
/// [`BadFrame`].
pub fn decode_emulated(body: &[u8]) -> Result<Emulated<'static>, BadFrame> {
    let schema::EmulationRequest { node, session, data } = schema::EmulationRequest::decode(body)?;
    Ok(Emulated { session: session.into(), node: node.into(), data: data.into() })
}

/// The commands of one frame, in order, up to the first fault.
#[derive(Debug, Clone)]
pub struct Commands<'a> {
    /// `None` behind a fault.
    rest: Option<&'a [u8]>,
    count: usize,
}

impl Iterator for Commands<'_> {
    type Item = Result<Command<'static>, BadFrame>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest.as_mut()?;
        if rest.is_empty() && self.count > 0 {
            return None;
        }
        self.count += 1;
        let command = match self.count {
            _ if rest.is_empty() => Err(BadFrame::Empty),
            ..=COMMANDS_PER_FRAME => take_command(rest),
            _ => Err(BadFrame::TooMany),
        };
        if command.is_err() {
            self.rest = None;
        }
        Some(command)
    }
}

/// Takes the first message off the rest of a frame.
fn take_command(rest: &mut &[u8]) -> Result<Command<'static>, BadFrame> {
    let command = schema::Command::decode_length_delimited(rest)?;
    let id = command.id;
    let is_pong = id == 0 && command.send.is_none();
    let request = if is_pong { Request::Pong } else { first(command)?.ok_or(BadFrame::NoRequest)? };
    Ok(Command { id, request })
}

/// Of several requests the one that stands first here counts.
fn first(command: schema::Command) -> Result<Option<Request<'static>>, DecodeError> {
    let of = |request: schema::ChannelRequest| Cow::Owned(request.channel);
    let schema::Command { id: _, connect, subscribe, unsubscribe, publish, presence, presence_stats, .. } = command;
    let schema::Command { history, rpc, send, refresh, sub_refresh, .. } = command;
    if let Some(request) = connect {
        return Ok(Some(Request::Connect(Box::new((*request).try_into()?))));
    }
    if let Some(request) = subscribe {
        return Ok(Some(Request::Subscribe(Box::new((*request).try_into()?))));
    }
    let request = None
        .or_else(|| unsubscribe.map(|request| Request::Unsubscribe(of(request))))
        .or_else(|| publish.map(|request| Request::Publish(request.into())))
        .or_else(|| presence.map(|request| Request::Presence(of(request))))
        .or_else(|| presence_stats.map(|request| Request::PresenceStats(of(request))))
        .or_else(|| history.map(|request| Request::History((*request).into())))
        .or_else(|| rpc.map(|request| Request::Rpc(request.into())))
        .or_else(|| send.map(|request| Request::Send(given(request.data))))
        .or_else(|| refresh.map(|request| Request::Refresh(request.token.into())))
        .or_else(|| sub_refresh.map(|request| Request::SubRefresh((*request).into())));
    Ok(request)
}

/// A payload; nothing is none.
fn given(data: Vec<u8>) -> Option<Cow<'static, [u8]>> {
    (!data.is_empty()).then_some(Cow::Owned(data))
}

/// Most bytes of a filter that is looked into. A node takes two of them and much more in memory, so one that is larger is told as what is
/// no filter, and refused.
const FILTER_BYTES: usize = 4 << 10;

/// A filter as JSON.
fn filter(node: &[u8]) -> Result<Cow<'static, [u8]>, DecodeError> {
    if node.len() > FILTER_BYTES {
        return Ok(Cow::Borrowed(b"false"));
    }
    let node = schema::FilterNode::decode(node)?;
    Ok(Cow::Owned(serde_json::to_vec(&node).unwrap_or_default()))
}

impl TryFrom<schema::ConnectRequest> for ConnectRequest<'static> {
    type Error = DecodeError;

    fn try_from(request: schema::ConnectRequest) -> Result<Self, DecodeError> {
        let schema::ConnectRequest { token, data, subs, name, version, headers, flag } = request;
        let subs = subs
            .into_iter()
            .map(|(channel, wish)| Ok((channel, wish.try_into()?)))
            .collect::<Result<_, DecodeError>>()?;
        Ok(Self {
            token: token.into(),
            data: given(data),
            subs,
            name: name.into(),
            version: version.into(),
            headers,
            flag,
        })
    }
}

impl TryFrom<schema::SubscribeRequest> for SubscribeRequest<'static> {
    type Error = DecodeError;

    fn try_from(request: schema::SubscribeRequest) -> Result<Self, DecodeError> {
        Ok(Self {
            channel: request.channel.into(),
            token: request.token.into(),
            recover: request.recover,
            epoch: request.epoch.into(),
            offset: request.offset,
            data: given(request.data),
            positioned: request.positioned,
            recoverable: request.recoverable,
            join_leave: request.join_leave,
            delta: request.delta.into(),
            filter: request.tf.as_deref().map(filter).transpose()?,
            flag: request.flag,
            kind: request.r#type,
        })
    }
}

impl From<schema::PublishRequest> for PublishRequest<'static> {
    fn from(request: schema::PublishRequest) -> Self {
        let schema::PublishRequest { channel, data, r#type: kind } = request;
        let is_opaque = !json::is_compact(&data);
        Self { channel: channel.into(), data: given(data), is_opaque, kind }
    }
}

impl From<schema::HistoryRequest> for HistoryRequest<'static> {
    fn from(request: schema::HistoryRequest) -> Self {
        let schema::HistoryRequest { channel, limit, since, reverse } = request;
        let since = since.map(|since| Since { offset: since.offset, epoch: since.epoch.into() });
        Self { channel: channel.into(), limit, since, reverse }
    }
}

impl From<schema::RpcRequest> for RpcRequest<'static> {
    fn from(request: schema::RpcRequest) -> Self {
        Self { method: request.method.into(), data: given(request.data) }
    }
}

impl From<schema::SubRefreshRequest> for SubRefreshRequest<'static> {
    fn from(request: schema::SubRefreshRequest) -> Self {
        let schema::SubRefreshRequest { channel, token, r#type: kind } = request;
        Self { channel: channel.into(), token: token.into(), kind }
    }
}
