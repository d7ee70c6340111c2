//! Evidence of death: a link that ended, and a host that then refuses a connection to where the member listened, or
//! where its next incarnation answers.

use std::sync::Arc;
use std::time::Duration;

use ringway_core::timing::Now;
use ringway_core::view::{Removal, View};
use ringway_core::{Incarnation, MemberId};
use ringway_link::{DialError, Evidence, Identity, Target};
use tracing::warn;

use super::Task;

/// How long one probe may take. On a host that is up a refusal takes less than a millisecond.
const PROBE: Duration = Duration::from_millis(300);

/// Pause between probes: short, for a refusal is what proves a death.
const PAUSE: Duration = Duration::from_millis(20);

/// Probes after one broken link. After that silence decides.
const PROBES: u32 = 50;

/// What was found out beside the links.
#[derive(Debug)]
pub(super) enum Finding {
    /// A member is dead.
    Death(Proof),
    /// A member was dialed back: it was reached, or why not.
    DialedBack { peer: Incarnation, why: Option<Arc<str>> },
}

/// What a probe found out about a member whose link ended.
#[derive(Debug)]
pub(super) struct Proof {
    dead: Incarnation,
    how: Removal,
}

impl Proof {
    /// Nothing listens there any more, on its own host. It may have moved, so this is a suspicion.
    fn refused(dead: Incarnation) -> Self {
        Self { dead, how: Removal::Suspected }
    }

    /// Who answered in place of the one that was dialed. The same id under another incarnation is its successor: the
    /// process itself says, under the join secret, that its former life is over.
    fn answered(target: &Target, answered: &Identity) -> Option<Self> {
        let (id, dead) = target.member.as_ref()?;
        let successor = answered.id == *id && answered.incarnation != *dead;
        successor.then_some(Self { dead: *dead, how: Removal::Proven })
    }
}

impl Task {
    /// The link of a member ended: is it dead?
    pub(super) fn look_for_evidence(&self, identity: &Identity) {
        if self.member.view().has(identity.incarnation) {
            self.probe(Target::member(identity.address.clone(), identity.id.clone(), identity.incarnation));
        }
    }

    /// Looks after members that the view lists and that are not linked. One may have come into the view after its process
    /// had given that life up: nobody would ever hear of it again. Gateways are linked with nodes and with the keeper, so these
    /// look after them.
    pub(super) fn look_after(&self, view: &View) {
        let looks_after_gateways = self.member.node().is_some() || self.is_keeper();
        let is_mine = |id: &MemberId| *id == self.parts.id;
        for (id, incarnation, address) in view.members() {
            let is_due = looks_after_gateways || view.node(incarnation).is_some();
            if is_due && !is_mine(id) && !self.mesh.peers.contains_key(&incarnation) {
                self.probe(Target::member(address.clone(), id.clone(), incarnation));
            }
        }
    }

    /// A life of this id that is listed where this member listens now has ended: an address belongs to one process at a time.
    pub(super) fn look_for_my_former_life(&mut self, now: Now) {
        let (view, here) = (self.member.view().clone(), self.parts.links.identity().address.clone());
        let former = view
            .members()
            .find(|(id, incarnation, address)| **id == self.parts.id && *incarnation != self.me && **address == here);
        if let Some((_, incarnation, _)) = former {
            self.member.evidence(now, incarnation, Removal::Proven);
        }
    }

    /// Probes where a member listens, until it is refused, somebody answers, or silence decides.
    fn probe(&self, target: Target) {
        let Some(peer) = target.incarnation().filter(|_| self.exit.left.is_none()) else { return };
        let (links, findings) = (self.parts.links.clone(), self.mesh.evidence.clone());
        let proves = self.refusal_proves(&target);
        tokio::spawn(async move {
            for _ in 0..PROBES {
                let proof = match links.probe(&target, PROBE).await {
                    Evidence::Refused => proves.then(|| Proof::refused(peer)),
                    Evidence::Answered(answered) => Proof::answered(&target, &answered),
                    Evidence::Unknown(DialError::Other(answered) | DialError::OtherCluster(answered)) => {
                        Proof::answered(&target, &answered)
                    }
                    Evidence::Unknown(_) => {
                        tokio::time::sleep(PAUSE).await;
                        continue;
                    }
                };
                if let Some(proof) = proof {
                    // The task may have ended; then nobody needs the proof.
                    let _ = findings.send(Finding::Death(proof)).await;
                }
                return;
            }
        });
    }

    /// Something was found out.
    pub(super) fn on_finding(&mut self, now: Now, finding: Finding) {
        match finding {
            Finding::Death(proof) => self.on_proof(now, &proof),
            Finding::DialedBack { peer, why } => self.on_dialed_back(now, peer, why),
        }
        self.turn(now);
    }

    /// A probe proved something. It counts only while there is no link: the member may have come back meanwhile.
    fn on_proof(&mut self, now: Now, proof: &Proof) {
        let id = self.member.view().id_of(proof.dead).filter(|_| !self.mesh.peers.contains_key(&proof.dead));
        if let Some(id) = id {
            let why = match proof.how {
                Removal::Suspected => "its link ended and nobody listens where it did",
                _ => "another life of it answers",
            };
            warn!(member = %id, "a member is dead: {why}");
            self.member.evidence(now, proof.dead, proof.how);
        }
    }

    /// A dial was refused. For a member of the view that was reached there before, that is evidence too.
    pub(super) fn on_refused(&mut self, now: Now, target: &Target) {
        match target.incarnation().filter(|_| self.refusal_proves(target)) {
            Some(peer) => {
                self.on_proof(now, &Proof::refused(peer));
                self.turn(now);
            }
            None => self.note_in_vain(target, &DialError::Refused),
        }
    }

    /// A dial found somebody else, or nobody in time.
    pub(super) fn on_dial_failed(&mut self, now: Now, target: &Target, why: &DialError) {
        if let DialError::OtherCluster(answered) = why
            && target.member.is_none()
            && answered.keeps_registry
        {
            return self.leave_for(now, answered);
        }
        let proof = match why {
            DialError::Other(answered) | DialError::OtherCluster(answered) => Proof::answered(target, answered),
            _ => None,
        };
        match proof {
            Some(proof) => {
                self.on_proof(now, &proof);
                self.turn(now);
            }
            None => self.note_in_vain(target, why),
        }
    }
}
