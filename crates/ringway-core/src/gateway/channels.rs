//! Channels of a gateway: attached at their owner, with the position up to which they were handed on.
//!
//! An inbox has a second place, at or below its position: what its user has confirmed. Deliveries go on from the position, so a
//! session gets each of them once, whoever owns the inbox. Whoever comes next begins at what is confirmed: what was written
//! to a socket that never answers is not lost with it.

mod crowds;

use std::collections::{BTreeMap, VecDeque};

use super::{Event, Gateway};
use crate::id::{ChannelName, Incarnation, Position, Slot};
use crate::limits::INBOX_LINES;
use crate::message::{
    Attach, AttachFrom, AttachId, Attached, ChannelOptions, Deliver, Detach, Lane, Message, SessionChange,
};
use crate::retries::{Retries, Tries};
use crate::timing::Now;
use crate::view::View;

/// Names a channel at this gateway while it is attached. Small and dense: good as an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelKey(pub u32);

impl AttachId {
    /// The key of the channel this attach is for: its lower half. The upper half is a counter.
    pub fn channel_key(self) -> ChannelKey {
        ChannelKey(self.0 as u32)
    }
}

/// Most attaches in one frame, and no more than half a part has room for; of them only what the owner has room for.
const ATTACH_BATCH: usize = 512;

#[derive(Debug)]
struct Channel {
    name: ChannelName,
    slot: Slot,
    options: ChannelOptions,
    inbox: bool,
    /// The current attach; deliveries of others are ignored.
    attach: AttachId,
    /// Deliveries of older attaches count no more: this is the first of this life of the key, or, without history, the
    /// one under which something was handed on last.
    oldest: AttachId,
    /// Whom it was asked of; `None`: nobody yet.
    asked: Option<Incarnation>,
    answered: bool,
    /// The owner is to be told of members, or more of them, when the attach is answered, or is being told.
    follows: bool,
    /// Handed on up to here; `None` before the first answer.
    position: Option<Position>,
    /// Confirmed up to here, in the position's stream: of an inbox alone.
    confirmed: u64,
    /// Without history there is no position, but there was a first answer.
    known: bool,
    dirty: bool,
    /// Nobody serves it since then; `None` while somebody does, and before the first answer.
    paused: Option<Now>,
}

impl Channel {
    /// Lets go of whoever served it. Says whether a pause begins.
    fn let_go(&mut self, since: Now) -> bool {
        (self.asked, self.answered) = (None, false);
        self.pause(since)
    }

    /// How far an inbox was confirmed.
    fn confirmed_at(&self) -> Option<Position> {
        let position = self.position.filter(|_| self.inbox)?;
        Some(Position { offset: self.confirmed, ..position })
    }

    fn pause(&mut self, since: Now) -> bool {
        let begins = self.known && self.paused.is_none();
        if begins {
            self.paused = Some(since);
        }
        begins
    }
}

/// What its owner must know of an inbox that was detached.
#[derive(Debug)]
struct Lingering {
    detach: Detach,
    slot: Slot,
    /// Who was told, and when.
    told: Option<(Incarnation, Now)>,
}

impl Lingering {
    fn owner_told(&self) -> Option<Incarnation> {
        self.told.map(|(owner, _)| owner)
    }
}

#[derive(Debug, Default)]
pub(super) struct Channels {
    slab: slab::Slab<Channel>,
    counter: u32,
    /// Unanswered attaches.
    asking: Retries<AttachId>,
    /// Inboxes of which more is confirmed than was reported.
    dirty: Vec<ChannelKey>,
    reported: Now,
    /// Detached inboxes of which no owner has kept yet how far they were confirmed.
    lingering: BTreeMap<AttachId, Lingering>,
    /// Of these, the ones that somebody was told of.
    parting: Retries<AttachId>,
    /// Attaches that are to be sent to each owner, as it takes them. At most one for each channel is not out of date.
    to_ask: BTreeMap<Incarnation, VecDeque<(AttachId, Tries)>>,
    /// Answered attaches whose members, or some of them, are to be told to each owner, as it takes them. Each once.
    to_tell: BTreeMap<Incarnation, VecDeque<AttachId>>,
}

impl Channels {
    /// Channels with another way of being kept are kept that way from now on.
    pub(super) fn keep_anew(&mut self, options_of: impl Fn(&ChannelName) -> Option<ChannelOptions>) {
        for (_, channel) in &mut self.slab {
            channel.options = options_of(&channel.name).unwrap_or(channel.options);
        }
    }

