//! Who must be there before a process is well for the first time.

use ringway_core::Incarnation;
use ringway_core::view::NodeState;

use crate::cluster::{ClusterState, Reach};

/// Who must be there before it is well for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    /// Active nodes.
    pub nodes: usize,
    /// Gateways.
    pub gateways: usize,
}

impl Expected {
    /// Everybody is there, as far as this process can reach them.
    pub(crate) fn are_there(self, state: &ClusterState) -> bool {
        active(state) >= self.nodes && gateways(state) >= self.gateways
    }

    /// Who is there, in words.
    pub(crate) fn compared(self, state: &ClusterState) -> String {
        let nodes = format!("{} of {} nodes are active", active(state), self.nodes);
        match gateways(state) {
            enough if enough >= self.gateways => nodes,
            few => format!("{nodes}, {few} of {} gateways are there", self.gateways),
        }
    }

    /// What is missing before this process may say that it is well; `None` when everything is there.
    pub(super) fn missing(self, state: &ClusterState) -> Option<String> {
        let me = state.me.incarnation;
        if !self.are_there(state) {
            Some(self.compared(state))
        } else if !state.view.has(me) {
            Some("this member is not in the cluster yet".to_owned())
        } else if state.view.node(me).is_some_and(|node| node.state() == NodeState::Joining) {
            Some("this node is being filled with the slots that it will own".to_owned())
        } else {
            None
        }
    }
}

/// Nodes that own what their weight gives them, and that this process reaches.
fn active(state: &ClusterState) -> usize {
    let is_active = |state: NodeState| matches!(state, NodeState::Active | NodeState::Reweighting);
    let is_reached = |incarnation: Incarnation| state.reach(incarnation) == Reach::Up;
    state.view.nodes.iter().filter(|node| is_active(node.state()) && is_reached(node.incarnation)).count()
}

/// Gateways that take clients. A gateway has no links to others but the registry's, so their silence proves nothing there.
fn gateways(state: &ClusterState) -> usize {
    let is_there = |incarnation: Incarnation| state.reach(incarnation) != Reach::Silent;
    state.view.gateways.iter().filter(|gateway| !gateway.draining && is_there(gateway.incarnation)).count()
}
