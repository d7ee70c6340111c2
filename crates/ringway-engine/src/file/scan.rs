//! One segment as it is found: its frames, and what is wrong with it.

use std::io;
use std::sync::Arc;

use crate::file::files::Handle;
use crate::file::frame::{BadHeader, FRAME, Frame, HEADER, Header, seed};

/// A range of bytes that should be a header or frames, and is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) from: u64,
    pub(crate) to: u64,
}

#[derive(Debug)]
pub(crate) struct Scan {
    pub(crate) file: Arc<dyn Handle>,
    pub(crate) bytes: Vec<u8>,
    /// What comes behind it was torn off by a crash.
    pub(crate) end: u64,
    /// So much of it had been synced, by its own account.
    pub(crate) synced: u64,
    /// All places in it, and those of the segments before it, are below this one.
    pub(crate) place: u64,
    pub(crate) gaps: Vec<Gap>,
}

/// Why a segment is none of this log.
#[derive(Debug)]
pub(crate) enum Foreign {
    Birth(u64),
    Version(u32),
    Io(io::Error),
}

impl Scan {
    /// Reads a segment and tells of each frame and its offset. `newest`: a crash may have torn its end.
    pub(crate) fn of(
        file: Arc<dyn Handle>,
        birth: u64,
        number: u64,
        newest: bool,
        mut frame: impl FnMut(u64, &Frame<'_>),
    ) -> Result<Self, Foreign> {
        let bytes = content(&*file).map_err(Foreign::Io)?;
        let mut scan = Self { file, end: bytes.len() as u64, bytes, synced: 0, place: 1, gaps: Vec::new() };
        match Header::decode(&scan.bytes) {
            Err(BadHeader::Version(version)) => return Err(Foreign::Version(version)),
            Ok(header) if header.birth != birth => return Err(Foreign::Birth(header.birth)),
            Ok(header) if header.number == number => scan.place = header.place,
            Ok(_) | Err(BadHeader::Damaged) => scan.gaps.push(Gap { from: 0, to: HEADER.min(scan.end) }),
        }
        let seed = seed(birth, number);
        let mut at = HEADER as usize;
        while at < scan.bytes.len() {
            if let Some(found) = Frame::decode(seed, &scan.bytes[at..]) {
                scan.synced = scan.synced.max(found.synced.into());
                scan.place = scan.place.max(found.place + 1);
                frame(at as u64, &found);
                at += found.len();
                continue;
            }
            if newest && !had_been_synced(seed, &scan.bytes, at) {
                scan.end = at as u64;
                break;
            }
            let to = next_frame(seed, &scan.bytes, at + 1).unwrap_or(scan.bytes.len());
            scan.gaps.push(Gap { from: at as u64, to: to as u64 });
            at = to;
        }
        Ok(scan)
    }

    /// A crash came before its header was synced: it has never been in use.
    pub(crate) fn is_stillborn(&self) -> bool {
        self.bytes.len() as u64 <= HEADER && self.gaps.iter().any(|gap| gap.from == 0)
    }
}

fn content(file: &dyn Handle) -> io::Result<Vec<u8>> {
    let len = file.len()?;
    if u32::try_from(len).is_err() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("no segment is as long as {len} bytes")));
    }
    let mut bytes = vec![0; len as usize];
    file.read_at(&mut bytes, 0)?;
    Ok(bytes)
}

/// A frame behind this offset says that the segment had been synced beyond it. Without one, all that is behind it is of one write that a
/// crash came upon, of which the disk may have kept any part.
fn had_been_synced(seed: u32, bytes: &[u8], offset: usize) -> bool {
    let mut at = offset + 1;
    while let Some(next) = next_frame(seed, bytes, at) {
        let Some(frame) = Frame::decode(seed, &bytes[next..]) else { return false };
        if frame.synced as usize > offset {
            return true;
        }
        at = next + frame.len();
    }
    false
}

/// Where the first valid frame from here on begins.
fn next_frame(seed: u32, bytes: &[u8], from: usize) -> Option<usize> {
    (from..(bytes.len() + 1).saturating_sub(FRAME)).find(|at| Frame::decode(seed, &bytes[*at..]).is_some())
}
