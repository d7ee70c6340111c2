//! How a value is spelled and read: two traits, their building blocks, and macros that make both directions of a type from
//! one list of its fields. What each word of the macros means for later versions stands in the parent's documentation.

use std::ops::{Deref, DerefMut};

use bytes::{BufMut, BytesMut};

use super::FrameError;
use super::input::Input;
use super::told::Told;

/// Where a value is written to.
#[derive(Debug)]
pub(super) struct Out<'a> {
    bytes: &'a mut BytesMut,
    told: Option<&'a mut Told>,
}

impl<'a> Out<'a> {
    /// Everything is spelled out, for whoever knows nothing of what was told before.
    pub(super) fn plain(bytes: &'a mut BytesMut) -> Self {
        Self { bytes, told: None }
    }

    /// What has a number on this way is named by it.
    pub(super) fn telling(bytes: &'a mut BytesMut, told: &'a mut Told) -> Self {
        Self { bytes, told: Some(told) }
    }

    pub(super) fn told(&mut self) -> Option<&mut Told> {
        self.told.as_deref_mut()
    }
}

impl Deref for Out<'_> {
    type Target = BytesMut;

    fn deref(&self) -> &BytesMut {
        self.bytes
    }
}

impl DerefMut for Out<'_> {
    fn deref_mut(&mut self) -> &mut BytesMut {
        self.bytes
    }
}

