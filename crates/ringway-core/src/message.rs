//! What members say to one another over links: one type per message, with who sends it, when, and what answers it.
//!
//! A [`Frame`] is a message with the sender's epoch; the sender's incarnation is known from the link's handshake.
//! Spelling them in bytes is the protocol crate's work. Publications are packed ([`Entry`]), and nothing between gateways looks into them.

mod entry;
mod listing;
mod size;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::id::{ChannelName, Epoch, Incarnation, Position, Slot, StreamEpoch};
use crate::keeping::Keeping;
pub use crate::keeping::{ChannelOptions, Durability};
use crate::logbook::{LogAnswer, LogRequest};
use crate::pauses::Pauses;
use crate::registry::store::{StoreAnswer, StoreRequest};
use crate::ring::SlotSet;
use crate::view::View;

pub use entry::{Entry, Happening, MalformedEntry, Publisher};
pub use listing::{Census, ChannelsPage, ChannelsQuery, PresencePage, PresenceQuery};

/// A message as it travels: every one carries the epoch of the sender's view.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// Epoch of the sender's view when it sent this.
    pub epoch: Epoch,
    /// What is said.
    pub message: Message,
}

/// Everything that members say to one another.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// Any → any, every `T_PING` and at once after a new view. No answer: any frame counts as heard.
    Ping(Load),
    /// Any → any whose frame was of an older epoch or met a closed door. Carries the newer view.
    Moved(Arc<View>),
    /// Member → registry host. Answered by [`Message::RegistryAnswer`] with the same id.
    RegistryRequest(RegistryRequest),
    /// Registry host → member.
    RegistryAnswer(RegistryAnswer),
    /// Member that does not reach the store of a registry outside → one that it hears, which passes it on. Answered by
    /// [`Message::StoreAnswer`] with the same id, or not.
    StoreRequest(StoreRequest),
    /// Back.
    StoreAnswer(StoreAnswer),
    /// Keeper → gateway, once slots have other owners: ask those clients to connect anew. Answered by `ResetCount`s.
    Reset(Box<Reset>),
    /// Gateway → keeper: how far a `Reset` is. Cumulative; the last one says that it is done.
    ResetCount(ResetCount),
    /// Gateway → keeper, on a new link, after a new view, and when the numbers have changed. No answer.
    Toll(Box<Toll>),
    /// Registry host → a member outside the view that asked for a lease: why it gets none, for people. Again with each try. No answer.
    KeptOut(Box<str>),
    /// Keeper → gateway, first of all on a new link, and once it has become the keeper: how channels are kept. No answer.
    Keeping(Arc<Keeping>),

    /// Node → a member that has a way to the log. Answered by `LogAnswer` with the same id, or not at all.
    LogRequest(Box<LogRequest>),
    /// Member → node, whose request to the log it passed on.
    LogAnswer(Box<LogAnswer>),

    /// Gateway → owner. Answered by `PubOk` or `PubNo`.
    Publish(Box<Publish>),
    /// Owner → gateway, once committed.
    PubOk(PubOk),
    /// Owner, or a node that is not (or not yet) → gateway. `Retry`: send again, here or to the new owner.
    PubNo(PubNo),
    /// Gateway → owner, in batches. Each is answered by `Attached`, then `Deliver`s, or by `AttachRefused`.
    Attach(Vec<Attach>),
    /// Owner → gateway: the channel is attached; what follows `from` will be delivered. Once more for the same attach where what comes next
    /// was trimmed before the gateway could take it.
    Attached(Attached),
    /// Owner → gateway: there is no room for the channel, now.
    AttachRefused(AttachId, Refusal),
    /// Owner → gateway: one committed publication, once for each gateway, whatever the number of its sessions.
    Deliver(Deliver),
    /// Gateway → every node of the view it has a link to: all attaches of this epoch for you were sent before this.
    AttachesDone(Epoch),
    /// Gateway → owner: nobody here listens any more. Answered by `Detached` where the channel is an inbox.
    Detach(Detach),
    /// Owner → gateway: the delivered position of this detach is kept.
    Detached(AttachId),
    /// Gateway → owner: how far inboxes were handed to their users. No answer.
    Delivered(Vec<(AttachId, ChannelName, u64)>),
    /// Gateway → owner: sessions that came and went on channels with presence, and how many there are. No answer.
    Sessions(Box<SessionChange>),
    /// Gateway → node. Answered by `Answer` with the same id.
    Query(u64, Query),
    /// Node → gateway.
    Answer(u64, Answer),
    /// Node → every gateway: do this with sessions. Answered by `Obeyed` with the same number.
    Order(u64, Box<Order>),
    /// Gateway → node: it is done here.
    Obeyed(u64),
    /// Node → the gateway of a session: what its client has sent to another gateway. Answered by `Posted` with the same number.
    Post(u64, Box<Post>),
    /// Gateway → node: whether there is such a session, and it has that.
    Posted(u64, bool),

    /// New owner → every node of its view. Answered by `Claimed`, only at the same epoch.
    Claim(Vec<Slot>),
    /// Node → new owner: what I hold of these slots.
    Claimed(Vec<ClaimedSlot>),
    /// New owner → a marked node. Answered by `State` with `why: Fetched`, only at the same epoch.
    Fetch(Vec<Slot>),
    /// Live owner → replica (answered by `Have`), or marked node → new owner: a slot's content, or what changed of it, in parts.
    State(Box<SlotState>),
    /// Live owner → replica: a `State` each for slots of which nothing needs to be copied, most of them empty. At most
    /// [`SYNC_BATCH`](crate::limits::SYNC_BATCH). Answered by `Have`s.
    Syncs(Vec<SlotSync>),
    /// Live owner → replica: the next operations of a slot's log. Answered by `Have`.
    Rep(Box<Rep>),
    /// Replica → live owner: how far I am. Cumulative.
    Have(Vec<Have>),
    /// Live owner → replica: you hold everything. Answered by `Have` with the mark.
    Mark(Vec<(Slot, Epoch)>),
    /// Live owner → replica: give the slots up. Answered by `Released`, only at the same epoch.
    Release(Vec<(Slot, Epoch)>),
    /// Replica → live owner: given up.
    Released(Vec<(Slot, Epoch)>),
    /// Node → all nodes: every slot that I own at this epoch is settled. Again after a reconnect.
    Settled(Epoch),
    /// Whoever takes what is counted → whoever sends it: so many bytes of this lane have been taken since the link came up. What may be under way
    /// to a peer is limited by it. Now and then, and with every ping if there is news.
    Taken(Lane, u64),
}

