//! A process: a member, its clock, whether it runs; and the pump around it, with a network that takes its time.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use ringway_core::gateway::Gateway;
use ringway_core::limits::GatewayLimits;
use ringway_core::member::Member;
use ringway_core::membership::Life;
use ringway_core::message::{Frame, Message};
use ringway_core::node::Node;
use ringway_core::peers::Outgoing;
use ringway_core::registry::clerk::Clerk;
use ringway_core::registry::{Registry, Seat};
use ringway_core::ring::Weight;
use ringway_core::timing::Now;
use ringway_core::view::{GatewayEntry, NodeEntry, View};
use ringway_core::{Epoch, Incarnation, MemberId};
use ringway_hub::{Hub, Socket};

use super::clients::{Clients, SimClock, SimSocket};
use super::{Event, Input, MS, Time, World, note};
use crate::rng::Rng;
use crate::setup::HOST;
use ringway_core::ring::SlotSet;

/// Rules are given time this often.
const TICK: Time = 10 * MS;

/// Whether a process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// No process.
    Down,
    /// In the cluster, or on its way in.
    Up,
    /// Removed; it will come back as a new incarnation.
    Between,
    /// It has left, and answers what is still under way before it ends.
    Lingering,
}

/// One process, through all its boots.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) id: MemberId,
    pub(crate) is_node: bool,
    pub(crate) is_gateway: bool,
    pub(crate) weight: Weight,
    pub(crate) state: State,
    pub(crate) frozen: bool,
    /// The machine went with it: nobody refuses a connection.
    pub(crate) host_down: bool,
    /// Number of this start of the process, and of this incarnation.
    pub(crate) boot: u32,
    pub(crate) life: u32,
    pub(crate) incarnation: Incarnation,
    /// Offset in microseconds and rate in millionths of the local clock.
    clock: (u64, u64),
    pub(crate) member: Option<Member<Hub<SimSocket>>>,
    /// Its way to a registry outside, in this life.
    pub(crate) clerk: Option<Clerk>,
    pub(crate) backlog: VecDeque<Input>,
    /// Connections this process knows: link and generation by the peer's incarnation.
    pub(crate) connections: BTreeMap<Incarnation, (usize, u64)>,
    pub(crate) outbox: Vec<Outgoing>,
    flush_due: bool,
    next_ping: Now,
    /// Bound of the next pause before coming back (R11), and when this incarnation began.
    pub(crate) pause: Time,
    pub(crate) since: Time,
    pub(crate) clients: Clients,
    /// When it applied its last view.
    pub(crate) view_at: Time,
    /// Slots it held the mark of when it was last looked at.
    pub(crate) marks: SlotSet,
    /// When it is looked at again, and the epoch of the last "settled" that was.
    pub(crate) marks_next: Time,
    pub(crate) settled_at: Epoch,
    /// The registry cannot be reached from here until then.
    pub(crate) registry_cut: Time,
    /// It asked to leave, or was told to drain.
    pub(crate) leaving: bool,
    /// It sends its clients away, and had some to tell last at this time.
    pub(crate) sheds: Option<Time>,
}

impl Process {
    pub(crate) fn new(id: MemberId, is_node: bool, is_gateway: bool, rng: &mut Rng) -> Self {
        Self {
            id,
            is_node,
            is_gateway,
            weight: Weight::from_thousandths(rng.pick(&[1000, 1000, 1000, 500, 2000])).unwrap_or(Weight::ONE),
            state: State::Down,
            frozen: false,
            host_down: false,
            boot: 0,
            life: 0,
            incarnation: Incarnation(0),
            clock: (rng.below(1_000_000_000), rng.range(990_000, 1_010_001)),
            member: None,
            clerk: None,
            backlog: VecDeque::new(),
            connections: BTreeMap::new(),
            outbox: Vec::new(),
            flush_due: false,
            next_ping: Duration::ZERO,
            pause: 30 * MS,
            since: 0,
            clients: Clients::default(),
            view_at: 0,
            marks: SlotSet::default(),
            marks_next: 0,
            settled_at: Epoch(0),
            registry_cut: 0,
            leaving: false,
            sheds: None,
        }
    }

