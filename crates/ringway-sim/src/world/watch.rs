//! The checker's eyes: what is compared with what, at the moments when it must be true.

use std::sync::Arc;

use ringway_core::gateway::PublishError;
use ringway_core::message::{Entry, HistoryPage, Message, PubOk};
use ringway_core::node::Node;
use ringway_core::peers::Outgoing;
use ringway_core::view::{NodeState, Placement, View};
use ringway_core::{Incarnation, Position, Slot};

use super::process::{Process, State};
use super::{MS, Time, World, note};
use crate::setup::Mode;

/// The publication in a payload.
fn publication_of(entry: &Entry) -> u32 {
    entry.data[..].try_into().map_or(u32::MAX, u32::from_le_bytes)
}

impl World {
    /// The node of this incarnation, wherever it still holds its memory.
    fn node_of(&self, incarnation: Incarnation) -> Option<&Node> {
        let process = self.processes.iter().find(|process| process.incarnation == incarnation && process.holds())?;
        process.node.as_ref()
    }

    /// Nodes of the registry's view that hold the mark of a slot.
    fn marked(&self, slot: Slot) -> Vec<(Incarnation, &Node)> {
        let view = self.registry.view();
        let nodes = view.nodes.iter().filter_map(|entry| Some((entry.incarnation, self.node_of(entry.incarnation)?)));
        nodes.filter(|(_, node)| node.is_marked(slot)).collect()
    }

    /// A node says something: acknowledgements are looked at before they go.
    pub(crate) fn watch_sent(&mut self, at: usize, out: &Outgoing) {
        match &out.frame.message {
            Message::PubOk(ok) => self.watch_acknowledged(at, ok),
            Message::Settled(epoch) => self.watch_settled(at, *epoch),
            _ => {}
        }
    }

    fn watch_acknowledged(&mut self, at: usize, ok: &PubOk) {
        let process = &self.processes[at];
        let (incarnation, Some(node)) = (process.incarnation, &process.node) else { return };
        let reign = node.inspect(ok.slot).and_then(|report| report.reign);
        let Some(position) = ok.position else { return };
        let (now, slot) = (self.now, ok.slot);
        let channel = (0..self.setup.channels.len()).find(|channel| {
            let known = &self.setup.channels[*channel];
            known.slot == slot
                && node.inspect_channel(&known.name).is_some_and(|report| report.epoch == Some(position.epoch))
        });
        let Some(channel) = channel else { return };
        let publication = node.inspect_entry(&self.setup.channels[channel].name, position.offset).map(publication_of);
        if let Some(reign) = &reign {
            let owner = *self.checker.owners.entry((slot.0, reign.term)).or_insert(incarnation);
            if owner != incarnation {
                self.violate(
                    "owners",
                    format!("{incarnation} and {owner} both acknowledge in slot {slot}, term {}", reign.term),
                );
            }
        }
        if let Some(removed) = self.checker.removed.get(&incarnation).copied() {
            self.watch_removed(
                incarnation,
                slot,
                now - removed,
                reign.as_ref().is_some_and(|reign| !reign.marked.is_empty()),
            );
        }
        if let Some(publication) = publication
            && let Err(text) = self.checker.seen(channel, position, publication)
        {
            self.violate("C2", text);
        }
        self.acknowledge(channel, position);
    }

    /// C8: a removed owner commits alone for at most its lease, with a second copy for at most the longer limit.
    fn watch_removed(&mut self, incarnation: Incarnation, slot: Slot, since: Time, paired: bool) {
        let timing = &self.setup.timing;
        let limit = if paired { timing.pair } else { timing.own() };
        if u128::from(since) > limit.as_micros() * 102 / 100 {
            let text = format!("{incarnation} acknowledges in slot {slot} {} ms after its removal", since / MS);
            self.violate("C8", text);
        }
    }

    /// Something stands in a stream for good: every complete copy must have it, and no older stream may live on (I1, C3).
    fn acknowledge(&mut self, channel: usize, position: Position) {
        let (now, slot) = (self.now, self.setup.channels[channel].slot);
        let newest = self.checker.newest[channel];
        let log = self.checker.logs.entry(position.epoch).or_default();
        log.channel = channel;
        log.top = log.top.max(position.offset);
        log.times.entry(position.offset).or_insert(now);
        let dead = log.dead;
        match newest {
            Some(newest) if newest == position.epoch => {}
            Some(_) if dead => {
                self.violate(
                    "C3",
                    format!("channel {channel}: {position:?} is acknowledged after a newer stream began"),
                );
            }
            Some(older) if !self.checker.logs.get(&older).is_none_or(|log| log.dead) => {
                self.violate(
                    "C4",
                    format!("channel {channel}: stream {} begins while {older} has complete copies", position.epoch),
                );
            }
            _ => self.checker.newest[channel] = Some(position.epoch),
        }
        if dead {
            return;
        }
        let lacking =
            self.marked(slot).into_iter().find(|(_, node)| !self.holds(node, channel, position)).map(|(inc, _)| inc);
        if let Some(lacking) = lacking {
            self.violate(
                "I1",
                format!("{position:?} of channel {channel} is acknowledged, and marked {lacking} lacks it"),
            );
        }
    }

