//! Where a sabotaged run lies: to the rules, never in them.

use std::sync::Arc;

use ringway_core::node::Lease;
use ringway_core::peers::Outgoing;
use ringway_core::view::View;

use super::World;
use crate::Sabotage;

impl World {
    /// What is put on the link instead of this frame.
    pub(crate) fn lied_frames(&mut self, _from: usize, out: Outgoing) -> Vec<Outgoing> {
        vec![out]
    }

    pub(crate) fn lied_lease(&self, lease: Lease) -> Lease {
        if self.sabotage == Some(Sabotage::ForgeLease) { Lease::Forever } else { lease }
    }

    pub(crate) fn lied_view(&self, view: &Arc<View>) -> Arc<View> {
        if self.sabotage == Some(Sabotage::HideRemovals) {
            return Arc::new(View { removals: 0, ..(**view).clone() });
        }
        view.clone()
    }

    /// A process that does not tell its node that it was removed.
    pub(crate) fn hides_removal(&self, at: usize, view: &View) -> bool {
        let process = &self.processes[at];
        process.node.as_ref().is_some_and(|node| node.view().has(process.incarnation)) && !view.has(process.incarnation)
    }
}
