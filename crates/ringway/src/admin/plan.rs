//! `POST /admin/plan`: what a change would come to. Nothing is changed.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use ringway_core::plan::{self, PlanError, Planned};
use ringway_core::ring::{SlotSet, Weight};
use ringway_core::view::NodeState;
use ringway_core::{MemberId, Slot};
use serde::{Deserialize, Serialize};

use super::error::read;
use super::weight::{draining, weight_of};
use super::{Admin, AdminError};
use crate::changes;
use crate::cluster::ClusterState;

/// How fast copies of history are taken to travel while the cluster serves: what one core copies and receives with room to spare.
const COPY_RATE: f64 = 50_000_000.0;

/// What is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    action: Kind,
    member: Option<String>,
    weight: Option<f64>,
}

/// A change that can be foretold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// One more node.
    Add,
    /// It hands over and leaves.
    Stop,
    /// kill -9.
    Kill,
    /// Another share of the slots.
    Weight,
}

impl Kind {
    /// The same as a receipt names it.
    fn done(self) -> changes::Occasion {
        match self {
            Self::Add => changes::Occasion::Add,
            Self::Stop => changes::Occasion::Stop,
            Self::Kill => changes::Occasion::Kill,
            Self::Weight => changes::Occasion::Weight,
        }
    }

    /// What a change takes with nothing to copy, until one was made here, as the demo showed it with three nodes on two cores: a process that starts and
    /// joins, a drain, an exit seen and taken over from, two writes of the view.
    fn base(self) -> Duration {
        Duration::from_millis(match self {
            Self::Add => 2_000,
            Self::Stop => 700,
            Self::Kill => 200,
            Self::Weight => 100,
        })
    }
}

/// What a change would come to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// What would be done.
    pub action: Kind,
    /// To which node; for `add` without one, the id it would get.
    pub member: String,
    /// Its weight afterwards; 0 if it is gone.
    pub weight: f64,
    /// Epoch of the view that this follows from.
    pub epoch: u64,
    /// Slots that would get another owner.
    pub slots: u32,
    /// Moves between two nodes of which neither is the member.
    pub bystander_moves: u32,
    /// Users with a session at the answering gateway whose inbox would move.
    pub users: u64,
    /// Names of the first hundred of them, sorted.
    pub user_names: Vec<String>,
    /// Every node of before and after.
    pub nodes: Vec<NodePlan>,
    /// The fullest node afterwards in relation to the mean, by weight; 1 is even.
    pub max_over_mean: f64,
    /// Who would receive most; null if nothing moves.
    pub busiest_heir: Option<Heir>,
    /// Roughly how long until everything has its place and its copies again.
    pub estimated_ms: u64,
}

/// A node before and after.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NodePlan {
    /// Which.
    pub id: String,
    /// Weight afterwards; 0 if it is gone.
    pub weight: f64,
    /// Slots it owns before.
    pub slots: u32,
    /// Slots it owns afterwards.
    pub slots_after: u32,
}

/// The node that would receive most.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Heir {
    /// Which.
    pub id: String,
    /// Slots it would receive.
    pub slots: u32,
    /// In relation to its fair share of what moves; 1 is fair.
    pub of_fair_share: f64,
}

pub(super) async fn foretell(State(admin): State<Admin>, body: Bytes) -> Result<Json<Plan>, AdminError> {
    let asked: Asked = read(
        &body,
        r#"{"action":"add"}, with "member" if it is started elsewhere, or "stop" or "kill" with "member", or "weight" with "member" and "weight""#,
    )?;
    let change = admin.change_asked(&asked).await?;
    let state = admin.cluster.state();
    let plan = plan::Plan::of(&state.view, &state.placement, &change).map_err(refused)?;
    let (users, user_names) = admin.users_in(&plan).await?;
    let usual = admin.changes.as_ref().and_then(|changes| changes.usual(asked.action.done()));
    let base = usual.unwrap_or_else(|| asked.action.base());
    let estimated_ms = (base + copying(&state, plan.copies)).as_millis() as u64;
    Ok(Json(Plan { users, user_names, estimated_ms, ..told(&state, asked.action, &plan) }))
}

fn refused(why: PlanError) -> AdminError {
    AdminError::conflict(format!("this cannot be done, so there is nothing to foretell: {why}"))
}

