//! A channel at a node: offsets, bounded history, idempotency keys, the gateways that listen.
//!
//! What the slot's log says is applied here in the same way at the owner and at every replica. What gateways attach
//! lives at the owner alone and is rebuilt from them.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::id::{ChannelName, Incarnation, Position, Slot, StreamEpoch};
use crate::message::{
    AttachId, ChannelOptions, Entry, FRAME_OVERHEAD, HistoryPage, HistoryQuery, StreamState, Version,
};
use crate::roll::Roll;
use crate::timing::Now;

/// A gateway that listens to a channel.
#[derive(Debug, Clone)]
pub(crate) struct Listener {
    pub(crate) gateway: Incarnation,
    pub(crate) attach: AttachId,
    pub(crate) sessions: u32,
    /// How far the user of an inbox is known to have confirmed it, through this gateway or before it.
    pub(crate) delivered: u64,
    /// It has missed what is from this offset on, and gets it as it can take it; [`Listener::LIVE`]: it has missed nothing.
    pub(crate) next: u64,
    /// It gets no more of that until the user of the inbox has confirmed some of what it got.
    pub(crate) waits: bool,
    /// Not all of the sessions were told yet: who is present is not known.
    pub(crate) is_partial: bool,
    /// Who the sessions are, on a channel with presence.
    pub(crate) presence: Roll,
}

impl Listener {
    /// No offset is as high.
    pub(crate) const LIVE: u64 = u64::MAX;

    /// It is sent what is new as it comes.
    pub(crate) fn is_live(&self) -> bool {
        self.next == Self::LIVE
    }
}

#[derive(Debug, Clone)]
struct Stored {
    at: Now,
    /// The operation of the slot's log that appended it, or one after that.
    index: u64,
    entry: Entry,
}

/// Bookkeeping per entry beside its bytes, for the byte limit.
const ENTRY_OVERHEAD: usize = size_of::<Stored>();

impl Stored {
    fn bytes(&self) -> usize {
        self.entry.size() + ENTRY_OVERHEAD
    }
}

/// Idempotency keys: when each was first used, and the offset it got; 0 for what is not kept.
type Keys = HashMap<Box<str>, (Now, u64)>;

