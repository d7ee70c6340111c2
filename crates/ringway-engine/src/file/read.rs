//! Records out of the files.

use std::sync::Arc;

use bytes::Bytes;

use crate::file::files::Handle;
use crate::file::frame::{FRAME, Frame, Kind, name, seed};
use crate::file::index::{Index, Spot};
use crate::log::Place;
use crate::store::Away;

/// A record that is to be read. It holds the file, which may be deleted meanwhile: the record can be read all the same.
#[derive(Debug)]
pub(crate) struct Wanted {
    slot: u32,
    spot: Spot,
    file: Arc<dyn Handle>,
}

impl Wanted {
    pub(crate) fn new(index: &Index, slot: u32, spot: Spot) -> Option<Self> {
        Some(Self { slot, spot, file: index.segments.get(&spot.segment)?.file.clone() })
    }

    pub(crate) fn record(&self, birth: u64) -> Result<(Place, Bytes), Away> {
        let Spot { place, segment, offset, len } = self.spot;
        let mut bytes = vec![0; FRAME + len as usize];
        let at = || format!("{} at offset {offset}", name(segment));
        self.file
            .read_at(&mut bytes, offset.into())
            .map_err(|why| Away(format!("cannot read {}: {why}. Is the disk sound?", at())))?;
        match Frame::decode(seed(birth, segment), &bytes) {
            Some(Frame { kind: Kind::Append, slot, place: found, .. }) if (slot, found) == (self.slot, place) => {
                Ok((Place(place), Bytes::from(bytes).slice(FRAME..)))
            }
            _ => Err(Away(format!(
                "the log is damaged in {}, which was sound when it was opened: the disk loses data. Restore the folder from a backup",
                at()
            ))),
        }
    }
}

/// The records of a page, and whether the chain goes on behind them.
pub(crate) fn page(index: &Index, slot: u32, after: Option<u64>, room: usize) -> (Vec<Wanted>, bool) {
    let (mut wanted, mut bytes) = (Vec::new(), 0);
    for spot in index.behind(slot, after) {
        bytes += spot.len as usize;
        if bytes > room && !wanted.is_empty() {
            return (wanted, true);
        }
        wanted.extend(Wanted::new(index, slot, spot));
    }
    (wanted, false)
}
