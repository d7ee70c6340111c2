//! Mending a damaged log when its owner accepts the loss: all that counts is written anew, and the old segments are put away.

use std::collections::BTreeSet;

use crate::file::frame::{FRAME, Frame, name, seed};
use crate::file::index::Spot;
use crate::file::writer::{BATCH_BYTES, Batch, Change, Ended, Writer};

impl Writer {
    /// Copies all that counts to new segments, of which the writer has begun the first; renames the old ones that held something that is
    /// lost, and deletes the others. If this is interrupted, the log is still damaged, and the next start mends it.
    pub(crate) fn mend(&mut self, lost: &BTreeSet<u64>) -> Result<(), Ended> {
        let old: Vec<u64> = self.shared.index.lock().segments.range(..self.number).map(|(number, _)| *number).collect();
        let mut batch = Batch::default();
        let all = self.shared.index.lock().all();
        for (slot, spot) in all {
            let frame_len = FRAME + spot.len as usize;
            if batch.bytes.len() >= BATCH_BYTES || !self.fits(&batch, frame_len) {
                self.keep(std::mem::take(&mut batch))?;
            }
            if !self.fits(&batch, frame_len) && !self.rotate()? {
                return Err(self.no_room());
            }
            self.copy_one(slot, spot, &mut batch)?;
        }
        self.keep(batch)?;
        self.sync()?;
        for number in old {
            let lost = lost.contains(&number);
            let (what, done) = match lost {
                true => ("rename", self.files.rename(&name(number), &format!("lost-{}", name(number)))),
                false => ("delete", self.files.remove(&name(number))),
            };
            done.and_then(|()| self.files.sync_dir()).map_err(|why| self.ended(what, number, &why))?;
            self.shared.index.lock().end(number);
            if lost {
                tracing::error!(file = format!("lost-{}", name(number)), "kept aside: it holds what was lost");
            }
        }
        Ok(())
    }

    fn keep(&mut self, batch: Batch) -> Result<(), Ended> {
        if self.commit(batch)? { Ok(()) } else { Err(self.no_room()) }
    }

    fn copy_one(&self, slot: u32, spot: Spot, batch: &mut Batch) -> Result<(), Ended> {
        let file = self.shared.index.lock().segments.get(&spot.segment).map(|segment| segment.file.clone());
        let mut bytes = vec![0; FRAME + spot.len as usize];
        let read = file.map_or_else(
            || Err(std::io::ErrorKind::NotFound.into()),
            |file| file.read_at(&mut bytes, spot.offset.into()),
        );
        read.map_err(|why| self.ended("read", spot.segment, &why))?;
        let frame = Frame::decode(seed(self.shared.birth, spot.segment), &bytes);
        let frame = frame.ok_or_else(|| self.ended("read", spot.segment, &std::io::ErrorKind::InvalidData.into()))?;
        let to = self.push(batch, frame.kind, slot, frame.place, frame.after, frame.record);
        batch.changes.push(Change::Move(slot, spot, to));
        Ok(())
    }
}
