//! `GET /admin/changes`: what every change came to. And what an action does to have a receipt: it says beforehand what is about
//! to be done and what is foretold of it.

use axum::Json;
use axum::extract::State;
use ringway_core::ring::Weight;
use ringway_core::timing::Now;
use ringway_core::{MemberId, plan};
use serde::Serialize;

use super::{Admin, AdminError};
use crate::changes::{Intended, Occasion, Predicted, Receipt};
use crate::orchestrator::Kind;
use crate::rebalance::{Mode, Rebalance};

/// The answer.
#[derive(Debug, Serialize)]
pub(super) struct Kept {
    changes: Vec<Receipt>,
}

pub(super) async fn list(State(admin): State<Admin>) -> Result<Json<Kept>, AdminError> {
    let Some(changes) = &admin.changes else {
        let address = admin.elsewhere.as_deref().map_or_else(String::new, |address| format!(" at http://{address}"));
        return Err(AdminError::conflict(format!(
            "receipts are kept by the cluster's first gateway, which hears from all the others; ask there{address}"
        )));
    };
    Ok(Json(Kept { changes: changes.kept().to_vec() }))
}

/// A change that is about to be made.
#[derive(Debug, Clone)]
pub(super) struct Intent {
    pub(super) at: Now,
    pub(super) action: Occasion,
    pub(super) weight: Option<Weight>,
    pub(super) rebalance: Option<Rebalance>,
    predicted: Option<Predicted>,
}

impl Admin {
    /// Foretells a change, as things are now.
    pub(super) async fn intend(
        &self,
        action: Occasion,
        id: &MemberId,
        weight: Option<Weight>,
        rebalance: Option<Rebalance>,
    ) -> Intent {
        let predicted = match &self.changes {
            Some(changes) => {
                self.predict(action, id, weight, rebalance.unwrap_or(changes.usual_rebalance()).mode).await
            }
            None => None,
        };
        Intent { at: crate::clock::now(), action, weight, rebalance, predicted }
    }

    /// Opens the receipt of a change. `None` where none are kept.
    pub(super) async fn begin(&self, intent: Intent, id: &MemberId) -> Option<u64> {
        let Intent { at, action, weight, rebalance, predicted } = intent;
        self.changes.as_ref()?.begin(Intended { at, action, member: id.clone(), rebalance, weight, predicted }).await
    }

    /// The change was refused: nothing has happened.
    pub(super) async fn take_back(&self, number: Option<u64>) {
        if let (Some(changes), Some(number)) = (&self.changes, number) {
            changes.refused(number).await;
        }
    }

    async fn predict(&self, action: Occasion, id: &MemberId, weight: Option<Weight>, mode: Mode) -> Option<Predicted> {
        let state = self.cluster.state();
        let load = |incarnation| state.loads.get(&incarnation).copied().unwrap_or_default();
        let gateway = state.view.gateways.iter().find(|gateway| gateway.id == *id);
        let ends = matches!(action, Occasion::Stop | Occasion::Kill);
        let sockets_closed = gateway.filter(|_| ends).map_or(0, |gateway| load(gateway.incarnation).sockets);
        let nothing = Predicted { users: Some(0), sockets_closed: Some(sockets_closed), ..Predicted::default() };
        let Some(change) = self.as_rules_say(action, id, weight) else { return Some(nothing) };
        let plan = plan::Plan::of(&state.view, &state.placement, &change).ok()?;
        let users = self.users_in(&plan).await.ok().map(|(count, _)| count);
        let (slots, bystander_moves) = (plan.moves.len() as u32, plan.bystander_moves);
        let sockets_closed = match mode {
            Mode::ResetAll if slots > 0 => {
                Some(state.loads.values().fold(0, |all: u64, load| all.saturating_add(load.sockets)))
            }
            Mode::Reset if slots > 0 => None,
            _ => Some(sockets_closed),
        };
        Some(Predicted { slots, bystander_moves, users, sockets_closed })
    }

    /// The change in the words of the rules; `None` if no slots move with it.
    fn as_rules_say(&self, action: Occasion, id: &MemberId, weight: Option<Weight>) -> Option<plan::Planned> {
        let state = self.cluster.state();
        let node = state.view.nodes.iter().find(|node| node.id == *id).map(|node| node.incarnation);
        match (action, node) {
            // A freeze ends as a kill does, only later.
            (Occasion::Kill | Occasion::Freeze, Some(node)) => Some(plan::Planned::Kill(node)),
            (Occasion::Stop, Some(node)) => Some(plan::Planned::Stop(node)),
            (Occasion::Weight, Some(node)) => Some(plan::Planned::Weight(node, weight?)),
            (Occasion::Add | Occasion::Start | Occasion::Thaw, None) if self.starts_as_node(id) => {
                Some(plan::Planned::Add(id.clone(), self.usual_weight))
            }
            _ => None,
        }
    }

    /// What is not known here is a node that is about to be added.
    fn starts_as_node(&self, id: &MemberId) -> bool {
        let units = self.orchestrator.as_ref().map(crate::orchestrator::Orchestrator::units);
        units.and_then(|units| units.get(id).map(|unit| unit.kind)).is_none_or(|kind| kind == Kind::Node)
    }
}
