//! What must be so for a change to be done.

use std::collections::HashMap;

use ringway_core::ring::Weight;
use ringway_core::view::{NodeState, View};
use ringway_core::{Epoch, Incarnation, MemberId};

use super::receipt::Occasion;

/// What a change waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goal {
    /// This life of the member is out of the view.
    Gone(Incarnation),
    /// Another life of the member than this one does its work.
    Active(Option<Incarnation>),
    /// The node has this weight, or has left.
    Weighs(Incarnation, Weight),
    /// The node has the weight that it was promised, or has left.
    Balanced(Incarnation),
    /// Nothing.
    Nothing,
}

impl Goal {
    /// What an action on the member waits for, as the view is before it.
    pub(super) fn of(action: Occasion, member: &MemberId, weight: Option<Weight>, view: &View) -> Self {
        let now = view.incarnation_of(member);
        match (action, now) {
            (Occasion::Add | Occasion::Start, _) | (Occasion::Thaw, None) => Self::Active(now),
            (Occasion::Stop | Occasion::Kill | Occasion::Freeze, Some(now)) => Self::Gone(now),
            (Occasion::Weight, Some(now)) => weight.map_or(Self::Balanced(now), |weight| Self::Weighs(now, weight)),
            _ => Self::Nothing,
        }
    }

    /// What is still missing in the view, in words.
    pub(super) fn missing(self, member: &MemberId, view: &View) -> Option<String> {
        match self {
            Self::Gone(life) => view.has(life).then(|| format!("{member} is still in the view")),
            Self::Active(old) => {
                let now = view.incarnation_of(member).filter(|now| Some(*now) != old);
                let node = now.and_then(|now| view.node(now));
                match (now, node.map(ringway_core::view::NodeEntry::state)) {
                    (None, _) => Some(format!("{member} has not joined")),
                    (Some(_), Some(NodeState::Joining)) => Some(format!("{member} is being filled")),
                    _ => None,
                }
            }
            Self::Weighs(life, weight) => {
                let other = view.node(life).is_some_and(|node| node.now != weight || node.next != weight);
                other.then(|| format!("{member} has not got its weight yet"))
            }
            Self::Balanced(life) => {
                let other = view.node(life).is_some_and(|node| node.now != node.next);
                other.then(|| format!("{member} has not got its weight yet"))
            }
            Self::Nothing => None,
        }
    }
}

/// That nobody owns slots, or which owners have not said that all of these have their copies in this view, in words.
pub(super) fn unsettled(view: &View, settled: &HashMap<Incarnation, Epoch>) -> Option<String> {
    let is_settled = |node: Incarnation| settled.get(&node).is_some_and(|epoch| *epoch >= view.epoch);
    let open = view.nodes.iter().filter(|node| node.serves() && !is_settled(node.incarnation));
    let names: Vec<&str> = open.map(|node| node.id.as_str()).collect();
    if view.nodes.iter().all(|node| !node.serves()) {
        return Some("no node is there to own the slots".to_owned());
    }
    (!names.is_empty()).then(|| format!("slots of {} have not all their copies", names.join(", ")))
}
