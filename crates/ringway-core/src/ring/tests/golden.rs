//! Values that must never change: members of different versions share one cluster, and all of them have to place every
//! name alike. A change here is a change of what goes over the wire, and splits a cluster during an upgrade.

use super::{count, id, weight};
use crate::Slot;
use crate::ring::logarithm::cost;
use crate::ring::score::{draw, step};
use crate::ring::{HashKey, SlotCount, Table, Weight, slot_of};

/// The key of the `SipHash` authors' own test vectors: 00 01 02 … 0f. Their first one for 1-3 is that of the empty
/// name.
const KEY: HashKey = HashKey::from_bytes([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);

#[test]
fn names_hash_to_slots() {
    let expected = [
        ("", 0xabac_0158_050f_c4dc, 43_948),
        ("#alice", 0x8ff1_b6c4_5f0b_79b6, 36_849),
        ("#bob", 0x65c4_448e_c8ca_f3a0, 26_052),
        ("chat:lobby", 0x5ab3_aeaf_a3e3_ce97, 23_219),
        ("ünïcode", 0x1c28_aacd_1cef_7af3, 7_208),
    ];
    for (name, hash, slot) in expected {
        assert_eq!((KEY.hash_name(name), slot_of(&KEY, SlotCount::DEFAULT, name)), (hash, Slot(slot)), "{name:?}");
    }
}

#[test]
fn members_hash_to_seeds() {
    let expected = [("a", 0x0ed5_cef1_a8f7_b80d), ("node-1", 0x6abf_9697_21a7_5cb3), ("node-2", 0x3107_3bdf_6f38_131f)];
    for (name, seed) in expected {
        assert_eq!(KEY.hash_member(&id(name)), seed, "{name}");
    }
}

/// The first two are the published first outputs of `SplitMix64` from seed 0.
#[test]
fn seeds_and_slots_make_draws() {
    let expected = [
        (0, 0, 0xe220_a839_7b1d_cdaf),
        (0, 1, 0x6e78_9e6a_a1b9_65f4),
        (0x0123_4567_89ab_cdef, 0, 0x157a_3807_a48f_aa9d),
        (0x0123_4567_89ab_cdef, 65_535, 0x9ee4_94ea_c238_8961),
    ];
    for (seed, slot, expected) in expected {
        assert_eq!(draw(seed, step(Slot(slot))), expected, "seed {seed:#x}, slot {slot}");
    }
}

#[test]
fn draws_have_costs() {
    let expected = [
        (0, 0x0040_0000_0000_0000),
        (1, 0x0040_0000_0000_0000),
        (1 << 32, 0x001f_ffff_fffe_8eda),
        (0x0123_4567_89ab_cdef, 0x0007_d053_f782_c0bd),
        (1 << 63, 0x0001_0000_0000_0000),
        (0xf000_0000_0000_0000, 0x0000_17d6_0496_cfbc),
        (u64::MAX, 1),
    ];
    for (draw, expected) in expected {
        assert_eq!(cost(draw), expected, "{draw:#x}");
    }
}

#[test]
fn a_small_table_slot_by_slot() {
    let nodes = [(id("node-1"), Weight::ONE), (id("node-2"), weight(2_000)), (id("node-3"), weight(500))];
    let table = Table::new(KEY, count(16), &nodes);
    let last_digit = |index| table.node(index).as_str().trim_start_matches("node-").to_owned();
    let pair = |slot| last_digit(table.owner(slot).unwrap()) + &last_digit(table.standby(slot).unwrap());
    let pairs: Vec<_> = table.count().slots().map(pair).collect();
    assert_eq!(pairs.join(" "), "21 21 21 12 21 21 12 12 21 21 32 12 23 21 21 23");
    assert_eq!(table.checksum(), 0x9aa8_ef63_04ec_9662);
}

/// Ten nodes, of weight 1 but for the last three: 2, 2.25 and 2.5.
#[test]
fn a_full_table_by_its_checksum() {
    let nodes = (1..=10).map(|i| (id(&format!("node-{i}")), if i < 8 { Weight::ONE } else { weight(i * 250) }));
    let table = Table::new(KEY, SlotCount::DEFAULT, &nodes.collect::<Vec<_>>());
    assert_eq!(table.checksum(), 0xb3b2_453a_5531_8f0e);
}
