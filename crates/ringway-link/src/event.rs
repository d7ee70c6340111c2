//! What the links tell the member's task.

use ringway_core::id::Incarnation;
use ringway_core::message::Frame;
use ringway_protocol::link::Identity;

use crate::connection::LinkSender;
use crate::end::{Ended, LinkId};
use crate::target::{DialError, Target};

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
