//! `GET /admin/members`: the view, the orchestrator's processes and what is remembered, as one list.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract;
use ringway_core::view::{GatewayEntry, NodeEntry, NodeState};
use ringway_core::{Incarnation, MemberId};
use serde::Serialize;

use super::memory::Memory;
use super::{Admin, AdminError};
use crate::cluster::{ClusterState, Reach};
use crate::orchestrator::{Condition, Kind, Unit};

/// A member as the admin API shows it. Numbers are never null: what is not known is 0.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Member {
    /// Stable name.
    pub id: MemberName,
    /// `gateway`, `node`, or both.
    pub roles: Vec<&'static str>,
    /// What it is doing.
    pub state: State,
    /// Share of the slots in relation to other nodes; 0 for a gateway.
    pub weight: f64,
    /// Slots it owns.
    pub slots: u32,
    /// Of these, the ones that are still being taken over or copied to where they should be; 0 when it is settled.
    pub unsettled: u64,
    /// Users that are connected somewhere and whose inbox it owns.
    pub users: u64,
    /// Client sockets it holds.
    pub sockets: u64,
    /// Its process on this machine; 0 if it has none, or was not started here.
    pub pid: u32,
    /// `host:port`: where clients reach a gateway, where members reach a node.
    pub address: String,
    /// It is the process that starts and stops the others.
    pub orchestrator: bool,
}

/// A member's id as text. Ordered as people count: `node-2` before `node-10`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(into = "String")]
pub struct MemberName {
    word: String,
    number: Option<u64>,
    whole: String,
}

impl MemberName {
    fn new(id: &MemberId) -> Self {
        let whole = id.as_str();
        let word = whole.trim_end_matches(|c: char| c.is_ascii_digit());
        Self { word: word.to_owned(), number: whole[word.len()..].parse().ok(), whole: whole.to_owned() }
    }
}

impl From<MemberName> for String {
    fn from(name: MemberName) -> Self {
        name.whole
    }
}

/// What a member is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Being started, or in the view and being filled.
    Joining,
    /// Does its work.
    Active,
    /// Hands over and will leave, or rest.
    Draining,
    /// Owns nothing until it is given a weight.
    Resting,
    /// In the view, and silent, frozen or known to be dead.
    Suspect,
    /// Not in the view.
    Down,
}

/// The answer of `GET /admin/members`.
#[derive(Debug, Serialize)]
pub(super) struct Members {
    epoch: u64,
    members: Vec<Member>,
}

pub(super) async fn list(extract::State(admin): extract::State<Admin>) -> Json<Members> {
    let state = admin.cluster.state();
    let mut members: Vec<Member> = admin.ids(&state).iter().filter_map(|id| admin.member(&state, id)).collect();
    members.sort_by(|a, b| a.id.cmp(&b.id));
    Json(Members { epoch: state.view.epoch.0, members })
}

impl Admin {
    /// Every id that means something here: in the view, started here, or remembered.
    pub(super) fn ids(&self, state: &ClusterState) -> BTreeSet<MemberId> {
        let nodes = state.view.nodes.iter().map(|node| node.id.clone());
        let gateways = state.view.gateways.iter().map(|gateway| gateway.id.clone());
        let units =
            self.orchestrator.iter().flat_map(|orchestrator| orchestrator.units().keys().cloned().collect::<Vec<_>>());
        nodes.chain(gateways).chain(units).chain(self.memory.ids()).collect()
    }

    /// One member as it is now.
    pub(super) fn member(&self, state: &ClusterState, id: &MemberId) -> Option<Member> {
        let unit = self.orchestrator.as_ref().and_then(|orchestrator| orchestrator.units().get(id).cloned());
        let node = state.view.nodes.iter().find(|node| node.id == *id);
        let gateway = state.view.gateways.iter().find(|gateway| gateway.id == *id);
        if node.is_none() && gateway.is_none() {
            return absent(&self.memory, id, unit.as_ref());
        }
        let mine = *id == state.me.id;
        let member = present(state, id, node, gateway);
        Some(Member {
            state: state_of(state, node, gateway, unit.as_ref()),
            pid: if mine { std::process::id() } else { unit.map_or(0, |unit| unit.pid) },
            orchestrator: match &self.elsewhere {
                Some(address) => member.address == **address,
                None => mine && self.orchestrator.is_some(),
            },
            ..member
        })
    }

