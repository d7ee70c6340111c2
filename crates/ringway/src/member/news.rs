//! What the log says of a new view.

use ringway_core::view::{Difference, View};

use super::Task;

impl Task {
    /// What is new in a view that is about to be applied: the rules of the roles still have the one before.
    pub(super) fn news_in<'a>(&'a self, view: &'a View) -> Difference<'a> {
        let of_hub = self.hub.as_ref().map(|hub| hub.rules.view());
        let before = of_hub.or_else(|| self.node.as_ref().map(ringway_core::node::Node::view));
        Difference::new(before.map_or(view, AsRef::as_ref), view)
    }
}
