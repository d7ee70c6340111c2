//! The member task: one task owns the rules of this process ([`Member`]) and is the pump around them. Links, sockets, HTTP and time
//! bring inputs; frames, answers and facts go out. Nothing is shared and nothing is locked.
//!
//! A turn: take what has come in, let the rules act, carry out what they want, send, flush the sockets.

mod arrival;
mod dials;
mod door;
mod evidence;
mod facts;
mod hindrance;
mod join;
mod leaving;
mod meter;
mod orders;
mod reach;
mod resets;
mod shedding;
mod telling;
mod turn;
mod unreached;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ringway_core::gateway::Gateway;
use ringway_core::id::{Birth, Epoch, Incarnation, MemberId};
use ringway_core::limits::{GatewayLimits, NodeLimits};
use ringway_core::member::Member;
use ringway_core::membership::Life;
use ringway_core::message::{Frame, Load};
use ringway_core::node::Node;
use ringway_core::peers::Outgoing;
use ringway_core::ring::Weight;
use ringway_core::timing::{Now, Timing};
use ringway_core::view::{GatewayEntry, NodeEntry, View};
use ringway_edge::{Edge, Flusher};
use ringway_hub::{Batch, Hub, Turns};
use ringway_link::{Event, LinkId, LinkSender, Links, Target};
use ringway_protocol::link::Identity;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{MissedTickBehavior, interval};
use tracing::{error, info, warn};

use crate::changes::Teller;
use crate::clock;
use crate::cluster::{ChangeError, ClusterSeat, ClusterState};
use crate::gateway::{Client, GatewayConfig, Intake, SystemClock};
use crate::logbook;
use crate::orders::{Counts, Handle as OrdersHandle};
use crate::registry::Handle;

use door::Door;
use evidence::Finding;
pub use join::{JoinError, first_view};
use leaving::Leaving;
pub use meter::Meter;
use orders::Orders;
use reach::Reach;
use shedding::Shedding;
use telling::Telling;
use unreached::Unreached;

/// How often the rules see time pass. Retries are a few of these apart.
const TICK: Duration = Duration::from_millis(10);

/// How long a member that has left goes on refusing what was sent to it before its senders knew: at least, so that what
/// is under way arrives, and at most, for one of them may be gone.
const LINGER_LEAST: Duration = Duration::from_millis(300);
const LINGER_MOST: Duration = Duration::from_secs(1);

/// Link events taken in one turn, and about how many bytes of frames: a busy link, and what is large, must not keep sockets waiting.
const EVENTS: usize = 64;
const EVENTS_BYTES: usize = 128 << 10;

/// What the rest of the process orders the member task to do.
#[derive(Debug)]
pub enum Signal {
    /// Send the clients away, at the pace that is set, or faster where they would take more than their share of this time;
    /// answered when nobody is left.
    Shed(Duration, oneshot::Sender<()>),
    /// Hand over and leave; answered when that is done, or when there is nothing that could be handed over.
    Drain(oneshot::Sender<()>),
    /// Close every session and end; answered when that is done.
    Stop(oneshot::Sender<()>),
}

/// What a member task is made of.
#[derive(Debug)]
pub struct Parts {
    /// Stable name.
    pub id: MemberId,
    /// First life.
    pub incarnation: Incarnation,
    /// It owns slots, with this weight.
    pub node: Option<Weight>,
    /// It holds client sockets.
    pub gateway: Option<GatewayParts>,
    /// Where requests to the registry go, and answers come from.
    pub registry: Handle,
    /// Where its node's requests to the log go, and answers come from.
    pub log: logbook::Handle,
    /// How orders go to other members and come from them.
    pub orders: OrdersHandle,
    /// Where the registry's host is reached, if it is another member.
    pub join: Option<Target>,
    /// The newest view known.
    pub view: Arc<View>,
    /// The cluster's lengths of time.
    pub timing: Timing,
    /// Bounds of the rules.
    pub limits: (GatewayLimits, NodeLimits),
    /// Links and what happens on them.
    pub links: Links,
    /// Events that came before the task began, then the rest.
    pub events: (Vec<Event>, mpsc::Receiver<Event>),
    /// Where facts go and orders come from.
    pub seat: ClusterSeat,
    /// Orders of the process itself.
    pub signals: mpsc::Receiver<Signal>,
    /// Counters that others read.
    pub stats: watch::Sender<Stats>,
    /// Where receipts are kept, if this member is the keeper or may become it.
    pub teller: Option<Teller>,
}

