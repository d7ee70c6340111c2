//! Shows other programs in Redis who is in the cluster, who owns what, and which users are online. It is written and never read here: where Redis
//! is away or behind, nothing but this list is.
//!
//! The gateway with the lowest id in the view shows members and ring; every gateway shows its own sessions, those that come and go within
//! a second, and all of them again and again, so that what a gateway has shown that is killed goes by itself.

use std::sync::Arc;
use std::time::Duration;

use ringway_core::view::{Placement, View};
use ringway_core::{Incarnation, Slot};
use ringway_engine::redis::{Mirror, Online};
use ringway_hub::{ApiAnswer, ApiRequest, Sighting};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{debug, warn};

use crate::cluster::{ClusterHandle, ClusterState};
use crate::gateway::{Client, Intake};

/// A session that no gateway has shown for this long is not shown any more.
pub const LIFETIME: Duration = Duration::from_secs(60);

/// How often changes are shown.
const STEP: Duration = Duration::from_secs(1);

/// In how many steps all sessions are shown again: three times before they would go.
const ROUND: usize = 20;

/// Sessions of one step at least.
const LEAST: usize = 500;

/// Shows what there is until the process ends.
pub fn show(mirror: Mirror, cluster: &ClusterHandle, intake: Option<Arc<Intake<Client>>>) {
    tokio::spawn(show_cluster(mirror.clone(), cluster.watch()));
    if let Some(intake) = intake {
        tokio::spawn(show_sessions(mirror, cluster.state().me.id.to_string(), intake));
    }
}

/// Members and ring, whenever the view is another one.
async fn show_cluster(mirror: Mirror, mut state: watch::Receiver<Arc<ClusterState>>) {
    let mut ring: Vec<String> = Vec::new();
    let mut shown: Option<Arc<View>> = None;
    loop {
        let now = state.borrow_and_update().clone();
        if !is_first(&now) {
            (ring, shown) = (Vec::new(), None);
        } else if shown.as_ref() != Some(&now.view) {
            let owners = owners(&now.view, &now.placement);
            let changed: Vec<(u32, String)> = (0..)
                .zip(&owners)
                .filter(|(slot, owner)| ring.get(*slot as usize) != Some(owner))
                .map(|(slot, owner)| (slot, owner.clone()))
                .collect();
            let written = async {
                mirror.members(&members(&now.view)).await?;
                mirror.ring(&changed).await
            };
            match written.await {
                Ok(()) => (ring, shown) = (owners, Some(now.view.clone())),
                Err(why) => {
                    debug!(%why, "members and ring are not shown in Redis; trying again");
                    tokio::time::sleep(STEP).await;
                    continue;
                }
            }
        }
        if state.changed().await.is_err() {
            return;
        }
    }
}

fn is_first(state: &ClusterState) -> bool {
    let first = state.view.gateways.iter().min_by(|a, b| a.id.cmp(&b.id));
    first.is_some_and(|first| first.incarnation == state.me.incarnation)
}

/// Id, and what it is.
fn members(view: &View) -> Vec<(String, String)> {
    let nodes = view.nodes.iter().map(|node| {
        let what = json!({
            "role": "node", "incarnation": node.incarnation.to_string(), "address": &*node.address, "weight": node.now.as_number(),
            "state": format!("{:?}", node.state()).to_lowercase(),
        });
        (node.id.to_string(), what.to_string())
    });
    let gateways = view.gateways.iter().map(|gateway| {
        let what =
            json!({ "role": "gateway", "incarnation": gateway.incarnation.to_string(), "address": &*gateway.address });
        (gateway.id.to_string(), what.to_string())
    });
    gateways.chain(nodes).collect()
}

/// For each slot its owner and its standby.
fn owners(view: &View, placement: &Placement) -> Vec<String> {
    let name = |node: Incarnation| view.id_of(node).map_or_else(String::new, ToString::to_string);
    let of = |slot: Slot| {
        let owner = placement.owner(slot).map_or_else(String::new, name);
        match placement.standby(slot) {
            Some(standby) => format!("{owner} {}", name(standby)),
            None => owner,
        }
    };
    view.slots.slots().map(of).collect()
}

/// The sessions of this gateway.
async fn show_sessions(mirror: Mirror, gateway: String, intake: Arc<Intake<Client>>) {
    let mut step = interval(STEP);
    step.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut place, mut most, mut seen) = (0, usize::MAX, 0);
    let mut was_shown = true;
    loop {
        step.tick().await;
        let Ok(ApiAnswer::Sightings(sightings, is_whole)) = intake.call(ApiRequest::Sightings).await else { continue };
        if !is_whole {
            // Some were not noted: all are shown at once.
            (place, most) = (0, usize::MAX);
        }
        let Ok(ApiAnswer::Online(sessions, next)) = intake.call(ApiRequest::Online(place, most)).await else {
            continue;
        };
        seen += sessions.len();
        (place, most) = match next {
            Some(next) => (next, most),
            None => (0, (std::mem::take(&mut seen) / ROUND).max(LEAST)),
        };
        let sessions = sessions.into_iter().map(|(user, client)| (user.to_string(), client.to_string())).collect();
        let written = changed(&mirror, &gateway, sightings, sessions).await;
        if let Err(why) = &written
            && was_shown
        {
            warn!(%why, "who is online is not shown in Redis for now");
        }
        was_shown = written.is_ok();
    }
}

async fn changed(
    mirror: &Mirror,
    gateway: &str,
    sightings: Vec<Sighting>,
    mut sessions: Vec<Online>,
) -> Result<(), ringway_engine::Away> {
    let (came, gone): (Vec<Sighting>, Vec<Sighting>) = sightings.into_iter().partition(|sighting| sighting.came);
    let named = |sighting: Sighting| (sighting.user.to_string(), sighting.client.to_string());
    let gone: Vec<Online> = gone.into_iter().map(named).collect();
    sessions.extend(came.into_iter().map(named));
    mirror.online(gateway, &sessions).await?;
    // Who came and went in one step has gone.
    mirror.offline(&gone).await
}