/// One channel.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) name: ChannelName,
    pub(crate) slot: Slot,
    pub(crate) options: ChannelOptions,
    /// `None` for what is kept by nobody but me: a channel without history and without idempotency keys.
    pub(crate) epoch: Option<StreamEpoch>,
    top: u64,
    /// Entries above the commit point, at the owner.
    uncommitted: u64,
    entries: VecDeque<Stored>,
    /// Bytes of these, with bookkeeping.
    held: usize,
    /// How far the user of an inbox has confirmed it, as the log knows it.
    pub(crate) delivered: u64,
    keys: Option<Box<Keys>>,
    /// Version of the last publication that had one. It lives as long as the stream.
    pub(crate) version: Option<Box<Version>>,
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
            held: 0,
            delivered: 0,
            keys: None,
            version: None,
            listeners: Vec::new(),
            used: now,
            progress: false,
            changed: 0,
        }
    }

    /// One of which nothing has come yet; this is its first run.
    pub(crate) fn before_run(now: Now, slot: Slot, run: &StreamState) -> Self {
        let stream = Self::new(now, run.channel.clone(), slot, run.options, Some(run.top.epoch));
        Self { top: run.start.saturating_sub(1), ..stream }
    }

    /// From now on it is kept like this. What is in the log stays there until the stream ends: a part of it would be less than nothing.
    pub(crate) fn keep_as(&mut self, options: ChannelOptions) {
        let durability = self.options.durability.max(options.durability);
        self.options = ChannelOptions { durability, ..options };
    }

    /// Offset of the last entry, committed or not.
    pub(crate) fn top(&self) -> u64 {
        self.top
    }

    /// Offset of the last committed entry.
    pub(crate) fn committed(&self) -> u64 {
        self.top.saturating_sub(self.uncommitted)
    }

    /// Its publications have places. A channel without history may have an epoch for the sake of its idempotency keys.
    pub(crate) fn is_numbered(&self) -> bool {
        self.epoch.is_some() && (self.top > 0 || self.options.has_history())
    }

    /// Place of an offset in this stream; `None` without history.
    pub(crate) fn at(&self, offset: u64) -> Option<Position> {
        self.epoch.filter(|_| self.is_numbered()).map(|epoch| Position { epoch, offset })
    }

    /// A publication of this version tells nothing new.
    pub(crate) fn has_seen(&self, version: &Version) -> bool {
        let is_older =
            |last: &Version| (version.epoch.is_empty() || version.epoch == last.epoch) && version.number <= last.number;
        self.version.as_deref().is_some_and(is_older)
    }

    /// Offset of the oldest entry kept; the next offset if none is.
    pub(crate) fn first(&self) -> u64 {
        (self.top + 1).saturating_sub(self.entries.len() as u64).max(1)
    }

    /// Offset of the oldest entry that readers are given: there are never more committed ones than the options say. What is appended goes
    /// beside them until it is committed, so until the next append one more is held than that.
    fn first_readable(&self) -> u64 {
        self.first().max((self.committed() + 1).saturating_sub(u64::from(self.options.history_size)))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Nothing was ever published to it, so nobody has a place in it that could be lost.
    pub(crate) fn is_unused(&self) -> bool {
        self.top == 0 && self.delivered == 0
    }

    /// Somebody has a session on it.
    pub(crate) fn is_attended(&self) -> bool {
        !self.listeners.is_empty()
    }

    /// Sessions of all gateways.
    pub(crate) fn sessions(&self) -> u32 {
        self.listeners.iter().fold(0, |all, listener| all.saturating_add(listener.sessions))
    }

    /// Oldest offset that stays when one more of `size` bytes is appended: as many committed ones as the options allow, by number and by
    /// bytes, none too old.
    pub(crate) fn first_after_append(&self, now: Now, size: usize) -> u64 {
        let over = (self.entries.len() as u64).saturating_sub(self.uncommitted + u64::from(self.options.history_size));
        let too_many = self.first() + over;
        too_many.max(self.first_fresh(now)).max(self.first_within_bytes(size))
    }

    /// Oldest offset that stays so that there is room for `size` bytes more, or which is not committed.
    fn first_within_bytes(&self, size: usize) -> u64 {
        let limit = usize::try_from(self.options.history_bytes).unwrap_or(usize::MAX);
        if limit == 0 {
            return self.first();
        }
        let committed = self.entries.len().saturating_sub(self.uncommitted as usize);
        let mut over = (self.held + size + ENTRY_OVERHEAD).saturating_sub(limit);
        let goes = |stored: &&Stored| {
            let is_over = over > 0;
            over = over.saturating_sub(stored.bytes());
            is_over
        };
        self.first() + self.entries.iter().take(committed).take_while(goes).count() as u64
    }

    /// Oldest committed offset that is not too old yet, or is not committed.
    pub(crate) fn first_fresh(&self, now: Now) -> u64 {
        let committed = self.entries.len().saturating_sub(self.uncommitted as usize);
        let ttl = self.options.history_ttl;
        let old = self.entries.iter().take(committed).take_while(|stored| stored.at.saturating_add(ttl) <= now).count();
        self.first() + old as u64
    }

    /// Appends the entry of this offset and trims below `first`. Returns bytes added and bytes freed.
    pub(crate) fn append(&mut self, now: Now, index: u64, first: u64, entry: Entry) -> (usize, usize) {
        let stored = Stored { at: now, index, entry };
        let added = stored.bytes();
        self.held += added;
        self.entries.push_back(stored);
        self.top += 1;
        self.used = now;
        (added, self.trim(first))
    }

    /// Drops entries below `first`. Returns the bytes freed.
    pub(crate) fn trim(&mut self, first: u64) -> usize {
        let mut freed = 0;
        while self.first() < first {
            let Some(stored) = self.entries.pop_front() else { break };
            freed += stored.bytes();
        }
        self.held -= freed;
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

    /// As if the log had brought all of it with this operation: whoever holds what was before lacks it whole.
    pub(crate) fn brought_by(&mut self, index: u64) {
        self.changed = index;
        self.entries.iter_mut().for_each(|stored| stored.index = index);
    }

    /// What lies between two offsets, the later one not included, has at least so many bytes.
    pub(crate) fn has_bytes_between(&self, from: u64, to: u64, least: usize) -> bool {
        let offsets = from.max(self.first())..to;
        let mut sizes = offsets.map_while(|offset| self.entry(offset)).map(|entry| FRAME_OVERHEAD + entry.size());
        let mut left = least;
        sizes.any(|size| {
            left = left.saturating_sub(size);
            left == 0
        })
    }

    /// An entry, and those who are to be told of it.
    pub(crate) fn entry_and_listeners(&mut self, offset: u64) -> Option<(&Entry, &mut [Listener])> {
        let place = self.place_of(offset)?;
        Some((&self.entries.get(place)?.entry, &mut self.listeners))
    }

    pub(crate) fn entry(&self, offset: u64) -> Option<&Entry> {
        self.stored(offset).map(|stored| &stored.entry)
    }

    fn stored(&self, offset: u64) -> Option<&Stored> {
        self.entries.get(self.place_of(offset)?)
    }

    fn place_of(&self, offset: u64) -> Option<usize> {
        usize::try_from(offset.checked_sub(self.first())?).ok()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.held
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

    /// Entries at these offsets, up to the first that is not there: of no more bytes than `room`, or one.
    fn part(&self, offsets: impl Iterator<Item = u64>, room: usize) -> impl Iterator<Item = (u64, &Stored)> {
        let mut bytes = 0;
        let there = offsets.map_while(|offset| Some((offset, self.stored(offset)?)));
        let fits = move |(nth, (_, stored)): &(usize, (u64, &Stored))| {
            bytes += FRAME_OVERHEAD + stored.entry.size();
            *nth == 0 || bytes <= room
        };
        there.enumerate().take_while(fits).map(|(_, stored)| stored)
    }

    /// Committed entries from `start` on, of no more bytes than `room`, or one.
    pub(crate) fn committed_from(&self, start: u64, room: usize) -> Vec<Entry> {
        self.part(start..=self.committed(), room).map(|(_, stored)| stored.entry.clone()).collect()
    }

    /// Committed entries as asked: no more than `most`, and no more bytes than `part`, or one.
    pub(crate) fn page(&self, query: &HistoryQuery, most: u32, part: usize, epoch: StreamEpoch) -> HistoryPage {
        let (first, last) = (self.first_readable(), self.committed());
        let asked = query.limit.min(self.options.history_size) as usize;
        let (from, to) = match (query.reverse, query.since) {
            (false, since) => (since.map_or(0, |(offset, _)| offset).saturating_add(1).max(first), last),
            (true, since) => (first, since.map_or(last, |(offset, _)| offset.saturating_sub(1).min(last))),
        };
        let count = usize::try_from((to + 1).saturating_sub(from)).unwrap_or(usize::MAX).min(asked);
        let nth = |nth: usize| if query.reverse { to - nth as u64 } else { from + nth as u64 };
        let found = self.part((0..count.min(most as usize)).map(nth), part);
        let publications: Vec<_> = found.map(|(offset, stored)| (offset, stored.entry.clone())).collect();
        let more = publications.len() < count;
        HistoryPage { top: Position { epoch, offset: last }, publications, more }
    }

    /// Offset of the first entry that the log brought after this operation; the next offset if none did.
    pub(crate) fn first_after(&self, index: u64) -> u64 {
        self.first() + self.entries.partition_point(|stored| stored.index <= index) as u64
    }

    /// A run of the stream as it travels, without keys: entries from `start` to `top`, of about `room` bytes, or one.
    pub(crate) fn run(&self, now: Now, start: u64, top: u64, room: usize) -> Option<StreamState> {
        let epoch = self.epoch?;
        let aged = |(_, stored): (u64, &Stored)| (now.saturating_sub(stored.at), stored.entry.clone());
        let entries = self.part(start..=top, room).map(aged).collect();
        Some(StreamState {
            channel: self.name.clone(),
            options: self.options,
            top: Position { epoch, offset: top },
            delivered: self.delivered,
            version: self.version.clone(),
            first: self.first().min(top.saturating_add(1)),
            start,
            entries,
            keys: Vec::new(),
            last: false,
        })
    }

    /// Idempotency keys of publishes from this offset on, in the order of their offsets, with their ages; and all of those without a place.
    pub(crate) fn keys_since(&self, now: Now, start: u64) -> VecDeque<(Box<str>, Duration, u64)> {
        let Some(keys) = &self.keys else { return VecDeque::new() };
        let since = keys.iter().filter(|(_, (_, offset))| *offset >= start || *offset == 0);
        let mut since: Vec<_> =
            since.map(|(key, (at, offset))| (key.clone(), now.saturating_sub(*at), *offset)).collect();
        since.sort_unstable_by_key(|(_, _, offset)| *offset);
        since.into()
    }

    /// Takes a run of a state that is coming in. `index`: an operation of the log that is not before any of its entries. `false`: it does
    /// not go with what came before it.
    pub(crate) fn absorb(&mut self, now: Now, index: u64, run: StreamState) -> bool {
        let end = run.start.saturating_add(run.entries.len() as u64);
        if run.start == 0
            || self.epoch != Some(run.top.epoch)
            || run.start <= self.top
            || end > run.top.offset.saturating_add(1)
        {
            return false;
        }
        if run.start > self.top + 1 {
            // What is between has been trimmed, and so has what was before.
            (self.entries, self.held) = (VecDeque::new(), 0);
        }
        self.keep_as(run.options);
        (self.delivered, self.top) = (self.delivered.max(run.delivered), end - 1);
        let stored = |(age, entry)| Stored { at: now.saturating_sub(age), index, entry };
        for stored in run.entries.into_iter().map(stored) {
            self.held += stored.bytes();
            self.entries.push_back(stored);
        }
        self.trim(run.first);
        self.version = run.version;
        for (key, age, offset) in run.keys {
            self.remember(key, now.saturating_sub(age), offset);
        }
        true
    }

    /// An older copy holds what is kept from `first` on and is not here, if that is anything.
    pub(crate) fn is_continuation_of(&self, older: Option<&Self>, first: u64) -> bool {
        let reaches = |older: &Self| {
            older.epoch == self.epoch && older.first() <= first && older.top.saturating_add(1) >= self.first()
        };
        first >= self.first() || older.is_some_and(reaches)
    }

    /// Takes from an older copy that this one [continues](Self::is_continuation_of) what is kept from `first` on and is not here, and keys.
    pub(crate) fn take_over(&mut self, older: &mut Self, first: u64) {
        let own = self.first();
        if older.epoch != self.epoch {
            return;
        }
        if first < own {
            older.trim(first);
            older.entries.truncate(usize::try_from(own.saturating_sub(first)).unwrap_or(usize::MAX));
            self.held += older.entries.iter().map(Stored::bytes).sum::<usize>();
            older.entries.append(&mut self.entries);
            self.entries = std::mem::take(&mut older.entries);
            older.held = 0;
        }
        for (key, (at, offset)) in older.keys.take().into_iter().flat_map(|keys| *keys) {
            self.keys.get_or_insert_default().entry(key).or_insert((at, offset));
        }
    }
}

#[cfg(test)]
mod tests;