/// The gateway role of a member.
#[derive(Debug)]
pub struct GatewayParts {
    /// Where clients reach it.
    pub address: Arc<str>,
    /// What sessions may do.
    pub config: Arc<GatewayConfig>,
    /// Where sockets and calls leave what they bring.
    pub intake: Arc<Intake<Client>>,
    /// The sockets.
    pub edge: Edge,
    /// Clients that are sent away per second when it drains.
    pub drain_rate: u32,
    /// The other gateways of the process, which leave with it and are no elsewhere for its clients then.
    pub beside: Vec<MemberId>,
}

/// Counters of the rules, published a few times a second.
#[derive(Debug, Clone, Default)]
pub struct Stats {
    /// Sessions and what they did.
    pub hub: Option<ringway_hub::Counts>,
    /// What the node says of itself.
    pub node: Load,
    /// Publishes of this gateway that were acknowledged, in memory and in the log, by copies: without history, 1, 2, more.
    pub acknowledged: [[u64; 4]; 2],
    /// Publishes that wait for their owner.
    pub publishes_waiting: u64,
    /// When the task said all this: it turns.
    pub turned: Now,
    /// When the registry answered last; `None` where it is in this process.
    pub registry_answered: Option<Now>,
    /// It was asked to end, and is on its way out.
    pub leaving: bool,
    /// Lives that ended because the view went on without this member.
    pub expulsions: u64,
    /// Orders that this member gave to others, and they took.
    pub orders: Counts,
    /// Why the bus for orders is away, if there is one and it is.
    pub bus_away: Option<Arc<str>>,
    /// What changes cost those who listen here, if this is a gateway.
    pub toll: Option<ringway_core::message::Toll>,
}

impl Stats {
    /// These, with what another gateway of the process counts. What only the first member can say stays as it is.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        self.hub = match (self.hub, &other.hub) {
            (Some(one), Some(other)) => Some(one.and(other)),
            (one, other) => one.or(*other),
        };
        self.toll = match (self.toll, &other.toll) {
            (Some(one), Some(other)) => Some(one.and(other)),
            (one, other) => one.or_else(|| other.clone()),
        };
        let copies = self.acknowledged.iter_mut().flatten().zip(other.acknowledged.into_iter().flatten());
        copies.for_each(|(count, more)| *count += more);
        self.publishes_waiting += other.publishes_waiting;
        self.expulsions += other.expulsions;
        self.orders = self.orders.and(&other.orders);
        self
    }
}

/// Why a member task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It drained and left.
    Left,
    /// It was told to stop.
    Stopped,
    /// It keeps the registry, from a folder that is older than what another member knows.
    Outdated {
        /// Epoch of the view here.
        kept: Epoch,
        /// Epoch of the view that a member of the cluster has.
        known: Epoch,
    },
}

/// A linked member.
#[derive(Debug)]
struct Peer {
    link: LinkId,
    sender: LinkSender,
    identity: Identity,
}

impl Peer {
    /// When something was read from it last, whether it was taken since or waits.
    fn last_heard(&self, now: Now) -> Now {
        now.saturating_sub(self.sender.silence())
    }
}

/// The task's state.
#[derive(Debug)]
struct Task {
    parts: Static,
    /// The node's share of the slots: what the config says, or what it was given last. It outlives an incarnation.
    weight: Option<Weight>,
    me: Incarnation,
    member: Member<Hub<Client>>,
    registry: Handle,
    log: logbook::Handle,
    orders: Orders,
    /// The other members.
    mesh: Mesh,
    /// What the rules have to say, on its way to the links. Empty between turns.
    frames: Vec<Outgoing>,
    sockets: Sockets,
    demands: Demands,
    exit: Exit,
    next_ping: Now,
    facts_changed: bool,
    expulsions: u64,
    telling: Telling,
}

/// The other members, as this one is linked with them.
#[derive(Debug)]
struct Mesh {
    peers: HashMap<Incarnation, Peer>,
    /// What they said of themselves.
    loads: HashMap<Incarnation, Load>,
    dialed: Vec<Target>,
    /// Members of the view without a link to this node, since when.
    missing: HashMap<Target, Now>,
    /// What a host has said of how channels are kept before it was known which cluster it is of.
    early_word: Option<(Incarnation, Frame)>,
    /// Where probes leave what they have found.
    evidence: mpsc::Sender<Finding>,
    reach: Reach,
    door: Door,
    unreached: Unreached,
}

