//! Who dials whom: a link between two members is one connection, so only one of the two dials.

use std::sync::Arc;
use std::time::Duration;

use ringway_core::Incarnation;
use ringway_core::registry::Seat;
use ringway_core::timing::Now;
use ringway_core::view::View;
use ringway_link::{Event, Target};
use tracing::info;

use super::{Peer, Task};

/// A member that was to dial this node and has not is dialed by it after this. Above any scheduling hiccup, and well below what makes
/// a silent member suspect: the way may be open in this direction alone.
const OTHERS_TURN: Duration = Duration::from_millis(500);

impl Task {
    /// Dials whoever the view says this member needs, and lets go of who left.
    ///
    /// Everybody dials the keeper, which dials nobody. Gateways dial nodes. Of two that would both dial, the smaller id does.
    pub(super) fn follow_view(&mut self, now: Now, view: &Arc<View>) {
        let gone: Vec<Incarnation> = self.mesh.peers.keys().copied().filter(|peer| self.is_gone(view, *peer)).collect();
        // Who left on purpose closes its links itself, when it has answered all that was sent to it.
        let before = self.parts.seat.borrow().view.clone();
        let crashed = view.crashes > before.crashes;
        for peer in gone {
            if crashed {
                self.note_removal(now, &before, peer);
                self.parts.links.forget(peer);
            } else {
                self.parts.links.let_go(peer);
            }
        }
        self.mesh.reach.retain(view, |peer| self.mesh.peers.contains_key(peer));
        self.look_after(view);
        self.dial_others(view);
    }

    /// Dials whoever the view says this member needs, and nobody else any more.
    pub(super) fn dial_others(&mut self, view: &View) {
        let targets: Vec<Target> = view
            .members()
            .filter(|(_, peer, _)| self.dials(view, *peer))
            .map(|(id, peer, address)| Target::member(address.clone(), id.clone(), peer))
            .collect();
        for target in &targets {
            self.parts.links.dial(target.clone());
        }
        self.mesh.dialed.retain(|target| {
            let stays = target.member.is_none() || targets.contains(target);
            if !stays {
                self.parts.links.stop_dialing(target);
            }
            stays
        });
        for target in targets {
            if !self.mesh.dialed.contains(&target) {
                self.mesh.dialed.push(target);
            }
        }
    }

    /// A node dials those whose turn it was to dial it, gateways too, if they have not come.
    pub(super) fn dial_in_their_place(&mut self, now: Now) {
        let view = self.member.view().clone();
        if self.member.node().is_none() || self.is_keeper() || self.registry.is_arriving() || !view.has(self.me) {
            return;
        }
        let keeper = self.member.membership().keeper();
        let is_linked =
            |peer: Incarnation| peer == self.me || Some(peer) == keeper || self.mesh.peers.contains_key(&peer);
        let missing: Vec<Target> = view
            .members()
            .filter(|(_, peer, _)| !is_linked(*peer))
            .map(|(id, peer, address)| Target::member(address.clone(), id.clone(), peer))
            .collect();
        self.mesh.missing.retain(|target, _| missing.contains(target));
        for target in missing {
            let since = *self.mesh.missing.entry(target.clone()).or_insert(now);
            if now >= since + OTHERS_TURN && !self.mesh.dialed.contains(&target) {
                self.parts.links.dial(target.clone());
                self.mesh.dialed.push(target);
            }
        }
    }

    /// A member that was in the view before and is not any more. Newcomers that are not in it yet stay.
    fn is_gone(&self, view: &View, peer: Incarnation) -> bool {
        self.parts.seat.borrow().view.has(peer) && !view.has(peer) && !self.is_hosted_by(peer)
    }

    fn dials(&self, view: &View, peer: Incarnation) -> bool {
        let seat = self.member.membership().seat();
        let keeper = seat.keeper(self.me, view);
        if keeper == Some(peer) {
            // A host is dialed where this member was told to join.
            return peer != self.me && seat == Seat::Outside;
        }
        if keeper == Some(self.me) {
            return false;
        }
        let needs = |from: Incarnation, to: Incarnation| {
            view.node(to).is_some() && (view.gateway(from).is_some() || view.node(from).is_some())
        };
        let id = |member: Incarnation| view.node(member).map(|node| node.id.clone());
        let both = needs(peer, self.me) && needs(self.me, peer);
        let first = !both || Some(self.parts.id.clone()) < id(peer);
        peer != self.me && needs(self.me, peer) && first
    }

    pub(super) fn on_link_event(&mut self, now: Now, event: Event) {
        match event {
            Event::Up { link, peer, sender } => self.on_up(now, link, &peer, sender),
            Event::Frames { link, peer, frames, .. } => {
                if self.mesh.peers.get(&peer).is_some_and(|known| known.link == link) {
                    frames.into_iter().for_each(|frame| self.on_frame(now, peer, frame));
                }
            }
            Event::Down { link, peer, reason } => {
                if self.mesh.peers.get(&peer.incarnation).is_some_and(|known| known.link == link) {
                    info!(member = %peer.id, incarnation = %peer.incarnation, %reason, "link down");
                    self.on_down(now, &peer);
                }
            }
            Event::Refused { target } => self.on_refused(now, &target),
            Event::Failed { target, why } => self.on_dial_failed(now, &target, &why),
        }
    }

    fn on_up(
        &mut self,
        now: Now,
        link: ringway_link::LinkId,
        identity: &ringway_link::Identity,
        sender: ringway_link::LinkSender,
    ) {
        let peer = identity.incarnation;
        info!(member = %identity.id, incarnation = %peer, "link up");
        self.mesh.reach.linked(peer, sender.dialed());
        self.mesh.peers.insert(peer, Peer { link, sender, identity: identity.clone() });
        if self.registry.is_arriving() {
            self.ask_for_view(peer);
        } else {
            self.meet(now, peer);
        }
    }

    /// The rules are told of a link.
    pub(super) fn meet(&mut self, now: Now, peer: Incarnation) {
        if self.mesh.peers.get(&peer).is_some_and(|known| known.identity.keeps_registry) {
            self.member.set_host(now, peer);
        }
        self.dial_back(peer);
        self.telling.is_back(peer);
        self.member.on_link_up(now, peer);
        if let Some((_, word)) = self.mesh.early_word.take_if(|(from, _)| *from == peer) {
            self.member.on_frame(now, peer, word);
        }
        self.facts_changed = true;
    }

    fn on_down(&mut self, now: Now, identity: &ringway_link::Identity) {
        let peer = identity.incarnation;
        if let Some(known) = self.mesh.peers.remove(&peer) {
            self.member.heard(known.last_heard(now), peer);
        }
        self.note_end(now, peer);
        self.mesh.loads.remove(&peer);
        self.member.on_link_down(now, peer);
        self.orders_cut_off(peer);
        self.look_for_evidence(identity);
        self.mesh.reach.unlinked(peer, self.member.view());
        self.mesh.door.unlinked(peer);
        self.facts_changed = true;
    }
}
