//! Members that were in the view once: so that one that is gone stays listed as down, under its address, until it is removed.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use ringway_core::MemberId;
use ringway_core::view::View;

use crate::cluster::ClusterHandle;

/// Members remembered. Beyond it, no further one is: it is not listed once it has left. Ids are not used twice, so a
/// cluster gets here only by restarting members under ever new names.
const REMEMBERED: usize = 4_096;

/// What is known of a member that was in the view.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Remembered {
    pub(super) roles: Vec<&'static str>,
    pub(super) weight: f64,
    pub(super) address: String,
}

/// The list. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Memory(Arc<Mutex<BTreeMap<MemberId, Remembered>>>);

impl Memory {
    /// A memory that follows the view, until the member task is gone. Needs a running Tokio runtime.
    pub fn watching(cluster: ClusterHandle) -> Self {
        let memory = Self::default();
        let (filled, mut state) = (memory.clone(), cluster.watch());
        drop(cluster);
        tokio::spawn(async move {
            loop {
                let view = state.borrow_and_update().view.clone();
                filled.see(&view);
                if state.wait_for(|state| state.view.epoch != view.epoch).await.is_err() {
                    return;
                }
            }
        });
        memory
    }

    fn see(&self, view: &View) {
        let mut known = self.0.lock();
        for gateway in &view.gateways {
            note(&mut known, &gateway.id, "gateway", &gateway.address, 0.0);
        }
        for node in &view.nodes {
            let weight = if node.next.is_zero() { node.now } else { node.next };
            note(&mut known, &node.id, "node", &node.address, weight.as_number());
        }
    }

    pub(super) fn ids(&self) -> Vec<MemberId> {
        self.0.lock().keys().cloned().collect()
    }

    pub(super) fn get(&self, id: &MemberId) -> Option<Remembered> {
        self.0.lock().get(id).cloned()
    }

    /// Forgets a member. It is remembered again if it comes back.
    pub(super) fn forget(&self, id: &MemberId) {
        self.0.lock().remove(id);
    }
}

fn note(known: &mut BTreeMap<MemberId, Remembered>, id: &MemberId, role: &'static str, address: &str, weight: f64) {
    if known.len() >= REMEMBERED && !known.contains_key(id) {
        return;
    }
    let member = known.entry(id.clone()).or_default();
    if !member.roles.contains(&role) {
        member.roles.push(role);
    }
    member.weight = member.weight.max(weight);
    // Where clients reach it comes first, as in the list of those that are present.
    if role == "gateway" || !member.roles.contains(&"gateway") {
        address.clone_into(&mut member.address);
    }
}
