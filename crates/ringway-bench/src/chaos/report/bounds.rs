//! How quick it is to be. Measured on machines with time to spare; a busy one is slower and not broken, so these count for the exit code only
//! if that is asked for.

use serde::Serialize;

use super::super::plan::Fault;
use super::{Happening, worst};

/// A killed process is known to be dead within this, in milliseconds.
const KILL_SEEN: f64 = 100.0;
/// 99 of 100 subscribers see no longer pause after a kill.
const KILL_PAUSE: f64 = 250.0;
/// A frozen process is out of the view, and its work done by others, within this.
const FREEZE_RESOLVED: f64 = 2_000.0;

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
        ("a frozen gateway is detected", FREEZE_RESOLVED, left(Fault::FreezeGateway)),
    ];
    let bound = |(name, limit_ms, found_ms): (_, _, Option<f64>)| {
        let found_ms = found_ms?;
        Some(Bound { name, limit_ms, found_ms, holds: found_ms <= limit_ms })
    };
    bounds.into_iter().filter_map(bound).collect()
}
