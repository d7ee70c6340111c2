//! What goes wrong, at moments that the seed picks.

use std::collections::BTreeSet;

use ringway_core::Incarnation;
use ringway_core::membership::Change;
use ringway_core::message::{Message, StateKind};
use ringway_core::node::Lease;
use ringway_core::ring::Weight;
use ringway_core::view::{Placement, Removal};

use super::process::State;
use super::{Event, Input, MS, Time, World, note};
use crate::setup::Mode;

/// Most targeted breaks in a run: enough to hit something, few enough to let the run go on.
const TARGETED: u32 = 8;

/// A hub gives its clients so much more time once it goes on after it stood still, to have read what they sent meanwhile.
const SETTLE: Time = 1000 * MS;

/// Faults under way.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    pub(crate) count: u64,
    active: u32,
    targeted: u32,
    /// Members that somebody was told have died, though they live.
    pub(crate) blamed: BTreeSet<Incarnation>,
    /// When the long cut of a single link began and ends.
    pub(crate) split: Option<(Time, Time)>,
}

/// A fault ends.
#[derive(Debug)]
pub(crate) enum Heal {
    Thaw(usize, u32),
    Uncut(Vec<(usize, bool)>),
    Restart(usize),
    Nothing,
}

impl World {
    pub(crate) fn next_fault(&mut self) {
        if self.is_quiet() {
            return;
        }
        let wild = self.setup.mode == Mode::Wild;
        self.look_for_settled();
        let over = || self.faults.active == 0 && self.is_settled() && self.leases_are_fresh();
        let may = if wild { self.faults.active < 12 } else { over() };
        if may {
            self.fault();
        }
        let pause = match (wild, self.setup.island) {
            _ if self.setup.large.is_some() => self.rng.range(500, 3000),
            // Long enough for what the island is about to happen undisturbed.
            (true, true) => self.rng.range(500, 3000),
            (true, false) => self.rng.range(20, 700),
            _ => self.rng.range(20, 300),
        };
        self.schedule(self.now + pause * MS, Event::Fault);
    }

    /// Everybody of the view has renewed its lease just now. An outage, or a cut from the registry's host, is over only
    /// then: before, a member may still be removed for it.
    fn leases_are_fresh(&self) -> bool {
        let view = self.newest_view();
        let inside = self.processes.iter().filter(|process| view.has(process.incarnation));
        inside.into_iter().all(|process| match process.member.as_ref().map(|member| member.membership().lease()) {
            Some(Lease::Forever) => true,
            Some(Lease::Since(sent)) => process.clock(self.now) < sent + self.setup.timing.ttl / 2,
            _ => false,
        })
    }

    fn fault(&mut self) {
        let wild = self.setup.mode == Mode::Wild;
        self.faults.count += 1;
        if self.setup.large.is_some() {
            let victim = self.some_running();
            self.count_disturbance();
            return self.crash_and_restart(victim);
        }
        if self.setup.hosted && !self.setup.orchestrated && self.rng.chance(150) {
            return self.restart_host();
        }
        if !self.setup.hosted && self.rng.chance(120) {
            self.restart_store();
            return self.heal_after(2500, 2501, Heal::Nothing);
        }
        if self.setup.has_log() && self.rng.chance(150) {
            return if self.rng.chance(600) { self.log_outage() } else { self.kill_all() };
        }
        let victim = self.some_running();
        match self.rng.below(if wild { 13 } else { 11 }) {
            0..=2 => self.crash_and_restart(victim),
            3 | 4 => self.freeze(victim),
            5 | 6 => self.cut_pair(victim),
            7 => self.isolate(victim),
            8 => self.registry_outage(),
            9 => self.registry_cut(victim),
            10 => self.break_some(),
            11 => self.false_evidence(victim),
            _ => self.partition(),
        }
    }

    /// A process other than the registry's host, where there is one.
    pub(super) fn some_running(&mut self) -> Option<usize> {
        let first = usize::from(self.setup.hosted);
        let running: Vec<usize> = (first..self.processes.len()).filter(|at| self.processes[*at].runs()).collect();
        if running.is_empty() { None } else { Some(self.rng.pick(&running)) }
    }

