//! Calls of the HTTP API on their way to the hub and back. The hub answers with facts; JSON is made in the caller's task.

use std::fmt;

use bytes::Bytes;
use ringway_core::message::{Census, Entry, HistoryPage, NodeInfo, Order, Post, PresencePage, PresenceQuery, Version};
use ringway_core::ring::SlotSet;
use ringway_core::{ChannelName, Epoch, Incarnation, MemberId, Position, UserName};
use ringway_protocol::api::ApiError;
use uuid::Uuid;

use super::command::{History, Named};
use super::sightings::Sighting;

/// A call and where its answer goes.
#[derive(Debug)]
pub struct Call {
    /// What is asked.
    pub request: ApiRequest,
    /// Dropped unanswered only if the process ends.
    pub reply: ReplyTo,
}

/// Where the answer to a call goes.
pub struct ReplyTo(Box<dyn FnOnce(ApiAnswer) + Send>);

impl ReplyTo {
    /// Gives the answer to this.
    pub fn new(take: impl FnOnce(ApiAnswer) + Send + 'static) -> Self {
        Self(Box::new(take))
    }

    /// Answers.
    pub fn send(self, answer: ApiAnswer) {
        (self.0)(answer);
    }
}

impl fmt::Debug for ReplyTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReplyTo")
    }
}

/// What backends ask.
#[derive(Debug)]
pub enum ApiRequest {
    /// One publication.
    Publish(Box<ApiPublish>),
    /// The same publication to several channels.
    Broadcast(Vec<Named>, Box<ApiPublish>),
    /// A message to a user's inbox, from outside.
    Say(UserName, Bytes),
    /// Who is in a channel, from the first on.
    Presence(Named),
    /// The next of them.
    MorePresence(Box<PresenceQuery>),
    /// How many are in a channel.
    PresenceStats(Named),
    /// A part of a stream.
    History(Box<History>),
    /// Drop what is kept of a channel.
    RemoveHistory(Named),
    /// Do something with sessions of a user, wherever they are.
    Order(Box<Order>),
    /// Hand this to a session at another gateway.
    Post(Box<Post>),
    /// What the members hold.
    Info,
    /// Which channels have subscribers; the next of them, if a place is given.
    Channels(Option<ChannelsPlace>),
    /// Which users with a session here have their inbox in these slots.
    Users(SlotSet),
    /// Who has come and gone since the last time.
    Sightings,
    /// Sessions of users, from this place on: so many at the most.
    Online(u32, usize),
}

/// Users that are named in an answer. The others are counted: a list for people, and short work for the hub.
pub const USERS_NAMED: usize = 100;

/// A publication from a backend.
#[derive(Debug)]
pub struct ApiPublish {
    /// Where to; with a broadcast, of no meaning.
    pub channel: Named,
    /// What.
    pub entry: Entry,
    /// A second publish with it is answered as the first.
    pub idempotency_key: Option<Box<str>>,
    /// Of the state that it describes.
    pub version: Option<Box<Version>>,
    /// It is delivered and not kept.
    pub skip_history: bool,
}

/// What backends are answered.
#[derive(Debug, PartialEq)]
pub enum ApiAnswer {
    /// Where the publication stands; `None` in it without history.
    Published(Option<Position>),
    /// The same for each channel, in order.
    Broadcast(Vec<Result<Option<Position>, ApiError>>),
    /// Who is in the channel, or some of them.
    Presence(PresencePage),
    /// Connections and users.
    PresenceStats(u32, u32),
    /// The part asked for.
    History(HistoryPage),
    /// It is done.
    Done,
    /// Whether there is such a session, and it has the post.
    Posted(bool),
    /// Members.
    Info(Vec<MemberInfo>),
    /// Channels with their subscriptions, and where the next ones are; `None`: that was all.
    Channels(Vec<(ChannelName, u32)>, Option<ChannelsPlace>),
    /// How many users there are, and the names of the first [`USERS_NAMED`], in no order.
    Users(u64, Vec<UserName>),
    /// Who has come and gone, in order, and whether all are there.
    Sightings(Vec<Sighting>, bool),
    /// Sessions of users, and where the next ones are; `None`: that was all.
    Online(Vec<(UserName, Uuid)>, Option<u32>),
    /// Not done, or not known to be done.
    Failed(ApiError),
    /// As much waits for answers as may; try again.
    Overloaded,
}

/// How far a listing of channels is: node by node, and at each of them page by page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelsPlace {
    /// The view that all nodes are asked in.
    pub epoch: Epoch,
    /// Whose turn it is.
    pub node: Incarnation,
    /// Its channels behind this one; `None`: from the first.
    pub after: Option<(ChannelName, Census)>,
}

/// What a member holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberInfo {
    /// Its name.
    pub id: MemberId,
    /// This life of it.
    pub incarnation: Incarnation,
    /// Client sockets, if it is a gateway.
    pub sockets: u64,
    /// What it says of its channels, if it is a node; zeros if it did not answer.
    pub node: NodeInfo,
}
