//! The end of a run: two copies of everything, and nothing that was acknowledged is missing.

use ringway_core::view::Placement;
use ringway_core::{Incarnation, Position};

use super::publication_of;
use crate::setup::Mode;
use crate::world::{MS, World};

impl World {
    /// In the end: two copies of everything, nothing that was acknowledged is missing, nothing was lost on the way.
    pub(crate) fn check_end(&mut self) {
        if self.newest_view().nodes.is_empty() {
            return;
        }
        self.check_copies();
        self.check_streams();
        if self.setup.mode == Mode::Planned {
            self.check_unkept();
        }
    }

    fn check_copies(&mut self) {
        let placement = Placement::of(self.newest_view(), None);
        for slot in self.setup.slots.slots() {
            let mut marked: Vec<Incarnation> = self.marked(slot).map(|(incarnation, _)| incarnation).collect();
            let mut wanted: Vec<Incarnation> = placement.wanted(slot).into_vec();
            marked.sort_unstable();
            wanted.sort_unstable();
            if marked != wanted {
                self.violate("C5", format!("slot {slot} is wanted at {wanted:?} and marked at {marked:?}"));
            }
        }
    }

    fn check_streams(&mut self) {
        let placement = Placement::of(self.newest_view(), None);
        for channel in 0..self.setup.channels.len() {
            let Some(top) = self.checker.acknowledged_top(channel) else { continue };
            let setup = self.setup.clone();
            let name = &setup.channels[channel].name;
            let Some(owner) = self.owner_of(channel, &placement) else { continue };
            // Nobody has asked for it since all ended.
            if self.is_to_be_read(owner, channel) {
                self.watch_logged(channel, top);
                continue;
            }
            let Some(report) = owner.inspect_channel(name).filter(|report| report.epoch == Some(top.epoch)) else {
                self.violate("C1", format!("channel {channel} was acknowledged up to {top:?} and is gone"));
                continue;
            };
            let held: Vec<(u64, u32)> = (report.first..=report.committed)
                .filter_map(|offset| Some((offset, publication_of(owner.inspect_entry(name, offset)?))))
                .collect();
            let due = report.committed.min(u64::from(setup.channels[channel].options.history_size));
            let is_cut =
                setup.channels[channel].options.history_ttl.as_secs() < 60 || self.people.removals.concern(channel);
            let kept = is_cut || held.len() as u64 >= due;
            if report.committed < top.offset || !kept {
                self.violate("history", format!("channel {channel} was acknowledged up to {top:?} and is {report:?}"));
            }
            let gone = self.people.removals.removed(channel);
            for (offset, publication) in held {
                self.watch_gone(channel, gone, Position { epoch: top.epoch, offset });
                if let Err(text) = self.checker.seen(channel, Position { epoch: top.epoch, offset }, publication) {
                    self.violate("C2", text);
                }
            }
        }
    }

    /// Planned changes lose nothing on channels without history either.
    fn check_unkept(&mut self) {
        let mut missing = None;
        for (number, publication) in self.checker.publications.iter().enumerate() {
            let Some(acknowledged) = publication.acknowledged else { continue };
            if self.setup.channels[publication.channel].options.has_history() {
                continue;
            }
            let there = |session: &&crate::checker::Session| {
                session.channel == publication.channel
                    && session.attached < publication.sent
                    && session.ended.is_none_or(|ended| ended > acknowledged + 500 * MS)
            };
            let mut sessions = self.checker.sessions.iter().filter(there);
            if sessions.any(|session| !session.got.contains(&(number as u32))) {
                missing = Some((number, publication.channel));
            }
        }
        if let Some((number, channel)) = missing {
            self.violate("unkept", format!("publication {number} of channel {channel} did not reach everybody"));
        }
    }
}
