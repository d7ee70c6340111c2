//! The table of owners and standbys: what placement comes to for one set of nodes.

use super::election::Election;
use super::hash::{HashKey, slot_of};
use super::pair::{NONE, Pair};
use super::roster::Roster;
use super::score::{mix, step};
use super::slots::SlotCount;
use super::weight::Weight;
use crate::id::{MemberId, Slot};

/// A node's place in one table: its rank among the table's nodes in order of their ids. Another table may have another
/// node there; between tables, go by [`MemberId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeIndex(u16);

impl NodeIndex {
    /// The rank as an index into [`Table::nodes`], or into anything with one entry per node.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    pub(super) fn from_raw(raw: u16) -> Option<Self> {
        (raw != NONE).then_some(Self(raw))
    }
}

/// Owner and standby of every slot for one set of nodes. Never changes once built: a changed set of nodes yields a new
/// table, by [`Table::with`] and [`Table::without`] at the price of what moves. Readers share it in an `Arc`. 4 bytes
/// per slot.
///
/// Two tables built from the same key, slot count and nodes are equal, whichever way they came about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    pub(super) key: HashKey,
    pub(super) count: SlotCount,
    pub(super) roster: Roster,
    pub(super) pairs: Vec<Pair>,
    /// How many slots each node owns.
    owned: Vec<u32>,
    checksum: u64,
}

impl Table {
    /// Builds the whole table. The order of the nodes does not matter; of two entries with one id the later counts.
    ///
    /// # Panics
    /// With more than [`MAX_NODES`](super::MAX_NODES) nodes.
    pub fn new(key: HashKey, count: SlotCount, nodes: &[(MemberId, Weight)]) -> Self {
        let roster = Roster::new(&key, nodes);
        let election = Election::among(&roster);
        let pairs = count.slots().map(|slot| election.best_two(slot)).collect();
        Self::from_parts(key, count, roster, pairs)
    }

    /// Counts what each node has and sums the table up.
    pub(super) fn from_parts(key: HashKey, count: SlotCount, roster: Roster, pairs: Vec<Pair>) -> Self {
        let mut owned = vec![0; roster.nodes().len()];
        let mut checksum = mix(u64::from(count.get()));
        let seed = |node: u16| roster.seeds().get(usize::from(node)).copied().unwrap_or(0);
        for (slot, pair) in count.slots().zip(&pairs) {
            if let Some(owned) = owned.get_mut(usize::from(pair.owner)) {
                *owned += 1;
            }
            checksum = checksum.wrapping_add(mix(mix(step(slot) ^ seed(pair.owner)) ^ seed(pair.standby)));
        }
        Self { key, count, roster, pairs, owned, checksum }
    }

    /// The slot of a name, under this table's key.
    #[inline]
    pub fn slot_of(&self, name: &str) -> Slot {
        slot_of(&self.key, self.count, name)
    }

    /// The node that owns the slot. `None` if no node takes slots, or there is no such slot.
    #[inline]
    pub fn owner(&self, slot: Slot) -> Option<NodeIndex> {
        self.pairs.get(slot.index()).and_then(|pair| NodeIndex::from_raw(pair.owner))
    }

    /// The node that stands by for the slot. `None` if fewer than two nodes take slots, or there is no such slot.
    #[inline]
    pub fn standby(&self, slot: Slot) -> Option<NodeIndex> {
        self.pairs.get(slot.index()).and_then(|pair| NodeIndex::from_raw(pair.standby))
    }

    /// The id behind an index of this table.
    ///
    /// # Panics
    /// If the index is from another, larger table.
    #[inline]
    pub fn node(&self, index: NodeIndex) -> &MemberId {
        &self.nodes()[index.index()].0
    }

    /// The index of a node, `None` if it is not in the table.
    pub fn index_of(&self, id: &MemberId) -> Option<NodeIndex> {
        self.roster.find(id).ok().and_then(|rank| NodeIndex::from_raw(rank as u16))
    }

    /// All nodes with their weights in order of their ids, which is the order of their indexes. Those of weight 0 are
    /// among them.
    pub fn nodes(&self) -> &[(MemberId, Weight)] {
        self.roster.nodes()
    }

    /// How many slots the node owns.
    ///
    /// # Panics
    /// If the index is from another, larger table.
    pub fn slots_owned(&self, index: NodeIndex) -> u32 {
        self.owned[index.index()]
    }

    /// The number of slots.
    pub fn count(&self) -> SlotCount {
        self.count
    }

    /// A sum of the names of all owners and standbys, slot by slot, under the cluster's key. Members that compute the
    /// same table have the same sum; nodes without slots leave no trace in it. It finds mistakes, it is no proof
    /// against forgery.
    pub fn checksum(&self) -> u64 {
        self.checksum
    }
}
