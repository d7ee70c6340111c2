//! What is counted in a run of a large cluster, and what must stay within its limits there.

use std::collections::BTreeMap;

use bytes::BytesMut;
use ringway_core::message::{Frame, Message};
use ringway_core::view::View;
use ringway_protocol::link::encode;

use super::{MS, Time, World};
use crate::large::{LARGEST, Measures};

/// What waits for one peer, as links have it by default. At the limit a link is closed, which must not happen here.
const QUEUE: u64 = 32 << 20;
/// A frame that is more than one publication has no more bytes.
const BATCH: usize = 128 << 10;
/// Pauses are sorted into steps of this length.
const STEP: Time = 10 * MS;
/// A step of the last bucket: everything beyond.
const STEPS: usize = 1000;

/// Everything that is counted.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    pub(crate) of: Measures,
    scratch: BytesMut,
    /// Parts of states under way, in bytes by link and direction.
    bulk: BTreeMap<(usize, bool), u64>,
    unsettled_since: Option<Time>,
    pauses: Vec<u64>,
    /// Publishing has reached every channel once, at this time.
    pub(crate) filled: Option<Time>,
    pub(crate) last_disturbed: Time,
    pub(crate) views_before: u64,
}

impl World {
    /// A frame goes on a link that carries so many bytes a second: when its last byte has gone.
    pub(super) fn weigh(&mut self, link: usize, to_second: bool, frame: &Frame) -> Time {
        let counted = &mut self.counted;
        counted.scratch.clear();
        let bytes = encode(frame, &mut counted.scratch).unwrap_or(0);
        let publications = count_bytes(&mut counted.of, frame, bytes);
        if publications > 1 && bytes > BATCH {
            self.violate("frame", format!("a frame of {publications} publications has {bytes} bytes"));
        }
        if let Message::State(_) = &frame.message {
            self.part_sent(link, to_second, bytes as u64);
        }
        let state = &mut self.network.links[link];
        let gone = &mut state.gone[usize::from(to_second)];
        *gone = (*gone).max(self.now) + bytes as u64 * 1_000_000 / state.bytes_per_second;
        let (gone, from) = (*gone, state.ends[usize::from(!to_second)]);
        self.watch_queues(link, to_second, from);
        gone
    }

    fn part_sent(&mut self, link: usize, to_second: bool, bytes: u64) {
        let under_way = self.counted.bulk.entry((link, to_second)).or_default();
        *under_way += bytes;
        let under_way = *under_way;
        self.counted.of.bulk = self.counted.of.bulk.max(under_way);
        // What may be under way, and the publication that goes beyond it.
        let most = (self.setup.limits.bulk_bytes + LARGEST) as u64;
        if under_way > most {
            self.violate("bulk", format!("{under_way} bytes of states are under way on one link, not {most}"));
        }
    }

    /// A frame has arrived, or its link is gone.
    pub(super) fn part_came(&mut self, link: usize, to_second: bool, frame: &Frame) {
        if matches!(frame.message, Message::State(_)) {
            self.counted.scratch.clear();
            let bytes = encode(frame, &mut self.counted.scratch).unwrap_or(0) as u64;
            let under_way = self.counted.bulk.entry((link, to_second)).or_default();
            *under_way = under_way.saturating_sub(bytes);
        }
    }

    /// Nothing is under way on a link any more.
    pub(super) fn parts_lost(&mut self, link: usize) {
        self.counted.bulk.remove(&(link, false));
        self.counted.bulk.remove(&(link, true));
    }

    fn watch_queues(&mut self, link: usize, to_second: bool, from: usize) {
        let waiting = |world: &Self, link: usize, to_second: bool| {
            let state = &world.network.links[link];
            let time = state.gone[usize::from(to_second)].saturating_sub(world.now);
            time * state.bytes_per_second / 1_000_000
        };
        let queue = waiting(self, link, to_second);
        let of = &mut self.counted.of;
        let is_most = queue > of.queue;
        of.queue = of.queue.max(queue);
        // The sum takes longer, so it is looked at now and then.
        if is_most || self.counted.of.frames.is_multiple_of(64) {
            let links = self.network.of(from).to_vec();
            let all = links.into_iter().map(|at| waiting(self, at, self.network.links[at].ends[0] == from)).sum();
            self.counted.of.member_queues = self.counted.of.member_queues.max(all);
        }
        if queue > QUEUE {
            self.violate("queue", format!("{queue} bytes wait on one link, which would close it"));
        }
    }