/// What one role sends to one role of a peer, and how much of it is under way, is counted apart from everything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// To a node: states, and the operations of logs.
    Copies,
    /// To a gateway: deliveries and answers.
    Deliveries,
    /// From a gateway to an owner: attaches, and who came and went.
    Attaches,
}

impl Lane {
    /// Its place among the lanes.
    pub(crate) fn index(self) -> usize {
        match self {
            Self::Copies => 0,
            Self::Deliveries => 1,
            Self::Attaches => 2,
        }
    }
}

/// What a frame costs beside its payload, as it is counted: names, numbers, and the memory that holds them.
pub(crate) const FRAME_OVERHEAD: usize = 64;

impl Message {
    /// What counts as under way to a peer until it says that it has taken it, in bytes as both ends count them.
    pub(crate) fn weight(&self) -> Option<(Lane, usize)> {
        let (lane, payload) = match self {
            Self::Deliver(deliver) => (Lane::Deliveries, deliver.entry.size()),
            Self::Answer(_, answer) => (Lane::Deliveries, answer.size()),
            Self::Post(_, post) => (Lane::Deliveries, post.data.len()),
            Self::Rep(rep) => (Lane::Copies, rep.ops.iter().map(Op::size).sum()),
            Self::State(state) => (Lane::Copies, state.streams.iter().map(StreamState::size).sum()),
            // Who is present is filled in last: no more than a few, who count with the channel.
            Self::Attach(attaches) => (Lane::Attaches, attaches.iter().map(Attach::size).sum()),
            Self::Sessions(change) => (Lane::Attaches, change.size()),
            Self::Syncs(syncs) => (Lane::Copies, syncs.len().saturating_sub(1) * FRAME_OVERHEAD),
            _ => return None,
        };
        Some((lane, FRAME_OVERHEAD + payload))
    }

    /// Only gateways take it. Of the rest, pings and views are for every role, and all others for nodes.
    pub fn is_for_gateway(&self) -> bool {
        matches!(
            self,
            Self::PubOk(_)
                | Self::PubNo(_)
                | Self::Attached(_)
                | Self::AttachRefused(..)
                | Self::Deliver(_)
                | Self::Detached(_)
                | Self::Answer(..)
                | Self::Order(..)
                | Self::Post(..)
                | Self::Reset(_)
                | Self::Taken(Lane::Attaches, _)
        )
    }
}

