//! Opening: reads every segment, sees whether all is there, and makes the index and the writer.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::file::files::Files;
use crate::file::frame::{FRAME, Frame, HEADER, Header, Kind, name, number};
use crate::file::fsync::Fsync;
use crate::file::index::{Index, Spot};
use crate::file::scan::{Foreign, Scan};
use crate::file::unsynced;
use crate::file::writer::{Batch, Ended, Writer, begin};
use crate::file::{Limits, Options, Shared, path};
use crate::log::{BELOW_LIFE, Place};

/// Places that a crash took back must not be given again, for somebody may know them. No segment has as many.
const PLACES_SKIPPED: u64 = 1 << 24;

/// Why the log was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The operating system refused something.
    #[error("cannot {what} {}: {why}. Does the folder exist, may ringway write there, and has its disk room?", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why it was refused.
        why: io::Error,
    },
    /// The limit leaves no room for segments.
    #[error("the log may have {max_bytes} bytes, but needs at least {least}. Raise its limit")]
    TooSmall {
        /// The limit.
        max_bytes: u64,
        /// The least possible.
        least: u64,
    },
    /// The log of another cluster.
    #[error(
        "{} is of another cluster: of the one born as {found:016x}, and this one was born as {expected:016x}. Bring back the view that belongs to it; or give this cluster a folder of its own, or move all that is in this one away",
        path.display()
    )]
    Birth {
        /// The segment.
        path: PathBuf,
        /// The cluster it is of.
        found: u64,
        /// The cluster that asked.
        expected: u64,
    },
    /// Written by a newer program.
    #[error("{} has the format {found}, and this program knows {}. Use the newer program that wrote it", path.display(), super::frame::VERSION)]
    Version {
        /// The segment.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// Bytes of a segment are not what was written.
    #[error("the log is damaged: {} is wrong from offset {offset} on, for {bytes} bytes. {MEND}", path.display())]
    Damage {
        /// The segment.
        path: PathBuf,
        /// Where the first wrong range begins.
        offset: u64,
        /// Its length.
        bytes: u64,
    },
    /// A segment is not there.
    #[error("the log is damaged: {} is missing. {MEND}", path.display())]
    Missing {
        /// The segment.
        path: PathBuf,
    },
    /// Records of a chain are not there.
    #[error("the log is damaged: records of slot {slot} are missing before place {place}. {MEND}")]
    Hole {
        /// The slot.
        slot: u32,
        /// The first record behind those that are missing, or the place that one of them had.
        place: u64,
    },
    /// The log was read, but cannot be written.
    #[error("{0}")]
    Write(String),
}

const MEND: &str = "Restore the folder from a backup, or start with --accept-loss, which ends each chain before its first missing record";

impl From<Ended> for OpenError {
    fn from(Ended(why): Ended) -> Self {
        Self::Write(why)
    }
}

/// What was found of one slot.
#[derive(Debug, Default)]
struct Gathered {
    floor: Option<Spot>,
    /// Each with the place of the one before it.
    records: Vec<(Spot, u64)>,
}

/// The folder as it was found.
#[derive(Debug)]
struct Found<'a> {
    files: &'a dyn Files,
    dir: &'a Path,
    index: Index,
    slots: HashMap<u32, Gathered>,
    /// The newest segment.
    newest: Option<(u64, Scan)>,
    /// A segment that was not in use yet.
    stillborn: Option<u64>,
    /// The highest number, and the first place that nothing has.
    number: u64,
    place: u64,
    faults: Vec<OpenError>,
    /// Segments that hold, or held, something that is lost.
    lost: BTreeSet<u64>,
}

