//! Links: one ordered connection per pair. A break loses what is under way; a cut holds it back. Connections come back
//! by themselves while both ends run.

use ringway_core::Incarnation;
use ringway_core::message::{Frame, Message};
use ringway_core::peers::Outgoing;
use ringway_core::timing::Now;

use super::process::State;
use super::{Event, Input, MS, Time, World, note};
use crate::rng::Rng;
use crate::setup::HOST;

/// The connection of a pair of processes.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) ends: [usize; 2],
    /// Incarnations at the ends, while it is up.
    up: Option<[Incarnation; 2]>,
    generation: u64,
    /// When the last frame in each direction arrives (to the first end, to the second).
    last: [Time; 2],
    /// Cuts in force on each direction.
    cut: [u32; 2],
    held: [Vec<Frame>; 2],
    /// In a large cluster: how far it is, how much it carries, and when the last byte in each direction has gone.
    latency: Time,
    pub(crate) bytes_per_second: u64,
    pub(crate) gone: [Time; 2],
}

/// Links of a large cluster carry 0.1 to 1 Gbit/s.
const PACES: [u64; 3] = [12_500_000, 50_000_000, 125_000_000];

/// All links.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) links: Vec<Link>,
    /// Links of each process.
    of: Vec<Vec<usize>>,
}

impl Network {
    pub(crate) fn new(processes: usize, gateways: usize) -> Self {
        let mut network = Self { links: Vec::new(), of: vec![Vec::new(); processes] };
        for first in 0..processes {
            for second in first + 1..processes {
                // Two gateways have nothing to say to each other, but the first one: it is the host, or the keeper for most of the time.
                if second < gateways && first != HOST {
                    continue;
                }
                let at = network.links.len();
                network.of[first].push(at);
                network.of[second].push(at);
                network.links.push(Link {
                    ends: [first, second],
                    up: None,
                    generation: 0,
                    last: [0; 2],
                    cut: [0; 2],
                    held: [Vec::new(), Vec::new()],
                    latency: 0,
                    bytes_per_second: 0,
                    gone: [0; 2],
                });
            }
        }
        network
    }

    /// A large cluster: some links are short, and some go around the world.
    pub(crate) fn spread(&mut self, rng: &mut Rng, most: Time) {
        for link in &mut self.links {
            link.latency = if rng.chance(300) { most } else { rng.range(most / 500, most + 1) };
            link.bytes_per_second = rng.pick(&PACES);
        }
    }

    pub(crate) fn of(&self, process: usize) -> &[usize] {
        &self.of[process]
    }

    /// No link is cut.
    pub(crate) fn is_whole(&self) -> bool {
        self.links.iter().all(|link| link.cut == [0, 0])
    }

    /// Every link between processes that run is up: nobody has still to dial again after a cut.
    pub(crate) fn is_up(&self, runs: impl Fn(usize) -> bool) -> bool {
        self.links.iter().all(|link| link.up.is_some() || !link.ends.iter().all(|end| runs(*end)))
    }

    /// Nothing gets from one to the other now.
    pub(crate) fn is_cut(&self, from: usize, to: usize) -> bool {
        let between = |link: &&Link| link.ends.contains(&from) && link.ends.contains(&to);
        self.links.iter().find(between).is_some_and(|link| link.cut[usize::from(link.ends[1] == to)] > 0)
    }
}

impl World {
    /// Time a frame takes: mostly short, now and then long.
    fn delay(&mut self) -> Time {
        let most = self.setup.delay;
        if self.rng.chance(5) { self.rng.range(most, most * 10 + 1) } else { self.rng.range(20, most + 21) }
    }

    /// The same for what is no frame.
    fn delay_of(&mut self, link: usize) -> Time {
        if self.setup.large.is_some() { self.network.links[link].latency + MS } else { self.delay() }
    }

    /// What one way to the host and back takes in a large cluster, half of it.
    pub(crate) fn delay_to_host(&self, at: usize) -> Option<Time> {
        self.setup.large?;
        let to_host = |link: &&usize| self.network.links[**link].ends.contains(&HOST);
        self.network.of(at).iter().find(to_host).map(|link| self.network.links[*link].latency + MS)
    }

