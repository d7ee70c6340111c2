//! What a swarm saw, in numbers.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use serde::Serialize;

use super::ended::Ended;
use super::member::State;
use crate::checker::CheckReport;
use crate::latency::Percentiles;

/// Everything a swarm counts.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct SwarmReport {
    /// How many clients there are.
    pub clients: usize,
    /// Sent, lost, doubled, reordered. A plain message that the server gave back with a type 5 is still in `lost`, because the answer does
    /// not name it; `refusals` counts these.
    pub check: CheckReport,
    /// From sending to arrival.
    pub latency: Percentiles,
    /// Sockets that ended without being asked to.
    pub closed: usize,
    /// How the first of them ended.
    pub closed_examples: Vec<String>,
    /// Errors, type 5 answers, and frames that were not understood.
    pub refusals: u64,
    /// The first of them.
    pub refusal_examples: Vec<String>,
    /// Subscriptions that clients had to take anew.
    pub resubscribed: u64,
    /// How many of these could not be recovered: something may be missing from them.
    pub unrecovered: u64,
    /// Subscriptions whose channel ended with every process, and whose client was told that it began anew.
    pub began_anew: u64,
    /// Clients that were asked to reconnect.
    pub reconnect_asked: u64,
    /// Messages that came to somebody they were not meant for.
    pub misdirected: u64,
    /// Messages of an earlier run.
    pub foreign: u64,
    /// Times that a sender's window had to be opened anew because nothing of it arrived.
    pub stalls: u64,
}

impl SwarmReport {
    /// Whether every socket stayed open, and every promised message came once, in order, to nobody else.
    pub fn is_clean(&self) -> bool {
        self.check.is_clean() && self.closed == 0 && self.misdirected == 0
    }
}

impl std::fmt::Display for SwarmReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { clients, closed, refusals, resubscribed, unrecovered, misdirected, stalls, .. } = self;
        writeln!(f, "{clients} clients, {closed} sockets ended, {}", self.check)?;
        writeln!(f, "latency {}", self.latency)?;
        write!(f, "refusals {refusals}, resubscribed {resubscribed} (unrecovered {unrecovered}), ")?;
        write!(f, "misdirected {misdirected}, stalls {stalls}")?;
        self.closed_examples.iter().chain(&self.refusal_examples).try_for_each(|line| write!(f, "\n  {line}"))
    }
}

/// Who could be reached again after a mark, and when.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    /// Clients and how long after the mark their first message that was sent after it came; slowest first.
    pub reached: Vec<(String, Duration)>,
    /// Clients that got none yet.
    pub unreached: Vec<String>,
}

impl Reach {
    /// The slowest time, once all are reached.
    pub fn slowest(&self) -> Option<Duration> {
        self.unreached.is_empty().then(|| self.reached.first().map_or(Duration::ZERO, |(_, time)| *time))
    }
}

/// The slowest delivery to each client since the mark, over all clients, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Pauses {
    /// Half of the clients saw at most this.
    pub p50_ms: f64,
    /// 99 in 100 saw at most this.
    pub p99_ms: f64,
    /// The longest that any client saw.
    pub max_ms: f64,
}

pub(super) fn pauses(state: &State) -> Pauses {
    let mut slowest: Vec<u64> = state.members.iter().map(|member| member.slowest.load(Relaxed)).collect();
    slowest.sort_unstable();
    let at = |percent: usize| {
        let place = (slowest.len() * percent).div_ceil(100).saturating_sub(1);
        slowest.get(place).map_or(0.0, |nanos| *nanos as f64 / 1e6)
    };
    Pauses { p50_ms: at(50), p99_ms: at(99), max_ms: at(100) }
}

pub(super) fn report(state: &State) -> SwarmReport {
    let ended = state.ended.lock();
    let describe = |Ended { name, code, reason }: &Ended| format!("{name}: closed with {code:?}: {reason}");
    SwarmReport {
        clients: state.members.len(),
        check: state.checker.report(),
        latency: state.latencies.percentiles(),
        closed: ended.len(),
        closed_examples: ended.iter().take(20).map(describe).collect(),
        refusals: state.refusals.load(Relaxed),
        refusal_examples: state.refusal_examples.lock().clone(),
        resubscribed: state.resubscribed.load(Relaxed),
        unrecovered: state.unrecovered.load(Relaxed),
        began_anew: state.began_anew.load(Relaxed),
        reconnect_asked: state.reconnect_asked.load(Relaxed),
        misdirected: state.misdirected.load(Relaxed),
        foreign: state.foreign.load(Relaxed),
        stalls: state.stalls.load(Relaxed),
    }
}

pub(super) fn reach(state: &State) -> Reach {
    let mark = state.mark.load(Relaxed);
    let mut reach = Reach::default();
    for member in &state.members {
        match member.reached.load(Relaxed) {
            0 => reach.unreached.push(member.name.clone()),
            at => reach.reached.push((member.name.clone(), Duration::from_nanos(at.saturating_sub(mark)))),
        }
    }
    reach.reached.sort_by_key(|(_, time)| std::cmp::Reverse(*time));
    reach
}
