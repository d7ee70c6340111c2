//! How a value is spelled and read: one trait, its building blocks, and two macros that make both directions of a type
//! from one list of its fields.

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};

use super::FrameError;
use super::input::Input;

/// A value with a spelling in bytes. What `put` wrote, `take` reads back, and takes no byte more. A value takes at
/// least one byte: counts are checked on that ground.
pub(super) trait Wire: Sized {
    fn put(&self, out: &mut BytesMut);
    fn take(input: &mut Input<'_>) -> Result<Self, FrameError>;
}

/// Both directions of a struct, field after field in the order given.
macro_rules! wire_struct {
    ($type:ident { $($field:ident),* $(,)? }) => {
        impl Wire for $type {
            fn put(&self, out: &mut BytesMut) {
                let Self { $($field),* } = self;
                $($field.put(out);)*
            }

            fn take(input: &mut Input<'_>) -> Result<Self, FrameError> {
                Ok(Self { $($field: Wire::take(input)?),* })
            }
        }

        #[cfg(test)]
        impl super::tests::Sample for $type {
            fn sample(choices: &mut super::tests::Choices) -> Self {
                Self { $($field: super::tests::Sample::sample(choices)),* }
            }
        }
    };
}

/// Both directions of an enum: its kind in one byte, then the fields of the variant. Kinds are never used twice.
macro_rules! wire_enum {
    ($type:ident { $(
        $kind:literal => $variant:ident $(( $($field:ident),* ))? $({ $($name:ident),* })?
    ),* $(,)? }) => {
        impl Wire for $type {
            fn put(&self, out: &mut BytesMut) {
                match self {
                    $(Self::$variant $(( $($field),* ))? $({ $($name),* })? => {
                        out.put_u8($kind);
                        $($($field.put(out);)*)?
                        $($($name.put(out);)*)?
                    })*
                }
            }

            fn take(input: &mut Input<'_>) -> Result<Self, FrameError> {
                Ok(match input.byte()? {
                    $($kind => {
                        $($(let $field = Wire::take(input)?;)*)?
                        $($(let $name = Wire::take(input)?;)*)?
                        Self::$variant $(( $($field),* ))? $({ $($name),* })?
                    })*
                    kind => return Err(FrameError::UnknownKind { what: stringify!($type), kind }),
                })
            }
        }

        #[cfg(test)]
        impl super::tests::Sample for $type {
            fn sample(choices: &mut super::tests::Choices) -> Self {
                const KINDS: &[u8] = &[$($kind),*];
                match KINDS[choices.below(KINDS.len())] {
                    $($kind => {
                        $($(let $field = super::tests::Sample::sample(choices);)*)?
                        $($(let $name = super::tests::Sample::sample(choices);)*)?
                        Self::$variant $(( $($field),* ))? $({ $($name),* })?
                    })*
                    _ => unreachable!("the list of kinds holds no other"),
                }
            }
        }
    };
}

pub(super) use {wire_enum, wire_struct};

/// Appends a LEB128 varint.
#[inline]
pub(super) fn put_varint(mut value: u64, out: &mut BytesMut) {
    /// A `u64` in groups of seven bits.
    const LONGEST: usize = 10;
    let mut bytes = [0; LONGEST];
    let mut length = 0;
    while value >= 0x80 {
        bytes[length] = value as u8 | 0x80;
        value >>= 7;
        length += 1;
    }
    bytes[length] = value as u8;
    out.extend_from_slice(&bytes[..=length]);
}

/// Appends a run of bytes after its length.
#[inline]
pub(super) fn put_bytes(bytes: &[u8], out: &mut BytesMut) {
    put_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

impl Wire for bool {
    fn put(&self, out: &mut BytesMut) {
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
    fn put(&self, out: &mut BytesMut) {
        out.put_u8(*self);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, FrameError> {
        input.byte()
    }
}

impl Wire for u16 {
    fn put(&self, out: &mut BytesMut) {
        put_varint(u64::from(*self), out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, FrameError> {
        input.varint()?.try_into().map_err(|_| FrameError::OutOfRange)
    }
}

impl Wire for u32 {
    fn put(&self, out: &mut BytesMut) {
        put_varint(u64::from(*self), out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, FrameError> {
        input.varint()?.try_into().map_err(|_| FrameError::OutOfRange)
    }
}

impl Wire for u64 {
    fn put(&self, out: &mut BytesMut) {
        put_varint(*self, out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, FrameError> {
        input.varint()
    }
}

/// Client ids are random, so a varint would only make them longer.
impl Wire for u128 {
    fn put(&self, out: &mut BytesMut) {
        out.put_u128_le(*self);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, FrameError> {
        Ok(Self::from_le_bytes(input.array()?))
    }
}

impl<const N: usize> Wire for [u8; N] {
    fn put(&self, out: &mut BytesMut) {
        out.extend_from_slice(self);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, FrameError> {
        input.array()
    }
}

/// Whole seconds, then the rest in nanoseconds: settings are mostly whole seconds and then take three bytes.
impl Wire for Duration {
    fn put(&self, out: &mut BytesMut) {
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
    fn put(&self, out: &mut BytesMut) {
        put_bytes(self, out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, FrameError> {
        input.bytes().map(Self::copy_from_slice)
    }
}

impl Wire for Box<str> {
    fn put(&self, out: &mut BytesMut) {
        put_bytes(self.as_bytes(), out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, FrameError> {
        input.text().map(Into::into)
    }
}

impl Wire for Arc<str> {
    fn put(&self, out: &mut BytesMut) {
        put_bytes(self.as_bytes(), out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, FrameError> {
        input.text().map(Into::into)
    }
}

impl<T: Wire> Wire for Option<T> {
    fn put(&self, out: &mut BytesMut) {
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
    fn put(&self, out: &mut BytesMut) {
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
    fn put(&self, out: &mut BytesMut) {
        (**self).put(out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, FrameError> {
        T::take(input).map(Self::new)
    }
}

impl<T: Wire> Wire for Arc<T> {
    fn put(&self, out: &mut BytesMut) {
        (**self).put(out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, FrameError> {
        T::take(input).map(Self::new)
    }
}

impl<A: Wire, B: Wire> Wire for (A, B) {
    fn put(&self, out: &mut BytesMut) {
        self.0.put(out);
        self.1.put(out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, FrameError> {
        Ok((A::take(input)?, B::take(input)?))
    }
}

impl<A: Wire, B: Wire, C: Wire> Wire for (A, B, C) {
    fn put(&self, out: &mut BytesMut) {
        self.0.put(out);
        self.1.put(out);
        self.2.put(out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, FrameError> {
        Ok((A::take(input)?, B::take(input)?, C::take(input)?))
    }
}
