//! The keyed hash: from names to slots, and from member ids to the seeds of their scores.

use std::fmt;

use super::siphash::siphash13;
use super::slots::SlotCount;
use crate::id::{Birth, MemberId, Slot};

/// The key of a cluster's placement: 128 bits, drawn when the cluster is born and kept with its view. Without it
/// nobody can choose names that fall into one slot. It depends on no other secret, and its text form hides it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HashKey([u8; 16]);

impl HashKey {
    /// Takes 16 bytes from a source of good randomness.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes, for the view's own frames. They belong in no log and in no answer to a client.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Which cluster this is the key of.
    pub fn birth(&self) -> Birth {
        Birth(self.hash_name("\0\0birth"))
    }

    /// SipHash-1-3 of a name: 64 bits, the same on every machine. The short variant is enough because no hash is shown but
    /// that of one fixed text (the birth); a hash has to be unpredictable, it is no signature.
    #[inline]
    pub(super) fn hash_name(&self, name: &str) -> u64 {
        siphash13(self.halves(), name.as_bytes())
    }

    /// The number that a node's scores grow from. The leading zero byte, which no channel name can hold, keeps the
    /// hashes of members apart from those of channels; two of them stand before the birth's text.
    pub(super) fn hash_member(&self, id: &MemberId) -> u64 {
        self.hash_name(&format!("\0{id}"))
    }

    #[inline]
    fn halves(&self) -> (u64, u64) {
        let number = u128::from_le_bytes(self.0);
        (number as u64, (number >> 64) as u64)
    }
}

impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashKey(..)")
    }
}

/// The slot of a name: the top bits of its hash, so that slots are equal arcs of the ring of all hashes.
#[inline]
pub fn slot_of(key: &HashKey, count: SlotCount, name: &str) -> Slot {
    Slot((key.hash_name(name) >> (u64::BITS - count.bits())) as u32)
}
