//! A few hundred seeds of each mode without a violation, the same run for the same seed, and every lie found.

use ringway_sim::{Mode, Order, Sabotage, run};

fn order(seed: u64, mode: Mode) -> Order {
    Order { seed, mode, sabotage: None, trace: false }
}

/// Runs these seeds on two threads; the first violation fails with what shows it again.
fn all_hold(mode: Mode, seeds: std::ops::Range<u64>) {
    let middle = seeds.start + (seeds.end - seeds.start) / 2;
    let half = |seeds: std::ops::Range<u64>| {
        for seed in seeds {
            if let Some(violation) = run(order(seed, mode)).violation {
                panic!(
                    "seed {seed} of mode {mode:?}: {violation:?}; again: ringway-sim --from {seed} --seeds 1 --trace"
                );
            }
        }
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(|| half(middle..seeds.end));
        half(seeds.start..middle);
        other.join().expect("the other half holds, too");
    });
}

#[test]
fn planned_changes_lose_nothing() {
    all_hold(Mode::Planned, 1..151);
}

#[test]
fn one_fault_at_a_time_loses_nothing() {
    all_hold(Mode::One, 1..151);
}

#[test]
fn overlapping_faults_break_no_promise() {
    all_hold(Mode::Wild, 1..151);
}

#[test]
fn a_seed_decides_a_run() {
    let mut acknowledged = 0;
    for (mode, seed) in [(Mode::Planned, 7), (Mode::One, 8), (Mode::Wild, 9), (Mode::Wild, 10)] {
        let (first, second) = (run(order(seed, mode)), run(order(seed, mode)));
        assert_eq!(first, second, "{mode:?}");
        acknowledged += first.acknowledged;
    }
    assert!(acknowledged > 0, "these runs prove nothing");
}

/// Where each lie is told, and within how many seeds it must be found out.
const FOUND: [(Sabotage, Mode, u64); 16] = [
    (Sabotage::ForgeTerm, Mode::One, 40),
    (Sabotage::MarkEarly, Mode::One, 20),
    (Sabotage::ForgeMark, Mode::One, 10),
    (Sabotage::ForgeHave, Mode::One, 10),
    (Sabotage::DropUnreachable, Mode::One, 20),
    (Sabotage::ForgeReleased, Mode::Planned, 10),
    (Sabotage::ForgeClaimed, Mode::Planned, 10),
    (Sabotage::StripPublishers, Mode::Planned, 20),
    (Sabotage::StripKeys, Mode::Planned, 20),
    (Sabotage::ForgeSettled, Mode::Planned, 30),
    (Sabotage::ForgeFloor, Mode::One, 100),
    (Sabotage::ForgeOffset, Mode::One, 10),
    (Sabotage::LateAttach, Mode::Planned, 20),
    (Sabotage::TrimCopies, Mode::Planned, 10),
    (Sabotage::ForgetDelivered, Mode::Planned, 10),
    (Sabotage::MarkEarly, Mode::Wild, 20),
];

#[test]
fn rules_left_out_are_missed() {
    for (sabotage, mode, seeds) in FOUND {
        let lie = |seed| run(Order { sabotage: Some(sabotage), ..order(seed, mode) });
        let found = (1..=seeds).find_map(|seed| Some((seed, lie(seed).violation?)));
        let Some((seed, violation)) = found else {
            panic!("{sabotage:?} was not found in {seeds} seeds of mode {mode:?}");
        };
        println!("{sabotage:?}: {} at seed {seed} ({mode:?})", violation.rule);
    }
}
