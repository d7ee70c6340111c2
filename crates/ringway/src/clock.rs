//! The clock that the rules run on: it goes on while the machine sleeps, so that a lapsed lease never looks fresh.

use nix::time::{ClockId, clock_gettime};
use ringway_core::timing::Now;

/// Time since the machine was started, suspended time included.
pub(crate) fn now() -> Now {
    // The clock exists on every Linux since 2.6.39; a machine without it counts from zero and never moves a lease.
    clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Now::ZERO, Into::into)
}
