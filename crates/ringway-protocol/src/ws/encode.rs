//! Frames to bytes. Server frames are complete and unmasked, so that one encoding serves every recipient.

use super::close::cut_reason;
use super::head::{Head, MAX_CONTROL, Opcode};
use super::{Kind, apply_mask};
use bytes::{BufMut, Bytes, BytesMut};

/// Longest head of a server frame: two bytes and a 64-bit length.
const MAX_SERVER_HEAD: usize = 10;

impl From<Kind> for Opcode {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Text => Self::Text,
            Kind::Binary => Self::Binary,
        }
    }
}

/// One whole server message. For [`Kind::Text`] the caller answers for the UTF-8.
#[must_use]
pub fn frame(kind: Kind, payload: &[u8]) -> Bytes {
    server_frame(kind.into(), payload)
}

/// The same of a payload in pieces.
#[must_use]
pub fn frame_of(kind: Kind, pieces: &[&[u8]]) -> Bytes {
    let head = whole(kind.into(), pieces.iter().map(|piece| piece.len()).sum(), None);
    let mut out = Vec::with_capacity(head.size() + head.len as usize);
    head.write(&mut out);
    pieces.iter().for_each(|piece| out.extend_from_slice(piece));
    out.into()
}

/// A fragment of a server message whose payload `fill` appends to the buffer it is given: no second copy. It must only append. The first one has the
/// message's opcode, the others have [`Opcode::Continuation`].
#[must_use]
pub fn fragment_with(opcode: Opcode, is_last: bool, fill: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let mut out = vec![0; MAX_SERVER_HEAD];
    fill(&mut out);
    let unused = write_head(&mut out, opcode, is_last);
    Bytes::from(out).slice(unused..)
}

/// Writes the head of a frame against the front of its payload: the head's size depends on the payload's. Returns the bytes that are
/// left over before it.
fn write_head(out: &mut [u8], opcode: Opcode, is_last: bool) -> usize {
    let head = Head { fin: is_last, ..whole(opcode, out.len() - MAX_SERVER_HEAD, None) };
    let unused = MAX_SERVER_HEAD - head.size();
    head.write(&mut &mut out[unused..MAX_SERVER_HEAD]);
    unused
}

/// A server's close frame. The reason is cut to [`super::MAX_REASON`] bytes between characters.
#[must_use]
pub fn close_frame(code: u16, reason: &str) -> Bytes {
    server_frame(Opcode::Close, &close_payload(code, reason))
}

/// A server's close frame without a code, the answer to one without.
#[must_use]
pub fn empty_close_frame() -> Bytes {
    server_frame(Opcode::Close, &[])
}

/// A server's ping. The payload is cut to 125 bytes.
#[must_use]
pub fn ping_frame(payload: &[u8]) -> Bytes {
    server_frame(Opcode::Ping, &payload[..payload.len().min(MAX_CONTROL)])
}

/// A server's pong. The payload is cut to 125 bytes.
#[must_use]
pub fn pong_frame(payload: &[u8]) -> Bytes {
    server_frame(Opcode::Pong, &payload[..payload.len().min(MAX_CONTROL)])
}

/// One whole client frame, masked with `key`, which should come from a random source.
#[must_use]
pub fn masked_frame(opcode: Opcode, payload: &[u8], key: [u8; 4]) -> Bytes {
    let mut out = BytesMut::new();
    append_masked(&mut out, opcode, payload, key);
    out.freeze()
}

/// Appends one whole client frame to `out`.
pub fn append_masked(out: &mut BytesMut, opcode: Opcode, payload: &[u8], key: [u8; 4]) {
    write_fragment(out, opcode, payload, true, Some(key));
}

/// A client's close frame.
#[must_use]
pub fn masked_close_frame(code: u16, reason: &str, key: [u8; 4]) -> Bytes {
    masked_frame(Opcode::Close, &close_payload(code, reason), key)
}

/// Appends any frame: a fragment when `last` is false, a client's when `key` is given.
///
/// Nothing here keeps the sequence of fragments legal.
pub fn write_fragment(out: &mut BytesMut, opcode: Opcode, payload: &[u8], last: bool, key: Option<[u8; 4]>) {
    let head = Head { fin: last, ..whole(opcode, payload.len(), key) };
    out.reserve(head.size() + payload.len());
    head.write(out);
    let start = out.len();
    out.put_slice(payload);
    if let Some(key) = key {
        apply_mask(&mut out[start..], key);
    }
}

fn whole(opcode: Opcode, len: usize, mask: Option<[u8; 4]>) -> Head {
    Head { fin: true, opcode, len: len as u64, mask }
}

fn server_frame(opcode: Opcode, payload: &[u8]) -> Bytes {
    let head = whole(opcode, payload.len(), None);
    let mut out = Vec::with_capacity(head.size() + payload.len());
    head.write(&mut out);
    out.extend_from_slice(payload);
    out.into()
}

fn close_payload(code: u16, reason: &str) -> Vec<u8> {
    let reason = cut_reason(reason);
    let mut payload = Vec::with_capacity(2 + reason.len());
    payload.put_u16(code);
    payload.extend_from_slice(reason.as_bytes());
    payload
}