    /// Puts a frame on its link, if that is up.
    pub(crate) fn send(&mut self, from: usize, out: Outgoing) {
        if self.sabotage.is_none() {
            self.put(from, out);
            return;
        }
        for out in self.lied_frames(from, out) {
            self.put(from, out);
        }
    }

    fn put(&mut self, from: usize, out: Outgoing) {
        let process = &self.processes[from];
        let Some((link, generation)) = process.connections.get(&out.to).copied() else { return };
        if self.network.links[link].generation != generation || self.network.links[link].up.is_none() {
            return;
        }
        if self.setup.is_at_odds() {
            self.watch_options(from, &out.frame.message);
        }
        let to_second = self.network.links[link].ends[0] == from;
        let breaks = self.targets(&out.frame.message, link);
        if self.network.links[link].cut[usize::from(to_second)] > 0 {
            self.network.links[link].held[usize::from(to_second)].push(out.frame);
        } else {
            self.carry(link, to_second, out.frame);
        }
        if let Some(after) = breaks {
            let at = if after { self.network.links[link].last[usize::from(to_second)] } else { self.now };
            self.schedule(at, Event::Break(link));
        }
    }

    fn carry(&mut self, link: usize, to_second: bool, frame: Frame) {
        let arrival = match self.setup.large {
            Some(_) => self.weigh(link, to_second, &frame) + self.network.links[link].latency + self.rng.below(MS / 2),
            None => self.now + self.delay(),
        };
        let link_state = &mut self.network.links[link];
        let last = &mut link_state.last[usize::from(to_second)];
        *last = arrival.max(*last);
        let (at, generation) = (*last, link_state.generation);
        if !matches!(frame.message, Message::Ping(_)) {
            let ends = link_state.ends;
            let (from, to) = if to_second { (ends[0], ends[1]) } else { (ends[1], ends[0]) };
            note!(
                self,
                "{} -> {} @{}: {}",
                self.processes[from].id,
                self.processes[to].id,
                frame.epoch,
                brief(&frame.message)
            );
        }
        self.schedule(at, Event::Frame { link, generation, to_second, frame });
    }

    pub(crate) fn arrive(&mut self, link: usize, generation: u64, to_second: bool, frame: Frame) {
        let state = &self.network.links[link];
        let Some(incarnations) = state.up.filter(|_| state.generation == generation) else { return };
        if self.setup.large.is_some() {
            self.part_came(link, to_second, &frame);
        }
        let state = &self.network.links[link];
        let to = state.ends[usize::from(to_second)];
        let from = incarnations[usize::from(!to_second)];
        let boot = self.processes[to].boot;
        self.reach(to, boot, Input::Frame(from, frame));
    }

    /// Tries to connect a pair. Where that is not possible now, the end that becomes able to tries again.
    pub(crate) fn connect(&mut self, link: usize) {
        let ends = self.network.links[link].ends;
        let state = &self.network.links[link];
        let able = state.up.is_none() && state.cut == [0, 0] && ends.iter().all(|end| self.processes[*end].runs());
        if !able {
            return;
        }
        let incarnations = ends.map(|end| self.processes[end].incarnation);
        let boots = ends.map(|end| self.processes[end].boot);
        let state = &mut self.network.links[link];
        state.generation += 1;
        state.up = Some(incarnations);
        let generation = state.generation;
        note!(self, "{} == {} up", self.processes[ends[0]].id, self.processes[ends[1]].id);
        self.network.links[link].gone = [0; 2];
        for end in 0..2 {
            let at = self.now + self.delay_of(link);
            self.network.links[link].last[end] = at;
            self.find_replaced(ends[end], ends[1 - end], at);
            self.schedule(at, Event::To(ends[end], boots[end], Input::LinkUp(incarnations[1 - end], link, generation)));
        }
    }

