//! Whatever gateways and nodes say of themselves, receipts are kept.

use ringway_protocol::link::testing::{Choices, Known, Sample};

use super::*;

/// One fact of whoever, in which every number may be the greatest there is.
fn fact(at: Now, choices: &mut Choices) -> Fact {
    let members = [1, 3, 100, 101].map(Incarnation);
    let (member, epoch) = (members[choices.below(members.len())], Epoch::sample(choices));
    match choices.below(4) {
        0 => Fact::Toll { at, gateway: member, epoch, toll: Box::new(Toll::sample(choices)) },
        1 => Fact::Reset { at, gateway: member, count: ResetCount::sample(choices) },
        2 => Fact::ResetGiven { at, number: u64::sample(choices), missed: Vec::sample(choices) },
        _ => Fact::Node { at, node: member, epoch, settled: bool::sample(choices) },
    }
}

fn departure(choices: &mut Choices) -> Departure {
    let (incarnation, sockets) = (Incarnation(2), u64::sample(choices));
    Departure { incarnation, since: Now::sample(choices), ended: bool::sample(choices), sockets }
}

#[test]
fn no_word_of_a_member_ends_the_ledger() {
    for seed in 0..40 {
        let mut world = World::new();
        let usual = Rebalance { mode: crate::rebalance::Mode::ResetAll, ..Rebalance::default() };
        world.ledger.usual = usual;
        world.view(|view| view.with_gateway(gateway("gateway-1", SECOND)));
        for step in 0..200 {
            let numbers = vec![0, 1, 2, 3, world.view.epoch.0, u64::MAX - 1, u64::MAX];
            let known = Known { numbers, ..Known::default() };
            let mut choices = Choices::scattered(seed * 1_000 + step).among(known);
            world.now += 100;
            match choices.below(10) {
                0 => world.view(|view| view.with_node(node(2, 2 + step)).activated()),
                1 => {
                    world
                        .view_with(&[departure(&mut choices)], |view| view.without(Incarnation(2), Removal::Suspected));
                }
                2 => drop(world.begin(Occasion::Kill, "node-2", None)),
                3 => world.ledger.look(millis_of(world.now)),
                _ => drop(world.ledger.on_fact(fact(millis_of(world.now), &mut choices))),
            }
        }
        let receipts = world.ledger.receipts();
        assert!(!receipts.is_empty());
        serde_json::to_string(&receipts).expect("numbers and texts");
        assert!(world.ledger.seen.processes() <= 4, "a member counts as one process, whatever it says");
    }
}
