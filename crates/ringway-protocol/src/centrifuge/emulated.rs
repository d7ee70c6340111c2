//! What is posted for a session whose own connection only brings.

use std::borrow::Cow;

/// Which session, and the frame that would else have come over its connection.
#[derive(Debug, PartialEq, Eq)]
pub struct Emulated<'a> {
    /// As the reply to its connect names it.
    pub session: Cow<'a, str>,
    /// The gateway that it is at, named in the same way.
    pub node: Cow<'a, str>,
    /// Commands.
    pub data: Cow<'a, [u8]>,
}
