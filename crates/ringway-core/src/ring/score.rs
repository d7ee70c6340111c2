//! A node's score for a slot, and which of two scores is better.
//!
//! Weighted rendezvous: node `n` draws a number `u` in (0, 1) for the slot, and the lowest `-ln(u) / weight` wins.
//! Those are exponential variables with the weights as rates, so a node wins in proportion to its weight,
//! independently of the others.

use std::cmp::Ordering;

use super::logarithm::cost;
use super::weight::Weight;
use crate::id::Slot;

/// The odd number nearest to 2^64 over the golden ratio, the step of `SplitMix64`.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// Where a slot stands in the sequence of every node's draws.
#[inline(always)]
pub(super) fn step(slot: Slot) -> u64 {
    (u64::from(slot.0) + 1).wrapping_mul(GOLDEN)
}

/// What a node draws for a slot: output number `slot` of `SplitMix64` started at the keyed hash of the node's id.
/// That generator passes the usual batteries of tests and can be entered at any place for two multiplications; the
/// secret is in the seed, and the draws themselves are never shown.
#[inline(always)]
pub(super) fn draw(seed: u64, step: u64) -> u64 {
    mix(seed.wrapping_add(step))
}

/// The output function of `SplitMix64` (Steele, Lea and Flood 2014, variant 13 of Stafford's mixers). A bijection.
#[inline(always)]
pub(super) fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A node's bid for one slot.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bid {
    pub(super) draw: u64,
    pub(super) weight: Weight,
    /// The node's place among the nodes in order of their ids.
    pub(super) node: u16,
}

impl Bid {
    /// Whether this bid wins against the other. The lower cost per weight wins, compared exactly by cross
    /// multiplication; then the higher draw; then the lesser id. That is a strict order of all bids, and among equal
    /// weights it is the order of the draws, which needs no logarithm because the cost never rises with the draw.
    #[inline]
    pub(super) fn beats(&self, other: &Self) -> bool {
        let by_cost = if self.weight == other.weight { Ordering::Equal } else { self.compare_cost(other) };
        match by_cost {
            Ordering::Less => true,
            Ordering::Greater => false,
            Ordering::Equal => (self.draw, other.node) > (other.draw, self.node),
        }
    }

    fn compare_cost(&self, other: &Self) -> Ordering {
        let scaled = |draw, by: Weight| u128::from(cost(draw)) * u128::from(by.thousandths());
        scaled(self.draw, other.weight).cmp(&scaled(other.draw, self.weight))
    }
}
