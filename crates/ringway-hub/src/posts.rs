//! What clients send to another gateway than their session's. The hub passes it on, and hands what has come for a session here to whoever
//! drives it: the connection of the session reads it, as it reads what comes over itself.

use ringway_core::Incarnation;
use ringway_core::message::Post;

use super::{Hub, Socket};

/// A post for a session here. To be handed to it, and answered ([`Hub::posted`]).
#[derive(Debug)]
pub struct Posted {
    /// The node that passed it on, and its number there.
    pub(super) from: (Incarnation, u64),
    /// What came.
    pub post: Box<Post>,
}

impl<S: Socket> Hub<S> {
    /// Posts that have come for sessions here, in order.
    pub fn take_posts(&mut self) -> Vec<Posted> {
        std::mem::take(&mut self.posts)
    }

    /// Whether there is such a session, and it has the post.
    pub fn posted(&mut self, posted: &Posted, is_taken: bool) {
        self.rules.posted(posted.from, is_taken);
    }
}
