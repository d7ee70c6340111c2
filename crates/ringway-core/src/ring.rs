//! Placement: which node owns a name, which one stands by, and what moves when the set of nodes changes.
//!
//! A name is hashed with the cluster's key; the top bits of the hash are its [`Slot`](crate::Slot), one of a number
//! of equal arcs that was fixed when the cluster was born. For each slot every node draws a score by weighted
//! rendezvous; the best score owns the slot and the second best is the standby. A [`Table`] holds the outcome for all
//! slots, so that finding an owner is one hash and one array read.
//!
//! Placement is a pure function of (key, slot count, node ids and weights). Nothing is stored and nothing depends on
//! history, so every member computes the same table; [`Table::checksum`] lets them make sure. All arithmetic is in
//! integers: the result is the same on every machine.
//!
//! What follows from "best two scores", and is tested:
//! - a node that joins takes the slots it wins and nothing else moves; the owner it took a slot from stands by there;
//! - a node that leaves gives up its own slots only, and each goes to its standby;
//! - a changed weight moves slots to or from that node only.

mod change;
mod election;
mod hash;
mod logarithm;
mod moves;
mod pair;
mod roster;
mod score;
mod siphash;
mod slot_set;
mod slots;
mod table;
mod weight;

pub use hash::{HashKey, slot_of};
pub use moves::{Move, moves};
pub use roster::MAX_NODES;
pub use slot_set::SlotSet;
pub use slots::{SlotCount, SlotCountError};
pub use table::{NodeIndex, Table};
pub use weight::{Weight, WeightError};

#[cfg(test)]
mod tests;