/// What a member says of itself with every ping.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// Users that have a session somewhere and whose inbox this node owns.
    pub users: u64,
    /// Channels this node holds, as owner or standby.
    pub channels: u64,
    /// Client sockets, where it is a gateway.
    pub sockets: u64,
    /// Bytes of history held.
    pub history_bytes: u64,
    /// Owned slots that do not yet have their copies; 0 when settled.
    pub unsettled: u64,
    /// Bytes of history that this node may hold.
    pub history_limit: u64,
    /// Owned slots without a second copy that has confirmed its mark, whether or not the view has a node for one.
    pub alone: u64,
    /// Owned slots that are still being taken over, or wait for what is left of their copies.
    pub not_live: u64,
    /// Live slots where nothing is acknowledged now: the lease has run out, or a copy that is waited for is away or missing.
    pub blocked: u64,
    /// Publishes with history are refused: there is no room for them.
    pub history_full: bool,
    /// New channels are refused.
    pub channels_full: bool,
    /// Publishes with a new idempotency key are refused.
    pub keys_full: bool,
    /// The log has not answered for a while: publishes to channels that are kept there wait.
    pub log_away: bool,
    /// The log has no room: publishes to channels that are kept there are refused.
    pub log_full: bool,
    /// The log has records of another cluster, and is not touched.
    pub log_foreign: bool,
    /// Publications without history that a gateway was not sent because it did not keep up, since this life of the node began.
    pub dropped: u64,
    /// It does not reach the store of the registry, or the log, and asks through another member.
    pub relayed: bool,
}

/// What changes cost those who listen at one gateway. All numbers but the first only grow, and count since its process began:
/// whoever wants to know what one change cost takes the difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toll {
    /// First incarnation of the process. Later ones count on.
    pub process: Incarnation,
    /// Channels that were served and wait now for an owner.
    pub waiting: u64,
    /// Channels that went on with something missing, and whose listeners were told so.
    pub gaps: u64,
    /// Publications that an owner delivered again within one attach. They are dropped.
    pub doubles: u64,
    /// Publications that an owner delivered ahead of their turn within one attach. They are dropped, and asked for again.
    pub reorders: u64,
    /// Client sockets that this gateway closed.
    pub closed: u64,
    /// How long channels had nobody who serves them: from the loss of the owner (or the last sign of life, if it was silent;
    /// or the view that names another) to the new one's answer.
    pub pauses: Pauses,
}

impl Toll {
    /// The same, whatever was closed.
    pub fn is_but_for_closed(&self, other: &Self) -> bool {
        let numbers = |toll: &Self| (toll.process, toll.waiting, toll.gaps, toll.doubles, toll.reorders);
        numbers(self) == numbers(other) && self.pauses == other.pauses
    }

    /// What two gateways saw together. The process is that of the first.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        self.waiting += other.waiting;
        self.gaps += other.gaps;
        self.doubles += other.doubles;
        self.reorders += other.reorders;
        self.closed += other.closed;
        self.pauses.add(&other.pauses);
        self
    }

    /// Nothing yet.
    pub fn begun(process: Incarnation) -> Self {
        Self { process, waiting: 0, gaps: 0, doubles: 0, reorders: 0, closed: 0, pauses: Pauses::default() }
    }
}

/// A request to the registry. Ids are the requester's and grow.
#[derive(Debug, Clone, PartialEq)]
pub struct RegistryRequest {
    /// Names the request in its answer.
    pub id: u64,
    /// What is asked.
    pub op: RegistryOp,
}

/// What can be asked of the registry.
#[derive(Debug, Clone, PartialEq)]
pub enum RegistryOp {
    /// Renew my lease. Fails if its key is gone.
    Renew(Incarnation),
    /// Create my lease key.
    Put(Incarnation),
    /// Write this view if the newest epoch is the one before it.
    Cas(Arc<View>),
    /// Which leases of the newest view have lapsed?
    Leases,
    /// Just the newest view.
    Read,
}

/// The registry's answer. Every one carries the view as it is at that moment.
#[derive(Debug, Clone, PartialEq)]
pub struct RegistryAnswer {
    /// Id of the request.
    pub id: u64,
    /// The request was carried out.
    pub done: bool,
    /// The newest view.
    pub view: Arc<View>,
    /// With `Leases`: members of the view without a lease.
    pub lapsed: Vec<Incarnation>,
}