impl Mesh {
    fn new(evidence: mpsc::Sender<Finding>) -> Self {
        Self {
            peers: HashMap::new(),
            loads: HashMap::new(),
            dialed: Vec::new(),
            missing: HashMap::new(),
            early_word: None,
            evidence,
            reach: Reach::default(),
            door: Door::default(),
            unreached: Unreached::default(),
        }
    }
}

/// The way between the hub and the sockets.
#[derive(Debug)]
struct Sockets {
    /// Has the sockets written that a turn was queued something for.
    flusher: Option<Flusher>,
    /// Inputs of clients; kept for its memory.
    batch: Batch<Client>,
    /// What clients brought and waits for the next turn.
    turns: Turns<Client>,
}

/// Changes of the view that this process has asked the rules for, by their number.
#[derive(Debug, Default)]
struct Demands {
    waiting: HashMap<u64, oneshot::Sender<Result<ringway_core::Epoch, ChangeError>>>,
    next: u64,
}

/// How far this member is on its way out, if it is.
#[derive(Debug, Default)]
struct Exit {
    leaving: Option<Leaving>,
    shedding: Option<Shedding>,
    draining: Option<oneshot::Sender<()>>,
    left: Option<Now>,
    /// Somebody knows a newer view than the registry here.
    outdated: Option<End>,
}

/// What does not change while the task runs.
#[derive(Debug)]
struct Static {
    id: MemberId,
    gateway: Option<GatewayParts>,
    timing: Timing,
    limits: (GatewayLimits, NodeLimits),
    links: Links,
    seat: watch::Sender<Arc<ClusterState>>,
    stats: watch::Sender<Stats>,
}

/// Runs a member until it has left or is told to stop.
pub async fn run(parts: Parts) -> End {
    let Parts { seat, events: (early, mut events), mut signals, .. } = parts;
    let ClusterSeat { state, mut demands } = seat;
    // Evidence is rare and soon acted on; a probe that finds the queue full tries again.
    let (evidence, mut findings) = mpsc::channel::<Finding>(16);
    let fixed = Static {
        id: parts.id,
        gateway: parts.gateway,
        timing: parts.timing,
        limits: parts.limits,
        links: parts.links,
        seat: state,
        stats: parts.stats,
    };
    let intake = fixed.gateway.as_ref().map(|gateway| gateway.intake.clone());
    let telling = Telling::new(parts.teller, parts.view.clone(), parts.registry.seat().is_here());
    let outside = (parts.registry, parts.log, parts.orders);
    let mut task = Task::new(fixed, parts.node, parts.incarnation, &parts.view, outside, evidence, telling);
    task.mesh.dialed.extend(parts.join);
    for event in early {
        task.on_link_event(clock::now(), event);
    }
    task.look_for_my_former_life(clock::now());
    task.dial_others(&parts.view);
    task.turn(clock::now());
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            _ = ticks.tick() => {
                // What has arrived is known, however late this turn is: no deadline may pass over it. What arrives from
                // now on waits for the next: links that bring more than can be taken must not stop the time.
                let arrived = events.len();
                task.take_events(come(&mut events).take(arrived), usize::MAX);
                task.tick(clock::now());
            }
            Some(signal) = signals.recv() => {
                if let Some(stopped) = task.on_signal(clock::now(), signal) {
                    task.turn(clock::now());
                    task.say_goodbye().await;
                    let _ = stopped.send(());
                    return End::Stopped;
                }
            }
            Some(demanded) = demands.recv() => task.on_demand(clock::now(), demanded),
            Some(finding) = findings.recv() => task.on_finding(clock::now(), finding),
            news = task.registry.next() => task.on_news(clock::now(), news),
            (to, answer) = task.log.next() => task.on_logged(clock::now(), to, answer),
            told = task.orders.handle.next() => task.on_told(clock::now(), told),
            event = events.recv() => {
                let Some(event) = event else {
                    error!("the links have ended; this member stops");
                    return End::Stopped;
                };
                task.take_events(std::iter::once(event).chain(come(&mut events)).take(EVENTS), EVENTS_BYTES);
            }
            () = arrived(intake.as_deref()) => {}
            () = std::future::ready(()), if task.member.has_more() => {}
        }
        task.take_inputs(clock::now(), intake.as_deref());
        if let Some(end) = task.exit.outdated.take() {
            return end;
        }
        if task.has_left(clock::now()) {
            task.say_goodbye().await;
            return End::Left;
        }
    }
}

/// What has come and was not taken.
fn come(events: &mut mpsc::Receiver<Event>) -> impl Iterator<Item = Event> {
    std::iter::from_fn(|| events.try_recv().ok())
}

