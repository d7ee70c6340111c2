//! What happened to whom between two views.

use ringway_core::view::{NodeState, View};
use ringway_core::{Incarnation, MemberId};

use super::receipt::Occasion;

/// What a view did to a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// It is in the view now.
    Joined,
    /// Its weight, now or to come, is another one.
    Weighed,
    /// It hands over, or sends its clients away.
    Drains,
    /// It is gone, as it wished.
    Left,
    /// It is gone, and had not said that it would go.
    Lost,
}

impl What {
    /// Whether it can be the doing of this action.
    pub(super) fn may_come_of(self, action: Occasion) -> bool {
        use Occasion::{Add, Exit, Freeze, Joined, Kill, Left, Start, Stop, Thaw, Weight};
        match self {
            Self::Joined => matches!(action, Add | Start | Thaw | Joined),
            Self::Weighed => matches!(action, Add | Start | Thaw | Joined | Weight | Stop | Left),
            Self::Drains => matches!(action, Stop | Left),
            Self::Left => matches!(action, Stop | Left | Kill | Freeze),
            Self::Lost => matches!(action, Stop | Left | Kill | Freeze | Exit),
        }
    }

    /// What it is called if nobody asked for it here.
    pub(super) fn unasked(self) -> Occasion {
        match self {
            Self::Joined => Occasion::Joined,
            Self::Weighed => Occasion::Weight,
            Self::Drains | Self::Left => Occasion::Left,
            Self::Lost => Occasion::Exit,
        }
    }
}

/// Something that happened to a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) member: MemberId,
    pub(super) incarnation: Incarnation,
    pub(super) what: What,
}

/// Everything that happened from one view to a later one. Who left comes first: another life of it may have joined.
pub(super) fn steps(before: &View, after: &View) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut add = |member: &MemberId, incarnation: Incarnation, what: What| {
        // A member with both roles leaves and joins once.
        if !steps.iter().any(|step| step.incarnation == incarnation && step.what == what) {
            steps.push(Step { member: member.clone(), incarnation, what });
        }
    };
    let crashed = after.crashes > before.crashes;
    for node in before.nodes.iter().filter(|node| !after.has(node.incarnation)) {
        let meant_to =
            matches!(node.state(), NodeState::Draining | NodeState::Joining | NodeState::Resting) && !crashed;
        add(&node.id, node.incarnation, if meant_to { What::Left } else { What::Lost });
    }
    for gateway in before.gateways.iter().filter(|gateway| !after.has(gateway.incarnation)) {
        let is_node_too = before.node(gateway.incarnation).is_some();
        if !is_node_too {
            add(&gateway.id, gateway.incarnation, if gateway.draining { What::Left } else { What::Lost });
        }
    }
    for node in &after.nodes {
        match before.node(node.incarnation) {
            None => add(&node.id, node.incarnation, What::Joined),
            Some(old) if old.next != node.next && node.next.is_zero() => {
                add(&node.id, node.incarnation, What::Drains);
            }
            Some(old) if (old.now, old.next) != (node.now, node.next) => {
                add(&node.id, node.incarnation, What::Weighed);
            }
            Some(_) => {}
        }
    }
    for gateway in &after.gateways {
        match before.gateway(gateway.incarnation) {
            None => add(&gateway.id, gateway.incarnation, What::Joined),
            Some(old) if gateway.draining && !old.draining => add(&gateway.id, gateway.incarnation, What::Drains),
            Some(_) => {}
        }
    }
    steps
}
