//! How even the three placements are, over a hundred seeded sets of nodes each.

use ringway_core::ring::{SlotCount, Table};

use crate::{addresses, equal_nodes, id, ketama, key, seed};

const SETS: u64 = 100;

/// A placement: the share of each of some nodes in one set, one of them left out if it is dead.
type Shares = fn(set: u64, nodes: usize, dead: Option<usize>) -> Vec<f64>;

const PLACEMENTS: [(&str, Shares); 3] = [
    ("ringway", slots),
    ("ketama-160", |set, nodes, dead| ketama::ring(&alive(set, nodes, dead)).shares()),
    ("seed-100", |set, nodes, dead| seed::ring(&alive(set, nodes, dead)).shares()),
];

/// Prints the table, in the form in which it stands in the documentation.
pub(crate) fn print() {
    println!("| median / 99th percentile of {SETS} sets | 3 nodes | 10 nodes | 100 nodes | busiest heir of 10 |");
    println!("|---|---|---|---|---|");
    for (name, shares) in PLACEMENTS {
        let level =
            [3, 10, 100].map(|nodes| summary((0..SETS).map(|set| max_over_mean(&shares(set, nodes, None))).collect()));
        println!("| {name} | {} | {} |", level.join(" | "), heir(shares));
    }
}

fn slots(set: u64, nodes: usize, dead: Option<usize>) -> Vec<f64> {
    let whole = Table::new(key(set), SlotCount::DEFAULT, &equal_nodes(nodes));
    let table = dead.map_or_else(|| whole.clone(), |dead| whole.without(&id(dead)));
    let share = |node| f64::from(table.slots_owned(node)) / f64::from(table.count().get());
    (0..nodes).filter_map(|node| table.index_of(&id(node))).map(share).collect()
}

fn alive(set: u64, nodes: usize, dead: Option<usize>) -> Vec<String> {
    let mut addresses = addresses(set, nodes);
    if let Some(dead) = dead {
        addresses.remove(dead);
    }
    addresses
}

/// What the busiest heir takes of a dead node's share, in fair shares; each of ten nodes dies in each set.
fn heir(shares: Shares) -> String {
    let mut samples = Vec::new();
    for set in 0..SETS {
        let before = shares(set, 10, None);
        for dead in 0..10 {
            let survivors = (0..10).filter(|&node| node != dead);
            let gains: Vec<_> =
                survivors.zip(shares(set, 10, Some(dead))).map(|(node, now)| now - before[node]).collect();
            samples.push(max_over_mean(&gains));
        }
    }
    summary(samples)
}

fn max_over_mean(loads: &[f64]) -> f64 {
    loads.iter().copied().fold(0.0, f64::max) * loads.len() as f64 / loads.iter().sum::<f64>()
}

fn summary(mut samples: Vec<f64>) -> String {
    samples.sort_by(f64::total_cmp);
    let rank = |part: f64| samples[(samples.len() as f64 * part).ceil() as usize - 1];
    format!("{:.3} / {:.3}", rank(0.5), rank(0.99))
}
