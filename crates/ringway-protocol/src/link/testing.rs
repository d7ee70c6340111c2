//! Values of every type that is spelled, drawn from a run of choices. Structs and enums get theirs from the same list
//! of fields that spells them, so a field that is added is drawn too.
//!
//! They are well-formed and mean nothing: what a member says that has gone wrong, or one of a later version.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ringway_core::id::{Birth, ChannelName, Epoch, Incarnation, MemberId, Slot, StreamEpoch, UserName};
use ringway_core::logbook::Place;
use ringway_core::message::{AttachId, Entry, Message, Publisher};
use ringway_core::registry::store::Revision;
use ringway_core::ring::{HashKey, SlotCount, Weight};

/// Values that a reader knows already. Among random ones hardly any would ever meet what it holds.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Epochs of views and terms, numbers of publishes and of operations.
    pub numbers: Vec<u64>,
    /// Lives of members.
    pub incarnations: Vec<Incarnation>,
    /// Names of channels.
    pub channels: Vec<ChannelName>,
    /// Slots.
    pub slots: Vec<Slot>,
    /// Attaches.
    pub attaches: Vec<AttachId>,
    /// Lives of streams.
    pub streams: Vec<StreamEpoch>,
    /// Key of the cluster and its number of slots.
    pub cluster: Option<(HashKey, SlotCount)>,
}

/// Bytes that decide. Without any left every choice is the first, so that shorter runs make simpler values.
#[derive(Debug)]
pub struct Choices {
    bytes: std::vec::IntoIter<u8>,
    forced: Option<usize>,
    known: Known,
}

impl Choices {
    /// Decides by these.
    pub fn of(bytes: Vec<u8>) -> Self {
        Self { bytes: bytes.into_iter(), forced: None, known: Known::default() }
    }

    /// A long run that a seed spells out.
    pub fn scattered(seed: u64) -> Self {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let byte = |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        };
        // The first bytes of neighbouring seeds are much alike.
        Self::of((0..632).map(byte).skip(32).collect())
    }

    /// The same, with three in four values drawn from what is known.
    #[must_use]
    pub fn among(self, known: Known) -> Self {
        Self { known, ..self }
    }

    /// Decides the next choice among kinds.
    pub fn force(&mut self, choice: usize) {
        self.forced = Some(choice);
    }

    fn byte(&mut self) -> u8 {
        self.bytes.next().unwrap_or(0)
    }

    /// One of so many.
    pub fn below(&mut self, count: usize) -> usize {
        self.forced.take().unwrap_or_else(|| usize::from(self.byte())) % count
    }

    /// Numbers of all lengths, the smallest and the greatest more often than others.
    fn number(&mut self) -> u64 {
        const EXTREMES: [u64; 8] = [u64::MAX, u64::MAX - 1, 1 << 63, i64::MAX as u64, u32::MAX as u64, 1, 2, 3];
        let choice = u32::from(self.byte()) % 80;
        if let Some(extreme) = choice.checked_sub(u64::BITS + 1) {
            return EXTREMES[extreme as usize % EXTREMES.len()];
        }
        let raw = u64::from_le_bytes(std::array::from_fn(|_| self.byte()));
        raw.checked_shr(u64::BITS - choice).unwrap_or(0)
    }

    fn letters(&mut self, least: usize) -> String {
        const LETTERS: [char; 8] = ['a', 'b', 'c', 'X', 'Y', '7', '-', '_'];
        let length = least + usize::from(self.byte()) % 12;
        (0..length).map(|_| LETTERS[usize::from(self.byte()) % LETTERS.len()]).collect()
    }

    /// The cluster that is known, mostly.
    fn cluster(&mut self) -> Option<(HashKey, SlotCount)> {
        let cluster = self.known.cluster?;
        (self.byte() % 8 < 7).then_some(cluster)
    }

    /// One of those that `pick` finds among what is known, mostly.
    fn known<T: Clone>(&mut self, pick: fn(&Known) -> &[T]) -> Option<T> {
        if pick(&self.known).is_empty() || self.byte() % 4 == 3 {
            return None;
        }
        let at = usize::from(self.byte());
        let known = pick(&self.known);
        known.get(at % known.len()).cloned()
    }
}

/// How many kinds of message there are: [`Choices::force`] takes one of them before a message is drawn.
pub const MESSAGE_KINDS: usize = 43;

/// A message of each kind in turn, by its place among them.
pub fn message_of_kind(kind: usize, choices: &mut Choices) -> Message {
    choices.force(kind);
    Message::sample(choices)
}

/// A type of which values can be drawn.
pub trait Sample {
    /// Draws one.
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
    u64: |c| c.known(|known| &known.numbers).unwrap_or_else(|| c.number());
    u128: |c| u128::from(c.number()) << 64 | u128::from(c.number());
    Duration: |c| Duration::new(c.number(), c.number() as u32 % 1_000_000_000);
    Bytes: |c| match c.byte() % 8 {
        7 => Bytes::from(c.number().to_le_bytes().to_vec()),
        6 => Bytes::new(),
        _ => Bytes::from(format!("\"é{}\"", c.letters(0))),
    };
    Entry: |c| match c.byte() % 4 {
        0 => Entry::with_tags(&Bytes::sample(c), [(&*c.letters(0), &*c.letters(0))]),
        1 => Entry::of(&Bytes::sample(c)),
        _ => {
            let (data, conn_info, user) = (Bytes::sample(c), Bytes::sample(c), c.letters(0));
            Entry::by(&data, &Publisher { user: &user, client: u128::sample(c), conn_info: &conn_info, chan_info: b"" })
        }
    };
    Box<str>: |c| c.letters(0).into();
    Arc<str>: |c| c.letters(0).into();
    Epoch: |c| Epoch(u64::sample(c));
    Slot: |c| c.known(|known| &known.slots).unwrap_or_else(|| Slot(c.number() as u32));
    AttachId: |c| c.known(|known| &known.attaches).unwrap_or_else(|| AttachId(c.number()));
    Place: |c| Place(c.number());
    Revision: |c| Revision(c.number());
    Birth: |c| Birth(c.number());
    Incarnation: |c| c.known(|known| &known.incarnations).unwrap_or_else(|| Incarnation(c.number()));
    StreamEpoch: |c| c.known(|known| &known.streams).unwrap_or_else(|| StreamEpoch::from_random(c.number()));
    MemberId: |c| MemberId::new(&c.letters(1)).expect("letters make an id");
    ChannelName: |c| c.known(|known| &known.channels).unwrap_or_else(|| name(c));
    UserName: |c| UserName::new(&format!("ß{}", c.letters(0))).expect("letters make a name");
    HashKey: |c| c.cluster().map_or_else(|| HashKey::from_bytes(u128::sample(c).to_le_bytes()), |(key, _)| key);
    SlotCount: |c| c.cluster().map_or_else(|| slot_count(c), |(_, count)| count);
    Weight: |c| Weight::from_thousandths(c.number() as u32 % 1_000_001).expect("in its range");
}

fn slot_count(choices: &mut Choices) -> SlotCount {
    SlotCount::new(8 << (choices.byte() % 14)).expect("a power of two in its range")
}

fn name(choices: &mut Choices) -> ChannelName {
    ChannelName::new(&format!("#ü:{}", choices.letters(0))).expect("letters make a name")
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
