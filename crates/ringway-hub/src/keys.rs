//! What names a session.

/// A session's key in the hub's table.
pub(super) type SessionKey = u32;

/// A probe's key in the hub's table.
pub(super) type ProbeKey = u32;

/// A session, told from later ones with the same key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SessionId {
    pub(super) key: SessionKey,
    pub(super) serial: u32,
}
