//! What Centrifuge clients ask, in a form that outlives the frame it came in. Made in the connection's own task, with
//! names and tokens already checked, so that the hub only decides.

use std::borrow::Cow;

use bytes::Bytes;
use ringway_core::ChannelName;
use ringway_core::id::NameError;
use ringway_protocol::centrifuge::{
    self, ConnectRequest, Disconnect, Filter, NoFilter, Request, Since, SubscribeRequest,
};

use super::auth::{Credentials, Grant, TokenError, Verifier};
use super::wish::Extras;

/// One thing a client asks.
#[derive(Debug)]
pub struct Command {
    /// Echoed in the reply.
    pub id: u32,
    /// What is asked.
    pub ask: Ask,
}

/// The name of a channel, or what is wrong with it.
pub type Named = Result<ChannelName, NameError>;

/// What can be asked.
#[derive(Debug)]
pub enum Ask {
    /// A session.
    Connect(Box<Connect>),
    /// A channel's publications.
    Subscribe(Box<Subscribe>),
    /// An end to them.
    Unsubscribe(Named),
    /// A publication; `None` without data.
    Publish(Named, Option<Payload>),
    /// Who is in a channel.
    Presence(Named),
    /// How many are in a channel.
    PresenceStats(Named),
    /// A part of a stream.
    History(Box<History>),
    /// A method of an application: there is none.
    Rpc,
    /// A payload for an application: there is none.
    Send,
    /// New credentials for the connection.
    Refresh(Box<Result<Credentials, TokenError>>),
    /// A new token for a channel.
    SubRefresh(Box<SubRefresh>),
    /// The answer to a ping.
    Pong,
    /// What cannot be read, and how its client is closed for it. Nothing follows it.
    Broken(Disconnect),
}

/// What is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// The bytes.
    pub data: Bytes,
    /// They are not compact JSON.
    pub is_opaque: bool,
}

impl From<Bytes> for Payload {
    /// Compact JSON.
    fn from(data: Bytes) -> Self {
        Self { data, is_opaque: false }
    }
}

/// A wish for a session.
#[derive(Debug)]
pub struct Connect {
    /// Who; `None` if the client showed no token.
    pub credentials: Option<Result<Credentials, TokenError>>,
    /// Where the client stands in what the server has subscribed it to before.
    pub recover: Vec<(String, Seen)>,
}

/// A wish for a channel's publications.
#[derive(Debug)]
pub struct Subscribe {
    /// Which.
    pub channel: Named,
    /// From where, if something may have been missed.
    pub recover: Option<Seen>,
    /// An error is preferred to a subscription that has missed something.
    pub rejects_unrecovered: bool,
    /// What its token grants, if it shows one.
    pub token: Option<Result<Grant, TokenError>>,
    /// Asks for another kind of subscription.
    pub is_foreign: bool,
    /// Asks for publications with some tags alone, if that makes sense.
    pub filter: Option<Result<Box<Filter>, NoFilter>>,
    /// Names a delta format that does not exist.
    pub is_malformed: bool,
    /// What is asked for beside the publications.
    pub extras: Extras,
}

/// A new token for a channel.
#[derive(Debug)]
pub struct SubRefresh {
    /// Which.
    pub channel: Named,
    /// What the token grants; `None` without one.
    pub token: Option<Result<Grant, TokenError>>,
}

/// A place in a stream as a client names it: its epoch may be anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The last offset seen.
    pub offset: u64,
    /// What it counts in; empty matches any stream.
    pub epoch: Box<str>,
}

/// A wish for a part of a stream.
#[derive(Debug)]
pub struct History {
    /// Which stream.
    pub channel: Named,
    /// How many: 0 for the position alone, negative for as many as there may be.
    pub limit: i32,
    /// Where to start.
    pub since: Option<Seen>,
    /// Newest first.
    pub reverse: bool,
}

impl Ask {
    /// It takes an owner to answer it. So many of these are under way at most; then the client is not read from.
    pub fn is_counted(&self) -> bool {
        matches!(self, Self::Publish(..) | Self::History(_) | Self::Presence(_) | Self::PresenceStats(_))
    }

    /// It shows a token that was not signed with our secret.
    pub fn is_guess(&self) -> bool {
        let fault = match self {
            Self::Connect(connect) => connect.credentials.as_ref().and_then(|shown| shown.as_ref().err()),
            Self::Refresh(shown) => shown.as_ref().as_ref().err(),
            Self::Subscribe(subscribe) => subscribe.token.as_ref().and_then(|shown| shown.as_ref().err()),
            Self::SubRefresh(refresh) => refresh.token.as_ref().and_then(|shown| shown.as_ref().err()),
            Self::Unsubscribe(_)
            | Self::Publish(..)
            | Self::Presence(_)
            | Self::PresenceStats(_)
            | Self::History(_)
            | Self::Rpc
            | Self::Send
            | Self::Pong
            | Self::Broken(_) => None,
        };
        fault == Some(&TokenError::Invalid)
    }

    /// The channel that it is about, if it has a proper name.
    pub(super) fn channel(&self) -> Option<&ChannelName> {
        let named = match self {
            Self::Subscribe(subscribe) => &subscribe.channel,
            Self::History(history) => &history.channel,
            Self::SubRefresh(refresh) => &refresh.channel,
            Self::Unsubscribe(named) | Self::Publish(named, _) | Self::Presence(named) | Self::PresenceStats(named) => {
                named
            }
            Self::Connect(_) | Self::Rpc | Self::Send | Self::Refresh(_) | Self::Pong | Self::Broken(_) => return None,
        };
        named.as_ref().ok()
    }
}

