//! An exit that the orchestrator saw is proof of death: carries it to the view at once. So is what an orchestrator finds when it begins:
//! members that it, or one before it, had started on this machine, and that nobody listens for any more.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use ringway_core::view::Removal;
use ringway_core::{Incarnation, MemberId};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tracing::{info, warn};

use super::{Condition, Orchestrator, Units};
use crate::cluster::{ChangeError, ClusterHandle, ClusterState, Demand};

/// A removal that failed is tried again after this, or at the next change.
const RETRY: Duration = Duration::from_millis(100);

/// This machine refuses a connection at once where nobody listens. Whoever does not answer within this is no proof.
const ANSWER: Duration = Duration::from_millis(500);

/// Children end some milliseconds after the process that had started them; a busy machine takes longer.
const ENDING: Duration = Duration::from_secs(2);

/// Members whose process is known to have ended and which the view still lists.
fn dead(units: &Units, state: &ClusterState) -> Vec<(MemberId, Incarnation)> {
    let ended = units.iter().filter(|(_, unit)| unit.condition == Condition::Ended);
    ended.filter_map(|(id, _)| Some((id.clone(), state.view.incarnation_of(id)?))).collect()
}

/// Proposes the removal of the members that a registry outside still lists from before: all of a demo's processes end with it, and nobody
/// was left to tell. They listened on the loopback address of this machine for as long as they lived, so where that refuses a
/// connection they are over. Call it before anything is started.
pub async fn end_former_lives(cluster: &ClusterHandle) {
    let end = Instant::now() + ENDING;
    loop {
        let view = cluster.state().view.clone();
        let mut is_any_left = false;
        for (id, incarnation, address) in view.members().filter_map(|(id, life, at)| Some((id, life, loopback(at)?))) {
            match is_refused(address).await {
                true => remove_former(cluster, id, incarnation).await,
                false => is_any_left = true,
            }
        }
        // Whoever still answers may be another demo's, or a process that is just ending.
        if !is_any_left || Instant::now() >= end {
            return;
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn remove_former(cluster: &ClusterHandle, id: &MemberId, incarnation: Incarnation) {
    match cluster.change(Demand::Remove(incarnation, Removal::Proven)).await {
        Ok(epoch) => info!(member = %id, %epoch, "a member of before, whose process ended, is out of the view"),
        Err(ChangeError::NotInView) => {}
        // Its lease lapses, which takes longer.
        Err(why) => warn!(member = %id, %why, "a member of before, whose process ended, is still in the view"),
    }
}

fn loopback(address: &str) -> Option<SocketAddr> {
    address.parse().ok().filter(|address: &SocketAddr| address.ip().is_loopback())
}

/// This machine itself says that nobody listens at this address of its own.
async fn is_refused(address: SocketAddr) -> bool {
    let dialed = tokio::time::timeout(ANSWER, TcpStream::connect(address)).await;
    matches!(dialed, Ok(Err(why)) if why.kind() == ErrorKind::ConnectionRefused)
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