    pub(super) fn heal_after(&mut self, low: u64, high: u64, heal: Heal) {
        self.faults.active += 1;
        let at = self.now + self.rng.range(low * MS, high * MS);
        self.schedule(at, Event::Heal(heal));
    }

    pub(super) fn crash_and_restart(&mut self, victim: Option<usize>) {
        let Some(victim) = victim else { return };
        self.crash(victim);
        self.heal_after(20, 2500, Heal::Restart(victim));
    }

    /// The host dies and comes back with the view that it kept. Where it is also the parent of the others, these
    /// die with it, and there is nothing to look at.
    fn restart_host(&mut self) {
        if self.processes[0].runs() {
            self.crash(0);
            self.heal_after(20, 4000, Heal::Restart(0));
        }
    }

    /// A process dies, now and then with its machine: then nobody refuses those who look for it. Its parent sees it end.
    pub(crate) fn crash(&mut self, victim: usize) {
        note!(self, "{} crashes", self.processes[victim].id);
        let incarnation = self.processes[victim].incarnation;
        self.copies_destroyed(incarnation, &self.newest_view().clone());
        self.end_process(victim);
        self.copies_changed("a crash", &self.newest_view().clone());
        self.processes[victim].host_down = self.rng.chance(150);
        if self.setup.orchestrated && victim != 0 {
            let (at, boot) = (self.now + self.rng.range(MS, 60 * MS), self.processes[0].boot);
            self.schedule(at, Event::To(0, boot, Input::Evidence(incarnation, Removal::Proven)));
        }
    }

    fn freeze(&mut self, victim: Option<usize>) {
        let Some(victim) = victim else { return };
        note!(self, "{} freezes", self.processes[victim].id);
        self.processes[victim].frozen = true;
        let boot = self.processes[victim].boot;
        let longest = if self.rng.chance(300) { 6000 } else { 2500 };
        self.heal_after(20, longest, Heal::Thaw(victim, boot));
    }

    fn thaw(&mut self, victim: usize, boot: u32) {
        if self.processes[victim].boot != boot || !self.processes[victim].frozen {
            return;
        }
        note!(self, "{} thaws", self.processes[victim].id);
        self.processes[victim].frozen = false;
        self.processes[victim].clients.orders.iter_mut().for_each(|order| order.grace += SETTLE);
        let backlog = std::mem::take(&mut self.processes[victim].backlog);
        // Only one of the ticks that were due happens, before or after the rest is worked off.
        let ticked = backlog.iter().any(|input| matches!(input, Input::Tick));
        let clients = backlog.iter().any(|input| matches!(input, Input::Clients));
        let first = self.rng.chance(500);
        if ticked && first {
            self.reach(victim, boot, Input::Tick);
        }
        for input in backlog.into_iter().filter(|input| !matches!(input, Input::Tick | Input::Clients)) {
            self.reach(victim, boot, input);
        }
        if ticked && !first {
            self.reach(victim, boot, Input::Tick);
        }
        if clients {
            self.reach(victim, boot, Input::Clients);
        }
        self.connect_all(victim);
    }

    fn cut_pair(&mut self, victim: Option<usize>) {
        let Some(victim) = victim else { return };
        let links = self.network.of(victim).to_vec();
        let link = self.rng.pick(&links);
        let cuts = match self.rng.below(3) {
            0 => vec![(link, false)],
            1 => vec![(link, true)],
            _ => vec![(link, false), (link, true)],
        };
        self.cut_all(cuts, (50, 3000));
    }

    /// A process is cut off from all others, in one direction or both.
    fn isolate(&mut self, victim: Option<usize>) {
        let Some(victim) = victim else { return };
        let kind = self.rng.below(3);
        let mut cuts = Vec::new();
        for link in self.network.of(victim) {
            let inward = self.network.links[*link].ends[1] == victim;
            if kind != 0 {
                cuts.push((*link, inward));
            }
            if kind != 1 {
                cuts.push((*link, !inward));
            }
        }
        if !self.setup.hosted && self.rng.chance(500) {
            self.processes[victim].registry_cut = self.now + self.rng.range(50, 3000) * MS;
        }
        self.cut_all(cuts, (50, 3500));
    }