/// An order to ask clients to connect anew, after a change of the view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reset {
    /// Names the order in its answers. Grows; one that is not above the last is a repetition.
    pub number: u64,
    /// Those who listen to a channel in one of these slots; `None`: everybody.
    pub slots: Option<SlotSet>,
    /// The time that they are spread over.
    pub window: Duration,
}

/// How far a gateway is with a [`Reset`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ResetCount {
    /// Which.
    pub number: u64,
    /// Sessions that it concerned when it came.
    pub meant: u64,
    /// Sockets closed for it so far; those that ended by themselves are not among them.
    pub closed: u64,
    /// Nobody is left.
    pub done: bool,
}

/// A publication on its way to the owner.
#[derive(Debug, Clone, PartialEq)]
pub struct Publish {
    /// Slot of the channel.
    pub slot: Slot,
    /// Number of this publish among those of the sending gateway's incarnation for this slot and durability, from 1.
    pub seq: u64,
    /// Oldest number that is not answered yet; nothing below it will be sent again.
    pub floor: u64,
    /// Whose numbers it is counted in.
    pub durability: Durability,
    /// Where to.
    pub channel: ChannelName,
    /// What.
    pub entry: Entry,
    /// How the channel is kept.
    pub options: ChannelOptions,
    /// A second publish with the same key within its time gets the first one's offset and is not delivered.
    pub idempotency_key: Option<Box<str>>,
    /// Of the state that it describes. One that is not newer than the stream's last is not kept and not delivered.
    pub version: Option<Box<Version>>,
}

impl Publish {
    /// Its name among all publishes of its slot, where this gateway has sent it.
    pub(crate) fn id(&self, gateway: Incarnation) -> PubId {
        PubId { gateway, durability: self.durability, seq: self.seq, floor: self.floor }
    }
}

/// Version of the state that a publication describes, as its publisher counts it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Grows with every change of the state; from 1.
    pub number: u64,
    /// What the number counts in; empty: in the same as the last one.
    pub epoch: Box<str>,
}

/// A publish was taken and committed.
#[derive(Debug, Clone, PartialEq)]
pub struct PubOk {
    /// Slot of the channel.
    pub slot: Slot,
    /// Number of the publish.
    pub seq: u64,
    /// Where it stands in its stream; `None` without history.
    pub position: Option<Position>,
    /// Copies that hold it, the owner's included.
    pub copies: u8,
    /// Whose numbers it was counted in. `Log`: the log holds it too.
    pub durability: Durability,
}

/// A publish was not taken.
#[derive(Debug, Clone, PartialEq)]
pub struct PubNo {
    /// Slot of the channel.
    pub slot: Slot,
    /// Number of the publish.
    pub seq: u64,
    /// Why not.
    pub why: Refusal,
    /// Whose numbers it was counted in.
    pub durability: Durability,
}

/// Why an owner did not do what a gateway asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Not live here, or numbers are missing before it: send again, to whoever owns the slot then.
    Retry,
    /// The node's limit for history bytes or channels is reached. Counts as an answer.
    Full,
    /// The position asked for is of another stream epoch.
    Unrecoverable,
    /// The channel keeps no such thing (history, presence).
    NotAvailable,
}

/// Names one attaching of one channel by one gateway; new with each. Deliveries name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttachId(pub u64);

/// A gateway asks an owner for a channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Attach {
    /// Which channel.
    pub channel: ChannelName,
    /// New for each attach.
    pub attach: AttachId,
    /// From where deliveries are wanted.
    pub from: AttachFrom,
    /// With a position of an inbox: the offset up to which its user has confirmed it, the position's own at most.
    pub confirmed: u64,
    /// How the channel is kept.
    pub options: ChannelOptions,
    /// Sessions subscribed here.
    pub sessions: u32,
    /// Who they are, on a channel with presence.
    pub presence: Vec<Presence>,
    /// They are more than these. All are told in parts when this is answered, and the last part says so.
    pub more: bool,
}

impl Attach {
    /// Bytes, as they are counted for limits.
    pub(crate) fn size(&self) -> usize {
        FRAME_OVERHEAD + self.channel.as_str().len()
    }
}

/// Where deliveries to a gateway begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttachFrom {
    /// With the next publication.
    Top,
    /// With what no session of the inbox's user has confirmed yet.
    Inbox,
    /// After this position, which the gateway has handed on to its sessions.
    At(Position),
}

