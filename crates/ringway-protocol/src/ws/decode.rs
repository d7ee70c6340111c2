//! Bytes to events.
//!
//! The common case, a whole frame in the buffer, is unmasked in place and borrowed. Only a frame or message that is
//! still incomplete when the buffer ends moves to the heap, and leaves it with its event.

use super::close::{CloseReason, close_code};
use super::head::{Head, MAX_HEAD, Opcode};
use super::utf8::Utf8Check;
use super::{Event, Kind, Message, Side, apply_mask};
use std::borrow::Cow;
use thiserror::Error;

/// Most fragments of one message. 16 MiB in fragments of 64 bytes are 262,144, and smaller ones are an attack on time:
/// an empty fragment carries nothing and is never counted by the size limit.
pub const MAX_FRAGMENTS: u32 = 1 << 18;

/// The peer broke a rule; the connection must be closed with [`DecodeError::close_code`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// A client's frame had no mask.
    #[error("frame from a client is not masked")]
    Unmasked,
    /// A server's frame had a mask.
    #[error("frame from a server is masked")]
    Masked,
    /// A reserved bit was set, and no extension was negotiated.
    #[error("reserved bit set without an extension")]
    ReservedBits,
    /// An opcode without a meaning.
    #[error("unknown opcode {0}")]
    UnknownOpcode(u8),
    /// A control frame came in fragments.
    #[error("fragmented control frame")]
    FragmentedControl,
    /// A control frame had more than 125 bytes.
    #[error("control frame over 125 bytes")]
    OversizedControl,
    /// A 64-bit length had its highest bit set.
    #[error("frame length out of range")]
    BadLength,
    /// A continuation came with no message under way.
    #[error("continuation frame without a message")]
    LoneContinuation,
    /// A new message began inside a fragmented one.
    #[error("new message inside a fragmented one")]
    InterruptedMessage,
    /// A close frame had a payload of one byte.
    #[error("close frame with half a code")]
    BadClosePayload,
    /// A close frame had a code that must not be sent.
    #[error("close code {0} must not be sent")]
    BadCloseCode(u16),
    /// A text message or close reason was not UTF-8.
    #[error("text is not valid UTF-8")]
    InvalidUtf8,
    /// A message would be larger than the connection's limit.
    #[error("message over the limit of {limit} bytes")]
    TooBig {
        /// The limit, in bytes.
        limit: usize,
    },
    /// A message had more than [`MAX_FRAGMENTS`] fragments.
    #[error("message in more than {MAX_FRAGMENTS} fragments")]
    TooManyFragments,
}

impl DecodeError {
    /// The code to close the connection with.
    #[must_use]
    pub fn close_code(self) -> u16 {
        match self {
            Self::InvalidUtf8 => close_code::INVALID_DATA,
            Self::TooBig { .. } | Self::TooManyFragments => close_code::TOO_BIG,
            _ => close_code::PROTOCOL,
        }
    }
}

/// The reading half of one connection.
#[derive(Debug)]
pub struct Decoder {
    partial: Option<Box<Partial>>,
    max_message: usize,
    side: Side,
}

/// What is incomplete. Freed as soon as nothing is.
#[derive(Debug, Default)]
struct Partial {
    head: [u8; MAX_HEAD],
    head_len: usize,
    frame: Option<Frame>,
    /// Payload so far of an incomplete control frame, at most 125 bytes.
    control: Vec<u8>,
    message: Option<Assembly>,
}

/// A frame whose payload is being read.
#[derive(Debug, Clone, Copy)]
struct Frame {
    fin: bool,
    opcode: Opcode,
    remaining: usize,
    /// Turned so that its first byte is for the next byte of payload.
    mask: Option<[u8; 4]>,
    resumed: bool,
}

/// A message that did not come in one piece.
#[derive(Debug)]
struct Assembly {
    kind: Kind,
    data: Vec<u8>,
    utf8: Utf8Check,
    fragments: u32,
}

impl Decoder {
    /// A decoder for `side` that refuses messages of more than `max_message` bytes.
    #[must_use]
    pub fn new(side: Side, max_message: usize) -> Self {
        Self { partial: None, max_message, side }
    }

