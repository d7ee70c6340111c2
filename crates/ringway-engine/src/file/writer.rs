//! The one thread that writes: it takes all that is queued, writes it at once, syncs it, and answers.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::thread;
use std::time::{Duration, Instant};
use std::{fmt, io};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::file::clean::Cleaner;
use crate::file::files::{Files, Handle, is_full};
use crate::file::frame::{FRAME, Frame, HEADER, Header, Kind, name};
use crate::file::fsync::Fsync;
use crate::file::index::Spot;
use crate::file::unsynced;
use crate::file::{Limits, QUEUE, Shared, path};
use crate::log::{Appended, Place};
use crate::store::Away;

/// A batch takes nothing more beyond this, so that the first in it does not wait long for the last.
pub(crate) const BATCH_BYTES: usize = 4 << 20;

/// The cleaner rests so long when the disk is full.
const REST: Duration = Duration::from_secs(1);

pub(crate) type Answer<T> = oneshot::Sender<Result<T, Away>>;

/// What the writer is asked for.
pub(crate) enum Op {
    Append { slot: u32, after: Option<u64>, record: Bytes, answer: Answer<Appended>, _room: OwnedSemaphorePermit },
    Trim { slot: u32, before: u64, answer: Answer<()> },
    Close { answer: Answer<()> },
}

/// Why the log has ended for good, for people.
#[derive(Debug)]
pub(crate) struct Ended(pub(crate) String);

/// What changes in the index when a batch is written.
pub(crate) enum Change {
    Append(u32, Spot),
    Trim(u32, Spot),
    Move(u32, Spot, Spot),
}

/// What is written with one call.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) bytes: Vec<u8>,
    pub(crate) changes: Vec<Change>,
    /// Where the cleaner has arrived when this is written.
    pub(crate) cleaner: Option<Cleaner>,
    /// Where chains end when this is written.
    ends: HashMap<u32, u64>,
    appends: Vec<(Answer<Appended>, Appended)>,
    trims: Vec<Answer<()>>,
    close: bool,
}

/// Owns the files. Nobody else changes them, or the index.
pub(crate) struct Writer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) files: Arc<dyn Files>,
    pub(crate) dir: PathBuf,
    pub(crate) limits: Limits,
    pub(crate) fsync: Fsync,
    /// The newest segment.
    pub(crate) number: u64,
    pub(crate) file: Arc<dyn Handle>,
    pub(crate) len: u64,
    /// So much of it will survive a power failure.
    pub(crate) synced: u64,
    pub(crate) synced_at: Instant,
    /// The next place.
    pub(crate) place: u64,
    pub(crate) cleaner: Option<Cleaner>,
    pub(crate) no_cleaning_before: Option<Instant>,
    /// The oldest segment is damaged, and must not be deleted.
    pub(crate) never_clean: bool,
    /// Taken from the queue, and in no batch yet.
    pub(crate) waiting: VecDeque<Op>,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("number", &self.number).field("len", &self.len).finish_non_exhaustive()
    }
}

/// Tells the readers if the writer ends by a panic.
struct Alive(Arc<Shared>);

impl Drop for Alive {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.fail("the writer of the log has failed; this is a fault of ringway. Start the process again");
        }
    }
}

impl Writer {
    /// Goes on behind what there is of the newest segment, which was synced.
    pub(crate) fn new(
        shared: Arc<Shared>,
        dir: PathBuf,
        limits: Limits,
        fsync: Fsync,
        (number, file, len): (u64, Arc<dyn Handle>, u64),
        place: u64,
    ) -> Self {
        Self {
            files: shared.files.clone(),
            shared,
            dir,
            limits,
            fsync,
            number,
            file,
            len,
            synced: len,
            synced_at: Instant::now(),
            place,
            cleaner: None,
            no_cleaning_before: None,
            never_clean: false,
            waiting: VecDeque::new(),
        }
    }

    pub(crate) fn shared(&self) -> Arc<Shared> {
        self.shared.clone()
    }

    /// Works until the log is closed, nobody can ask any more, or it has ended for good.
    pub(crate) fn run(mut self, queue: &Receiver<Op>) {
        let _alive = Alive(self.shared());
        let mut open = true;
        while open {
            open = self.take(queue);
            let done = self.round().and_then(|closed| {
                let dropped = !open && !closed;
                open &= !closed;
                if dropped { self.seal() } else { Ok(()) }
            });
            if done.is_err() {
                // Those who wait learn it when their answers are dropped with the queue.
                return;
            }
        }
    }