    /// Two nodes and a gateway on one side, everybody else on the other.
    fn partition(&mut self) {
        let gateway = self.rng.below(self.setup.gateways as u64) as usize;
        let nodes = self.setup.gateways..self.processes.len();
        let nodes: Vec<usize> = nodes.filter(|at| self.processes[*at].state == State::Up).collect();
        let mut inside = vec![gateway];
        for _ in 0..2.min(nodes.len()) {
            inside.push(self.rng.pick(&nodes));
        }
        let until = self.now + self.rng.range(100, 5000) * MS;
        self.cut_off(&inside, until);
    }

    /// Owner and standby of some slot, or its lone owner, are on one side with a gateway, and out of the registry's reach:
    /// they go on acknowledging there, and the others take over, sooner if they think that those have died.
    pub(crate) fn island(&mut self) {
        let first = usize::from(self.setup.hosted);
        let gateway = self.rng.range(first as u64, self.setup.gateways as u64) as usize;
        let channel = self.rng.below(self.setup.channels.len() as u64) as usize;
        let placement = Placement::of(self.newest_view(), None);
        let slot = self.setup.channels[channel].slot;
        let copies: Vec<Incarnation> = placement.owner(slot).into_iter().chain(placement.standby(slot)).collect();
        let mut inside = vec![gateway];
        inside.extend((first..self.processes.len()).filter(|at| copies.contains(&self.processes[*at].incarnation)));
        self.join_one();
        let lasts = self.setup.timing.pair + self.setup.timing.suspect;
        let until = self.now + lasts.as_micros() as Time + self.rng.range(500, 3000) * MS;
        self.cut_off(&inside, until);
        let blamed = self.rng.chance(500);
        for incarnation in copies.into_iter().filter(|_| blamed) {
            let others = (0..self.processes.len()).filter(|at| !inside.contains(at) && self.processes[*at].runs());
            let others: Vec<usize> = others.collect();
            if others.is_empty() {
                return;
            }
            let by = self.rng.pick(&others);
            let (boot, at) = (self.processes[by].boot, self.now + self.rng.below(600 * MS));
            self.faults.blamed.insert(incarnation);
            self.schedule(at, Event::To(by, boot, Input::Evidence(incarnation, Removal::Suspected)));
        }
    }

    /// A gateway and a node are cut off from each other, and the registry and everybody else hear both, until a while after
    /// the last publication.
    pub(crate) fn split(&mut self) {
        if self.is_quiet() {
            return;
        }
        if self.setup.mode == Mode::One && self.faults.active > 0 {
            return self.schedule(self.now + 50 * MS, Event::Split);
        }
        let first = usize::from(self.setup.hosted || self.setup.both_roles);
        let gateway = self.rng.range(first as u64, self.setup.gateways as u64) as usize;
        let nodes = self.setup.gateways..self.processes.len();
        let nodes: Vec<usize> = nodes.filter(|at| self.processes[*at].state == State::Up).collect();
        if nodes.len() < 2 {
            // With one node no slot moves, and nobody waits for anybody.
            self.join_one();
            return self.schedule(self.now + 200 * MS, Event::Split);
        }
        let node = self.rng.pick(&nodes);
        let between = |link: &usize| self.network.links[*link].ends.contains(&node);
        let Some(link) = self.network.of(gateway).iter().copied().find(between) else { return };
        let lasts = self.setup.quiet_from.saturating_sub(self.now) / MS * MS + self.rng.range(2500, 5000) * MS;
        self.faults.split = Some((self.now, self.now + lasts));
        self.cut_all(vec![(link, false), (link, true)], (lasts / MS, lasts / MS + 1));
        // It wins most slots, and the gateway cannot attach any of them there.
        let weight = Weight::from_thousandths(50_000).unwrap_or(Weight::ONE);
        self.ask_for(node, Change::Weight(self.processes[node].incarnation, weight));
    }

    /// Nothing gets from these to the others or to the registry, nor back.
    fn cut_off(&mut self, inside: &[usize], until: Time) {
        let apart = |link: &super::network::Link| inside.contains(&link.ends[0]) != inside.contains(&link.ends[1]);
        let links: Vec<usize> = (0..self.network.links.len()).filter(|at| apart(&self.network.links[*at])).collect();
        for at in inside.iter().filter(|_| !self.setup.hosted) {
            self.processes[*at].registry_cut = until;
        }
        let (longest, cuts) = (until - self.now, links.into_iter().flat_map(|link| [(link, false), (link, true)]));
        self.cut_all(cuts.collect(), (longest / MS, longest / MS + 1));
    }

