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
        let mut set = Self::default();
        slots.into_iter().for_each(|slot| set.add(slot));
        set
    }

    /// Puts a slot in.
    pub fn add(&mut self, slot: Slot) {
        let (byte, bit) = place(slot);
        if self.bits.len() <= byte {
            self.bits.resize(byte + 1, 0);
        }
        self.bits[byte] |= bit;
    }

    /// Puts all of another set in.
    pub fn add_all(&mut self, others: &Self) {
        others.iter().for_each(|slot| self.add(slot));
    }

    /// Takes all of another set out.
    pub fn remove_all(&mut self, others: &Self) {
        self.bits.iter_mut().zip(&others.bits).for_each(|(bits, others)| *bits &= !others);
    }

    /// Those of this set that are not in the other.
    pub fn without(&self, others: &Self) -> Self {
        let mut rest = self.clone();
        rest.remove_all(others);
        rest
    }

    /// The slots, in order.
    pub fn iter(&self) -> impl Iterator<Item = Slot> + '_ {
        let bytes = self.bits.iter().enumerate().filter(|(_, bits)| **bits != 0);
        bytes.flat_map(|(at, bits)| {
            (0..8).filter(move |bit| bits >> bit & 1 == 1).map(move |bit| Slot(at as u32 * 8 + bit))
        })
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
        assert_eq!(set.iter().collect::<Vec<_>>(), put);
        assert!(SlotSet::default().is_empty() && !SlotSet::default().has(Slot(0)));
    }

    #[test]
    fn sets_are_put_together_and_taken_from_one_another() {
        let (mut set, other) = (SlotSet::of([1, 9, 40].map(Slot)), SlotSet::of([9, 10].map(Slot)));
        assert_eq!(set.without(&other).iter().collect::<Vec<_>>(), [1, 40].map(Slot));
        set.add_all(&other);
        assert_eq!(set.iter().collect::<Vec<_>>(), [1, 9, 10, 40].map(Slot));
        set.remove_all(&SlotSet::of([1, 40, 900].map(Slot)));
        assert_eq!(set.without(&other), SlotSet { bits: vec![0; 6] });
        assert!(set.without(&other).is_empty());
    }
}
