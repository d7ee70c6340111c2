//! A store, a log and a bus in this process: for tests, and what the others are held to.

mod bus;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::broadcast;

use crate::log::{Appended, Log, Page, Place};
use crate::store::{Away, Found, Refused, Store};

pub use bus::MemoryBus;

/// Notices that a slow listener may be behind, before it misses some.
const NOTICES: usize = 64;

/// The store. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Memory {
    inside: Arc<Mutex<Inside>>,
    notices: broadcast::Sender<Bytes>,
}

#[derive(Debug, Default)]
struct Inside {
    keys: BTreeMap<String, Found>,
    newest: u64,
}

impl Default for Memory {
    fn default() -> Self {
        Self { inside: Arc::default(), notices: broadcast::channel(NOTICES).0 }
    }
}

impl Memory {
    /// What is announced from now on.
    pub fn listen(&self) -> broadcast::Receiver<Bytes> {
        self.notices.subscribe()
    }
}

impl Store for Memory {
    async fn read(&self, key: &str) -> Result<Option<Found>, Away> {
        Ok(self.inside.lock().keys.get(key).cloned())
    }

    async fn list(&self, prefix: &str) -> Result<Vec<(String, u64)>, Away> {
        let inside = self.inside.lock();
        let name = |key: &String| Some(key.strip_prefix(prefix)?.strip_prefix('.')?.to_owned());
        Ok(inside.keys.iter().filter_map(|(key, found)| Some((name(key)?, found.revision))).collect())
    }

    async fn write(&self, key: &str, at: Option<u64>, value: Bytes) -> Result<u64, Refused> {
        let mut inside = self.inside.lock();
        if inside.keys.get(key).map(|found| found.revision) != at {
            return Err(Refused::Conflict);
        }
        inside.newest += 1;
        let revision = inside.newest;
        inside.keys.insert(key.to_owned(), Found { revision, value });
        Ok(revision)
    }

    async fn remove(&self, key: &str, at: Option<u64>) -> Result<(), Refused> {
        let mut inside = self.inside.lock();
        let is = inside.keys.get(key).map(|found| found.revision);
        if at.is_some() && is.is_some() && is != at {
            return Err(Refused::Conflict);
        }
        inside.keys.remove(key);
        Ok(())
    }

    fn life(&self) -> u64 {
        1
    }

    async fn announce(&self, notice: Bytes) {
        // Nobody may listen.
        let _ = self.notices.send(notice);
    }
}

/// The log. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct MemoryLog {
    inside: Arc<Mutex<Chains>>,
}

#[derive(Debug, Default)]
struct Chains {
    chains: BTreeMap<u32, BTreeMap<Place, Bytes>>,
    newest: u64,
}

impl Log for MemoryLog {
    async fn append(&self, slot: u32, after: Option<Place>, record: Bytes) -> Result<Appended, Away> {
        let mut inside = self.inside.lock();
        let place = Place(inside.newest + 1);
        let chain = inside.chains.entry(slot).or_default();
        if chain.last_key_value().map(|(place, _)| *place) != after {
            return Ok(Appended::Conflict);
        }
        chain.insert(place, record);
        inside.newest = place.0;
        Ok(Appended::At(place))
    }

    async fn last(&self, slot: u32) -> Result<Option<(Place, Bytes)>, Away> {
        let inside = self.inside.lock();
        let last = inside.chains.get(&slot).and_then(|chain| chain.last_key_value());
        Ok(last.map(|(place, record)| (*place, record.clone())))
    }

    async fn read(&self, slot: u32, after: Option<Place>, room: usize) -> Result<Page, Away> {
        let inside = self.inside.lock();
        let mut page = Page::default();
        let mut bytes = 0;
        for (place, record) in inside.chains.get(&slot).into_iter().flatten() {
            if Some(*place) <= after {
                continue;
            }
            bytes += record.len();
            if bytes > room && !page.records.is_empty() {
                page.more = true;
                break;
            }
            page.records.push((*place, record.clone()));
        }
        Ok(page)
    }

    async fn trim(&self, slot: u32, before: Place) -> Result<(), Away> {
        if let Some(chain) = self.inside.lock().chains.get_mut(&slot) {
            let last = chain.last_key_value().map_or(before, |(last, _)| before.min(*last));
            *chain = chain.split_off(&last);
        }
        Ok(())
    }

    async fn slots(&self) -> Result<Vec<u32>, Away> {
        let inside = self.inside.lock();
        Ok(inside.chains.iter().filter(|(_, chain)| !chain.is_empty()).map(|(slot, _)| *slot).collect())
    }
}
