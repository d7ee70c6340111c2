//! Values of every type that is spelled, drawn from a run of choices. Structs and enums get theirs from the same list
//! of fields that spells them, so a field that is added is drawn too.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ringway_core::id::{Birth, ChannelName, Epoch, Incarnation, MemberId, Slot, StreamEpoch, UserName};
use ringway_core::message::AttachId;
use ringway_core::ring::{HashKey, SlotCount, Weight};

/// Bytes that decide. Without any left every choice is the first, so that shorter runs make simpler values.
#[derive(Debug)]
pub(in crate::link) struct Choices {
    bytes: std::vec::IntoIter<u8>,
    forced: Option<usize>,
}

impl Choices {
    pub(super) fn of(bytes: Vec<u8>) -> Self {
        Self { bytes: bytes.into_iter(), forced: None }
    }

    /// A long run that a seed spells out.
    pub(super) fn scattered(seed: u64) -> Self {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let byte = |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        };
        Self::of((0..600).map(byte).collect())
    }

    /// Decides the next choice among kinds.
    pub(super) fn force(&mut self, choice: usize) {
        self.forced = Some(choice);
    }

    fn byte(&mut self) -> u8 {
        self.bytes.next().unwrap_or(0)
    }

    pub(in crate::link) fn below(&mut self, count: usize) -> usize {
        self.forced.take().unwrap_or_else(|| usize::from(self.byte())) % count
    }

    /// Numbers of all lengths, the greatest among them.
    fn number(&mut self) -> u64 {
        let bits = u32::from(self.byte()) % (u64::BITS + 1);
        let raw = u64::from_le_bytes(std::array::from_fn(|_| self.byte()));
        raw.checked_shr(u64::BITS - bits).unwrap_or(0)
    }

    fn letters(&mut self, least: usize) -> String {
        const LETTERS: [char; 8] = ['a', 'b', 'c', 'X', 'Y', '7', '-', '_'];
        let length = least + usize::from(self.byte()) % 12;
        (0..length).map(|_| LETTERS[usize::from(self.byte()) % LETTERS.len()]).collect()
    }
}

/// A type of which values can be drawn.
pub(in crate::link) trait Sample {
    fn sample(choices: &mut Choices) -> Self;
}

macro_rules! sample {
    ($($type:ty: |$choices:ident| $value:expr;)*) => { $(
        impl Sample for $type {
            fn sample($choices: &mut Choices) -> Self {
                $value
            }
        }
    )* };
}

sample! {
    bool: |c| c.byte() & 1 == 1;
    u8: |c| c.byte();
    u16: |c| c.number() as u16;
    u32: |c| c.number() as u32;
    u64: |c| c.number();
    u128: |c| u128::from(c.number()) << 64 | u128::from(c.number());
    Duration: |c| Duration::new(c.number(), c.number() as u32 % 1_000_000_000);
    Bytes: |c| Bytes::from(format!("\"é{}\"", c.letters(0)));
    Box<str>: |c| c.letters(0).into();
    Arc<str>: |c| c.letters(0).into();
    Epoch: |c| Epoch(c.number());
    Slot: |c| Slot(c.number() as u32);
    AttachId: |c| AttachId(c.number());
    Birth: |c| Birth(c.number());
    Incarnation: |c| Incarnation(c.number());
    StreamEpoch: |c| StreamEpoch::from_random(c.number());
    MemberId: |c| MemberId::new(&c.letters(1)).unwrap();
    ChannelName: |c| ChannelName::new(&format!("#ü:{}", c.letters(0))).unwrap();
    UserName: |c| UserName::new(&format!("ß{}", c.letters(0))).unwrap();
    HashKey: |c| HashKey::from_bytes(u128::sample(c).to_le_bytes());
    SlotCount: |c| SlotCount::new(8 << (c.byte() % 14)).unwrap();
    Weight: |c| Weight::from_thousandths(c.number() as u32 % 1_000_001).unwrap();
}

impl<const N: usize> Sample for [u8; N] {
    fn sample(choices: &mut Choices) -> Self {
        std::array::from_fn(|_| choices.byte())
    }
}

impl<T: Sample> Sample for Option<T> {
    fn sample(choices: &mut Choices) -> Self {
        bool::sample(choices).then(|| T::sample(choices))
    }
}

impl<T: Sample> Sample for Vec<T> {
    fn sample(choices: &mut Choices) -> Self {
        let length = choices.byte() % 4;
        (0..length).map(|_| T::sample(choices)).collect()
    }
}

impl<T: Sample> Sample for Box<T> {
    fn sample(choices: &mut Choices) -> Self {
        Self::new(T::sample(choices))
    }
}

impl<T: Sample> Sample for Arc<T> {
    fn sample(choices: &mut Choices) -> Self {
        Self::new(T::sample(choices))
    }
}

impl<A: Sample, B: Sample> Sample for (A, B) {
    fn sample(choices: &mut Choices) -> Self {
        (A::sample(choices), B::sample(choices))
    }
}

impl<A: Sample, B: Sample, C: Sample> Sample for (A, B, C) {
    fn sample(choices: &mut Choices) -> Self {
        (A::sample(choices), B::sample(choices), C::sample(choices))
    }
}