pub(crate) fn open(files: Arc<dyn Files>, dir: &Path, options: &Options, limits: Limits) -> Result<Writer, OpenError> {
    let went_down = unsynced::may_be_lost(&*files).map_err(|why| io("read", dir.to_owned(), why))?;
    if went_down {
        tracing::error!(
            folder = %dir.display(),
            "the machine went down before all of the log was synced, as its fsync lets it: the last records may be lost. Channels that are kept there go on under new epochs, and clients are told that they were not recovered"
        );
    }
    let mut found = Found::read(&*files, dir, options.birth)?;
    found.join_chains();
    let damaged = !found.faults.is_empty();
    for fault in &found.faults {
        if options.accept_loss {
            tracing::error!("lost for good, as --accept-loss says: {fault}");
        }
    }
    if !options.accept_loss && damaged {
        return Err(found.faults.swap_remove(0));
    }
    found.bury_stillborn()?;
    let begin_at = found.newest.take().filter(|_| !damaged);
    let (number, file, len) = match begin_at {
        Some((number, scan)) => (number, scan.file.clone(), settle(dir, number, &scan)?),
        None => {
            let header = Header { birth: options.birth, number: found.number + 1, place: found.place };
            let file = begin(&*files, &header).map_err(|why| io("begin", path(dir, header.number), why))?;
            found.index.begin(header.number, file.clone(), HEADER);
            (header.number, file, HEADER)
        }
    };
    files.sync_dir().map_err(|why| io("sync", dir.to_owned(), why))?;
    let Found { index, place, lost, .. } = found;
    let shared = Shared { files, birth: options.birth, index: Mutex::new(index), failed: watch::Sender::new(None) };
    let mut writer = Writer::new(Arc::new(shared), dir.to_owned(), limits, options.fsync, (number, file, len), place);
    writer.skip_places(damaged || went_down)?;
    if damaged {
        writer.mend(&lost)?;
    }
    let noted = match options.fsync {
        Fsync::Always => unsynced::end(&*writer.files),
        Fsync::Every(_) | Fsync::Never => unsynced::begin(&*writer.files),
    };
    noted.map_err(|why| io("note whether records are synced in", dir.to_owned(), why))?;
    Ok(writer)
}

fn io(what: &'static str, path: PathBuf, why: io::Error) -> OpenError {
    OpenError::Io { what, path, why }
}

/// Makes sure that what was found in the newest segment survives: the process before may have ended between writing and syncing, or because
/// a sync failed, after which the system takes what it could not write for written. So it is written again. Answers its length.
fn settle(dir: &Path, number: u64, scan: &Scan) -> Result<u64, OpenError> {
    let torn = scan.bytes.len() as u64 - scan.end;
    if torn > 0 {
        tracing::warn!(
            file = %path(dir, number).display(),
            offset = scan.end,
            bytes = torn,
            "the end of the log had not been synced when the process or the machine ended; dropped"
        );
    }
    let from = scan.synced.min(scan.end);
    let mut done = if torn > 0 { scan.file.truncate(scan.end) } else { Ok(()) };
    done = done.and_then(|()| scan.file.write_at(&scan.bytes[from as usize..scan.end as usize], from));
    done.and_then(|()| scan.file.sync()).map_err(|why| io("write and sync", path(dir, number), why))?;
    Ok(scan.end)
}

impl<'a> Found<'a> {
    fn read(files: &'a dyn Files, dir: &'a Path, birth: u64) -> Result<Self, OpenError> {
        let names = files.list().map_err(|why| io("list", dir.to_owned(), why))?;
        let numbers: BTreeSet<u64> = names.iter().filter_map(|name| number(name)).collect();
        let mut found = Self {
            files,
            dir,
            index: Index::default(),
            slots: HashMap::new(),
            newest: None,
            stillborn: None,
            number: numbers.last().copied().unwrap_or(0),
            place: 1,
            faults: Vec::new(),
            lost: BTreeSet::new(),
        };
        let mut expected = numbers.first().copied();
        for number in numbers {
            if let Some(missing) = expected.filter(|expected| *expected != number) {
                found.faults.push(OpenError::Missing { path: path(dir, missing) });
            }
            expected = Some(number + 1);
            found.read_segment(number, birth)?;
        }
        Ok(found)
    }

