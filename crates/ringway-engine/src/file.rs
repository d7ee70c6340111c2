//! A log in files of this machine.
//!
//! The log is a row of segments, `log-<n>`, to which one writer thread appends. It takes all that is queued, writes it with one call, syncs
//! once, and then answers all: a group commit. The index in memory knows where each record is that counts; records are read from the files.
//!
//! ```text
//!  append, trim ──► queue ──► writer ──► newest segment ──► sync ──► index ──► answer
//!  last, read ────► index ──► any segment
//! ```
//!
//! **What counts** does not depend on the order in which frames are found. A slot's floor is the highest place that it was trimmed to. A
//! record counts if its place is not below the floor of its slot; of several copies one counts, for they are the same. The last record of
//! a chain is never below the floor, as the writer trims no further than to its place.
//!
//! **Cleaning** therefore is: copy what counts in the oldest segment (records, and trims that are a floor) to the newest, sync, delete the
//! oldest. The set of frames that count is the same before and after, and if a crash brings the deleted segment back, all that comes back
//! is dead or a copy. Copies keep their places, so a chain's order is that of its places.
//!
//! **Loss is seen.** Each record names the place of the one before it in its chain, and segments are numbered without gaps: what is missing
//! from the middle is found when the log is opened, even if no checksum is wrong. What a crash may have torn is told from damage by the
//! offset up to which the segment had been synced, which each frame carries: a bad frame is damage if a later frame says that it had been
//! synced, or if it is not in the newest segment, for a segment is synced before the next one begins.
//!
//! **Places have a life** of the log in their upper bits. Another one begins where records may be lost that were answered for: the machine
//! went down before they were synced, or the owner of a damaged log accepts the loss.

mod clean;
mod files;
mod frame;
mod fsync;
mod index;
mod mend;
mod open;
mod read;
mod scan;
mod unsynced;
mod writer;

#[cfg(test)]
mod double;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

pub use self::fsync::{Fsync, NotFsync};
pub use self::open::OpenError;

use self::files::{Files, Folder};
use self::frame::LONGEST_RECORD;
use self::index::Index;
use self::writer::{Answer, Op, Writer};
use crate::log::{Appended, Log, Page, Place};
use crate::store::Away;

/// Length of a segment, where the limit of the log leaves room for several.
const SEGMENT_BYTES: u64 = 64 << 20;

/// The limit of a log is at least this many bytes: eight segments of 128 KiB.
const LEAST_BYTES: u64 = 1 << 20;

/// So many appends and trims wait for the writer. It takes them all at once; more wait only where the disk is far too slow.
const QUEUE: usize = 4_096;

/// So many bytes of records wait for the writer, which bounds the memory of the queue.
const QUEUE_BYTES: usize = 64 << 20;

/// How to keep the log.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Names the cluster. A log of another one is refused.
    pub birth: u64,
    /// When the writer syncs.
    pub fsync: Fsync,
    /// Most bytes of files. Appends are refused when all but two segments' worth of them is used; the rest is for trims and cleaning.
    pub max_bytes: u64,
    /// Opens a damaged log with what can be read of it: each chain ends before its first missing record. Files that held what was lost stay
    /// as `lost-log-<n>`.
    pub accept_loss: bool,
}

/// What the sizes are made of, smaller in tests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// A segment ends before this.
    segment: u64,
    /// Appends are refused beyond this many bytes of segments.
    appends: u64,
    /// The cleaner reads so much of the oldest segment in one round of the writer.
    clean: usize,
}

impl Limits {
    fn of(max_bytes: u64) -> Self {
        let segment = SEGMENT_BYTES.min(max_bytes / 8);
        Self { segment, appends: max_bytes - 2 * segment, clean: 256 << 10 }
    }
}

/// What the writer and the readers share.
#[derive(Debug)]
pub(crate) struct Shared {
    files: Arc<dyn Files>,
    birth: u64,
    index: Mutex<Index>,
    failed: watch::Sender<Option<Arc<str>>>,
}

impl Shared {
    /// Ends the log for good. The first reason stays.
    fn fail(&self, why: &str) {
        let first = self.failed.send_if_modified(|failed| {
            let first = failed.is_none();
            failed.get_or_insert_with(|| why.into());
            first
        });
        if first {
            tracing::error!("{why}");
        }
    }

    fn away(&self) -> Away {
        let why = self.failed.borrow().clone();
        Away(why.map_or_else(|| "the log was closed".to_owned(), |why| why.to_string()))
    }
}

/// The log. Clones are the same one. It ends when [`FileLog::close`] is called or the last clone is dropped; both sync it.
#[derive(Clone)]
pub struct FileLog {
    shared: Arc<Shared>,
    queue: SyncSender<Op>,
    room: Arc<Semaphore>,
}

impl fmt::Debug for FileLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileLog").field("files", &self.shared.files).field("failed", &self.failed()).finish()
    }
}

