//! How quick it is to be. Measured on machines with time to spare; a busy one is slower and not broken, so these count for the exit code only
//! if that is asked for.

use serde::Serialize;
use serde_json::Value;

use super::super::plan::Fault;
use super::{Happening, worst};

/// A killed process is known to be dead within this, in milliseconds.
const KILL_SEEN: f64 = 100.0;
/// 99 of 100 subscribers see no longer pause after a kill.
const KILL_PAUSE: f64 = 250.0;
/// A frozen node is out of the view, and its work done by others, within this.
const FREEZE_RESOLVED: f64 = 2_000.0;
/// A frozen gateway is out of the view within this: its lease of 2 s must lapse, and be asked for. Nobody waits for it so long.
const GATEWAY_FREEZE_SEEN: f64 = 2_500.0;

/// One thing that is aimed at.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bound {
    /// What.
    pub name: &'static str,
    /// The most it may be, in milliseconds.
    pub limit_ms: f64,
    /// The worst that was.
    pub found_ms: f64,
    /// It was no more.
    pub holds: bool,
}

/// The bounds of those faults that were made.
pub(super) fn of(happenings: &[Happening]) -> Vec<Bound> {
    let of = |fault: Fault| happenings.iter().filter(move |its| its.fault == fault && its.refused.is_none());
    let left = |fault| worst(of(fault).filter_map(|its| its.left_ms));
    // A pause has one cause only where faults come one after the other.
    let alone = |fault| of(fault).filter(|its| its.alone);
    let lasting = |its: &&Happening| its.left_ms.is_some();
    let bounds = [
        ("a kill is detected", KILL_SEEN, left(Fault::Kill)),
        (
            "pause after a kill, p99 of subscribers",
            KILL_PAUSE,
            worst(alone(Fault::Kill).filter_map(|its| Some(its.pauses?.p99_ms))),
        ),
        ("a freeze is detected", FREEZE_RESOLVED, left(Fault::Freeze)),
        (
            "longest pause after a freeze",
            FREEZE_RESOLVED,
            worst(alone(Fault::Freeze).filter(lasting).filter_map(|its| Some(its.pauses?.max_ms))),
        ),
        ("a frozen gateway is detected", GATEWAY_FREEZE_SEEN, left(Fault::FreezeGateway)),
    ];
    bounds.into_iter().filter_map(bound).collect()
}

/// The same by the cluster's own word.
pub(super) fn of_receipts(receipts: &[Value]) -> Vec<Bound> {
    let of = |action: &'static str, path: &'static str| {
        let its = receipts.iter().filter(move |receipt| receipt["action"] == action);
        worst(its.filter_map(move |receipt| receipt.pointer(path).and_then(Value::as_f64)))
    };
    let bounds = [
        ("a kill is detected, by receipts", KILL_SEEN, of("kill", "/detection_ms")),
        ("pause after a kill, p99 of channels by receipts", KILL_PAUSE, of("kill", "/pauses/p99_ms")),
        ("a freeze is detected, by receipts", FREEZE_RESOLVED, of("freeze", "/detection_ms")),
        ("longest pause after a freeze, by receipts", FREEZE_RESOLVED, of("freeze", "/pauses/max_ms")),
    ];
    bounds.into_iter().filter_map(bound).collect()
}

fn bound((name, limit_ms, found_ms): (&'static str, f64, Option<f64>)) -> Option<Bound> {
    let found_ms = found_ms?;
    Some(Bound { name, limit_ms, found_ms, holds: found_ms <= limit_ms })
}