    /// What its clock shows.
    pub(crate) fn clock(&self, now: Time) -> Now {
        Duration::from_nanos((self.clock.0 + now) * self.clock.1 / 1000)
    }

    /// Its node, while it has one.
    pub(crate) fn node(&self) -> Option<&Node> {
        self.member.as_ref()?.node()
    }

    pub(crate) fn has_gateway(&self) -> bool {
        self.member.as_ref().is_some_and(|member| member.gateway().is_some())
    }

    pub(crate) fn runs(&self) -> bool {
        self.state == State::Up && !self.frozen
    }

    /// It holds memory that counts: running or frozen.
    pub(crate) fn holds(&self) -> bool {
        self.state == State::Up
    }
}

impl World {
    /// A process starts, with nothing but its name; it reads the view from the registry first.
    pub(crate) fn start(&mut self, at: usize) {
        if self.processes[at].state != State::Down {
            return;
        }
        if !self.registry_reaches(at) {
            self.schedule(self.now + 50 * MS, Event::Start(at));
            return;
        }
        if self.setup.seat(at).is_here() && self.processes[at].boot > 0 {
            self.registry = Registry::restored(self.newest_view().clone(), self.setup.timing.ttl, self.true_time());
        }
        let sender = self.checker.new_sender();
        let clients = Clients::new(sender, &self.setup);
        let process = &mut self.processes[at];
        process.boot += 1;
        process.frozen = false;
        process.host_down = false;
        (process.leaving, process.sheds) = (false, None);
        process.pause = 30 * MS;
        process.backlog.clear();
        process.outbox.clear();
        process.member = None;
        process.clients = clients;
        let boot = process.boot;
        self.live(at);
        self.schedule(self.now + MS, Event::To(at, boot, Input::Tick));
    }

    /// A new incarnation begins, in a new process or in one that was removed.
    pub(crate) fn live(&mut self, at: usize) {
        let incarnation = Incarnation(self.rng.next());
        let random = self.rng.next();
        let view = self.known_view(at);
        let (setup, now) = (self.setup.clone(), self.now);
        let process = &mut self.processes[at];
        let clock = process.clock(now);
        (process.state, process.incarnation, process.since) = (State::Up, incarnation, now);
        process.life += 1;
        process.marks = SlotSet::default();
        process.settled_at = Epoch(0);
        process.flush_due = false;
        process.connections.clear();
        let address: Arc<str> = at.to_string().into();
        let (id, weight) = (process.id.clone(), process.weight);
        let node = process.is_node.then(|| NodeEntry {
            id: id.clone(),
            incarnation,
            address: address.clone(),
            now: Weight::ZERO,
            next: weight,
        });
        let gateway = process.is_gateway.then(|| GatewayEntry {
            id: id.clone(),
            incarnation,
            link: address.clone(),
            address,
            draining: false,
        });
        let identity = Life { id, incarnation, node, gateway };
        // No view is taken in which what is fixed at birth is another: who lies about that lies from the start.
        let (told, lies) = (self.lied_view(at, &view), self.lies_for(at));
        let host = self.processes[HOST].incarnation;
        let process = &mut self.processes[at];
        let is_outside = setup.seat(at) == Seat::Outside;
        process.clerk = is_outside.then(|| Clerk::new(clock, incarnation, view.clone(), setup.timing));
        let node = process.is_node.then(|| {
            let node = Node::new(clock, incarnation, told.clone(), setup.timing, setup.limits, random);
            if is_outside { node.with_shared_log() } else { node }
        });
        let member = match process.member.take() {
            Some(mut member) => {
                member.live_anew(clock, identity, &view, node);
                member
            }
            None => {
                let limits = GatewayLimits { bulk_bytes: setup.limits.bulk_bytes, ..GatewayLimits::default() };
                let clock_of_day = SimClock::new(process.clients.seconds.clone());
                let hub = process.is_gateway.then(|| {
                    let rules = Gateway::new(incarnation, told, setup.timing, limits);
                    Hub::new(clock, rules, setup.hub_of(at), Box::new(clock_of_day))
                });
                let seat = setup.seat(at);
                let member = Member::new(clock, identity, &view, setup.timing, seat).overheard().lied_to(lies);
                member.with(clock, node, hub)
            }
        };
        let member = process.member.insert(member);
        if let Seat::Host(_) = member.membership().seat() {
            member.set_host(clock, host);
        }
        note!(self, "{} lives as {incarnation} with {view:?}", self.processes[at].id);
        self.find_my_former_life(at, &view);
        self.connect_all(at);
        self.turn(at);
    }

