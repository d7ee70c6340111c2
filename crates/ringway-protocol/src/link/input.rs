//! The unread part of a frame. Every read is checked against what is left.

use ringway_core::message::ChannelOptions;

use super::FrameError;

/// Bits that one byte of a varint carries.
const VARINT_BITS: u32 = 7;

/// What is left to read of one frame.
#[derive(Debug)]
pub(super) struct Input<'a> {
    rest: &'a [u8],
    /// What the other end has told on this way before.
    options: &'a [ChannelOptions],
}

impl<'a> Input<'a> {
    pub(super) fn new(body: &'a [u8], options: &'a [ChannelOptions]) -> Self {
        Self { rest: body, options }
    }

    /// The options with this number, counted from 1.
    pub(super) fn options(&self, number: u64) -> Option<ChannelOptions> {
        self.options.get(usize::try_from(number.checked_sub(1)?).ok()?).copied()
    }

    /// Bytes not read yet.
    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    pub(super) fn byte(&mut self) -> Result<u8, FrameError> {
        let (&byte, rest) = self.rest.split_first().ok_or(FrameError::Truncated)?;
        self.rest = rest;
        Ok(byte)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], FrameError> {
        let (array, rest) = self.rest.split_first_chunk().ok_or(FrameError::Truncated)?;
        self.rest = rest;
        Ok(*array)
    }

    pub(super) fn varint(&mut self) -> Result<u64, FrameError> {
        let mut value = 0_u64;
        let mut shift = 0;
        loop {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift >= u64::BITS || (bits << shift) >> shift != bits {
                return Err(FrameError::OutOfRange);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
            shift += VARINT_BITS;
        }
    }

    /// A count of things that take at least one byte each: never more than what is left could hold.
    pub(super) fn count(&mut self) -> Result<usize, FrameError> {
        let (count, left) = (self.varint()?, self.left());
        match usize::try_from(count) {
            Ok(fits) if fits <= left => Ok(fits),
            _ => Err(FrameError::TooMany { count, left }),
        }
    }

    /// A run of bytes after its length.
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], FrameError> {
        let count = self.count()?;
        let (bytes, rest) = self.rest.split_at(count);
        self.rest = rest;
        Ok(bytes)
    }

    /// What follows its length, to be read on its own.
    pub(super) fn open(&mut self) -> Result<Self, FrameError> {
        Ok(Self { rest: self.bytes()?, options: self.options })
    }

    /// A text after its length.
    pub(super) fn text(&mut self) -> Result<&'a str, FrameError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| FrameError::NotText)
    }
}
