//! A view as it is kept on a disk.
//!
//! ```text
//! version u8 | the view, spelled as on links | SHA-256 of all that stands before it
//! ```
//!
//! The version is that of this layout. A later version of the view itself is read as it is on links: what is not known is skipped.

use bytes::{BufMut, BytesMut};
use ringway_core::view::{View, ViewFault};
use sha2::{Digest, Sha256};

use crate::link::{self, FrameError};

/// Version of the layout.
const VERSION: u8 = 1;

/// Bytes of the checksum.
const SUM_BYTES: usize = 32;

/// Why bytes are not a kept view. Nothing of them is used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeptError {
    /// They were written by a release that keeps views another way.
    #[error(
        "it is of version {0} of the format, and this release reads version {VERSION}: run the release that wrote it"
    )]
    Version(u8),
    /// They are not all there, or not what was written.
    #[error("it is damaged: its checksum does not fit")]
    Damaged,
    /// The checksum fits, and yet it is no view.
    #[error("it holds no view: {0}")]
    NoView(#[from] FrameError),
    /// It is a view that cannot be one.
    #[error("it holds a view that cannot be one: {0}")]
    Senseless(#[from] ViewFault),
}

/// The bytes to be kept.
pub fn encode(view: &View) -> BytesMut {
    let mut bytes = BytesMut::new();
    bytes.put_u8(VERSION);
    link::spell_view(view, &mut bytes);
    let sum = Sha256::digest(&bytes);
    bytes.extend_from_slice(&sum);
    bytes
}

/// The view that was kept.
///
/// # Errors
/// [`KeptError`].
pub fn decode(bytes: &[u8]) -> Result<View, KeptError> {
    match bytes.first() {
        Some(&VERSION) => {}
        Some(&other) => return Err(KeptError::Version(other)),
        None => return Err(KeptError::Damaged),
    }
    let (said, sum) = bytes.split_last_chunk::<SUM_BYTES>().ok_or(KeptError::Damaged)?;
    if Sha256::digest(said)[..] != sum[..] {
        return Err(KeptError::Damaged);
    }
    let view = said.get(1..).ok_or(KeptError::Damaged)?;
    let view = link::read_view(view)?;
    view.check()?;
    Ok(view)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringway_core::id::{Incarnation, MemberId};
    use ringway_core::ring::{HashKey, SlotCount, Weight};
    use ringway_core::view::{GatewayEntry, NodeEntry};

    fn view() -> View {
        let (now, next) = (Weight::ONE, Weight::ONE);
        let id = |name| MemberId::new(name).unwrap();
        let node =
            NodeEntry { id: id("node-1"), incarnation: Incarnation(7), address: "10.0.0.2:9889".into(), now, next };
        let gateway = GatewayEntry {
            id: id("gateway-0"),
            incarnation: Incarnation(8),
            address: "h:1".into(),
            link: "h:2".into(),
            draining: false,
        };
        View::born(HashKey::from_bytes([3; 16]), SlotCount::MIN).with_node(node).with_gateway(gateway)
    }

    #[test]
    fn what_is_kept_comes_back() {
        assert_eq!(decode(&encode(&view())), Ok(view()));
    }

    #[test]
    fn no_change_of_a_byte_and_no_missing_end_goes_unnoticed() {
        let whole = encode(&view());
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 0x10;
            let why = decode(&changed).unwrap_err();
            let version = KeptError::Version(VERSION ^ 0x10);
            assert_eq!(why, if at == 0 { version } else { KeptError::Damaged }, "byte {at}");
            assert!(decode(&whole[..at]).is_err(), "cut at {at}");
        }
    }
}
