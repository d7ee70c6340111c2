//! What came of it: a table for people, JSON for programs, and a verdict.

mod bounds;
mod table;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::Value;

use super::ChaosArgs;
use super::plan::{Fault, Wish};
use crate::latency::Percentiles;
use crate::swarm::{Pauses, ReturnsReport, Swarm, SwarmReport};

pub use bounds::Bound;

/// One fault, and what was seen of it.
#[derive(Debug, Clone, Serialize)]
pub struct Happening {
    /// Seconds since the clients began to connect.
    pub at_s: f64,
    /// Of which kind.
    pub fault: Fault,
    /// In words.
    pub what: String,
    /// All others had settled.
    pub alone: bool,
    #[serde(skip)]
    pub(super) made: Instant,
    /// From the order until the member was seen to be out of the view. Of kills, and of freezes that last; as fine as is looked, some 10 ms.
    pub left_ms: Option<f64>,
    /// From the order until every client had got something that was sent after it. As fine as messages to it are frequent. None if another
    /// fault came first.
    pub reached_ms: Option<f64>,
    /// From the order until every slot had its place and its copies again. None if another fault came first.
    pub settled_ms: Option<f64>,
    /// The slowest delivery to each client from the order until all had settled, or until the next fault.
    pub pauses: Option<Pauses>,
    /// Why the cluster did not let it happen.
    pub refused: Option<String>,
}

impl Happening {
    pub(super) fn new(wish: &Wish, at: Duration, made: Instant) -> Self {
        let (fault, what, at_s) = (wish.fault, wish.to_string(), at.as_secs_f64());
        let (left_ms, reached_ms, settled_ms, pauses, refused) = (None, None, None, None, None);
        Self { at_s, fault, what, alone: false, made, left_ms, reached_ms, settled_ms, pauses, refused }
    }
}

/// The faults of one kind together. Times are the longest, in milliseconds.
#[derive(Debug, Clone, Serialize)]
pub struct KindReport {
    /// Which kind.
    pub fault: Fault,
    /// How many were made.
    pub count: usize,
    /// Until the member was out of the view.
    pub left_ms: Option<f64>,
    /// Until every client was reached again.
    pub reached_ms: Option<f64>,
    /// Until all had settled.
    pub settled_ms: Option<f64>,
    /// The pause that 99 of 100 clients saw at most, after the worst of them.
    pub pause_p99_ms: Option<f64>,
    /// The longest that any client saw.
    pub pause_max_ms: Option<f64>,
}

/// What the cluster's own receipts say at worst.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Receipts {
    /// How many there are.
    pub count: usize,
    /// The slowest detection.
    pub detection_ms: Option<f64>,
    /// The worst p99 of the pauses that gateways saw.
    pub pause_p99_ms: Option<f64>,
    /// The longest of these pauses.
    pub pause_max_ms: Option<f64>,
    /// Client sockets closed.
    pub sockets_closed: u64,
    /// Channels that went on with something missing.
    pub gaps: u64,
    /// Doubles and reorders that gateways saw and dropped.
    pub dropped: u64,
    /// Slots that moved between members that nobody touched.
    pub bystander_moves: u64,
}

/// How the run was made.
pub(super) struct Setup<'a> {
    pub(super) seed: u64,
    pub(super) seconds: f64,
    pub(super) stolen: Duration,
    pub(super) interrupted: bool,
    pub(super) args: &'a ChaosArgs,
}

/// What `ringway chaos` found.
#[derive(Debug, Clone, Serialize)]
pub struct ChaosReport {
    /// Gives the same wishes again.
    pub seed: u64,
    /// Length of the disturbed part.
    pub seconds: f64,
    /// Processor time that the host of this virtual machine took away meanwhile, in seconds: all that is measured was longer by some of it.
    pub stolen_s: f64,
    /// Each fault waited until the last one had settled.
    pub settle: bool,
    /// Centrifuge clients.
    pub clients: usize,
    /// Plain users.
    pub plain: usize,
    /// Messages per second that were aimed at.
    pub rate: f64,
    /// Nothing promised was broken.
    pub clean: bool,
    /// Faults by kind.
    pub faults: Vec<KindReport>,
    /// Messages, sockets and subscriptions; `closed` are sockets that ended without a fault of ours.
    pub traffic: SwarmReport,
    /// Clients that came back.
    pub returns: ReturnsReport,
    /// From sending to arrival, over the whole run.
    pub latency: Percentiles,
    /// What the cluster itself told; none if it does not.
    pub receipts: Option<Receipts>,
    /// Whether what was aimed at was reached.
    pub bounds: Vec<Bound>,
    /// What went wrong around it, such as a cluster that did not settle.
    pub trouble: Vec<String>,
    /// Ended early by Ctrl-C.
    pub interrupted: bool,
    /// Every fault, in order.
    pub happenings: Vec<Happening>,
}