    fn cut_all(&mut self, cuts: Vec<(usize, bool)>, (shortest, longest): (u64, u64)) {
        note!(
            self,
            "cut: {:?}",
            cuts.iter()
                .map(|(link, second)| {
                    let ends = self.network.links[*link].ends;
                    let (from, to) = if *second { (ends[0], ends[1]) } else { (ends[1], ends[0]) };
                    format!("{} -> {}", self.processes[from].id, self.processes[to].id)
                })
                .collect::<Vec<_>>()
        );
        for (link, to_second) in &cuts {
            self.cut(*link, *to_second);
        }
        self.heal_after(shortest, longest, Heal::Uncut(cuts));
    }

    fn registry_outage(&mut self) {
        let away = self.rng.range(100, 5000) * MS;
        note!(self, "registry away for {} ms", away / MS);
        self.registry_away = self.now + away;
        self.heal_after(away / MS, away / MS + 1, Heal::Nothing);
    }

    fn registry_cut(&mut self, victim: Option<usize>) {
        let Some(victim) = victim else { return };
        let away = self.rng.range(100, 5000) * MS;
        note!(self, "registry away for {} for {} ms", self.processes[victim].id, away / MS);
        self.processes[victim].registry_cut = self.now + away;
        self.heal_after(away / MS, away / MS + 1, Heal::Nothing);
    }

    fn break_some(&mut self) {
        let link = self.rng.below(self.network.links.len() as u64) as usize;
        self.break_link(link);
    }

    fn false_evidence(&mut self, victim: Option<usize>) {
        let (Some(victim), Some(by)) = (victim, self.some_running()) else { return };
        let (incarnation, boot) = (self.processes[victim].incarnation, self.processes[by].boot);
        note!(self, "{} is told that {} died", self.processes[by].id, self.processes[victim].id);
        self.faults.blamed.insert(incarnation);
        self.schedule(self.now, Event::To(by, boot, Input::Evidence(incarnation, Removal::Suspected)));
    }

    pub(crate) fn heal(&mut self, heal: Heal) {
        self.faults.active = self.faults.active.saturating_sub(1);
        match heal {
            Heal::Thaw(at, boot) => self.thaw(at, boot),
            Heal::Uncut(cuts) => cuts.into_iter().for_each(|(link, to_second)| self.uncut(link, to_second)),
            Heal::Restart(at) => self.start(at),
            Heal::Nothing => {}
        }
    }

    /// The calm: freezes and outages end now. Cuts and restarts end at the times they were given.
    pub(crate) fn end_faults(&mut self) {
        self.registry_away = self.now;
        (self.log_away, self.log_full) = (self.now, self.now);
        for at in 0..self.processes.len() {
            self.processes[at].registry_cut = self.now;
            let boot = self.processes[at].boot;
            self.thaw(at, boot);
        }
    }

    /// Around the messages that change hands over copies, links break on purpose: before (`false`) or after they arrive.
    pub(crate) fn targets(&mut self, message: &Message, _link: usize) -> Option<bool> {
        if !self.setup.targeted || self.is_quiet() || self.faults.targeted >= TARGETED {
            return None;
        }
        let chance = match message {
            Message::Claimed(_) | Message::Released(_) => 60,
            Message::Mark(_) | Message::Release(_) => 60,
            Message::State(state) => match state.kind {
                StateKind::Fetched => 100,
                StateKind::Sync(_) => 10,
                StateKind::Logged => return None,
            },
            Message::Syncs(_) => 10,
            _ => return None,
        };
        if matches!(message, Message::Mark(_) | Message::Release(_)) && self.rng.chance(20) {
            let at = self.now + self.rng.below(3 * MS);
            self.schedule(at, Event::Sudden);
        }
        if self.rng.chance(chance) {
            self.faults.targeted += 1;
            return Some(self.rng.chance(500));
        }
        None
    }
}
