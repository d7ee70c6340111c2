//! The numbers of a report, from faults whose times are known.

use super::*;

fn happening(fault: Fault, left_ms: Option<f64>, p99_ms: f64) -> Happening {
    Happening {
        at_s: 1.0,
        fault,
        what: fault.to_string(),
        alone: true,
        made: Instant::now(),
        left_ms,
        reached_ms: Some(300.0),
        settled_ms: None,
        pauses: Some(Pauses { p50_ms: 1.0, p99_ms, max_ms: p99_ms * 2.0 }),
        refused: None,
    }
}

#[test]
fn the_worst_of_each_kind_is_told() {
    let mut refused = happening(Fault::Kill, Some(999.0), 999.0);
    refused.refused = Some("not now".to_owned());
    let all = [happening(Fault::Kill, Some(8.0), 90.0), happening(Fault::Kill, Some(30.0), 40.0), refused];
    let kinds = kinds(&all);
    assert_eq!(kinds.len(), 1);
    assert_eq!((kinds[0].count, kinds[0].left_ms, kinds[0].pause_p99_ms), (2, Some(30.0), Some(90.0)));
    assert_eq!((kinds[0].pause_max_ms, kinds[0].settled_ms), (Some(180.0), None));
}

#[test]
fn bounds_are_those_of_the_faults_that_were_made() {
    let bounds = bounds::of(&[happening(Fault::Kill, Some(101.0), 250.0), happening(Fault::Add, None, 9_000.0)]);
    let found: Vec<_> = bounds.iter().map(|bound| (bound.name, bound.holds)).collect();
    assert_eq!(found, [("a kill is detected", false), ("pause after a kill, p99 of subscribers", true)]);
    let crowded = bounds::of(&[Happening { alone: false, ..happening(Fault::Kill, Some(10.0), 999.0) }]);
    assert_eq!(crowded.len(), 1, "the pause may be another fault's: {crowded:?}");
    let short = bounds::of(&[happening(Fault::Freeze, None, 5_000.0)]);
    assert!(short.is_empty(), "a freeze that nobody notices lasts as long as it lasts: {short:?}");
}

#[test]
fn receipts_have_bounds_of_their_own() {
    let receipts = [
        serde_json::json!({"action": "kill", "detection_ms": 12, "pauses": {"p99_ms": 80, "max_ms": 90}}),
        serde_json::json!({"action": "kill", "detection_ms": 101, "pauses": {"p99_ms": 20, "max_ms": 900}}),
        serde_json::json!({"action": "start", "detection_ms": null, "pauses": {"p99_ms": 999, "max_ms": 999}}),
    ];
    let bounds: Vec<_> = bounds::of_receipts(&receipts).iter().map(|bound| (bound.found_ms, bound.holds)).collect();
    assert_eq!(bounds, [(101.0, false), (80.0, true)]);
}

#[test]
fn receipts_are_read_where_there_are_any() {
    assert_eq!(Receipts::of(&[]), None);
    let receipts = [
        serde_json::json!({"detection_ms": 12, "pauses": {"p50_ms": 1, "p99_ms": 80, "max_ms": 90}, "sockets_closed": 0, "gaps": 2}),
        serde_json::json!({"detection_ms": null, "pauses": {"p99_ms": 20.5, "max_ms": 190}, "sockets_closed": 3, "doubles": 1}),
    ];
    let read = Receipts::of(&receipts).unwrap();
    assert_eq!(
        (read.count, read.detection_ms, read.pause_p99_ms, read.pause_max_ms),
        (2, Some(12.0), Some(80.0), Some(190.0))
    );
    assert_eq!((read.sockets_closed, read.gaps, read.dropped, read.bystander_moves), (3, 2, 1, 0));
}