    fn next_attach(&mut self, key: ChannelKey) -> AttachId {
        self.counter = self.counter.wrapping_add(1);
        AttachId(u64::from(self.counter) << 32 | u64::from(key.0))
    }

    /// Attaches for this node have not been sent.
    pub(super) fn has_attaches_for(&self, owner: Incarnation) -> bool {
        self.to_ask.contains_key(&owner)
    }

    fn current(&mut self, attach: AttachId) -> Option<(ChannelKey, &mut Channel)> {
        let key = attach.channel_key();
        let channel = self.slab.get_mut(key.0 as usize)?;
        (channel.attach == attach).then_some((key, channel))
    }
}

impl Gateway {
    /// Attaches a channel for its first local session. [`Event::Attached`] follows, then deliveries.
    ///
    /// The frame that goes out says nothing of sessions yet: whoever puts [`Message::Attach`] on the link fills them in.
    pub fn attach(&mut self, now: Now, name: ChannelName, options: ChannelOptions) -> ChannelKey {
        let slot = self.slot_of(name.as_str());
        let inbox = name.personal_user().is_some();
        let entry = self.channels.slab.vacant_entry();
        let key = ChannelKey(entry.key() as u32);
        let (attach, oldest) = (AttachId(u64::MAX), AttachId(u64::MAX));
        let (asked, position) = (None, None);
        let (answered, follows, known, dirty, paused) = (false, false, false, false, None);
        entry.insert(Channel {
            name,
            slot,
            options,
            inbox,
            attach,
            oldest,
            asked,
            answered,
            follows,
            position,
            confirmed: 0,
            known,
            dirty,
            paused,
        });
        self.ask(key);
        self.send_attaches(now);
        key
    }

    /// Slots are those of this view's cluster from now on.
    pub(super) fn count_slots_anew(&mut self, view: &View) {
        let slot_of = |name: &ChannelName| crate::ring::slot_of(&view.key, view.slots, name.as_str());
        for (_, channel) in &mut self.channels.slab {
            channel.slot = slot_of(&channel.name);
        }
        for lingering in self.channels.lingering.values_mut() {
            lingering.slot = slot_of(&lingering.detach.channel);
        }
    }

    /// Lets a channel go after its last local session.
    ///
    /// An inbox keeps what was not confirmed. Where this returns an id, [`Event::Detached`] follows as soon as no owner will hand
    /// on again what was.
    pub fn detach(&mut self, now: Now, key: ChannelKey) -> Option<AttachId> {
        let channel = self.channels.slab.try_remove(key.0 as usize)?;
        self.toll.waiting -= u64::from(channel.paused.is_some());
        let delivered = channel.confirmed_at();
        let durability = channel.options.level();
        let detach = Detach { channel: channel.name, attach: channel.attach, delivered, durability };
        let lingers = delivered.is_some() && self.channels.lingering.len() < self.limits.lingering;
        if lingers {
            // Without a link to the owner, too: it is told when there is one.
            let told = channel.asked.map(|owner| (owner, now));
            let kept = Lingering { detach: detach.clone(), slot: channel.slot, told };
            self.channels.lingering.insert(detach.attach, kept);
            self.channels.parting.push(now, Tries::default(), detach.attach);
        }
        if let Some(asked) = channel.asked {
            self.peers.send(asked, Message::Detach(detach));
        }
        lingers.then_some(channel.attach)
    }

    /// Tells the owner which sessions came and went. Nothing is sent while the channel is being attached: that says all.
    pub fn sessions_changed(&mut self, key: ChannelKey, change: impl FnOnce(ChannelName, AttachId) -> SessionChange) {
        let Some(channel) = self.channels.slab.get(key.0 as usize) else { return };
        let Some(owner) = channel.asked else { return };
        let change = change(channel.name.clone(), channel.attach);
        self.peers.send(owner, Message::Sessions(Box::new(change)));
    }

    /// Handed on up to here; `None` before the first answer and without history.
    pub fn position(&self, key: ChannelKey) -> Option<Position> {
        self.channels.slab.get(key.0 as usize)?.position
    }

    /// A session of an inbox has shown that it has everything up to here. Whoever comes next begins after it.
    ///
    /// Only for a session that was handed all that was not confirmed when it came.
    pub fn confirm(&mut self, key: ChannelKey, up_to: Position) {
        let Some(channel) = self.channels.slab.get_mut(key.0 as usize) else { return };
        let confirmed = channel.confirmed_at().filter(|confirmed| confirmed.epoch == up_to.epoch);
        let Some(position) = channel.position.filter(|_| confirmed.is_some()) else { return };
        let offset = up_to.offset.min(position.offset);
        if offset <= channel.confirmed {
            return;
        }
        channel.confirmed = offset;
        if !std::mem::replace(&mut channel.dirty, true) {
            self.channels.dirty.push(key);
        }
    }

