//! What time alone does: entries grow too old, keys are forgotten, streams that nobody uses go.

use super::Node;
use crate::message::Op;
use crate::timing::Now;

/// Streams looked at per tick. A million streams are swept in a few minutes, and no tick takes long.
const SWEEP: usize = 256;

impl Node {
    /// Looks at the next few streams.
    pub(super) fn sweep(&mut self, now: Now) {
        let end = self.streams.capacity();
        for key in (self.swept..end.min(self.swept + SWEEP)).map(|key| key as u32) {
            if self.streams.contains(key as usize) {
                self.sweep_stream(now, key);
            }
        }
        self.swept = if self.swept + SWEEP >= end { 0 } else { self.swept + SWEEP };
    }

    fn sweep_stream(&mut self, now: Now, key: u32) {
        let stream = &mut self.streams[key as usize];
        self.keys -= stream.forget_keys(now, self.timing.idempotency);
        let (slot, channel) = (stream.slot, stream.name.clone());
        if !self.is_ready(slot) {
            return;
        }
        let stream = &self.streams[key as usize];
        let first = stream.first_fresh(now);
        if first > stream.first() {
            self.record(now, slot, Op::Trim { channel: channel.clone(), first });
        }
        let stream = &self.streams[key as usize];
        let idle = stream.is_empty() && !stream.is_attended() && stream.key_count() == 0;
        let waited = self.slots[slot.index()].reign().is_some_and(|reign| !reign.waiting.is_empty());
        if idle && !waited && now >= stream.used + self.timing.forget {
            if stream.epoch.is_some() {
                self.record(now, slot, Op::Forget { channel });
            } else {
                self.remove_stream(key);
            }
        }
    }
}
