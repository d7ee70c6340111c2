//! What holds for every set of nodes.

use std::collections::BTreeMap;

use proptest::collection::btree_map;
use proptest::prelude::*;

use super::{count, id, key, weight};
use crate::id::{MemberId, Slot};
use crate::ring::score::step;
use crate::ring::{Table, moves};

type Nodes = BTreeMap<u8, u32>;

/// Some of twelve nodes; many of weight 1, some of 0, others anything.
fn some_nodes() -> impl Strategy<Value = Nodes> {
    btree_map(0..12_u8, some_weight(), 0..10)
}

fn some_weight() -> impl Strategy<Value = u32> {
    prop_oneof![4 => Just(1_000), 1 => Just(0), 3 => 1..5_000_u32, 1 => 1..1_000_000_u32]
}

fn some_table() -> impl Strategy<Value = Table> {
    (any::<u64>(), 3..9_u32, some_nodes()).prop_map(|(seed, bits, nodes)| build(seed, 1 << bits, &nodes))
}

fn name(node: u8) -> MemberId {
    // Ids whose order is not that of their numbers, so that indexes shift when nodes come and go.
    id(&format!("n{}-{node}", node.wrapping_mul(37)))
}

fn build(seed: u64, slots: u32, nodes: &Nodes) -> Table {
    let nodes: Vec<_> = nodes.iter().map(|(&node, &thousandths)| (name(node), weight(thousandths))).collect();
    Table::new(key(seed), count(slots), &nodes)
}

fn owner(table: &Table, slot: Slot) -> Option<&MemberId> {
    table.owner(slot).map(|index| table.node(index))
}

fn standby(table: &Table, slot: Slot) -> Option<&MemberId> {
    table.standby(slot).map(|index| table.node(index))
}

/// All candidates of a slot, best first, by comparing every bid with every other.
fn ranking(table: &Table, slot: Slot) -> Vec<u16> {
    let candidates = (0..table.nodes().len()).filter(|&rank| !table.roster.weight(rank).is_zero());
    let mut bids: Vec<_> = candidates.map(|rank| table.roster.bid(rank as u16, step(slot))).collect();
    bids.sort_by(|a, b| b.beats(a).cmp(&a.beats(b)));
    bids.iter().map(|bid| bid.node).collect()
}

proptest! {
    #[test]
    fn owner_and_standby_are_the_two_best(table in some_table()) {
        for slot in table.count().slots() {
            let ranking = ranking(&table, slot);
            let index = |node: Option<&MemberId>| node.map(|id| table.roster.find(id).unwrap() as u16);
            prop_assert_eq!(index(owner(&table, slot)), ranking.first().copied());
            prop_assert_eq!(index(standby(&table, slot)), ranking.get(1).copied());
        }
    }

    #[test]
    fn step_by_step_and_from_scratch_are_the_same_table(
        seed: u64,
        mut nodes in some_nodes(),
        changes in prop::collection::vec((0..12_u8, prop::option::weighted(0.7, some_weight())), 1..8),
    ) {
        let mut table = build(seed, 64, &nodes);
        for (node, change) in changes {
            let before = table;
            table = match change {
                Some(thousandths) => {
                    nodes.insert(node, thousandths);
                    before.with(&name(node), weight(thousandths))
                }
                None => {
                    nodes.remove(&node);
                    before.without(&name(node))
                }
            };
            prop_assert_eq!(&table, &build(seed, 64, &nodes));
            for moved in moves(&before, &table) {
                let changed = Some(name(node));
                prop_assert!(moved.from == changed || moved.to == changed, "a bystander moved: {:?}", moved);
            }
        }
    }

    #[test]
    fn a_joining_node_takes_what_it_wins_and_the_old_owner_stands_by(
        table in some_table(),
        thousandths in 1..5_000_u32,
    ) {
        let joined = table.with(&id("joining"), weight(thousandths));
        let joining = joined.index_of(&id("joining"));
        prop_assert_eq!(moves(&table, &joined).len(), joined.slots_owned(joining.unwrap()) as usize);
        for slot in table.count().slots() {
            if joined.owner(slot) == joining {
                prop_assert_eq!(standby(&joined, slot), owner(&table, slot));
            } else {
                prop_assert_eq!(owner(&joined, slot), owner(&table, slot));
                if joined.standby(slot) != joining {
                    prop_assert_eq!(standby(&joined, slot), standby(&table, slot));
                }
            }
        }
    }

    #[test]
    fn a_leaving_node_gives_up_its_own_slots_and_the_standby_inherits(
        table in some_table(),
        choice: prop::sample::Index,
    ) {
        prop_assume!(!table.nodes().is_empty());
        let leaving = choice.get(table.nodes()).0.clone();
        let left = table.without(&leaving);
        for slot in table.count().slots() {
            if owner(&table, slot) == Some(&leaving) {
                prop_assert_eq!(owner(&left, slot), standby(&table, slot));
            } else {
                prop_assert_eq!(owner(&left, slot), owner(&table, slot));
                if standby(&table, slot) != Some(&leaving) {
                    prop_assert_eq!(standby(&left, slot), standby(&table, slot));
                }
            }
        }
    }

    #[test]
    fn a_ramp_moves_each_slot_at_most_once_and_to_the_ramped_node(
        table in some_table(),
        mut ramp in prop::collection::vec(1..3_000_u32, 2..6),
    ) {
        ramp.sort_unstable();
        let joining = id("joining");
        let mut moved_before = std::collections::BTreeSet::new();
        let mut current = table;
        for thousandths in ramp {
            let next = current.with(&joining, weight(thousandths));
            for moved in moves(&current, &next) {
                prop_assert_eq!(moved.to.as_ref(), Some(&joining));
                prop_assert!(moved_before.insert(moved.slot), "slot {} moved twice", moved.slot);
            }
            current = next;
        }
    }

    #[test]
    fn moves_are_exactly_the_differences(a in some_nodes(), b in some_nodes(), seed: u64) {
        let (from, to) = (build(seed, 64, &a), build(seed, 64, &b));
        let moved: BTreeMap<_, _> = moves(&from, &to).into_iter().map(|m| (m.slot, (m.from, m.to))).collect();
        for slot in from.count().slots() {
            let (before, after) = (owner(&from, slot).cloned(), owner(&to, slot).cloned());
            prop_assert_eq!(moved.get(&slot).cloned(), (before != after).then_some((before, after)));
        }
    }

    #[test]
    fn counts_agree_with_the_table(table in some_table()) {
        for (node, _) in table.nodes() {
            let index = table.index_of(node).unwrap();
            prop_assert_eq!(table.node(index), node);
            let owned = table.count().slots().filter(|slot| table.owner(*slot) == Some(index)).count();
            prop_assert_eq!(table.slots_owned(index) as usize, owned);
        }
    }
}