fn told(state: &ClusterState, action: Kind, plan: &plan::Plan) -> Plan {
    let node = |share: &plan::Share| NodePlan {
        id: share.id.to_string(),
        weight: share.weight.as_number(),
        slots: share.before,
        slots_after: share.after,
    };
    let weight = plan.shares.iter().find(|share| share.id == plan.subject).map_or(Weight::ZERO, |share| share.weight);
    Plan {
        action,
        member: plan.subject.to_string(),
        weight: weight.as_number(),
        epoch: state.view.epoch.0,
        slots: plan.moves.len() as u32,
        bystander_moves: plan.bystander_moves,
        users: 0,
        user_names: Vec::new(),
        nodes: plan.shares.iter().map(node).collect(),
        max_over_mean: plan.max_over_mean(),
        busiest_heir: plan.busiest_heir.as_ref().map(|heir| Heir {
            id: heir.id.to_string(),
            slots: heir.slots,
            of_fair_share: heir.of_fair,
        }),
        estimated_ms: 0,
    }
}

/// The time in which the copies travel that somebody must receive.
fn copying(state: &ClusterState, copies: u32) -> Duration {
    let held = state.loads.values().fold(0_u64, |all, load| all.saturating_add(load.history_bytes));
    let all_copies = f64::from(state.view.slots.get()) * f64::from(state.view.copies);
    Duration::from_secs_f64(held as f64 * f64::from(copies) / all_copies / COPY_RATE)
}

impl Admin {
    /// The change in the words of the rules.
    async fn change_asked(&self, asked: &Asked) -> Result<Planned, AdminError> {
        let bad = |text: &str| Err(AdminError::bad_request(text));
        let weight = asked.weight.map(weight_of).transpose()?;
        let node = match (asked.action, &asked.member) {
            (Kind::Add, member) => {
                let id = match member {
                    Some(id) => self.absent(id)?,
                    None => self.next_id().await?,
                };
                return Ok(Planned::Add(id, weight.unwrap_or(Weight::ONE)));
            }
            (_, None) => return bad("which node? Name it as \"member\""),
            (_, Some(id)) => self.node_in_view(id)?,
        };
        match (asked.action, weight) {
            (Kind::Weight, None) => bad("which weight? Give it as \"weight\"; 1 is the usual one"),
            (Kind::Weight, Some(_)) if node.state() == NodeState::Draining => Err(draining(&node.id)),
            (Kind::Weight, Some(weight)) => Ok(Planned::Weight(node.incarnation, weight)),
            (_, Some(_)) => bad("\"weight\" goes with the actions \"weight\" and \"add\" alone"),
            (Kind::Kill, None) => Ok(Planned::Kill(node.incarnation)),
            (Kind::Stop | Kind::Add, None) => Ok(Planned::Stop(node.incarnation)),
        }
    }

    /// An id that a node may have which is started elsewhere.
    fn absent(&self, id: &str) -> Result<MemberId, AdminError> {
        let name = MemberId::new(id).map_err(|why| AdminError::bad_request(format!("\"member\": {why}")))?;
        let view = &self.cluster.state().view;
        let taken = view.nodes.iter().any(|node| node.id == name) || view.gateways.iter().any(|one| one.id == name);
        if taken { Err(AdminError::conflict(format!("{name} is in the cluster already"))) } else { Ok(name) }
    }

    /// The id of the node that would be added.
    async fn next_id(&self) -> Result<MemberId, AdminError> {
        let orchestrator = self.orchestrator.as_ref().ok_or_else(|| {
            AdminError::conflict(
                "this process does not start nodes, so it does not know the next one's id: name it (\"member\")",
            )
        })?;
        Ok(orchestrator.next_id(self.ids(&self.cluster.state())).await?)
    }

    /// Users of this gateway whose inbox would move, and the names of some.
    pub(super) async fn users_in(&self, plan: &plan::Plan) -> Result<(u64, Vec<String>), AdminError> {
        let Some(intake) = &self.intake else { return Ok((0, Vec::new())) };
        let slots: Vec<Slot> = plan.moves.iter().map(|one| one.slot).collect();
        let Some((count, names)) = intake.users_in(SlotSet::of(slots)).await else {
            return Err(AdminError::unavailable(
                "this gateway has too much to do to look at its users; try again in a moment",
            ));
        };
        let mut names: Vec<String> = names.iter().map(ToString::to_string).collect();
        names.sort();
        Ok((count, names))
    }
}
