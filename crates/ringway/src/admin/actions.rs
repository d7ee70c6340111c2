//! `POST /admin/members…`: starting nodes and doing things to them.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use ringway_core::MemberId;
use serde::Serialize;

use super::members::{Member, unknown};
use super::rebalance::Wish;
use super::{Admin, AdminError};
use crate::changes;
use crate::orchestrator::{Condition, Operation, Orchestrator};
use crate::rebalance::Rebalance;

/// A member whose process has ended is out of the view within milliseconds; this much is allowed for a registry that is slow.
const LEFT_DEADLINE: Duration = Duration::from_secs(5);

/// A view that is written is known here within milliseconds.
pub(super) const VIEW_DEADLINE: Duration = Duration::from_secs(1);

/// The answer: what was done, the member as it is now, and the number of the receipt.
#[derive(Debug, Serialize)]
pub(super) struct Done {
    pub(super) action: &'static str,
    pub(super) member: Member,
    /// Null where no receipts are kept.
    pub(super) change: Option<u64>,
}

pub(super) async fn add(State(admin): State<Admin>, body: Bytes) -> Result<Json<Done>, AdminError> {
    let orchestrator = admin.orchestrator.as_ref().ok_or_else(|| {
        AdminError::conflict(
            "this process does not start nodes, so it cannot add one: only `ringway demo` does. Start a node with `ringway node --join ADDR`, where ADDR is this cluster's link address",
        )
    })?;
    let rebalance = admin.rebalance(&Wish::read(&body)?)?;
    let taken = admin.ids(&admin.cluster.state());
    let expected = orchestrator.next_id(taken.clone()).await?;
    let intent = admin.intend(changes::Occasion::Add, &expected, None, rebalance).await;
    let id = orchestrator.add(taken).await?;
    // Its name is known only now. A process needs longer to join than this needs to be noted.
    let change = admin.begin(intent, &id).await;
    Ok(Json(Done { action: "add", member: admin.member_or_unknown(&id)?, change }))
}

pub(super) async fn act(
    State(admin): State<Admin>,
    Path((id, action)): Path<(String, String)>,
    body: Bytes,
) -> Result<Json<Done>, AdminError> {
    let Some((name, action)) = Operation::ALL.into_iter().find(|(name, _)| *name == action) else {
        let names = Operation::ALL.map(|(name, _)| name).join(", ");
        return Err(AdminError::not_found(format!("there is no action {action:?}; there are: {names}")));
    };
    let known = MemberId::new(&id).ok().and_then(|id| Some((admin.member(&admin.cluster.state(), &id)?, id)));
    let (before, id) = known.ok_or_else(|| unknown(&id))?;
    let rebalance = admin.rebalance_with(&Wish::read(&body)?, name, &before)?;
    let (member, change) = match (&admin.orchestrator, action) {
        _ if admin.cluster.state().me.id == id => Err(about_itself(&admin, &id)),
        (Some(orchestrator), _) if orchestrator.units().contains_key(&id) => {
            admin.act_on_unit(orchestrator, &id, action, rebalance).await
        }
        (_, Operation::Remove) => admin.forget_stranger(&id, before).map(|member| (member, None)),
        _ => Err(AdminError::conflict(format!(
            "{id} was not started by this process, so it can neither be signalled nor started from here: do it where it runs (SIGTERM drains it)"
        ))),
    }?;
    Ok(Json(Done { action: name, member, change }))
}

/// The action as a receipt names it.
fn named(action: Operation) -> changes::Occasion {
    match action {
        Operation::Stop => changes::Occasion::Stop,
        Operation::Start => changes::Occasion::Start,
        Operation::Kill => changes::Occasion::Kill,
        Operation::Freeze => changes::Occasion::Freeze,
        Operation::Thaw => changes::Occasion::Thaw,
        Operation::Remove => changes::Occasion::Remove,
    }
}

fn about_itself(admin: &Admin, id: &MemberId) -> AdminError {
    let why = match admin.orchestrator {
        Some(_) => {
            "it starts and stops the others and keeps the list of members, so it does nothing to itself: end it with Ctrl-C where it runs"
        }
        None => "it is the process that you are asking: send it SIGTERM where it runs",
    };
    AdminError::conflict(format!("{id} is not acted upon from here: {why}"))
}

impl Admin {
    async fn act_on_unit(
        &self,
        orchestrator: &Orchestrator,
        id: &MemberId,
        action: Operation,
        rebalance: Option<Rebalance>,
    ) -> Result<(Member, Option<u64>), AdminError> {
        let ended = orchestrator.units().get(id).is_some_and(|unit| unit.condition == Condition::Ended);
        // A newcomer whose id is still listed would have to wait, and a forgotten one would still be listed.
        if ended && matches!(action, Operation::Start | Operation::Remove) {
            self.wait_until_left(id).await?;
        }
        let before = self.member_or_unknown(id)?;
        let intent = self.intend(named(action), id, None, rebalance).await;
        let change = self.begin(intent, id).await;
        if let Err(why) = orchestrator.act(id, action).await {
            self.take_back(change).await;
            return Err(why.into());
        }
        if action == Operation::Remove {
            self.memory.forget(id);
            return Ok((before, change));
        }
        Ok((self.member_or_unknown(id)?, change))
    }

    async fn wait_until_left(&self, id: &MemberId) -> Result<(), AdminError> {
        let left = self.cluster.wait_until(LEFT_DEADLINE, |state| state.view.incarnation_of(id).is_none()).await;
        let waiting = || {
            AdminError::conflict(format!(
                "{id} has no process any more and is still in the view: its removal is not through yet. Try again in a moment"
            ))
        };
        left.then_some(()).ok_or_else(waiting)
    }

    /// A member that was started elsewhere can be forgotten once it is gone.
    fn forget_stranger(&self, id: &MemberId, before: Member) -> Result<Member, AdminError> {
        if self.cluster.state().view.incarnation_of(id).is_some() {
            return Err(AdminError::conflict(format!(
                "{id} is still in the cluster: only a member that is down can be removed; stop it where it runs first"
            )));
        }
        self.memory.forget(id);
        Ok(before)
    }
}