    /// The node has the stream up to this place, with the same content there.
    fn holds(&self, node: &Node, channel: usize, position: Position) -> bool {
        let name = &self.setup.channels[channel].name;
        let Some(report) = node.inspect_channel(name) else { return false };
        if report.epoch != Some(position.epoch) || report.top < position.offset {
            return false;
        }
        let known = self.checker.logs.get(&position.epoch).and_then(|log| log.entries.get(&position.offset));
        let held = node.inspect_entry(name, position.offset).map(publication_of);
        known.is_none() || held.is_none() || known.copied() == held
    }

    /// Marks that are new must be true (I1).
    pub(crate) fn watch_marks(&mut self, at: usize) {
        let Some(node) = &self.processes[at].node else { return };
        let slots = self.setup.slots.get();
        let marks = (0..slots).filter(|slot| node.is_marked(Slot(*slot))).fold(0u64, |marks, slot| marks | 1 << slot);
        let before = self.processes[at].marks;
        if marks == before {
            return;
        }
        self.processes[at].marks = marks;
        let incarnation = self.processes[at].incarnation;
        if self.registry.view().node(incarnation).is_none() {
            return;
        }
        let node = self.processes[at].node.as_ref();
        let fresh = marks & !before;
        let lacking = (0..self.setup.channels.len()).find_map(|channel| {
            let position = self.checker.acknowledged_top(channel)?;
            let slot = self.setup.channels[channel].slot;
            let lacks = fresh >> slot.0 & 1 == 1 && node.is_some_and(|node| !self.holds(node, channel, position));
            lacks.then_some((channel, position))
        });
        if let Some((channel, position)) = lacking {
            // A stream that begins anew is the owner's right once all complete copies are gone, and only then.
            let text = format!("{incarnation} is marked for channel {channel} and lacks {position:?}");
            self.violate("I1", text);
        }
        if before & !marks != 0 {
            self.copies_changed("a lost mark");
        }
    }

    /// C7: who says that it is settled has every copy that is wanted.
    fn watch_settled(&mut self, at: usize, epoch: ringway_core::Epoch) {
        let process = &self.processes[at];
        let (me, Some(node)) = (process.incarnation, &process.node) else { return };
        // Who is behind may be out of the view already, and others have gone on without it.
        if node.view().epoch != epoch || self.registry.view().epoch != epoch {
            return;
        }
        let placement = Placement::of(node.view(), None);
        let lacking = self.setup.slots.slots().filter(|slot| placement.owner(*slot) == Some(me)).find_map(|slot| {
            let lacks = |wanted: &Incarnation| self.node_of(*wanted).is_some_and(|node| !node.is_marked(slot));
            placement.wanted(slot).into_iter().find(lacks).map(|lacking| (slot, lacking))
        });
        if let Some((slot, lacking)) = lacking {
            self.violate("C7", format!("{me} is settled at {epoch}, and {lacking} has no mark of slot {slot}"));
        }
    }

    /// A new view: who is gone from it, and what goes with them.
    pub(crate) fn watch_view(&mut self, _by: usize, before: &Arc<View>, view: &Arc<View>) {
        for gone in before.nodes.iter().filter(|node| view.node(node.incarnation).is_none()) {
            self.checker.removed.insert(gone.incarnation, self.now);
            let drained = gone.state() == NodeState::Draining && view.crashes == before.crashes;
            if !drained {
                self.checker.destroyed.insert(gone.incarnation);
            }
        }
        // What a drain leaves is what it was asked to leave; what a removal takes was there before.
        let serving = |view: &View| view.nodes.iter().filter(|node| node.serves()).count();
        self.checker.serving = if view.crashes > before.crashes { serving(before) } else { serving(view) };
        self.copies_changed("a view");
        self.checker.serving = serving(view);
    }