impl ChaosReport {
    pub(super) fn new(
        setup: &Setup<'_>,
        happenings: Vec<Happening>,
        trouble: Vec<String>,
        swarm: &Swarm,
        receipts: &[Value],
    ) -> Self {
        let Setup { seed, seconds, stolen, interrupted, args } = *setup;
        let (traffic, returns) = (swarm.report(), swarm.returns());
        let mut bounds = bounds::of(&happenings);
        if args.settle {
            bounds.extend(bounds::of_receipts(receipts));
        }
        let receipts = Receipts::of(receipts);
        let clean = traffic.is_clean() && traffic.unrecovered == 0 && returns.still_away == 0 && trouble.is_empty();
        Self {
            seed,
            seconds,
            stolen_s: stolen.as_secs_f64(),
            settle: args.settle,
            clients: args.clients,
            plain: args.plain,
            rate: args.rate,
            clean,
            faults: kinds(&happenings),
            latency: traffic.latency,
            traffic,
            returns,
            receipts,
            bounds,
            trouble,
            interrupted,
            happenings,
        }
    }

    /// Whether every promise was kept: nothing acknowledged was lost, doubled or reordered, no position was lost, no socket closed but by a
    /// fault of ours, and in the end all had settled and everybody was back.
    pub fn is_clean(&self) -> bool {
        self.clean
    }

    /// Whether it was as quick as is aimed at, too.
    pub fn is_quick(&self) -> bool {
        self.bounds.iter().all(|bound| bound.holds)
    }

    /// As one line of JSON.
    ///
    /// # Errors
    /// Never in practice: all of it is numbers and strings.
    pub fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }
}

fn kinds(happenings: &[Happening]) -> Vec<KindReport> {
    let mut kinds: BTreeMap<Fault, Vec<&Happening>> = BTreeMap::new();
    for happening in happenings.iter().filter(|happening| happening.refused.is_none()) {
        kinds.entry(happening.fault).or_default().push(happening);
    }
    let kind = |(fault, its): (Fault, Vec<&Happening>)| KindReport {
        fault,
        count: its.len(),
        left_ms: worst(its.iter().filter_map(|happening| happening.left_ms)),
        reached_ms: worst(its.iter().filter_map(|happening| happening.reached_ms)),
        settled_ms: worst(its.iter().filter_map(|happening| happening.settled_ms)),
        pause_p99_ms: worst(its.iter().filter_map(|happening| Some(happening.pauses?.p99_ms))),
        pause_max_ms: worst(its.iter().filter_map(|happening| Some(happening.pauses?.max_ms))),
    };
    kinds.into_iter().map(kind).collect()
}

fn worst(values: impl Iterator<Item = f64>) -> Option<f64> {
    values.reduce(f64::max)
}

impl Receipts {
    fn of(receipts: &[Value]) -> Option<Self> {
        if receipts.is_empty() {
            return None;
        }
        let at = |path: &'static str| move |receipt: &Value| receipt.pointer(path).and_then(Value::as_f64);
        let sum = |field: &str| receipts.iter().filter_map(|receipt| receipt[field].as_u64()).sum::<u64>();
        Some(Self {
            count: receipts.len(),
            detection_ms: worst(receipts.iter().filter_map(at("/detection_ms"))),
            pause_p99_ms: worst(receipts.iter().filter_map(at("/pauses/p99_ms"))),
            pause_max_ms: worst(receipts.iter().filter_map(at("/pauses/max_ms"))),
            sockets_closed: sum("sockets_closed"),
            gaps: sum("gaps"),
            dropped: sum("doubles") + sum("reorders"),
            bystander_moves: sum("bystander_moves"),
        })
    }
}

#[cfg(test)]
mod tests;
