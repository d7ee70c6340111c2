//! Shows other programs in Redis who is in the cluster, who owns what, and which users are online. It is written and never read here: where Redis
//! is away or behind, nothing but this list is.
//!
//! The gateway with the lowest id in the view shows members and ring; every gateway shows its own sessions, those that come and go within
//! a second, and all of them again and again, so that what a gateway has shown that is killed goes by itself.

use std::sync::Arc;
use std::time::Duration;

use ringway_core::view::{Placement, View};
use ringway_core::{Incarnation, Slot, UserName};
use ringway_engine::Away;
use ringway_engine::redis::{Mirror, Online};
use ringway_hub::{ApiAnswer, ApiRequest, Sighting};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{debug, warn};
use uuid::Uuid;

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

/// Sessions that the task with the rules is asked for at a time: a turn of its stays short.
const PAGE: usize = 4_096;

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
        if now.view.first_gateway() != Some(now.me.incarnation) {
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

/// Id, and what it is.
fn members(view: &View) -> Vec<(String, String)> {
    let nodes = view.nodes.iter().map(|node| {
        let what = json!({
            "role": "node", "incarnation": node.incarnation.to_string(), "address": &*node.address, "weight": node.now.as_number(),
            "state": node.state().to_string(),
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
    let mut round = Round::all_at_once();
    let mut was_shown = true;
    loop {
        step.tick().await;
        let Ok(ApiAnswer::Sightings(sightings, is_whole)) = intake.call(ApiRequest::Sightings).await else { continue };
        if !is_whole {
            // Some were not noted.
            round = Round::all_at_once();
        }
        let written = async {
            show_changes(&mirror, &gateway, sightings).await?;
            round.go_on(&mirror, &gateway, &intake).await
        };
        let written = written.await;
        if let Err(why) = &written
            && was_shown
        {
            warn!(%why, "who is online is not shown in Redis for now");
        }
        was_shown = written.is_ok();
    }
}

async fn show_changes(mirror: &Mirror, gateway: &str, sightings: Vec<Sighting>) -> Result<(), Away> {
    let (came, gone): (Vec<Sighting>, Vec<Sighting>) = sightings.into_iter().partition(|sighting| sighting.came);
    let named = |seen: Vec<Sighting>| seen.into_iter().map(|one| online(&one.user, one.client)).collect::<Vec<_>>();
    mirror.online(gateway, &named(came)).await?;
    // Who came and went in one step has gone.
    mirror.offline(&named(gone)).await
}

fn online(user: &UserName, client: Uuid) -> Online {
    (user.to_string(), client.to_string())
}

/// How far all sessions are shown again.
#[derive(Debug)]
struct Round {
    /// Where the next ones are.
    place: u32,
    /// Sessions of one step.
    most: usize,
    /// Sessions that were shown.
    shown: usize,
}

impl Round {
    fn all_at_once() -> Self {
        Self { place: 0, most: usize::MAX, shown: 0 }
    }

    /// Shows those of one step.
    async fn go_on(&mut self, mirror: &Mirror, gateway: &str, intake: &Intake<Client>) -> Result<(), Away> {
        let mut left = self.most;
        while left > 0 {
            let request = ApiRequest::Online(self.place, left.min(PAGE));
            let Ok(ApiAnswer::Online(sessions, next)) = intake.call(request).await else { break };
            let sessions: Vec<Online> = sessions.iter().map(|(user, client)| online(user, *client)).collect();
            mirror.online(gateway, &sessions).await?;
            left -= sessions.len();
            self.shown += sessions.len();
            let Some(next) = next else {
                *self = Self { place: 0, most: (self.shown / ROUND).max(LEAST), shown: 0 };
                break;
            };
            self.place = next;
        }
        Ok(())
    }
}
