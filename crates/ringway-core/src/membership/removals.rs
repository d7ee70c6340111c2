//! Members that are dead are taken out of the view: their leases lapsed, their links are silent, or there is proof
//! (R15 to R18).

use super::{Action, Membership, Purpose, Sign, Standing};
use crate::id::Incarnation;
use crate::message::RegistryOp;
use crate::timing::Now;
use crate::view::{NodeEntry, Removal};

impl Membership {
    /// Asks for lapsed leases, if the registry was there for me all the time and the view is old enough (R16).
    pub(super) fn look_at_leases(&mut self, now: Now) {
        let old = now >= self.view_since + self.timing.suspect;
        if self.registry_was_there(now) && old && self.lease_is_good(now) && !self.is_writing() {
            self.request(now, Purpose::Leases, RegistryOp::Leases);
        }
    }

    pub(super) fn remove_lapsed(&mut self, now: Now, lapsed: &[Incarnation]) {
        self.lapsed_members = lapsed.to_vec();
        if self.standing == Standing::Outside {
            self.replace_predecessor(now, lapsed);
            return;
        }
        let dead = lapsed.iter().copied().find(|peer| self.may_accuse(*peer) && self.may_remove(*peer));
        if let Some(dead) = dead {
            self.suspect(now, dead, Sign::Lapsed);
        }
    }

    /// Nobody in the view is alive, so nobody will remove my predecessor: all have restarted and wait as I do. Whoever
    /// takes over an id answers for its last life, so this is not held back for the last node (R18).
    pub(super) fn replace_predecessor(&mut self, now: Now, lapsed: &[Incarnation]) {
        let all = self.view.members().all(|(_, member, _)| lapsed.contains(&member));
        if let Some(taken) = self.view.incarnation_of(&self.id).filter(|_| all && self.registry_was_there(now)) {
            self.suspect(now, taken, Sign::Lapsed);
        }
    }

    /// The registry has answered for so long, without a gap, that whoever lives has renewed or affirmed.
    pub(super) fn registry_was_there(&self, now: Now) -> bool {
        now <= self.last_answer + self.timing.ttl / 2 && now >= self.answered_from + self.timing.ttl * 2
    }

    /// The registry answers me.
    pub fn registry_answers(&self, now: Now) -> bool {
        self.seat.is_here() || now <= self.last_answer + self.timing.ttl / 2
    }

    /// The registry has answered for a while, and when it was last asked this member had a lease.
    pub fn is_known_to_live(&self, now: Now, peer: Incarnation) -> bool {
        self.registry_was_there(now) && self.view.has(peer) && !self.lapsed_members.contains(&peer)
    }

    /// When leases are to be asked for. Soon, again and again, while a gateway has just fallen silent: whether it is dead
    /// shows as soon as its lease could have lapsed.
    pub(super) fn next_look_at_leases(&self, now: Now) -> Now {
        let doubt = self.timing.suspect..=self.timing.ttl + self.timing.silent();
        let silence = |peer: &Incarnation| self.heard.get(peer).map(|heard| now.saturating_sub(*heard));
        let gateways = self.view.gateways.iter().map(|gateway| gateway.incarnation);
        let mut others = gateways.filter(|peer| self.may_accuse(*peer));
        let in_doubt = others.any(|peer| silence(&peer).is_some_and(|silence| doubt.contains(&silence)));
        let last = self.next_look.saturating_sub(self.timing.renew());
        if in_doubt { last + self.timing.ping } else { self.next_look }
    }

    /// My own lease is good; the host of the registry, or a member that is no node, needs none to look after others.
    pub(super) fn lease_is_good(&self, now: Now) -> bool {
        let good = self.last_renewal.is_some_and(|last| now < last + self.timing.own()) && !self.lapsed;
        self.seat.is_here() || self.node.is_none() || good
    }

    /// Nobody accuses itself, nor the registry's host: whoever could write its removal has just heard from it.
    fn may_accuse(&self, peer: Incarnation) -> bool {
        peer != self.me && !self.seat.is_hosted_by(peer)
    }

    /// Silence never removes the last node that is not joining (R18).
    pub(super) fn may_remove(&self, peer: Incarnation) -> bool {
        let serves = self.view.node(peer).is_some_and(NodeEntry::serves);
        let is_spared = !serves || self.view.nodes.iter().filter(|node| node.serves()).count() > 1;
        self.view.has(peer) && is_spared
    }

    /// Accuses a node that has been silent on its link, if I hear most of the others (R17).
    ///
    /// A gateway is not accused: others may hear it well, and no copy waits for it. What holds up a change for it ends by
    /// itself, and its lease tells whether it is dead.
    pub(super) fn look_at_links(&mut self, now: Now) {
        let serving = |peer: Incarnation| self.view.node(peer).is_some_and(NodeEntry::serves);
        if !serving(self.me) || self.is_writing() {
            return;
        }
        let silent = |peer: Incarnation| {
            let patience = if self.doubted.contains(&peer) { self.timing.doubted() } else { self.timing.suspect };
            now > self.last_heard(peer).max(self.view_since).max(self.awake_since) + patience
        };
        let nodes = self.view.nodes.iter().map(|node| node.incarnation);
        let suspect = nodes
            .filter(|peer| self.may_accuse(*peer))
            .find(|peer| silent(*peer) && self.may_remove(*peer) && self.hears_most(now, *peer));
        if let Some(suspect) = suspect {
            let heard = self.heard.get(&suspect).copied().unwrap_or(self.view_since);
            self.suspect(now, suspect, Sign::Silent(now.saturating_sub(heard)));
        }
    }

    fn suspect(&mut self, now: Now, dead: Incarnation, sign: Sign) {
        if !self.is_writing() {
            self.actions.push_back(Action::Suspects(dead, sign));
            self.write(now, Purpose::Remove, self.view.without(dead, Removal::Suspected));
        }
    }

    /// I hear more than half of the serving nodes, the suspect not counted, myself counted.
    pub(super) fn hears_most(&self, now: Now, suspect: Incarnation) -> bool {
        let serving = self.view.nodes.iter().filter(|node| node.serves() && node.incarnation != suspect);
        let (mut all, mut heard) = (0, 0);
        for node in serving {
            all += 1;
            heard += usize::from(node.incarnation == self.me || self.hears(now, node.incarnation));
        }
        heard * 2 > all
    }

    pub(super) fn act_on_evidence(&mut self, now: Now) {
        if self.standing == Standing::Gone || self.is_writing() {
            return;
        }
        if let Some((peer, proof)) = self.evidence.iter().next().map(|(peer, proof)| (*peer, *proof)) {
            self.write(now, Purpose::Remove, self.view.without(peer, proof));
        }
    }
}
