//! What a later release might say more than this one: it stands for that release where a cluster of two is tested.

use bytes::{BufMut, BytesMut};

use super::handshake::Versions;
use super::{LENGTH_BYTES, wire};

/// The version that it brings.
pub const VERSION: u16 = Versions::OURS.highest;

/// A kind of message that this release does not have.
const KIND: u8 = 250;

/// The bit of a run that this release does not have.
pub(super) const BIT: u32 = 13;

/// What is in the added fields: long enough for a length of two bytes.
const TEXT: &[u8] = &[b'n'; 130];

/// Appends a field that this release does not have.
pub(super) fn put_field(out: &mut wire::Out<'_>) {
    wire::put_bytes(TEXT, out);
}

/// Appends a frame of a kind that this release does not have. It goes only where the link's version has it.
pub fn put_kind(out: &mut BytesMut) {
    let body = [&[0, KIND][..], TEXT].concat();
    out.reserve(LENGTH_BYTES + body.len());
    out.put_u32_le(body.len() as u32);
    out.put_slice(&body);
}