/// A value with a spelling in bytes that tells its own end. What `put` wrote, `take` reads back, and takes no byte more. A
/// value takes at least one byte: counts are checked on that ground.
pub(super) trait Wire: Sized {
    fn put(&self, out: &mut Out<'_>);
    fn take(input: &mut Input<'_>) -> Result<Self, FrameError>;
}

/// A value that has all the rest of a frame to itself. `take` reads the fields that this version knows and leaves what a
/// later one wrote behind them.
pub(super) trait Rest: Sized {
    fn put(&self, out: &mut Out<'_>);
    fn take(input: &mut Input<'_>) -> Result<Self, FrameError>;
}

/// A value whose spelling begins with its length in bytes, so that it can be skipped unread.
pub(super) trait Run: Wire {}

/// Both directions of a struct, field after field in the order given. A field in brackets has the rest of the frame.
///
/// - `last`: has the rest of a frame, so later versions add fields behind these.
/// - `open`: preceded by its length, likewise.
/// - `flagged`: after its fixed fields come optional ones, a bit for each that is there; later versions add bits.
/// - `closed`: never changes.
macro_rules! wire_struct {
    (closed $type:ident { $($field:ident),* $(,)? }) => {
        impl Wire for $type {
            #[inline]
            fn put(&self, out: &mut $crate::link::wire::Out<'_>) {
                let Self { $($field),* } = self;
                $(Wire::put($field, out);)*
            }

            #[inline]
            fn take(input: &mut Input<'_>) -> Result<Self, FrameError> {
                Ok(Self { $($field: Wire::take(input)?),* })
            }
        }

        $crate::link::wire::wire_sample!($type { $($field),* });
    };

    (open $type:ident $fields:tt) => {
        $crate::link::wire::wire_struct!(last $type $fields);

        impl Wire for $type {
            #[inline]
            fn put(&self, out: &mut $crate::link::wire::Out<'_>) {
                $crate::link::wire::put_open(out, |out| $crate::link::wire::Rest::put(self, out));
            }

            #[inline]
            fn take(input: &mut Input<'_>) -> Result<Self, FrameError> {
                $crate::link::wire::Rest::take(&mut input.open()?)
            }
        }

        impl $crate::link::wire::Run for $type {}
    };

    (last $type:ident {
        $($field:ident),* $(,)? $([$rest:ident])? $(; since($version:literal) $($new:ident),+)* $(,)?
    }) => {
        impl $crate::link::wire::Rest for $type {
            #[inline]
            fn put(&self, out: &mut $crate::link::wire::Out<'_>) {
                let Self { $($field,)* $($rest,)? $($($new,)+)* } = self;
                $(Wire::put($field, out);)*
                $($crate::link::wire::Rest::put($rest, out);)?
                $($(Wire::put($new, out);)+)*
                #[cfg(feature = "next")]
                $crate::link::next::put_field(out);
            }

            #[inline]
            fn take(input: &mut Input<'_>) -> Result<Self, FrameError> {
                $(let $field = Wire::take(input)?;)*
                $(let $rest = $crate::link::wire::Rest::take(input)?;)?
                // Of an earlier version the frame ends before these.
                $($(let $new = if input.left() == 0 { Default::default() } else { Wire::take(input)? };)+)*
                Ok(Self { $($field,)* $($rest,)? $($($new,)+)* })
            }
        }

        $crate::link::wire::wire_sample!($type { $($field,)* $($rest,)? $($($new,)+)* });
    };

    (flagged $type:ident { $($field:ident),*; $($bit:literal => $option:ident),* $(,)? }) => {
        impl Wire for $type {
            #[inline]
            fn put(&self, out: &mut $crate::link::wire::Out<'_>) {
                let Self { $($field,)* $($option),* } = self;
                $(Wire::put($field, out);)*
                let flags = 0 $(| u64::from($option.is_some()) << $bit)*;
                #[cfg(feature = "next")]
                let flags = flags | 1 << $crate::link::next::BIT;
                $crate::link::wire::put_varint(flags, out);
                $(if let Some(value) = $option { $crate::link::wire::put_run(value, out); })*
                #[cfg(feature = "next")]
                $crate::link::next::put_field(out);
            }

            #[inline]
            fn take(input: &mut Input<'_>) -> Result<Self, FrameError> {
                $(let $field = Wire::take(input)?;)*
                let mut flags = input.varint()?;
                $(
                    let $option = if flags & 1 << $bit == 0 { None } else { Some(Wire::take(input)?) };
                    flags &= !(1 << $bit);
                )*
                // In the order of their bits, and those of later versions come last.
                for _ in 0..flags.count_ones() {
                    input.bytes()?;
                }
                Ok(Self { $($field,)* $($option),* })
            }
        }

        $crate::link::wire::wire_sample!($type { $($field,)* $($option),* });
    };
}

/// Both directions of an enum: its kind in one byte, then the fields of the variant. Kinds are never used twice.
///
/// - `last`: has the rest of a frame, so later versions add fields to variants.
/// - `closed`: variants never change. With `else`, an unknown kind is read as that variant.
macro_rules! wire_enum {
    (last $type:ident $variants:tt) => {
        $crate::link::wire::wire_enum!(@both Rest $type $variants);
    };

    (closed $type:ident $variants:tt) => {
        $crate::link::wire::wire_enum!(@both Wire $type $variants);
    };

    (@both $trait:ident $type:ident { $(
        $kind:literal => $variant:ident $(( $($field:ident),* $(,)? $([$rest:ident])? ))? $({ $($name:ident),* })?
    ),* $(, else $fallback:ident)? $(,)? }) => {
        impl $crate::link::wire::$trait for $type {
            #[inline]
            fn put(&self, out: &mut $crate::link::wire::Out<'_>) {
                match self {
                    $(Self::$variant $(( $($field,)* $($rest)? ))? $({ $($name),* })? => {
                        $crate::link::wire::note!($type $kind);
                        out.put_u8($kind);
                        $($(Wire::put($field, out);)* $($crate::link::wire::Rest::put($rest, out);)?)?
                        $($(Wire::put($name, out);)*)?
                    })*
                    $(Self::$fallback => out.put_u8(u8::MAX),)?
                }
            }

            #[inline]
            fn take(input: &mut Input<'_>) -> Result<Self, FrameError> {
                Ok(match input.byte()? {
                    $($kind => {
                        $($(let $field = Wire::take(input)?;)* $(let $rest = $crate::link::wire::Rest::take(input)?;)?)?
                        $($(let $name = Wire::take(input)?;)*)?
                        Self::$variant $(( $($field,)* $($rest)? ))? $({ $($name),* })?
                    })*
                    kind => $crate::link::wire::wire_enum!(@unknown $type kind $($fallback)?),
                })
            }
        }

        #[cfg(any(test, feature = "testing"))]
        impl $crate::link::testing::Sample for $type {
            fn sample(choices: &mut $crate::link::testing::Choices) -> Self {
                const KINDS: &[u8] = &[$($kind),*];
                match KINDS[choices.below(KINDS.len())] {
                    $($kind => {
                        $($(let $field = $crate::link::testing::Sample::sample(choices);)*
                            $(let $rest = $crate::link::testing::Sample::sample(choices);)?)?
                        $($(let $name = $crate::link::testing::Sample::sample(choices);)*)?
                        Self::$variant $(( $($field,)* $($rest)? ))? $({ $($name),* })?
                    })*
                    _ => unreachable!("the list of kinds holds no other"),
                }
            }
        }
    };

    (@unknown $type:ident $kind:ident $fallback:ident) => {{
        let _ = $kind;
        Self::$fallback
    }};

    (@unknown $type:ident $kind:ident) => {
        return Err($crate::link::UnknownKind { what: stringify!($type), kind: $kind }.into())
    };
}

/// Draws every field.
macro_rules! wire_sample {
    ($type:ident { $($field:ident),* $(,)? }) => {
        #[cfg(any(test, feature = "testing"))]
        impl $crate::link::testing::Sample for $type {
            fn sample(choices: &mut $crate::link::testing::Choices) -> Self {
                Self { $($field: $crate::link::testing::Sample::sample(choices)),* }
            }
        }
    };
}

/// In tests, remembers which kinds were written.
macro_rules! note {
    ($type:ident $kind:literal) => {
        #[cfg(test)]
        $crate::link::tests::note(stringify!($type), $kind);
    };
}

pub(super) use {note, wire_enum, wire_sample, wire_struct};

/// Appends what `put` writes after its length. Mostly that is below 128 and takes one byte, which is kept free for it.
#[inline]
pub(super) fn put_open(out: &mut Out<'_>, put: impl FnOnce(&mut Out<'_>)) {
    let start = out.len();
    out.put_u8(0);
    put(out);
    let length = out.len() - start - 1;
    if length < 0x80 {
        out[start] = length as u8;
    } else {
        widen(start, length, out);
    }
}

/// Moves the last `length` bytes up, so that their length fits before them.
fn widen(start: usize, length: usize, out: &mut Out<'_>) {
    let mut prefix = BytesMut::new();
    put_varint(length as u64, &mut Out::plain(&mut prefix));
    out.put_bytes(0, prefix.len() - 1);
    out.copy_within(start + 1..start + 1 + length, start + prefix.len());
    out[start..start + prefix.len()].copy_from_slice(&prefix);
}

/// Appends a value that begins with its length.
#[inline]
pub(super) fn put_run(value: &impl Run, out: &mut Out<'_>) {
    value.put(out);
}

/// Appends a LEB128 varint.
#[inline]
pub(super) fn put_varint(mut value: u64, out: &mut Out<'_>) {
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
pub(super) fn put_bytes(bytes: &[u8], out: &mut Out<'_>) {
    put_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}
