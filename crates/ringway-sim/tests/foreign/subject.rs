//! One process with both roles and the registry, driven as a real one is, among members of whom nothing is to be expected.

mod doings;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use ringway_core::gateway::{ChannelKey, Event, Gateway};
use ringway_core::limits::{GatewayLimits, NodeLimits};
use ringway_core::member::{Action, Identity, Member};
use ringway_core::message::{Frame, Message, RegistryRequest};
use ringway_core::node::Node;
use ringway_core::peers::Outgoing;
use ringway_core::registry::Registry;
use ringway_core::ring::{HashKey, SlotCount, Weight};
use ringway_core::timing::{Now, Timing};
use ringway_core::view::{GatewayEntry, NodeEntry, View};
use ringway_core::{ChannelName, Epoch, Incarnation, MemberId, Slot};
use ringway_protocol::link::testing::{Choices, Known, MESSAGE_KINDS, Sample, message_of_kind};

use super::honest::answer;
use super::plausible::Inside;

const SLOTS: u32 = 16;
const OTHERS: [u64; 4] = [2, 3, 4, 5];
/// A frame may make us answer every slot to every member, and some channels besides.
const FRAMES_MOST: usize = 20_000;

/// How far the rules came.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Reached {
    /// Slots that were live, counted with every step.
    pub(super) live: usize,
    /// Entries of streams, counted with every step.
    pub(super) kept: usize,
    pub(super) attached: usize,
    pub(super) published: usize,
    pub(super) views: usize,
    pub(super) lives: usize,
}

impl std::ops::Add for Reached {
    type Output = Self;

    fn add(self, more: Self) -> Self {
        Self {
            live: self.live + more.live,
            kept: self.kept + more.kept,
            attached: self.attached + more.attached,
            published: self.published + more.published,
            views: self.views + more.views,
            lives: self.lives + more.lives,
        }
    }
}

pub(super) struct Subject {
    now: Now,
    random: u64,
    me: Incarnation,
    member: Member,
    node: Node,
    gateway: Gateway,
    registry: Registry,
    keys: Vec<ChannelKey>,
    known: Known,
    reached: Reached,
}

fn channels() -> Vec<ChannelName> {
    (0..6)
        .map(|at| ChannelName::new(&if at < 3 { format!("#u{at}") } else { format!("c{at}") }).expect("a name"))
        .collect()
}

fn node(id: u64) -> NodeEntry {
    let (id, incarnation) = (MemberId::new(&format!("m{id}")).expect("an id"), Incarnation(id));
    NodeEntry { id, incarnation, address: "h:1".into(), now: Weight::ONE, next: Weight::ONE }
}

fn gateway(id: u64) -> GatewayEntry {
    let NodeEntry { id, incarnation, address, .. } = node(id);
    GatewayEntry { id, incarnation, link: "l:2".into(), address, draining: false }
}

/// This member and two more are nodes; it and two more are gateways.
fn first_view() -> View {
    let mut view = View::born(HashKey::from_bytes([7; 16]), SlotCount::new(SLOTS).expect("a power of two"));
    (view.nodes, view.gateways) = ([1, 2, 3].map(node).into(), [1, 4, 5].map(gateway).into());
    view.epoch = Epoch(10);
    view
}

impl Subject {
    pub(super) fn new(seed: u64) -> Self {
        let (view, now, me) = (Arc::new(first_view()), Duration::from_secs(100), Incarnation(1));
        let timing = Timing::default();
        let mut subject = Self {
            now,
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            me,
            member: Self::member(now, me, &view),
            node: Node::new(now, me, view.clone(), timing, NodeLimits::default(), seed),
            gateway: Gateway::new(me, view.clone(), timing, GatewayLimits::default()),
            registry: Registry::new(view.clone(), timing.ttl),
            keys: Vec::new(),
            known: Known::default(),
            reached: Reached { lives: 1, ..Reached::default() },
        };
        subject.link_all();
        subject.node.on_view(now, &view);
        subject.gateway.on_view(now, view);
        subject.settle();
        subject
    }