impl FileLog {
    /// Opens the log in this folder, or begins one there. The folder exists, and the caller has locked it: no other process uses it. Reads
    /// the whole log, and blocks for that time.
    ///
    /// # Errors
    /// The log is damaged, not ours, or cannot be read. Nothing was changed, but where `accept_loss` asked for it.
    pub fn open(dir: &Path, options: Options) -> Result<Self, OpenError> {
        if options.max_bytes < LEAST_BYTES {
            return Err(OpenError::TooSmall { max_bytes: options.max_bytes, least: LEAST_BYTES });
        }
        let writer = open::open(Arc::new(Folder::new(dir)), dir, &options, Limits::of(options.max_bytes))?;
        Self::start(writer).map_err(|why| OpenError::Io { what: "start the writer of", path: dir.to_owned(), why })
    }

    fn start(writer: Writer) -> io::Result<Self> {
        let shared = writer.shared();
        let (queue, ops) = sync_channel(QUEUE);
        thread::Builder::new().name("log-writer".to_owned()).spawn(move || writer.run(&ops))?;
        Ok(Self { shared, queue, room: Arc::new(Semaphore::new(QUEUE_BYTES)) })
    }

    /// Why the log has ended for good. The process should stop: what it does now is not kept. `None`: it has not.
    pub fn failed(&self) -> Option<String> {
        self.shared.failed.borrow().as_deref().map(str::to_owned)
    }

    /// Returns why the log has ended for good, as soon as it has.
    pub async fn until_failed(&self) -> String {
        let mut failed = self.shared.failed.subscribe();
        match failed.wait_for(Option::is_some).await {
            Ok(why) => why.as_deref().unwrap_or_default().to_owned(),
            Err(_) => std::future::pending().await,
        }
    }

    /// Bytes of all segments.
    pub fn bytes(&self) -> u64 {
        self.shared.index.lock().total
    }

    /// Syncs all that was queued before, whatever the mode, and ends the log: later appends and trims are refused.
    ///
    /// # Errors
    /// The last appends may be lost.
    pub async fn close(&self) -> Result<(), Away> {
        self.ask(0, |answer, _| Op::Close { answer }).await
    }

    /// Puts one operation in the queue of the writer and waits for its answer.
    async fn ask<T>(&self, bytes: usize, op: impl FnOnce(Answer<T>, OwnedSemaphorePermit) -> Op) -> Result<T, Away> {
        // Records are shorter than their limit, and so is this number.
        let Ok(room) = self.room.clone().try_acquire_many_owned(bytes as u32) else { return Err(busy()) };
        let (answer, answered) = oneshot::channel();
        match self.queue.try_send(op(answer, room)) {
            Ok(()) => answered.await.unwrap_or_else(|_| Err(self.shared.away())),
            Err(TrySendError::Full(_)) => Err(busy()),
            Err(TrySendError::Disconnected(_)) => Err(self.shared.away()),
        }
    }

    async fn fetch(&self, spots: Vec<read::Wanted>) -> Result<Vec<(Place, Bytes)>, Away> {
        if spots.is_empty() {
            return Ok(Vec::new());
        }
        let birth = self.shared.birth;
        let read = tokio::task::spawn_blocking(move || spots.iter().map(|spot| spot.record(birth)).collect());
        read.await.unwrap_or_else(|why| Err(Away(format!("a read of the log was not carried out: {why}"))))
    }
}

fn busy() -> Away {
    Away("the log's queue is full: the disk takes less than is appended. Is it slow, or shared with others?".to_owned())
}

fn too_long(len: usize) -> Away {
    Away(format!("a record of {len} bytes is too long for the log, which takes {LONGEST_RECORD}"))
}

/// The path of a file for people.
fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(frame::name(number))
}

impl Log for FileLog {
    async fn append(&self, slot: u32, after: Option<Place>, record: Bytes) -> Result<Appended, Away> {
        if record.len() > LONGEST_RECORD {
            return Err(too_long(record.len()));
        }
        let after = after.map(|place| place.0);
        self.ask(record.len(), |answer, room| Op::Append { slot, after, record, answer, _room: room }).await
    }

    async fn last(&self, slot: u32) -> Result<Option<(Place, Bytes)>, Away> {
        let last = {
            let index = self.shared.index.lock();
            index.last(slot).and_then(|spot| read::Wanted::new(&index, slot, spot))
        };
        Ok(self.fetch(last.into_iter().collect()).await?.pop())
    }

    async fn read(&self, slot: u32, after: Option<Place>, room: usize) -> Result<Page, Away> {
        let (wanted, more) = read::page(&self.shared.index.lock(), slot, after.map(|place| place.0), room);
        Ok(Page { records: self.fetch(wanted).await?, more })
    }

    async fn trim(&self, slot: u32, before: Place) -> Result<(), Away> {
        self.ask(0, |answer, _| Op::Trim { slot, before: before.0, answer }).await
    }

    async fn slots(&self) -> Result<Vec<u32>, Away> {
        Ok(self.shared.index.lock().slots())
    }
}
