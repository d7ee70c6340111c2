//! A few hundred seeds of each mode without a violation, the same run for the same seed, and every lie found.

use std::time::Duration;

use ringway_sim::{Large, Mode, Sabotage, Script, run};

fn script(seed: u64, mode: Mode) -> Script {
    Script { seed, mode, large: None, forgets: false, sabotage: None, trace: false }
}

/// Runs these seeds on two threads; the first violation fails with what shows it again.
fn all_hold(mode: Mode, seeds: std::ops::Range<u64>) {
    let middle = seeds.start + (seeds.end - seeds.start) / 2;
    let half = |seeds: std::ops::Range<u64>| {
        for seed in seeds {
            if let Some(violation) = run(script(seed, mode)).violation {
                let name = format!("{mode:?}").to_lowercase();
                panic!("{violation:?}; again: ringway-sim --from {seed} --seeds 1 --mode {name} --trace");
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

/// Members join, leave and die where a way takes up to a quarter of a second, and much is kept.
#[test]
fn a_large_cluster_comes_to_rest_and_keeps_its_limits() {
    let large = Large {
        nodes: 8,
        channels: 4_000,
        slots: 1024,
        large_bytes: 2 << 20,
        disturbed: Duration::from_secs(25),
        ..Large::default()
    };
    for seed in 1..3 {
        let outcome = run(Script { large: Some(large), ..script(seed, Mode::One) });
        let measures = outcome.measures.expect("they are taken of a large cluster");
        assert_eq!(outcome.violation, None, "{measures:?}");
        assert!(measures.disturbances > 3 && outcome.acknowledged > 8_000, "this run proves nothing: {measures:?}");
    }
}

#[test]
fn a_seed_decides_a_run() {
    let mut acknowledged = 0;
    for (mode, seed) in [(Mode::Planned, 7), (Mode::One, 8), (Mode::Wild, 9), (Mode::Wild, 10)] {
        let (first, second) = (run(script(seed, mode)), run(script(seed, mode)));
        assert_eq!(first, second, "{mode:?}");
        acknowledged += first.acknowledged;
    }
    assert!(acknowledged > 0, "these runs prove nothing");
}

/// Where each lie is told, within how many seeds it must be found out, and by which check. Most are found within ten; the rest is room
/// for rules that change, and costs nothing until a lie is not found.
const FOUND: [(Sabotage, Mode, u64, &str); 52] = [
    (Sabotage::ForgeTerm, Mode::One, 100, "I1"),
    (Sabotage::MarkEarly, Mode::One, 100, "I1"),
    (Sabotage::ForgeMark, Mode::One, 100, "C7"),
    (Sabotage::ForgeHave, Mode::One, 100, "I1"),
    (Sabotage::DropUnreachable, Mode::One, 100, "I1"),
    (Sabotage::ForgeReleased, Mode::Planned, 100, "I1"),
    (Sabotage::StripDifference, Mode::One, 100, "I1"),
    (Sabotage::ForgeClaimed, Mode::Planned, 100, "I1"),
    (Sabotage::HideMarks, Mode::Planned, 100, "C4"),
    (Sabotage::StripPublishers, Mode::One, 100, "C2"),
    (Sabotage::StripKeys, Mode::Planned, 100, "key"),
    (Sabotage::ForgeView, Mode::One, 200, "C1"),
    (Sabotage::ForgeWeights, Mode::One, 100, "owners"),
    (Sabotage::HideRemovals, Mode::Wild, 300, "C3"),
    (Sabotage::ForgeLease, Mode::Wild, 300, "C8"),
    (Sabotage::BlameSilence, Mode::One, 100, "gateways"),
    (Sabotage::ForgePings, Mode::One, 400, "held"),
    (Sabotage::ForgeSettled, Mode::Planned, 150, "C6"),
    (Sabotage::HideSettled, Mode::Planned, 100, "C5"),
    (Sabotage::ForgeFloor, Mode::Wild, 400, "C2"),
    (Sabotage::ForgeOffset, Mode::Planned, 100, "C2"),
    (Sabotage::ForgetPosition, Mode::Wild, 200, "C2"),
    (Sabotage::LateAttach, Mode::Planned, 100, "unkept"),
    (Sabotage::HideCopies, Mode::One, 100, "copies"),
    (Sabotage::TrimCopies, Mode::Planned, 100, "history"),
    (Sabotage::ForgetDelivered, Mode::Planned, 100, "inbox"),
    (Sabotage::ConfirmWrites, Mode::Planned, 200, "inbox"),
    (Sabotage::DropPush, Mode::Planned, 100, "gap"),
    (Sabotage::RepeatPush, Mode::Planned, 100, "double"),
    (Sabotage::EarlyPush, Mode::Planned, 100, "early"),
    (Sabotage::ForgeRecovered, Mode::Planned, 100, "recovered"),
    (Sabotage::EmptyPages, Mode::One, 100, "unrecovered"),
    (Sabotage::SkipUnread, Mode::One, 300, "inbox"),
    (Sabotage::RepeatAnswer, Mode::Planned, 100, "answers"),
    (Sabotage::DropAnswer, Mode::Planned, 100, "answers"),
    (Sabotage::ForgeAcknowledgement, Mode::One, 100, "acked"),
    (Sabotage::HideRoom, Mode::One, 200, "answers"),
    (Sabotage::HideFarewell, Mode::Planned, 100, "farewell"),
    (Sabotage::ForgeReset, Mode::Planned, 100, "reset"),
    (Sabotage::HideSessions, Mode::Planned, 100, "presence"),
    (Sabotage::ForgeClosed, Mode::Planned, 100, "disconnect"),
    (Sabotage::WidenOrder, Mode::Planned, 100, "disconnect"),
    (Sabotage::ForgeRemoved, Mode::Planned, 100, "removed"),
    (Sabotage::ForgeKeeping, Mode::Planned, 100, "options"),
    (Sabotage::ForgeEnded, Mode::Wild, 400, "lease"),
    (Sabotage::ForgeStanding, Mode::One, 100, "lapsed"),
    (Sabotage::HideLives, Mode::Wild, 300, "epochs"),
    (Sabotage::ForgeAppended, Mode::Planned, 100, "logged"),
    (Sabotage::ForgePlace, Mode::Wild, 400, "C2"),
    (Sabotage::HideRecords, Mode::Wild, 50, "C4"),
    (Sabotage::TrimEarly, Mode::One, 300, "logged"),
    (Sabotage::HideLoss, Mode::Wild, 400, "C2"),
];

/// Leaves the rule out in these seeds until the check finds it.
fn is_missed(sabotage: Sabotage, mode: Mode, seeds: u64, rule: &str) {
    // A store that keeps everything has nothing to hide.
    let forgets = sabotage == Sabotage::HideLives;
    let lie = |seed| run(Script { sabotage: Some(sabotage), forgets, ..script(seed, mode) });
    let found = (1..=seeds).find(|seed| lie(*seed).violation.is_some_and(|violation| violation.rule == rule));
    assert!(found.is_some(), "{sabotage:?} was not found by {rule} in {seeds} seeds of mode {mode:?}");
}

#[test]
fn rules_left_out_are_missed() {
    let (first, second) = FOUND.split_at(FOUND.len() / 2);
    let try_all = |part: &[(Sabotage, Mode, u64, &str)]| {
        part.iter().for_each(|(sabotage, mode, seeds, rule)| is_missed(*sabotage, *mode, *seeds, rule));
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(|| try_all(second));
        try_all(first);
        other.join().expect("the other half is found, too");
    });
}

#[test]
fn every_sabotage_and_every_check_has_its_turn() {
    assert!(Sabotage::ALL.iter().all(|sabotage| FOUND.iter().any(|(found, ..)| found == sabotage)));
    let of_nodes = ["I1", "C1", "C2", "C3", "C4", "C5", "C6", "C7", "C8", "owners", "gateways", "held"];
    let of_sessions = ["gap", "double", "early", "recovered", "unrecovered", "inbox", "answers", "acked", "farewell"];
    for rule in of_nodes.iter().chain(&of_sessions).chain(&[
        "reset",
        "presence",
        "disconnect",
        "options",
        "lease",
        "lapsed",
        "epochs",
        "logged",
    ]) {
        assert!(FOUND.iter().any(|(_, _, _, found)| found == rule), "nothing shows that {rule} bites");
    }
}
