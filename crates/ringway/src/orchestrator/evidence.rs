//! An exit that the orchestrator saw is proof of death: carries it to the view at once.

use std::time::Duration;

use ringway_core::view::Removal;
use ringway_core::{Incarnation, MemberId};
use tracing::{info, warn};

use super::{Condition, Orchestrator, Units};
use crate::cluster::{ChangeError, ClusterHandle, ClusterState, Demand};

/// A removal that failed is tried again after this, or at the next change.
const RETRY: Duration = Duration::from_millis(100);

/// Members whose process is known to have ended and which the view still lists.
fn dead(units: &Units, state: &ClusterState) -> Vec<(MemberId, Incarnation)> {
    let ended = units.iter().filter(|(_, unit)| unit.condition == Condition::Ended);
    ended.filter_map(|(id, _)| Some((id.clone(), state.view.incarnation_of(id)?))).collect()
}

/// Proposes the removal of every dead member, again until it is out of the view. Runs until either side is gone.
pub async fn carry(orchestrator: Orchestrator, cluster: ClusterHandle) {
    let (mut units, mut state) = (orchestrator.watch(), cluster.watch());
    drop(orchestrator);
    loop {
        let found = dead(&units.borrow_and_update().clone(), &state.borrow_and_update().clone());
        for (id, incarnation) in &found {
            match cluster.change(Demand::Remove(*incarnation, Removal::Proven)).await {
                Ok(epoch) => info!(member = %id, %epoch, "a member whose process ended is out of the view"),
                // It left by itself, or somebody else saw its end first.
                Err(ChangeError::NotInView) => {}
                Err(why) => {
                    warn!(member = %id, %why, "a member whose process ended is not out of the view yet; trying again");
                }
            }
        }
        let again = async {
            if found.is_empty() {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(RETRY).await;
        };
        tokio::select! {
            changed = units.changed() => if changed.is_err() { return },
            changed = state.changed() => if changed.is_err() { return },
            () = again => {}
        }
    }
}
