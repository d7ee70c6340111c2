//! How large a share of the slots a node is to take.

use std::fmt;

/// The share of a node in relation to the others', in thousandths: a node of weight 2 owns about twice the slots of a
/// node of weight 1. Weight 0 takes no slots. A whole number inside, so that scores are the same on every machine;
/// thousandths, so that a ramp from 0 to 1 may have steps too small to feel.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Weight(u32);

/// Why a weight was refused.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("a weight of {0} is not possible: it must be 0, or from 0.001 to {max}", max = Weight::MAX)]
pub struct WeightError(pub f64);

impl Weight {
    /// Takes no slots: a node that has not arrived yet, or is leaving.
    pub const ZERO: Self = Self(0);
    /// The weight of a node that was given none.
    pub const ONE: Self = Self(Self::SCALE);
    /// The greatest weight, 1,000. A larger ratio between two machines is likelier a slip than a wish.
    pub const MAX: Self = Self(1_000 * Self::SCALE);

    const SCALE: u32 = 1_000;

    /// A weight in thousandths: 500 is half a share.
    ///
    /// # Errors
    /// [`WeightError`] if it is over [`Weight::MAX`].
    pub fn from_thousandths(thousandths: u32) -> Result<Self, WeightError> {
        if thousandths <= Self::MAX.0 {
            Ok(Self(thousandths))
        } else {
            Err(WeightError(f64::from(thousandths) / f64::from(Self::SCALE)))
        }
    }

    /// A weight as people and the admin API write it: 1, 2, 0.5. Rounded to thousandths.
    ///
    /// # Errors
    /// [`WeightError`] if it is negative, not a number, over [`Weight::MAX`], or so small that it would round to zero
    /// without being zero.
    pub fn from_number(number: f64) -> Result<Self, WeightError> {
        let thousandths = (number * f64::from(Self::SCALE)).round();
        if !(0.0..=f64::from(Self::MAX.0)).contains(&thousandths) || (thousandths == 0.0 && number != 0.0) {
            return Err(WeightError(number));
        }
        Ok(Self(thousandths as u32))
    }

    /// The weight in thousandths.
    pub const fn thousandths(self) -> u32 {
        self.0
    }

    /// The weight as people and the admin API read it.
    pub fn as_number(self) -> f64 {
        f64::from(self.0) / f64::from(Self::SCALE)
    }

    /// Whether a node of this weight takes no slots.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl Default for Weight {
    fn default() -> Self {
        Self::ONE
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_number().fmt(f)
    }
}

impl fmt::Debug for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Weight({self})")
    }
}