/// The owner's answer to an attach.
#[derive(Debug, Clone, PartialEq)]
pub struct Attached {
    /// Which attach.
    pub attach: AttachId,
    /// The stream as it is; `None` for a channel without history.
    pub stream: Option<Position>,
    /// Deliveries begin after this offset. It is not the one asked for when the stream is another or the gap is gone.
    pub from: u64,
    /// Users on this node, for the plain protocol's greeting.
    pub users: u64,
}

/// One publication for one gateway.
#[derive(Debug, Clone, PartialEq)]
pub struct Deliver {
    /// Which attach.
    pub attach: AttachId,
    /// Offset; 0 without history.
    pub offset: u64,
    /// What.
    pub entry: Entry,
}

/// A gateway lets a channel go.
#[derive(Debug, Clone, PartialEq)]
pub struct Detach {
    /// Which channel.
    pub channel: ChannelName,
    /// The attach that ends.
    pub attach: AttachId,
    /// How far the inbox's user has confirmed it.
    pub delivered: Option<Position>,
    /// How the channel is kept, as far as the gateway knows.
    pub durability: Durability,
}

/// A client on a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    /// The client id, a UUID.
    pub client: u128,
    /// The user; empty if anonymous.
    pub user: Arc<str>,
    /// JSON given at connect.
    pub conn_info: Option<Bytes>,
    /// JSON given at subscribe.
    pub chan_info: Option<Bytes>,
}

impl Presence {
    /// Bytes, as they are counted for limits.
    pub fn size(&self) -> usize {
        let length = |part: &Option<Bytes>| part.as_ref().map_or(0, Bytes::len);
        FRAME_OVERHEAD + self.user.len() + length(&self.conn_info) + length(&self.chan_info)
    }
}

/// Sessions that came and went on a channel.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionChange {
    /// Which channel.
    pub channel: ChannelName,
    /// The attach it belongs to.
    pub attach: AttachId,
    /// Sessions subscribed through this gateway now.
    pub sessions: u32,
    /// Who came, on a channel with presence.
    pub joined: Vec<Presence>,
    /// Client ids that went.
    pub left: Vec<u128>,
    /// With it all have been told of whom the attach, or a change after it, has said that they follow.
    pub last: bool,
    /// Others have come and follow. Who is there is not known before all of them were told.
    pub more: bool,
}

/// So many clients are compared one by one faster than they are hashed.
const FEW: usize = 8;

impl SessionChange {
    /// Bytes, as they are counted for limits.
    fn size(&self) -> usize {
        let joined: usize = self.joined.iter().map(Presence::size).sum();
        self.channel.as_str().len() + joined + self.left.len() * size_of::<u128>()
    }

    /// Brings what is known of a gateway's sessions up to date. Somebody who joins and is known already is not doubled.
    pub(crate) fn apply(&self, sessions: &mut u32, presence: &mut Vec<Presence>) {
        *sessions = self.sessions;
        let named = self.joined.iter().map(|joined| joined.client).chain(self.left.iter().copied());
        if self.joined.len() + self.left.len() <= FEW {
            presence.retain(|present| !named.clone().any(|client| client == present.client));
        } else {
            let named: HashSet<u128> = named.collect();
            presence.retain(|present| !named.contains(&present.client));
        }
        presence.extend(self.joined.iter().cloned());
    }
}

/// A read, answered by the owner of the channel or by any node.
#[derive(Debug, Clone, PartialEq)]
pub enum Query {
    /// Publications of a channel.
    History(Box<HistoryQuery>),
    /// Who is on a channel.
    Presence(Box<PresenceQuery>),
    /// Channels that this node owns and somebody is subscribed to, with their sessions.
    Channels(Box<ChannelsQuery>),
    /// Counts of this node.
    Info,
    /// How many are on a channel.
    PresenceStats(ChannelName),
    /// Have this done with sessions, wherever they are. Answered when every gateway has done so, or its link has ended.
    Order(Box<Order>),
    /// Drop what is kept of a channel. Its epoch and its top stay. Answered once that is committed.
    RemoveHistory(ChannelName, ChannelOptions),
    /// Hand this to a session at another gateway.
    Post(Box<Post>),
}

/// What the client of a session has sent to another gateway than the session's.
#[derive(Debug, Clone, PartialEq)]
pub struct Post {
    /// The gateway of the session.
    pub gateway: Incarnation,
    /// What names the session to its client. Nobody else knows it.
    pub session: u128,
    /// Drawn for this post: one that comes twice is taken once.
    pub number: u64,
    /// What would else have come over the session's connection.
    pub data: Bytes,
}

