//! What time alone does: entries grow too old, keys are forgotten, streams that nobody uses go.

use std::time::Duration;

use super::Node;
use crate::message::Op;
use crate::timing::Now;

/// Streams looked at per tick. A million streams are swept in a few minutes, and no tick takes long.
const SWEEP: usize = 256;

/// The same at the most where channels are so many that empty ones go early: as fast as clients make them.
const SWEEP_CROWDED: usize = 4_096;

/// Time passes in steps of about this length.
const TICK: Duration = Duration::from_millis(10);

/// An empty stream to which nothing was ever published stays for this long at least.
const SOONEST: Duration = Duration::from_secs(2);

impl Node {
    /// Looks at the next few streams.
    pub(super) fn sweep(&mut self, now: Now) {
        let end = self.streams.capacity();
        let count = self.streams_to_sweep(end);
        for key in (self.swept..end.min(self.swept + count)).map(|key| key as u32) {
            if self.streams.contains(key as usize) {
                self.sweep_stream(now, key);
            }
        }
        self.swept = if self.swept + count >= end { 0 } else { self.swept + count };
    }

    /// Where empty ones go early, all are looked at four times as often as it takes for one to go: no more often, for that would cost
    /// a node with many channels part of its processor for as long as it has them.
    pub(super) fn streams_to_sweep(&self, all: usize) -> usize {
        let forget = self.forget_unused();
        if forget >= self.timing.forget {
            return SWEEP;
        }
        let ticks = (forget / 4).as_millis() / TICK.as_millis();
        let each = all / usize::try_from(ticks.max(1)).unwrap_or(usize::MAX);
        each.clamp(SWEEP, SWEEP_CROWDED)
    }

    /// After this an empty stream goes to which nothing was ever published: whoever comes back to it misses nothing. Up to half of the
    /// limit of channels that is `forget`; from there it shrinks, to [`SOONEST`] at seven eighths.
    fn forget_unused(&self) -> Duration {
        let (limit, held) = (self.limits.channels, self.names.len());
        let (half, most) = (limit / 2, limit - limit / 8);
        if held <= half {
            return self.timing.forget;
        }
        let left = u32::try_from(most.saturating_sub(held)).unwrap_or(u32::MAX);
        let range = u32::try_from(most - half).unwrap_or(u32::MAX).max(1);
        // Squared: a day is to be minutes long before the limit is near.
        let part = |whole: Duration| whole / range * left;
        part(part(self.timing.forget)).max(SOONEST).min(self.timing.forget)
    }

    fn sweep_stream(&mut self, now: Now, key: u32) {
        let stream = &mut self.streams[key as usize];
        self.keys -= stream.forget_keys(now, self.timing.idempotency);
        let (slot, level) = (stream.slot, stream.options.level());
        if !self.is_ready(slot, level) {
            return;
        }
        let stream = &self.streams[key as usize];
        let first = stream.first_fresh(now);
        if first > stream.first() {
            let channel = stream.name.clone();
            self.record(now, slot, Op::Trim { channel, first });
        }
        let stream = &self.streams[key as usize];
        let idle = stream.is_empty() && !stream.is_attended() && stream.key_count() == 0;
        let waited = self.slots[slot.index()].reign().is_some_and(|reign| reign.waits().next().is_some());
        let forget = if stream.is_unused() { self.forget_unused() } else { self.timing.forget };
        if idle && !waited && now >= stream.used + forget {
            if stream.epoch.is_some() {
                let channel = stream.name.clone();
                self.record(now, slot, Op::Forget { channel });
            } else {
                self.remove_stream(key);
            }
        }
    }
}