impl Seen {
    fn of(since: &Since<'_>) -> Self {
        Self { offset: since.offset, epoch: since.epoch.as_ref().into() }
    }
}

impl Command {
    /// What could not be read, behind the commands before it.
    pub const BROKEN: Self = Self { id: 0, ask: Ask::Broken(Disconnect::BadRequest) };

    /// What is of another form of the protocol than the one that was agreed upon.
    pub const FOREIGN: Self = Self { id: 0, ask: Ask::Broken(Disconnect::InappropriateProtocol) };

    /// Takes a command out of its frame.
    pub fn of(command: centrifuge::Command<'_>, verifier: &Verifier) -> Self {
        let name = |name: &str| ChannelName::new(name);
        let ask = match command.request {
            Request::Connect(connect) => Ask::Connect(Box::new(Connect::of(&connect, verifier))),
            Request::Subscribe(subscribe) => Ask::Subscribe(Box::new(Subscribe::of(&subscribe, verifier))),
            Request::Unsubscribe(channel) => Ask::Unsubscribe(name(&channel)),
            Request::Publish(publish) if publish.kind != 0 => Ask::Rpc,
            Request::Publish(publish) => {
                let is_opaque = publish.is_opaque;
                let payload = |data: Cow<'_, [u8]>| Payload { data: Bytes::from(data.into_owned()), is_opaque };
                Ask::Publish(name(&publish.channel), publish.data.map(payload))
            }
            Request::Presence(channel) => Ask::Presence(name(&channel)),
            Request::PresenceStats(channel) => Ask::PresenceStats(name(&channel)),
            Request::History(history) => Ask::History(Box::new(History {
                channel: name(&history.channel),
                limit: history.limit,
                since: history.since.as_ref().map(Seen::of),
                reverse: history.reverse,
            })),
            Request::Rpc(_) => Ask::Rpc,
            Request::Send(_) => Ask::Send,
            Request::Refresh(token) => Ask::Refresh(Box::new(verifier.verify(&token))),
            Request::SubRefresh(refresh) => Ask::SubRefresh(Box::new(SubRefresh {
                channel: name(&refresh.channel),
                token: shown(&refresh.token, verifier),
            })),
            Request::Pong => Ask::Pong,
        };
        Self { id: command.id, ask }
    }

    /// Roughly what it holds in memory.
    pub fn size(&self) -> usize {
        let payload = match &self.ask {
            Ask::Publish(_, Some(payload)) => payload.data.len(),
            Ask::Connect(connect) => connect.size(),
            Ask::Refresh(shown) => shown.as_ref().as_ref().map_or(0, Credentials::size),
            Ask::Subscribe(subscribe) => {
                let filter = subscribe.filter.as_ref().and_then(|filter| filter.as_ref().ok());
                granted_bytes(subscribe.token.as_ref()) + filter.map_or(0, |filter| filter.size())
            }
            Ask::SubRefresh(refresh) => granted_bytes(refresh.token.as_ref()),
            _ => 0,
        };
        size_of::<Self>() + payload
    }
}

impl Connect {
    fn of(request: &ConnectRequest<'_>, verifier: &Verifier) -> Self {
        let credentials = (!request.token.is_empty()).then(|| verifier.verify(&request.token));
        let seen = |wish: &SubscribeRequest<'_>| Seen { offset: wish.offset, epoch: wish.epoch.as_ref().into() };
        let known = request.subs.iter().filter(|(_, wish)| wish.recover);
        Self { credentials, recover: known.map(|(name, wish)| (name.clone(), seen(wish))).collect() }
    }

    fn size(&self) -> usize {
        let recover: usize = self.recover.iter().map(|(name, _)| name.len()).sum();
        let credentials = self.credentials.as_ref().and_then(|shown| shown.as_ref().ok());
        recover + credentials.map_or(0, Credentials::size)
    }
}

impl Subscribe {
    fn of(request: &SubscribeRequest<'_>, verifier: &Verifier) -> Self {
        let seen = || Seen { offset: request.offset, epoch: request.epoch.as_ref().into() };
        Self {
            channel: ChannelName::new(&request.channel),
            recover: request.recover.then(seen),
            rejects_unrecovered: request.rejects_unrecovered(),
            token: shown(&request.token, verifier),
            is_foreign: request.kind != 0,
            filter: request.filter.as_ref().map(|filter| Filter::read(filter).map(Box::new)),
            is_malformed: !matches!(request.delta.as_ref(), "" | "fossil"),
            extras: Extras {
                positioned: request.positioned,
                recoverable: request.recoverable,
                join_leave: request.join_leave,
                deltas: request.delta == "fossil",
            },
        }
    }
}

/// What a client's token for a channel grants; `None` if it shows none.
fn shown(token: &str, verifier: &Verifier) -> Option<Result<Grant, TokenError>> {
    (!token.is_empty()).then(|| verifier.verify_subscription(token))
}

fn granted_bytes(token: Option<&Result<Grant, TokenError>>) -> usize {
    let Some(Ok(grant)) = token else { return 0 };
    grant.info.as_ref().map_or(0, Bytes::len) + grant.data.as_ref().map_or(0, Bytes::len)
}
