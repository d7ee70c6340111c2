use super::*;
use crate::ring::moves;

fn weight(number: f64) -> Weight {
    Weight::from_number(number).unwrap()
}

fn node(name: &str, incarnation: u64) -> NodeEntry {
    let id = MemberId::new(name).unwrap();
    let address = "127.0.0.1:1".into();
    NodeEntry { id, incarnation: Incarnation(incarnation), address, now: weight(1.0), next: weight(1.0) }
}

fn born() -> View {
    View::born(HashKey::from_bytes([7; 16]), SlotCount::new(64).unwrap())
}

/// A view of active nodes with these incarnations.
fn active(incarnations: &[u64]) -> View {
    let joined = incarnations.iter().fold(born(), |view, n| view.with_node(node(&format!("n{n}"), *n)));
    joined.activated()
}

fn states(view: &View) -> Vec<NodeState> {
    view.nodes.iter().map(NodeEntry::state).collect()
}

#[test]
fn the_first_node_is_active_and_others_join() {
    let view = born().with_node(node("n1", 1)).with_node(node("n2", 2));
    assert_eq!(states(&view), [NodeState::Active, NodeState::Joining]);
    assert_eq!(states(&view.activated()), [NodeState::Active, NodeState::Active]);
    assert_eq!(view.epoch, Epoch(3), "each write is one epoch");
}

#[test]
fn weights_say_what_a_node_is_doing() {
    let view = active(&[1, 2, 3]);
    assert_eq!(states(&view.with_next_weight(Incarnation(2), Weight::ZERO))[1], NodeState::Draining);
    assert_eq!(states(&view.with_next_weight(Incarnation(2), weight(2.0)))[1], NodeState::Reweighting);
    let draining = view.with_next_weight(Incarnation(2), Weight::ZERO);
    assert_eq!(
        states(&draining.activated())[1],
        NodeState::Draining,
        "others becoming active does not call a drain off"
    );
}

#[test]
fn a_view_never_loses_its_last_active_node() {
    let draining = active(&[1, 2]).with_next_weight(Incarnation(2), Weight::ZERO);
    let left = draining.without(Incarnation(1), Removal::Proven);
    assert_eq!(states(&left), [NodeState::Active], "the drain is called off");
}

#[test]
fn a_node_that_rests_owns_nothing_and_may_be_given_a_weight() {
    let draining = active(&[1, 2, 3]).with_next_weight(Incarnation(2), Weight::ZERO);
    let resting = draining.with_resting(Incarnation(2));
    assert_eq!(states(&resting), [NodeState::Active, NodeState::Resting, NodeState::Active]);
    let placement = Placement::of(&resting, None);
    assert!(resting.slots.slots().all(|slot| !placement.wanted(slot).contains(&Incarnation(2))));
    assert_eq!(states(&resting.activated())[1], NodeState::Resting, "others becoming active does not wake it");
    let woken = resting.with_next_weight(Incarnation(2), weight(2.0));
    assert_eq!((states(&woken)[1], woken.activated().nodes[1].now), (NodeState::Joining, weight(2.0)));
}

#[test]
fn nodes_that_rest_are_no_room_and_serve_where_nobody_else_does() {
    let rest = |view: View, n| view.with_next_weight(Incarnation(n), Weight::ZERO).with_resting(Incarnation(n));
    let one_rests = rest(active(&[1, 2, 3]), 3);
    assert!(one_rests.has_room_without(Incarnation(1)), "one stays, and nobody else");
    let two_rest = rest(one_rests.clone(), 2);
    assert!(!two_rest.has_room_without(Incarnation(1)), "nobody who stays");
    let alone = two_rest.without(Incarnation(1), Removal::Proven);
    assert_eq!(states(&alone), [NodeState::Active, NodeState::Active]);
    // One that drains has what it owns, and comes before one that has nothing.
    let drains = one_rests.with_next_weight(Incarnation(2), Weight::ZERO);
    let left = drains.without(Incarnation(1), Removal::Proven);
    assert_eq!(states(&left), [NodeState::Active, NodeState::Resting]);
}

#[test]
fn room_is_two_that_stay_or_one_and_nobody_else() {
    let table: [(&[u64], Option<u64>, bool); 5] = [
        (&[1], None, false),
        (&[1, 2], None, true),
        (&[1, 2, 3], None, true),
        (&[1, 2, 3], Some(2), false),
        (&[1, 2, 3, 4], Some(2), true),
    ];
    for (nodes, draining, room) in table {
        let view = draining.iter().fold(active(nodes), |view, n| view.with_next_weight(Incarnation(*n), Weight::ZERO));
        assert_eq!(view.has_room_without(Incarnation(1)), room, "{nodes:?}, draining {draining:?}");
    }
}

