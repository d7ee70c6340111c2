//! The registry of the `local` engine: the newest view and the lease keys, in one place, so every answer is the truth
//! of its moment. It stores nothing per slot.
//!
//! And where a member's registry is ([`Seat`]): here, with another member, or in a store outside.

pub mod clerk;
mod seat;
pub mod store;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::id::Incarnation;
use crate::message::{RegistryAnswer, RegistryOp, RegistryRequest};
use crate::timing::Now;
use crate::view::View;

pub use seat::{FromStore, Seat, ToStore};

/// The view and who is known to be alive.
#[derive(Debug)]
pub struct Registry {
    view: Arc<View>,
    ttl: Duration,
    /// When each lease key ends.
    leases: BTreeMap<Incarnation, Now>,
}

impl Registry {
    /// A registry that begins with this view.
    pub fn new(view: Arc<View>, ttl: Duration) -> Self {
        Self { view, ttl, leases: BTreeMap::new() }
    }

    /// The registry of a cluster that was there before, with the view that was kept. Every member of it has a lease of full
    /// length from now on: who lives renews it, and who counts its own as over gets it back by a write.
    pub fn restored(view: Arc<View>, ttl: Duration, now: Now) -> Self {
        let mut registry = Self::new(view, ttl);
        registry.leases = registry.members().into_iter().map(|member| (member, now + ttl)).collect();
        registry
    }

    /// The newest view.
    pub fn view(&self) -> &Arc<View> {
        &self.view
    }

    /// Carries out a request. A write that was done is a new view: tell every member.
    pub fn handle(&mut self, now: Now, request: RegistryRequest) -> RegistryAnswer {
        self.leases.retain(|_, end| *end > now);
        let RegistryRequest { id, op } = request;
        let done = match op {
            RegistryOp::Renew(member) => match self.leases.get_mut(&member) {
                Some(end) => {
                    *end = now + self.ttl;
                    true
                }
                None => false,
            },
            RegistryOp::Put(member) => {
                self.leases.insert(member, now + self.ttl);
                true
            }
            RegistryOp::Cas(view) => self.write(view),
            RegistryOp::Leases | RegistryOp::Read => {
                let lapsed = self.lapsed();
                return RegistryAnswer { id, done: true, view: self.view.clone(), lapsed };
            }
        };
        RegistryAnswer { id, done, view: self.view.clone(), lapsed: Vec::new() }
    }

    /// A write of this view would be done: it is the next one of this cluster.
    pub fn would_write(&self, view: &View) -> bool {
        view.epoch == self.view.epoch.next() && self.view.accepts(view).is_ok()
    }

    fn write(&mut self, view: Arc<View>) -> bool {
        let next = self.would_write(&view);
        if next {
            self.view = view;
        }
        next
    }

    fn lapsed(&self) -> Vec<Incarnation> {
        let mut members = self.members();
        members.retain(|member| !self.leases.contains_key(member));
        members
    }

    fn members(&self) -> Vec<Incarnation> {
        let mut members: Vec<Incarnation> = self.view.members().map(|(_, incarnation, _)| incarnation).collect();
        members.sort_unstable();
        members.dedup();
        members
    }
}

#[cfg(test)]
mod tests;
