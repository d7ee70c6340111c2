//! A hub, sockets that keep what was sent to them, and an owner whose every word the test speaks.

use ringway_core::message::Durability;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use ringway_core::gateway::Gateway;
use ringway_core::id::{ChannelName, Epoch, Incarnation, MemberId, Position, StreamEpoch, UserName};
use ringway_core::limits::GatewayLimits;
use ringway_core::member::Front as _;
use ringway_core::message::{
    Answer, Attach, Attached, Census, Deliver, Entry, HistoryPage, Message, Presence, PresencePage, PubNo, PubOk,
    Query, Refusal,
};
use ringway_core::ring::{HashKey, SlotCount, Weight};
use ringway_core::timing::{Now, Timing};
use ringway_core::view::{GatewayEntry, NodeEntry, Removal, View};
use ringway_protocol::centrifuge::json;
use ringway_protocol::ws::{Opcode, server_frame};
use serde_json::Value;

use crate::{
    ApiAnswer, ApiRequest, Call, ClientInput, Command, Hub, HubConfig, Protocol, ReplyTo, Room, Socket, Ticket,
    Verifier, WallClock,
};

/// What happened at a socket.
#[derive(Debug, Default)]
pub(crate) struct Record {
    queued: Vec<Bytes>,
    seen: Vec<Value>,
    pub(super) frames: Vec<Bytes>,
    /// Payloads of the WebSocket pings that were written since the last pong.
    pub(super) pings: Vec<Bytes>,
    pub(super) closed: Option<(u16, String)>,
    pub(super) flushes: usize,
    /// Bytes that the client has not read.
    pub(super) stuck: usize,
    /// The hub asked when there is room.
    pub(super) is_asked: bool,
    /// All sockets hold too much.
    pub(super) is_crowded: bool,
    /// How long ago reading went on, and the client made progress.
    pub(super) unread_for: Option<Duration>,
    pub(super) progressed_for: Option<Duration>,
    /// What came of a message in fragments.
    partial: Vec<u8>,
    pub(crate) resumed: usize,
    /// What the owner says need not make sense, so what the client gets need not be JSON.
    pub(super) takes_anything: bool,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct FakeSocket(pub(crate) Arc<Mutex<Record>>);

impl Socket for FakeSocket {
    fn send(&self, frame: Bytes) {
        self.0.lock().queued.push(frame);
    }

    fn flush(&self) {
        let mut record = self.0.lock();
        record.flushes += 1;
        let queued = std::mem::take(&mut record.queued);
        let takes_anything = record.takes_anything;
        let read = |message: &[u8]| match serde_json::from_slice(message) {
            Err(_) if takes_anything => Value::Null,
            read => read.unwrap(),
        };
        for frame in queued {
            // An event or a line of a stream.
            if let Some(message) = frame.strip_prefix(b"data: ").or_else(|| frame.starts_with(b"{").then_some(&frame)) {
                record.seen.push(read(message));
                continue;
            }
            let (opcode, is_last, payload) = server_frame(&frame).expect("a server's frame");
            if opcode == Opcode::Ping {
                record.pings.push(frame.slice_ref(payload));
                continue;
            }
            if opcode == Opcode::Binary {
                record.frames.push(frame);
                continue;
            }
            assert_eq!(opcode == Opcode::Text, record.partial.is_empty(), "fragments follow one another");
            record.partial.extend_from_slice(payload);
            if is_last {
                let message = std::mem::take(&mut record.partial);
                record.seen.push(read(&message));
            }
            record.frames.push(frame);
        }
    }

    fn queued(&self) -> usize {
        let record = self.0.lock();
        record.stuck + record.queued.iter().map(Bytes::len).sum::<usize>()
    }

    fn ask_room(&self, low: usize) -> Room {
        let is_free = self.queued() <= low;
        let mut record = self.0.lock();
        record.is_asked = !is_free && !record.is_crowded;
        match (record.is_crowded, is_free) {
            (true, _) => Room::Crowded,
            (false, true) => Room::Now,
            (false, false) => Room::Later,
        }
    }

    fn unread_for(&self) -> Option<Duration> {
        self.0.lock().unread_for
    }

    fn progressed_for(&self) -> Option<Duration> {
        self.0.lock().progressed_for
    }

    fn close(&self, code: u16, reason: &str) {
        self.flush();
        self.0.lock().closed.get_or_insert((code, reason.to_owned()));
    }

    fn resume(&self) {
        self.0.lock().resumed += 1;
    }
}

/// A client.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    pub(super) ticket: Arc<Ticket>,
    pub(super) socket: FakeSocket,
}

impl Peer {
    /// Takes what was sent since the last look.
    pub(super) fn seen(&self) -> Vec<Value> {
        std::mem::take(&mut self.socket.0.lock().seen)
    }

