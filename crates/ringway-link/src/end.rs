//! Which connection, and why it ended.

use std::fmt;
use std::io;
use std::sync::Arc;

use ringway_protocol::link::FrameError;

/// Names one connection. Never used twice in a process; those with one peer grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

impl fmt::Display for LinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a link ended.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Ended {
    /// The other end closed it.
    #[error("closed by the other end")]
    Closed,
    /// The connection broke.
    #[error("broken: {0}")]
    Broken(Arc<io::Error>),
    /// A newer connection took its place.
    #[error("replaced by a newer connection")]
    Replaced,
    /// The other end did not take what was sent to it fast enough.
    #[error(
        "closed: {queued} bytes were waiting to be sent, which is the limit; the ends start again from their positions"
    )]
    QueueFull {
        /// Bytes that waited.
        queued: usize,
    },
    /// The other end sent what is no frame.
    #[error("closed: the other end sent what is no frame: {0}")]
    Malformed(#[from] FrameError),
    /// This end was told to forget the peer, or to close the link.
    #[error("closed by this end")]
    Forgotten,
    /// This end took a new incarnation.
    #[error("closed: this member has a new incarnation")]
    Reborn,
    /// The other end belongs to another cluster than the one that this end was told of.
    #[error("closed: the other end belongs to another cluster")]
    OtherCluster,
    /// A cut that was asked for, to test the cluster, is over.
    #[error("closed at the end of a cut")]
    Cut,
    /// This process ends.
    #[error("closed: this member shuts down")]
    ShutDown,
}
