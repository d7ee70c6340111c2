//! A channel at a node: offsets, bounded history, idempotency keys, the gateways that listen.
//!
//! What the slot's log says is applied here in the same way at the owner and at every replica. What gateways attach
//! lives at the owner alone and is rebuilt from them.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::id::{ChannelName, Incarnation, Position, Slot, StreamEpoch};
use crate::message::{AttachId, ChannelOptions, Entry, HistoryPage, HistoryQuery, Presence, StreamState};
use crate::timing::Now;

/// A gateway that listens to a channel.
#[derive(Debug, Clone)]
pub(crate) struct Listener {
    pub(crate) gateway: Incarnation,
    pub(crate) attach: AttachId,
    pub(crate) sessions: u32,
    /// How far the user of an inbox is known to have confirmed it, through this gateway or before it.
    pub(crate) delivered: u64,
    pub(crate) presence: Vec<Presence>,
}

#[derive(Debug, Clone)]
struct Stored {
    at: Now,
    entry: Entry,
}

/// Bookkeeping per entry beside its payload, for the byte limit.
const ENTRY_OVERHEAD: usize = size_of::<Stored>();

/// Idempotency keys: when each was first used, and the offset it got.
type Keys = HashMap<Box<str>, (Now, u64)>;

/// One channel.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) name: ChannelName,
    pub(crate) slot: Slot,
    pub(crate) options: ChannelOptions,
    /// `None` for a channel without history.
    pub(crate) epoch: Option<StreamEpoch>,
    top: u64,
    /// Entries above the commit point, at the owner.
    uncommitted: u64,
    entries: VecDeque<Stored>,
    /// How far the user of an inbox has confirmed it, as the log knows it.
    pub(crate) delivered: u64,
    keys: Option<Box<Keys>>,
    pub(crate) listeners: Vec<Listener>,
    pub(crate) used: Now,
    /// Its gateways have reported progress that the log does not know yet, and a look at it is due.
    pub(crate) progress: bool,
    /// The last operation of the slot's log that changed it, or one after that.
    pub(crate) changed: u64,
}

impl Stream {
    pub(crate) fn new(
        now: Now,
        name: ChannelName,
        slot: Slot,
        options: ChannelOptions,
        epoch: Option<StreamEpoch>,
    ) -> Self {
        Self {
            name,
            slot,
            options,
            epoch,
            top: 0,
            uncommitted: 0,
            entries: VecDeque::new(),
            delivered: 0,
            keys: None,
            listeners: Vec::new(),
            used: now,
            progress: false,
            changed: 0,
        }
    }

    /// Offset of the last entry, committed or not.
    pub(crate) fn top(&self) -> u64 {
        self.top
    }

    /// Offset of the last committed entry.
    pub(crate) fn committed(&self) -> u64 {
        self.top.saturating_sub(self.uncommitted)
    }

    /// Place of an offset in this stream; `None` without history.
    pub(crate) fn at(&self, offset: u64) -> Option<Position> {
        self.epoch.map(|epoch| Position { epoch, offset })
    }

