//! What a siege found: a row for each load.

use std::fmt::{Display, Formatter};

use serde::Serialize;

use super::load::Load;
use crate::latency::Percentiles;
use crate::rows::Rows;
use crate::swarm::SwarmReport;

/// Good users are served as long as their p99 is no more than so many times the calm one.
const BOUND: f64 = 2.0;

/// One time of the siege, calm or not.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Phase {
    /// How long it was.
    pub seconds: f64,
    /// From sending to arrival, of the good users' messages.
    pub latency: Percentiles,
    /// How late a thread was that wanted nothing but to wake up.
    pub lateness: Percentiles,
    /// Processors that the server's processes used together.
    pub server_cores: f64,
    /// Their resident memory at the end, in bytes.
    pub server_bytes: u64,
    /// Processor time that the machine's host took away, in seconds.
    pub stolen_s: f64,
}

/// One load between two calm times.
#[derive(Debug, Clone, Serialize)]
pub struct LoadReport {
    /// Which.
    pub load: Load,
    /// What it did in a second.
    pub per_second: f64,
    /// What that counts.
    pub unit: &'static str,
    /// The calm time before it.
    pub before: Phase,
    /// Under load.
    pub during: Phase,
    /// The calm time after it.
    pub after: Phase,
    /// The p99 under load, divided by the mean of the calm ones.
    pub ratio: f64,
    /// Whether that is no more than two, also beside the median of all calm times, or the p99 below the floor. A load that did nothing shows nothing.
    pub is_served: bool,
}

impl LoadReport {
    pub(super) fn new(load: Load, per_second: f64, [before, during, after]: [Phase; 3]) -> Self {
        let calm = f64::midpoint(before.latency.p99_ms, after.latency.p99_ms);
        let ratio = during.latency.p99_ms / calm.max(0.001);
        Self { load, per_second, unit: load.unit(), before, during, after, ratio, is_served: false }
    }

    /// What a load leaves behind may be no better than itself, so the calm times beside it are not the only measure.
    fn judge(&mut self, usual_ms: f64, floor_ms: f64) {
        let p99 = self.during.latency.p99_ms;
        let is_near_calm = self.ratio <= BOUND && p99 <= BOUND * usual_ms;
        let was_something = self.per_second > 0.0 && self.during.latency.count > 0;
        self.is_served = was_something && (is_near_calm || p99 <= floor_ms);
    }
}

/// Judges every load beside all calm times.
pub(super) fn judge(loads: &mut [LoadReport], floor_ms: f64) {
    let phases = loads.iter().flat_map(|load| [load.before, load.after]);
    let mut calm: Vec<f64> = phases.map(|phase| phase.latency.p99_ms).collect();
    calm.sort_by(f64::total_cmp);
    let usual_ms = calm.get(calm.len() / 2).copied().unwrap_or_default();
    loads.iter_mut().for_each(|load| load.judge(usual_ms, floor_ms));
}

/// What `ringway bench siege` found.
#[derive(Debug, Clone, Serialize)]
pub struct SiegeReport {
    /// How many good users there were.
    pub users: usize,
    /// How many nodes.
    pub nodes: u16,
    /// Messages per second of the good users.
    pub rate: f64,
    /// A p99 below this is good.
    pub floor_ms: f64,
    /// One after the other.
    pub loads: Vec<LoadReport>,
    /// The good users' messages and sockets in the whole time.
    pub traffic: SwarmReport,
    /// Whether Ctrl-C ended it early.
    pub interrupted: bool,
}

impl SiegeReport {
    /// Whether every good user's socket stayed open and every message came once and in order.
    pub fn is_clean(&self) -> bool {
        self.traffic.is_clean()
    }

    /// Whether good users were served under each load.
    pub fn is_served(&self) -> bool {
        self.loads.iter().all(|load| load.is_served)
    }
}

impl Display for SiegeReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let Self { users, nodes, rate, .. } = self;
        writeln!(f, "{users} good users, {rate} messages/s, {nodes} nodes and a gateway; times in ms")?;
        writeln!(
            f,
            "{:<16} {:>18} {:>14} {:>8} {:>22} {:>6} {:>12} {:>14}",
            "load", "it did", "calm p50 p99", "after", "under load p50 p99 max", "ratio", "server cores", "thread p99"
        )?;
        for load in &self.loads {
            let LoadReport { before, during, after, .. } = load;
            let calm = format!("{:.2} {:.2}", before.latency.p50_ms, before.latency.p99_ms);
            let Percentiles { p50_ms, p99_ms, max_ms, .. } = during.latency;
            let cores = format!("{:.2} → {:.2}", before.server_cores, during.server_cores);
            let late = format!("{:.2} → {:.2}", before.lateness.p99_ms, during.lateness.p99_ms);
            writeln!(
                f,
                "{:<16} {:>18} {:>14} {:>8.2} {:>22} {:>6.2} {:>12} {:>14}{}",
                load.load.name(),
                format!("{:.0} {}/s", load.per_second, load.unit),
                calm,
                after.latency.p99_ms,
                format!("{p50_ms:.2} {p99_ms:.2} {max_ms:.2}"),
                load.ratio,
                cores,
                late,
                if load.is_served { "" } else { "  SLOW" }
            )?;
        }
        let mut rows = Rows::default();
        rows.add_traffic(&self.traffic);
        rows.add_interrupted(self.interrupted);
        rows.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A load between two calm times, by their p99.
    fn report(load: Load, per_second: f64, [before, during, after]: [f64; 3]) -> LoadReport {
        let phase = |p99_ms| Phase {
            seconds: 1.0,
            latency: Percentiles { count: 1, p99_ms, ..Percentiles::default() },
            lateness: Percentiles::default(),
            server_cores: 0.0,
            server_bytes: 0,
            stolen_s: 0.0,
        };
        LoadReport::new(load, per_second, [before, during, after].map(phase))
    }

    #[test]
    fn a_load_is_judged_beside_the_calm_next_to_it_and_all_others() {
        let mut loads = [
            report(Load::IdleTcp, 1.0, [15.0, 29.0, 15.0]),
            report(Load::SlowBodies, 1.0, [15.0, 31.0, 15.0]),
            report(Load::Histories, 1.0, [2.0, 19.0, 2.0]),
            // It leaves the cluster ill, and the next one finds it so.
            report(Load::Storm, 1.0, [500.0, 600.0, 700.0]),
            report(Load::Recoveries, 0.0, [15.0, 2.0, 15.0]),
        ];
        judge(&mut loads, 20.0);
        assert_eq!(loads.map(|load| load.is_served), [true, false, true, false, false]);
    }
}
