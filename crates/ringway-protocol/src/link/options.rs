//! How channels are kept is told once on each way of a link, and has a number from then on.
//!
//! ```text
//! frame of kind 42   | number varint | options (open) | …          ahead of the first frame that names one of these numbers
//! options elsewhere  | number varint |                             as it was told
//!                    | 0 | options (open) |                        where the table is full
//! ```
//!
//! The table belongs to one way of one connection, and is gone with it. So the rules name the options themselves, in every message, and know
//! nothing of numbers: neither a link that is made anew nor another owner has to be told anything by them.

use bytes::{BufMut, BytesMut};
use ringway_core::message::{ChannelOptions, Frame};

use super::input::Input;
use super::told::{NUMBERED, Told};
use super::wire::{Out, Rest, Wire, put_open, put_varint, wire_struct};
use super::{FrameError, FrameTooLong, LENGTH_BYTES, MAX_FRAME_BYTES, Taken, append, decode_with};

/// The kind of frame that tells options. Of all kinds it alone is none of the rules'.
pub(super) const KIND: u8 = 42;

wire_struct!(last ChannelOptions { history_size, history_ttl, presence, history_bytes, durability });

impl Wire for ChannelOptions {
    #[inline]
    fn put(&self, out: &mut Out<'_>) {
        let number = out.told().and_then(|told| told.number(self));
        put_varint(number.unwrap_or(0), out);
        if number.is_none() {
            put_open(out, |out| Rest::put(self, out));
        }
    }

    #[inline]
    fn take(input: &mut Input<'_>) -> Result<Self, FrameError> {
        match input.varint()? {
            0 => spelled(input),
            number => input.options(number).ok_or(FrameError::UnknownOptions(number)),
        }
    }
}

fn spelled(input: &mut Input<'_>) -> Result<ChannelOptions, FrameError> {
    let mut spelled = input.open()?;
    Rest::take(&mut spelled)
}

/// Spells the frames of one way of a link, in their order.
#[derive(Debug, Default)]
pub struct Encoder {
    told: Told,
}

impl Encoder {
    /// Appends a frame to `out`, behind what has to be told before it. Returns the bytes appended.
    ///
    /// # Errors
    /// [`FrameTooLong`]; `out` is then as it was.
    pub fn encode(&mut self, frame: &Frame, out: &mut BytesMut) -> Result<usize, FrameTooLong> {
        let (start, known) = (out.len(), self.told.len());
        if let Err(too_long) = append(frame, MAX_FRAME_BYTES, &mut Out::telling(out, &mut self.told)) {
            self.told.truncate(known);
            return Err(too_long);
        }
        if self.told.len() > known {
            let frame = out.split_off(start);
            tell(&self.told, known, out);
            out.unsplit(frame);
        }
        Ok(out.len() - start)
    }
}

/// Appends the frame that tells those behind the first `known`.
fn tell(told: &Told, known: usize, out: &mut BytesMut) {
    let start = out.len();
    out.put_slice(&[0; LENGTH_BYTES]);
    let mut spelling = Out::plain(out);
    put_varint(0, &mut spelling);
    spelling.put_u8(KIND);
    for (number, options) in told.behind(known) {
        put_varint(number, &mut spelling);
        put_open(&mut spelling, |out| Rest::put(options, out));
    }
    let length = (out.len() - start - LENGTH_BYTES) as u32;
    out[start..start + LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
}

/// Reads the frames of one way of a link, in their order.
#[derive(Debug, Default)]
pub struct Decoder {
    heard: Vec<ChannelOptions>,
}

impl Decoder {
    /// Takes the first frame from the front of `buffer`. `None`: it is not all there yet.
    ///
    /// # Errors
    /// [`FrameError`]; the rest of the buffer means nothing then.
    pub fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Taken>, FrameError> {
        decode_with(&mut self.heard, buffer)
    }
}

/// Reads a frame that tells options. `false`: it is another one, and nothing was read.
pub(super) fn hear(heard: &mut Vec<ChannelOptions>, body: &[u8]) -> Result<bool, FrameError> {
    let mut input = Input::new(body, &[]);
    input.varint()?;
    if input.byte()? != KIND {
        return Ok(false);
    }
    while input.left() > 0 {
        if input.varint()? != heard.len() as u64 + 1 || heard.len() == NUMBERED {
            return Err(FrameError::OutOfRange);
        }
        heard.push(spelled(&mut input)?);
    }
    Ok(true)
}