    /// Takes the one message that was sent since the last look.
    #[track_caller]
    pub(super) fn one(&self) -> Value {
        let mut seen = self.seen();
        assert_eq!(seen.len(), 1, "{seen:?}");
        seen.remove(0)
    }

    /// How many pings were written and not answered.
    pub(super) fn pings(&self) -> usize {
        self.socket.0.lock().pings.len()
    }

    pub(super) fn closed(&self) -> Option<u16> {
        self.socket.0.lock().closed.as_ref().map(|(code, _)| *code)
    }

    /// Offsets of the publications pushed since the last look.
    pub(super) fn offsets(&self) -> Vec<u64> {
        let offset = |seen: &Value| seen["push"]["pub"]["offset"].as_u64();
        self.seen().iter().filter_map(offset).collect()
    }

    /// Contents of the plain messages received since the last look.
    pub(super) fn contents(&self) -> Vec<String> {
        let message = |seen: &Value| (seen["type"] == 3).then(|| seen["content"].as_str().unwrap().to_owned());
        self.seen().iter().filter_map(message).collect()
    }
}

/// The stream epoch that the owner uses unless told otherwise.
pub(super) fn epoch() -> StreamEpoch {
    StreamEpoch::parse("abcdefgh").unwrap()
}

pub(super) fn other_epoch() -> StreamEpoch {
    StreamEpoch::parse("zzzzzzzz").unwrap()
}

/// What the owner's listings are of unless told otherwise.
pub(super) const CENSUS: Census = Census { node: Incarnation(2), epoch: Epoch(1), losses: 0 };

pub(super) fn present(user: &str, client: u128) -> Presence {
    Presence { client, user: user.into(), conn_info: None, chan_info: None }
}

/// A page of these clients.
pub(super) fn presence(clients: impl Iterator<Item = u128>, more: bool) -> Answer {
    let clients = clients.map(|client| present("ann", client)).collect();
    Answer::Presence(PresencePage { census: CENSUS, clients, more })
}

/// No offsets, for pages without publications.
#[allow(clippy::reversed_empty_ranges, reason = "it is meant to be empty")]
pub(super) const NOTHING: std::ops::RangeInclusive<u64> = 1..=0;

pub(super) fn at(offset: u64) -> Position {
    Position { epoch: epoch(), offset }
}

pub(super) fn entry(data: &str) -> Entry {
    Entry::of(data.as_bytes())
}

pub(super) fn name(name: &str) -> ChannelName {
    ChannelName::new(name).unwrap()
}

pub(super) struct World {
    pub(super) hub: Hub<FakeSocket>,
    pub(super) now: Now,
    owner: Incarnation,
    view: Arc<View>,
    /// Everything sent to the owner.
    pub(super) said: Vec<Message>,
}

/// It is always noon.
#[derive(Debug)]
struct Noon;

impl WallClock for Noon {
    fn text(&mut self) -> &str {
        "2026-01-02 12:00:00"
    }
}

pub(super) const SECRET: &str = "secret";

impl World {
    /// A hub with the demo's open config.
    pub(super) fn open() -> Self {
        Self::new(HubConfig::open())
    }

    pub(super) fn new(config: HubConfig) -> Self {
        let (me, owner) = (Incarnation(1), Incarnation(2));
        let born = View::born(HashKey::from_bytes([7; 16]), SlotCount::MIN);
        let node = NodeEntry {
            id: MemberId::new("node-1").unwrap(),
            incarnation: owner,
            address: "10.0.0.1:7002".into(),
            now: Weight::ONE,
            next: Weight::ONE,
        };
        let id = MemberId::new("gateway-1").unwrap();
        let gateway =
            GatewayEntry { id, incarnation: me, address: "10.0.0.2:7002".into(), link: "h:2".into(), draining: false };
        let view = Arc::new(born.with_node(node).with_gateway(gateway));
        let now = Duration::from_secs(1000);
        let rules = Gateway::new(me, Arc::new(born), Timing::default(), GatewayLimits::default());
        let mut hub = Hub::new(now, rules, Arc::new(config), Box::new(Noon));
        hub.rules.on_view(now, view.clone());
        hub.rules.on_link_up(now, owner);
        let mut world = Self { hub, now, owner, view, said: Vec::new() };
        world.turn();
        world
    }

    /// Another node takes the place of the owner, for which nothing more is heard or said. Ends the turn.
    pub(super) fn replace_owner(&mut self, by: Incarnation) {
        let next = self.view.nodes[0].clone();
        let next = self.view.with_node(NodeEntry { incarnation: by, ..next }).without(self.owner, Removal::Proven);
        let view = Arc::new(View { epoch: self.view.epoch.next(), ..next });
        self.hub.rules.on_link_down(self.now, self.owner);
        self.hub.rules.on_view(self.now, view.clone());
        self.hub.rules.on_link_up(self.now, by);
        (self.owner, self.view) = (by, view);
        self.turn();
    }

