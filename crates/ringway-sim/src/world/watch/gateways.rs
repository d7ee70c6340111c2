//! Gateways: one that lives and keeps its lease stays in the view, whoever does not hear it; and one that is not heard holds
//! nothing up for long.

use ringway_core::node::Lease;
use ringway_core::view::View;
use ringway_core::{Incarnation, Slot};

use crate::setup::Mode;
use crate::world::process::State;
use crate::world::{MS, Time, World};

/// Beside a node's own limit: ticks, late views and slow clocks.
const SLACK: Time = 400 * MS;

impl World {
    /// Only a gateway that leaves, whose lease is over, or that somebody was lied to about, goes out of the view.
    pub(super) fn watch_gateways(&mut self, before: &View, view: &View, lapsed: &[Incarnation]) {
        let gone = before.gateways.iter().map(|gateway| gateway.incarnation).filter(|gateway| !view.has(*gateway));
        // A store that lost the change of the last moment is told what most knew.
        let is_repair = view.epoch > before.epoch.next();
        let alone = gone.filter(|gateway| before.node(*gateway).is_none() && !lapsed.contains(gateway) && !is_repair);
        let removed = alone.into_iter().find(|gateway| self.keeps_its_lease(*gateway));
        if let Some(removed) = removed {
            self.violate("gateways", format!("{removed} lives and keeps its lease, and is removed at {}", view.epoch));
        }
    }

    fn keeps_its_lease(&self, member: Incarnation) -> bool {
        let process = self.processes.iter().find(|process| process.incarnation == member);
        let Some(process) = process.filter(|process| process.state == State::Up && !process.leaving) else {
            return false;
        };
        let lease = process.member.as_ref().map(|member| member.membership().lease());
        let good = match lease {
            Some(Lease::Forever) => true,
            Some(Lease::Since(sent)) => process.clock(self.now) < sent + self.setup.timing.own(),
            _ => false,
        };
        good && !self.faults.blamed.contains(&member)
    }

    /// Where one link is cut and nothing else is wrong, no publish is held for longer than the silence takes to show. A node that has lost
    /// its lease meanwhile may answer nobody.
    pub(crate) fn watch_held(&mut self) {
        let Some((began, ends)) = self.faults.split.filter(|_| self.setup.mode == Mode::One) else { return };
        if self.now >= ends {
            return;
        }
        let limit = self.setup.timing.suspect.as_micros() as Time + SLACK;
        let holds = |slot: Slot, at: usize| {
            let process = &self.processes[at];
            let late = process.runs() && self.now > began.max(process.view_at) + limit;
            let late = late && self.keeps_its_lease(process.incarnation);
            let report = process.node().filter(|_| late).and_then(|node| node.inspect(slot));
            report.and_then(|report| report.reign).is_some_and(|reign| reign.held > 0)
        };
        let held = (0..self.processes.len()).find_map(|at| {
            let slot = self.setup.slots.slots().find(|slot| holds(*slot, at))?;
            Some(format!("{} still holds publishes of slot {slot} for a gateway", self.processes[at].id))
        });
        if let Some(text) = held {
            self.violate("held", text);
        }
    }
}
