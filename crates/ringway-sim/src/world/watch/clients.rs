//! What clients see: answers to publishes, keys, attaches, deliveries, losses and reads (C2, C4).

use ringway_core::Position;
use ringway_core::gateway::PublishError;
use ringway_core::message::{Entry, HistoryPage};

use super::publication_of;
use crate::setup::Mode;
use crate::world::process::Process;
use crate::world::{Time, World, note};

impl World {
    /// A publish reaches a node.
    pub(crate) fn publish_arrived(&mut self, entry: &Entry) {
        let now = self.now;
        if let Some(known) = self.checker.publications.get_mut(publication_of(entry) as usize) {
            known.arrived.get_or_insert(now);
        }
    }

    /// A publish was answered.
    pub(crate) fn watch_published(&mut self, publication: u32, result: Result<(Option<Position>, u8), PublishError>) {
        let sent = self.checker.publications[publication as usize].sent;
        self.count_answer(sent, result.is_ok());
        let Ok((position, copies)) = result else { return };
        self.checker.acknowledged += 1;
        self.checker.last = self.now;
        let known = &mut self.checker.publications[publication as usize];
        known.acknowledged = Some(self.now);
        let (channel, key) = (known.channel, known.key);
        let Some(position) = position else {
            if self.setup.channels[channel].options.has_history() {
                self.violate("C2", format!("publication {publication} is acknowledged without a place"));
            }
            return;
        };
        if copies < self.setup.ack_copies {
            self.violate("copies", format!("publication {publication} is acknowledged with {copies} copies"));
        }
        match key {
            Some(key) => self.watch_key(key, position),
            None => {
                if let Err(text) = self.checker.seen(channel, position, publication) {
                    self.violate("C2", text);
                }
            }
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

    /// Clients of a gateway listen. `vanished`: the client is gone already, and nothing follows from it.
    pub(crate) fn watch_attached(
        &mut self,
        channel: usize,
        session: usize,
        stream: Option<Position>,
        from: u64,
        vanished: bool,
    ) {
        self.checker.sessions[session].attached.get_or_insert(self.now);
        let Some(stream) = stream else { return };
        if from > stream.offset {
            self.violate("C2", format!("channel {channel} is attached from {from}, above its top {stream:?}"));
        }
        if !self.setup.channels[channel].is_inbox() || vanished {
            return;
        }
        self.watch_user(channel, Position { epoch: stream.epoch, offset: from });
        let user = &self.users.list[channel];
        let confirmed = user.last.filter(|last| last.epoch == stream.epoch).map_or(0, |last| last.offset);
        if from < confirmed && user.clean && self.setup.mode != Mode::Wild {
            let text = format!("the user of channel {channel} confirmed {confirmed} and gets all from {from} again");
            self.violate("inbox", text);
        }
    }

    /// The user of an inbox goes on from here: it has all that was before. An inbox in here is never trimmed.
    pub(crate) fn watch_user(&mut self, channel: usize, at: Position) {
        let user = &mut self.users.list[channel];
        let had = user.top.filter(|top| top.epoch == at.epoch).map_or(0, |top| top.offset);
        user.reached(Some(at));
        if at.offset > had {
            self.violate("inbox", format!("the user of channel {channel} had {had} and goes on from {at:?}"));
        }
    }

    pub(crate) fn watch_delivered(
        &mut self,
        at: usize,
        channel: usize,
        session: usize,
        before: Option<Position>,
        offset: u64,
        entry: &Entry,
    ) {
        let publication = publication_of(entry);
        note!(self, "{}: channel {channel} delivers {publication} at {offset}", self.processes[at].id);
        if offset == 0 {
            if let Err(text) = self.checker.seen_unkept(session, publication) {
                self.violate("C2", text);
            }
            return;
        }
        let Some(before) = before else {
            self.violate("C2", format!("channel {channel} delivers {offset} before it is attached"));
            return;
        };
        if before.offset + 1 != offset {
            self.violate("C2", format!("channel {channel} delivers {offset} after {before:?}"));
        }
        let position = Position { epoch: before.epoch, offset };
        if let Err(text) = self.checker.seen(channel, position, publication) {
            self.violate("C2", text);
        }
    }

    /// A subscriber lost its place: the stream is another, or what it missed was trimmed in the meantime.
    pub(crate) fn watch_lost(&mut self, channel: usize, before: Option<Position>, at: Position) {
        let Some(before) = before else { return };
        let options = self.setup.channels[channel].options;
        let Some(log) = self.checker.logs.get(&before.epoch) else { return };
        if before.epoch != at.epoch {
            if !log.dead {
                self.violate("C4", format!("channel {channel} goes on in {at:?}, and {before:?} was not lost"));
            }
            return;
        }
        let trimmed = log.top.max(at.offset) > before.offset + u64::from(options.history_size);
        // What was lost is too old, if the first of it is. An entry's age counts from its appending, which nobody sees
        // from outside: at the earliest it is when the publish first reached a node. Clocks are one in a hundred wrong. An
        // entry that no owner ever answered for, delivered or showed (a tail that a new owner adopted) has no time here.
        let arrived =
            log.entries.get(&(before.offset + 1)).map(|next| self.checker.publications[*next as usize].arrived);
        let age = |arrived: Time| u128::from(self.now - arrived) >= options.history_ttl.as_micros() * 98 / 100;
        let aged = arrived.is_none_or(|arrived| arrived.is_some_and(age));
        if at.offset < before.offset || !(trimmed || aged) {
            self.violate("C2", format!("channel {channel} loses what is between {before:?} and {at:?}"));
        }
    }

    pub(crate) fn watch_history(&mut self, channel: usize, known: Option<Position>, page: &HistoryPage) {
        let options = self.setup.channels[channel].options;
        let offsets: Vec<u64> = page.publications.iter().map(|(offset, _)| *offset).collect();
        let broken = offsets.windows(2).any(|pair| pair[0] + 1 != pair[1]);
        if broken || offsets.last().is_some_and(|last| *last > page.top.offset) {
            self.violate("C2", format!("history of channel {channel} at {:?} is {offsets:?}", page.top));
        }
        for (offset, entry) in &page.publications {
            let position = Position { epoch: page.top.epoch, offset: *offset };
            if let Err(text) = self.checker.seen(channel, position, publication_of(entry)) {
                self.violate("C2", text);
            }
        }
        let lives = options.history_ttl.as_secs() > 60;
        let due = page.top.offset.min(u64::from(options.history_size));
        if lives && (offsets.len() as u64) < due {
            self.violate("history", format!("channel {channel} at {:?} has only {offsets:?}", page.top));
        }
        let behind = known.filter(|known| known.epoch == page.top.epoch && known.offset > page.top.offset);
        if let Some(known) = behind.filter(|_| !self.has_removed_owner(channel)) {
            self.violate(
                "history",
                format!("channel {channel} is read up to {:?}, {known:?} is acknowledged", page.top),
            );
        }
    }

    /// An owner that was removed and has not heard of it shows what it knew: reads are no acknowledgements, so no lease
    /// holds them back.
    fn has_removed_owner(&self, channel: usize) -> bool {
        let slot = self.setup.channels[channel].slot;
        let removed = |process: &&Process| process.holds() && self.registry.view().node(process.incarnation).is_none();
        let nodes = self.processes.iter().filter(removed).filter_map(|process| process.node());
        nodes.filter_map(|node| node.inspect(slot)).any(|report| report.reign.is_some())
    }
}
