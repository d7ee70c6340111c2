//! The nodes of one table, in order of their ids.

use std::collections::BTreeMap;

use super::hash::HashKey;
use super::score::{Bid, draw};
use super::weight::Weight;
use crate::id::MemberId;

/// The most nodes a table takes, a bound for the time a whole build may need (67 million scores at 65,536 slots). The
/// view refuses a join beyond it.
pub const MAX_NODES: usize = 1_024;

/// Ids, weights and seeds. A node's rank here is its index, so the order of indexes is the order of ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Roster {
    nodes: Vec<(MemberId, Weight)>,
    /// Keyed hashes of the ids, where the nodes' draws begin.
    seeds: Vec<u64>,
}

impl Roster {
    /// Sorts the nodes; of two entries with one id the later counts.
    pub(super) fn new(key: &HashKey, nodes: &[(MemberId, Weight)]) -> Self {
        let nodes: BTreeMap<_, _> = nodes.iter().cloned().collect();
        let seeds = nodes.keys().map(|id| key.hash_member(id)).collect();
        Self { nodes: nodes.into_iter().collect(), seeds }.within_limit()
    }

    /// Where the node is, or where it would be.
    pub(super) fn find(&self, id: &MemberId) -> Result<usize, usize> {
        self.nodes.binary_search_by(|(known, _)| known.cmp(id))
    }

    #[must_use]
    pub(super) fn inserted(&self, key: &HashKey, rank: usize, id: &MemberId, weight: Weight) -> Self {
        let mut roster = self.clone();
        roster.nodes.insert(rank, (id.clone(), weight));
        roster.seeds.insert(rank, key.hash_member(id));
        roster.within_limit()
    }

    #[must_use]
    pub(super) fn reweighed(&self, rank: usize, weight: Weight) -> Self {
        let mut roster = self.clone();
        roster.nodes[rank].1 = weight;
        roster
    }

    #[must_use]
    pub(super) fn removed(&self, rank: usize) -> Self {
        let mut roster = self.clone();
        roster.nodes.remove(rank);
        roster.seeds.remove(rank);
        roster
    }

    pub(super) fn nodes(&self) -> &[(MemberId, Weight)] {
        &self.nodes
    }

    pub(super) fn weight(&self, rank: usize) -> Weight {
        self.nodes[rank].1
    }

    pub(super) fn seeds(&self) -> &[u64] {
        &self.seeds
    }

    /// What the node bids for the slot at this step.
    #[inline]
    pub(super) fn bid(&self, node: u16, step: u64) -> Bid {
        let rank = usize::from(node);
        Bid { draw: draw(self.seeds[rank], step), weight: self.nodes[rank].1, node }
    }

    fn within_limit(self) -> Self {
        assert!(self.nodes.len() <= MAX_NODES, "{} nodes are more than a table takes ({MAX_NODES})", self.nodes.len());
        self
    }
}
