//! A member joins, keeps its lease, and knows when it is over (R14).

use super::{Action, Membership, Purpose, Standing};
use crate::message::RegistryOp;
use crate::node::Lease;
use crate::ring::MAX_NODES;
use crate::timing::Now;
use crate::view::Removal;

impl Membership {
    /// The lease as it is.
    pub fn lease(&self) -> Lease {
        match (self.seat.is_here(), self.last_renewal, self.lapsed) {
            (true, ..) => Lease::Forever,
            (_, None, _) => Lease::Never,
            (_, Some(last), true) => Lease::Lapsed(last),
            (_, Some(last), false) => Lease::Since(last),
        }
    }

    /// When the registry answered last; `None` where it is in this process.
    pub fn registry_answered(&self) -> Option<Now> {
        (!self.seat.is_here()).then_some(self.last_answer)
    }

    /// Joins, renews, or gets a lapsed lease back: always the key first, then the write: a view that lists
    /// a member without a key would have it removed.
    pub(super) fn keep_lease(&mut self, now: Now) {
        let writing = |purpose: &Purpose| matches!(purpose, Purpose::Put | Purpose::Join | Purpose::Affirm { .. });
        if self.open.values().any(|open| writing(&open.purpose)) {
            return;
        }
        match (self.standing, self.put_sent) {
            (Standing::Outside, _) if self.waits_for_word => {}
            (Standing::Outside, None) => self.request(now, Purpose::Put, RegistryOp::Put(self.me)),
            (Standing::Outside, Some(_)) => self.join(now),
            _ if self.seat.is_here() => {
                self.put_sent = None;
                self.request(now, Purpose::Put, RegistryOp::Put(self.me));
            }
            (_, Some(put_sent)) if self.lapsed => {
                self.put_sent = None;
                let view = self.sealed(now, self.view.affirmed());
                self.request(now, Purpose::Affirm { put_sent }, RegistryOp::Cas(view));
            }
            (_, None) if self.lapsed => self.request(now, Purpose::Put, RegistryOp::Put(self.me)),
            _ => {
                self.put_sent = None;
                self.request(now, Purpose::Renew, RegistryOp::Renew(self.me));
            }
        }
    }

    pub(super) fn join(&mut self, now: Now) {
        if let Some(taken) = self.view.incarnation_of(&self.id) {
            if self.seat.is_here() {
                // The registry is with one process at a time, so my former life, which had it, is over.
                self.evidence(now, taken, Removal::Proven);
                return;
            }
            if !std::mem::replace(&mut self.id_taken, true) {
                self.actions.push_back(Action::IdTaken(taken));
            }
            // The key must not end while we wait.
            self.put_sent = None;
            self.request(now, Purpose::Leases, RegistryOp::Leases);
            return;
        }
        if self.node.is_some() && self.view.nodes.len() >= MAX_NODES {
            if !std::mem::replace(&mut self.found_full, true) {
                self.actions.push_back(Action::Full);
            }
            self.put_sent = None;
            return;
        }
        let mut view = (*self.view).clone();
        if let Some(gateway) = self.gateway.clone() {
            view = view.with_gateway(gateway);
        }
        if let Some(node) = self.node.clone() {
            view = view.with_node(node);
        }
        view.epoch = self.view.epoch.next();
        let view = self.sealed(now, view);
        self.request(now, Purpose::Join, RegistryOp::Cas(view));
    }

    pub(super) fn renewed(&mut self, sent: Now) {
        self.last_renewal = Some(self.last_renewal.map_or(sent, |last| last.max(sent)));
        self.say_lease();
    }

    /// The lease, as I count it, is over (R14).
    pub(super) fn has_run_out(&self, now: Now) -> bool {
        self.last_renewal.is_some_and(|last| now >= last + self.timing.own()) && !self.seat.is_here()
    }

    pub(super) fn lapse(&mut self) {
        if !self.lapsed {
            self.lapsed = true;
            self.say_lease();
        }
    }

    pub(super) fn say_lease(&mut self) {
        self.actions.push_back(Action::Lease(self.lease()));
    }
}
