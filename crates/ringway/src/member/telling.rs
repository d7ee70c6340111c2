//! What receipts are made from: a gateway says what it saw of changes, and the keeper passes on what all of them say, every view,
//! and which nodes are settled. When another member becomes the keeper it begins with the change that made it one: what was kept before
//! is gone with the former keeper.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ringway_core::member::Front;
use ringway_core::message::{Frame, Load, Message, Toll};
use ringway_core::peers::Outgoing;
use ringway_core::timing::Now;
use ringway_core::view::{Placement, View};
use ringway_core::{Epoch, Incarnation};
use ringway_link::LinkId;

use tracing::debug;

use super::Task;
use crate::changes::{Departure, Fact, Teller};

/// Least time between two reports of one gateway. Sums are told, so nothing is lost in between.
const REPORT: Duration = Duration::from_millis(50);

/// What was told, and what is remembered to be told.
#[derive(Debug)]
pub(super) struct Telling {
    /// In a process that can keep receipts.
    teller: Option<Teller>,
    /// It keeps them: this member is the keeper.
    is_keeping: bool,
    /// The view of which it was told last.
    view: Arc<View>,
    /// Members whose link or process has ended, since when, and the sockets they said they had. Of the view and newcomers, until
    /// they are linked again or the view is without them.
    ended: HashMap<Incarnation, (Now, u64)>,
    /// The epoch at which this node said it was settled.
    settled: Option<Epoch>,
    /// What this gateway said last, of which epoch, on which link.
    told: Option<(Epoch, Option<LinkId>, Toll)>,
    next_report: Now,
}

impl Telling {
    /// A host keeps receipts from its first view on; whoever may become the keeper waits for it.
    pub(super) fn new(teller: Option<Teller>, view: Arc<View>, is_keeping: bool) -> Self {
        Self { teller, is_keeping, view, ended: HashMap::new(), settled: None, told: None, next_report: Now::ZERO }
    }

    pub(super) fn tell(&self, fact: Fact) {
        if let Some(teller) = self.teller.as_ref().filter(|_| self.is_keeping) {
            teller.tell(fact);
        }
    }

    /// A view makes this member the keeper, or another one.
    fn follow(&mut self, is_keeper: bool, before: &Arc<View>) {
        let was = std::mem::replace(&mut self.is_keeping, is_keeper);
        if is_keeper && !was {
            debug!("this gateway keeps the receipts of changes from now on");
            self.tell(Fact::Begun { view: before.clone() });
        }
    }

    /// A member is linked, so it has not ended.
    pub(super) fn is_back(&mut self, peer: Incarnation) {
        self.ended.remove(&peer);
    }
}

impl Task {
    /// The link or the process of a member has ended.
    pub(super) fn note_end(&mut self, now: Now, peer: Incarnation) {
        if self.telling.teller.is_some() {
            let sockets = self.mesh.loads.get(&peer).map_or(0, |load| load.sockets);
            self.telling.ended.entry(peer).or_insert((now, sockets));
        }
    }

    /// A newer view is applied.
    pub(super) fn tell_view(&mut self, now: Now, view: &Arc<View>, placement: &Placement) {
        if self.telling.teller.is_none() {
            return;
        }
        let before = std::mem::replace(&mut self.telling.view, view.clone());
        let is_keeper = self.is_keeper();
        self.telling.follow(is_keeper, &before);
        let gone = before.members().map(|(_, member, _)| member).filter(|member| !view.has(*member));
        let left = gone.map(|member| self.departure(now, member)).collect();
        self.telling.ended.retain(|member, _| view.has(*member));
        self.telling.tell(Fact::View { at: now, view: view.clone(), placement: placement.clone(), left });
    }

    fn departure(&self, now: Now, incarnation: Incarnation) -> Departure {
        let sockets = self.mesh.loads.get(&incarnation).map_or(0, |load| load.sockets);
        // Who was never heard was lost just now, for all that is known.
        let heard = Some(self.member.membership().last_heard(incarnation)).filter(|heard| *heard > Now::ZERO);
        match self.telling.ended.get(&incarnation) {
            Some((since, sockets)) => Departure { incarnation, since: *since, ended: true, sockets: *sockets },
            None => Departure { incarnation, since: heard.unwrap_or(now), ended: false, sockets },
        }
    }

    /// A member said how it is.
    pub(super) fn tell_load(&self, now: Now, node: Incarnation, epoch: Epoch, load: Load) {
        if self.member.view().node(node).is_some() {
            self.telling.tell(Fact::Node { at: now, node, epoch, settled: load.unsettled == 0 });
        }
    }

    /// Says at once that this node is settled: others wait for that.
    pub(super) fn report_settled(&mut self, now: Now) {
        let settled = self.member.node().filter(|node| node.is_settled()).map(|node| node.view().epoch);
        if std::mem::replace(&mut self.telling.settled, settled) != settled && settled.is_some() {
            self.ping(now);
        }
    }

    /// Says what this gateway saw, if that is more than it said, or said of an older view or on another link.
    pub(super) fn report_toll(&mut self, now: Now) {
        let (Some(hub), Some(gateway)) = (self.member.front(), &self.parts.gateway) else { return };
        if now < self.telling.next_report {
            return;
        }
        let Some(to) = self.reachable_keeper() else { return };
        let (counts, slow) = (hub.counts(), gateway.intake.slow());
        // Whoever was ordered to connect anew is counted with the order, and whoever was sent away for a cut by itself.
        let closed = counts.closed - counts.asked_anew() + slow;
        let (epoch, link) = (hub.gateway().view().epoch, self.mesh.peers.get(&to).map(|keeper| keeper.link));
        let seen = hub.gateway().toll();
        let same = |told: &Toll| told.closed == closed && told.is_but_for_closed(seen);
        if self.telling.told.as_ref().is_some_and(|told| (told.0, told.1) == (epoch, link) && same(&told.2)) {
            return;
        }
        let toll = Toll { closed, ..seen.clone() };
        self.send(now, Outgoing { to, frame: Frame { epoch, message: Message::Toll(Box::new(toll.clone())) } });
        self.telling.told = Some((epoch, link, toll));
        self.telling.next_report = now + REPORT;
    }
}