    fn member(now: Now, me: Incarnation, view: &Arc<View>) -> Member {
        let (mut node, mut gateway) = (node(1), gateway(1));
        (node.incarnation, gateway.incarnation) = (me, me);
        let identity = Identity { id: node.id.clone(), incarnation: me, node: Some(node), gateway: Some(gateway) };
        Member::new(now, identity, view.clone(), Timing::default(), true)
    }

    fn link_all(&mut self) {
        for peer in OTHERS.map(Incarnation).into_iter().chain([self.me]) {
            self.node.on_link_up(self.now, peer);
            self.gateway.on_link_up(self.now, peer);
        }
        self.node.set_lease(self.now, self.member.lease());
    }

    pub(super) fn reached(&self) -> Reached {
        self.reached
    }

    fn below(&mut self, count: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 16) % count
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        let at = self.below(all.len() as u64);
        all[at as usize]
    }

    fn choices(&mut self) -> Choices {
        let seed = self.random;
        self.below(2);
        Choices::scattered(seed).among(self.known.clone())
    }

    pub(super) fn step(&mut self) {
        self.learn();
        match self.below(20) {
            0 | 1 => self.pass(),
            2 => self.relink(),
            3 => self.own_wish(),
            4 => self.lie_of_a_view(),
            5 => self.change_view(),
            6 => {
                let request = RegistryRequest::sample(&mut self.choices());
                let from = self.one_of(&OTHERS);
                self.hear(Incarnation(from), Message::RegistryRequest(request));
            }
            _ => {
                let kind = self.below(MESSAGE_KINDS as u64) as usize;
                let mut message = message_of_kind(kind, &mut self.choices());
                let inside = Inside { node: &self.node, gateway: &self.gateway, random: self.random >> 8 };
                let bent = if self.random.is_multiple_of(2) { inside.bend(&mut message) } else { None };
                match bent {
                    Some(from) => self.hear_at(self.node.view().epoch, from, message),
                    None => {
                        let from = Incarnation(self.one_of(&OTHERS));
                        self.hear(from, message);
                    }
                }
            }
        }
        self.settle();
        let live = |slot: &u32| self.node.inspect(Slot(*slot)).is_some_and(|report| report.reign.is_some());
        self.reached.live += (0..SLOTS).filter(live).count();
        let reports = channels().into_iter().filter_map(|name| self.node.inspect_channel(&name));
        self.reached.kept +=
            reports.map(|report| (report.top + 1).saturating_sub(report.first) as usize).sum::<usize>();
    }

    /// What a liar would have to know to be believed.
    fn learn(&mut self) {
        let view = self.member.view();
        let epoch = view.epoch.0;
        self.known.numbers = [0, 1, 2, 3, epoch - 1, epoch, epoch, epoch, epoch.saturating_add(1), u64::MAX].into();
        self.known.incarnations = OTHERS.map(Incarnation).into_iter().chain([self.me]).collect();
        self.known.channels = channels();
        self.known.slots = (0..=SLOTS).map(Slot).collect();
        self.known.cluster = Some((view.key, view.slots));
        self.known.attaches.truncate(64);
        self.known.streams = channels().iter().filter_map(|name| self.node.inspect_channel(name)?.epoch).collect();
    }

    fn pass(&mut self) {
        let millis = self.one_of(&[1, 10, 10, 100, 100, 1000, 5000]);
        self.now += Duration::from_millis(millis);
        let settled = self.one_of(&[Epoch(0), self.member.view().epoch]);
        self.member.tick(self.now, |_| settled);
        self.node.tick(self.now);
        self.gateway.tick(self.now);
        self.node.ping();
    }

    fn relink(&mut self) {
        let peer = Incarnation(self.one_of(&OTHERS));
        if self.below(2) == 0 {
            self.node.on_link_down(self.now, peer);
            self.gateway.on_link_down(self.now, peer);
        }
        self.node.on_link_up(self.now, peer);
        self.gateway.on_link_up(self.now, peer);
    }

    fn take_view(&mut self, view: Arc<View>) {
        let op = ringway_core::message::RegistryOp::Cas(view);
        let answer = self.registry.handle(self.now, RegistryRequest { id: 0, op });
        self.member.on_view(self.now, &answer.view);
    }

    /// A frame comes in, as a member's task hands it on.
    fn hear(&mut self, from: Incarnation, message: Message) {
        let epoch = Epoch(u64::sample(&mut self.choices()));
        self.hear_at(epoch, from, message);
    }

    fn hear_at(&mut self, epoch: Epoch, from: Incarnation, message: Message) {
        self.member.heard(self.now, from);
        match message {
            Message::RegistryRequest(request) => {
                let answer = self.registry.handle(self.now, request);
                self.member.on_view(self.now, &answer.view);
            }
            Message::RegistryAnswer(answer) => self.member.on_answer(self.now, &answer),
            Message::Moved(view) => {
                self.member.on_view(self.now, &view);
                self.act();
                self.both(from, epoch, Message::Moved(view));
            }
            Message::Ping(load) => self.both(from, epoch, Message::Ping(load)),
            message => self.one(from, epoch, message),
        }
    }

    fn both(&mut self, from: Incarnation, epoch: Epoch, message: Message) {
        self.node.on_message(self.now, from, epoch, message.clone());
        self.gateway.on_message(self.now, from, epoch, message);
    }

    fn one(&mut self, from: Incarnation, epoch: Epoch, message: Message) {
        if message.is_for_gateway() {
            self.gateway.on_message(self.now, from, epoch, message);
        } else {
            self.node.on_message(self.now, from, epoch, message);
        }
    }

    fn act(&mut self) {
        while let Some(action) = self.member.next_action() {
            match action {
                Action::Request(request) => {
                    let answer = self.registry.handle(self.now, request);
                    self.member.on_answer(self.now, &answer);
                }
                Action::View(view, placement) => {
                    self.reached.views += 1;
                    self.node.on_view_placed(self.now, &view, &placement);
                    self.gateway.on_view_placed(self.now, view, &placement);
                }
                Action::Lease(lease) => self.node.set_lease(self.now, lease),
                Action::Expelled | Action::Left => self.start_over(),
                _ => {}
            }
        }
    }

    /// A new incarnation joins in the place of this one.
    fn start_over(&mut self) {
        self.reached.lives += 1;
        self.me = Incarnation(1_000 + self.reached.lives as u64);
        let view = self.registry.view().clone();
        self.member = Self::member(self.now, self.me, &view);
        self.node = Node::new(self.now, self.me, view.clone(), Timing::default(), NodeLimits::default(), self.random);
        let empty = Gateway::new(self.me, view.clone(), Timing::default(), GatewayLimits::default());
        self.gateway = std::mem::replace(&mut self.gateway, empty).reborn(self.now, self.me, view);
        self.link_all();
    }

    /// Rules answer each other, and honest members answer them, until nobody has more to say.
    fn settle(&mut self) {
        let mut frames: VecDeque<(Incarnation, Frame)> = VecDeque::new();
        let mut count = 0;
        loop {
            self.act();
            self.node.finish_turn();
            let outgoing: Vec<Outgoing> = self.node.drain_frames().chain(self.gateway.drain_frames()).collect();
            count += outgoing.len();
            assert!(count < FRAMES_MOST, "one step makes too many frames");
            for Outgoing { to, frame } in outgoing {
                self.overhear(&frame.message);
                if to == self.me {
                    frames.push_back((to, frame));
                } else if self.below(8) > 0 {
                    frames.extend(answer(&frame).map(|frame| (to, frame)));
                }
            }
            let Some((from, frame)) = frames.pop_front() else { break };
            self.one_or_both(from, frame);
        }
        while let Some(event) = self.gateway.next_event() {
            self.reached.attached += usize::from(matches!(event, Event::Attached { .. }));
            self.reached.published += usize::from(matches!(event, Event::Published { result: Ok(_), .. }));
        }
    }

    fn one_or_both(&mut self, from: Incarnation, Frame { epoch, message }: Frame) {
        match message {
            Message::Moved(_) | Message::Ping(_) => self.both(from, epoch, message),
            message => self.one(from, epoch, message),
        }
    }

    /// Numbers that name something.
    fn overhear(&mut self, message: &Message) {
        if let Message::Attach(attaches) = message {
            self.known.attaches.splice(0..0, attaches.iter().map(|attach| attach.attach));
        }
    }
}