    /// C1: each slot in which something was acknowledged has a complete copy in the view, or a good excuse.
    pub(crate) fn copies_changed(&mut self, why: &str) {
        let alone = self.checker.serving <= 1;
        let excused = match self.setup.mode {
            Mode::Planned => false,
            Mode::One => alone,
            Mode::Wild => alone || self.checker.destroyed.len() >= 2,
        };
        for channel in 0..self.setup.channels.len() {
            let Some(epoch) = self.checker.newest[channel] else { continue };
            let slot = self.setup.channels[channel].slot;
            let dead = self.checker.logs.get(&epoch).is_none_or(|log| log.dead);
            if dead || !self.marked(slot).is_empty() {
                continue;
            }
            note!(self, "no complete copy of slot {slot} is left after {why}");
            if excused {
                if let Some(log) = self.checker.logs.get_mut(&epoch) {
                    log.dead = true;
                }
            } else {
                self.violate("C1", format!("no complete copy of slot {slot} is left after {why}"));
            }
        }
    }

    pub(crate) fn watch_published(&mut self, publication: u32, result: Result<(Option<Position>, u8), PublishError>) {
        let Ok((position, copies)) = result else { return };
        self.checker.acknowledged += 1;
        let known = &mut self.checker.publications[publication as usize];
        known.acknowledged = Some(self.now);
        let (channel, key) = (known.channel, known.key);
        let Some(position) = position else {
            if self.setup.channels[channel].options.has_history() {
                self.violate("C2", format!("publication {publication} is acknowledged without a place"));
            }
            return;
        };
        if copies == 0 {
            self.violate("C2", format!("publication {publication} is acknowledged with no copy"));
        }
        let first = key.and_then(|key| self.checker.keys.get(&key).copied());
        match (key, first) {
            (Some(key), Some(first)) if first.epoch == position.epoch && first != position => {
                self.violate("key", format!("key {key} is acknowledged at {first:?} and at {position:?}"));
            }
            (Some(key), _) => {
                self.checker.keys.insert(key, position);
                let at =
                    self.checker.logs.get(&position.epoch).and_then(|log| log.entries.get(&position.offset)).copied();
                if at.is_some_and(|at| self.checker.publications[at as usize].key != Some(key)) {
                    self.violate("key", format!("key {key} is acknowledged at {position:?}, where {at:?} stands"));
                }
            }
            (None, _) => {
                if let Err(text) = self.checker.seen(channel, position, publication) {
                    self.violate("C2", text);
                }
            }
        }
    }

