//! How a large cluster comes to have its channels: gateways take turns at publishing to all of them and at listening to
//! half, and fill a few with very much. When the last one is there, changes and deaths begin.

use ringway_core::view::NodeState;

use super::{Event, MS, Time, World};
use crate::large::LARGEST;

/// Channels that get very much.
pub(super) const LARGE_CHANNELS: usize = 6;
/// Channels that a gateway takes at one step, and large publications beside them.
const STEP: usize = 200;
const LARGE_STEP: usize = 4;

/// How far it is.
#[derive(Debug, Default)]
pub(crate) struct Filling {
    next: usize,
    large: usize,
}

impl World {
    /// A step of a gateway's clients.
    pub(super) fn fill_some(&mut self, at: usize) {
        let Some(large) = self.setup.large else { return };
        let all = self.setup.channels.len();
        let nodes = &self.newest_view().nodes;
        let there = nodes.len() == large.nodes && nodes.iter().all(|node| node.state() == NodeState::Active);
        if self.counted.filled.is_some() || !there || (self.filling.next == 0 && !self.is_settled()) {
            return;
        }
        let due = LARGE_CHANNELS * large.large_bytes / LARGEST;
        for _ in 0..LARGE_STEP.min(due - self.filling.large) {
            // Numbers that are kept, are no inboxes and have the longest histories.
            let channel = self.large_channel(self.filling.large % LARGE_CHANNELS);
            self.filling.large += 1;
            self.publish_sized(at, channel, LARGEST);
        }
        let end = (self.filling.next + STEP).min(all);
        for channel in self.filling.next..end {
            if self.rng.chance(500) {
                self.listen_in_crowd(at, channel);
            }
            let size = self.some_size();
            self.publish_sized(at, channel, size);
        }
        self.filling.next = end;
        if end == all && self.filling.large == due {
            self.filled(large.disturbed.as_micros() as Time);
        }
    }

    /// One of the channels with a history of a thousand.
    fn large_channel(&self, number: usize) -> usize {
        let kept = |channel: &&usize| {
            let setup = &self.setup.channels[**channel];
            !setup.is_inbox() && setup.options.history_size == 1000 && setup.options.history_ttl.as_secs() > 60
        };
        let all: Vec<usize> = (0..self.setup.channels.len().min(1000)).collect();
        all.iter().filter(kept).nth(number).copied().unwrap_or(0)
    }

    fn filled(&mut self, disturbed: Time) {
        self.counted.filled = Some(self.now);
        self.counted.of = crate::Measures::default();
        self.counted.views_before = self.newest_view().epoch.0;
        self.schedule(self.now + 500 * MS, Event::Change);
        self.schedule(self.now + 2000 * MS, Event::Fault);
        self.schedule(self.now + disturbed, Event::Calm);
    }

    /// Most publications are small, some are not, and a few are as large as may be.
    pub(super) fn some_size(&mut self) -> usize {
        match self.rng.below(1000) {
            0..=979 => self.rng.range(4, 400) as usize,
            980..=997 => self.rng.range(400, 8000) as usize,
            _ => self.rng.range(8000, LARGEST as u64 + 1) as usize,
        }
    }
}
