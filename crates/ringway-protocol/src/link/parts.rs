//! The spelling of what every message is made of: numbers, texts, payloads, lists.

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes};

use super::FrameError;
use super::input::Input;
use super::wire::{Out, Rest, Run, Wire, put_bytes, put_varint};

impl Wire for bool {
    fn put(&self, out: &mut Out<'_>) {
        out.put_u8(u8::from(*self));
    }

    fn take(input: &mut Input<'_>) -> Result<Self, FrameError> {
        match input.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(FrameError::OutOfRange),
        }
    }
}

impl Wire for u8 {
    fn put(&self, out: &mut Out<'_>) {
        out.put_u8(*self);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, FrameError> {
        input.byte()
    }
}

impl Wire for u16 {
    fn put(&self, out: &mut Out<'_>) {
        put_varint(u64::from(*self), out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, FrameError> {
        input.varint()?.try_into().map_err(|_| FrameError::OutOfRange)
    }
}

impl Wire for u32 {
    fn put(&self, out: &mut Out<'_>) {
        put_varint(u64::from(*self), out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, FrameError> {
        input.varint()?.try_into().map_err(|_| FrameError::OutOfRange)
    }
}

impl Wire for u64 {
    fn put(&self, out: &mut Out<'_>) {
        put_varint(*self, out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, FrameError> {
        input.varint()
    }
}

/// Client ids are random, so a varint would only make them longer.
impl Wire for u128 {
    fn put(&self, out: &mut Out<'_>) {
        out.put_u128_le(*self);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, FrameError> {
        Ok(Self::from_le_bytes(input.array()?))
    }
}

impl<const N: usize> Wire for [u8; N] {
    fn put(&self, out: &mut Out<'_>) {
        out.extend_from_slice(self);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, FrameError> {
        input.array()
    }
}

/// Whole seconds, then the rest in nanoseconds: settings are mostly whole seconds and then take three bytes.
impl Wire for Duration {
    fn put(&self, out: &mut Out<'_>) {
        put_varint(self.as_secs(), out);
        put_varint(u64::from(self.subsec_nanos()), out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, FrameError> {
        const NANOS_PER_SECOND: u32 = 1_000_000_000;
        match (u64::take(input)?, u32::take(input)?) {
            (seconds, nanos) if nanos < NANOS_PER_SECOND => Ok(Self::new(seconds, nanos)),
            _ => Err(FrameError::OutOfRange),
        }
    }
}

/// Copied out: a payload may be kept for minutes, the read buffer it stands in may not.
impl Wire for Bytes {
    fn put(&self, out: &mut Out<'_>) {
        put_bytes(self, out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, FrameError> {
        input.bytes().map(Self::copy_from_slice)
    }
}

impl Run for Bytes {}

impl Wire for Box<str> {
    fn put(&self, out: &mut Out<'_>) {
        put_bytes(self.as_bytes(), out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, FrameError> {
        input.text().map(Into::into)
    }
}

impl Wire for Arc<str> {
    fn put(&self, out: &mut Out<'_>) {
        put_bytes(self.as_bytes(), out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, FrameError> {
        input.text().map(Into::into)
    }
}

impl<T: Wire> Wire for Option<T> {
    fn put(&self, out: &mut Out<'_>) {
        match self {
            None => out.put_u8(0),
            Some(value) => {
                out.put_u8(1);
                value.put(out);
            }
        }
    }

    fn take(input: &mut Input<'_>) -> Result<Self, FrameError> {
        Ok(if bool::take(input)? { Some(T::take(input)?) } else { None })
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn put(&self, out: &mut Out<'_>) {
        put_varint(self.len() as u64, out);
        for element in self {
            element.put(out);
        }
    }

    /// Room is made for no more memory than the frame has bytes; a list that is really longer grows as it is read.
    fn take(input: &mut Input<'_>) -> Result<Self, FrameError> {
        let count = input.count()?;
        let mut list = Self::with_capacity(count.min(input.left() / size_of::<T>().max(1)));
        for _ in 0..count {
            list.push(T::take(input)?);
        }
        Ok(list)
    }
}

impl<T: Wire> Wire for Box<T> {
    fn put(&self, out: &mut Out<'_>) {
        (**self).put(out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, FrameError> {
        T::take(input).map(Self::new)
    }
}

impl<T: Wire> Wire for Arc<T> {
    fn put(&self, out: &mut Out<'_>) {
        (**self).put(out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, FrameError> {
        T::take(input).map(Self::new)
    }
}

impl<A: Wire, B: Wire> Wire for (A, B) {
    fn put(&self, out: &mut Out<'_>) {
        self.0.put(out);
        self.1.put(out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, FrameError> {
        Ok((A::take(input)?, B::take(input)?))
    }
}

impl<A: Wire, B: Wire, C: Wire> Wire for (A, B, C) {
    fn put(&self, out: &mut Out<'_>) {
        self.0.put(out);
        self.1.put(out);
        self.2.put(out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, FrameError> {
        Ok((A::take(input)?, B::take(input)?, C::take(input)?))
    }
}

impl<T: Rest> Rest for Box<T> {
    fn put(&self, out: &mut Out<'_>) {
        T::put(self, out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, FrameError> {
        T::take(input).map(Self::new)
    }
}

impl<T: Rest> Rest for Arc<T> {
    fn put(&self, out: &mut Out<'_>) {
        T::put(self, out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, FrameError> {
        T::take(input).map(Self::new)
    }
}
