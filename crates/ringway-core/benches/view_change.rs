//! What does a change of the view cost, most slots being empty? Three nodes and a gateway in memory go through a kill, a
//! join and its activation; no links, no bytes.
//!
//! `cargo bench -p ringway-core --bench view_change` prints, for each change, how much time each step took, all members
//! together, and when the gateway had all its channels back if every member had a processor to itself.

use ringway_core::message::Durability;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringway_core::gateway::{Event, Gateway, NewPublish};
use ringway_core::limits::{GatewayLimits, NodeLimits};
use ringway_core::message::{ChannelOptions, Entry, Frame, Message};
use ringway_core::node::{Lease, Node};
use ringway_core::peers::Outgoing;
use ringway_core::ring::{HashKey, SlotCount, Weight};
use ringway_core::timing::{Now, Timing};
use ringway_core::view::{GatewayEntry, NodeEntry, Placement, Removal, View};
use ringway_core::{ChannelName, Incarnation, MemberId};

const GATEWAY: Incarnation = Incarnation(100);
const CHANNELS: usize = 500;
const KEPT: ChannelOptions = ChannelOptions {
    history_size: 100,
    history_ttl: Duration::from_secs(3600),
    presence: false,
    history_bytes: 0,
    durability: Durability::Memory,
};
/// Rounds of one kind are measured so often, and the fastest is printed: everything else on the machine only adds.
const ROUNDS: usize = 5;

/// Time by step; the second number counts the steps.
type Spent = BTreeMap<&'static str, (Duration, usize)>;

/// Members whose frames arrive in the next round, all members at once.
struct World {
    now: Now,
    view: Arc<View>,
    placement: Placement,
    nodes: Vec<Node>,
    gateway: Gateway,
    attached: usize,
    frames: Vec<(Incarnation, Outgoing)>,
    spent: Spent,
    /// The slowest member of each round, added up.
    elapsed: Duration,
    served: Duration,
}

fn timed<T>(spent: &mut Spent, step: &'static str, work: impl FnOnce() -> T) -> (T, Duration) {
    let began = Instant::now();
    let done = work();
    let took = began.elapsed();
    let entry = spent.entry(step).or_default();
    (entry.0, entry.1) = (entry.0 + took, entry.1 + 1);
    (done, took)
}

fn entry(node: u64) -> NodeEntry {
    let id = MemberId::new(&format!("node-{node}")).expect("a well-formed id");
    NodeEntry { id, incarnation: Incarnation(node), address: "host:1".into(), now: Weight::ONE, next: Weight::ONE }
}

/// Its kind, as a step of the table.
fn kind(message: &Message) -> &'static str {
    match message {
        Message::Claim(_) => "take Claim",
        Message::Claimed(_) => "take Claimed",
        Message::State(_) | Message::Syncs(_) => "take State, Syncs",
        Message::Have(_) => "take Have",
        Message::Mark(_) => "take Mark",
        Message::Release(_) | Message::Released(_) => "take Release, Released",
        Message::Settled(_) => "take Settled",
        Message::Attach(_) | Message::Attached(_) | Message::AttachesDone(_) => "take Attach, Attached",
        _ => "take others",
    }
}

impl World {
    /// Three nodes, settled, and some channels with a history.
    fn new() -> Self {
        let key = HashKey::from_bytes([7; 16]);
        let id = MemberId::new("gateway").expect("a well-formed id");
        let gateway =
            GatewayEntry { id, incarnation: GATEWAY, address: "host:2".into(), link: "h:2".into(), draining: false };
        let born = View::born(key, SlotCount::DEFAULT).with_gateway(gateway);
        let view = (1..=3).fold(born.clone(), |view, node| view.with_node(entry(node))).activated();
        let (born, now) = (Arc::new(born), Duration::from_secs(1));
        let mut world = Self {
            now,
            view: born.clone(),
            placement: Placement::of(&born, None),
            nodes: Vec::new(),
            gateway: Gateway::new(GATEWAY, born, Timing::default(), GatewayLimits::default()),
            attached: 0,
            frames: Vec::new(),
            spent: Spent::new(),
            elapsed: Duration::ZERO,
            served: Duration::ZERO,
        };
        (1..=3).for_each(|node| world.start(Incarnation(node)));
        world.apply(view);
        for channel in 0..CHANNELS {
            let name = ChannelName::new(&format!("channel-{channel}")).expect("a well-formed name");
            world.gateway.attach(now, name.clone(), KEPT);
            for token in 0..4 {
                let entry = Entry::of(b"\"hello\"");
                let new =
                    NewPublish { channel: name.clone(), entry, options: KEPT, idempotency_key: None, version: None };
                world.gateway.publish(now, token, new).expect("there is room");
            }
        }
        world.settle();
        world
    }

    fn start(&mut self, me: Incarnation) {
        let mut node = Node::new(self.now, me, self.view.clone(), Timing::default(), NodeLimits::default(), me.0);
        node.set_lease(self.now, Lease::Forever);
        for other in &mut self.nodes {
            other.on_link_up(self.now, me);
            node.on_link_up(self.now, other.incarnation());
        }
        node.on_link_up(self.now, GATEWAY);
        self.gateway.on_link_up(self.now, me);
        self.nodes.push(node);
    }

