//! How a segment is written: a header, then frames. All numbers are little-endian.
//!
//! ```text
//! header  magic 8 │ version 4 │ birth 8 │ number 8 │ place 8 │ checksum 4
//! frame   length 4 │ checksum 4 │ kind 1 │ slot 4 │ place 8 │ after 8 │ synced 4 │ record
//! ```
//!
//! The checksum of a frame covers its length and all behind the checksum, and begins with the birth and the number of the segment: a frame
//! is valid only in the file that it was written to, so neither an old block of the disk nor a record that looks like a frame is taken for
//! one.

use crate::file::index::Spot;

const MAGIC: [u8; 8] = *b"ringlog\0";

/// Raised when older programs must not read what newer ones write.
pub(crate) const VERSION: u32 = 1;

/// Bytes before the first frame.
pub(crate) const HEADER: u64 = 40;

/// Bytes of a frame besides its record.
pub(crate) const FRAME: usize = 33;

/// Longest record. One may be longer than a segment, and then has one for itself.
pub(crate) const LONGEST_RECORD: usize = 16 << 20;

/// What a segment says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) birth: u64,
    pub(crate) number: u64,
    /// No place from this one on had been given when the segment began.
    pub(crate) place: u64,
}

/// Why a header cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BadHeader {
    Damaged,
    Version(u32),
}

impl Header {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_le_bytes());
        for number in [self.birth, self.number, self.place] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, BadHeader> {
        let bytes = bytes.get(..HEADER as usize).ok_or(BadHeader::Damaged)?;
        if bytes[..8] != MAGIC {
            return Err(BadHeader::Damaged);
        }
        // Before the checksum, which another format may have elsewhere.
        let version = u32_at(bytes, 8).ok_or(BadHeader::Damaged)?;
        if version != VERSION {
            return Err(BadHeader::Version(version));
        }
        if u32_at(bytes, 36) != Some(crc32c::crc32c(&bytes[..36])) {
            return Err(BadHeader::Damaged);
        }
        let part = |at| u64_at(bytes, at).ok_or(BadHeader::Damaged);
        Ok(Self { birth: part(12)?, number: part(20)?, place: part(28)? })
    }

    /// What the checksums of this segment's frames begin with.
    pub(crate) fn seed(&self) -> u32 {
        seed(self.birth, self.number)
    }
}

pub(crate) fn seed(birth: u64, number: u64) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&birth.to_le_bytes()), &number.to_le_bytes())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A record at `place`; the one before it in its chain is at `after` (0: none).
    Append = 1,
    /// Records of the slot before `place` are dropped.
    Trim = 2,
    /// The log was opened or closed: all before this was synced, and places up to this one may have been given.
    Synced = 3,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) kind: Kind,
    pub(crate) slot: u32,
    pub(crate) place: u64,
    pub(crate) after: u64,
    /// The segment was synced up to this offset before the frame was written.
    pub(crate) synced: u32,
    pub(crate) record: &'a [u8],
}

impl<'a> Frame<'a> {
    pub(crate) fn len(&self) -> usize {
        FRAME + self.record.len()
    }

    pub(crate) fn encode(&self, seed: u32, to: &mut Vec<u8>) {
        let start = to.len();
        // Records are shorter than their limit, and so is this number.
        to.extend((self.len() as u32 - 8).to_le_bytes());
        to.extend([0; 4]);
        to.push(self.kind as u8);
        to.extend(self.slot.to_le_bytes());
        to.extend(self.place.to_le_bytes());
        to.extend(self.after.to_le_bytes());
        to.extend(self.synced.to_le_bytes());
        to.extend(self.record);
        let sum = checksum(seed, &to[start..]);
        to[start + 4..start + 8].copy_from_slice(&sum.to_le_bytes());
    }

    /// The frame at the beginning of the bytes. `None`: they do not begin with a whole and valid one.
    pub(crate) fn decode(seed: u32, bytes: &'a [u8]) -> Option<Self> {
        let kind = match bytes.get(8)? {
            1 => Kind::Append,
            2 => Kind::Trim,
            3 => Kind::Synced,
            _ => return None,
        };
        let len = claimed(bytes)?;
        let bytes = bytes.get(..len)?;
        if u32_at(bytes, 4)? != checksum(seed, bytes) {
            return None;
        }
        let (slot, place, after) = (u32_at(bytes, 9)?, u64_at(bytes, 13)?, u64_at(bytes, 21)?);
        Some(Self { kind, slot, place, after, synced: u32_at(bytes, 29)?, record: &bytes[FRAME..] })
    }

    /// Where it is, if it stands at this offset of this segment.
    pub(crate) fn spot(&self, segment: u64, offset: u64) -> Spot {
        // Segments end far below 4 GiB.
        Spot { place: self.place, segment, offset: offset as u32, len: self.record.len() as u32 }
    }
}

/// How long the frame is, by its own account. `None`: no frame is of that length.
pub(crate) fn claimed(bytes: &[u8]) -> Option<usize> {
    let len = u32_at(bytes, 0)? as usize + 8;
    (FRAME..=FRAME + LONGEST_RECORD).contains(&len).then_some(len)
}

fn checksum(seed: u32, frame: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(seed, &frame[..4]), &frame[8..])
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

/// `log-` and the number in sixteen hex digits.
pub(crate) fn name(number: u64) -> String {
    format!("log-{number:016x}")
}

/// The number of a segment of this name. `None`: it is no segment.
pub(crate) fn number(of: &str) -> Option<u64> {
    let number = u64::from_str_radix(of.strip_prefix("log-")?, 16).ok()?;
    (name(number) == of).then_some(number)
}