    /// The view a process begins with: the newest, where the registry can be reached; else the one it had.
    fn known_view(&self, at: usize) -> Arc<View> {
        let process = &self.processes[at];
        match &process.member {
            Some(member) if !self.registry_reaches(at) => member.view().clone(),
            _ => self.newest_view().clone(),
        }
    }

    /// Something reaches a process: now, or when it thaws.
    pub(crate) fn reach(&mut self, at: usize, boot: u32, input: Input) {
        let process = &mut self.processes[at];
        if process.boot != boot || process.state == State::Down {
            return;
        }
        if process.frozen {
            process.backlog.push_back(input);
            return;
        }
        let tick = matches!(input, Input::Tick);
        self.take_input(at, input);
        if tick && !self.processes[at].flush_due {
            self.turn_of_tick(at);
        } else {
            self.turn(at);
        }
    }

    /// Most ticks have nothing to say: their turn ends at once, and only what they do say waits for its flush.
    fn turn_of_tick(&mut self, at: usize) {
        self.act_on(at, Member::turn);
        self.flush_sockets(at);
        if !self.processes[at].outbox.is_empty() {
            self.schedule_flush(at);
        }
    }

    pub(crate) fn take_input(&mut self, at: usize, input: Input) {
        let now = self.processes[at].clock(self.now);
        self.watch_before(at, &input);
        match input {
            Input::Tick => self.tick(at, now),
            Input::Clients => self.take_clients(at, now),
            Input::Reset(reset) => self.take_reset(at, now, &reset),
            Input::Frame(from, frame) => self.take_frame(at, now, from, frame),
            Input::LinkUp(peer, link, generation) => self.link_up(at, now, peer, link, generation),
            Input::LinkDown(peer, generation) => self.link_down(at, now, peer, generation),
            Input::Answer(life, answer) => {
                if self.processes[at].life == life
                    && let Some(member) = &mut self.processes[at].member
                {
                    member.on_answer(now, &answer);
                }
            }
            Input::View(view) => {
                if let Some(member) = &mut self.processes[at].member {
                    member.on_view(now, &view);
                }
            }
            Input::Store(from, answer) => self.take_from_store(at, from, answer),
            Input::Log(from, answer) => self.take_from_log(at, from, *answer),
            Input::Notice(epoch) => self.with_clerk(at, |clerk, now| clerk.on_notice(now, epoch)),
            Input::Evidence(peer, proof) => {
                if let Some(member) = &mut self.processes[at].member {
                    member.evidence(now, peer, proof);
                }
            }
            Input::Leave => {
                self.shut_down_hub(at);
                if let Some(member) = &mut self.processes[at].member {
                    member.leave();
                }
            }
            Input::Rejoin(life) => {
                if self.processes[at].life == life && self.processes[at].state == State::Between {
                    self.live(at);
                }
            }
            Input::End => self.end_process(at),
        }
    }

    fn tick(&mut self, at: usize, now: Now) {
        self.tick_clerk(at);
        let process = &mut self.processes[at];
        let boot = process.boot;
        let seconds = self.now / (1000 * MS);
        process.clients.seconds.store(seconds, std::sync::atomic::Ordering::Relaxed);
        process.clients.port.lock().now = self.now;
        if let Some(member) = &mut process.member {
            member.tick(now);
            member.tick_membership(now);
            if now >= process.next_ping && process.state == State::Up {
                process.next_ping = now + self.setup.timing.ping;
                let load = member.node().map(Node::load).unwrap_or_default();
                member.ping(load);
            }
        }
        self.shed(at, now);
        let next = self.now + TICK;
        self.schedule(next, Event::To(at, boot, Input::Tick));
    }

