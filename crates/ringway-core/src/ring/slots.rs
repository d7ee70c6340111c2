//! How many slots a cluster has.

use crate::id::Slot;

/// The number of slots, fixed when the cluster is born: a power of two from 8 to 65,536.
///
/// A power of two, because a slot is the top bits of a hash and all arcs must be equal. Fewer than 8 slots cannot be
/// shared out in any useful way. More than 65,536 would level large clusters a little further, but every member pays
/// for its tables slot by slot, and so does every change of view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotCount(u32);

/// Why a number of slots was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} slots are not possible: the number must be a power of two from 8 to 65536")]
pub struct SlotCountError(pub u32);

impl SlotCount {
    /// The fewest slots, for simulations.
    pub const MIN: Self = Self(8);
    /// The most slots.
    pub const MAX: Self = Self(65_536);
    /// What a cluster gets unless something else is said: at 10 nodes each holds its share within a few per cent.
    pub const DEFAULT: Self = Self(65_536);

    /// Checks and takes the number.
    ///
    /// # Errors
    /// [`SlotCountError`] if it is not a power of two from 8 to 65,536.
    pub const fn new(count: u32) -> Result<Self, SlotCountError> {
        if count.is_power_of_two() && count >= Self::MIN.0 && count <= Self::MAX.0 {
            Ok(Self(count))
        } else {
            Err(SlotCountError(count))
        }
    }

    /// The number of slots.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// Bits of a hash that name a slot: 3 to 16.
    pub const fn bits(self) -> u32 {
        self.0.trailing_zeros()
    }

    /// The slot with this number, if there is one. For numbers that came from outside.
    pub fn slot(self, number: u32) -> Option<Slot> {
        (number < self.0).then_some(Slot(number))
    }

    /// All slots in order.
    pub fn slots(self) -> impl ExactSizeIterator<Item = Slot> + use<> {
        (0..self.0).map(Slot)
    }
}

impl Default for SlotCount {
    fn default() -> Self {
        Self::DEFAULT
    }
}