    /// How far an inbox was confirmed; `None` before the first answer, and for what is no inbox.
    pub fn confirmed(&self, key: ChannelKey) -> Option<Position> {
        self.channels.slab.get(key.0 as usize)?.confirmed_at()
    }

    /// The owner answered at least once.
    pub fn is_attached(&self, key: ChannelKey) -> bool {
        self.channels.slab.get(key.0 as usize).is_some_and(|channel| channel.known)
    }

    /// Name of an attached channel.
    pub fn channel_name(&self, key: ChannelKey) -> Option<&ChannelName> {
        Some(&self.channels.slab.get(key.0 as usize)?.name)
    }

    /// How an attached channel is kept.
    pub fn channel_options(&self, key: ChannelKey) -> Option<ChannelOptions> {
        Some(self.channels.slab.get(key.0 as usize)?.options)
    }

    /// Positions of detached inboxes that their owners have not confirmed.
    pub fn lingering_count(&self) -> usize {
        self.channels.lingering.len()
    }

    /// Channels attached or being attached.
    pub fn channel_count(&self) -> usize {
        self.channels.slab.len()
    }

    /// Starts a new attach at whoever owns the channel, if it can be reached.
    fn ask(&mut self, key: ChannelKey) {
        let attach = self.channels.next_attach(key);
        self.ask_as(key, attach, Tries::default());
    }

    /// Asks under this id. The same id may be sent twice: an owner that knows it stays silent, one that does not answers.
    fn ask_as(&mut self, key: ChannelKey, attach: AttachId, tries: Tries) {
        let Some(channel) = self.channels.slab.get(key.0 as usize) else { return };
        let owner = self.reachable_owner(channel.slot);
        let Some(channel) = self.channels.slab.get_mut(key.0 as usize) else { return };
        // A new attach says who is there.
        channel.follows &= channel.attach == attach;
        (channel.attach, channel.asked, channel.answered) = (attach, owner, false);
        channel.oldest = channel.oldest.min(attach);
        if let Some(owner) = owner {
            self.channels.to_ask.entry(owner).or_default().push_back((attach, tries));
        }
    }

    /// Sends every owner the attaches that it has room for.
    pub(super) fn send_attaches(&mut self, now: Now) {
        let mut waiting = std::mem::take(&mut self.channels.to_ask);
        waiting.retain(|owner, attaches| {
            while !attaches.is_empty() && self.peers.has_room_for_part(*owner, Lane::Attaches) {
                let batch = self.next_batch(now, *owner, attaches);
                if !batch.is_empty() {
                    self.peers.send_part(*owner, Message::Attach(batch));
                }
            }
            !attaches.is_empty()
        });
        self.channels.to_ask = waiting;
    }