    fn take_frame(&mut self, at: usize, now: Now, from: Incarnation, frame: Frame) {
        if let Message::Publish(publish) = &frame.message {
            self.publish_arrived(&publish.entry);
        }
        if let Some(member) = &mut self.processes[at].member {
            member.heard(now, from);
        }
        match frame.message {
            Message::StoreRequest(request) => self.ask_store(at, from, &request),
            Message::LogRequest(request) => self.ask_log(at, from, &request),
            Message::StoreAnswer(answer) => self.with_clerk(at, |clerk, now| clerk.on_relayed(now, from, answer)),
            _ => {
                if let Some(member) = &mut self.processes[at].member {
                    member.on_frame(now, from, frame);
                }
            }
        }
    }

    /// A newer view may come with this: what was given up until now was given up in the view before.
    fn watch_before(&mut self, at: usize, input: &Input) {
        let epoch = match input {
            Input::Frame(_, Frame { message: Message::Moved(view), .. }) | Input::View(view) => view.epoch,
            Input::Answer(_, answer) => answer.view.epoch,
            _ => return,
        };
        self.watch_newer(at, epoch);
    }

    pub(super) fn watch_newer(&mut self, at: usize, epoch: Epoch) {
        if self.processes[at].member.as_ref().is_some_and(|member| member.view().epoch < epoch) {
            self.processes[at].marks_next = 0;
            self.watch_marks(at);
        }
    }

    /// After every input: actions are carried out, frames collected and watched.
    pub(crate) fn turn(&mut self, at: usize) {
        self.act_on(at, Member::act_on);
        self.schedule_flush(at);
    }

    /// Lets the rules act, to the end of a turn or not yet, and carries out what they want.
    fn act_on(&mut self, at: usize, act: fn(&mut Member<Hub<SimSocket>>, Now)) {
        let process = &mut self.processes[at];
        let now = process.clock(self.now);
        if let Some(member) = &mut process.member {
            act(member, now);
        }
        self.act(at);
        self.collect(at);
    }

    /// What the turn has for clients is written, and they read it.
    fn flush_sockets(&mut self, at: usize) {
        let process = &mut self.processes[at];
        let now = process.clock(self.now);
        if let Some(hub) = process.member.as_mut().and_then(Member::front_mut) {
            hub.flush(now, Socket::flush);
            self.read_sockets(at);
        }
    }

    pub(super) fn schedule_flush(&mut self, at: usize) {
        let process = &mut self.processes[at];
        if !process.flush_due && process.state != State::Down {
            process.flush_due = true;
            let boot = process.boot;
            let pause = self.rng.below(300);
            self.schedule(self.now + pause, Event::Flush(at, boot));
        }
    }

    /// Takes what the rules want sent, and what they have said to themselves, under the checker's eyes.
    pub(crate) fn collect(&mut self, at: usize) {
        let Some(member) = &mut self.processes[at].member else { return };
        let mut frames = Vec::new();
        member.swap_frames(&mut frames);
        let overheard = member.take_overheard();
        for said in &overheard {
            if let Message::Publish(publish) = &said.frame.message {
                self.publish_arrived(&publish.entry);
            }
        }
        for said in overheard.iter().chain(&frames) {
            self.watch_sent(at, said);
        }
        self.watch_marks(at);
        self.processes[at].outbox.append(&mut frames);
    }

    /// The turn ends: batches are closed, and everything goes on its links.
    pub(crate) fn flush(&mut self, at: usize, boot: u32) {
        let process = &mut self.processes[at];
        if process.boot != boot || !process.flush_due || process.state == State::Down {
            return;
        }
        process.flush_due = false;
        if process.frozen {
            return;
        }
        self.act_on(at, Member::turn);
        self.flush_sockets(at);
        for out in std::mem::take(&mut self.processes[at].outbox) {
            self.send(at, out);
        }
    }
}
