//! How a socket ended.

use serde::Serialize;

/// A socket that ended though this end did not ask for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ended {
    /// The client: a user's name, or its number and channel.
    pub name: String,
    /// The close frame's code, if there was one.
    pub code: Option<u16>,
    /// The close frame's reason, or what happened.
    pub reason: String,
}
