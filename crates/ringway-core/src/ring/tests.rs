mod balance;
mod golden;
mod properties;
mod tables;

use super::{HashKey, SlotCount, Table, Weight};
use crate::id::MemberId;

fn id(name: &str) -> MemberId {
    MemberId::new(name).unwrap()
}

/// A key that differs with each seed, the same in every run.
fn key(seed: u64) -> HashKey {
    let [low, high] = [seed, !seed].map(|half| super::score::mix(half).to_le_bytes());
    HashKey::from_bytes(std::array::from_fn(|i| if i < 8 { low[i] } else { high[i - 8] }))
}

fn weight(thousandths: u32) -> Weight {
    Weight::from_thousandths(thousandths).unwrap()
}

/// `node-0`, `node-1` and so on, all of weight 1.
fn equal_nodes(nodes: usize) -> Vec<(MemberId, Weight)> {
    (0..nodes).map(|i| (id(&format!("node-{i}")), Weight::ONE)).collect()
}

fn slots_owned(table: &Table) -> Vec<u32> {
    table.nodes().iter().map(|(id, _)| table.slots_owned(table.index_of(id).unwrap())).collect()
}

fn count(slots: u32) -> SlotCount {
    SlotCount::new(slots).unwrap()
}
