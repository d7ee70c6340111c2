//! The checker's eyes: what is compared with what, at the moments when it must be true. This part looks at what nodes
//! say; its chapters look at copies, at what clients see, and at how a run comes to rest.

mod clients;
mod copies;
mod end;
mod gateways;
mod rest;
mod sessions;

pub(crate) use copies::is_whole;
use ringway_core::message::{Answer, Attached, Deliver, Durability, Entry, HistoryPage, Message, PubOk};
use ringway_core::node::{Node, ReignReport};
use ringway_core::peers::Outgoing;
use ringway_core::{Epoch, Incarnation, Position, Slot};

use super::clients::publication_in;
use super::{MS, World};

/// The publication in a payload.
fn publication_of(entry: &Entry) -> u32 {
    publication_in(entry.data())
}

impl World {
    /// The node of this incarnation, wherever it still holds its memory.
    fn node_of(&self, incarnation: Incarnation) -> Option<&Node> {
        let process = self.processes.iter().find(|process| process.incarnation == incarnation && process.holds())?;
        process.node()
    }

    /// A node says something: what it calls committed is looked at before it goes.
    pub(crate) fn watch_sent(&mut self, at: usize, out: &Outgoing) {
        match &out.frame.message {
            Message::Publish(publish) => {
                let by = self.processes[at].incarnation;
                let publication = publication_of(&publish.entry);
                self.checker.sent.insert((by, publish.slot, publish.durability, publish.seq), publication);
            }
            Message::PubOk(ok) => {
                self.watch_copies(out.to, ok);
                self.watch_acknowledged(at, out.frame.epoch, ok);
            }
            Message::Answer(_, Answer::History(page)) => self.watch_page(at, page),
            Message::Deliver(deliver) => self.watch_deliver(at, deliver),
            Message::Attached(attached) => self.watch_served(at, attached),
            Message::Settled(epoch) => self.watch_settled(at, *epoch),
            _ => {}
        }
    }

    /// The channel of a slot that stands at this node in the life of this position.
    fn channel_at(&self, node: &Node, position: Position, slot: Option<Slot>) -> Option<usize> {
        let stands = |channel: usize| {
            let report = node.inspect_channel(&self.setup.channels[channel].name);
            report.is_some_and(|report| report.epoch == Some(position.epoch))
        };
        if let Some(log) = self.checker.logs.get(&position.epoch).filter(|log| stands(log.channel)) {
            return Some(log.channel);
        }
        match slot {
            Some(slot) => self.setup.by_slot[slot.index()].iter().copied().find(|channel| stands(*channel)),
            // Where nobody has seen anything of it yet, nothing is in it, and among so many it is not looked for.
            None if self.setup.large.is_some() && position.offset == 0 => None,
            None => (0..self.setup.channels.len()).find(|channel| stands(*channel)),
        }
    }

    fn watch_acknowledged(&mut self, at: usize, epoch: Epoch, ok: &PubOk) {
        let process = &self.processes[at];
        let (incarnation, Some(node)) = (process.incarnation, process.node()) else { return };
        let reign = node.inspect(ok.slot).and_then(|report| report.reign);
        let channel = ok.position.and_then(|position| self.channel_at(node, position, Some(ok.slot)));
        let entry = |(channel, position): (usize, Position)| {
            node.inspect_entry(&self.setup.channels[channel].name, position.offset).map(publication_of)
        };
        let publication = channel.zip(ok.position).and_then(entry);
        if let Some(reign) = &reign {
            self.watch_owner(incarnation, ok.slot, epoch, reign.term);
            self.watch_removed(incarnation, ok.slot, reign);
        }
        let Some((channel, position)) = channel.zip(ok.position) else { return };
        if let Some(publication) = publication
            && let Err(text) = self.checker.seen(channel, position, publication)
        {
            self.violate("C2", text);
        }
        self.committed(channel, position);
        if ok.durability == Durability::Log {
            self.watch_logged(channel, position);
        }
    }

    /// An acknowledgement: there are as many copies as there must be, and this is where the publication stands. One with a key may be
    /// answered with the place of another.
    fn watch_copies(&mut self, gateway: Incarnation, ok: &PubOk) {
        let Some(position) = ok.position else { return };
        let Some(publication) = self.checker.sent.get(&(gateway, ok.slot, ok.durability, ok.seq)).copied() else {
            return;
        };
        if ok.copies < self.setup.ack_copies {
            let copies = ok.copies;
            self.violate("copies", format!("publication {publication} is acknowledged with {copies} copies"));
        }
        let known = self.checker.publications.get(publication as usize).filter(|known| known.key.is_none());
        let Some(channel) = known.map(|known| known.channel) else { return };
        if let Err(text) = self.checker.seen(channel, position, publication) {
            self.violate("C2", text);
        }
    }