/// Which publications are wanted.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryQuery {
    /// Which channel.
    pub channel: ChannelName,
    /// How the channel is kept: reading an unknown channel gives birth to its stream.
    pub options: ChannelOptions,
    /// From where, not included. The epoch is absent if the reader knows none.
    pub since: Option<(u64, Option<StreamEpoch>)>,
    /// At most this many.
    pub limit: u32,
    /// From the newest down.
    pub reverse: bool,
}

/// The answer to a [`Query`].
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// To `History`.
    History(HistoryPage),
    /// To `Presence`.
    Presence(PresencePage),
    /// To `Channels`.
    Channels(ChannelsPage),
    /// To `Info`.
    Info(NodeInfo),
    /// To `Order`: every gateway has done it.
    Obeyed,
    /// To `Post`: whether there is such a session, and it has that.
    Posted(bool),
    /// To any. `Retry` is asked again by the gateway, at whoever owns the slot then.
    Refused(Refusal),
    /// To `PresenceStats`: connections, and different users with all anonymous ones together as one.
    PresenceStats(u32, u32),
    /// To `RemoveHistory`.
    Removed,
}

impl Answer {
    /// Bytes, as they are counted for limits.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::History(page) => page.publications.iter().map(|(_, entry)| FRAME_OVERHEAD + entry.size()).sum(),
            Self::Presence(page) => page.clients.iter().map(Presence::size).sum(),
            Self::Channels(page) => page.channels.iter().map(|(name, _)| FRAME_OVERHEAD + name.as_str().len()).sum(),
            Self::Info(_)
            | Self::Obeyed
            | Self::Posted(_)
            | Self::Refused(_)
            | Self::PresenceStats(..)
            | Self::Removed => 0,
        }
    }
}

/// Publications of a stream, as asked.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryPage {
    /// Epoch and top of the stream.
    pub top: Position,
    /// Offsets with what they hold.
    pub publications: Vec<(u64, Entry)>,
    /// There are more of those that were asked for: an answer has at most one part's bytes, or one publication.
    pub more: bool,
}

/// Counts of a node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NodeInfo {
    /// Sessions on owned channels' gateways, as told by the gateways.
    pub subscriptions: u64,
    /// Users with a session whose inbox is here.
    pub users: u64,
    /// Channels owned.
    pub channels: u64,
    /// Time since the process started.
    pub uptime: Duration,
}

/// An order about the sessions of a user, for every gateway. What is done twice is the same as done once.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// Whose; empty: of anonymous clients.
    pub user: Arc<str>,
    /// Only this client id.
    pub client: Option<u128>,
    /// All but these client ids.
    pub whitelist: Vec<u128>,
    /// What is to be done.
    pub deed: Deed,
}

impl Order {
    /// Bytes beside its user, for limits.
    pub(crate) fn size(&self) -> usize {
        let length = |document: &Option<Bytes>| document.as_ref().map_or(0, Bytes::len);
        let deed = match &self.deed {
            Deed::Close { reason, .. } => reason.len(),
            Deed::Subscribe(sub) => sub.channel.as_str().len() + length(&sub.info) + length(&sub.data),
            Deed::Unsubscribe(channel) => channel.as_ref().map_or(0, |channel| channel.as_str().len()),
            Deed::Refresh(refresh) => length(&refresh.info),
        };
        size_of_val(&*self.whitelist) + deed
    }
}

/// What is to be done with sessions.
#[derive(Debug, Clone, PartialEq)]
pub enum Deed {
    /// Close them.
    Close {
        /// Close code.
        code: u16,
        /// Close reason, under 124 bytes.
        reason: Box<str>,
    },
    /// Subscribe them to a channel.
    Subscribe(Box<NewSub>),
    /// End their subscription to this channel, whoever has made it; `None`: all of them.
    Unsubscribe(Option<ChannelName>),
    /// Their credentials end at another time, or are over.
    Refresh(Box<NewExpiry>),
}

/// A subscription that a backend has made.
#[derive(Debug, Clone, PartialEq)]
pub struct NewSub {
    /// To what.
    pub channel: ChannelName,
    /// JSON that others in the channel see beside the user.
    pub info: Option<Bytes>,
    /// JSON for the subscriber.
    pub data: Option<Bytes>,
    /// It begins behind this place; `None`: with what comes.
    pub since: Option<(u64, Box<str>)>,
    /// It ends after this time; `None`: never.
    pub lifetime: Option<Duration>,
    /// What is other for these sessions than for the rest of the channel: two bits each for presence, join and leave, their push,
    /// positioning and recovery, in this order from the lowest. The first says that it is other, the second how it is.
    pub overrides: u64,
}

