//! The world of a run: processes, their links, the registry, time. Everything that happens is an [`Event`] in one queue,
//! in an order that the seed decides.

mod actions;
mod changes;
mod clients;
mod evidence;
mod faults;
mod filling;
mod lies;
mod log;
mod measures;
mod network;
mod process;
mod registry;
mod store;
mod watch;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ringway_core::logbook::{Chains, LogAnswer, LogRequest};
use ringway_core::message::{Frame, RegistryAnswer, RegistryRequest, Reset};
use ringway_core::registry::Registry;
use ringway_core::registry::store::{Keys, Revision, StoreAnswer, StoreRequest};
use ringway_core::view::{Placement, Removal, View};
use ringway_core::{Epoch, Incarnation, MemberId, Slot};

use crate::checker::Checker;
use crate::rng::Rng;
use crate::setup::{Mode, Setup};
pub(crate) use crate::time::{MS, Time};
use crate::{Outcome, Sabotage, Script};

use clients::People;
use evidence::Probe;
use faults::{Faults, Heal};
use filling::{Filling, LARGE_CHANNELS};
use measures::Counted;
use network::Network;
use process::Process;

/// After the last fault, longest time until everybody has converged: a new stream's wait, a removal, some retries.
const CALM: Time = 60_000 * MS;

/// What reaches a process. While it is frozen these wait, and are worked off in order afterwards.
#[derive(Debug, Clone)]
pub(crate) enum Input {
    Tick,
    /// Clients have brought something.
    Clients,
    Reset(Box<Reset>),
    Frame(Incarnation, Frame),
    LinkUp(Incarnation, usize, u64),
    LinkDown(Incarnation, u64),
    Answer(u32, RegistryAnswer),
    View(Arc<View>),
    /// The store's answer to a request of this life.
    Store(Incarnation, StoreAnswer),
    /// The log's answer to a request of this life.
    Log(Incarnation, Box<LogAnswer>),
    /// Somebody has written a view of this epoch to the store.
    Notice(Epoch),
    Evidence(Incarnation, Removal),
    Leave,
    Rejoin(u32),
    End,
}

/// What happens in the world.
#[derive(Debug)]
pub(crate) enum Event {
    /// Something reaches a process of this boot.
    To(usize, u32, Input),
    /// A process ends its turn.
    Flush(usize, u32),
    /// A frame arrives at the end of a link.
    Frame {
        link: usize,
        generation: u64,
        to_second: bool,
        frame: Frame,
    },
    Connect(usize),
    Break(usize),
    Start(usize),
    Request {
        process: usize,
        boot: u32,
        life: u32,
        request: RegistryRequest,
    },
    /// A request reaches the store.
    Store {
        process: usize,
        boot: u32,
        from: Incarnation,
        request: StoreRequest,
    },
    /// A request reaches the log.
    Log {
        process: usize,
        boot: u32,
        from: Incarnation,
        /// The life of the log in which it was sent.
        life: u32,
        request: Box<LogRequest>,
    },
    Fault,
    Change,
    /// A change at the worst moment.
    Sudden,
    /// The copies of a slot are cut off together.
    Island,
    /// One link is cut for long.
    Split,
    Heal(Heal),
    /// A look at where a member listens.
    Probe(Probe),
    Calm,
    Look,
    /// Clients of a gateway do something.
    Clients(usize),
}

/// When an event is due, how many were scheduled before it, and where it is kept: what the queue moves about is small.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Scheduled {
    at: Time,
    order: u64,
    place: usize,
}

/// A run under way.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) now: Time,
    pub(crate) rng: Rng,
    pub(crate) setup: Arc<Setup>,
    pub(crate) processes: Vec<Process>,
    pub(crate) network: Network,
    /// Where a member has it.
    pub(crate) registry: Registry,
    /// Where it is outside.
    pub(crate) keys: Keys,
    /// The log.
    chains: Chains,
    /// It answers nobody until then, or takes nothing.
    log_away: Time,
    log_full: Time,
    /// How often it may have lost some records.
    log_life: u32,
    /// The newest view that it has, or that somebody knows who lives.
    pub(crate) newest: Arc<View>,
    /// Views that were written.
    views: u64,
    /// The store as it was some time ago, the newest last.
    snapshots: VecDeque<Keys>,
    /// When it last began another life.
    store_restarted: Time,
    /// What was obeyed, by its epoch.
    obeyed: BTreeMap<Epoch, Arc<View>>,
    /// A list of leases as it was some time ago.
    old_leases: Vec<(Incarnation, Revision)>,
    /// When each lease was written last.
    renewed: BTreeMap<Incarnation, Time>,
    /// When each life left the view.
    pub(crate) left: BTreeMap<Incarnation, Time>,
    /// The registry answers nobody until then.
    pub(crate) registry_away: Time,
    pub(crate) faults: Faults,
    pub(crate) people: People,
    pub(crate) checker: Checker,
    pub(crate) sabotage: Option<Sabotage>,
    forgets: bool,
    pub(crate) counted: Counted,
    pub(crate) filling: Filling,
    placed: VecDeque<(View, Rc<Placement>)>,
    /// Numbers of the last `Sync`s by sender, receiver and slot: what a lie has to name.
    syncs: BTreeMap<(Incarnation, Incarnation, Slot), u64>,
    queue: BinaryHeap<Reverse<Scheduled>>,
    /// Events that are due some time, and places that are free.
    kept: Vec<Option<Event>>,
    free: Vec<usize>,
    scheduled: u64,
    events: u64,
    digest: u64,
    trace: Option<Vec<String>>,
    calm_since: Option<Time>,
    converged: bool,
    /// Channels of which it was asked who is there, at rest.
    presence: Vec<usize>,
    presence_asked: bool,
    presence_moves: u64,
    /// When a link was last seen to be cut.
    cut_at: Time,
}