    fn read_segment(&mut self, number: u64, birth: u64) -> Result<(), OpenError> {
        let path = path(self.dir, number);
        let file = self.files.open(&name(number)).map_err(|why| io("open", path.clone(), why))?;
        let slots = &mut self.slots;
        let scan = Scan::of(file, birth, number, number == self.number, |offset, frame| {
            slots.entry(frame.slot).or_default().take(number, offset, frame);
        });
        let scan = scan.map_err(|foreign| match foreign {
            Foreign::Io(why) => io("read", path.clone(), why),
            Foreign::Birth(found) => OpenError::Birth { path: path.clone(), found, expected: birth },
            Foreign::Version(found) => OpenError::Version { path: path.clone(), found },
        })?;
        if number == self.number && scan.is_stillborn() {
            self.stillborn = Some(number);
            return Ok(());
        }
        for gap in &scan.gaps {
            self.lost.insert(number);
            self.faults.push(OpenError::Damage { path: path.clone(), offset: gap.from, bytes: gap.to - gap.from });
        }
        self.place = self.place.max(scan.place);
        self.index.begin(number, scan.file.clone(), scan.end);
        self.newest = Some((number, scan));
        Ok(())
    }

    /// Puts the records that count in the index, each chain up to its first missing record.
    fn join_chains(&mut self) {
        for (slot, gathered) in self.slots.drain() {
            let floor = gathered.floor;
            let (records, whole) = gathered.join();
            let hole = records.get(whole).map(|(spot, _)| spot.place);
            let hole = hole.or_else(|| floor.filter(|_| records.is_empty()).map(|floor| floor.place));
            if let Some(place) = hole {
                self.faults.push(OpenError::Hole { slot, place });
                self.lost.extend(records[whole..].iter().map(|(spot, _)| spot.segment));
            }
            if let Some(floor) = floor.filter(|_| whole > 0) {
                self.index.trim(slot, floor);
            }
            for (spot, _) in &records[..whole] {
                self.index.append(slot, *spot);
            }
        }
    }

    fn bury_stillborn(&mut self) -> Result<(), OpenError> {
        let Some(number) = self.stillborn else { return Ok(()) };
        let removed = self.files.remove(&name(number)).and_then(|()| self.files.sync_dir());
        removed.map_err(|why| io("delete", path(self.dir, number), why))
    }
}

impl Gathered {
    fn take(&mut self, segment: u64, offset: u64, frame: &Frame<'_>) {
        let spot = frame.spot(segment, offset);
        match frame.kind {
            Kind::Append => self.records.push((spot, frame.after)),
            Kind::Trim if self.floor.is_none_or(|floor| floor.place <= spot.place) => self.floor = Some(spot),
            Kind::Trim | Kind::Synced => {}
        }
    }

    /// The records that count, in the order of their places, and how many of them come before the first that is missing.
    fn join(mut self) -> (Vec<(Spot, u64)>, usize) {
        let floor = self.floor.map_or(0, |floor| floor.place);
        self.records.retain(|(spot, _)| spot.place >= floor);
        // Of copies the newest stays, so that the oldest segment may go.
        self.records.reverse();
        self.records.sort_by_key(|(spot, _)| spot.place);
        self.records.dedup_by_key(|(spot, _)| spot.place);
        let mut before = None;
        let whole = self.records.iter().take_while(|(spot, after)| {
            let joins = before.map_or(*after == 0 || *after < floor, |before| before == *after);
            before = Some(spot.place);
            joins
        });
        let whole = whole.count();
        (self.records, whole)
    }
}

impl Writer {
    /// Writes down that no place before a distant one will be given again. Where records may be lost, that is in another life of the log.
    fn skip_places(&mut self, may_be_lost: bool) -> Result<(), Ended> {
        let mut batch = Batch::default();
        if !self.fits(&batch, FRAME) && !self.rotate()? {
            return Err(self.no_room());
        }
        self.place = match may_be_lost {
            true => (Place(self.place).life() + 1) << BELOW_LIFE,
            false => self.place + PLACES_SKIPPED,
        };
        self.push(&mut batch, Kind::Synced, 0, self.place, 0, &[]);
        self.place += 1;
        if !self.commit(batch)? {
            return Err(self.no_room());
        }
        self.sync()
    }

    pub(crate) fn no_room(&self) -> Ended {
        Ended(format!("cannot open the log in {}: its disk is full. Make room, then start again", self.dir.display()))
    }
}