    /// The same, where the member was just acted upon.
    pub(super) fn member_or_unknown(&self, id: &MemberId) -> Result<Member, AdminError> {
        self.member(&self.cluster.state(), id).ok_or_else(|| unknown(id.as_str()))
    }
}

pub(super) fn unknown(id: &str) -> AdminError {
    AdminError::not_found(format!(
        "there is no member {id}: it is not in the cluster and was not started here; GET /admin/members lists those there are"
    ))
}

/// Numbers and names of a member that the view lists.
fn present(state: &ClusterState, id: &MemberId, node: Option<&NodeEntry>, gateway: Option<&GatewayEntry>) -> Member {
    let load = |incarnation: Incarnation| state.loads.get(&incarnation).copied().unwrap_or_default();
    let table = state.placement.table();
    let weight = node.map_or(0.0, |node| if node.next.is_zero() { node.now } else { node.next }.as_number());
    let address = gateway.map_or_else(|| node.map(|node| &node.address), |gateway| Some(&gateway.address));
    Member {
        id: MemberName::new(id),
        roles: roles(gateway.is_some(), node.is_some()),
        state: State::Active,
        weight,
        slots: node.and_then(|_| table.index_of(id)).map_or(0, |index| table.slots_owned(index)),
        unsettled: node.map_or(0, |node| load(node.incarnation).unsettled),
        users: node.map_or(0, |node| load(node.incarnation).users),
        sockets: gateway.map_or(0, |gateway| load(gateway.incarnation).sockets),
        pid: 0,
        address: address.map(ToString::to_string).unwrap_or_default(),
        orchestrator: false,
    }
}

fn roles(gateway: bool, node: bool) -> Vec<&'static str> {
    [(gateway, "gateway"), (node, "node")].into_iter().filter(|(has, _)| *has).map(|(_, role)| role).collect()
}

/// What a member was started as that has never been in the view.
fn started_roles(unit: Option<&Unit>) -> Vec<&'static str> {
    let is_gateway = unit.is_some_and(|unit| matches!(unit.kind, Kind::Gateway { .. }));
    roles(is_gateway, !is_gateway)
}

/// What a member of the view is doing. What the orchestrator knows of its process comes before what the links say.
fn state_of(
    state: &ClusterState,
    node: Option<&NodeEntry>,
    gateway: Option<&GatewayEntry>,
    unit: Option<&Unit>,
) -> State {
    let condition = unit.map(|unit| unit.condition);
    let incarnation = node.map(|node| node.incarnation).or(gateway.map(|gateway| gateway.incarnation));
    // Gateways have no links among themselves, but to the registry's: there the view's word counts.
    let heard = |reach| reach == Reach::Up || (node.is_none() && reach == Reach::Down);
    let reached = incarnation.is_some_and(|incarnation| heard(state.reach(incarnation)));
    let by_view = node.map(NodeEntry::state);
    match (condition, by_view) {
        (Some(Condition::Ended | Condition::Frozen), _) => State::Suspect,
        // It is in the view before the links to it are made.
        (_, Some(NodeState::Joining)) => State::Joining,
        _ if !reached => State::Suspect,
        (Some(Condition::Stopping), _) | (_, Some(NodeState::Draining)) => State::Draining,
        _ if gateway.is_some_and(|gateway| gateway.draining) => State::Draining,
        (_, Some(NodeState::Resting)) => State::Resting,
        _ => State::Active,
    }
}

/// A member that the view does not list: started here, or remembered.
fn absent(memory: &Memory, id: &MemberId, unit: Option<&Unit>) -> Option<Member> {
    let remembered = memory.get(id);
    if remembered.is_none() && unit.is_none() {
        return None;
    }
    let state = match unit.map(|unit| unit.condition) {
        Some(Condition::Running) => State::Joining,
        Some(Condition::Stopping) => State::Draining,
        Some(Condition::Frozen | Condition::Ended) | None => State::Down,
    };
    let remembered = remembered.unwrap_or_default();
    Some(Member {
        id: MemberName::new(id),
        roles: if remembered.roles.is_empty() { started_roles(unit) } else { remembered.roles },
        state,
        weight: remembered.weight,
        slots: 0,
        unsettled: 0,
        users: 0,
        sockets: 0,
        pid: unit.map_or(0, |unit| unit.pid),
        address: remembered.address,
        orchestrator: false,
    })
}
