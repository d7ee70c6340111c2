//! An order in bytes, for a server that everybody may read and write.
//!
//! ```text
//! seal 32 bytes | 1 | birth u64 | from u64 | to u64 | a frame as on a link         little-endian; the seal is of all that follows it
//! ```
//!
//! The seal is made with the join secret, so the server can hold an order back, and show it to others, and make none.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use ringway_core::Incarnation;
use ringway_core::id::Birth;
use ringway_core::message::Frame;
use ringway_link::{SEAL_BYTES, Secret};
use ringway_protocol::link::{FrameError, FrameTooLong, Taken, decode, encode};

/// What is sealed.
const LABEL: &[u8] = b"ringway order";
/// Another way to write orders would have another number.
const VERSION: u8 = 1;
/// Bytes before the frame.
const HEAD: usize = 1 + 3 * 8;

/// An order of another member.
#[derive(Debug, Clone, PartialEq)]
pub struct Come {
    /// The cluster that it is for.
    pub birth: Birth,
    /// Who gave it.
    pub from: Incarnation,
    /// To whom.
    pub to: Incarnation,
    /// What is ordered, and in which view.
    pub frame: Frame,
}

/// Why bytes are no order.
#[derive(Debug, thiserror::Error)]
pub enum NoOrder {
    /// Nobody who knows the join secret wrote them.
    #[error("it was not written by anybody who knows the join secret")]
    Forged,
    /// They were written by another release.
    #[error("it is of a release that this one does not know")]
    Version,
    /// They hold no frame, or more than one.
    #[error("it does not hold one frame")]
    NotOne,
    /// They hold one that cannot be read.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

/// Seals and opens orders.
#[derive(Debug)]
pub struct Sealing(Secret);

impl Sealing {
    /// With this join secret.
    pub fn new(secret: Secret) -> Self {
        Self(secret)
    }

    /// Writes an order.
    ///
    /// # Errors
    /// [`FrameTooLong`]
    pub fn seal(&self, from: Incarnation, to: Incarnation, birth: Birth, frame: &Frame) -> Result<Bytes, FrameTooLong> {
        let mut order = BytesMut::zeroed(SEAL_BYTES);
        order.put_u8(VERSION);
        [birth.0, from.0, to.0].into_iter().for_each(|number| order.put_u64_le(number));
        encode(frame, &mut order)?;
        let seal = self.0.seal(LABEL, &order[SEAL_BYTES..]);
        order[..SEAL_BYTES].copy_from_slice(&seal);
        Ok(order.freeze())
    }

    /// Reads one.
    ///
    /// # Errors
    /// [`NoOrder`]
    pub fn open(&self, order: &[u8]) -> Result<Come, NoOrder> {
        let (seal, rest) = order.split_at_checked(SEAL_BYTES).ok_or(NoOrder::Forged)?;
        if !self.0.is_seal(LABEL, rest, seal) {
            return Err(NoOrder::Forged);
        }
        let (mut head, frame) = rest.split_at_checked(HEAD).ok_or(NoOrder::NotOne)?;
        if head.get_u8() != VERSION {
            return Err(NoOrder::Version);
        }
        let (birth, from, to) = (head.get_u64_le(), head.get_u64_le(), head.get_u64_le());
        let mut frame = BytesMut::from(frame);
        match decode(&mut frame)? {
            Some(Taken::Frame(read)) if frame.is_empty() => {
                Ok(Come { birth: Birth(birth), from: Incarnation(from), to: Incarnation(to), frame: read })
            }
            Some(Taken::Skipped(_)) => Err(NoOrder::Version),
            Some(Taken::Frame(_)) | None => Err(NoOrder::NotOne),
        }
    }
}