    fn next_batch(&mut self, now: Now, owner: Incarnation, waiting: &mut VecDeque<(AttachId, Tries)>) -> Vec<Attach> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        // The other half of a part is for those who are present.
        while batch.len() < ATTACH_BATCH
            && bytes < self.peers.part_bytes() / 2
            && let Some((attach, tries)) = waiting.pop_front()
        {
            let current = self.channels.current(attach).filter(|(_, channel)| channel.asked == Some(owner));
            let Some((_, channel)) = current.filter(|(_, channel)| !channel.answered) else { continue };
            let from = match channel.position {
                Some(position) => AttachFrom::At(position),
                None if channel.inbox => AttachFrom::Inbox,
                None => AttachFrom::Top,
            };
            let (name, options, confirmed) = (channel.name.clone(), channel.options, channel.confirmed);
            let (sessions, presence, more) = (0, Vec::new(), false);
            let attach_channel = Attach { channel: name, attach, from, confirmed, options, sessions, presence, more };
            bytes += attach_channel.size();
            batch.push(attach_channel);
            self.channels.asking.push(now, tries, attach);
        }
        batch
    }

    /// Attaches again every channel that is not attached at its owner of today, and tells lingering positions to theirs.
    pub(super) fn follow_owners(&mut self, now: Now) {
        self.tell_lingering(now);
        let keys: Vec<ChannelKey> = self.channels.slab.iter().map(|(key, _)| ChannelKey(key as u32)).collect();
        for key in keys {
            let Some(channel) = self.channels.slab.get(key.0 as usize) else { continue };
            let owner = self.reachable_owner(channel.slot);
            if owner.is_some() && owner != channel.asked {
                self.ask(key);
            }
        }
        self.send_attaches(now);
    }

    /// What was asked of anybody but the owner is void; after a skipped view, so is what was asked of the owner: it may
    /// have seen another in between, and let its listeners go.
    pub(super) fn forget_attaches_elsewhere(&mut self, now: Now, skipped: bool) {
        let Some(placement) = &self.placement else { return };
        let silent = self.timing.silent();
        // Many channels, few owners.
        let mut since = (None, now);
        for (_, channel) in &mut self.channels.slab {
            if skipped || channel.asked != placement.owner(channel.slot) {
                if channel.asked != since.0 {
                    let unserved = |asked| self.peers.unserved_since(now, asked, silent);
                    since = (channel.asked, channel.asked.map_or(now, unserved));
                }
                self.toll.waiting += u64::from(channel.let_go(since.1));
            }
        }
    }

    /// What was asked of this member on an older link is void. The link is still known here: when it was last heard counts.
    pub(super) fn forget_attaches_at(&mut self, now: Now, peer: Incarnation) {
        let since = self.peers.unserved_since(now, peer, self.timing.silent());
        for (_, channel) in &mut self.channels.slab {
            if channel.asked == Some(peer) {
                self.toll.waiting += u64::from(channel.let_go(since));
            }
        }
        self.channels.to_ask.remove(&peer);
        self.channels.to_tell.remove(&peer);
        for lingering in self.channels.lingering.values_mut() {
            if lingering.owner_told() == Some(peer) {
                lingering.told = None;
            }
        }
    }

    /// Asks again where no answer came in time, and tells lingering positions again that nobody confirmed.
    pub(super) fn retry_attaches(&mut self, now: Now) {
        let pause = self.timing.attach_retry;
        while let Some(waiting) = self.channels.asking.due(now, pause) {
            let unanswered = |channel: &Channel| !channel.answered && channel.asked.is_some();
            if let Some((key, _)) = self.channels.current(waiting.what).filter(|(_, channel)| unanswered(channel)) {
                self.ask_as(key, waiting.what, waiting.tries.more());
            }
        }
        self.send_attaches(now);
        while let Some(waiting) = self.channels.parting.due(now, pause) {
            let Some(lingering) = self.channels.lingering.get(&waiting.what) else { continue };
            // Told again meanwhile, it waits in another place.
            if lingering.told.is_some_and(|(_, at)| at == waiting.since) {
                let owner = self.reachable_owner(lingering.slot);
                self.tell_parted(now, waiting.what, owner, waiting.tries.more());
            }
        }
    }

    pub(super) fn on_attached(&mut self, now: Now, from: Incarnation, attached: &Attached) {
        let Some((key, channel)) = self.channels.current(attached.attach) else { return };
        if channel.asked != Some(from) {
            return;
        }
        if channel.answered {
            return self.on_gap(key, attached);
        }
        channel.answered = true;
        let slot = channel.slot;
        if let Some(since) = channel.paused.take() {
            self.toll.waiting -= 1;
            self.toll.pauses.record(now.saturating_sub(since));
        }
        let before = channel.position;
        let at = attached.stream.map(|stream| Position { epoch: stream.epoch, offset: attached.from });
        channel.position = at;
        if let Some(at) = at.filter(|_| at != before) {
            // It goes on where nothing before it can be asked for any more, or where nobody has been handed anything yet.
            channel.confirmed = at.offset;
        }
        let first = !std::mem::replace(&mut channel.known, true);
        if first {
            let (stream, from, users) = (attached.stream, attached.from, attached.users);
            self.events.push_back(Event::Attached { channel: key, stream, from, users });
        } else if let Some(at) = at.filter(|_| at != before) {
            self.toll.gaps += 1;
            self.events.push_back(Event::Lost { channel: key, at });
        }
        self.channels.begin_to_tell(key);
        self.owner_serves(slot);
    }

    /// Only those who wait for a first answer are told. A channel that was attached before is asked for again and again: its
    /// listeners have been promised what follows.
    pub(super) fn on_attach_refused(&mut self, from: Incarnation, attach: AttachId) {
        let Some((key, channel)) = self.channels.current(attach) else { return };
        if !channel.known && channel.asked == Some(from) {
            self.events.push_back(Event::Refused { channel: key });
        }
    }

    /// The owner has more for this attach, but not what comes next: that was trimmed before it could be sent.
    fn on_gap(&mut self, key: ChannelKey, attached: &Attached) {
        let Some(channel) = self.channels.slab.get_mut(key.0 as usize) else { return };
        let (Some(position), Some(stream)) = (&mut channel.position, attached.stream) else { return };
        if stream.epoch == position.epoch && attached.from > position.offset {
            position.offset = attached.from;
            let at = *position;
            self.toll.gaps += 1;
            self.events.push_back(Event::Lost { channel: key, at });
        }
    }

    pub(super) fn on_deliver(&mut self, now: Now, from: Incarnation, in_view: bool, deliver: Deliver) {
        let Deliver { attach, offset, entry } = deliver;
        let key = attach.channel_key();
        let Some(channel) = self.channels.slab.get_mut(key.0 as usize) else { return };
        if offset == 0 {
            // Nothing is ever sent twice on a channel without history, so a former owner's last deliveries count too.
            // But not after a later owner's: rather lost than out of order. What is not kept of a channel with history has its
            // place between what is, so it counts only where that does.
            let counts = match channel.options.has_history() {
                false => (channel.oldest..=channel.attach).contains(&attach),
                true => in_view && channel.attach == attach && channel.asked == Some(from) && channel.answered,
            };
            if channel.known && counts {
                channel.oldest = attach;
                self.events.push_back(Event::Deliver { channel: key, offset, entry });
            }
            return;
        }
        if !in_view || channel.attach != attach || channel.asked != Some(from) || !channel.answered {
            return;
        }
        let Some(position) = &mut channel.position else { return };
        if offset <= position.offset {
            self.toll.doubles += 1;
            return;
        }
        if offset - position.offset > 1 {
            self.toll.reorders += 1;
            self.toll.waiting += u64::from(channel.pause(now));
            self.ask(key);
            self.send_attaches(now);
            return;
        }
        position.offset = offset;
        self.events.push_back(Event::Deliver { channel: key, offset, entry });
    }

    pub(super) fn on_detached(&mut self, attach: AttachId) {
        if self.channels.lingering.remove(&attach).is_some() {
            self.events.push_back(Event::Detached(attach));
        }
    }

    /// Has the next tick tell owners how far inboxes were confirmed: some of their users may soon come elsewhere.
    pub fn report_soon(&mut self) {
        self.channels.reported = Now::ZERO;
    }

    /// Tells owners, now and then, how far inboxes were confirmed. One that has not answered an attach yet is told later: it
    /// would not know what is meant, and the attach may have said less.
    pub(super) fn report_delivered(&mut self, now: Now) {
        if self.channels.dirty.is_empty() || now < self.channels.reported + self.timing.attach_retry {
            return;
        }
        self.channels.reported = now;
        let mut reports: Vec<(Incarnation, Vec<_>)> = Vec::new();
        for key in std::mem::take(&mut self.channels.dirty) {
            let Some(channel) = self.channels.slab.get_mut(key.0 as usize) else { continue };
            let Some(owner) = channel.asked.filter(|_| channel.answered) else {
                self.channels.dirty.push(key);
                continue;
            };
            channel.dirty = false;
            let report = (channel.attach, channel.name.clone(), channel.confirmed);
            match reports.iter_mut().find(|(to, _)| *to == owner) {
                Some((_, reports)) => reports.push(report),
                None => reports.push((owner, vec![report])),
            }
        }
        for (owner, report) in reports {
            for lines in report.chunks(INBOX_LINES) {
                self.peers.send(owner, Message::Delivered(lines.to_vec()));
            }
        }
    }

    /// Tells positions of detached inboxes to owners that have not been told.
    fn tell_lingering(&mut self, now: Now) {
        let lingering = &self.channels.lingering;
        let owners = lingering.iter().filter_map(|(attach, lingering)| {
            let owner = self.reachable_owner(lingering.slot);
            (owner.is_some() && owner != lingering.owner_told()).then_some((*attach, owner))
        });
        for (attach, owner) in owners.collect::<Vec<_>>() {
            self.tell_parted(now, attach, owner, Tries::default());
        }
    }

    fn tell_parted(&mut self, now: Now, attach: AttachId, owner: Option<Incarnation>, tries: Tries) {
        let Some(lingering) = self.channels.lingering.get_mut(&attach) else { return };
        lingering.told = owner.map(|owner| (owner, now));
        let Some(owner) = owner else { return };
        let detach = lingering.detach.clone();
        self.channels.parting.push(now, tries, attach);
        self.peers.send(owner, Message::Detach(detach));
    }
}
