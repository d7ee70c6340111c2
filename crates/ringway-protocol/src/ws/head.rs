//! The 2 to 14 bytes in front of every frame's payload.

use super::{DecodeError, Side};
use bytes::BufMut;

/// Longest head: two bytes, a 64-bit length, a mask key.
pub(super) const MAX_HEAD: usize = 14;

/// Longest payload of a control frame (RFC 6455, 5.5).
pub(super) const MAX_CONTROL: usize = 125;

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
const MASKED: u8 = 0x80;
const LEN_16: u8 = 126;
const LEN_64: u8 = 127;

/// A frame's purpose (RFC 6455, 5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opcode {
    /// The next fragment of the message under way.
    Continuation,
    /// The first or only frame of a text message.
    Text,
    /// The first or only frame of a binary message.
    Binary,
    /// The sender's last frame.
    Close,
    /// Asks for a pong.
    Ping,
    /// Answers a ping.
    Pong,
}

impl Opcode {
    fn from_bits(bits: u8) -> Result<Self, DecodeError> {
        match bits {
            0x0 => Ok(Self::Continuation),
            0x1 => Ok(Self::Text),
            0x2 => Ok(Self::Binary),
            0x8 => Ok(Self::Close),
            0x9 => Ok(Self::Ping),
            0xA => Ok(Self::Pong),
            _ => Err(DecodeError::UnknownOpcode(bits)),
        }
    }

    fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0x0,
            Self::Text => 0x1,
            Self::Binary => 0x2,
            Self::Close => 0x8,
            Self::Ping => 0x9,
            Self::Pong => 0xA,
        }
    }

    pub(super) fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// A decoded head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) fin: bool,
    pub(super) opcode: Opcode,
    pub(super) len: u64,
    /// Present exactly in frames from a client.
    pub(super) mask: Option<[u8; 4]>,
}

impl Head {
    /// Reads a head for `side` from the front of `bytes`: the head and its length, or `None` while it is incomplete.
    ///
    /// Faults are reported as soon as their byte is there. Lengths that could have been written shorter are let pass,
    /// as other servers do.
    pub(super) fn parse(bytes: &[u8], side: Side) -> Result<Option<(Self, usize)>, DecodeError> {
        let Some((&first, rest)) = bytes.split_first() else { return Ok(None) };
        let (fin, opcode) = parse_first(first)?;
        let Some((&second, rest)) = rest.split_first() else { return Ok(None) };
        check_second(second, opcode, side)?;
        let Some((len, rest)) = parse_len(second & !MASKED, rest)? else { return Ok(None) };
        let (mask, rest) = match side {
            Side::Client => (None, rest),
            Side::Server => match rest.split_first_chunk::<4>() {
                Some((key, rest)) => (Some(*key), rest),
                None => return Ok(None),
            },
        };
        Ok(Some((Self { fin, opcode, len, mask }, bytes.len() - rest.len())))
    }

    /// Writes the head in front of a payload of `self.len` bytes.
    pub(super) fn write(&self, out: &mut impl BufMut) {
        out.put_u8(self.opcode.bits() | if self.fin { FIN } else { 0 });
        let masked = if self.mask.is_some() { MASKED } else { 0 };
        if self.len < u64::from(LEN_16) {
            out.put_u8(masked | self.len.to_le_bytes()[0]);
        } else if let Ok(len) = u16::try_from(self.len) {
            out.put_u8(masked | LEN_16);
            out.put_u16(len);
        } else {
            out.put_u8(masked | LEN_64);
            out.put_u64(self.len);
        }
        if let Some(key) = self.mask {
            out.put_slice(&key);
        }
    }

    /// How many bytes [`Head::write`] writes.
    pub(super) fn size(&self) -> usize {
        let len = if self.len < u64::from(LEN_16) {
            0
        } else if self.len <= u64::from(u16::MAX) {
            2
        } else {
            8
        };
        2 + len + self.mask.map_or(0, |key| key.len())
    }
}

/// A server's frame that is all there, taken apart: its purpose, whether it ends its message, and the payload. For whoever looks at what is written to
/// clients; who reads a stream of bytes has a [`Decoder`](super::Decoder). `None` if it is no such frame.
pub fn server_frame(frame: &[u8]) -> Option<(Opcode, bool, &[u8])> {
    let (head, length) = Head::parse(frame, Side::Client).ok()??;
    let payload = frame.get(length..).filter(|payload| payload.len() as u64 == head.len)?;
    Some((head.opcode, head.fin, payload))
}

fn parse_first(first: u8) -> Result<(bool, Opcode), DecodeError> {
    if first & RESERVED != 0 {
        return Err(DecodeError::ReservedBits);
    }
    let fin = first & FIN != 0;
    let opcode = Opcode::from_bits(first & 0x0F)?;
    if opcode.is_control() && !fin {
        return Err(DecodeError::FragmentedControl);
    }
    Ok((fin, opcode))
}

fn check_second(second: u8, opcode: Opcode, side: Side) -> Result<(), DecodeError> {
    match (side, second & MASKED != 0) {
        (Side::Server, false) => return Err(DecodeError::Unmasked),
        (Side::Client, true) => return Err(DecodeError::Masked),
        _ => {}
    }
    if opcode.is_control() && usize::from(second & !MASKED) > MAX_CONTROL {
        return Err(DecodeError::OversizedControl);
    }
    Ok(())
}

/// The payload's length and what follows it; `None` while its bytes are incomplete.
fn parse_len(short: u8, rest: &[u8]) -> Result<Option<(u64, &[u8])>, DecodeError> {
    match short {
        LEN_16 => Ok(rest.split_first_chunk().map(|(len, rest)| (u64::from(u16::from_be_bytes(*len)), rest))),
        LEN_64 => {
            let Some((len, rest)) = rest.split_first_chunk() else { return Ok(None) };
            let len = u64::from_be_bytes(*len);
            if len > i64::MAX.unsigned_abs() { Err(DecodeError::BadLength) } else { Ok(Some((len, rest))) }
        }
        short => Ok(Some((u64::from(short), rest))),
    }
}
