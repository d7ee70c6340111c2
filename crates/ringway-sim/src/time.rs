//! The time of the simulated world.

/// Simulated time in microseconds; the registry's clock runs with it.
pub(crate) type Time = u64;

/// One millisecond.
pub(crate) const MS: Time = 1000;
