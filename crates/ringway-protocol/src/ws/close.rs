//! Close codes and the payload of close frames (RFC 6455, 5.5.1 and 7.4).

use super::DecodeError;
use super::head::MAX_CONTROL;
use std::borrow::Cow;

/// Longest reason in a close frame, in bytes: a control frame's payload less the code.
pub const MAX_REASON: usize = MAX_CONTROL - 2;

/// Those of the protocol's own close codes that are used here; applications use 3000 to 4999.
pub mod close_code {
    /// The purpose of the connection is fulfilled.
    pub const NORMAL: u16 = 1000;
    /// A rule of the wire format was broken.
    pub const PROTOCOL: u16 = 1002;
    /// A text message was not UTF-8.
    pub const INVALID_DATA: u16 = 1007;
    /// A rule of the application was broken.
    pub const POLICY: u16 = 1008;
    /// A message is over the size limit.
    pub const TOO_BIG: u16 = 1009;
    /// The server met a fault of its own.
    pub const INTERNAL: u16 = 1011;
}

/// Why a peer closes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseReason<'a> {
    /// `None` if the frame was empty, which is allowed and means "no status".
    pub code: Option<u16>,
    /// Words for people, often empty.
    pub reason: Cow<'a, str>,
}

impl<'a> CloseReason<'a> {
    pub(super) fn parse(payload: Cow<'a, [u8]>) -> Result<Self, DecodeError> {
        let code = match payload.len() {
            0 => return Ok(Self { code: None, reason: Cow::Borrowed("") }),
            1 => return Err(DecodeError::BadClosePayload),
            _ => u16::from_be_bytes([payload[0], payload[1]]),
        };
        if !may_be_sent(code) {
            return Err(DecodeError::BadCloseCode(code));
        }
        let reason = match payload {
            Cow::Borrowed(bytes) => std::str::from_utf8(&bytes[2..]).map(Cow::Borrowed),
            Cow::Owned(bytes) => std::str::from_utf8(&bytes[2..]).map(|reason| Cow::Owned(reason.to_owned())),
        };
        Ok(Self { code: Some(code), reason: reason.map_err(|_| DecodeError::InvalidUtf8)? })
    }
}

/// Codes that may stand in a frame: 1004 to 1006 and 1015 are for local use, the rest below 3000 is unassigned.
fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// The longest start of `reason` that fits into a close frame, cut between characters.
pub(super) fn cut_reason(reason: &str) -> &str {
    &reason[..reason.floor_char_boundary(MAX_REASON)]
}
