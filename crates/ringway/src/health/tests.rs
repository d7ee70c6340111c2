//! When the process says that it is well.

use std::collections::HashMap;

use ringway_core::MemberId;
use ringway_core::ring::{HashKey, SlotCount, Weight};
use ringway_core::view::{NodeEntry, Removal, View};

use super::*;
use crate::cluster::{ClusterSeat, Myself, cluster};

fn state(view: View, up: &[u64]) -> Arc<ClusterState> {
    let links = up.iter().map(|incarnation| (Incarnation(*incarnation), Reach::Up)).collect();
    let me = Myself { id: MemberId::new("gateway-0").unwrap(), incarnation: Incarnation(100) };
    Arc::new(ClusterState {
        placement: Arc::new(Placement::of(&view, None)),
        view: Arc::new(view),
        me,
        loads: HashMap::new(),
        links,
        troubles: Vec::new(),
    })
}

fn nodes(count: u64) -> View {
    let born = View::born(HashKey::from_bytes([1; 16]), SlotCount::new(64).unwrap());
    let with = |view: View, number: u64| {
        let id = MemberId::new(&format!("node-{number}")).unwrap();
        view.with_node(NodeEntry {
            id,
            incarnation: Incarnation(number),
            address: "".into(),
            now: Weight::ONE,
            next: Weight::ONE,
        })
    };
    (1..=count).fold(born, with)
}

fn following(view: View, up: &[u64], expected: usize) -> (ClusterSeat, Health) {
    let (seat, handle) = cluster(ClusterState::clone(&state(view, up)));
    (seat, Health::new(handle, Expected { nodes: expected, gateways: 0 }))
}

#[tokio::test]
async fn it_starts_when_every_expected_node_is_active() {
    let (seat, health) = following(nodes(0), &[], 2);
    assert_eq!(health.report().why.as_deref(), Some("0 of 2 nodes are active"));
    seat.state.send_replace(state(nodes(2), &[1, 2]));
    let joining = health.report();
    assert_eq!((joining.status, joining.why.as_deref()), ("starting", Some("1 of 2 nodes are active")));
    seat.state.send_replace(state(nodes(2).activated(), &[1]));
    assert_eq!(health.report().status, "starting");
    seat.state.send_replace(state(nodes(2).activated(), &[1, 2]));
    let well = health.report();
    assert!(well.is_ok() && well.why.is_none());
    assert_eq!(well.into_response().status(), StatusCode::OK);
}

#[tokio::test]
async fn once_started_only_slots_without_an_owner_for_three_seconds_count() {
    let (seat, health) = following(nodes(2).activated(), &[1, 2], 2);
    let begin = Instant::now();
    let at = |milliseconds| health.report_at(begin + Duration::from_millis(milliseconds));
    assert!(at(0).is_ok());
    seat.state.send_replace(state(nodes(2).activated(), &[1]));
    assert!(at(100).is_ok());
    assert!(at(3_099).is_ok());
    let report = at(3_100);
    assert_eq!(report.status, "degraded");
    let slots = state(nodes(2).activated(), &[]).placement.table().clone();
    let of_two = slots.slots_owned(slots.index_of(&MemberId::new("node-2").unwrap()).unwrap());
    assert_eq!(
        report.why.as_ref().unwrap(),
        &format!("{of_two} slots have had no reachable owner for 3s or longer: {of_two} of node-2")
    );
    assert_eq!(report.into_response().status(), StatusCode::SERVICE_UNAVAILABLE);
    // One node is enough once the other one is out of the view.
    seat.state.send_replace(state(nodes(2).activated().without(Incarnation(2), Removal::Suspected), &[1]));
    assert!(at(3_200).is_ok());
}

#[tokio::test]
async fn a_slot_whose_owner_changed_in_between_begins_anew() {
    let (seat, health) = following(nodes(3).activated(), &[1, 2, 3], 3);
    let begin = Instant::now();
    let at = |seconds| health.report_at(begin + Duration::from_secs(seconds));
    assert!(at(0).is_ok());
    seat.state.send_replace(state(nodes(3).activated(), &[1, 2]));
    assert!(at(1).is_ok());
    // node-3 is back, node-1 is gone: no slot of either has been without an owner for 3 s.
    seat.state.send_replace(state(nodes(3).activated(), &[2, 3]));
    assert!(at(3).is_ok());
    assert!(at(5).is_ok());
    assert!(at(6).why.unwrap().ends_with("of node-1"));
}

#[tokio::test]
async fn a_cluster_without_nodes_has_no_owners() {
    let (seat, health) = following(nodes(1), &[1], 1);
    let begin = Instant::now();
    assert!(health.report_at(begin).is_ok());
    seat.state.send_replace(state(nodes(1).without(Incarnation(1), Removal::Proven), &[]));
    assert!(health.report_at(begin).is_ok());
    let late = health.report_at(begin + GRACE);
    assert!(late.why.unwrap().starts_with("no node has been there for 3s or longer"));
}

#[tokio::test]
async fn ways_to_others_that_are_missing_are_told_whatever_the_status() {
    let (seat, health) = following(nodes(0), &[], 2);
    let troubled = |view: View, up: &[u64]| {
        let state = ClusterState::clone(&state(view, up));
        Arc::new(ClusterState { troubles: vec!["node-2 cannot be dialed".into()], ..state })
    };
    seat.state.send_replace(troubled(nodes(0), &[]));
    assert_eq!(health.report().why.as_deref(), Some("0 of 2 nodes are active; node-2 cannot be dialed"));
    seat.state.send_replace(troubled(nodes(2).activated(), &[1, 2]));
    let report = health.report();
    assert!(report.is_ok(), "nobody misses anything yet");
    assert_eq!(report.why.as_deref(), Some("node-2 cannot be dialed"));
}
