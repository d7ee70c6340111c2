//! What changed from one view to another, in words, for the log.

use std::collections::BTreeSet;
use std::fmt;

use super::{GatewayEntry, NodeEntry, NodeState, View};
use crate::id::MemberId;
use crate::ring::Weight;

/// Members that are named; more are counted. A view that is the first one of a member may differ in hundreds.
const NAMED: usize = 16;

/// From one view to another. Reads like `node-2 joined, node-1 lost; 3 nodes, 2 gateways`.
#[derive(Debug, Clone, Copy)]
pub struct Difference<'a> {
    before: &'a View,
    after: &'a View,
}

impl<'a> Difference<'a> {
    /// What is in `after` and was not in `before`, and the other way round.
    pub fn new(before: &'a View, after: &'a View) -> Self {
        Self { before, after }
    }

    /// A sentence for each member of which something changed.
    fn news(&self) -> Vec<String> {
        let nodes = self.before.nodes.iter().chain(&self.after.nodes).map(|node| &node.id);
        let gateways = self.before.gateways.iter().chain(&self.after.gateways).map(|gateway| &gateway.id);
        let ids: BTreeSet<&MemberId> = nodes.chain(gateways).collect();
        ids.into_iter().flat_map(|id| self.news_of(id)).collect()
    }

    /// One sentence for a member of both roles, if the same is to be said of both.
    fn news_of(&self, id: &MemberId) -> Vec<String> {
        let (node, gateway) = (of_node(node(self.before, id), node(self.after, id)), self.of_gateway(id));
        let gateway = gateway.filter(|said| node.as_deref() != Some(said)).map(str::to_owned);
        node.into_iter().chain(gateway).map(|said| format!("{id} {said}")).collect()
    }

    fn of_gateway(&self, id: &MemberId) -> Option<&'static str> {
        match (gateway(self.before, id), gateway(self.after, id)) {
            (None, Some(_)) => Some("joined"),
            (Some(before), None) if before.draining => Some("left"),
            (Some(_), None) => Some("lost"),
            (Some(before), Some(after)) if before.incarnation != after.incarnation => Some("started over"),
            (Some(before), Some(after)) if after.draining && !before.draining => Some("drains"),
            _ => None,
        }
    }
}

impl fmt::Display for Difference<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let news = self.news();
        match news.len() {
            0 => f.write_str("no member came or went")?,
            named if named <= NAMED => f.write_str(&news.join(", "))?,
            all => write!(f, "{} and {} more changes", news[..NAMED].join(", "), all - NAMED)?,
        }
        let (nodes, gateways) = (self.after.nodes.len(), self.after.gateways.len());
        let plural = |count| if count == 1 { "" } else { "s" };
        write!(f, "; {nodes} node{}, {gateways} gateway{}", plural(nodes), plural(gateways))
    }
}

fn node<'a>(view: &'a View, id: &MemberId) -> Option<&'a NodeEntry> {
    view.nodes.iter().find(|node| node.id == *id)
}

fn gateway<'a>(view: &'a View, id: &MemberId) -> Option<&'a GatewayEntry> {
    view.gateways.iter().find(|gateway| gateway.id == *id)
}

fn of_node(before: Option<&NodeEntry>, after: Option<&NodeEntry>) -> Option<String> {
    let said = match (before, after) {
        (None, None) => return None,
        (None, Some(after)) if after.serves() => "joined",
        (None, Some(_)) => "joins",
        (Some(before), None) if before.next == Weight::ZERO => "left",
        (Some(_), None) => "lost",
        (Some(before), Some(after)) if before.incarnation != after.incarnation => "started over",
        (Some(before), Some(after)) => return of_weights(before, after),
    };
    Some(said.to_owned())
}

fn of_weights(before: &NodeEntry, after: &NodeEntry) -> Option<String> {
    match (before.state(), after.state()) {
        _ if (before.now, before.next) == (after.now, after.next) => None,
        (NodeState::Joining, NodeState::Active) => Some("active".to_owned()),
        (NodeState::Draining, NodeState::Active) => Some("stays, for nobody else is left".to_owned()),
        (_, NodeState::Draining) => Some("drains".to_owned()),
        (_, NodeState::Resting) => Some("rests".to_owned()),
        (_, NodeState::Active) => Some(format!("has weight {}", after.now.as_number())),
        _ => Some(format!("goes from weight {} to {}", after.now.as_number(), after.next.as_number())),
    }
}

#[cfg(test)]
mod tests;
