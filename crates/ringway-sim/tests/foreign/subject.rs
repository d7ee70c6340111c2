//! One process with both roles and the registry, driven as a real one is, among members of whom nothing is to be expected.

mod doings;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use ringway_core::gateway::{ChannelKey, Event, Gateway};
use ringway_core::limits::{GatewayLimits, NodeLimits};
use ringway_core::member::Member;
use ringway_core::membership::{Action, Life};
use ringway_core::message::{Frame, Message, RegistryRequest};
use ringway_core::node::Node;
use ringway_core::peers::Outgoing;
use ringway_core::registry::{Registry, Seat};
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
    member: Member<Gateway>,
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

fn identity(me: Incarnation) -> Life {
    let (mut node, mut gateway) = (node(1), gateway(1));
    (node.incarnation, gateway.incarnation) = (me, me);
    Life { id: node.id.clone(), incarnation: me, node: Some(node), gateway: Some(gateway) }
}

fn new_node(now: Now, me: Incarnation, view: &Arc<View>, random: u64) -> Node {
    Node::new(now, me, view.clone(), Timing::default(), NodeLimits::default(), random)
}

impl Subject {
    pub(super) fn new(seed: u64) -> Self {
        let (view, now, me) = (Arc::new(first_view()), Duration::from_secs(100), Incarnation(1));
        let timing = Timing::default();
        let gateway = Gateway::new(me, view.clone(), timing, GatewayLimits::default());
        let member = Member::new(now, identity(me), &view, timing, Seat::Here).overheard();
        let mut subject = Self {
            now,
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            member: member.with(now, Some(new_node(now, me, &view, seed)), Some(gateway)),
            registry: Registry::new(view, timing.ttl),
            keys: Vec::new(),
            known: Known::default(),
            reached: Reached { lives: 1, ..Reached::default() },
        };
        subject.link_all();
        subject.settle();
        subject
    }

    fn link_all(&mut self) {
        for peer in OTHERS.map(Incarnation) {
            self.member.on_link_up(self.now, peer);
        }
    }

    fn me(&self) -> Incarnation {
        self.member.incarnation()
    }

    fn node(&self) -> &Node {
        self.member.node().expect("it is a node")
    }

    fn gateway(&mut self) -> &mut Gateway {
        self.member.front_mut().expect("it is a gateway")
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
                let gateway = self.member.gateway().expect("it is a gateway");
                let inside = Inside { node: self.node(), gateway, random: self.random >> 8 };
                let bent = if self.random.is_multiple_of(2) { inside.bend(&mut message) } else { None };
                match bent {
                    Some(from) => self.hear_at(self.node().view().epoch, from, message),
                    None => {
                        let from = Incarnation(self.one_of(&OTHERS));
                        self.hear(from, message);
                    }
                }
            }
        }
        self.settle();
        let live = |slot: &u32| self.node().inspect(Slot(*slot)).is_some_and(|report| report.reign.is_some());
        self.reached.live += (0..SLOTS).filter(live).count();
        let reports = channels().into_iter().filter_map(|name| self.node().inspect_channel(&name));
        self.reached.kept +=
            reports.map(|report| (report.top + 1).saturating_sub(report.first) as usize).sum::<usize>();
    }

    /// What a liar would have to know to be believed.
    fn learn(&mut self) {
        let view = self.member.view();
        let epoch = view.epoch.0;
        self.known.numbers = [0, 1, 2, 3, epoch - 1, epoch, epoch, epoch, epoch.saturating_add(1), u64::MAX].into();
        self.known.incarnations = OTHERS.map(Incarnation).into_iter().chain([self.me()]).collect();
        self.known.channels = channels();
        self.known.slots = (0..=SLOTS).map(Slot).collect();
        self.known.cluster = Some((view.key, view.slots));
        self.known.attaches.truncate(64);
        self.known.streams = channels().iter().filter_map(|name| self.node().inspect_channel(name)?.epoch).collect();
    }

    fn pass(&mut self) {
        let millis = self.one_of(&[1, 10, 10, 100, 100, 1000, 5000]);
        self.now += Duration::from_millis(millis);
        self.member.tick(self.now);
        self.member.tick_membership(self.now);
        let load = self.node().load();
        self.member.ping(load);
    }

    fn relink(&mut self) {
        let peer = Incarnation(self.one_of(&OTHERS));
        if self.below(2) == 0 {
            self.member.on_link_down(self.now, peer);
        }
        self.member.on_link_up(self.now, peer);
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
            message => self.member.on_frame(self.now, from, Frame { epoch, message }),
        }
    }

    /// Carries out what the rules want.
    fn act(&mut self) {
        while let Some(action) = self.member.next_action() {
            match action {
                Action::Request(request) => {
                    let answer = self.registry.handle(self.now, request);
                    self.member.on_answer(self.now, &answer);
                }
                Action::View { .. } => self.reached.views += 1,
                Action::Expelled | Action::Left => self.start_over(),
                _ => {}
            }
        }
    }

    /// A new incarnation joins in the place of this one.
    fn start_over(&mut self) {
        self.reached.lives += 1;
        let me = Incarnation(1_000 + self.reached.lives as u64);
        let view = self.registry.view().clone();
        let node = new_node(self.now, me, &view, self.random);
        self.member.live_anew(self.now, identity(me), &view, Some(node));
        self.link_all();
    }

    /// Rules answer each other, and honest members answer them, until nobody has more to say.
    fn settle(&mut self) {
        let mut answers: VecDeque<(Incarnation, Frame)> = VecDeque::new();
        let mut count = 0;
        loop {
            self.member.turn(self.now);
            self.act();
            let (said, mut frames) = (self.member.take_overheard(), Vec::new());
            self.member.swap_frames(&mut frames);
            count += said.len() + frames.len();
            assert!(count < FRAMES_MOST, "one step makes too many frames");
            said.iter().chain(&frames).for_each(|out| self.overhear(&out.frame.message));
            let went_on = !frames.is_empty();
            for Outgoing { to, frame } in frames {
                if self.below(8) > 0 {
                    answers.extend(answer(&frame).map(|frame| (to, frame)));
                }
            }
            match answers.pop_front() {
                Some((from, frame)) => self.member.on_frame(self.now, from, frame),
                None if went_on || self.member.has_more() => {}
                None => break,
            }
        }
        while let Some(event) = self.gateway().next_event() {
            self.reached.attached += usize::from(matches!(event, Event::Attached { .. }));
            self.reached.published += usize::from(matches!(event, Event::Published { result: Ok(_), .. }));
        }
    }

    /// Numbers that name something.
    fn overhear(&mut self, message: &Message) {
        if let Message::Attach(attaches) = message {
            self.known.attaches.splice(0..0, attaches.iter().map(|attach| attach.attach));
        }
    }
}