/// Writes a line of the trace; it is spelled only if somebody wants it.
macro_rules! note {
    ($world:expr, $($text:tt)*) => {
        if $world.is_traced() {
            let text = format!($($text)*);
            $world.note(&text);
        }
    };
}
pub(crate) use note;

impl World {
    pub(crate) fn new(script: Script) -> Self {
        let mut rng = Rng::new(script.seed.wrapping_mul(4) + script.mode as u64);
        let setup = Arc::new(match script.large {
            Some(large) => Setup::draw_large(&mut rng, script.seed, large),
            None => Setup::draw(&mut rng, script.seed, script.mode),
        });
        let born = Arc::new(View { ack_copies: setup.ack_copies, ..View::born(setup.key, setup.slots) });
        let total = setup.gateways + setup.nodes.1;
        let processes: Vec<Process> = (0..total)
            .map(|at| {
                let gateway = at < setup.gateways;
                let twin = setup.twin && at + 1 == total;
                let number = if twin { 1 } else { (at + 1).saturating_sub(setup.gateways) };
                let name = if gateway { format!("gateway-{at}") } else { format!("node-{number}") };
                let id = MemberId::new(&name).expect("a short name of letters");
                Process::new(id, !gateway || (setup.both_roles && at == 0), gateway, &mut rng)
            })
            .collect();
        let people = People::new(&setup, &mut rng);
        let mut world = Self {
            now: 0,
            network: Network::new(total, setup.gateways),
            keys: if setup.hosted { Keys::default() } else { Keys::with(born.clone()) },
            newest: born.clone(),
            chains: Chains::default(),
            log_away: 0,
            log_full: 0,
            log_life: 0,
            views: 0,
            snapshots: VecDeque::new(),
            store_restarted: 0,
            obeyed: BTreeMap::new(),
            registry: Registry::new(born, setup.timing.ttl),
            old_leases: Vec::new(),
            renewed: BTreeMap::new(),
            left: BTreeMap::new(),
            registry_away: 0,
            faults: Faults::default(),
            people,
            checker: Checker::new(&setup),
            sabotage: script.sabotage,
            forgets: script.forgets,
            counted: Counted::default(),
            filling: Filling::default(),
            placed: VecDeque::new(),
            syncs: BTreeMap::new(),
            queue: BinaryHeap::new(),
            kept: Vec::new(),
            free: Vec::new(),
            scheduled: 0,
            events: 0,
            digest: 0,
            trace: script.trace.then(Vec::new),
            calm_since: None,
            converged: false,
            presence: Vec::new(),
            presence_asked: false,
            presence_moves: 0,
            cut_at: 0,
            processes,
            setup,
            rng,
        };
        if let Some(large) = script.large {
            world.network.spread(&mut world.rng, large.delay.as_micros() as Time);
        }
        world.begin();
        world
    }

    fn begin(&mut self) {
        for at in 0..self.setup.gateways + self.setup.nodes.0 {
            let when = self.rng.range(0, 50 * MS);
            self.schedule(when, Event::Start(at));
        }
        for at in 0..self.setup.gateways {
            self.schedule(self.setup.pace, Event::Clients(at));
        }
        if self.setup.large.is_some() {
            // The rest comes once all channels are there.
            return self.schedule(400 * MS, Event::Look);
        }
        let quiet = self.setup.quiet_from;
        self.schedule(quiet, Event::Calm);
        self.schedule(300 * MS, Event::Change);
        self.schedule(400 * MS, Event::Look);
        if self.setup.mode != Mode::Planned {
            self.schedule(500 * MS, Event::Fault);
        }
        if self.setup.island {
            let at = self.rng.range(600 * MS, 1500 * MS);
            self.schedule(at, Event::Island);
        }
        if self.setup.split {
            let at = self.rng.range(600 * MS, 1500 * MS);
            self.schedule(at, Event::Split);
        }
    }

    pub(crate) fn schedule(&mut self, at: Time, event: Event) {
        self.scheduled += 1;
        let place = self.free.pop().unwrap_or_else(|| {
            self.kept.push(None);
            self.kept.len() - 1
        });
        self.kept[place] = Some(event);
        self.queue.push(Reverse(Scheduled { at: at.max(self.now), order: self.scheduled, place }));
    }

