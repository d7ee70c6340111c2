//! What is foretold against what the tables then say.

use super::*;
use crate::ring::{HashKey, SlotCount, moves};

fn id(name: &str) -> MemberId {
    MemberId::new(name).unwrap()
}

fn weight(number: f64) -> Weight {
    Weight::from_number(number).unwrap()
}

/// node-1 to node-N at these weights, active, under a key of its own per seed.
fn cluster(seed: u8, weights: &[f64]) -> View {
    let born = View::born(HashKey::from_bytes([seed; 16]), SlotCount::new(4_096).unwrap());
    let entries = weights.iter().zip(1..).map(|(number, at)| NodeEntry {
        incarnation: Incarnation(at),
        ..newcomer(&id(&format!("node-{at}")), weight(*number))
    });
    entries.fold(born, |view, entry| view.with_node(entry)).activated()
}

fn plan(view: &View, change: &Planned) -> Plan {
    Plan::of(view, &Placement::of(view, None), change).unwrap()
}

fn owners(view: &View) -> Table {
    (**Placement::of(view, None).table()).clone()
}

#[test]
fn what_is_foretold_is_what_moves() {
    for seed in 0..20 {
        let view = cluster(seed, &[1.0, 2.0, 1.0, 0.5]);
        let two = Incarnation(2);
        let joined = view.with_node(newcomer(&id("node-9"), weight(1.5))).activated();
        let changes = [
            (Planned::Add(id("node-9"), weight(1.5)), joined),
            (Planned::Stop(two), view.with_next_weight(two, Weight::ZERO).without(two, Removal::Planned)),
            (Planned::Kill(two), view.without(two, Removal::Proven)),
            (Planned::Weight(two, weight(3.0)), view.with_next_weight(two, weight(3.0)).activated()),
            (Planned::Weight(two, weight(0.7)), view.with_next_weight(two, weight(0.7)).activated()),
        ];
        for (change, after) in changes {
            let plan = plan(&view, &change);
            let (before, after) = (owners(&view), owners(&after));
            assert_eq!(plan.moves, moves(&before, &after), "{change:?}");
            assert!(!plan.moves.is_empty(), "{change:?}");
            assert_eq!(plan.bystander_moves, 0, "{change:?}");
            for share in &plan.shares {
                let owned = |table: &Table| table.index_of(&share.id).map_or(0, |index| table.slots_owned(index));
                assert_eq!((share.before, share.after), (owned(&before), owned(&after)), "{change:?}");
            }
            let slots: u32 = plan.shares.iter().map(|share| share.after).sum();
            assert_eq!(slots, 4_096, "{change:?}");
            assert!((1.0..1.3).contains(&plan.max_over_mean()), "{change:?}: {}", plan.max_over_mean());
        }
    }
}

#[test]
fn the_busiest_heir_is_who_receives_most() {
    let view = cluster(1, &[1.0; 5]);
    let killed = plan(&view, &Planned::Kill(Incarnation(3)));
    let heir = killed.busiest_heir.clone().unwrap();
    let gains = killed.shares.iter().map(|share| share.after.saturating_sub(share.before));
    assert_eq!(Some(heir.slots), gains.max());
    assert_ne!(heir.id, id("node-3"));
    let fair = killed.moves.len() as f64 / 4.0;
    assert!((heir.of_fair - f64::from(heir.slots) / fair).abs() < 1e-9);
    assert!((1.0..1.3).contains(&heir.of_fair), "{heir:?}");
    let added = plan(&view, &Planned::Add(id("node-6"), Weight::ONE));
    let heir = added.busiest_heir.unwrap();
    assert_eq!((heir.id, heir.slots as usize, heir.of_fair), (id("node-6"), added.moves.len(), 1.0));
}

#[test]
fn moves_between_others_are_counted() {
    let (before, after) = (cluster(1, &[1.0; 4]), cluster(1, &[1.0, 1.0, 3.0, 1.0]));
    let (before, after) = (owners(&before), owners(&after));
    let blamed = Plan::between(id("node-1"), &before, &after, 2);
    let to_node_1 = blamed.moves.iter().filter(|m| m.from == Some(id("node-1"))).count();
    assert_eq!(blamed.bystander_moves as usize, blamed.moves.len() - to_node_1);
    assert!(blamed.bystander_moves > 0);
    assert_eq!(Plan::between(id("node-3"), &before, &after, 2).bystander_moves, 0);
}

#[test]
fn a_copy_is_needed_where_there_was_none() {
    let view = cluster(2, &[1.0; 3]);
    let (before, killed) = (owners(&view), view.without(Incarnation(1), Removal::Proven));
    let dead = before.index_of(&id("node-1"));
    let held =
        before.count().slots().filter(|slot| [before.owner(*slot), before.standby(*slot)].contains(&dead)).count()
            as u32;
    // Two nodes are left, so each slot that the dead one held is new to exactly one of them.
    assert_eq!(plan(&view, &Planned::Kill(Incarnation(1))).copies, held);
    assert_eq!(Plan::between(id("node-1"), &before, &owners(&killed), 2).copies, held);
    // With one copy, only owners receive.
    let moved = plan(&view, &Planned::Kill(Incarnation(1))).moves.len() as u32;
    assert_eq!(Plan::between(id("node-1"), &before, &owners(&killed), 1).copies, moved);
}

#[test]
fn a_change_comes_after_those_under_way_and_a_kill_at_once() {
    let view = cluster(3, &[1.0; 3]);
    let draining = view.with_next_weight(Incarnation(1), Weight::ZERO);
    assert!(plan(&draining, &Planned::Stop(Incarnation(1))).moves.is_empty(), "it leaves already");
    assert!(!plan(&draining, &Planned::Kill(Incarnation(1))).moves.is_empty(), "it owns its slots still");
    let joining = view.with_node(NodeEntry { incarnation: Incarnation(9), ..newcomer(&id("node-9"), Weight::ONE) });
    assert!(plan(&joining, &Planned::Kill(Incarnation(9))).moves.is_empty(), "it owns nothing yet");
    assert!(!plan(&joining, &Planned::Stop(Incarnation(9))).moves.is_empty(), "it would have owned");
}

#[test]
fn what_cannot_be_is_not_foretold() {
    let view = cluster(4, &[1.0]);
    let of = |view: &View, change: &Planned| Plan::of(view, &Placement::of(view, None), change);
    assert_eq!(of(&view, &Planned::Stop(Incarnation(1))).unwrap_err(), PlanError::NobodyLeft);
    assert_eq!(of(&view, &Planned::Kill(Incarnation(8))).unwrap_err(), PlanError::NotInView);
    let nobody = of(&view, &Planned::Kill(Incarnation(1))).unwrap();
    assert_eq!((nobody.moves.len(), nobody.busiest_heir.clone(), nobody.max_over_mean()), (4_096, None, 0.0));
}
