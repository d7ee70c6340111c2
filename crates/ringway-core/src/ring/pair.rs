//! The two nodes of a slot, by their places in a table.

/// Stands for "no node" in a pair. Above every index, since [`MAX_NODES`](super::MAX_NODES) is far less.
pub(super) const NONE: u16 = u16::MAX;

/// Owner and standby of one slot; [`NONE`] where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) owner: u16,
    pub(super) standby: u16,
}
