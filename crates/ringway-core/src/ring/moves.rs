//! What changes hands between two tables.

use super::pair::NONE;
use super::table::{NodeIndex, Table};
use crate::id::{MemberId, Slot};

/// A slot that has another owner afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// The slot.
    pub slot: Slot,
    /// Its owner before. `None` if no node took slots.
    pub from: Option<MemberId>,
    /// Its owner after. `None` if no node takes slots.
    pub to: Option<MemberId>,
}

/// Every slot whose owner differs between two tables of one cluster, in order of slots. Empty if none does, and if the tables
/// differ in key or slot count: then they are not of one cluster, and nothing moves between their slots.
pub fn moves(from: &Table, to: &Table) -> Vec<Move> {
    if from.key != to.key || from.count != to.count {
        return Vec::new();
    }
    let renumbered: Vec<u16> =
        from.nodes().iter().map(|(id, _)| to.roster.find(id).map_or(GONE, |rank| rank as u16)).collect();
    let after = |owner: u16| renumbered.get(usize::from(owner)).copied().unwrap_or(NONE);
    let name = |table: &Table, owner| NodeIndex::from_raw(owner).map(|index| table.node(index).clone());
    let pairs = from.count.slots().zip(from.pairs.iter().zip(&to.pairs));
    pairs
        .filter(|(_, (old, new))| after(old.owner) != new.owner)
        .map(|(slot, (old, new))| Move { slot, from: name(from, old.owner), to: name(to, new.owner) })
        .collect()
}

/// Stands for a node that the later table does not have: neither an index nor "no node".
const GONE: u16 = NONE - 1;
