//! What tokens grant in channels: what is said of their bearers, and when their subscriptions end. Few subscriptions have it, so it
//! stands here and costs the others nothing.

use std::collections::HashMap;

use bytes::Bytes;
use ringway_core::gateway::ChannelKey;
use ringway_core::timing::Now;
use slab::Slab;

use super::keys::SessionKey;
use super::wheel::{Tick, Wheel};

/// One session's part in one channel.
type Part = (SessionKey, ChannelKey);

#[derive(Debug)]
pub(super) struct Grants {
    by_part: HashMap<Part, u32>,
    granted: Slab<Granted>,
    wheel: Wheel,
}

#[derive(Debug)]
struct Granted {
    part: Part,
    /// JSON that others in the channel see.
    info: Option<Bytes>,
    /// When the wheel is to bring it up.
    due: Tick,
    /// It has ended while its session was not read from.
    is_late: bool,
}

impl Grants {
    pub(super) fn new(now: Now) -> Self {
        Self { by_part: HashMap::new(), granted: Slab::new(), wheel: Wheel::new(now) }
    }

    /// Keeps what a token says, in the place of what an earlier one said. `end`: when its subscription is to be ended; `None`: never.
    pub(super) fn set(&mut self, part: Part, info: Option<Bytes>, end: Option<Now>) {
        let granted = &mut self.granted;
        let key = *self.by_part.entry(part).or_insert_with(|| {
            granted.insert(Granted { part, info: None, due: Tick::default(), is_late: false }) as u32
        });
        let due = end.map_or_else(Tick::default, |end| self.wheel.insert(key, end));
        self.granted[key as usize] = Granted { part, info, due, is_late: false };
    }

    pub(super) fn is_empty(&self) -> bool {
        self.granted.is_empty()
    }

    /// What others see of a session in a channel.
    pub(super) fn info(&self, part: Part) -> Option<&Bytes> {
        self.granted.get(*self.by_part.get(&part)? as usize)?.info.as_ref()
    }

    pub(super) fn remove(&mut self, part: Part) {
        if let Some(key) = self.by_part.remove(&part) {
            self.granted.try_remove(key as usize);
        }
    }

    /// Those whose time is up.
    pub(super) fn due(&mut self, now: Now) -> Vec<Part> {
        let (mut due, granted) = (Vec::new(), &self.granted);
        self.wheel.due(now, &mut due, |key, tick| granted.get(key as usize).is_some_and(|one| one.due == tick));
        due.into_iter().filter_map(|(key, _)| Some(granted.get(key as usize)?.part)).collect()
    }

    /// One that is due is looked at again then. False if that was done before.
    pub(super) fn put_off(&mut self, part: Part, until: Now) -> bool {
        let Some(key) = self.by_part.get(&part).copied() else { return false };
        let due = self.wheel.insert(key, until);
        let Some(granted) = self.granted.get_mut(key as usize).filter(|granted| !granted.is_late) else { return false };
        (granted.due, granted.is_late) = (due, true);
        true
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.granted.len()
    }
}
