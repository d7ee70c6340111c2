//! Single cases: limits, names, empty and tiny clusters.

use super::{count, equal_nodes, id, key, weight};
use crate::id::Slot;
use crate::ring::{HashKey, MAX_NODES, SlotCount, Table, Weight, moves, slot_of};

#[test]
fn slot_counts_are_powers_of_two_within_bounds() {
    for good in [8, 16, 64, 1_024, 65_536] {
        assert_eq!(SlotCount::new(good).unwrap().get(), good);
    }
    for bad in [0, 1, 4, 7, 9, 65_535, 65_537, 131_072, u32::MAX] {
        let error = SlotCount::new(bad).unwrap_err();
        assert!(error.to_string().contains("from 8 to 65536"), "{error}");
    }
    assert_eq!(SlotCount::default().get(), 65_536);
}

#[test]
fn slot_numbers_from_outside_are_checked() {
    assert_eq!(count(8).slot(7), Some(Slot(7)));
    assert_eq!(count(8).slot(8), None);
    assert_eq!(count(8).slots().collect::<Vec<_>>().len(), 8);
}

#[test]
fn weights_are_thousandths_within_bounds() {
    for (number, thousandths) in
        [(0.0, 0), (-0.0, 0), (0.5, 500), (1.0, 1_000), (2.0, 2_000), (0.001, 1), (1_000.0, 1_000_000)]
    {
        assert_eq!(Weight::from_number(number).unwrap().thousandths(), thousandths);
    }
    for bad in [-1.0, -0.0001, 0.0004, 1_000.001, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!(Weight::from_number(bad).is_err(), "{bad}");
    }
    assert!(Weight::from_thousandths(1_000_001).is_err());
    assert_eq!((weight(2_500).as_number(), weight(500).to_string().as_str()), (2.5, "0.5"));
    assert_eq!(Weight::default(), Weight::ONE);
}

#[test]
fn the_key_does_not_show_in_its_text_form() {
    let key = HashKey::from_bytes([0xab; 16]);
    assert_eq!(format!("{key:?}"), "HashKey(..)");
    assert_eq!(HashKey::from_bytes(*key.as_bytes()), key);
}

#[test]
fn a_slot_is_the_top_bits_so_a_finer_count_splits_it() {
    for name in ["#alice", "chat:lobby", "", "ünïcode"] {
        let fine = slot_of(&key(1), SlotCount::DEFAULT, name);
        assert_eq!(slot_of(&key(1), count(8), name), Slot(fine.0 >> 13));
    }
}

#[test]
fn without_nodes_nobody_owns_anything() {
    let table = Table::new(key(1), count(8), &[]);
    assert!(table.count().slots().all(|slot| table.owner(slot).is_none() && table.standby(slot).is_none()));
    assert_eq!(table.nodes().len(), 0);
}

#[test]
fn one_node_owns_all_and_nobody_stands_by() {
    let table = Table::new(key(1), count(64), &equal_nodes(1));
    let only = table.index_of(&id("node-0")).unwrap();
    assert!(table.count().slots().all(|slot| table.owner(slot) == Some(only) && table.standby(slot).is_none()));
    assert_eq!(table.slots_owned(only), 64);
}

#[test]
fn a_slot_that_does_not_exist_has_no_owner() {
    let table = Table::new(key(1), count(8), &equal_nodes(3));
    assert_eq!((table.owner(Slot(8)), table.standby(Slot(8))), (None, None));
    assert!(table.owner(Slot(7)).is_some());
}

#[test]
fn weight_zero_is_known_but_takes_nothing() {
    let table = Table::new(key(1), count(64), &[(id("a"), Weight::ONE), (id("b"), Weight::ZERO)]);
    let b = table.index_of(&id("b")).unwrap();
    assert!(table.count().slots().all(|slot| table.owner(slot) != Some(b) && table.standby(slot) != Some(b)));
    assert_eq!((table.slots_owned(b), table.nodes()[b.index()].1), (0, Weight::ZERO));
    assert_eq!(table.checksum(), table.without(&id("b")).checksum(), "it leaves no trace in the sum");
}

#[test]
fn the_order_of_nodes_does_not_matter_and_the_last_entry_counts() {
    let mut nodes = equal_nodes(5);
    let table = Table::new(key(1), count(64), &nodes);
    nodes.reverse();
    assert_eq!(Table::new(key(1), count(64), &nodes), table);
    nodes.insert(0, (id("node-3"), weight(9_000)));
    assert_eq!(Table::new(key(1), count(64), &nodes), table);
}

#[test]
fn moves_to_and_from_an_empty_cluster_name_every_slot() {
    let empty = Table::new(key(1), count(8), &[]);
    let one = empty.with(&id("a"), Weight::ONE);
    let arrived = moves(&empty, &one);
    assert_eq!(arrived.len(), 8);
    assert!(arrived.iter().all(|m| m.from.is_none() && m.to == Some(id("a"))));
    assert!(moves(&one, &empty).iter().all(|m| m.from == Some(id("a")) && m.to.is_none()));
    assert_eq!(moves(&one, &one.with(&id("b"), Weight::ZERO)), []);
}

#[test]
fn nothing_moves_between_clusters() {
    let table = |key, count| Table::new(key, count, &[(id("a"), Weight::ONE)]);
    let (here, empty) = (table(key(1), count(8)), Table::new(key(1), count(8), &[]));
    assert_eq!(moves(&empty, &here).len(), 8);
    for elsewhere in [table(key(2), count(8)), table(key(1), count(16))] {
        assert_eq!((moves(&empty, &elsewhere), moves(&elsewhere, &empty)), (vec![], vec![]));
    }
}

#[test]
#[should_panic(expected = "more than a table takes")]
fn a_table_has_a_limit_of_nodes() {
    let table = Table::new(key(1), count(8), &equal_nodes(MAX_NODES));
    let _ = table.with(&id("one-more"), Weight::ONE);
}

#[test]
fn another_key_or_name_changes_the_checksum() {
    let base = Table::new(key(1), count(64), &equal_nodes(3));
    assert_ne!(base.checksum(), Table::new(key(2), count(64), &equal_nodes(3)).checksum());
    assert_ne!(base.checksum(), Table::new(key(1), count(128), &equal_nodes(3)).checksum());
    assert_ne!(base.checksum(), base.with(&id("node-3"), Weight::ONE).checksum());
}
