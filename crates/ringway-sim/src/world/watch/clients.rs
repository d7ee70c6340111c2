//! What clients see: answers to publishes, keys, beginnings, deliveries, losses and reads (C2, C4).

use ringway_core::Position;
use ringway_core::message::{Entry, HistoryPage};

use super::publication_of;
use crate::world::clients::Subscribed;
use crate::world::process::Process;
use crate::world::{Time, World};

impl World {
    /// A publish reaches a node.
    pub(crate) fn publish_arrived(&mut self, entry: &Entry) {
        let now = self.now;
        if let Some(known) = self.checker.publications.get_mut(publication_of(entry) as usize) {
            known.arrived.get_or_insert(now);
        }
    }

    /// A publish was not answered, or with an error: it may have been taken.
    pub(crate) fn watch_unanswered(&mut self, publication: u32) {
        let sent = self.checker.publications[publication as usize].sent;
        self.count_answer(sent, false);
    }

    /// A publish was acknowledged: it stands in the log, and where its publisher is told.
    pub(crate) fn watch_published(&mut self, publication: u32, told: Option<Option<Position>>) {
        let sent = self.checker.publications[publication as usize].sent;
        self.count_answer(sent, true);
        self.checker.acknowledged += 1;
        self.checker.last = self.now;
        let known = &mut self.checker.publications[publication as usize];
        known.acknowledged = Some(self.now);
        let (channel, key, place) = (known.channel, known.key, known.place);
        if !self.setup.channels[channel].options.has_history() {
            return;
        }
        match (key, told) {
            (Some(key), Some(Some(position))) => self.watch_key(key, position),
            (_, Some(None)) => {
                self.violate("C2", format!("publication {publication} is acknowledged without a place"));
            }
            (None, told) if place.is_none() || told.is_some_and(|told| told != place) => {
                let text = format!("publication {publication} is acknowledged at {told:?} and stands at {place:?}");
                self.violate("acked", text);
            }
            _ => {}
        }
    }

    /// A key stands for one place for as long as it is remembered, through whichever gateway it comes. It may be for
    /// longer: a copy that got it late, in a frozen process, counts from then.
    fn watch_key(&mut self, key: u32, position: Position) {
        let keep = self.setup.timing.idempotency.as_micros() as Time;
        let log = self.checker.logs.get(&position.epoch);
        let stands = log.and_then(|log| log.entries.get(&position.offset)).copied();
        let known = |at: u32| &self.checker.publications[at as usize];
        let mut wrong = None;
        if let Some(at) = stands.filter(|at| known(*at).key != Some(key)) {
            wrong = Some(format!("is acknowledged at {position:?}, where {at} stands"));
        }
        let other = self.checker.keys.get(&key).copied();
        let other = other.filter(|other| other.epoch == position.epoch && *other != position);
        if let Some(other) = other {
            // The older one's time counts from when it reached its owner, at the earliest.
            let (older, newer) = (other.offset.min(position.offset), other.offset.max(position.offset));
            let arrived = log.and_then(|log| log.entries.get(&older)).and_then(|at| known(*at).arrived);
            let again = log.and_then(|log| log.times.get(&newer)).copied().unwrap_or(self.now);
            // One that was trimmed before anybody saw it has no time here.
            if arrived.is_some_and(|arrived| again < arrived + keep * 98 / 100) {
                wrong = Some(format!("is acknowledged at {other:?} and at {position:?}"));
            }
        }
        self.checker.keys.insert(key, position);
        if let Some(wrong) = wrong {
            self.violate("key", format!("key {key} {wrong}"));
        }
    }

    /// A subscription begins: not above what is known to be in the log, with all that was missed if it says so, and without it only
    /// where that is gone.
    pub(crate) fn watch_begun(&mut self, channel: usize, brought: Option<Position>, told: &Subscribed) {
        let Some(start) = told.at else { return };
        let top = self.checker.logs.get(&start.epoch).map_or(0, |log| log.top);
        if start.offset > top {
            self.violate("C2", format!("channel {channel} begins at {start:?}, above its top {top}"));
        }
        match brought {
            _ if told.recovered && brought != Some(start) => {
                self.violate("recovered", format!("channel {channel}: {brought:?} is recovered from {start:?}"));
            }
            // Whoever begins where it was has missed nothing, whatever it is told.
            Some(brought) if !told.recovered && brought != start => {
                self.watch_missed(channel, brought, start, "unrecovered");
            }
            _ => {}
        }
    }

    pub(crate) fn watch_delivered(
        &mut self,
        channel: usize,
        session: usize,
        before: Option<Position>,
        offset: u64,
        publication: u32,
    ) {
        if offset == 0 {
            if let Err(text) = self.checker.seen_unkept(session, publication) {
                self.violate("C2", text);
            }
            return;
        }
        let Some(before) = before else {
            self.violate("C2", format!("channel {channel} delivers {offset} to somebody without a position"));
            return;
        };
        if before.offset + 1 != offset {
            let rule = if offset > before.offset { "gap" } else { "double" };
            self.violate(rule, format!("channel {channel} delivers {offset} after {before:?}"));
        }
        let position = Position { epoch: before.epoch, offset };
        if let Err(text) = self.checker.seen(channel, position, publication) {
            self.violate("C2", text);
        }
    }

