//! `GET /health`: whether this process can do its work, and if not, what is missing.
//!
//! 503 until every node and gateway that was asked for is there; then 200, and 503 only while some slot has had no reachable owner for
//! three seconds. A failover is over long before, so a load balancer does not turn away clients that lose nothing.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use parking_lot::Mutex;
use ringway_core::Incarnation;
use ringway_core::view::{NodeState, Placement};
use serde::Serialize;

use crate::cluster::{ClusterHandle, ClusterState, Reach};

/// How long a slot may be without a reachable owner: longer than any failover, shorter than people's patience.
const GRACE: Duration = Duration::from_secs(3);
/// What that means, and what helps.
const NODELESS: &str = "nobody can be sent anything until one joins. Start one (`ringway node --join …`)";
/// Owners named in the body; more are counted.
const NAMED: usize = 8;

/// What the route says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// `ok`, `starting` or `degraded`.
    pub status: &'static str,
    /// Epoch of the view.
    pub epoch: u64,
    /// What is missing, and which ways to other members are; absent when nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl Report {
    /// The process can do its work.
    pub fn is_ok(&self) -> bool {
        self.status == "ok"
    }
}

/// Who must be there before it is well for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    /// Active nodes.
    pub nodes: usize,
    /// Gateways.
    pub gateways: usize,
}

impl Expected {
    /// Everybody is there, as far as this process can reach them.
    pub(crate) fn are_there(self, state: &ClusterState) -> bool {
        active(state) >= self.nodes && gateways(state) >= self.gateways
    }

    /// Who is there, in words.
    pub(crate) fn compared(self, state: &ClusterState) -> String {
        let nodes = format!("{} of {} nodes are active", active(state), self.nodes);
        match gateways(state) {
            enough if enough >= self.gateways => nodes,
            few => format!("{nodes}, {few} of {} gateways are there", self.gateways),
        }
    }
}

/// Follows the cluster and knows for how long which slots had no owner. Clones share what they know.
#[derive(Debug, Clone)]
pub struct Health {
    cluster: ClusterHandle,
    expected: Expected,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Debug, Default)]
struct Seen {
    /// Everybody expected was there once.
    started: bool,
    /// One entry per slot while some slot has no reachable owner: since when this one has none. Empty otherwise.
    missing: Vec<Option<Instant>>,
}

impl Health {
    /// Begins to follow. The first 200 comes when all of `expected` are there. Needs a running Tokio runtime.
    pub fn new(cluster: ClusterHandle, expected: Expected) -> Self {
        let health = Self { cluster, expected, seen: Arc::default() };
        tokio::spawn(health.clone().follow());
        health
    }

    /// `GET /health`.
    pub fn routes(self) -> Router {
        Router::new().route("/health", get(move || async move { self.report() }))
    }

    /// How it is now.
    pub fn report(&self) -> Report {
        self.report_at(Instant::now())
    }

    fn report_at(&self, now: Instant) -> Report {
        let state = self.cluster.state();
        let mut seen = self.seen.lock();
        seen.look(&state, self.expected, now);
        let (status, why) = match seen.problem(&state, self.expected, now) {
            Some((status, why)) => (status, Some(why)),
            None => ("ok", None),
        };
        let why: Vec<&str> =
            why.as_deref().into_iter().chain(state.troubles.iter().map(|trouble| &**trouble)).collect();
        Report { status, epoch: state.view.epoch.0, why: (!why.is_empty()).then(|| why.join("; ")) }
    }

    async fn follow(self) {
        let mut changes = self.cluster.watch();
        loop {
            let state = changes.borrow_and_update().clone();
            self.seen.lock().look(&state, self.expected, Instant::now());
            if changes.changed().await.is_err() {
                return;
            }
        }
    }
}

impl IntoResponse for Report {
    fn into_response(self) -> Response {
        let status = if self.is_ok() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        (status, [(CACHE_CONTROL, "no-store")], Json(self)).into_response()
    }
}

fn reachable(state: &ClusterState, incarnation: Option<Incarnation>) -> bool {
    incarnation.is_some_and(|incarnation| state.reach(incarnation) == Reach::Up)
}

/// Nodes that own what their weight gives them, and that this process reaches.
pub(crate) fn active(state: &ClusterState) -> usize {
    let is_active = |node: &NodeState| matches!(node, NodeState::Active | NodeState::Reweighting);
    state.view.nodes.iter().filter(|node| is_active(&node.state()) && reachable(state, Some(node.incarnation))).count()
}

/// Gateways that take clients. A gateway has no links to others but the registry's, so their silence proves nothing there.
fn gateways(state: &ClusterState) -> usize {
    let is_there = |incarnation: Incarnation| state.reach(incarnation) != Reach::Silent;
    state.view.gateways.iter().filter(|gateway| !gateway.draining && is_there(gateway.incarnation)).count()
}

impl Seen {
    /// Takes a state in. Slot by slot only while somebody is missing, so a healthy cluster costs a look at its nodes.
    fn look(&mut self, state: &ClusterState, expected: Expected, now: Instant) {
        self.started |= expected.are_there(state);
        let mut serving = state.view.nodes.iter().filter(|node| node.serves()).peekable();
        if serving.peek().is_some() && serving.all(|node| reachable(state, Some(node.incarnation))) {
            self.missing.clear();
            return;
        }
        self.missing.resize(state.view.slots.get() as usize, None);
        for (slot, since) in state.view.slots.slots().zip(&mut self.missing) {
            match reachable(state, state.placement.owner(slot)) {
                true => *since = None,
                false => *since = Some(since.unwrap_or(now)),
            }
        }
    }

    fn problem(&self, state: &ClusterState, expected: Expected, now: Instant) -> Option<(&'static str, String)> {
        if !self.started {
            return Some(("starting", expected.compared(state)));
        }
        let late = self.missing.iter().zip(state.view.slots.slots());
        let late = late.filter(|(since, _)| since.is_some_and(|since| now >= since + GRACE)).map(|(_, slot)| slot);
        let mut owners: BTreeMap<String, u32> = BTreeMap::new();
        for slot in late {
            *owners.entry(owner_name(state, &state.placement, slot)).or_default() += 1;
        }
        if state.view.nodes.iter().all(|node| !node.serves()) && !owners.is_empty() {
            return Some(("degraded", format!("no node has been there for {GRACE:?} or longer: {NODELESS}")));
        }
        (!owners.is_empty()).then(|| ("degraded", in_words(&owners)))
    }
}

fn owner_name(state: &ClusterState, placement: &Placement, slot: ringway_core::Slot) -> String {
    let node = placement.owner(slot).and_then(|owner| state.view.node(owner));
    node.map_or_else(|| "no node".to_owned(), |node| node.id.to_string())
}

fn in_words(owners: &BTreeMap<String, u32>) -> String {
    let total: u32 = owners.values().sum();
    let mut text = format!("{total} slots have had no reachable owner for {GRACE:?} or longer:");
    for (owner, slots) in owners.iter().take(NAMED) {
        let _infallible = write!(text, " {slots} of {owner},");
    }
    match owners.len().saturating_sub(NAMED) {
        0 => drop(text.pop()),
        more => {
            let _infallible = write!(text, " and of {more} more");
        }
    }
    text
}

#[cfg(test)]
mod tests;
