//! What settings must satisfy together.

use ringway_core::timing::Timing;

use super::reader::Reading;
use super::sections::{Ack, Cluster};

/// Nobody can wait for copies that are never made.
pub(super) fn copies(ack: Ack, cluster: &Cluster, reading: &Reading) {
    if ack.copies > cluster.replicas {
        reading.fault(format!(
            "`ack.copies` is {} and `cluster.replicas` is {}: nothing would ever be acknowledged. Keep as many copies as you wait for.",
            ack.copies, cluster.replicas
        ));
    }
}

/// The lengths of time that detection and leases rely on (see [`Timing`]).
pub(super) fn timing(timing: &Timing, reading: &Reading) {
    let rules = [
        (
            timing.suspect < timing.ttl,
            "`cluster.timing.suspect` must be shorter than `cluster.timing.ttl`: a silent link is noticed before its lease lapses",
        ),
        (
            timing.ping * 4 <= timing.suspect,
            "`cluster.timing.ping` must be at most a quarter of `cluster.timing.suspect`: one lost ping is no silence",
        ),
        (timing.pair >= timing.ttl, "`cluster.timing.pair` must be at least `cluster.timing.ttl`"),
        (
            timing.publish_retry < timing.deadline,
            "`cluster.timing.publish_retry` must be shorter than `cluster.timing.deadline`: a publish is tried more than once",
        ),
        (
            timing.attach_retry < timing.deadline,
            "`cluster.timing.attach_retry` must be shorter than `cluster.timing.deadline`",
        ),
    ];
    for (_, sentence) in rules.iter().filter(|(holds, _)| !holds) {
        reading.fault(format!("{sentence}."));
    }
}
