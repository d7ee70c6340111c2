//! What a siege found: a row for each load.

use std::fmt::{Display, Formatter};

use serde::Serialize;

use super::load::Load;
use crate::latency::Percentiles;
use crate::report::Rows;
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
    /// Whether that is no more than two, or the p99 below the floor.
    pub is_served: bool,
}

impl LoadReport {
    pub(super) fn new(load: Load, per_second: f64, phases: [Phase; 3], floor_ms: f64) -> Self {
        let [before, during, after] = phases;
        let calm = f64::midpoint(before.latency.p99_ms, after.latency.p99_ms);
        let ratio = during.latency.p99_ms / calm.max(0.001);
        let is_served = during.latency.count > 0 && (ratio <= BOUND || during.latency.p99_ms <= floor_ms);
        Self { load, per_second, unit: load.unit(), before, during, after, ratio, is_served }
    }
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