    pub(super) fn owner(&self) -> Incarnation {
        self.owner
    }

    /// What a driver does at the end of a turn.
    pub(super) fn turn(&mut self) {
        self.hub.on_events(self.now);
        let said = self.hub.rules.take_frames(Vec::new());
        let frames = said.completed(|attaches| self.hub.complete(attaches));
        self.said.extend(frames.into_iter().map(|outgoing| outgoing.frame.message));
        self.hub.flush(self.now, Socket::flush);
    }

    /// Lets time pass in steps of a quarter second.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now += Duration::from_millis(250);
            self.hub.rules.tick(self.now);
            self.hub.tick(self.now);
            self.turn();
        }
    }

    pub(super) fn input(&mut self, input: ClientInput<FakeSocket>) {
        self.hub.on_input(self.now, input);
    }

    /// A new connection, with nothing said yet.
    pub(super) fn connect(&mut self, protocol: Protocol) -> Peer {
        let peer = Peer { ticket: Ticket::new(), socket: FakeSocket::default() };
        let (ticket, socket) = (peer.ticket.clone(), peer.socket.clone());
        let client = uuid::Uuid::new_v4();
        self.input(ClientInput::Opened { ticket, socket, protocol, client });
        self.turn();
        peer
    }

    /// A plain client that waits for its greeting.
    pub(super) fn plain(&mut self, user: &str) -> Peer {
        self.connect(Protocol::Plain(UserName::new(user).unwrap()))
    }

    /// An anonymous Centrifuge client with a session.
    pub(super) fn anonymous(&mut self) -> Peer {
        let peer = self.connect(Protocol::Centrifuge);
        self.send(&peer, r#"{"id":1,"connect":{}}"#);
        assert!(peer.one()["connect"]["client"].is_string());
        peer
    }

    /// Sends a Centrifuge frame and ends the turn.
    pub(super) fn send(&mut self, peer: &Peer, frame: &str) {
        self.queue(peer, frame);
        self.turn();
    }

    /// Sends a Centrifuge frame without ending the turn.
    pub(super) fn queue(&mut self, peer: &Peer, frame: &str) {
        let input = self.commands(peer, frame);
        self.input(input);
    }

    /// What a Centrifuge frame comes to.
    pub(super) fn commands(&self, peer: &Peer, frame: &str) -> ClientInput<FakeSocket> {
        let verifier = Verifier::new(Some(SECRET), || Duration::from_secs(unix()));
        let commands = json::decode_frame(frame.as_bytes()).unwrap();
        let commands = commands.map(|command| Command::of(command.unwrap(), &verifier)).collect();
        ClientInput::Commands(peer.ticket.clone(), commands)
    }

    /// The client answers all pings, in order. Ends the turn.
    pub(super) fn pong(&mut self, peer: &Peer) {
        let pings = std::mem::take(&mut peer.socket.0.lock().pings);
        for ping in pings {
            if let Some(number) = peer.ticket.take_pong(&ping) {
                self.input(ClientInput::Ponged(peer.ticket.clone(), number));
            }
        }
        self.turn();
    }

    /// What the owner was last told of how far a channel's inbox was confirmed, by whatever message.
    pub(super) fn told_confirmed(&self) -> Option<u64> {
        self.said.iter().rev().find_map(|message| match message {
            Message::Delivered(reports) => reports.last().map(|(_, _, offset)| *offset),
            Message::Detach(detach) => detach.delivered.map(|position| position.offset),
            _ => None,
        })
    }

    pub(super) fn hang_up(&mut self, peer: &Peer) {
        self.input(ClientInput::Closed(peer.ticket.clone()));
        self.turn();
    }

    pub(super) fn call(&mut self, request: ApiRequest) -> tokio::sync::oneshot::Receiver<ApiAnswer> {
        let (reply, answer) = tokio::sync::oneshot::channel();
        let reply = ReplyTo::new(move |answer| drop(reply.send(answer)));
        self.input(ClientInput::Call(Call { request, reply }));
        self.turn();
        answer
    }

    /// The owner says something; the hub hears it when the turn ends.
    pub(super) fn hear(&mut self, message: Message) {
        let epoch = self.view.epoch;
        self.hub.rules.on_message(self.now, self.owner, epoch, message);
    }

    /// The newest attach of a channel.
    #[track_caller]
    pub(super) fn attach_of(&self, channel: &str) -> Attach {
        let attaches = self.said.iter().rev().filter_map(|message| match message {
            Message::Attach(attaches) => attaches.iter().find(|attach| attach.channel.as_str() == channel),
            _ => None,
        });
        attaches.into_iter().next().expect("the channel was attached").clone()
    }

    /// The owner attaches a channel: its stream, and where deliveries begin. Ends the turn.
    #[track_caller]
    pub(super) fn attached(&mut self, channel: &str, stream: Option<Position>, from: u64) {
        let attach = self.attach_of(channel).attach;
        self.hear(Message::Attached(Attached { attach, stream, from, users: 42 }));
        self.turn();
    }

    /// The owner has kept how far a channel's inbox was handed on, which was detached. Ends the turn.
    #[track_caller]
    pub(super) fn detached(&mut self, channel: &str) {
        self.hear(Message::Detached(self.attach_of(channel).attach));
        self.turn();
    }

    /// The owner delivers a publication. Does not end the turn.
    #[track_caller]
    pub(super) fn deliver(&mut self, channel: &str, offset: u64, data: &str) {
        let attach = self.attach_of(channel).attach;
        self.hear(Message::Deliver(Deliver { attach, offset, entry: entry(data) }));
    }

    /// Delivers these offsets, each with itself as payload, and ends the turn.
    #[track_caller]
    pub(super) fn deliver_all(&mut self, channel: &str, offsets: std::ops::RangeInclusive<u64>) {
        for offset in offsets {
            self.deliver(channel, offset, &offset.to_string());
        }
        self.turn();
    }

    /// Queries sent to the owner so far.
    pub(super) fn queries(&self) -> Vec<(u64, Query)> {
        let query = |message: &Message| match message {
            Message::Query(id, query) => Some((*id, query.clone())),
            _ => None,
        };
        self.said.iter().filter_map(query).collect()
    }

    /// The owner answers the newest query. Ends the turn.
    #[track_caller]
    pub(super) fn answer(&mut self, answer: Answer) {
        let (id, _) = self.queries().pop().expect("something was asked");
        self.hear(Message::Answer(id, answer));
        self.turn();
    }

    /// The owner answers the newest query with these publications below that top. Ends the turn.
    #[track_caller]
    pub(super) fn page(&mut self, top: Position, offsets: std::ops::RangeInclusive<u64>) {
        let publications = offsets.map(|offset| (offset, entry(&offset.to_string()))).collect();
        self.answer(Answer::History(HistoryPage { top, publications, more: false }));
    }

    /// The same, with more to be asked for. Ends the turn.
    #[track_caller]
    pub(super) fn page_of_more(&mut self, top: Position, offsets: impl Iterator<Item = u64>) {
        let publications = offsets.map(|offset| (offset, entry(&offset.to_string()))).collect();
        self.answer(Answer::History(HistoryPage { top, publications, more: true }));
    }

    /// The client's socket has room again. Ends the turn.
    pub(super) fn make_room(&mut self, peer: &Peer) {
        let mut record = peer.socket.0.lock();
        record.stuck = 0;
        assert!(std::mem::take(&mut record.is_asked), "the hub asked for it");
        drop(record);
        self.input(ClientInput::Room(peer.ticket.clone()));
        self.turn();
    }

    /// Publishes sent to the owner so far: slot, number, channel, payload.
    pub(super) fn publishes(&self) -> Vec<ringway_core::message::Publish> {
        let publish = |message: &Message| match message {
            Message::Publish(publish) => Some((**publish).clone()),
            _ => None,
        };
        self.said.iter().filter_map(publish).collect()
    }

    /// The owner acknowledges a publish. Ends the turn.
    pub(super) fn acknowledge(&mut self, publish: &ringway_core::message::Publish, position: Option<Position>) {
        self.hear(Message::PubOk(PubOk {
            slot: publish.slot,
            seq: publish.seq,
            position,
            copies: 1,
            durability: Durability::Memory,
        }));
        self.turn();
    }

    /// The owner has no room for a publish. Ends the turn.
    pub(super) fn reject(&mut self, publish: &ringway_core::message::Publish) {
        self.hear(Message::PubNo(PubNo {
            slot: publish.slot,
            seq: publish.seq,
            why: Refusal::Full,
            durability: Durability::Memory,
        }));
        self.turn();
    }

    /// The channel is attached anew elsewhere, and goes on from there. Ends the turn.
    #[track_caller]
    pub(super) fn lose(&mut self, channel: &str, stream: Position) {
        let now = self.now;
        self.hub.rules.on_link_down(now, self.owner);
        self.hub.rules.on_link_up(now, self.owner);
        self.turn();
        self.attached(channel, Some(stream), stream.offset);
    }
}

/// A token for a user.
pub(super) fn token(user: &str, exp: Option<u64>) -> String {
    let claims = serde_json::json!({ "sub": user, "exp": exp, "info": { "of": user } });
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap()
}

/// Seconds since 1970, for the ends of tokens.
pub(super) fn unix() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}
