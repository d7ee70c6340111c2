//! Which members this one reaches where they say that they listen, and which it does not.
//!
//! Whether a refusal proves a death depends on it: only where a member was reached before is it the member's own host that
//! refuses. A firewall refuses too, and the loopback of another machine.

use std::collections::HashMap;
use std::fmt::Display;
use std::sync::Arc;

use ringway_core::view::View;
use ringway_core::{Incarnation, MemberId};
use ringway_link::Target;
use tracing::{info, warn};

use super::Task;
use crate::address::Scope;

/// What is known of the ways to other members.
#[derive(Debug, Default)]
pub(super) struct Reach {
    /// Where this member has reached others, by whichever dial. Of the view, and of those that are linked.
    reached: HashMap<Incarnation, Arc<str>>,
    /// Why this member is kept out of the view.
    kept_out: Option<Arc<str>>,
    /// Members of the view that this one dials in vain.
    in_vain: HashMap<Incarnation, Arc<str>>,
}

impl Reach {
    /// This member was reached there.
    pub(super) fn found(&mut self, peer: Incarnation, address: &str) {
        self.reached.insert(peer, address.into());
    }

    /// It was reached at some address.
    pub(super) fn has_reached(&self, peer: Incarnation) -> bool {
        self.reached.contains_key(&peer)
    }

    /// A link stands. If this end dialed it, the other end is reached where it was dialed.
    pub(super) fn linked(&mut self, peer: Incarnation, dialed: Option<&str>) {
        if let Some(address) = dialed {
            self.found(peer, address);
        }
        self.in_vain.remove(&peer);
    }

    /// A link ended.
    pub(super) fn unlinked(&mut self, peer: Incarnation, view: &View) {
        if !view.has(peer) {
            self.reached.remove(&peer);
        }
    }

    /// A refusal at this address comes from the host of this incarnation.
    fn is_its_own_host(&self, peer: Incarnation, address: &str, mine: &str) -> bool {
        self.reached.get(&peer).is_some_and(|reached| **reached == *address) && means_the_same_here(address, mine)
    }

    /// Forgets who is neither in the view nor linked.
    pub(super) fn retain(&mut self, view: &View, is_linked: impl Fn(&Incarnation) -> bool) {
        self.reached.retain(|peer, _| view.has(*peer) || is_linked(peer));
        self.in_vain.retain(|peer, _| view.has(*peer));
    }

    /// What is wrong with the ways to others, in words, for whoever asks how this member is.
    pub(super) fn troubles(&self, view: &View) -> Vec<Arc<str>> {
        let in_vain = self.in_vain.iter().filter_map(|(peer, why)| Some((view.id_of(*peer)?, why)));
        let mut in_vain: Vec<(&MemberId, &Arc<str>)> = in_vain.collect();
        in_vain.sort();
        self.kept_out.iter().chain(in_vain.into_iter().map(|(_, why)| why)).cloned().collect()
    }
}

/// A loopback address leads to another host on each machine: it means the same here only if the cluster, as far as this
/// member knows, is on one machine.
fn means_the_same_here(address: &str, mine: &str) -> bool {
    Scope::of_text(address) == Scope::Network || Scope::of_text(mine) != Scope::Network
}

impl Task {
    /// A refusal where this target listens proves that it is dead. The registry's member takes nobody in whom it has not
    /// reached, so for it that holds for the whole view, whoever wrote that into the data folder.
    pub(super) fn refusal_proves(&self, target: &Target) -> bool {
        let Some(peer) = target.incarnation() else { return false };
        let mine = self.parts.links.identity();
        let is_listed = |(_, incarnation, address): (&MemberId, Incarnation, &Arc<str>)| {
            incarnation == peer && *address == target.address
        };
        let was_let_in = self.is_host() && self.member.view().members().any(is_listed);
        was_let_in && means_the_same_here(&target.address, &mine.address)
            || self.mesh.reach.is_its_own_host(peer, &target.address, &mine.address)
    }

    /// The host says why it does not let this one in.
    pub(super) fn on_kept_out(&mut self, from: Incarnation, why: &str) {
        if !self.is_hosted_by(from) || self.member.membership().is_inside() {
            return;
        }
        warn!("this member is kept out of the cluster: {why}");
        self.facts_changed |= self.mesh.reach.kept_out.as_deref() != Some(why);
        self.mesh.reach.kept_out = Some(why.into());
    }

    /// This member is in the view, if it was kept out before.
    pub(super) fn note_let_in(&mut self) {
        if self.member.membership().is_inside() && self.mesh.reach.kept_out.take().is_some() {
            info!("this member is let into the cluster");
            self.facts_changed = true;
        }
    }

    /// A dial failed. If it was to a member of the view, others count on the two being linked.
    pub(super) fn note_in_vain(&mut self, target: &Target, why: &dyn Display) {
        let Some((id, peer)) = &target.member else {
            return warn!("the first gateway cannot be dialed at {} ({why}); trying again", target.address);
        };
        if self.mesh.peers.contains_key(peer) || !self.member.view().has(*peer) {
            return;
        }
        let line = format!("{id} cannot be dialed at {}: there is no link between it and this member", target.address);
        warn!("{line} ({why}); trying again");
        self.facts_changed |= self.mesh.reach.in_vain.insert(*peer, format!("{line} ({why})").into()).is_none();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_counts_only_where_the_member_was_reached() {
        let mut reach = Reach::default();
        let (peer, there, here) = (Incarnation(1), "10.0.0.2:9889", "127.0.0.1:9889");
        assert!(!reach.is_its_own_host(peer, there, "10.0.0.1:9889"), "never reached");
        reach.linked(peer, None);
        assert!(!reach.is_its_own_host(peer, there, "10.0.0.1:9889"), "it was the other that dialed");
        reach.linked(peer, Some(there));
        assert!(reach.is_its_own_host(peer, there, "10.0.0.1:9889"));
        assert!(!reach.is_its_own_host(peer, "10.0.0.3:9889", "10.0.0.1:9889"), "another address");
        reach.linked(peer, Some(here));
        assert!(reach.is_its_own_host(peer, here, "127.0.0.1:1"));
        assert!(!reach.is_its_own_host(peer, here, "10.0.0.1:1"), "the loopback of which machine?");
        assert!(!reach.is_its_own_host(Incarnation(2), here, "127.0.0.1:1"), "another life");
    }
}
