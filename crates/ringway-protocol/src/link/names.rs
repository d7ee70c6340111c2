//! The names and numbers of the core, each checked again as it comes in.

use bytes::BufMut;
use ringway_core::id::{Birth, ChannelName, Epoch, Incarnation, MemberId, Slot, StreamEpoch, UserName};
use ringway_core::logbook::Place;
use ringway_core::message::AttachId;
use ringway_core::registry::store::Revision;
use ringway_core::ring::{HashKey, SlotCount, Weight};

use super::FrameError;
use super::input::Input;
use super::wire::{Out, Wire, put_bytes};

/// Both directions of a named number that is spelled like the number.
macro_rules! wire_number {
    ($($type:ident),*) => { $(
        impl Wire for $type {
            fn put(&self, out: &mut Out<'_>) {
                self.0.put(out);
            }

            fn take(input: &mut Input<'_>) -> Result<Self, FrameError> {
                Wire::take(input).map(Self)
            }
        }
    )* };
}

/// Both directions of a name: its text, checked by the type's own rules.
macro_rules! wire_name {
    ($($type:ident),*) => { $(
        impl Wire for $type {
            fn put(&self, out: &mut Out<'_>) {
                put_bytes(self.as_str().as_bytes(), out);
            }

            fn take(input: &mut Input<'_>) -> Result<Self, FrameError> {
                Ok(Self::new(input.text()?)?)
            }
        }
    )* };
}

wire_number!(Epoch, Slot, AttachId, Revision, Place);
wire_name!(MemberId, ChannelName, UserName);

/// Both directions of a named number that is as good as random: a varint would only make it longer.
macro_rules! wire_random {
    ($($type:ident),*) => { $(
        impl Wire for $type {
            fn put(&self, out: &mut Out<'_>) {
                out.put_u64_le(self.0);
            }

            fn take(input: &mut Input<'_>) -> Result<Self, FrameError> {
                input.array().map(u64::from_le_bytes).map(Self)
            }
        }
    )* };
}

wire_random!(Birth, Incarnation);

/// Eight letters, always.
impl Wire for StreamEpoch {
    fn put(&self, out: &mut Out<'_>) {
        out.extend_from_slice(self.as_str().as_bytes());
    }

    fn take(input: &mut Input<'_>) -> Result<Self, FrameError> {
        let letters: [u8; 8] = input.array()?;
        std::str::from_utf8(&letters).ok().and_then(Self::parse).ok_or(FrameError::NotText)
    }
}

impl Wire for HashKey {
    fn put(&self, out: &mut Out<'_>) {
        self.as_bytes().put(out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, FrameError> {
        input.array().map(Self::from_bytes)
    }
}

impl Wire for SlotCount {
    fn put(&self, out: &mut Out<'_>) {
        self.get().put(out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, FrameError> {
        Self::new(u32::take(input)?).map_err(|_| FrameError::OutOfRange)
    }
}

impl Wire for Weight {
    fn put(&self, out: &mut Out<'_>) {
        self.thousandths().put(out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, FrameError> {
        Self::from_thousandths(u32::take(input)?).map_err(|_| FrameError::OutOfRange)
    }
}
