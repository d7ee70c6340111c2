//! A large cluster: many nodes, very many channels, links across the world.

use std::time::Duration;

/// How large the cluster of a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Large {
    /// Nodes at the start; a tenth as many may join.
    pub nodes: usize,
    /// Channels; a quarter are inboxes.
    pub channels: usize,
    /// Slots.
    pub slots: u32,
    /// Longest time that a frame is under way, beside its turn on the link.
    pub delay: Duration,
    /// Bytes that are published to each of the few large channels.
    pub large_bytes: usize,
    /// Time in which members join, leave and die, once all channels are there.
    pub disturbed: Duration,
}

/// Bytes of the largest publication in a run.
pub(crate) const LARGEST: usize = 60_000;

impl Default for Large {
    fn default() -> Self {
        Self {
            nodes: 30,
            channels: 200_000,
            slots: 65_536,
            delay: Duration::from_millis(250),
            large_bytes: 32 << 20,
            disturbed: Duration::from_secs(60),
        }
    }
}

/// What a run of a large cluster came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Measures {
    /// Frames on links, and their bytes.
    pub frames: u64,
    /// The same in bytes.
    pub bytes: u64,
    /// Of these, bytes that no publication costs: copies, attaches, histories, views.
    pub bytes_of_changes: u64,
    /// Of these, bytes of views.
    pub bytes_of_views: u64,
    /// Of these, bytes of pings.
    pub bytes_of_pings: u64,
    /// Views from the end of the filling on.
    pub views: u64,
    /// Bytes of the largest frame that holds more than one publication, and of the largest of all.
    pub largest_batch: usize,
    /// The same of any.
    pub largest_frame: usize,
    /// Most bytes that waited on one direction of a link.
    pub queue: u64,
    /// Most bytes that waited for all peers of one member.
    pub member_queues: u64,
    /// Most bytes of parts of states that were under way from one node to another.
    pub bulk: u64,
    /// Longest time from the moment at which somebody was not settled to the one at which all were, in microseconds.
    pub settling: u64,
    /// The same from the last change or fault to the end of the run.
    pub last_settling: u64,
    /// Longest time that a publication on a channel waited for its answer from the end of the filling on, in microseconds.
    pub longest_pause: u64,
    /// The same that half of them did not exceed, in steps of ten milliseconds.
    pub usual_pause: u64,
    /// Publications that were given up or refused.
    pub unanswered: u64,
    /// Changes and crashes.
    pub disturbances: u64,
}
