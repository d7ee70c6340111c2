//! The plan wishes for everything, repeats itself for a seed, and never for more than is promised.

use super::*;

fn member(id: &str, state: &str) -> Member {
    let role = if id.starts_with("node") { "node" } else { "gateway" };
    let pid = u32::from(state != "down");
    let (id, state, roles) = (id.to_owned(), state.to_owned(), vec![role.to_owned()]);
    Member { orchestrator: id == "gateway-0", id, roles, state, pid, address: String::new() }
}

fn cluster(nodes: usize, gateways: usize) -> Vec<Member> {
    let gateways = (0..gateways).map(|number| member(&format!("gateway-{number}"), "active"));
    gateways.chain((1..=nodes).map(|number| member(&format!("node-{number}"), "active"))).collect()
}

/// Everything that many seeds wish for on one scene.
fn wishes(members: &[Member], frozen: &[&str], hard: bool) -> Vec<Wish> {
    let frozen = frozen.iter().map(|id| (*id).to_owned()).collect();
    let scene = Scene { members, frozen: &frozen, hard, settled: !hard };
    (0..2000).filter_map(|seed| Plan::new(seed, &Fault::ALL, 3, 0).next(&scene)).collect()
}

#[test]
fn a_seed_repeats_itself_and_another_differs() {
    let (members, frozen) = (cluster(3, 2), BTreeSet::new());
    let scene = Scene { members: &members, frozen: &frozen, hard: false, settled: true };
    let run = |seed| {
        let mut plan = Plan::new(seed, &Fault::ALL, 3, 0);
        (0..50).map(|_| plan.next(&scene)).collect::<Vec<_>>()
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}

#[test]
fn everything_possible_is_wished_for_and_the_orchestrator_left_alone() {
    let mut members = cluster(3, 2);
    members.push(member("node-9", "down"));
    let wishes = wishes(&members, &[], false);
    for fault in Fault::ALL {
        assert!(wishes.iter().any(|wish| wish.fault == fault), "{fault}");
    }
    assert!(wishes.iter().all(|wish| wish.member != "gateway-0"));
    assert!(wishes.iter().any(|wish| wish.other == "gateway-0"), "it may be cut off from others");
    assert!(wishes.iter().filter(|wish| wish.fault == Fault::Start).all(|wish| wish.member == "node-9"));
}

#[test]
fn one_hard_fault_at_a_time() {
    let wishes = wishes(&cluster(4, 2), &[], true);
    assert!(wishes.iter().all(|wish| !wish.hard));
    assert!(wishes.iter().any(|wish| wish.fault == Fault::Stop));
}

#[test]
fn a_gateway_of_plain_users_is_frozen_alone() {
    let (members, frozen) = (cluster(3, 2), BTreeSet::new());
    for (users, settled) in [(0, false), (0, true), (1, false), (1, true)] {
        let scene = Scene { members: &members, frozen: &frozen, hard: false, settled };
        let cuts = (0..500).filter_map(|seed| Plan::new(seed, &[Fault::Cut], 3, users).next(&scene));
        let cuts: Vec<Wish> = cuts.collect();
        let lone = |wish: &Wish| wish.member == "gateway-1" || wish.other == "gateway-1";
        assert!(cuts.iter().any(|wish| !lone(wish)) && cuts.iter().any(lone) == (users == 0 || settled));
        assert!(cuts.iter().all(|wish| wish.exclusive == (users > 0 && lone(wish))));
        let mut plans =
            (0..500).filter_map(|seed| Plan::new(seed, &[Fault::FreezeGateway, Fault::Add], 3, users).next(&scene));
        let freeze = plans.find(|wish| wish.fault == Fault::FreezeGateway);
        assert_eq!(freeze.map(|wish| wish.exclusive), (users == 0 || settled).then_some(users > 0));
    }
}

#[test]
fn two_nodes_are_always_left() {
    for (members, frozen) in [(cluster(2, 2), &[][..]), (cluster(3, 2), &["node-2"])] {
        let wishes = wishes(&members, frozen, false);
        let shrinks = |wish: &Wish| matches!(wish.fault, Fault::Kill | Fault::Freeze | Fault::Stop);
        assert!(wishes.iter().all(|wish| !shrinks(wish)), "{wishes:?}");
        assert!(wishes.iter().all(|wish| wish.fault != Fault::Cut));
    }
}

#[test]
fn growth_is_bounded() {
    let mut members = cluster(5, 1);
    members.push(member("node-9", "down"));
    assert!(wishes(&members, &[], false).iter().all(|wish| !matches!(wish.fault, Fault::Add | Fault::Start)));
}

#[test]
fn the_lengths_are_within_their_limits() {
    for wish in wishes(&cluster(3, 2), &[], false) {
        let [shortest, longest] = match wish.fault {
            Fault::Freeze => NODE_FREEZE,
            Fault::FreezeGateway => GATEWAY_FREEZE,
            _ => CUT,
        };
        assert!((shortest..=longest).contains(&wish.length), "{wish}");
    }
}

#[test]
fn everything_ends_only_when_asked_to_and_when_all_is_settled() {
    let (members, frozen) = (cluster(3, 2), BTreeSet::new());
    assert!(wishes(&members, &[], false).iter().all(|wish| wish.fault != Fault::KillAll));
    for (hard, settled) in [(false, true), (true, true), (false, false)] {
        let scene = Scene { members: &members, frozen: &frozen, hard, settled };
        let wish = Plan::new(1, &[Fault::KillAll], 3, 0).next(&scene);
        assert_eq!(wish.map(|wish| (wish.hard, wish.exclusive)), (!hard && settled).then_some((true, true)));
    }
    let frozen = BTreeSet::from(["node-1".to_owned()]);
    let scene = Scene { members: &members, frozen: &frozen, hard: false, settled: true };
    assert_eq!(Plan::new(1, &[Fault::KillAll], 3, 0).next(&scene), None);
}