/// Until when sessions may stay.
#[derive(Debug, Clone, PartialEq)]
pub struct NewExpiry {
    /// They may stay no longer.
    pub is_over: bool,
    /// So long; `None`: for ever.
    pub lifetime: Option<Duration>,
    /// JSON that others see beside the user from now on; `None`: as before.
    pub info: Option<Bytes>,
}

/// What a node says of a slot when it is claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClaimedSlot {
    /// Which slot.
    pub slot: Slot,
    /// "I hold everything that was ever acknowledged here."
    pub mark: bool,
    /// Epoch at which the owner that last wrote here went live.
    pub term: Epoch,
    /// Operations of the slot's log that are in it.
    pub index: u64,
}

/// A slot's content, or a part of it.
#[derive(Debug, Clone, PartialEq)]
pub struct SlotState {
    /// Which slot.
    pub slot: Slot,
    /// A `Sync` of a live owner, or the answer to a `Fetch`.
    pub kind: StateKind,
    /// Epoch at which the owner that wrote it went live.
    pub term: Epoch,
    /// Operations of the log that are in it.
    pub index: u64,
    /// A difference: only streams that changed after this operation of the log of this term are in it, each whole. It is of use
    /// to a replica that holds that log up to there or further; another one says so, and gets everything. `None`: everything.
    pub base: Option<(Epoch, u64)>,
    /// Number of this part, from 0.
    pub part: u32,
    /// The state is complete with this part. Operations that were sent between its parts are in it, or are for the streams that
    /// have come already.
    pub last: bool,
    /// Streams of the slot; one that is large comes in several runs, in order.
    pub streams: Vec<StreamState>,
    /// What gateways' publishes were answered, with the last part. A difference of nothing leaves them as they are.
    pub publishers: Vec<PublisherState>,
    /// What the log brings to it.
    pub standing: Standing,
}

/// What a slot's content lacks where it began anew without a marked copy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// What the log holds of the slot is in it. If not, the log is read before a channel of it is served that is kept there.
    pub read: bool,
    /// A removed owner may still act: no stream begins anew that is not kept in the log.
    pub early: bool,
}

/// The state of a slot that is whole without a stream or a publisher in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotSync {
    /// Which slot.
    pub slot: Slot,
    /// Epoch at which the owner that wrote it went live.
    pub term: Epoch,
    /// The number that `Have`s must name.
    pub number: u64,
    /// Operations of the log that are in it.
    pub index: u64,
    /// As in [`SlotState::base`].
    pub base: Option<(Epoch, u64)>,
    /// As in [`SlotState::standing`].
    pub standing: Standing,
}

impl From<SlotSync> for SlotState {
    fn from(sync: SlotSync) -> Self {
        let SlotSync { slot, term, number, index, base, standing } = sync;
        let (kind, streams, publishers) = (StateKind::Sync(number), Vec::new(), Vec::new());
        Self { slot, kind, term, index, base, part: 0, last: true, streams, publishers, standing }
    }
}

/// Why a state is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateKind {
    /// By a live owner to a replica, with the number that its `Have`s must name.
    Sync(u64),
    /// By a marked node to a claiming owner.
    Fetched,
    /// By a live owner to the log: of its streams those that are kept there.
    Logged,
}

/// A stream as it travels between nodes, or a run of it. Operations on it count from its first run on: those that came before
/// are in the runs.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamState {
    /// Which channel.
    pub channel: ChannelName,
    /// How it is kept.
    pub options: ChannelOptions,
    /// Epoch, and the top when the first run was sent: runs end there.
    pub top: Position,
    /// How far the user of an inbox has confirmed it.
    pub delivered: u64,
    /// Oldest offset kept. What is below the first run's start is held already, where the state is a difference.
    pub first: u64,
    /// Offset of the first of the entries.
    pub start: u64,
    /// Entries, oldest first, with their ages.
    pub entries: Vec<(Duration, Entry)>,
    /// Version of the last publication that had one.
    pub version: Option<Box<Version>>,
    /// Idempotency keys with the age and offset of the publish that brought them; offset 0: it has no place in the stream.
    pub keys: Vec<(Box<str>, Duration, u64)>,
    /// The stream is complete with this run.
    pub last: bool,
}