    /// A publication was answered, or given up.
    pub(super) fn count_answer(&mut self, sent: Time, answered: bool) {
        let Some(filled) = self.counted.filled.filter(|_| self.setup.large.is_some()) else { return };
        if sent < filled {
            return;
        }
        if !answered {
            self.counted.of.unanswered += 1;
            return;
        }
        let pause = self.now - sent;
        let counted = &mut self.counted;
        counted.of.longest_pause = counted.of.longest_pause.max(pause);
        counted.pauses.resize(STEPS, 0);
        counted.pauses[(pause / STEP).min(STEPS as u64 - 1) as usize] += 1;
    }

    pub(super) fn count_settling(&mut self) {
        if self.setup.large.is_none() {
            return;
        }
        let settled = self.is_settled();
        let now = self.now;
        let counted = &mut self.counted;
        match (settled, counted.unsettled_since) {
            (false, None) => counted.unsettled_since = Some(now),
            (true, Some(since)) => {
                counted.unsettled_since = None;
                if counted.filled.is_some() {
                    counted.of.settling = counted.of.settling.max(now - since);
                }
            }
            _ => {}
        }
    }

    /// Somebody joins, leaves or dies.
    pub(super) fn count_disturbance(&mut self) {
        self.counted.of.disturbances += 1;
        self.counted.last_disturbed = self.now;
    }

    /// Nobody who runs, is not told to leave and can be heard is removed: nothing but deaths happens in a large cluster.
    pub(super) fn watch_well(&mut self, before: &View, view: &View) {
        if self.setup.large.is_none() {
            return;
        }
        let gone = before.members().map(|(_, member, _)| member).filter(|member| !view.has(*member));
        let well = gone.into_iter().find(|member| {
            let process = self.processes.iter().find(|process| process.incarnation == *member);
            process.is_some_and(|process| process.runs() && !process.leaving)
        });
        if let Some(well) = well {
            self.violate("well", format!("{well} runs, does not leave, and is removed at {}", view.epoch));
        }
    }

    pub(super) fn measures(&mut self) -> Option<Measures> {
        self.setup.large?;
        let epoch = self.newest_view().epoch.0;
        let counted = &mut self.counted;
        let all: u64 = counted.pauses.iter().sum();
        let mut seen = 0;
        let half = counted.pauses.iter().position(|count| {
            seen += count;
            seen * 2 >= all
        });
        counted.of.usual_pause = half.unwrap_or(0) as u64 * STEP;
        counted.of.views = epoch - counted.views_before;
        counted.of.last_settling = self.now.saturating_sub(counted.last_disturbed);
        Some(counted.of.clone())
    }
}

/// Adds the frame to what it belongs to; how many publications it holds.
fn count_bytes(of: &mut Measures, frame: &Frame, bytes: usize) -> usize {
    of.frames += 1;
    of.bytes += bytes as u64;
    let publications = match &frame.message {
        Message::Publish(_) | Message::PubOk(_) | Message::Deliver(_) => 1,
        Message::Rep(rep) => rep.ops.len(),
        Message::Have(_) | Message::PubNo(_) | Message::Taken(..) => 0,
        Message::Ping(_) => {
            of.bytes_of_pings += bytes as u64;
            0
        }
        message => {
            of.bytes_of_changes += bytes as u64;
            match message {
                Message::Moved(_) => {
                    of.bytes_of_views += bytes as u64;
                    0
                }
                Message::State(state) => state.streams.iter().map(|stream| stream.entries.len().max(1)).sum(),
                _ => 2,
            }
        }
    };
    of.largest_frame = of.largest_frame.max(bytes);
    if publications > 1 {
        of.largest_batch = of.largest_batch.max(bytes);
    }
    publications
}