    /// Everybody has the view at once, as if the registry had told them.
    fn apply(&mut self, view: View) {
        let (now, spent) = (self.now, &mut self.spent);
        self.view = Arc::new(view);
        let placed = timed(spent, "placement, each process", || Placement::of(&self.view, Some(&self.placement)));
        self.placement = placed.0;
        let (placement, mut slowest) = (&self.placement, Duration::ZERO);
        for node in &mut self.nodes {
            let step = || node.on_view_placed(now, &self.view, placement);
            slowest = slowest.max(timed(spent, "on_view, nodes", step).1);
        }
        let step = || self.gateway.on_view_placed(now, self.view.clone(), placement);
        slowest = slowest.max(timed(spent, "on_view, gateway", step).1);
        self.elapsed += placed.1 + slowest;
        self.settle();
    }

    /// Delivers frames round by round until there are none.
    fn settle(&mut self) {
        loop {
            let mut slowest = Duration::ZERO;
            for node in &mut self.nodes {
                let mut busy = Duration::ZERO;
                for (from, frame) in taken(&mut self.frames, node.incarnation()) {
                    let step = kind(&frame.message);
                    let take = || node.on_message(self.now, from, frame.epoch, frame.message);
                    busy += timed(&mut self.spent, step, take).1;
                }
                busy += timed(&mut self.spent, "finish_turn", || node.finish_turn(self.now)).1;
                slowest = slowest.max(busy);
            }
            let mut busy = Duration::ZERO;
            for (from, frame) in taken(&mut self.frames, GATEWAY) {
                let take = || self.gateway.on_message(self.now, from, frame.epoch, frame.message);
                busy += timed(&mut self.spent, "take at the gateway", take).1;
            }
            self.elapsed += slowest.max(busy);
            while let Some(event) = self.gateway.next_event() {
                self.attached += usize::from(matches!(event, Event::Attached { .. }));
            }
            if self.gateway.toll().waiting > 0 {
                self.served = self.elapsed;
            }
            for node in &mut self.nodes {
                let from = node.incarnation();
                self.frames.extend(node.drain_frames().map(|outgoing| (from, outgoing)));
            }
            let said = self.gateway.take_frames(Vec::new()).completed(|_| {});
            self.frames.extend(said.into_iter().map(|outgoing| (GATEWAY, outgoing)));
            if self.frames.is_empty() {
                assert!(self.nodes.iter().all(Node::is_settled), "frames ended before all was settled");
                return;
            }
        }
    }

    fn kill(&mut self, victim: Incarnation) {
        self.nodes.retain(|node| node.incarnation() != victim);
        let (now, mut slowest) = (self.now, Duration::ZERO);
        for node in &mut self.nodes {
            slowest = slowest.max(timed(&mut self.spent, "on_link_down, nodes", || node.on_link_down(now, victim)).1);
        }
        self.gateway.on_link_down(now, victim);
        self.elapsed += slowest;
        self.apply(self.view.without(victim, Removal::Proven));
    }

    /// Forgets what was measured so far.
    fn begin(&mut self) {
        self.spent.clear();
        (self.elapsed, self.served) = (Duration::ZERO, Duration::ZERO);
    }
}

/// Takes the frames for one member.
fn taken(frames: &mut Vec<(Incarnation, Outgoing)>, to: Incarnation) -> Vec<(Incarnation, Frame)> {
    let (mine, rest) = std::mem::take(frames).into_iter().partition(|(_, outgoing)| outgoing.to == to);
    *frames = rest;
    let mine: Vec<(Incarnation, Outgoing)> = mine;
    mine.into_iter().map(|(from, outgoing)| (from, outgoing.frame)).collect()
}

/// What one change came to.
struct Cost {
    spent: Spent,
    served: Duration,
    settled: Duration,
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn report(change: &str, costs: &[&Cost]) {
    let fastest = costs.iter().min_by_key(|cost| cost.settled).expect("at least one round");
    let total: Duration = fastest.spent.values().map(|(took, _)| *took).sum();
    println!("{change}: {:.1} ms of work in all members", millis(total));
    println!(
        "  channels served after {:.1} ms, settled after {:.1} ms",
        millis(fastest.served),
        millis(fastest.settled)
    );
    for (step, (took, count)) in &fastest.spent {
        println!("  {:8.2} ms  {count:6} x  {step}", millis(*took));
    }
}

fn main() {
    let mut costs: Vec<(&str, Cost)> = Vec::new();
    let mut world = World::new();
    assert_eq!(world.attached, CHANNELS);
    for round in 0..ROUNDS {
        let mut keep = |change, world: &mut World| {
            let spent = std::mem::take(&mut world.spent);
            costs.push((change, Cost { spent, served: world.served, settled: world.elapsed }));
            world.begin();
        };
        world.begin();
        world.kill(Incarnation(3 + round as u64));
        keep("kill", &mut world);
        world.start(Incarnation(4 + round as u64));
        world.begin();
        world.apply(world.view.with_node(NodeEntry { id: entry(3).id, ..entry(4 + round as u64) }));
        keep("join", &mut world);
        world.apply(world.view.activated());
        keep("activation", &mut world);
    }
    for change in ["kill", "join", "activation"] {
        let costs: Vec<&Cost> = costs.iter().filter(|(of, _)| *of == change).map(|(_, cost)| cost).collect();
        report(change, &costs);
    }
}
