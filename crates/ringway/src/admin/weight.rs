//! `POST /admin/members/{id}/weight`: another share of the slots for a node.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use ringway_core::MemberId;
use ringway_core::ring::Weight;
use ringway_core::view::{NodeEntry, NodeState};
use serde::Deserialize;

use super::actions::{Done, VIEW_DEADLINE};
use super::error::read;
use super::members::unknown;
use super::rebalance::Wish;
use super::{Admin, AdminError};
use crate::changes::Occasion;
use crate::cluster::Demand;
use crate::rebalance::Mode;

/// What is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    weight: f64,
    mode: Option<Mode>,
    window: Option<String>,
}

pub(super) async fn set(
    State(admin): State<Admin>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<Done>, AdminError> {
    let node = admin.node_in_view(&id)?;
    let asked: Asked =
        read(&body, r#"{"weight":2}, and {"mode":"reset","window":"5s"} with it if you like; 1 is the usual weight"#)?;
    let weight = weight_of(asked.weight)?;
    let rebalance = admin.rebalance(&Wish { mode: asked.mode, window: asked.window })?;
    if node.state() == NodeState::Draining {
        return Err(draining(&node.id));
    }
    let intent = admin.intend(Occasion::Weight, &node.id, Some(weight), rebalance).await;
    let change = admin.begin(intent, &node.id).await;
    let epoch = match admin.cluster.change(Demand::Weight(node.incarnation, weight)).await {
        Ok(epoch) => epoch,
        Err(why) => {
            admin.take_back(change).await;
            return Err(why.into());
        }
    };
    // The change is written; the answer shows it, unless this process is slow to say so.
    admin.cluster.wait_until(VIEW_DEADLINE, |state| state.view.epoch >= epoch).await;
    Ok(Json(Done { action: "weight", member: admin.member_or_unknown(&node.id)?, change }))
}

/// A node's weight as people write it. Nothing is no weight: leaving is another action.
pub(super) fn weight_of(number: f64) -> Result<Weight, AdminError> {
    let weight = Weight::from_number(number).map_err(|why| AdminError::bad_request(why.to_string()))?;
    if weight.is_zero() {
        let why = "a node without weight would own nothing: stop it instead, then it hands over and leaves";
        return Err(AdminError::bad_request(why));
    }
    Ok(weight)
}

pub(super) fn draining(id: &MemberId) -> AdminError {
    AdminError::conflict(format!("{id} is draining and will leave; start it again when it is down"))
}

impl Admin {
    /// The node of this id in the newest view.
    pub(super) fn node_in_view(&self, id: &str) -> Result<NodeEntry, AdminError> {
        let state = self.cluster.state();
        let name = MemberId::new(id).map_err(|_| unknown(id))?;
        if let Some(node) = state.view.nodes.iter().find(|node| node.id == name) {
            return Ok(node.clone());
        }
        Err(match state.view.gateways.iter().any(|gateway| gateway.id == name) {
            true => AdminError::conflict(format!("{name} is a gateway: only nodes own slots and have a weight")),
            false if self.ids(&state).contains(&name) => {
                AdminError::conflict(format!("{name} is not in the cluster now: start it, or wait until it has joined"))
            }
            false => unknown(id),
        })
    }
}