    /// Offset of the oldest entry kept; the next offset if none is.
    pub(crate) fn first(&self) -> u64 {
        (self.top + 1).saturating_sub(self.entries.len() as u64).max(1)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Somebody has a session on it.
    pub(crate) fn is_attended(&self) -> bool {
        !self.listeners.is_empty()
    }

    /// Oldest offset that stays when one more is appended: as many committed ones as the options allow, none too old.
    pub(crate) fn first_after_append(&self, now: Now) -> u64 {
        let over = (self.entries.len() as u64).saturating_sub(self.uncommitted + u64::from(self.options.history_size));
        (self.first() + over).max(self.first_fresh(now))
    }

    /// Oldest committed offset that is not too old yet, or is not committed.
    pub(crate) fn first_fresh(&self, now: Now) -> u64 {
        let committed = self.entries.len().saturating_sub(self.uncommitted as usize);
        let ttl = self.options.history_ttl;
        let old = self.entries.iter().take(committed).take_while(|stored| stored.at.saturating_add(ttl) <= now).count();
        self.first() + old as u64
    }

    /// Appends the entry of this offset and trims below `first`. Returns bytes added and bytes freed.
    pub(crate) fn append(&mut self, now: Now, first: u64, entry: Entry) -> (usize, usize) {
        let added = entry.size() + ENTRY_OVERHEAD;
        self.entries.push_back(Stored { at: now, entry });
        self.top += 1;
        self.used = now;
        (added, self.trim(first))
    }

    /// Drops entries below `first`. Returns the bytes freed.
    pub(crate) fn trim(&mut self, first: u64) -> usize {
        let mut freed = 0;
        while self.first() < first {
            let Some(stored) = self.entries.pop_front() else { break };
            freed += stored.entry.size() + ENTRY_OVERHEAD;
        }
        if self.entries.is_empty() {
            self.entries = VecDeque::new();
        }
        freed
    }

    /// An entry was appended by the owner and is not committed.
    pub(crate) fn hold_back(&mut self) {
        self.uncommitted += 1;
    }

    /// The oldest uncommitted entry is committed.
    pub(crate) fn commit_one(&mut self) {
        self.uncommitted = self.uncommitted.saturating_sub(1);
    }

    /// Nothing is held back: the slot's reign began or ended.
    pub(crate) fn commit_all(&mut self) {
        self.uncommitted = 0;
    }

    pub(crate) fn entry(&self, offset: u64) -> Option<&Entry> {
        let index = offset.checked_sub(self.first())?;
        self.entries.get(usize::try_from(index).ok()?).map(|stored| &stored.entry)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.entries.iter().map(|stored| stored.entry.size() + ENTRY_OVERHEAD).sum()
    }

    /// Offset of the publish that brought this key, while it is remembered.
    pub(crate) fn keyed(&self, key: &str, now: Now, keep: Duration) -> Option<u64> {
        let (at, offset) = self.keys.as_ref()?.get(key)?;
        (*at + keep > now).then_some(*offset)
    }

    /// Remembers a key. Returns whether it is new.
    pub(crate) fn remember(&mut self, key: Box<str>, at: Now, offset: u64) -> bool {
        self.keys.get_or_insert_default().insert(key, (at, offset)).is_none()
    }

    /// Forgets keys that are over their time. Returns how many.
    pub(crate) fn forget_keys(&mut self, now: Now, keep: Duration) -> usize {
        let Some(keys) = &mut self.keys else { return 0 };
        let before = keys.len();
        keys.retain(|_, (at, _)| *at + keep > now);
        let forgotten = before - keys.len();
        if keys.is_empty() {
            self.keys = None;
        }
        forgotten
    }

    pub(crate) fn key_count(&self) -> usize {
        self.keys.as_ref().map_or(0, |keys| keys.len())
    }

    /// Committed entries as asked.
    pub(crate) fn page(&self, query: &HistoryQuery, most: u32, epoch: StreamEpoch) -> HistoryPage {
        let (first, last) = (self.first(), self.committed());
        let limit = query.limit.min(most).min(self.options.history_size) as usize;
        let found: Vec<u64> = match (query.reverse, query.since) {
            (false, since) => {
                (since.map_or(0, |(offset, _)| offset).saturating_add(1).max(first)..=last).take(limit).collect()
            }
            (true, since) => {
                let below = since.map_or(last, |(offset, _)| offset.saturating_sub(1).min(last));
                (first..=below).rev().take(limit).collect()
            }
        };
        let entry = |offset: u64| Some((offset, self.entry(offset)?.clone()));
        HistoryPage {
            top: Position { epoch, offset: last },
            publications: found.into_iter().filter_map(entry).collect(),
        }
    }

    /// The stream as it travels, its entries in runs of about `part` bytes: one state per run.
    pub(crate) fn states(&self, now: Now, part: usize) -> Vec<StreamState> {
        let Some(epoch) = self.epoch else { return Vec::new() };
        let whole = StreamState {
            channel: self.name.clone(),
            options: self.options,
            top: Position { epoch, offset: self.top },
            delivered: self.delivered,
            entries: Vec::new(),
            keys: Vec::new(),
        };
        let mut states = vec![whole.clone()];
        let mut bytes = 0;
        for stored in &self.entries {
            if bytes > part {
                states.push(whole.clone());
                bytes = 0;
            }
            bytes += stored.entry.size() + ENTRY_OVERHEAD;
            if let Some(last) = states.last_mut() {
                last.entries.push((now.saturating_sub(stored.at), stored.entry.clone()));
            }
        }
        if let (Some(last), Some(keys)) = (states.last_mut(), &self.keys) {
            last.keys =
                keys.iter().map(|(key, (at, offset))| (key.clone(), now.saturating_sub(*at), *offset)).collect();
        }
        states
    }

    /// Takes a state, or a further run of one.
    pub(crate) fn absorb(&mut self, now: Now, state: StreamState) {
        self.epoch = Some(state.top.epoch);
        self.options = state.options;
        self.delivered = state.delivered;
        self.top = state.top.offset;
        // However many runs came, there are not more entries than offsets.
        let room = usize::try_from(self.top).unwrap_or(usize::MAX).saturating_sub(self.entries.len());
        let entries = state.entries.into_iter().take(room);
        self.entries.extend(entries.into_iter().map(|(age, entry)| Stored { at: now.saturating_sub(age), entry }));
        for (key, age, offset) in state.keys {
            self.remember(key, now.saturating_sub(age), offset);
        }
    }
}

#[cfg(test)]
mod tests;
