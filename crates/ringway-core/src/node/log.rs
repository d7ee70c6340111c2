//! A slot's log: operations are applied in the same way everywhere, sent to the replicas, and committed when every
//! replica that is waited for has them (R3, R4).

use super::Node;
use super::slot::Wait;
use crate::id::{ChannelName, Position, Slot, StreamEpoch};
use crate::limits::COUNT_MOST;
use crate::message::{Answer, ChannelOptions, Durability, Message, Op, PubId, PubOk, Rep, Standing};
use crate::stream::Stream;
use crate::timing::Now;

impl Node {
    /// Appends an operation to a live slot's log: applied here, sent to every replica that has its `Sync`.
    pub(super) fn record(&mut self, now: Now, slot: Slot, op: Op) -> u64 {
        let for_log = self.is_for_log(now, slot, &op);
        let entry = &mut self.slots[slot.index()];
        entry.index += 1;
        let index = entry.index;
        if let Some(book) = entry.reign_mut().and_then(|reign| reign.book.as_mut()).filter(|_| for_log) {
            self.log_bytes += book.note(index, &op);
            self.books.insert(slot);
        }
        if let Some(reign) = entry.reign() {
            for replica in reign.replicas.iter().filter(|replica| replica.stream) {
                let rep = Rep { slot, term: reign.term, index, ops: vec![op.clone()] };
                self.peers.send(replica.node, Message::Rep(Box::new(rep)));
            }
        }
        let born = if let Op::Create { channel, .. } = &op { Some(channel.clone()) } else { None };
        self.apply(now, slot, index, op);
        if let Some(key) = born.and_then(|channel| self.names.get(&channel).copied()) {
            self.copies.told_of_birth(slot, key);
            self.book_told_of_birth(slot, key);
        }
        index
    }

    /// Puts off what is to happen until the log is committed up to here; at once if it is.
    pub(super) fn when_committed(&mut self, now: Now, slot: Slot, level: Durability, wait: Wait) {
        let entry = &mut self.slots[slot.index()];
        let index = entry.index;
        if let Some(reign) = entry.reign_mut() {
            reign.waiting[level as usize].push_back((index, wait));
            self.advance(now, slot);
        }
    }

    /// Changes the content as the operation says: the same at the owner and at every replica. `false`: it does not go with
    /// what is here, and has changed nothing.
    pub(super) fn apply(&mut self, now: Now, slot: Slot, index: u64, op: Op) -> bool {
        if !self.fits(slot, &op) {
            return false;
        }
        match op {
            Op::Create { channel, epoch, options } => {
                let key = match self.stream_of(&channel) {
                    // Its listeners stay: nothing changes for them.
                    Some((key, stream)) if stream.epoch.is_none() && !options.has_history() => key,
                    _ => self.create_stream(now, channel, slot, options, Some(epoch)),
                };
                self.streams[key as usize].epoch = Some(epoch);
                self.streams[key as usize].changed = index;
            }
            Op::Append { channel, options, offset, first, entry, publisher, key, version } => {
                let Some(stream_key) = self.names.get(&channel).copied() else { return false };
                let stream = &mut self.streams[stream_key as usize];
                if stream.slot != slot || offset > COUNT_MOST || offset != stream.top() + 1 {
                    return false;
                }
                stream.keep_as(options);
                stream.changed = index;
                let (added, freed) = stream.append(now, index, first, entry);
                stream.version = version.or(stream.version.take());
                let position = stream.at(offset);
                self.keys += usize::from(key.is_some_and(|key| stream.remember(key, now, offset)));
                self.history_bytes = self.history_bytes + added - freed;
                self.slots[slot.index()].publisher(publisher).take(publisher, position);
            }
            Op::Key { channel, publisher, key } => {
                let Some(stream) = self.stream_mut(&channel) else { return false };
                stream.changed = index;
                let is_new = stream.remember(key, now, 0);
                stream.used = now;
                self.keys += usize::from(is_new);
                self.slots[slot.index()].publisher(publisher).take(publisher, None);
            }
            Op::Trim { channel, first } => {
                if let Some(stream) = self.stream_mut(&channel) {
                    stream.changed = index;
                    let freed = stream.trim(first);
                    self.history_bytes -= freed;
                }
            }
            Op::Delivered { channel, offset } => {
                if let Some(stream) = self.stream_mut(&channel) {
                    stream.changed = index;
                    stream.delivered = stream.delivered.max(offset);
                }
            }
            Op::Forget { channel } => {
                self.slots[slot.index()].forgot = index;
                if let Some(key) = self.names.get(&channel).copied() {
                    self.remove_stream(key);
                }
            }
        }
        true
    }