    /// Carries the run out, up to its end or the first violation.
    pub(crate) fn run(mut self) -> Outcome {
        while let Some(Reverse(Scheduled { at, order, place })) = self.queue.pop() {
            self.free.push(place);
            let Some(event) = self.kept[place].take() else { continue };
            self.now = at;
            self.events += 1;
            self.digest = (self.digest ^ at ^ order.rotate_left(32)).wrapping_mul(0x100_0000_01B3).rotate_left(5);
            self.happen(event);
            if self.converged || self.checker.violation.is_some() {
                break;
            }
        }
        if self.checker.violation.is_none() {
            self.check_end();
        }
        let measures = self.measures();
        self.digest ^= self.checker.acknowledged.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Outcome {
            acknowledged: self.checker.acknowledged,
            views: self.views,
            events: self.events,
            faults: self.faults.count,
            violation: self.checker.violation,
            digest: self.digest,
            measures,
            trace: self.trace.unwrap_or_default(),
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::To(process, boot, input) => self.reach(process, boot, input),
            Event::Flush(process, boot) => self.flush(process, boot),
            Event::Frame { link, generation, to_second, frame } => self.arrive(link, generation, to_second, frame),
            Event::Connect(link) => self.connect(link),
            Event::Break(link) => self.break_link(link),
            Event::Start(process) => self.start(process),
            Event::Request { process, boot, life, request } => self.ask_registry(process, boot, life, request),
            Event::Store { process, boot, from, request } => self.handle_in_store(process, boot, from, request),
            Event::Log { process, boot, from, life, request } if life == self.log_life => {
                self.handle_in_log(process, boot, from, *request);
            }
            // Nothing that was asked before a log has begun another life is carried out in that.
            Event::Log { .. } => {}
            Event::Fault => self.next_fault(),
            Event::Change => self.next_change(),
            Event::Sudden if !self.is_quiet() => self.change(),
            Event::Sudden => {}
            Event::Island => self.island(),
            Event::Split => self.split(),
            Event::Heal(heal) => self.heal(heal),
            Event::Probe(probe) => self.probe(probe),
            Event::Calm => self.calm(),
            Event::Look => self.look(),
            Event::Clients(process) => self.client_step(process),
        }
    }

    /// All faults end; what is broken gets time to mend.
    fn calm(&mut self) {
        note!(self, "calm");
        self.calm_since = Some(self.now);
        self.end_faults();
    }

    /// Now and then: is everybody settled, and is the run over?
    fn look(&mut self) {
        self.keep_snapshot();
        self.look_for_settled();
        self.count_settling();
        self.watch_held();
        self.watch_orders(if self.is_quiet() { 50 } else { 20 } * MS);
        let Some(since) = self.calm_since else {
            self.schedule(self.now + 20 * MS, Event::Look);
            return;
        };
        // What was just acknowledged may still be on its way to subscribers.
        let still = self.now > since + 500 * MS && self.now > self.checker.last + 200 * MS;
        if self.setup.ack_copies > 1 {
            // One node alone acknowledges nothing there.
            self.join_second();
        }
        self.converged = still && self.unconverged().is_none() && self.presence_is_right();
        if !self.converged && self.now > since + self.longest_calm() {
            let unknown = format!("nobody says who is in channels {:?}", self.presence);
            let why = self.unconverged().unwrap_or(unknown);
            let rule = if self.somebody_waits() { "answers" } else { "C5" };
            self.violate(rule, format!("not converged {} ms after the last fault: {why}", self.longest_calm() / MS));
        }
        self.schedule(self.now + 50 * MS, Event::Look);
    }

    /// How long everything may take to come to rest. In a large cluster all large channels may have to go to one node, and a copy goes
    /// at `bulk_bytes` per round trip.
    fn longest_calm(&self) -> Time {
        let copied = self.setup.large.map_or(0, |large| {
            let trips = (LARGE_CHANNELS * large.large_bytes / self.setup.limits.bulk_bytes) as u64;
            trips * 2 * large.delay.as_micros() as Time
        });
        CALM + copied
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.calm_since.is_some()
    }

    /// Half of the time is over that everything has to come to rest.
    pub(crate) fn has_long_been_quiet(&self) -> bool {
        self.calm_since.is_some_and(|since| self.now > since + CALM / 2)
    }

    pub(crate) fn violate(&mut self, rule: &'static str, text: String) {
        note!(self, "VIOLATION {rule}: {text}");
        self.checker.violate(self.now, rule, text);
    }

    pub(crate) fn is_traced(&self) -> bool {
        self.trace.is_some()
    }

    pub(crate) fn note(&mut self, text: &str) {
        let line = format!("{:>10.3} {text}", self.now as f64 / MS as f64);
        if let Some(trace) = &mut self.trace {
            trace.push(line);
        }
    }

    /// The registry's own time.
    pub(crate) fn true_time(&self) -> Duration {
        Duration::from_micros(self.now)
    }
}