#[test]
fn removals_are_counted_by_what_is_known_of_them() {
    let view = active(&[1, 2, 3, 4]);
    let counts = |view: &View| (view.removals, view.crashes);
    assert_eq!(counts(&view.without(Incarnation(2), Removal::Planned)), (0, 0));
    assert_eq!(counts(&view.without(Incarnation(2), Removal::Proven)), (0, 1));
    assert_eq!(counts(&view.without(Incarnation(2), Removal::Suspected)), (1, 1));
}

#[test]
fn a_newcomer_is_wanted_where_it_will_be_and_owns_nothing_yet() {
    let before = active(&[1, 2]);
    let joining = before.with_node(node("n3", 3));
    let placement = Placement::of(&joining, Some(&Placement::of(&before, None)));
    let activated = Placement::of(&joining.activated(), Some(&placement));
    assert!(Arc::ptr_eq(activated.table(), placement.next_table()), "what was promised is not computed again");
    for slot in joining.slots.slots() {
        assert_ne!(placement.owner(slot), Some(Incarnation(3)));
        let will = [activated.owner(slot), activated.standby(slot)];
        let wanted = placement.wanted(slot);
        assert!(will.iter().flatten().all(|node| wanted.contains(node)), "{slot}: {wanted:?} lacks one of {will:?}");
        assert!((2..=4).contains(&wanted.len()));
    }
}

#[test]
fn one_copy_wants_no_standby() {
    let view = View { copies: 1, ..active(&[1, 2, 3]) };
    let placement = Placement::of(&view, None);
    for slot in view.slots.slots() {
        assert_eq!(placement.wanted(slot).as_slice(), [placement.owner(slot).unwrap()]);
    }
}

#[test]
fn tables_do_not_depend_on_the_way_that_led_to_them() {
    let (mut view, mut placement) = (active(&[1]), Placement::of(&active(&[1]), None));
    let changes: [fn(&View) -> View; 5] = [
        |view| view.with_node(node("n2", 2)),
        View::activated,
        |view| view.with_node(node("n3", 3)).with_next_weight(Incarnation(1), Weight::from_number(3.0).unwrap()),
        View::activated,
        |view| view.without(Incarnation(2), Removal::Proven),
    ];
    for change in changes {
        view = change(&view);
        placement = Placement::of(&view, Some(&placement));
        let whole = Placement::of(&view, None);
        assert_eq!(placement.checksum(), whole.checksum(), "{view:?}");
        assert!(moves(placement.table(), whole.table()).is_empty());
    }
}

#[test]
fn what_cannot_be_a_view_of_this_cluster_is_named() {
    let here = active(&[1, 2, 3]);
    let with = |change: &dyn Fn(&mut View)| {
        let mut view = here.affirmed();
        change(&mut view);
        here.accepts(&view)
    };
    let other = |change: &dyn Fn(&mut View)| assert_eq!(with(change), Err(ViewFault::OtherCluster));
    other(&|view| view.key = HashKey::from_bytes([8; 16]));
    other(&|view| view.slots = SlotCount::MIN);
    other(&|view| view.copies = 1);
    other(&|view| view.ack_copies = 2);
    let gateway = GatewayEntry {
        id: MemberId::new("g").unwrap(),
        incarnation: Incarnation(9),
        address: "".into(),
        link: "".into(),
        draining: false,
    };
    let disordered = |change: &dyn Fn(&mut View)| assert_eq!(with(change), Err(ViewFault::Disordered));
    disordered(&|view| view.nodes.reverse());
    disordered(&|view| view.nodes[0] = view.nodes[1].clone());
    disordered(&|view| view.gateways = vec![gateway.clone(), gateway.clone()]);
    assert_eq!(with(&|view| view.nodes[0].incarnation = Incarnation(2)), Err(ViewFault::Doubled));
    assert_eq!(with(&|view| view.epoch = Epoch(1 << 63)), Err(ViewFault::Epoch(Epoch(1 << 63))));
    let many = |count: u64| {
        move |view: &mut View| {
            view.nodes = (0..count).map(|n| node(&format!("n{n:04}"), n)).collect();
        }
    };
    assert_eq!(with(&many(1024)), Ok(()));
    assert_eq!(with(&many(1025)), Err(ViewFault::TooManyNodes(1025)));
    for (copies, ack_copies) in [(0, 0), (2, 0), (1, 2), (3, 1)] {
        let view = View { copies, ack_copies, ..here.clone() };
        assert_eq!(view.check(), Err(ViewFault::Copies { copies, ack_copies }));
    }
    assert_eq!(here.accepts(&here.without(Incarnation(2), Removal::Proven)), Ok(()));
}