    /// The operation is of a channel of this slot. An append is checked where its stream is looked up.
    pub(super) fn fits(&self, slot: Slot, op: &Op) -> bool {
        match op {
            Op::Append { .. } => true,
            Op::Create { channel, .. } => self.slot_of(channel) == slot,
            Op::Key { channel, .. }
            | Op::Trim { channel, .. }
            | Op::Delivered { channel, .. }
            | Op::Forget { channel } => self.stream_of(channel).is_none_or(|(_, stream)| stream.slot == slot),
        }
    }

    /// The commit point: the lowest operation that every replica that is waited for has; all, where there is none.
    fn commit_point(&self, slot: Slot) -> u64 {
        let entry = &self.slots[slot.index()];
        let Some(reign) = entry.reign() else { return 0 };
        let needed = reign.replicas.iter().filter(|replica| replica.need);
        let held = needed.map(|replica| if replica.answered { replica.have } else { 0 }).min();
        held.unwrap_or(entry.index).min(entry.index)
    }

    /// Moves the commit point of a slot as far as copies and lease allow, and lets happen what waited for it.
    pub(super) fn advance(&mut self, now: Now, slot: Slot) {
        // What is committed stays so, even while a copy that is waited for is away.
        let committed = self.slots[slot.index()].reign().map_or(0, |reign| reign.commit);
        let point = self.commit_point(slot).max(committed);
        let Some(reign) = self.slots[slot.index()].reign() else { return };
        let logged = reign.logged().min(point);
        let waits = |level: usize, point: u64| reign.waiting[level].front().is_some_and(|(index, _)| *index <= point);
        if point == reign.commit && !waits(0, point) && !waits(1, logged) {
            return;
        }
        // Checked here, after the batch was taken and just before anything is said.
        if !self.may_commit(now, slot) {
            self.stalled.insert(slot);
            return;
        }
        if let Some(reign) = self.slots[slot.index()].reign_mut() {
            reign.commit = point;
        }
        for level in [Durability::Memory, Durability::Log] {
            while let Some(wait) = self.next_committed(slot, level) {
                self.carry_out(now, slot, wait);
            }
        }
    }

    fn next_committed(&mut self, slot: Slot, level: Durability) -> Option<Wait> {
        let reign = self.slots[slot.index()].reign_mut()?;
        let point = reign.committed(level);
        let waiting = &mut reign.waiting[level as usize];
        let (_, wait) = waiting.pop_front_if(|(index, _)| *index <= point)?;
        if waiting.is_empty() {
            *waiting = std::collections::VecDeque::new();
        }
        Some(wait)
    }

    fn carry_out(&mut self, now: Now, slot: Slot, wait: Wait) {
        match wait {
            Wait::Publish { stream, offset, id } => self.publish_committed(slot, stream, offset, id),
            Wait::Unkept(gateway, publish) => self.deliver_unkept(gateway, &publish),
            Wait::Repeat { id, position } => self.acknowledge(slot, id, position),
            Wait::Attach(gateway, attach) => self.attach_now(now, slot, gateway, attach),
            Wait::Detached(gateway, attach) => self.peers.send(gateway, Message::Detached(attach)),
            Wait::History(gateway, id, query) => self.answer_later(gateway, id, super::Paged::History(query)),
            Wait::Removed(gateway, id) => self.peers.send(gateway, Message::Answer(id, Answer::Removed)),
        }
    }

