//! Some of a cluster's slots.

use std::fmt;

use crate::id::Slot;

/// A set of slots, one bit each: 8 KiB for the most that a cluster can have.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SlotSet {
    /// Eight slots to a byte, the lowest in its lowest bit. What lies beyond the end is not in the set.
    pub bits: Vec<u8>,
}

impl SlotSet {
    /// The set of these slots.
    pub fn of(slots: impl IntoIterator<Item = Slot>) -> Self {
        let mut bits = Vec::new();
        for slot in slots {
            let (byte, bit) = place(slot);
            if bits.len() <= byte {
                bits.resize(byte + 1, 0);
            }
            bits[byte] |= bit;
        }
        Self { bits }
    }

    /// The slot is in it.
    pub fn has(&self, slot: Slot) -> bool {
        let (byte, bit) = place(slot);
        self.bits.get(byte).is_some_and(|bits| bits & bit != 0)
    }

    /// How many there are.
    pub fn len(&self) -> u32 {
        self.bits.iter().map(|bits| bits.count_ones()).sum()
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.bits.iter().all(|bits| *bits == 0)
    }
}

/// The byte a slot is in, and its bit.
fn place(slot: Slot) -> (usize, u8) {
    (slot.index() / 8, 1 << (slot.index() % 8))
}

impl fmt::Debug for SlotSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} slots", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_what_was_put_in_and_nothing_else() {
        let put = [0, 7, 8, 1000, 65_535].map(Slot);
        let set = SlotSet::of(put);
        assert_eq!((set.len(), set.bits.len(), set.is_empty()), (5, 8192, false));
        for slot in (0..70_000).map(Slot) {
            assert_eq!(set.has(slot), put.contains(&slot), "{slot:?}");
        }
        assert!(SlotSet::default().is_empty() && !SlotSet::default().has(Slot(0)));
    }
}