    pub(crate) fn connect_all(&mut self, process: usize) {
        for link in self.network.of(process).to_vec() {
            let at = self.now + self.rng.range(MS / 2, 8 * MS);
            self.schedule(at, Event::Connect(link));
        }
    }

    /// A link breaks: what is under way is lost, and each end notices in its own time.
    pub(crate) fn break_link(&mut self, link: usize) {
        let Some(incarnations) = self.network.links[link].up.take() else { return };
        let ends = self.network.links[link].ends;
        let generation = self.network.links[link].generation;
        self.network.links[link].held = [Vec::new(), Vec::new()];
        note!(self, "{} == {} breaks", self.processes[ends[0]].id, self.processes[ends[1]].id);
        self.parts_lost(link);
        self.lie_about_break(ends, incarnations);
        for end in 0..2 {
            let at = self.now + self.rng.below(5 * MS);
            let boot = self.processes[ends[end]].boot;
            self.schedule(at, Event::To(ends[end], boot, Input::LinkDown(incarnations[1 - end], generation)));
        }
        let again = self.now + self.rng.range(MS, 30 * MS);
        self.schedule(again, Event::Connect(link));
    }

    pub(crate) fn break_all(&mut self, process: usize) {
        for link in self.network.of(process).to_vec() {
            self.break_link(link);
        }
    }

    pub(crate) fn link_up(&mut self, at: usize, now: Now, peer: Incarnation, link: usize, generation: u64) {
        let is_host = self.setup.hosted && self.processes[HOST].incarnation == peer;
        let process = &mut self.processes[at];
        let current = &self.network.links[link];
        let mine =
            current.up.is_some_and(|ends| ends.contains(&process.incarnation)) && current.generation == generation;
        if process.state != State::Up || !mine {
            return;
        }
        process.connections.insert(peer, (link, generation));
        if let Some(member) = &mut process.member {
            if is_host {
                member.set_host(now, peer);
            }
            member.on_link_up(now, peer);
        }
    }

    pub(crate) fn link_down(&mut self, at: usize, now: Now, peer: Incarnation, generation: u64) {
        let process = &mut self.processes[at];
        if process.connections.get(&peer).is_none_or(|(_, current)| *current != generation) {
            return;
        }
        process.connections.remove(&peer);
        self.look_for_evidence(at, peer);
        if let Some(member) = &mut self.processes[at].member {
            member.on_link_down(now, peer);
        }
    }

    pub(crate) fn cut(&mut self, link: usize, to_second: bool) {
        self.lie_about_silence(link, to_second);
        self.network.links[link].cut[usize::from(to_second)] += 1;
    }

    /// A cut ends. What was held back arrives late, or the connection turns out to be dead.
    pub(crate) fn uncut(&mut self, link: usize, to_second: bool) {
        let direction = usize::from(to_second);
        self.network.links[link].cut[direction] -= 1;
        self.cut_at = self.now;
        if self.network.links[link].cut[direction] > 0 {
            return;
        }
        if self.network.links[link].up.is_none() {
            let at = self.now + MS;
            self.schedule(at, Event::Connect(link));
        } else if self.rng.chance(500) {
            self.break_link(link);
        } else {
            for frame in std::mem::take(&mut self.network.links[link].held[direction]) {
                self.carry(link, to_second, frame);
            }
        }
    }
}

/// A message in a few words, for the trace.
fn brief(message: &Message) -> String {
    match message {
        Message::Publish(publish) => {
            format!("Publish {} {} seq {} floor {}", publish.slot, publish.channel, publish.seq, publish.floor)
        }
        Message::State(state) => format!(
            "State {} {:?} term {} index {} since {:?} part {}{} {} streams",
            state.slot,
            state.kind,
            state.term,
            state.index,
            state.base,
            state.part,
            if state.last { " (last)" } else { "" },
            state.streams.len(),
        ),
        Message::Moved(view) => format!("Moved {}", view.epoch),
        message => {
            let mut text = format!("{message:?}");
            text.truncate(220);
            text
        }
    }
}
