//! Cleaning: what counts in the oldest segment is copied to the newest, and the oldest is deleted. In small steps, one in each round of the
//! writer.

use std::time::Instant;

use crate::file::frame::{Frame, HEADER, claimed, name, seed};
use crate::file::index::Index;
use crate::file::writer::{Batch, Change, Ended, Writer};

/// How far the oldest segment was copied.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cleaner {
    segment: u64,
    at: u64,
}

/// Why the cleaner stopped for this round.
enum Stop {
    /// It goes on here in the next round.
    At(u64),
    /// No frame can be read at this offset.
    Damage(u64),
}

impl Writer {
    pub(crate) fn wants_to_clean(&self) -> bool {
        let rests = self.no_cleaning_before.is_some_and(|until| Instant::now() < until);
        !self.never_clean && !rests && (self.cleaner.is_some() || self.dirtiest().is_some())
    }

    /// The oldest segment, if it is worth cleaning. Copying it pays where at least half of the log is dead: each byte copied frees one. A
    /// log that is nearly full pays more for its room.
    fn dirtiest(&self) -> Option<u64> {
        let Index { segments, total, live, .. } = &*self.shared.index.lock();
        let (number, oldest) = segments.first_key_value().filter(|(number, _)| **number != self.number)?;
        let nearly_full = total * 4 > self.limits.appends * 3 && live * 8 < total * 7;
        let worth = segments.len() > 2 && (live * 2 < *total || nearly_full);
        (worth || oldest.live == 0).then_some(*number)
    }

    /// Adds to the batch what counts in the next part of the oldest segment.
    pub(crate) fn clean(&mut self, batch: &mut Batch) -> Result<(), Ended> {
        batch.cleaner = self.cleaner;
        if !self.wants_to_clean() {
            return Ok(());
        }
        let Some(cleaner) = self.cleaner.or_else(|| self.dirtiest().map(|segment| Cleaner { segment, at: HEADER }))
        else {
            return Ok(());
        };
        match self.copy(cleaner, batch)? {
            Stop::At(at) => batch.cleaner = Some(Cleaner { at, ..cleaner }),
            Stop::Damage(at) => {
                (self.never_clean, batch.cleaner) = (true, None);
                tracing::error!(
                    file = name(cleaner.segment),
                    offset = at,
                    "the log is damaged: it is not cleaned any more and will be full; restore its folder from a backup"
                );
            }
        }
        Ok(())
    }

    fn copy(&mut self, cleaner: Cleaner, batch: &mut Batch) -> Result<Stop, Ended> {
        let Cleaner { segment, at } = cleaner;
        let (file, len) = {
            let index = self.shared.index.lock();
            let Some(oldest) = index.segments.get(&segment) else { return Ok(Stop::Damage(at)) };
            // Nothing in it counts: there is no need to look.
            if oldest.live == 0 {
                return Ok(Stop::At(oldest.len));
            }
            (oldest.file.clone(), oldest.len)
        };
        // It keeps pace with appends: twice their bytes, or what it reads in any case.
        let mut wanted = self.limits.clean.max(2 * batch.bytes.len()) as u64;
        let mut buffer = Vec::new();
        let seed = seed(self.shared.birth, segment);
        let mut done = 0;
        while at + (done as u64) < len {
            if buffer.is_empty() {
                buffer.resize(wanted.min(len - at) as usize, 0);
                if let Err(why) = file.read_at(&mut buffer, at) {
                    tracing::error!(file = name(segment), offset = at, %why, "cannot read the log");
                    return Ok(Stop::Damage(at));
                }
            }
            let here = at + done as u64;
            let Some(frame) = Frame::decode(seed, &buffer[done..]) else {
                let cut = buffer.len() as u64 + at < len;
                match claimed(&buffer[done..]).map(|claimed| claimed as u64) {
                    // The buffer ends within the frame.
                    _ if cut && done > 0 => break,
                    Some(claimed) if cut && claimed > wanted && here + claimed <= len => {
                        (wanted, buffer) = (claimed, Vec::new());
                        continue;
                    }
                    _ => return Ok(Stop::Damage(here)),
                }
            };
            let from = frame.spot(segment, here);
            if self.shared.index.lock().holds(frame.slot, &from).is_some() {
                let fits = self.fits(batch, frame.len()) || (batch.bytes.is_empty() && self.rotate()?);
                if !fits {
                    break;
                }
                let to = self.push(batch, frame.kind, frame.slot, frame.place, frame.after, frame.record);
                batch.changes.push(Change::Move(frame.slot, from, to));
            }
            done += frame.len();
        }
        Ok(Stop::At(at + done as u64))
    }

    /// Deletes the oldest segment once all that counts in it was copied.
    pub(crate) fn finish_cleaning(&mut self) -> Result<(), Ended> {
        let Some(Cleaner { segment, at }) = self.cleaner else { return Ok(()) };
        {
            let index = self.shared.index.lock();
            let Some(oldest) = index.segments.get(&segment).filter(|oldest| at >= oldest.len) else { return Ok(()) };
            if oldest.live > 0 {
                self.never_clean = true;
                tracing::error!(
                    file = name(segment),
                    live = oldest.live,
                    "the log cannot be cleaned: this is a fault of ringway"
                );
                return Ok(());
            }
        }
        self.cleaner = None;
        // The copies must survive before the originals go.
        self.sync()?;
        let removed = self.files.remove(&name(segment)).and_then(|()| self.files.sync_dir());
        removed.map_err(|why| self.ended("delete", segment, &why))?;
        self.shared.index.lock().end(segment);
        Ok(())
    }
}
