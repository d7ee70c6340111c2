//! What does placement cost, and how even is it, beside the two rings that people would reach for? Its answers stand in
//! docs/performance.md.
//!
//! `cargo bench -p ringway-core --bench ring` prints a table of balance first, then times.

mod arcs;
mod balance;
mod ketama;
mod seed;

use std::hint::black_box;
use std::time::Instant;

use criterion::{BenchmarkId, Criterion};
use ringway_core::MemberId;
use ringway_core::ring::{HashKey, SlotCount, Table, Weight, moves};

/// `key`s that differ with each seed, the same in every run.
fn key(seed: u64) -> HashKey {
    let low = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
    HashKey::from_bytes(std::array::from_fn(|i| low[i % 8].wrapping_add(i as u8)))
}

fn id(node: usize) -> MemberId {
    MemberId::new(&format!("node-{node}")).expect("a well-formed id")
}

fn equal_nodes(nodes: usize) -> Vec<(MemberId, Weight)> {
    (0..nodes).map(|node| (id(node), Weight::ONE)).collect()
}

fn table(nodes: usize) -> Table {
    Table::new(key(0), SlotCount::DEFAULT, &equal_nodes(nodes))
}

/// Addresses of the nodes of one seeded set, which are what the two rings hash.
fn addresses(set: u64, nodes: usize) -> Vec<String> {
    (0..nodes).map(|node| format!("10.{}.{}.{node}:7000", set / 256, set % 256)).collect()
}

/// Times a look-up over names of users in turn, enough of them that no branch or cache line is learned by heart.
fn look_up<T>(c: &mut Criterion, what: &str, nodes: usize, owner: impl Fn(&str) -> T) {
    let names: Vec<_> = (0..4_096).map(|user| format!("#user-{user}")).collect();
    c.bench_with_input(BenchmarkId::new(format!("key to owner/{what}"), nodes), &nodes, |b, _| {
        b.iter_custom(|times| {
            let started = Instant::now();
            for name in names.iter().cycle().take(times as usize) {
                black_box(owner(black_box(name)));
            }
            started.elapsed()
        });
    });
}

fn look_ups(c: &mut Criterion) {
    for nodes in [10, 100] {
        let table = table(nodes);
        look_up(c, "ringway", nodes, |name| table.owner(table.slot_of(name)));
        let ring = ketama::ring(&addresses(0, nodes));
        look_up(c, "ketama-160", nodes, |name| ring.owner(ketama::hash(name)));
        let ring = seed::ring(&addresses(0, nodes));
        look_up(c, "seed-100", nodes, |name| ring.owner(seed::hash(name)));
    }
}

fn changes(c: &mut Criterion) {
    let table = table(100);
    c.bench_function("change/add to 99", |b| {
        let ninety_nine = table.without(&id(42));
        b.iter(|| black_box(&ninety_nine).with(&id(42), Weight::ONE));
    });
    c.bench_function("change/remove of 100", |b| b.iter(|| black_box(&table).without(&id(42))));
    let half = Weight::from_number(0.5).expect("half is a weight");
    c.bench_function("change/halve one of 100", |b| b.iter(|| black_box(&table).with(&id(42), half)));
    c.bench_function("change/double one of 100", |b| {
        let halved = table.with(&id(42), half);
        b.iter(|| black_box(&halved).with(&id(42), Weight::ONE));
    });
    let without = table.without(&id(42));
    c.bench_function("change/name the moves", |b| b.iter(|| moves(black_box(&table), black_box(&without))));
}

fn builds(c: &mut Criterion) {
    for nodes in [10, 100] {
        let equal = equal_nodes(nodes);
        c.bench_with_input(BenchmarkId::new("build/ringway", nodes), &equal, |b, nodes| {
            b.iter(|| Table::new(key(0), SlotCount::DEFAULT, nodes));
        });
        let mixed: Vec<_> = equal.iter().enumerate().map(|(i, (id, _))| (id.clone(), mixed_weight(i))).collect();
        c.bench_with_input(BenchmarkId::new("build/ringway, all weights different", nodes), &mixed, |b, nodes| {
            b.iter(|| Table::new(key(0), SlotCount::DEFAULT, nodes));
        });
        let addresses = addresses(0, nodes);
        c.bench_with_input(BenchmarkId::new("build/ketama-160", nodes), &addresses, |b, nodes| {
            b.iter(|| ketama::ring(nodes));
        });
        c.bench_with_input(BenchmarkId::new("build/seed-100", nodes), &addresses, |b, nodes| {
            b.iter(|| seed::ring(nodes));
        });
    }
}

fn mixed_weight(node: usize) -> Weight {
    Weight::from_thousandths(500 + 10 * node as u32).expect("from 0.5 to 1.5")
}

fn main() {
    seed::check();
    let mut criterion = Criterion::default().configure_from_args();
    balance::print();
    look_ups(&mut criterion);
    changes(&mut criterion);
    builds(&mut criterion);
    criterion.final_summary();
}
