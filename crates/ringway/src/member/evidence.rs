//! Evidence of death: a link that ended, and a host that then refuses a connection to where the member listened.

use std::time::Duration;

use ringway_core::Incarnation;
use ringway_core::timing::Now;
use ringway_core::view::Removal;
use ringway_link::{Evidence, Identity, Target};
use tracing::warn;

use super::Task;

/// How long one probe may take. On a host that is up a refusal takes less than a millisecond.
const PROBE: Duration = Duration::from_millis(300);

/// Pause between probes: short, for a refusal is what proves a death.
const PAUSE: Duration = Duration::from_millis(20);

/// Probes after one broken link. After that silence decides.
const PROBES: u32 = 50;

impl Task {
    /// Probes where the member listened, until it is refused, somebody answers, or silence decides.
    pub(super) fn look_for_evidence(&self, identity: &Identity) {
        let peer = identity.incarnation;
        if !self.rules.view().has(peer) || self.left.is_some() {
            return;
        }
        let (links, proofs) = (self.parts.links.clone(), self.evidence.clone());
        let target = Target::member(identity.address.clone(), identity.id.clone(), peer);
        tokio::spawn(async move {
            for _ in 0..PROBES {
                match links.probe(&target, PROBE).await {
                    Evidence::Refused => {
                        // The task may have ended; then nobody needs the proof.
                        let _ = proofs.send(peer).await;
                        return;
                    }
                    Evidence::Answered(_) => return,
                    Evidence::Unknown(_) => tokio::time::sleep(PAUSE).await,
                }
            }
        });
    }

    /// A probe was refused. It counts only while there is no link: the member may have come back meanwhile.
    pub(super) fn on_proof(&mut self, now: Now, dead: Incarnation) {
        if !self.peers.contains_key(&dead) && self.rules.view().has(dead) {
            warn!(incarnation = %dead, "its link ended and its host refuses a new one: the member is dead");
            self.rules.evidence(now, dead, Removal::Suspected);
        }
        self.turn(now);
    }

    /// A dial was refused. For a member of the view that was linked before, that is evidence too.
    pub(super) fn on_refused(&mut self, now: Now, target: &Target) {
        if let Some(peer) = target.incarnation()
            && !self.peers.contains_key(&peer)
            && self.rules.view().has(peer)
        {
            self.rules.evidence(now, peer, Removal::Suspected);
        }
    }
}
