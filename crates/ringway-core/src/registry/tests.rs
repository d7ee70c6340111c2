use super::*;
use crate::id::Epoch;
use crate::ring::{HashKey, SlotCount, Weight};
use crate::view::NodeEntry;

const TTL: Duration = Duration::from_secs(2);

fn registry() -> Registry {
    Registry::new(Arc::new(View::born(HashKey::from_bytes([1; 16]), SlotCount::MIN)), TTL)
}

fn ask(registry: &mut Registry, seconds: f64, op: RegistryOp) -> RegistryAnswer {
    registry.handle(Duration::from_secs_f64(seconds), RegistryRequest { id: 7, op })
}

fn with_node(view: &View, incarnation: u64) -> View {
    let id = crate::MemberId::new(&format!("n{incarnation}")).unwrap();
    let (now, next) = (Weight::ONE, Weight::ONE);
    view.with_node(NodeEntry { id, incarnation: Incarnation(incarnation), address: "a:1".into(), now, next })
}

#[test]
fn a_lease_lives_from_its_key_and_from_each_renewal() {
    let (mut registry, me) = (registry(), Incarnation(1));
    assert!(!ask(&mut registry, 0.0, RegistryOp::Renew(me)).done, "there is no key to renew");
    assert!(ask(&mut registry, 0.0, RegistryOp::Put(me)).done);
    assert!(ask(&mut registry, 1.9, RegistryOp::Renew(me)).done);
    assert!(ask(&mut registry, 3.8, RegistryOp::Renew(me)).done);
    assert!(!ask(&mut registry, 5.8, RegistryOp::Renew(me)).done, "it lapsed at 5.8");
    assert!(ask(&mut registry, 5.9, RegistryOp::Put(me)).done);
}

#[test]
fn only_the_next_epoch_is_written() {
    let mut registry = registry();
    let first = Arc::new(with_node(registry.view(), 1));
    let rival = Arc::new(with_node(registry.view(), 2));
    assert!(ask(&mut registry, 0.0, RegistryOp::Cas(first.clone())).done);
    let refused = ask(&mut registry, 0.0, RegistryOp::Cas(rival));
    assert!(!refused.done);
    assert_eq!((refused.view, refused.id), (first.clone(), 7), "the answer says what is true now");
    let skips = Arc::new(View { epoch: Epoch(first.epoch.0 + 2), ..(*first).clone() });
    assert!(!ask(&mut registry, 0.0, RegistryOp::Cas(skips)).done);
}

#[test]
fn lapsed_are_members_without_a_key() {
    let mut registry = registry();
    let view = with_node(&with_node(registry.view(), 1), 2);
    let view = Arc::new(View { epoch: registry.view().epoch.next(), ..view });
    assert!(ask(&mut registry, 0.0, RegistryOp::Cas(view)).done);
    ask(&mut registry, 0.0, RegistryOp::Put(Incarnation(1)));
    ask(&mut registry, 0.0, RegistryOp::Put(Incarnation(9)));
    assert_eq!(ask(&mut registry, 1.0, RegistryOp::Leases).lapsed, [Incarnation(2)]);
    assert_eq!(ask(&mut registry, 2.0, RegistryOp::Leases).lapsed, [Incarnation(1), Incarnation(2)]);
}

#[test]
fn what_is_no_view_of_this_cluster_is_not_written() {
    let mut registry = registry();
    let good = with_node(registry.view(), 1);
    let other = View { key: HashKey::from_bytes([2; 16]), ..good.clone() };
    let double = View { nodes: [&good.nodes[..], &good.nodes[..]].concat(), ..good.clone() };
    for view in [other, double] {
        assert!(!ask(&mut registry, 0.0, RegistryOp::Cas(Arc::new(view))).done);
    }
    assert!(ask(&mut registry, 0.0, RegistryOp::Cas(Arc::new(good))).done);
}