    /// A subscriber is told that it lost its place: the stream is another, or what it missed was trimmed.
    pub(crate) fn watch_lost(&mut self, channel: usize, before: Option<Position>) {
        let Some(before) = before else { return };
        let Some(log) = self.checker.logs.get(&before.epoch) else { return };
        let newest = self.checker.newest[channel].filter(|_| !log.dead);
        let top = log.top;
        match newest {
            Some(newest) if newest == before.epoch => {
                let at = Position { offset: top.max(before.offset), ..before };
                self.watch_missed(channel, before, at, "C2");
            }
            _ => {}
        }
    }

    /// What is between two places is not told: it must be gone.
    fn watch_missed(&mut self, channel: usize, before: Position, at: Position, rule: &'static str) {
        let options = self.setup.channels[channel].options;
        let Some(log) = self.checker.logs.get(&before.epoch) else { return };
        if before.epoch != at.epoch {
            // An owner that was removed and has not heard of it may still serve what was lost with it.
            let is_outlived = self.checker.logs.get(&at.epoch).is_some_and(|log| log.dead);
            if !log.dead && !is_outlived {
                self.violate("C4", format!("channel {channel} goes on in {at:?}, and {before:?} was not lost"));
            }
            return;
        }
        let trimmed = log.top.max(at.offset) > before.offset + u64::from(options.history_size)
            || self.people.removals.concern(channel);
        // What was lost is too old, if the first of it is. An entry's age counts from its appending, which nobody sees
        // from outside: at the earliest it is when the publish first reached a node. Clocks are one in a hundred wrong. An
        // entry that no owner ever answered for, delivered or showed (a tail that a new owner adopted) has no time here.
        let arrived =
            log.entries.get(&(before.offset + 1)).map(|next| self.checker.publications[*next as usize].arrived);
        let age = |arrived: Time| u128::from(self.now - arrived) >= options.history_ttl.as_micros() * 98 / 100;
        let aged = arrived.is_none_or(|arrived| arrived.is_some_and(age));
        // Where nobody has heard yet of what was told elsewhere, nobody can go on from there.
        let is_unheard = at.offset < before.offset && self.has_removed_owner(channel);
        if !(trimmed || aged || is_unheard) {
            self.violate(rule, format!("channel {channel} loses what is between {before:?} and {at:?}"));
        }
    }

    /// A client is told a history.
    pub(crate) fn watch_told_history(
        &mut self,
        channel: usize,
        known: Option<Position>,
        top: Option<Position>,
        publications: &[(u64, u32)],
    ) {
        let Some(top) = top else { return };
        let is_whole = publications.len() < self.setup.hub.limits.page as usize;
        let offsets: Vec<u64> = publications.iter().map(|(offset, _)| *offset).collect();
        self.watch_offsets(channel, known.filter(|_| is_whole), top, &offsets, is_whole);
        for (offset, publication) in publications {
            let position = Position { epoch: top.epoch, offset: *offset };
            if let Err(text) = self.checker.seen(channel, position, *publication) {
                self.violate("C2", text);
            }
        }
    }

    /// A backend has read a history, to its end.
    pub(crate) fn watch_history(&mut self, channel: usize, known: Option<Position>, page: &HistoryPage) {
        let offsets: Vec<u64> = page.publications.iter().map(|(offset, _)| *offset).collect();
        self.watch_offsets(channel, known, page.top, &offsets, true);
        for (offset, entry) in &page.publications {
            let position = Position { epoch: page.top.epoch, offset: *offset };
            if let Err(text) = self.checker.seen(channel, position, publication_of(entry)) {
                self.violate("C2", text);
            }
        }
    }

    fn watch_offsets(
        &mut self,
        channel: usize,
        known: Option<Position>,
        top: Position,
        offsets: &[u64],
        is_whole: bool,
    ) {
        let options = self.setup.channels[channel].options;
        let broken = offsets.windows(2).any(|pair| pair[0] + 1 != pair[1]);
        if broken || offsets.last().is_some_and(|last| *last > top.offset) {
            self.violate("C2", format!("history of channel {channel} at {top:?} is {offsets:?}"));
        }
        let lives = options.history_ttl.as_secs() > 60;
        let due = top.offset.min(u64::from(options.history_size));
        let is_cut = self.people.removals.concern(channel);
        if is_whole && lives && !is_cut && (offsets.len() as u64) < due {
            self.violate("history", format!("channel {channel} at {top:?} has only {offsets:?}"));
        }
        let behind = known.filter(|known| known.epoch == top.epoch && known.offset > top.offset);
        if let Some(known) = behind.filter(|_| !self.has_removed_owner(channel)) {
            let text = format!("channel {channel} is read up to {top:?}, {known:?} is acknowledged");
            self.violate("history", text);
        }
    }

    /// An owner that was removed and has not heard of it shows what it knew: reads are no acknowledgements, so no lease
    /// holds them back.
    pub(crate) fn has_removed_owner(&self, channel: usize) -> bool {
        let slot = self.setup.channels[channel].slot;
        let removed = |process: &&Process| process.holds() && self.newest_view().node(process.incarnation).is_none();
        let nodes = self.processes.iter().filter(removed).filter_map(|process| process.node());
        nodes.filter_map(|node| node.inspect(slot)).any(|report| report.reign.is_some())
    }
}
