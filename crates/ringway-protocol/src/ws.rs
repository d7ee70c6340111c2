//! The WebSocket wire format (RFC 6455, no extensions): frames in, events out, and back.
//!
//! Nothing here touches a socket. [`Decoder`] works on whatever buffer the caller has just read into and keeps heap
//! only while a frame or message is incomplete, so an idle connection costs its inline size. The encoder writes a
//! server frame once; as server frames carry no mask, the same bytes serve every recipient.

mod close;
mod decode;
mod encode;
mod handshake;
mod head;
mod mask;
mod utf8;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

pub use close::{CloseReason, MAX_REASON, close_code};
pub use decode::{DecodeError, Decoder, MAX_FRAGMENTS};
pub use encode::{
    append_masked, close_frame, empty_close_frame, fragment_with, frame, frame_of, masked_close_frame, masked_frame,
    ping_frame, pong_frame, write_fragment,
};
pub use handshake::{ClientRequest, HandshakeError, MAX_RESPONSE_HEAD, accept_key, check_response, is_valid_key};
pub use head::{Opcode, server_frame};
use mask::apply_mask;

/// Which end of the connection this code is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Reads masked frames, writes unmasked ones.
    Server,
    /// Reads unmasked frames, writes masked ones.
    Client,
}

/// The two kinds of data message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Valid UTF-8.
    Text,
    /// Any bytes.
    Binary,
}

/// One whole data message, borrowed from the read buffer when it arrived there in one piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message<'a> {
    /// A text message; its UTF-8 has been checked.
    Text(Cow<'a, str>),
    /// A binary message.
    Binary(Cow<'a, [u8]>),
}

impl Message<'_> {
    /// The payload, whatever its kind.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// Text or binary.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Text(_) => Kind::Text,
            Self::Binary(_) => Kind::Binary,
        }
    }
}

/// What a peer did, as [`Decoder::decode`] reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<'a> {
    /// A whole data message.
    Message(Message<'a>),
    /// To be answered with a pong of the same payload (at most 125 bytes).
    Ping(Cow<'a, [u8]>),
    /// An answer to a ping, or unsolicited.
    Pong(Cow<'a, [u8]>),
    /// The peer's last frame; whatever follows it is to be ignored.
    Close(CloseReason<'a>),
}