/// Waits for client inputs; for ever where there are no clients.
async fn arrived(intake: Option<&Intake<Client>>) {
    match intake {
        Some(intake) => intake.arrived().await,
        None => std::future::pending().await,
    }
}

impl Task {
    fn new(
        parts: Static,
        weight: Option<Weight>,
        me: Incarnation,
        view: &Arc<View>,
        (mut registry, log, orders): (Handle, logbook::Handle, OrdersHandle),
        evidence: mpsc::Sender<Finding>,
        telling: Telling,
    ) -> Self {
        let now = clock::now();
        let (identity, node) = (parts.life(me, weight), weight.map(|_| parts.node(now, me, view.clone(), &log)));
        let hub = parts.gateway.as_ref().map(|gateway| {
            let rules = Gateway::new(me, view.clone(), parts.timing, parts.limits.0);
            Hub::new(now, rules, Arc::new(gateway.config.hub.clone()), Box::<SystemClock>::default())
        });
        let flusher = parts.gateway.as_ref().map(|gateway| gateway.edge.flusher());
        registry.begin_life(now, me, view, parts.timing);
        let member = Member::new(now, identity, view, parts.timing, registry.seat()).with(now, node, hub);
        Self {
            parts,
            weight,
            me,
            member,
            registry,
            log,
            orders: Orders::new(orders),
            mesh: Mesh::new(evidence),
            frames: Vec::new(),
            sockets: Sockets { flusher, batch: Batch::default(), turns: Turns::default() },
            demands: Demands::default(),
            exit: Exit::default(),
            next_ping: now,
            facts_changed: true,
            expulsions: 0,
            telling,
        }
    }

    /// This incarnation is over: another one joins in its place. Client sockets stay.
    fn start_over(&mut self, now: Now) {
        self.expulsions += 1;
        warn!("the view went on without this member; joining again");
        let birth = self.parts.links.identity().birth;
        let view = self.member.view().clone();
        self.take_new_life(now, &view, birth);
    }

    /// A new incarnation with this view, in which it is not. All links end and are made anew.
    fn take_new_life(&mut self, now: Now, view: &Arc<View>, birth: Option<Birth>) {
        self.me = Incarnation(rand::random());
        self.orders.begin_life(self.me);
        let identity = Identity { incarnation: self.me, birth, ..(*self.parts.links.identity()).clone() };
        self.parts.links.set_identity(identity);
        self.settle_in(now, view);
    }

    /// Rules anew, for a member that knows this view and is not in it. What a node held is gone; a gateway keeps its sessions.
    fn settle_in(&mut self, now: Now, view: &Arc<View>) {
        let identity = self.parts.life(self.me, self.weight);
        let node = self.weight.map(|_| self.parts.node(now, self.me, view.clone(), &self.log));
        self.registry.begin_life(now, self.me, view, self.parts.timing);
        self.member.live_anew(now, identity, view, node);
    }

    fn has_left(&mut self, now: Now) -> bool {
        let Some(since) = self.exit.left else { return false };
        // Publishes that were sent here before the view came are refused, not lost: stay until every gateway knows.
        let epoch = self.member.view().epoch;
        let knows = |peer: &Incarnation| match self.member.node() {
            Some(node) => node.heard_epoch(*peer).is_none_or(|heard| heard >= epoch),
            None => true,
        };
        now >= since + LINGER_MOST || (now >= since + LINGER_LEAST && self.mesh.peers.keys().all(knows))
    }

    /// Writes out what is queued and closes the links.
    async fn say_goodbye(&mut self) {
        self.parts.links.shut_down().await;
        if let Some(done) = self.exit.draining.take() {
            let _ = done.send(());
        }
        info!(id = %self.parts.id, "this member has ended");
    }
}

impl Static {
    /// How the view would list this life.
    fn life(&self, incarnation: Incarnation, weight: Option<Weight>) -> Life {
        let id = self.id.clone();
        let address = self.links.identity().address.clone();
        let link = address.clone();
        let node = weight.map(|weight| NodeEntry { id: id.clone(), incarnation, address, now: weight, next: weight });
        let gateway = self.gateway.as_ref().map(|gateway| GatewayEntry {
            id: id.clone(),
            incarnation,
            address: gateway.address.clone(),
            link,
            draining: false,
        });
        Life { id, incarnation, node, gateway }
    }

    fn node(&self, now: Now, me: Incarnation, view: Arc<View>, log: &logbook::Handle) -> Node {
        let node = Node::new(now, me, view, self.timing, self.limits.1, rand::random());
        if log.is_shared() { node.with_shared_log() } else { node }
    }
}
