//! The way to the registry and back, where a member has it: delays, losses, outages, and a watch that may be late or skip. Where it is
//! outside, see [`store`](super::store).

use std::sync::Arc;

use ringway_core::Incarnation;
use ringway_core::message::{RegistryOp, RegistryRequest};
use ringway_core::registry::Seat;
use ringway_core::view::View;

use super::{Event, Input, MS, World, note};
use crate::setup::HOST;

impl World {
    /// The registry's view.
    pub(crate) fn newest_view(&self) -> &Arc<View> {
        if self.setup.hosted { self.registry.view() } else { &self.newest }
    }

    /// The registry can be reached from this process now.
    pub(crate) fn registry_reaches(&self, at: usize) -> bool {
        let to_host =
            || !self.network.is_cut(at, HOST) && !self.network.is_cut(HOST, at) && self.processes[HOST].runs();
        match self.setup.seat(at) {
            Seat::Here => true,
            Seat::Host(_) => to_host(),
            Seat::Outside => self.now >= self.registry_away && self.now >= self.processes[at].registry_cut,
        }
    }

    /// The ways to the registry and to the log are not what they should be.
    pub(super) fn is_outside_troubled(&self) -> bool {
        self.setup.is_troubled() && !self.is_quiet()
    }

    /// A request goes out. Now and then it is lost, or takes its time.
    pub(crate) fn send_request(&mut self, at: usize, request: RegistryRequest) {
        let seat = self.setup.seat(at);
        if seat == Seat::Outside {
            return self.ask_clerk(at, request);
        }
        let process = &self.processes[at];
        let (boot, life) = (process.boot, process.life);
        let troubled = self.is_outside_troubled() && !seat.is_here();
        if troubled && (self.rng.chance(10) || !self.registry_reaches(at)) {
            return;
        }
        let writes = matches!(request.op, RegistryOp::Cas(_));
        let late = troubled && writes && self.rng.chance(30);
        let delay = self.delay_to_registry(at, seat.is_here(), late);
        self.schedule(self.now + delay, Event::Request { process: at, boot, life, request });
    }

    fn delay_to_registry(&mut self, at: usize, here: bool, late: bool) -> u64 {
        let delay = match (here, late) {
            (true, _) => 10,
            (_, true) => self.rng.range(50 * MS, 1500 * MS),
            _ => self.rng.range(100, 3 * MS),
        };
        self.delay_to_host(at).filter(|_| !here).unwrap_or(delay)
    }

    /// The registry carries a request out, and answers.
    pub(crate) fn ask_registry(&mut self, at: usize, boot: u32, life: u32, request: RegistryRequest) {
        let here = self.setup.seat(at).is_here();
        if !here && !self.registry_reaches(at) {
            return;
        }
        let op = self.is_traced().then(|| brief(&request.op));
        let before = self.registry.view().clone();
        let lapsed = if matches!(request.op, RegistryOp::Cas(_)) { self.lapsed_leases() } else { Vec::new() };
        let answer = self.registry.handle(self.true_time(), request);
        if let Some(op) = op {
            note!(self, "registry: {} asks {op}: {}", self.processes[at].id, answer.done);
        }
        if self.registry.view().epoch != before.epoch {
            self.view_written(at, &before, &lapsed);
            self.tell_view();
        }
        let troubled = self.is_outside_troubled() && !here;
        if troubled && self.rng.chance(10) {
            return;
        }
        let late = troubled && self.rng.chance(10);
        let delay = self.delay_to_registry(at, here, late);
        self.schedule(self.now + delay, Event::To(at, boot, Input::Answer(life, answer)));
    }

    /// Members whose lease keys have ended.
    fn lapsed_leases(&mut self) -> Vec<Incarnation> {
        let request = RegistryRequest { id: 0, op: RegistryOp::Leases };
        self.registry.handle(self.true_time(), request).lapsed
    }

    /// A new view: the checker looks at what it takes away.
    pub(super) fn view_written(&mut self, by: usize, before: &Arc<View>, lapsed: &[Incarnation]) {
        let view = self.newest_view().clone();
        self.views += 1;
        note!(self, "registry: {} wrote {view:?}", self.processes[by].id);
        self.watch_view(before, &view, lapsed);
    }

    /// The watch tells everybody, more or less.
    fn tell_view(&mut self) {
        let view = self.newest_view().clone();
        for (at, boot, due) in self.told_soon() {
            self.schedule(due, Event::To(at, boot, Input::View(view.clone())));
        }
    }

    /// Who hears of a new view, and when.
    pub(super) fn told_soon(&mut self) -> Vec<(usize, u32, u64)> {
        let mut told = Vec::new();
        for at in 0..self.processes.len() {
            let skips = self.setup.is_troubled() && self.rng.chance(100);
            if skips || !self.registry_reaches(at) {
                continue;
            }
            let late = self.rng.chance(100);
            let delay = if late { self.rng.range(10 * MS, 300 * MS) } else { self.rng.range(100, 10 * MS) };
            let delay = self.delay_to_host(at).filter(|_| at != HOST).unwrap_or(delay);
            told.push((at, self.processes[at].boot, self.now + delay));
        }
        told
    }
}

fn brief(op: &RegistryOp) -> String {
    match op {
        RegistryOp::Cas(view) => format!("Cas {view:?}"),
        op => format!("{op:?}"),
    }
}
