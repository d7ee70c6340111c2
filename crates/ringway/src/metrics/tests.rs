//! What Prometheus reads.

use std::collections::HashMap;

use ringway_core::message::Load;
use ringway_core::ring::{HashKey, SlotCount, Weight};
use ringway_core::view::{NodeEntry, Placement, View};
use ringway_core::{Incarnation, MemberId};

use super::*;
use crate::cluster::{ClusterState, Myself, cluster};

#[test]
fn the_cluster_is_in_numbers() {
    let view = View::born(HashKey::from_bytes([1; 16]), SlotCount::new(64).unwrap());
    let id = MemberId::new("node-1").unwrap();
    let view = view.with_node(NodeEntry {
        id: id.clone(),
        incarnation: Incarnation(1),
        address: "".into(),
        now: Weight::ONE,
        next: Weight::ONE,
    });
    let loads = HashMap::from([(Incarnation(1), Load { users: 9, ..Load::default() })]);
    let me = Myself { id, incarnation: Incarnation(1) };
    let placement = Arc::new(Placement::of(&view, None));
    let (_seat, handle) = cluster(ClusterState {
        view: Arc::new(view),
        placement,
        me,
        loads,
        links: HashMap::new(),
        troubles: Vec::new(),
    });
    let metrics = Metrics::default();
    metrics.collect_cluster(handle);
    let text = metrics.text().unwrap();
    for line in [
        "ringway_node_slots{member=\"node-1\"} 64",
        "ringway_node_users{member=\"node-1\"} 9",
        "ringway_view_epoch{member=\"node-1\"} 2",
    ] {
        assert!(text.contains(line), "no {line} in\n{text}");
    }
    assert!(text.ends_with("# EOF\n"), "{text}");
}

#[test]
fn the_process_is_told_of_under_common_names() {
    let text = Metrics::of_process().text().unwrap();
    for (name, kind) in [
        ("process_cpu_seconds", "counter"),
        ("process_resident_memory_bytes", "gauge"),
        ("process_virtual_memory_bytes", "gauge"),
        ("process_open_fds", "gauge"),
        ("process_max_fds", "gauge"),
        ("process_start_time_seconds", "gauge"),
        ("ringway_build_info", "gauge"),
    ] {
        assert!(text.contains(&format!("# TYPE {name} {kind}\n")), "no {name} in\n{text}");
    }
    assert!(text.contains("\nprocess_cpu_seconds_total "), "{text}");
    let version = env!("CARGO_PKG_VERSION");
    assert!(text.contains(&format!("\nringway_build_info{{version=\"{version}\"}} 1\n")), "{text}");
    assert_eq!(text.matches("# EOF").count(), 1, "one page");
}
