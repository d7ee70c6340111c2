//! How evenly slots fall, over a hundred seeded sets of nodes. The bounds are those of chance for this number of slots
//! (10 nodes: a node's share has a standard deviation of 1.2 %), with a little room: placement must be as good as
//! drawing lots.

use super::{equal_nodes, id, key, slots_owned, weight};
use crate::ring::{SlotCount, Table, moves};

const SETS: u64 = 100;

/// Fifty and ninety-nine per cent of the samples are no greater.
fn median_and_p99(mut samples: Vec<f64>) -> (f64, f64) {
    samples.sort_by(f64::total_cmp);
    let rank = |part: f64| samples[(samples.len() as f64 * part).ceil() as usize - 1];
    (rank(0.5), rank(0.99))
}

fn max_over_mean(loads: &[u32]) -> f64 {
    let total: u32 = loads.iter().sum();
    f64::from(*loads.iter().max().unwrap()) * loads.len() as f64 / f64::from(total)
}

fn balance(nodes: usize) -> (f64, f64) {
    let nodes = equal_nodes(nodes);
    let tables = (0..SETS).map(|seed| Table::new(key(seed), SlotCount::DEFAULT, &nodes));
    median_and_p99(tables.map(|table| max_over_mean(&slots_owned(&table))).collect())
}

#[test]
fn ten_equal_nodes_are_level() {
    let (median, p99) = balance(10);
    assert!(median <= 1.03 && p99 <= 1.05, "median {median:.4}, 99th percentile {p99:.4}");
}

#[test]
fn a_hundred_equal_nodes_are_level() {
    let (median, p99) = balance(100);
    assert!(median <= 1.12 && p99 <= 1.17, "median {median:.4}, 99th percentile {p99:.4}");
}

/// Every one of ten nodes dies in turn; a fair share is a ninth of what it owned.
#[test]
fn a_dead_nodes_slots_spread_over_all_others() {
    let mut samples = Vec::new();
    for seed in 0..SETS {
        let table = Table::new(key(seed), SlotCount::DEFAULT, &equal_nodes(10));
        let before = slots_owned(&table);
        for dead in 0..10 {
            let mut after = slots_owned(&table.without(&id(&format!("node-{dead}"))));
            after.insert(dead, 0);
            let inherited: Vec<_> =
                (0..10).filter(|&node| node != dead).map(|node| after[node] - before[node]).collect();
            assert_eq!(inherited.iter().sum::<u32>(), before[dead]);
            samples.push(max_over_mean(&inherited));
        }
    }
    let (median, p99) = median_and_p99(samples);
    assert!(median <= 1.10 && p99 <= 1.13, "median {median:.4}, 99th percentile {p99:.4}");
}

#[test]
fn shares_follow_weights() {
    for seed in 0..20 {
        let nodes = [(id("a"), weight(1_000)), (id("b"), weight(2_000)), (id("c"), weight(3_000))];
        let table = Table::new(key(seed), SlotCount::DEFAULT, &nodes);
        for (owned, share) in slots_owned(&table).into_iter().zip([1.0, 2.0, 3.0]) {
            let off = f64::from(owned) / (65_536.0 * share / 6.0) - 1.0;
            assert!(off.abs() <= 0.04, "seed {seed}, weight {share}: off by {:.1} %", off * 100.0);
        }
    }
}

/// The same proportions at another scale change nothing but the roundings of the logarithm, which are far below one
/// slot in a thousand.
#[test]
fn only_the_proportion_of_weights_matters() {
    let at_scale = |scale: u32| {
        let nodes: Vec<_> = (1..=5).map(|i| (id(&format!("node-{i}")), weight(i * scale))).collect();
        Table::new(key(7), SlotCount::DEFAULT, &nodes)
    };
    let (small, large) = (at_scale(1), at_scale(100_000));
    let differing = small.count().slots().filter(|slot| small.owner(*slot) != large.owner(*slot)).count();
    assert_eq!((differing, moves(&small, &large).len()), (0, 0));
}

/// Names that people really use (a prefix and a number) fall as evenly as lots would: a chi-square test over 1,024
/// slots, whose statistic has mean 1,023 and standard deviation 45.
#[test]
fn alike_names_spread_evenly() {
    for (seed, prefix) in ["#user-", "chat:room:", "#"].into_iter().enumerate() {
        let table = Table::new(key(seed as u64), super::count(1_024), &[]);
        let mut hits = vec![0_u32; 1_024];
        for i in 0..102_400 {
            hits[table.slot_of(&format!("{prefix}{i}")).index()] += 1;
        }
        let chi_square: f64 = hits.iter().map(|&hits| (f64::from(hits) - 100.0).powi(2) / 100.0).sum();
        assert!((1_023.0 - 5.0 * 45.0..1_023.0 + 5.0 * 45.0).contains(&chi_square), "{prefix}: {chi_square:.0}");
    }
}

/// The draws of one node must not tell those of another: over all slots each of two nodes wins half, and the winner
/// of a slot says nothing about the winner of the next one or of one a power of two away.
#[test]
fn draws_of_slots_and_nodes_are_independent() {
    for seed in 0..20 {
        let table = Table::new(key(seed), SlotCount::DEFAULT, &equal_nodes(2));
        let first = |slot: u32| table.owner(crate::Slot(slot % 65_536)).unwrap().index() == 0;
        for distance in [1, 2, 3, 64, 1_024, 32_768] {
            let agreeing = (0..65_536).filter(|&slot| first(slot) == first(slot + distance)).count();
            // A standard deviation is at most 181 (half as many independent pairs at distance 32,768).
            assert!((31_668..33_868).contains(&agreeing), "seed {seed}, distance {distance}: {agreeing}");
        }
    }
}