    /// Takes bytes from the front of `input` up to the end of the next event, and changes them (unmasking).
    ///
    /// `None` means that all of `input` was taken and more is needed; call until then. Events borrow from the buffer
    /// if their frame lay whole in it.
    ///
    /// # Errors
    /// The first rule the peer broke. The connection is beyond repair: close it, don't decode further.
    pub fn decode<'a>(&mut self, input: &mut &'a mut [u8]) -> Result<Option<Event<'a>>, DecodeError> {
        while !input.is_empty() {
            let Some(mut frame) = self.next_frame(input)? else { return Ok(None) };
            let payload = take_front(input, frame.remaining);
            if let Some(key) = &mut frame.mask {
                apply_mask(payload, *key);
                key.rotate_left(payload.len() % 4);
            }
            frame.remaining -= payload.len();
            let event =
                if frame.opcode.is_control() { self.control(frame, payload)? } else { self.data(frame, payload)? };
            if event.is_some() {
                return Ok(event);
            }
        }
        Ok(None)
    }

    /// Whether nothing is incomplete: no heap is held.
    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        self.partial.is_none()
    }

    /// The frame under way, or the one whose head comes next; `None` while that head is incomplete.
    fn next_frame(&mut self, input: &mut &mut [u8]) -> Result<Option<Frame>, DecodeError> {
        if let Some(frame) = self.partial.as_mut().and_then(|partial| partial.frame.take()) {
            return Ok(Some(frame));
        }
        match self.read_head(input)? {
            Some(head) => self.begin(head).map(Some),
            None => Ok(None),
        }
    }

    fn read_head(&mut self, input: &mut &mut [u8]) -> Result<Option<Head>, DecodeError> {
        let begun = self.partial.as_ref().is_some_and(|partial| partial.head_len > 0);
        if !begun && let Some((head, size)) = Head::parse(input, self.side)? {
            take_front(input, size);
            return Ok(Some(head));
        }
        let partial = self.partial.get_or_insert_default();
        while !input.is_empty() {
            partial.head[partial.head_len] = take_front(input, 1)[0];
            partial.head_len += 1;
            if let Some((head, _)) = Head::parse(&partial.head[..partial.head_len], self.side)? {
                partial.head_len = 0;
                return Ok(Some(head));
            }
        }
        Ok(None)
    }

    /// Checks a head against the message under way and the limits, before any of its payload is kept.
    fn begin(&mut self, head: Head) -> Result<Frame, DecodeError> {
        let too_big = DecodeError::TooBig { limit: self.max_message };
        let remaining = usize::try_from(head.len).map_err(|_| too_big)?;
        let frame = Frame { fin: head.fin, opcode: head.opcode, remaining, mask: head.mask, resumed: false };
        if head.opcode.is_control() {
            return Ok(frame);
        }
        let message = self.partial.as_mut().and_then(|partial| partial.message.as_mut());
        let kept = match (message, head.opcode) {
            (None, Opcode::Continuation) => return Err(DecodeError::LoneContinuation),
            (None, _) => 0,
            (Some(message), Opcode::Continuation) => {
                message.fragments += 1;
                if message.fragments > MAX_FRAGMENTS {
                    return Err(DecodeError::TooManyFragments);
                }
                message.data.len()
            }
            (Some(_), _) => return Err(DecodeError::InterruptedMessage),
        };
        if remaining > self.max_message.saturating_sub(kept) { Err(too_big) } else { Ok(frame) }
    }

    fn control<'a>(&mut self, frame: Frame, payload: &'a [u8]) -> Result<Option<Event<'a>>, DecodeError> {
        let opcode = frame.opcode;
        if frame.remaining == 0 && !frame.resumed {
            self.free_if_idle();
            return control_event(opcode, Cow::Borrowed(payload)).map(Some);
        }
        let partial = self.partial.get_or_insert_default();
        partial.control.extend_from_slice(payload);
        if frame.remaining > 0 {
            partial.frame = Some(Frame { resumed: true, ..frame });
            return Ok(None);
        }
        let payload = std::mem::take(&mut partial.control);
        self.free_if_idle();
        control_event(opcode, Cow::Owned(payload)).map(Some)
    }

    fn data<'a>(&mut self, frame: Frame, payload: &'a [u8]) -> Result<Option<Event<'a>>, DecodeError> {
        let whole = frame.fin && frame.remaining == 0 && !frame.resumed;
        let kind = match frame.opcode {
            Opcode::Text => Kind::Text,
            // For a continuation the kind is the open message's.
            _ => Kind::Binary,
        };
        if whole && frame.opcode != Opcode::Continuation {
            self.free_if_idle();
            return whole_message(kind, payload).map(Some);
        }
        let partial = self.partial.get_or_insert_default();
        let message = partial.message.get_or_insert_with(|| Assembly::new(kind));
        message.push(payload)?;
        if frame.remaining > 0 {
            partial.frame = Some(Frame { resumed: true, ..frame });
            return Ok(None);
        }
        let finished = if frame.fin { partial.message.take() } else { None };
        self.free_if_idle();
        finished.map(Assembly::finish).transpose()
    }

    fn free_if_idle(&mut self) {
        self.partial.take_if(|partial| partial.head_len == 0 && partial.frame.is_none() && partial.message.is_none());
    }
}

impl Assembly {
    fn new(kind: Kind) -> Self {
        Self { kind, data: Vec::new(), utf8: Utf8Check::default(), fragments: 1 }
    }

    /// Keeps the next bytes. Room grows with what arrives, never with what a head merely announces.
    fn push(&mut self, payload: &[u8]) -> Result<(), DecodeError> {
        if self.kind == Kind::Text {
            self.utf8.push(payload).map_err(|_| DecodeError::InvalidUtf8)?;
        }
        self.data.extend_from_slice(payload);
        Ok(())
    }

    fn finish<'a>(self) -> Result<Event<'a>, DecodeError> {
        let message = match self.kind {
            Kind::Text => {
                Message::Text(Cow::Owned(String::from_utf8(self.data).map_err(|_| DecodeError::InvalidUtf8)?))
            }
            Kind::Binary => Message::Binary(Cow::Owned(self.data)),
        };
        Ok(Event::Message(message))
    }
}

fn whole_message(kind: Kind, payload: &[u8]) -> Result<Event<'_>, DecodeError> {
    let message = match kind {
        Kind::Text => Message::Text(Cow::Borrowed(std::str::from_utf8(payload).map_err(|_| DecodeError::InvalidUtf8)?)),
        Kind::Binary => Message::Binary(Cow::Borrowed(payload)),
    };
    Ok(Event::Message(message))
}

fn control_event(opcode: Opcode, payload: Cow<'_, [u8]>) -> Result<Event<'_>, DecodeError> {
    match opcode {
        Opcode::Ping => Ok(Event::Ping(payload)),
        Opcode::Pong => Ok(Event::Pong(payload)),
        _ => CloseReason::parse(payload).map(Event::Close),
    }
}

/// Cuts up to `count` bytes off the front of `input`.
fn take_front<'a>(input: &mut &'a mut [u8], count: usize) -> &'a mut [u8] {
    let count = count.min(input.len());
    let (front, rest) = std::mem::take(input).split_at_mut(count);
    *input = rest;
    front
}
