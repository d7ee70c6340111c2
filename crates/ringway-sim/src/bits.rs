//! A set of slots, one bit each.

use ringway_core::Slot;

/// As many slots as it has room for; what lies beyond is not in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Bits(Vec<u64>);

impl Bits {
    pub(crate) fn of(slots: impl IntoIterator<Item = Slot>) -> Self {
        let mut bits = Self::default();
        slots.into_iter().for_each(|slot| bits.add(slot));
        bits
    }

    pub(crate) fn add(&mut self, slot: Slot) {
        let word = slot.0 as usize / 64;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (slot.0 % 64);
    }

    pub(crate) fn has(&self, slot: Slot) -> bool {
        self.0.get(slot.0 as usize / 64).is_some_and(|word| word >> (slot.0 % 64) & 1 == 1)
    }

    pub(crate) fn add_all(&mut self, others: &Self) {
        others.iter().for_each(|slot| self.add(slot));
    }

    pub(crate) fn remove_all(&mut self, others: &Self) {
        self.0.iter_mut().zip(&others.0).for_each(|(word, other)| *word &= !other);
    }

    /// Those of this set that are not in the other.
    pub(crate) fn without(&self, others: &Self) -> Self {
        let mut rest = self.clone();
        rest.remove_all(others);
        rest
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Slot> + '_ {
        let words = self.0.iter().enumerate().filter(|(_, word)| **word != 0);
        words.flat_map(|(at, word)| {
            (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| Slot(at as u32 * 64 + bit))
        })
    }
}
