//! The best two nodes of a slot, by the score of every node.

use std::collections::BTreeMap;

use super::pair::{NONE, Pair};
use super::roster::Roster;
use super::score::{Bid, draw, step};
use super::weight::Weight;
use crate::id::Slot;

/// The nodes that may win slots, those of equal weight together: inside such a class the higher draw wins, and only the
/// best two of each class ever need a logarithm.
#[derive(Debug)]
pub(super) struct Election {
    classes: Vec<Class>,
}

#[derive(Debug)]
struct Class {
    weight: Weight,
    /// (seed, node) in order of the nodes.
    candidates: Vec<(u64, u16)>,
}

impl Election {
    /// Sorts the nodes into classes. Nodes of weight 0 are not candidates.
    pub(super) fn among(roster: &Roster) -> Self {
        let mut classes: BTreeMap<Weight, Vec<_>> = BTreeMap::new();
        for (rank, (&(_, weight), &seed)) in roster.nodes().iter().zip(roster.seeds()).enumerate() {
            if !weight.is_zero() {
                classes.entry(weight).or_default().push((seed, rank as u16));
            }
        }
        let classes = classes.into_iter().map(|(weight, candidates)| Class { weight, candidates });
        Self { classes: classes.collect() }
    }

    /// Owner and standby of a slot.
    pub(super) fn best_two(&self, slot: Slot) -> Pair {
        let step = step(slot);
        // The usual case: all weigh the same, and there is nothing to compare between classes.
        if let [class] = &self.classes[..] {
            let [(_, owner), (_, standby)] = class.best_two(step);
            return Pair { owner, standby };
        }
        let mut lead = Lead::default();
        for class in &self.classes {
            class.bids(step).for_each(|bid| lead.admit(bid));
        }
        lead.pair()
    }
}

impl Class {
    /// The best two of the class with their draws, best first; [`NONE`] where there are fewer. On a tie of draws the earlier
    /// node stays, which is the one with the lesser id.
    #[inline]
    fn best_two(&self, step: u64) -> [(u64, u16); 2] {
        let (mut first, mut second) = ((0, NONE), (0, NONE));
        for &(seed, node) in &self.candidates {
            let draw = draw(seed, step);
            if draw > second.0 || second.1 == NONE {
                if draw > first.0 || first.1 == NONE {
                    second = first;
                    first = (draw, node);
                } else {
                    second = (draw, node);
                }
            }
        }
        [first, second]
    }

    /// The same as bids.
    #[inline]
    fn bids(&self, step: u64) -> impl Iterator<Item = Bid> {
        let weight = self.weight;
        self.best_two(step).into_iter().filter(|(_, node)| *node != NONE).map(move |(draw, node)| Bid {
            draw,
            weight,
            node,
        })
    }
}

/// The best two bids so far.
#[derive(Debug, Default)]
pub(super) struct Lead {
    first: Option<Bid>,
    second: Option<Bid>,
}

impl Lead {
    /// Takes a bid into the order.
    #[inline]
    pub(super) fn admit(&mut self, bid: Bid) {
        if self.first.is_none_or(|first| bid.beats(&first)) {
            self.second = self.first.replace(bid);
        } else if self.second.is_none_or(|second| bid.beats(&second)) {
            self.second = Some(bid);
        }
    }

    pub(super) fn pair(&self) -> Pair {
        let node = |bid: Option<Bid>| bid.map_or(NONE, |bid| bid.node);
        Pair { owner: node(self.first), standby: node(self.second) }
    }
}
