//! What the links tell the member's task.

use std::fmt;
use std::io;
use std::sync::Arc;

use ringway_core::id::Incarnation;
use ringway_core::message::Frame;
use ringway_protocol::link::{FrameError, Identity};

use crate::connection::LinkSender;
use crate::dial::{DialError, Target};

/// Names one connection. Never used twice in a process; those with one peer grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

impl fmt::Display for LinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Something that happened. For one peer's incarnation they come as `Up`, `Frames`…, `Down`, `Up`, … in this order:
/// after the `Up` of a connection nothing of an earlier one is told.
#[derive(Debug)]
pub enum Event {
    /// A link stands, and nothing was said on it yet.
    Up {
        /// The connection.
        link: LinkId,
        /// Who is at the other end, proved by the join secret.
        peer: Identity,
        /// The way to the other end.
        sender: LinkSender,
    },
    /// Frames that one read brought, in order.
    Frames {
        /// The connection.
        link: LinkId,
        /// Who sent them.
        peer: Incarnation,
        /// The frames; never none.
        frames: Vec<Frame>,
        /// Their bytes.
        bytes: usize,
    },
    /// A link ended. What was under way is lost.
    Down {
        /// The connection.
        link: LinkId,
        /// Who was at the other end.
        peer: Identity,
        /// Why it ended.
        reason: Ended,
    },
    /// A dial was refused by the host it went to: no process listens there.
    Refused {
        /// What was dialed.
        target: Target,
    },
    /// A dial failed in a way that says nothing of the life or death of the one dialed.
    Failed {
        /// What was dialed.
        target: Target,
        /// How it failed.
        why: DialError,
    },
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
