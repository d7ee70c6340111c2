//! A folder in memory, for tests. It forgets what was not synced, is full, and fails, when it is told to.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::file::files::{Files, Handle};

/// What the disk keeps or loses as one. Small, so that one write has many.
const PAGE: usize = 64;

#[derive(Debug, Clone)]
pub(crate) struct Double(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    rng: SmallRng,
    files: Vec<Content>,
    names: BTreeMap<String, usize>,
    kept_names: BTreeMap<String, usize>,
    /// Of the folder, since it was synced.
    changes: Vec<Change>,
    /// The power fails after so many more changes.
    fuse: Option<u32>,
    off: bool,
    room: usize,
    fail_sync: bool,
    boots: u64,
}

#[derive(Debug, Clone)]
enum Change {
    Create(String, usize),
    Rename(String, String),
    Remove(String),
}

#[derive(Debug, Default)]
struct Content {
    now: Vec<u8>,
    kept: Vec<u8>,
    /// Pages that the next sync writes.
    dirty: BTreeSet<usize>,
}

#[derive(Debug)]
struct DoubleHandle(Double, usize);

fn apply(names: &mut BTreeMap<String, usize>, change: &Change) {
    match change {
        Change::Create(name, file) => {
            names.insert(name.clone(), *file);
        }
        Change::Rename(from, to) => {
            if let Some(file) = names.remove(from) {
                names.insert(to.clone(), file);
            }
        }
        Change::Remove(name) => {
            names.remove(name);
        }
    }
}

impl Content {
    fn copy_page(&mut self, page: usize) {
        let to = ((page + 1) * PAGE).min(self.now.len()).min(self.kept.len());
        if page * PAGE < to {
            self.kept[page * PAGE..to].copy_from_slice(&self.now[page * PAGE..to]);
        }
    }

    fn sync(&mut self) {
        self.kept.resize(self.now.len(), 0);
        for page in std::mem::take(&mut self.dirty) {
            self.copy_page(page);
        }
    }

    /// Keeps any part of what was not synced.
    fn crash(&mut self, rng: &mut SmallRng) {
        let (short, long) = (self.kept.len().min(self.now.len()), self.kept.len().max(self.now.len()));
        let len = match rng.random_range(0..3) {
            0 => self.kept.len(),
            1 => self.now.len(),
            _ => rng.random_range(short..=long),
        };
        self.kept.resize(len, 0);
        for page in std::mem::take(&mut self.dirty) {
            if rng.random() {
                self.copy_page(page);
            }
        }
        self.now = self.kept.clone();
    }
}

impl State {
    /// Counts a change. The power may fail with it: then it is under way, and nobody knows how far it comes.
    fn burn(&mut self) -> io::Result<()> {
        if let Some(left) = &mut self.fuse {
            *left = left.saturating_sub(1);
            self.off |= *left == 0;
        }
        self.power()
    }

    fn power(&self) -> io::Result<()> {
        if self.off { Err(io::Error::other("the power failed")) } else { Ok(()) }
    }

    fn change(&mut self, change: Change) -> io::Result<()> {
        self.power()?;
        apply(&mut self.names, &change);
        self.changes.push(change);
        self.burn()
    }
}

impl Double {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            rng: SmallRng::seed_from_u64(seed),
            files: Vec::new(),
            names: BTreeMap::new(),
            kept_names: BTreeMap::new(),
            changes: Vec::new(),
            fuse: None,
            off: false,
            room: usize::MAX,
            fail_sync: false,
            boots: 0,
        })))
    }

    /// The power fails after so many more changes.
    pub(crate) fn fuse(&self, changes: u32) {
        self.0.lock().fuse = Some(changes);
    }

    /// So many more bytes have room.
    pub(crate) fn room(&self, more: usize) {
        let state = &mut *self.0.lock();
        state.room = more.saturating_add(state.names.values().map(|file| state.files[*file].now.len()).sum());
    }

    pub(crate) fn fail_next_sync(&self) {
        self.0.lock().fail_sync = true;
    }

    /// The process begins anew on a machine that went on.
    pub(crate) fn restart(&self) {
        let state = &mut *self.0.lock();
        (state.fuse, state.off, state.room, state.fail_sync) = (None, false, usize::MAX, false);
    }

    /// The machine begins anew.
    pub(crate) fn crash(&self) {
        self.restart();
        let state = &mut *self.0.lock();
        state.boots += 1;
        for change in std::mem::take(&mut state.changes) {
            if state.rng.random() {
                apply(&mut state.kept_names, &change);
            }
        }
        state.names = state.kept_names.clone();
        for content in &mut state.files {
            content.crash(&mut state.rng);
        }
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.0.lock().names.keys().cloned().collect()
    }

    /// Changes what a file has kept.
    pub(crate) fn damage(&self, name: &str, change: impl Fn(&mut Vec<u8>)) {
        let state = &mut *self.0.lock();
        let content = &mut state.files[state.names[name]];
        change(&mut content.now);
        change(&mut content.kept);
    }

    pub(crate) fn forget(&self, name: &str) {
        let state = &mut *self.0.lock();
        state.names.remove(name);
        state.kept_names.remove(name);
    }

    pub(crate) fn content(&self, name: &str) -> Vec<u8> {
        let state = self.0.lock();
        state.files[state.names[name]].now.clone()
    }
}

impl Files for Double {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.names())
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn Handle>> {
        let state = &mut *self.0.lock();
        assert!(!state.names.contains_key(name), "{name} exists");
        state.files.push(Content::default());
        let file = state.files.len() - 1;
        state.change(Change::Create(name.to_owned(), file))?;
        Ok(Arc::new(DoubleHandle(self.clone(), file)))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn Handle>> {
        let file = self.0.lock().names.get(name).copied().ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(DoubleHandle(self.clone(), file)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.lock().change(Change::Rename(from.to_owned(), to.to_owned()))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.lock().change(Change::Remove(name.to_owned()))
    }

    fn sync_dir(&self) -> io::Result<()> {
        let state = &mut *self.0.lock();
        state.burn()?;
        for change in std::mem::take(&mut state.changes) {
            apply(&mut state.kept_names, &change);
        }
        Ok(())
    }

    fn boot(&self) -> String {
        self.0.lock().boots.to_string()
    }
}

impl Handle for DoubleHandle {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.0.lock().files[self.1].now.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        let state = self.0.0.lock();
        let at = at as usize;
        let bytes = state.files[self.1].now.get(at..at + buffer.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        let state = &mut *self.0.0.lock();
        state.power()?;
        let used: usize = state.names.values().map(|file| state.files[*file].now.len()).sum();
        let content = &mut state.files[self.1];
        let at = at as usize;
        let room = content.now.len().saturating_sub(at) + state.room.saturating_sub(used);
        let part = &bytes[..bytes.len().min(room)];
        let end = at + part.len();
        content.now.resize(content.now.len().max(end), 0);
        content.now[at..end].copy_from_slice(part);
        content.dirty.extend(at / PAGE..end.div_ceil(PAGE));
        state.burn()?;
        if part.len() < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        let state = &mut *self.0.0.lock();
        state.power()?;
        state.files[self.1].now.truncate(len as usize);
        state.burn()
    }

    fn sync(&self) -> io::Result<()> {
        let state = &mut *self.0.0.lock();
        state.burn()?;
        let content = &mut state.files[self.1];
        if std::mem::take(&mut state.fail_sync) {
            // The system takes the pages for written, and never tries again.
            content.dirty.clear();
            return Err(io::Error::other("the sync failed"));
        }
        content.sync();
        Ok(())
    }
}
