//! What members say to one another, in bytes: the frames of a link and the handshake that opens it.
//!
//! ```text
//! preamble   "ringway\0" | lowest version u16 | highest version u16    once, each way, before anything else
//! frame      length u32 | epoch | kind u8 | fields …                  length counts what follows it
//! ```
//!
//! Numbers are little-endian where their width is fixed, LEB128 varints elsewhere. Texts, payloads and lists are
//! preceded by their length. How channels are kept is told once on each way and has a number there (`options`). Both directions of every type are made from one list of its fields (`messages`), so they
//! cannot drift apart.
//!
//! # Versions
//!
//! Each end says which versions it speaks, and both use the highest that they have in common. Whatever the version, a
//! reader skips what it does not know and a writer may say more than the reader knows. The rules for a new version:
//!
//! - **A field** is added behind the fields of its struct, as `since(4)`. Earlier readers skip it. A later reader that
//!   does not find it takes the field's default, so the default must mean what the version before meant.
//! - **Where a struct ends** is told by the length of the frame if it stands last in there (`last`), and by a length of its
//!   own if something follows it (`open`). What is sent most by far has no room for that: a `flagged` struct grows by
//!   optional runs of bytes, one bit each, and a `closed` one does not grow. A change of a closed struct is a new kind.
//! - **A publication** is packed ([`Entry`](ringway_core::message::Entry)) and travels as it is kept. Each of its fields has a kind and a
//!   length. A new field has a new kind, behind those that there are. A reader that does not know it keeps it and passes it on.
//! - **A kind** is added under a number that was never used. It is sent only on links whose version has it: the sender
//!   asks the link. A frame whose kind a reader does not know is skipped, and so is the whole frame if something inside is
//!   of an unknown kind, because half of a message is another message.
//! - **What else is passed on loses what the one in the middle does not know.** An older member that writes a view, or copies a
//!   slot, writes the fields that it knows. A new field that may not be lost needs every member's version first.
//! - **The hello of the dialer** is written before it knows the other end's version. It may have new fields, but no kind that
//!   the lowest version lacks.
//! - **The bytes of a released version never change**: `tests/golden` holds a frame of every kind.
//!
//! With the feature `next` this crate speaks as a later release might, with one version more: a field more behind each struct
//! that can grow, a run more in each flagged one, and a kind more. A test upgrades a cluster to it, member by member, and back.
//!
//! What arrives is not trusted. A length is checked before it is waited for, a count before it is allocated for, and
//! whatever is kept is copied out, so that a short payload never holds on to a long read buffer.

mod handshake;
mod input;
mod messages;
mod names;
mod options;
mod parts;
mod told;
mod wire;

#[cfg(feature = "next")]
pub mod next;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

#[cfg(test)]
mod tests;

use bytes::{Buf, BytesMut};
use ringway_core::id::NameError;
use ringway_core::logbook::Record;
use ringway_core::message::{ChannelOptions, Frame, MalformedEntry};
use ringway_core::view::View;

pub use handshake::{
    Handshake, Hello, Identity, MAX_HANDSHAKE_BYTES, NotALink, PREAMBLE_BYTES, PREAMBLE_HEAD_BYTES, PreambleHead,
    Purpose, Rejection, Roles, Versions, decode_handshake, encode_handshake, preamble, read_preamble_head,
};
use input::Input;
pub use options::{Decoder, Encoder};
use wire::{Out, Rest};

/// Longest frame in bytes, its length field not counted. The only long frames are parts of a slot's state; a part that
/// did not fit would have to be cut finer by its sender. A longer one is not sent, and one that is announced closes
/// the link before any of it is buffered.
pub const MAX_FRAME_BYTES: usize = 64 * 1024 * 1024;

/// Bytes of the length that precedes every frame.
pub const LENGTH_BYTES: usize = 4;