impl StreamState {
    /// Bytes, as they are counted for limits.
    pub(crate) fn size(&self) -> usize {
        let entries: usize = self.entries.iter().map(|(_, entry)| FRAME_OVERHEAD + entry.size()).sum();
        let keys: usize = self.keys.iter().map(|(key, ..)| FRAME_OVERHEAD + key.len()).sum();
        FRAME_OVERHEAD + entries + keys
    }
}

/// What is remembered of one gateway's publishes.
#[derive(Debug, Clone, PartialEq)]
pub struct PublisherState {
    /// Which gateway.
    pub gateway: Incarnation,
    /// Which of its numbers.
    pub durability: Durability,
    /// Last number taken.
    pub last: u64,
    /// The last ones taken, with where they stand.
    pub taken: Vec<(u64, Option<Position>)>,
}

/// Operations of a slot's log.
#[derive(Debug, Clone, PartialEq)]
pub struct Rep {
    /// Which slot.
    pub slot: Slot,
    /// Epoch at which the sending owner went live.
    pub term: Epoch,
    /// Number of the first operation.
    pub index: u64,
    /// The operations, in order.
    pub ops: Vec<Op>,
}

/// Names a publish among all of its slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PubId {
    /// Who sent it.
    pub gateway: Incarnation,
    /// Which of its numbers are meant.
    pub durability: Durability,
    /// Its number.
    pub seq: u64,
    /// The oldest number that may come again.
    pub floor: u64,
}

/// One operation of a slot's log. The same log gives the same content everywhere.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// A stream is born.
    Create {
        /// Which channel.
        channel: ChannelName,
        /// Name of its life.
        epoch: StreamEpoch,
        /// How it is kept.
        options: ChannelOptions,
    },
    /// A publication.
    Append {
        /// Which channel.
        channel: ChannelName,
        /// How it is kept.
        options: ChannelOptions,
        /// Its offset: the top before it, plus one.
        offset: u64,
        /// Oldest offset that stays; what is below is trimmed.
        first: u64,
        /// What.
        entry: Entry,
        /// Who sent it under which number.
        publisher: PubId,
        /// Idempotency key.
        key: Option<Box<str>>,
        /// Version of the state that it describes.
        version: Option<Box<Version>>,
    },
    /// A publication that is not kept has an idempotency key, which is.
    Key {
        /// Which channel.
        channel: ChannelName,
        /// Who sent it under which number.
        publisher: PubId,
        /// The key.
        key: Box<str>,
    },
    /// Entries below this offset are trimmed.
    Trim {
        /// Which channel.
        channel: ChannelName,
        /// Oldest offset that stays.
        first: u64,
    },
    /// The user of an inbox has confirmed everything up to this offset.
    Delivered {
        /// Which channel.
        channel: ChannelName,
        /// Last offset confirmed.
        offset: u64,
    },
    /// A stream that nobody uses is forgotten.
    Forget {
        /// Which channel.
        channel: ChannelName,
    },
}

impl Op {
    /// Bytes of payload, for limits.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Append { entry, .. } => entry.size(),
            _ => 0,
        }
    }
}

/// How far a replica is with a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Have {
    /// Which slot.
    pub slot: Slot,
    /// Term it obeys.
    pub term: Epoch,
    /// Number of the last `Sync` obeyed.
    pub sync: u64,
    /// Operations it holds.
    pub index: u64,
    /// It holds the mark.
    pub mark: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_sessions_doubles_nobody() {
        let present = |client| Presence { client, user: "".into(), conn_info: None, chan_info: None };
        let channel = ChannelName::new("news").unwrap();
        let (joined, left) = (vec![present(2), present(3)], vec![1]);
        let change =
            SessionChange { channel, attach: AttachId(1), sessions: 2, joined, left, last: false, more: false };
        let (mut sessions, mut presence) = (2, vec![present(1), present(2)]);
        change.apply(&mut sessions, &mut presence);
        assert_eq!((sessions, presence), (2, vec![present(2), present(3)]));
    }

    #[test]
    fn a_change_of_many_sessions_is_the_same() {
        let present = |client| Presence { client, user: "".into(), conn_info: None, chan_info: None };
        let channel = ChannelName::new("news").unwrap();
        let (joined, left) = ((10..30).map(present).collect(), (1..9).collect());
        let change =
            SessionChange { channel, attach: AttachId(1), sessions: 22, joined, left, last: false, more: false };
        let (mut sessions, mut presence) = (10, (1..=11).map(present).collect());
        change.apply(&mut sessions, &mut presence);
        let after: Vec<Presence> = [9].into_iter().chain(10..30).map(present).collect();
        assert_eq!((sessions, presence), (22, after));
    }
}