    fn publish_committed(&mut self, slot: Slot, key: u32, offset: u64, id: PubId) {
        if let Some(stream) = self.streams.get_mut(key as usize) {
            stream.commit_one();
            let position = stream.at(offset);
            self.tell_listeners(key, offset);
            self.acknowledge(slot, id, position);
        }
    }

    /// Tells a gateway that its publish is committed, and in how many copies.
    pub(super) fn acknowledge(&mut self, slot: Slot, id: PubId, position: Option<Position>) {
        let PubId { gateway, durability, seq, .. } = id;
        let needed = |reign: &super::slot::Reign| reign.replicas.iter().filter(|replica| replica.need).count();
        let others = self.slots[slot.index()].reign().map_or(0, needed);
        let copies = if position.is_some() { 1 + others.min(250) as u8 } else { 0 };
        self.peers.send(gateway, Message::PubOk(PubOk { slot, seq, position, copies, durability }));
    }

    /// Publishes, attaches and reads can be served: live, and all that was there at the start is committed (R3).
    pub(super) fn is_ready(&self, slot: Slot, level: Durability) -> bool {
        self.slots
            .get(slot.index())
            .and_then(super::slot::SlotEntry::reign)
            .is_some_and(|reign| reign.committed(level) >= reign.start)
    }

    /// A stream of this name with history, recorded if it is new. `None` at the limit of channels, and if the channel is of another
    /// slot.
    pub(super) fn stream_or_new(
        &mut self,
        now: Now,
        slot: Slot,
        name: &ChannelName,
        options: ChannelOptions,
    ) -> Option<u32> {
        if let Some((key, stream)) = self.stream_of(name) {
            if stream.slot != slot {
                return None;
            }
            if stream.is_numbered() || !options.has_history() {
                return Some(key);
            }
            // It had no history until now: listeners attach again to the numbered stream.
            self.remove_stream(key);
        }
        if self.names.len() >= self.limits.channels || self.slot_of(name) != slot {
            return None;
        }
        if options.has_history() {
            let epoch = StreamEpoch::from_random(self.next_random());
            self.record(now, slot, Op::Create { channel: name.clone(), epoch, options });
            self.names.get(name).copied()
        } else {
            Some(self.create_stream(now, name.clone(), slot, options, None))
        }
    }

    fn create_stream(
        &mut self,
        now: Now,
        name: ChannelName,
        slot: Slot,
        options: ChannelOptions,
        epoch: Option<StreamEpoch>,
    ) -> u32 {
        if let Some(key) = self.names.get(&name).copied() {
            self.remove_stream(key);
        }
        let key = self.streams.insert(Stream::new(now, name.clone(), slot, options, epoch)) as u32;
        self.names.insert(name, key);
        self.slots[slot.index()].streams.push(key);
        key
    }

    /// Takes a stream out of all tables.
    pub(super) fn remove_stream(&mut self, key: u32) {
        self.drop_all_listeners(key);
        let stream = self.streams.remove(key as usize);
        self.history_bytes -= stream.bytes();
        self.keys -= stream.key_count();
        if self.names.get(&stream.name) == Some(&key) {
            self.names.remove(&stream.name);
        }
        let keys = &mut self.slots[stream.slot.index()].streams;
        keys.retain(|held| *held != key);
        if keys.is_empty() {
            *keys = Vec::new();
        }
    }

    fn stream_mut(&mut self, name: &ChannelName) -> Option<&mut Stream> {
        self.streams.get_mut(*self.names.get(name)? as usize)
    }

    /// Drops all content of a slot: no stream, no memory of publishes, no term.
    pub(super) fn clear_content(&mut self, slot: Slot) {
        for key in self.slots[slot.index()].streams.clone() {
            self.remove_stream(key);
        }
        let entry = &mut self.slots[slot.index()];
        (entry.term, entry.index, entry.sync, entry.mark) = (Default::default(), 0, 0, false);
        entry.standing = Standing::default();
        entry.forgot = 0;
        entry.publishers = Vec::new();
        entry.staging = None;
    }
}