/// Why bytes are not a frame. The link they came from is of no further use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The announced length is over the limit. Nothing of the frame was buffered.
    #[error("a frame of {length} bytes was announced, the limit is {limit}")]
    TooLong {
        /// Bytes announced.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The frame ends inside a field.
    #[error("the frame ends inside a field")]
    Truncated,
    /// A message of the handshake is of no known kind. Frames like that are skipped.
    #[error(transparent)]
    UnknownKind(#[from] UnknownKind),
    /// A list or text is longer than what is left of the frame.
    #[error("{count} elements were announced where {left} bytes are left")]
    TooMany {
        /// Elements announced.
        count: u64,
        /// Bytes left.
        left: usize,
    },
    /// A number is out of the range of its field.
    #[error("a number is out of the range of its field")]
    OutOfRange,
    /// A text is not UTF-8.
    #[error("a text is not UTF-8")]
    NotText,
    /// A name is not one.
    #[error("a name in the frame is not valid: {0}")]
    Name(#[from] NameError),
    /// A publication cannot be read.
    #[error(transparent)]
    Entry(#[from] MalformedEntry),
    /// It names options that were not told on this way.
    #[error("it names options number {0}, which were not told before")]
    UnknownOptions(u64),
}

/// No variant of a type has this number: it comes from a later version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
#[error("{what} has no kind {kind}")]
pub struct UnknownKind {
    /// The type.
    pub what: &'static str,
    /// The number.
    pub kind: u8,
}

impl UnknownKind {
    /// The message itself is of an unknown kind. Otherwise a known message holds something that is, and a sender that goes
    /// by the rules of versions would not have sent it here.
    pub fn is_message(&self) -> bool {
        self.what == "Message"
    }
}

/// What stood at the front of a buffer.
#[derive(Debug, Clone, PartialEq)]
pub enum Taken {
    /// A frame.
    Frame(Frame),
    /// A frame that this version cannot read. It was skipped; what follows it is as good as before.
    Skipped(UnknownKind),
}

/// A frame that is over the limit. Nothing was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the frame has {length} bytes, the limit is {limit}: send it in smaller parts")]
pub struct FrameTooLong {
    /// Its length in bytes.
    pub length: usize,
    /// Bytes allowed.
    pub limit: usize,
}

/// Appends a frame that stands alone to `out`. Returns the bytes appended. On a link, an [`Encoder`] spells what is told again and again once.
///
/// # Errors
/// [`FrameTooLong`]; `out` is then as it was.
pub fn encode(frame: &Frame, out: &mut BytesMut) -> Result<usize, FrameTooLong> {
    append(frame, MAX_FRAME_BYTES, &mut Out::plain(out))
}

/// Takes the first frame from the front of `buffer`, which stands alone. `None`: it is not all there yet.
///
/// # Errors
/// [`FrameError`]; the rest of the buffer means nothing then.
pub fn decode(buffer: &mut BytesMut) -> Result<Option<Taken>, FrameError> {
    decode_with(&mut Vec::new(), buffer)
}

/// The same, where these options were told before; those that are told now are added.
fn decode_with(heard: &mut Vec<ChannelOptions>, buffer: &mut BytesMut) -> Result<Option<Taken>, FrameError> {
    loop {
        let Some(length) = frame_length(buffer, MAX_FRAME_BYTES)? else { return Ok(None) };
        let Some(body) = buffer.get(LENGTH_BYTES..LENGTH_BYTES + length) else { return Ok(None) };
        let taken = if options::hear(heard, body)? {
            None
        } else {
            Some(match parse_after(heard, body) {
                Ok(frame) => Taken::Frame(frame),
                Err(FrameError::UnknownKind(unknown)) => Taken::Skipped(unknown),
                Err(fault) => return Err(fault),
            })
        };
        buffer.advance(LENGTH_BYTES + length);
        if taken.is_some() {
            return Ok(taken);
        }
    }
}

/// Appends a view as it is spelled in frames.
pub(crate) fn spell_view(view: &View, out: &mut BytesMut) {
    view.put(&mut Out::plain(out));
}

/// Reads a view that fills `body` from end to end.
pub(crate) fn read_view(body: &[u8]) -> Result<View, FrameError> {
    parse(body)
}

/// Appends a record of the log as it is spelled in frames.
pub(crate) fn spell_record(record: &Record, out: &mut BytesMut) {
    Rest::put(record, &mut Out::plain(out));
}

/// Reads a record that fills `body` from end to end.
pub(crate) fn read_record(body: &[u8]) -> Result<Record, FrameError> {
    Rest::take(&mut Input::new(body, &[]))
}

/// The length that the frame at the front of `buffer` announces. `None`: fewer than four bytes are there.
///
/// # Errors
/// [`FrameError::TooLong`].
fn frame_length(buffer: &[u8], limit: usize) -> Result<Option<usize>, FrameError> {
    let Some(length) = buffer.first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
    let length = u32::from_le_bytes(*length) as usize;
    if length > limit { Err(FrameError::TooLong { length, limit }) } else { Ok(Some(length)) }
}

/// Writes the value after its length, or nothing if it is over the limit.
fn append<T: Rest>(value: &T, limit: usize, out: &mut Out<'_>) -> Result<usize, FrameTooLong> {
    let start = out.len();
    out.extend_from_slice(&[0; LENGTH_BYTES]);
    value.put(out);
    let length = out.len() - start - LENGTH_BYTES;
    match u32::try_from(length) {
        Ok(announced) if length <= limit => {
            out[start..start + LENGTH_BYTES].copy_from_slice(&announced.to_le_bytes());
            Ok(LENGTH_BYTES + length)
        }
        _ => {
            out.truncate(start);
            Err(FrameTooLong { length, limit })
        }
    }
}

/// Reads a value from the front of `body`. What follows it is of a later version, and skipped.
fn parse<T: Rest>(body: &[u8]) -> Result<T, FrameError> {
    parse_after(&[], body)
}

/// The same, where these options were told before.
fn parse_after<T: Rest>(heard: &[ChannelOptions], body: &[u8]) -> Result<T, FrameError> {
    T::take(&mut Input::new(body, heard))
}