    /// Waits for something to do. False: nobody can ask any more, and all was taken.
    fn take(&mut self, queue: &Receiver<Op>) -> bool {
        if self.waiting.is_empty() {
            let first = match self.sync_due() {
                _ if self.wants_to_clean() => queue.try_recv().map_err(|none| match none {
                    TryRecvError::Empty => RecvTimeoutError::Timeout,
                    TryRecvError::Disconnected => RecvTimeoutError::Disconnected,
                }),
                Some(due) => queue.recv_timeout(due.saturating_duration_since(Instant::now())),
                None => queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match first {
                Ok(op) => self.waiting.push_back(op),
                Err(RecvTimeoutError::Timeout) => return true,
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
        while self.waiting.len() < QUEUE
            && let Ok(op) = queue.try_recv()
        {
            self.waiting.push_back(op);
        }
        true
    }

    /// One batch: from what waits, and from the cleaner. True: the log was closed.
    pub(crate) fn round(&mut self) -> Result<bool, Ended> {
        let mut batch = Batch::default();
        while let Some(op) = self.waiting.pop_front() {
            let len = op.frame();
            if !self.fits(&batch, len) {
                if !batch.bytes.is_empty() {
                    self.waiting.push_front(op);
                    break;
                }
                if !self.rotate()? {
                    op.answer_full();
                    continue;
                }
            }
            self.admit(op, &mut batch);
            if batch.bytes.len() >= BATCH_BYTES || batch.close {
                break;
            }
        }
        self.clean(&mut batch)?;
        let close = batch.close;
        self.commit(batch)?;
        Ok(close)
    }

    /// The newest segment has room for one more frame of this length behind the batch. An empty one has room for any.
    pub(crate) fn fits(&self, batch: &Batch, len: usize) -> bool {
        let end = self.len + batch.bytes.len() as u64;
        end == HEADER || end + len as u64 <= self.limits.segment
    }

    fn admit(&mut self, op: Op, batch: &mut Batch) {
        match op {
            Op::Append { slot, after, record, answer, _room } => {
                let appended = self.admit_record(slot, after, &record, batch);
                batch.appends.push((answer, appended));
            }
            Op::Trim { slot, before, answer } => {
                let trims = |before| self.shared.index.lock().trims(slot, before);
                if let Some(before) = self.end(slot, batch).map(|last| before.min(last)).filter(|before| trims(*before))
                {
                    let spot = self.push(batch, Kind::Trim, slot, before, 0, &[]);
                    batch.changes.push(Change::Trim(slot, spot));
                }
                batch.trims.push(answer);
            }
            Op::Close { answer } => {
                batch.close = true;
                batch.trims.push(answer);
            }
        }
    }

    fn admit_record(&mut self, slot: u32, after: Option<u64>, record: &[u8], batch: &mut Batch) -> Appended {
        if self.end(slot, batch) != after {
            return Appended::Conflict;
        }
        let total = self.shared.index.lock().total;
        if total + (batch.bytes.len() + FRAME + record.len()) as u64 > self.limits.appends {
            return Appended::Full;
        }
        let place = self.place;
        self.place += 1;
        let spot = self.push(batch, Kind::Append, slot, place, after.unwrap_or(0), record);
        batch.changes.push(Change::Append(slot, spot));
        batch.ends.insert(slot, place);
        Appended::At(Place(place))
    }

    /// The last place of a chain when the batch is written.
    fn end(&self, slot: u32, batch: &Batch) -> Option<u64> {
        let end = batch.ends.get(&slot).copied();
        end.or_else(|| self.shared.index.lock().last(slot).map(|spot| spot.place))
    }

    pub(crate) fn push(&self, batch: &mut Batch, kind: Kind, slot: u32, place: u64, after: u64, record: &[u8]) -> Spot {
        let offset = self.len + batch.bytes.len() as u64;
        // Segments end far below 4 GiB.
        let frame = Frame { kind, slot, place, after, synced: self.synced as u32, record };
        frame.encode(self.header().seed(), &mut batch.bytes);
        frame.spot(self.number, offset)
    }

    /// Writes the batch, syncs it if that is due, changes the index, and answers.
    /// False: the disk is full, and nothing was changed.
    pub(crate) fn commit(&mut self, batch: Batch) -> Result<bool, Ended> {
        if !batch.bytes.is_empty() {
            match self.file.write_at(&batch.bytes, self.len) {
                Ok(()) => {}
                Err(why) if is_full(&why) => return self.give_up(batch),
                Err(why) => return Err(self.ended("write to", self.number, &why)),
            }
            self.len += batch.bytes.len() as u64;
            self.shared.index.lock().grow(self.number, batch.bytes.len() as u64);
        }
        if self.sync_due().is_some_and(|due| due <= Instant::now()) {
            self.sync()?;
        }
        if batch.close {
            self.seal()?;
        }
        self.apply(batch.changes);
        self.cleaner = batch.cleaner;
        for (answer, appended) in batch.appends {
            // Whoever asked may be gone.
            let _ = answer.send(Ok(appended));
        }
        for answer in batch.trims {
            let _ = answer.send(Ok(()));
        }
        self.finish_cleaning()?;
        Ok(true)
    }

    fn apply(&self, changes: Vec<Change>) {
        let mut index = self.shared.index.lock();
        for change in changes {
            match change {
                Change::Append(slot, spot) => index.append(slot, spot),
                Change::Trim(slot, floor) => index.trim(slot, floor),
                Change::Move(slot, from, to) => index.relocate(slot, &from, to),
            }
        }
    }

    /// The disk is full. What was written of the batch must be gone before anybody hears so: a crash would make it records.
    fn give_up(&mut self, batch: Batch) -> Result<bool, Ended> {
        let undone = self.file.truncate(self.len).and_then(|()| self.file.sync());
        undone.map_err(|why| self.ended("undo a write to the full disk in", self.number, &why))?;
        self.synced = self.len;
        self.rest();
        for (answer, _) in batch.appends {
            let _ = answer.send(Ok(Appended::Full));
        }
        for answer in batch.trims {
            let _ = answer.send(Err(no_room()));
        }
        Ok(false)
    }

    pub(crate) fn rest(&mut self) {
        tracing::warn!(dir = %self.dir.display(), "the disk of the log is full: make room, or trim");
        self.no_cleaning_before = Some(Instant::now() + REST);
    }

    /// When the writer has to sync next. `None`: it does not have to.
    fn sync_due(&self) -> Option<Instant> {
        match self.fsync {
            _ if self.synced == self.len => None,
            Fsync::Always => Some(self.synced_at),
            Fsync::Every(time) => Some(self.synced_at + time),
            Fsync::Never => None,
        }
    }

    pub(crate) fn sync(&mut self) -> Result<(), Ended> {
        if self.synced < self.len {
            self.file.sync().map_err(|why| self.ended("sync", self.number, &why))?;
            self.synced = self.len;
        }
        self.synced_at = Instant::now();
        Ok(())
    }

    /// Syncs, and writes down that this was done: what is wrong in the segment from now on is damage, and no torn end.
    pub(crate) fn seal(&mut self) -> Result<(), Ended> {
        self.sync()?;
        if self.len > HEADER {
            // It may end behind the segment's limit, by its own length.
            let mut batch = Batch::default();
            self.push(&mut batch, Kind::Synced, 0, self.place, 0, &[]);
            self.commit(batch)?;
        }
        self.sync()?;
        unsynced::end(&*self.files).map_err(|why| self.ended("note that all is synced beside", self.number, &why))
    }

    fn header(&self) -> Header {
        Header { birth: self.shared.birth, number: self.number, place: self.place }
    }

    /// Begins the next segment. False: the disk is full, and nothing was changed.
    pub(crate) fn rotate(&mut self) -> Result<bool, Ended> {
        self.sync()?;
        let number = self.number + 1;
        let header = Header { number, ..self.header() };
        let file = match begin(&*self.files, &header) {
            Ok(file) => file,
            Err(why) if is_full(&why) => {
                let undone = self.files.remove(&name(number)).or_else(|why| match why.kind() {
                    io::ErrorKind::NotFound => Ok(()),
                    _ => Err(why),
                });
                let undone = undone.and_then(|()| self.files.sync_dir());
                undone.map_err(|why| self.ended("undo the beginning of", number, &why))?;
                self.rest();
                return Ok(false);
            }
            Err(why) => return Err(self.ended("begin", number, &why)),
        };
        self.shared.index.lock().begin(number, file.clone(), HEADER);
        (self.number, self.file, self.len, self.synced) = (number, file, HEADER, HEADER);
        Ok(true)
    }

    /// Ends the log for good.
    pub(crate) fn ended(&self, what: &str, number: u64, why: &io::Error) -> Ended {
        let why = format!(
            "the log has ended, for nobody knows what the disk has kept: cannot {what} {}: {why}. Check the disk and its file system, then start this process again",
            path(&self.dir, number).display()
        );
        // Before any answer is dropped: those who wait for one ask why.
        self.shared.fail(&why);
        Ended(why)
    }
}

impl Op {
    /// Bytes that it may need in the file.
    fn frame(&self) -> usize {
        match self {
            Self::Append { record, .. } => FRAME + record.len(),
            Self::Trim { .. } => FRAME,
            Self::Close { .. } => 0,
        }
    }

    fn answer_full(self) {
        // Whoever asked may be gone.
        let _ = match self {
            Self::Append { answer, .. } => answer.send(Ok(Appended::Full)).is_ok(),
            Self::Trim { answer, .. } | Self::Close { answer } => answer.send(Err(no_room())).is_ok(),
        };
    }
}

fn no_room() -> Away {
    Away("the disk of the log is full. Make room on it: the log then goes on by itself".to_owned())
}

/// Makes a segment that has its header and will survive.
pub(crate) fn begin(files: &dyn Files, header: &Header) -> io::Result<Arc<dyn Handle>> {
    let file = files.create(&name(header.number))?;
    file.write_at(&header.encode(), 0)?;
    file.sync()?;
    files.sync_dir()?;
    Ok(file)
}
