//! What each load does. None of it ends by itself, and none of it expects anything: whatever the server does, it goes on.

pub(super) mod bulk;
pub(super) mod client;
pub(super) mod guesses;
pub(super) mod names;
pub(super) mod sockets;

use std::time::Duration;

/// After something failed, so long until it is tried again.
const AGAIN: Duration = Duration::from_millis(100);
