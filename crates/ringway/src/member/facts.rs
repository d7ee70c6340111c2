//! What the rest of the process is told: the newest view and what it means, loads, links, counters.

use std::collections::HashMap;
use std::sync::Arc;

use ringway_core::Incarnation;
use ringway_core::gateway::Gateway;
use ringway_core::timing::Now;
use ringway_core::view::Placement;

use tracing::{info, warn};

use super::{Stats, Task};
use crate::cluster::{ClusterState, Myself, Reach};

/// Kinds of channels that one line names; more are counted.
const TOLD: usize = 8;

impl Task {
    /// Publishes the state as it is.
    pub(super) fn publish_facts(&mut self, now: Now) {
        self.facts_changed = false;
        self.tell_overruled();
        let view = self.member.view().clone();
        let before = self.parts.seat.borrow().clone();
        let is_same = before.view.epoch == view.epoch && before.view.is_of_one_cluster_with(&view);
        let placement = if is_same {
            before.placement.clone()
        } else {
            let known = self.member.membership().placement().cloned();
            Arc::new(known.unwrap_or_else(|| Placement::of(&view, Some(&before.placement))))
        };
        let silent = self.parts.timing.silent();
        let reach = |peer: &Incarnation| match now > self.member.membership().last_heard(*peer) + silent {
            true => Reach::Silent,
            false => Reach::Up,
        };
        let links: HashMap<Incarnation, Reach> = self.mesh.peers.keys().map(|peer| (*peer, reach(peer))).collect();
        let me = Myself { id: self.parts.id.clone(), incarnation: self.me };
        let loads =
            self.mesh.loads.iter().filter(|(peer, _)| view.has(**peer)).map(|(peer, load)| (*peer, *load)).collect();
        let troubles = self.mesh.reach.troubles(&view);
        // First: whoever sees a view without this member knows then that it meant to leave.
        self.parts.stats.send_replace(self.stats(now));
        self.parts.seat.send_replace(Arc::new(ClusterState { view, placement, me, loads, links, troubles }));
    }

    /// Says where the config of this process does not count.
    fn tell_overruled(&mut self) {
        let Some(overruled) = self.member.front_mut().and_then(ringway_hub::Hub::take_overruled) else { return };
        if overruled.is_empty() {
            return info!("channels are kept as the config of this process says, like everywhere in the cluster");
        }
        let more = overruled.len().saturating_sub(TOLD);
        let mut what: Vec<String> = overruled.iter().take(TOLD).map(ToString::to_string).collect();
        what.extend((more > 0).then(|| format!("{more} more")));
        warn!(
            "the config of this process keeps channels otherwise than the first gateway's, which counts: {}. Give all gateways the same [channels] and [inbox], \
             the first one first, and start them again",
            what.join("; ")
        );
    }

    fn stats(&self, now: Now) -> Stats {
        let waiting = self.member.gateway().map_or(0, |gateway| gateway.publishes_waiting() as u64);
        Stats {
            hub: self.member.front().map(ringway_hub::Hub::counts),
            node: self.load(),
            acknowledged: self.member.gateway().map(Gateway::publishes_acknowledged).unwrap_or_default(),
            publishes_waiting: waiting,
            turned: now,
            registry_answered: self.member.membership().registry_answered(),
            leaving: self.exit.leaving.is_some() || self.exit.left.is_some(),
            expulsions: self.expulsions,
            orders: self.orders.counts(),
            bus_away: self.orders.handle.away(),
            toll: self.member.gateway().map(|gateway| gateway.toll().clone()),
        }
    }
}