    pub(crate) fn watch_attached(&mut self, channel: usize, session: usize, stream: Option<Position>, from: u64) {
        self.checker.sessions[session].attached.get_or_insert(self.now);
        let Some(stream) = stream else { return };
        if from > stream.offset {
            self.violate("C2", format!("channel {channel} is attached from {from}, above its top {stream:?}"));
        }
        if !self.setup.channels[channel].is_inbox() {
            return;
        }
        let user = self.users.list[channel].clone();
        let at = Position { epoch: stream.epoch, offset: from };
        self.users.list[channel].last = Some(at);
        let Some(last) = user.last.filter(|last| last.epoch == at.epoch) else {
            if user.last.is_none() && from > 0 {
                self.violate("inbox", format!("a new user of channel {channel} begins at {from}"));
            }
            return;
        };
        if from > last.offset {
            self.violate("inbox", format!("the user of channel {channel} had {last:?} and goes on from {from}"));
        } else if from < last.offset && user.clean && self.setup.mode != Mode::Wild {
            self.violate("inbox", format!("the user of channel {channel} had {last:?} and gets all from {from} again"));
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
        // It may have waited for its commit for long, so its age counts from its sending.
        let sent = log.entries.get(&(before.offset + 1)).map(|next| self.checker.publications[*next as usize].sent);
        let age = |sent: Time| u128::from(self.now - sent) >= options.history_ttl.as_micros() * 97 / 100;
        let aged = sent.is_none_or(age);
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
        if let Some(known) = known.filter(|known| known.epoch == page.top.epoch && known.offset > page.top.offset) {
            self.violate(
                "history",
                format!("channel {channel} is read up to {:?}, {known:?} is acknowledged", page.top),
            );
        }
    }

    /// Everybody is where they should be: all in the view, all slots of all owners settled.
    pub(crate) fn is_settled(&self) -> bool {
        let view = self.registry.view();
        let gateways_live = view.gateways.iter().all(|entry| {
            self.processes.iter().any(|process| process.runs() && process.incarnation == entry.incarnation)
        });
        let settled = |incarnation: Incarnation| {
            let process = self.processes.iter().find(|process| process.incarnation == incarnation);
            let node = process.filter(|process| process.runs()).and_then(|process| process.node.as_ref());
            node.is_some_and(|node| node.is_settled() && node.view().epoch == view.epoch)
        };
        gateways_live && !view.nodes.is_empty() && view.nodes.iter().all(|node| settled(node.incarnation))
    }

    /// What is still in the way of rest, if anything.
    pub(crate) fn unconverged(&self) -> Option<String> {
        let view = self.registry.view();
        if let Some(process) = self
            .processes
            .iter()
            .find(|p| p.state == State::Between || (p.state == State::Up && !view.has(p.incarnation)))
        {
            return Some(format!("{} is not in the view", process.id));
        }
        if let Some(node) = view.nodes.iter().find(|node| node.state() != NodeState::Active) {
            return Some(format!("{} is {:?}, {}", node.id, node.state(), self.unsettled()));
        }
        if view.nodes.is_empty() {
            return None;
        }
        if !self.is_settled() {
            return Some(self.unsettled());
        }
        for process in self.processes.iter().filter(|process| process.state == State::Up) {
            let Some(gateway) = &process.gateway else { continue };
            let (waiting, lingering) = (gateway.publishes_waiting(), gateway.lingering_count());
            if waiting > 0 || lingering > 0 {
                return Some(format!("{} has {waiting} publishes and {lingering} positions open", process.id));
            }
            for (channel, subscription) in &process.clients.subscriptions {
                let owner = self.owner_of(*channel)?;
                let top =
                    owner.inspect_channel(&self.setup.channels[*channel].name).filter(|report| report.epoch.is_some());
                let there = subscription.position.map(|position| position.offset) == top.map(|report| report.committed);
                if !subscription.attached || (!there && self.setup.channels[*channel].options.has_history()) {
                    return Some(format!(
                        "{}: channel {channel} is at {:?}, its owner at {top:?}",
                        process.id, subscription.position
                    ));
                }
            }
        }
        None
    }

    /// Who is not settled, and a slot that keeps it from that.
    fn unsettled(&self) -> String {
        let placement = Placement::of(self.registry.view(), None);
        let open = self.processes.iter().filter_map(|process| Some((process, process.node.as_ref()?)));
        let open = open.filter(|(_, node)| !node.is_settled());
        let slot = |process: &Process, node: &Node| {
            let mut owned = self.setup.slots.slots().filter(|slot| placement.owner(*slot) == Some(process.incarnation));
            let unsettled =
                |slot: &Slot| node.inspect(*slot).is_none_or(|report| report.reign.is_none_or(|reign| !reign.settled));
            owned.find(unsettled).map(|slot| (slot, placement.wanted(slot), node.inspect(slot)))
        };
        let said = |(process, node): (&Process, &Node)| {
            format!("{} ({}): {:?}", process.id, node.unsettled(), slot(process, node))
        };
        format!("not settled: {}", open.map(said).collect::<Vec<_>>().join("; "))
    }

    fn owner_of(&self, channel: usize) -> Option<&Node> {
        let placement = Placement::of(self.registry.view(), None);
        self.node_of(placement.owner(self.setup.channels[channel].slot)?)
    }

    /// In the end: two copies of everything, nothing that was acknowledged is missing, nothing was lost on the way.
    pub(crate) fn check_end(&mut self) {
        if self.registry.view().nodes.is_empty() {
            return;
        }
        self.check_copies();
        self.check_streams();
        if self.setup.mode == Mode::Planned {
            self.check_unkept();
        }
    }

    fn check_copies(&mut self) {
        let placement = Placement::of(self.registry.view(), None);
        for slot in self.setup.slots.slots() {
            let mut marked: Vec<Incarnation> =
                self.marked(slot).into_iter().map(|(incarnation, _)| incarnation).collect();
            let mut wanted: Vec<Incarnation> = placement.wanted(slot).into_vec();
            marked.sort_unstable();
            wanted.sort_unstable();
            if marked != wanted {
                self.violate("C5", format!("slot {slot} is wanted at {wanted:?} and marked at {marked:?}"));
            }
        }
    }

    fn check_streams(&mut self) {
        for channel in 0..self.setup.channels.len() {
            let Some(top) = self.checker.acknowledged_top(channel) else { continue };
            let setup = self.setup.clone();
            let name = &setup.channels[channel].name;
            let Some(owner) = self.owner_of(channel) else { continue };
            let Some(report) = owner.inspect_channel(name).filter(|report| report.epoch == Some(top.epoch)) else {
                self.violate("C1", format!("channel {channel} was acknowledged up to {top:?} and is gone"));
                continue;
            };
            let held: Vec<(u64, u32)> = (report.first..=report.committed)
                .filter_map(|offset| Some((offset, publication_of(owner.inspect_entry(name, offset)?))))
                .collect();
            let due = report.committed.min(u64::from(setup.channels[channel].options.history_size));
            let kept = setup.channels[channel].options.history_ttl.as_secs() < 60 || held.len() as u64 >= due;
            if report.committed < top.offset || !kept {
                self.violate("history", format!("channel {channel} was acknowledged up to {top:?} and is {report:?}"));
            }
            for (offset, publication) in held {
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
                    && session.attached.is_some_and(|attached| attached < publication.sent)
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
