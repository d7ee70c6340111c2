use super::*;
use crate::id::Incarnation;
use crate::ring::{HashKey, SlotCount};
use crate::view::Removal;

fn id(name: &str) -> MemberId {
    MemberId::new(name).unwrap()
}

fn weight(number: f64) -> Weight {
    Weight::from_number(number).unwrap()
}

fn a_node(name: &str, incarnation: u64) -> NodeEntry {
    let (now, next) = (weight(1.0), weight(1.0));
    NodeEntry { id: id(name), incarnation: Incarnation(incarnation), address: "127.0.0.1:1".into(), now, next }
}

fn a_gateway(name: &str, incarnation: u64) -> GatewayEntry {
    let address = "127.0.0.1:1".into();
    GatewayEntry { id: id(name), incarnation: Incarnation(incarnation), link: "g:2".into(), address, draining: false }
}

#[test]
fn each_change_has_its_words() {
    type Step = (fn(&View) -> View, &'static str);
    let steps: [Step; 16] = [
        (|view| view.with_gateway(a_gateway("g1", 1)), "g1 joined; 0 nodes, 1 gateway"),
        (|view| view.with_node(a_node("n2", 2)), "n2 joined; 1 node, 1 gateway"),
        (|view| view.with_node(a_node("n3", 3)), "n3 joins; 2 nodes, 1 gateway"),
        (View::activated, "n3 active; 2 nodes, 1 gateway"),
        (View::affirmed, "no member came or went; 2 nodes, 1 gateway"),
        (|view| view.with_next_weight(Incarnation(3), weight(2.5)), "n3 goes from weight 1 to 2.5; 2 nodes, 1 gateway"),
        (View::activated, "n3 has weight 2.5; 2 nodes, 1 gateway"),
        (|view| view.with_gateway(a_gateway("g2", 4)), "g2 joined; 2 nodes, 2 gateways"),
        (|view| view.with_draining_gateway(Incarnation(4)), "g2 drains; 2 nodes, 2 gateways"),
        (|view| view.without(Incarnation(4), Removal::Planned), "g2 left; 2 nodes, 1 gateway"),
        (|view| view.with_next_weight(Incarnation(2), Weight::ZERO), "n2 drains; 2 nodes, 1 gateway"),
        (|view| view.without(Incarnation(2), Removal::Planned), "n2 left; 1 node, 1 gateway"),
        (|view| view.with_node(a_node("n2", 5)).activated(), "n2 joined; 2 nodes, 1 gateway"),
        (
            |view| view.without(Incarnation(5), Removal::Proven).with_node(a_node("n2", 6)).activated(),
            "n2 started over; 2 nodes, 1 gateway",
        ),
        (|view| view.without(Incarnation(6), Removal::Suspected), "n2 lost; 1 node, 1 gateway"),
        (|view| view.without(Incarnation(1), Removal::Suspected), "g1 lost; 1 node, 0 gateways"),
    ];
    let mut view = View::born(HashKey::from_bytes([7; 16]), SlotCount::new(64).unwrap());
    for (step, words) in steps {
        let after = step(&view);
        assert_eq!(Difference::new(&view, &after).to_string(), words);
        view = after;
    }
}

#[test]
fn a_member_of_both_roles_is_named_once() {
    let born = View::born(HashKey::from_bytes([7; 16]), SlotCount::new(64).unwrap());
    let both = born.with_node(a_node("r1", 1)).with_gateway(a_gateway("r1", 1));
    assert_eq!(Difference::new(&born, &both).to_string(), "r1 joined; 1 node, 1 gateway");
    let alone = both.without(Incarnation(1), Removal::Suspected);
    assert_eq!(Difference::new(&both, &alone).to_string(), "r1 lost; 0 nodes, 0 gateways");
}

#[test]
fn a_drain_that_is_called_off_is_told() {
    let born = View::born(HashKey::from_bytes([7; 16]), SlotCount::new(64).unwrap());
    let two = born.with_node(a_node("n1", 1)).with_node(a_node("n2", 2)).activated();
    let draining = two.with_next_weight(Incarnation(2), Weight::ZERO);
    let left = draining.without(Incarnation(1), Removal::Proven);
    let told = Difference::new(&draining, &left).to_string();
    assert_eq!(told, "n1 lost, n2 stays, for nobody else is left; 1 node, 0 gateways");
}

#[test]
fn many_are_counted() {
    let born = View::born(HashKey::from_bytes([7; 16]), SlotCount::new(64).unwrap());
    let many = (0..40).fold(born.clone(), |view, n| view.with_gateway(a_gateway(&format!("g{n}"), n)));
    let told = Difference::new(&born, &many).to_string();
    assert!(told.ends_with(" and 24 more changes; 0 nodes, 40 gateways"), "{told}");
}