    /// What a page tells is in the log.
    fn watch_page(&mut self, at: usize, page: &HistoryPage) {
        let Some(node) = self.processes[at].node() else { return };
        let first = page.publications.first().map(|(_, entry)| publication_of(entry));
        let known = first.and_then(|first| self.checker.publications.get(first as usize));
        let Some(channel) = known.map(|known| known.channel).or_else(|| self.channel_at(node, page.top, None)) else {
            return;
        };
        self.committed(channel, page.top);
        for (offset, entry) in &page.publications {
            let position = Position { epoch: page.top.epoch, offset: *offset };
            if let Err(text) = self.checker.seen(channel, position, publication_of(entry)) {
                self.violate("C2", text);
            }
        }
    }

    /// What is delivered counts as committed, too (R3).
    fn watch_deliver(&mut self, at: usize, deliver: &Deliver) {
        let publication = publication_of(&deliver.entry);
        let Some(channel) = self.checker.publications.get(publication as usize).map(|known| known.channel) else {
            return;
        };
        let node = self.processes[at].node();
        let report = node.and_then(|node| node.inspect_channel(&self.setup.channels[channel].name));
        let Some(epoch) = report.and_then(|report| report.epoch).filter(|_| deliver.offset > 0) else { return };
        let position = Position { epoch, offset: deliver.offset };
        if let Err(text) = self.checker.seen(channel, position, publication) {
            self.violate("C2", text);
        }
        self.committed(channel, position);
    }

    /// The top that an attach is answered with is committed.
    fn watch_served(&mut self, at: usize, attached: &Attached) {
        let (Some(position), Some(node)) = (attached.stream, self.processes[at].node()) else { return };
        if let Some(channel) = self.channel_at(node, position, None) {
            self.committed(channel, position);
        }
    }

    /// At most one owner acknowledges in a slot at each epoch, and in each term.
    fn watch_owner(&mut self, incarnation: Incarnation, slot: Slot, epoch: Epoch, term: Epoch) {
        let owner = *self.checker.owners.entry((slot.0, epoch)).or_insert(incarnation);
        let reigns = *self.checker.reigns.entry((slot.0, term)).or_insert(incarnation);
        if let Some(other) = [owner, reigns].into_iter().find(|other| *other != incarnation) {
            let text = format!("{incarnation} and {other} acknowledge in slot {slot} at {epoch}, term {term}");
            self.violate("owners", text);
        }
    }

    /// C8: a removed owner commits alone for at most its lease (not at all if the lease had ended when it was removed),
    /// with a second copy for at most the longer limit.
    fn watch_removed(&mut self, incarnation: Incarnation, slot: Slot, reign: &ReignReport) {
        let Some(removed) = self.checker.removed.get(&incarnation) else { return };
        let timing = &self.setup.timing;
        let limit = match (reign.marked.is_empty(), removed.lapsed) {
            (false, _) => timing.pair,
            (true, false) => timing.own(),
            (true, true) => std::time::Duration::ZERO,
        };
        let since = self.now - removed.at;
        // Clocks run at 0.99 to 1.01 of the true rate.
        if u128::from(since) > limit.as_micros() * 102 / 100 {
            let alone = if reign.marked.is_empty() { "alone" } else { "with a second copy" };
            let text = format!("{incarnation} acknowledges {alone} in slot {slot} {} ms after its removal", since / MS);
            self.violate("C8", text);
        }
    }

    /// Something stands in a stream for good: every complete copy must have it (I1), no newer stream may have begun
    /// (C3), and it is no new stream beside complete copies of an older one (C4).
    fn committed(&mut self, channel: usize, position: Position) {
        let newest = self.checker.newest[channel];
        let log = self.checker.logs.entry(position.epoch).or_default();
        log.channel = channel;
        let further = position.offset > log.top;
        if newest == Some(position.epoch) && !further {
            return;
        }
        log.top = log.top.max(position.offset);
        log.times.entry(position.offset).or_insert(self.now);
        let dead = log.dead;
        match newest {
            Some(newest) if newest == position.epoch => {}
            // A repeat of what was committed before is no commit.
            Some(_) if dead && further && !self.goes_on_renamed(channel) => {
                let text = format!("channel {channel}: {position:?} is committed after a newer stream began");
                self.violate("C3", text);
            }
            Some(_) if dead => {}
            Some(older) if !self.checker.logs.get(&older).is_none_or(|log| log.dead) => {
                if self.goes_on_renamed(channel) {
                    return;
                }
                let text =
                    format!("channel {channel}: stream {} begins while {older} has complete copies", position.epoch);
                self.violate("C4", text);
            }
            _ => {
                let lost = self.is_lost(self.setup.channels[channel].slot) && !self.setup.channels[channel].is_logged();
                self.checker.newest[channel] = Some(position.epoch);
                self.checker.logs.entry(position.epoch).or_default().dead |= lost;
            }
        }
        if !dead {
            self.watch_complete(channel, position);
        }
    }
}
