//! Gateways that listen: attached with their position, told what follows it, asked nothing. Presence lives here too.

use std::time::Duration;

use super::Node;
use super::slot::{Phase, Wait};
use crate::id::{ChannelName, Epoch, Incarnation, Slot};
use crate::message::{
    Answer, Attach, AttachFrom, AttachId, Attached, ChannelOptions, Detach, Durability, HistoryQuery, Message, Op,
    Refusal, SessionChange,
};
use crate::stream::{Listener, Stream};
use crate::timing::Now;

/// How far an inbox was confirmed goes into the log this long after a report, at most once in that time: what a next owner
/// would hand on again if the gateway could not tell it. Shorter costs an operation more for each busy inbox.
const PROGRESS_KEPT_AFTER: Duration = Duration::from_secs(1);

/// Positions of inboxes that were let go while their slot is taken over, kept for each slot. Of more than these their gateways
/// tell again when I am live, and a user who comes back before that may be handed again what it has confirmed.
const PARTED: usize = 4096;

impl Node {
    pub(super) fn slot_of(&self, name: &ChannelName) -> Slot {
        crate::ring::slot_of(&self.view().key, self.view().slots, name.as_str())
    }

    pub(super) fn stream_of(&self, name: &ChannelName) -> Option<(u32, &Stream)> {
        let key = *self.names.get(name)?;
        Some((key, self.streams.get(key as usize)?))
    }

    /// Attaches once all of the slot is committed. Where the slot is not mine I stay silent: the gateway asks elsewhere. Nor do I take what
    /// was asked before it was somebody else's: its gateway asks anew, or has let the channel go and told another owner.
    pub(super) fn on_attach(&mut self, now: Now, from: Incarnation, epoch: Epoch, attach: Attach) {
        let slot = self.slot_of(&attach.channel);
        if self.view().gateway(from).is_none() || epoch <= self.slots[slot.index()].elsewhere {
            return;
        }
        // A newer attach takes the place of one that is parked, also where it need not wait itself.
        if let Some(parked) = self.parked.get_mut(&slot) {
            parked.retain(|(gateway, older)| *gateway != from || older.channel != attach.channel);
        }
        self.forget_older_waits(slot, from, &attach.channel, |older| older < attach.attach);
        // The user may have come from a gateway that has not said yet what it has confirmed there.
        let is_early = attach.from == AttachFrom::Inbox && self.must_hold(now, slot);
        match &self.slots[slot.index()].phase {
            Phase::Live(_) if is_early => {
                self.holding.insert(slot);
                return self.park(slot, from, attach);
            }
            Phase::Live(_) => {}
            Phase::Idle => return,
            // Kept until I am live: the gateway may already have said that it has sent all its attaches.
            Phase::Claiming | Phase::Fetching(_) => {
                let level = attach.options.level();
                self.park(slot, from, attach);
                return self.is_wanted_in_the_log(now, slot, level);
            }
        }
        // Likewise, until the log was read, or a removed owner acts no more.
        if !self.serves(slot, attach.options.level()) {
            return self.park(slot, from, attach);
        }
        let known = |stream: &Stream| stream.listeners.iter().any(|l| l.gateway == from && l.attach == attach.attach);
        let attached = self.stream_of(&attach.channel).is_some_and(|(_, stream)| known(stream));
        let waits = |reign: &super::slot::Reign| {
            let same = |wait: &Wait| matches!(wait, Wait::Attach(gateway, waiting) if *gateway == from && waiting.attach == attach.attach);
            reign.waits().any(same)
        };
        if attached || self.slots[slot.index()].reign().is_some_and(waits) {
            return;
        }
        let Some(key) = self.stream_or_new(now, slot, &attach.channel, attach.options) else {
            return self.refuse_attach(from, attach.attach);
        };
        if !self.streams[key as usize].is_numbered() {
            // Nothing of it is ever uncommitted, and publishes may be held until all gateways listen.
            self.attach_now(now, slot, from, attach);
        } else {
            let level = self.level_of(&attach.channel, attach.options);
            self.when_committed(now, slot, level, Wait::Attach(from, attach));
        }
    }

    /// There is no room for one more channel. Whoever waits for it is told at once.
    fn refuse_attach(&mut self, gateway: Incarnation, attach: AttachId) {
        self.peers.send(gateway, Message::AttachRefused(attach, Refusal::Full));
    }

    fn park(&mut self, slot: Slot, from: Incarnation, attach: Attach) {
        self.parked.entry(slot).or_default().push((from, attach));
    }

    /// I am live, or have read the log. Who was let go first: whoever comes back begins after what it has confirmed.
    pub(super) fn take_parked(&mut self, now: Now, slot: Slot) {
        for (gateway, detach) in self.parted.remove(&slot).unwrap_or_default() {
            self.on_detach(now, gateway, detach);
        }
        self.attach_parked(now, slot);
    }

    /// Looks again at what was parked.
    pub(super) fn attach_parked(&mut self, now: Now, slot: Slot) {
        let epoch = self.view().epoch;
        for (gateway, attach) in self.parked.remove(&slot).unwrap_or_default() {
            self.on_attach(now, gateway, epoch, attach);
        }
    }

    /// The place from which a gateway is told: where it says it is, if what follows is still there.
    fn start_of(stream: &Stream, from: Incarnation, wanted: AttachFrom) -> u64 {
        let (top, oldest) = (stream.committed(), stream.first() - 1);
        match wanted {
            AttachFrom::Top => top,
            AttachFrom::Inbox => Self::confirmed(stream, from).max(oldest).min(top),
            AttachFrom::At(position) => {
                let same = stream.epoch == Some(position.epoch);
                let unbroken = position.offset >= oldest && position.offset <= top;
                match same && unbroken {
                    true => position.offset,
                    // What is left of an inbox still is for its user, whatever was lost before it.
                    false if stream.name.personal_user().is_none() => top,
                    false if same => position.offset.max(oldest).min(top),
                    false => Self::confirmed(stream, from).max(oldest).min(top),
                }
            }
        }
    }

    /// How far the user of an inbox has confirmed it, by all that is known here. Another session may be open at a gateway
    /// that is frozen or gone: what was sent to it says nothing.
    fn confirmed(stream: &Stream, but: Incarnation) -> u64 {
        let others = stream.listeners.iter().filter(|listener| listener.gateway != but);
        others.map(|listener| listener.delivered).max().unwrap_or_default().max(stream.delivered)
    }

    /// The log is committed up to the attach: the gateway listens from here on.
    pub(super) fn attach_now(&mut self, now: Now, slot: Slot, from: Incarnation, attach: Attach) {
        let Some(key) = self.stream_or_new(now, slot, &attach.channel, attach.options) else {
            return self.refuse_attach(from, attach.attach);
        };
        self.forget_listener(key, from);
        let stream = &mut self.streams[key as usize];
        let start = Self::start_of(stream, from, attach.from);
        let attended = stream.is_attended();
        let (sessions, presence, id) = (attach.sessions, attach.presence, attach.attach);
        // Where it does not go on from its position, there is nothing before it to be asked for, or it is confirmed.
        let resumes = matches!(attach.from, AttachFrom::At(position) if stream.at(start) == Some(position));
        let delivered = if resumes { start.min(attach.confirmed) } else { start };
        let has_missed = start < stream.committed();
        let next = if has_missed { start + 1 } else { Listener::LIVE };
        stream.listeners.push(Listener {
            gateway: from,
            attach: id,
            sessions,
            delivered,
            next,
            waits: false,
            is_partial: attach.more,
            presence: presence.into_iter().collect(),
        });
        stream.used = now;
        let is_news = delivered > stream.delivered && attach.channel.personal_user().is_some();
        self.users += u64::from(!attended && attach.channel.personal_user().is_some());
        if is_news {
            self.note_progress(now, key);
        }
        let stream = &self.streams[key as usize];
        let (top, users) = (stream.committed(), self.users);
        let attached = Attached { attach: id, stream: stream.at(top), from: start, users };
        self.peers.send(from, Message::Attached(attached));
        if has_missed {
            self.catch_up(key, from, id);
            self.pump_outflow(from);
        }
    }

    /// Nobody listens there any more. How far an inbox was confirmed is kept in the log.
    pub(super) fn on_detach(&mut self, now: Now, from: Incarnation, detach: Detach) {
        let slot = self.slot_of(&detach.channel);
        if let Some(parked) = self.parked.get_mut(&slot) {
            let over = |parked: &Attach| parked.channel == detach.channel && parked.attach <= detach.attach;
            parked.retain(|(gateway, parked)| *gateway != from || !over(parked));
        }
        // A detach may overtake its attach, which still waits for a commit.
        self.forget_older_waits(slot, from, &detach.channel, |older| older <= detach.attach);
        let serves = match self.slots[slot.index()].phase {
            Phase::Claiming | Phase::Fetching(_) => false,
            Phase::Live(_) if detach.delivered.is_some() => self.serves(slot, detach.durability),
            Phase::Live(_) | Phase::Idle => true,
        };
        if !serves && detach.delivered.is_some() {
            // Kept until I am live, or have read the log: the user may be waiting elsewhere, and begins after this.
            let parted = self.parted.entry(slot).or_default();
            parted.retain(|(gateway, older)| *gateway != from || older.attach != detach.attach);
            if parted.len() < PARTED {
                parted.push((from, detach));
            }
            return;
        }
        if self.slots[slot.index()].reign().is_none() {
            return;
        }
        if let Some((key, stream)) = self.stream_of(&detach.channel) {
            // Of an older attach too: the newer one may not have been sent yet.
            let mine = |listener: &Listener| listener.gateway == from && listener.attach <= detach.attach;
            let listens = stream.listeners.iter().any(mine);
            let same = detach.delivered.filter(|position| stream.epoch == Some(position.epoch));
            let further = same.filter(|position| position.offset > stream.delivered);
            if let Some(position) = further {
                let op = Op::Delivered { channel: detach.channel.clone(), offset: position.offset.min(stream.top()) };
                self.record(now, slot, op);
            }
            if listens {
                self.drop_listener(key, from);
                self.drop_unused(now, key);
            }
        }
        if detach.delivered.is_some() {
            let level = self.stream_of(&detach.channel).map(|(_, stream)| stream.options.level()).unwrap_or_default();
            self.when_committed(now, slot, level, Wait::Detached(from, detach.attach));
        }
    }

    /// Attaches of a channel that wait for a commit, and that their gateway has given up since, are not carried out: there would be a
    /// listener that nobody ends.
    fn forget_older_waits(
        &mut self,
        slot: Slot,
        from: Incarnation,
        channel: &ChannelName,
        is_over: impl Fn(AttachId) -> bool,
    ) {
        let Some(reign) = self.slots[slot.index()].reign_mut() else { return };
        let over = |wait: &Wait| match wait {
            Wait::Attach(gateway, older) => *gateway == from && older.channel == *channel && is_over(older.attach),
            _ => false,
        };
        reign.forget_waits(over);
    }

    pub(super) fn on_delivered(&mut self, now: Now, from: Incarnation, reports: &[(AttachId, ChannelName, u64)]) {
        for (attach, channel, offset) in reports {
            let Some(key) = self.names.get(channel).copied() else { continue };
            let stream = &mut self.streams[key as usize];
            let top = stream.top();
            let mut listeners = stream.listeners.iter_mut();
            let its = listeners.find(|listener| listener.gateway == from && listener.attach == *attach);
            if let Some(listener) = its {
                listener.delivered = listener.delivered.max((*offset).min(top));
                self.note_progress(now, key);
                self.feed_inbox(key, from, *attach);
            }
        }
    }

    /// The log is to know of it in a while.
    fn note_progress(&mut self, now: Now, key: u32) {
        if !std::mem::replace(&mut self.streams[key as usize].progress, true) {
            self.progress.push_back((now + PROGRESS_KEPT_AFTER, key));
        }
    }

    /// Records how far inboxes were confirmed whose gateways reported it a while ago.
    pub(super) fn keep_progress(&mut self, now: Now) {
        while let Some((_, key)) = self.progress.pop_front_if(|(due, _)| *due <= now) {
            let Some(stream) = self.streams.get_mut(key as usize) else { continue };
            // A key that another stream has by now finds nothing to do, or what is due anyway.
            if std::mem::take(&mut stream.progress) {
                let handed = stream.listeners.iter().map(|listener| listener.delivered).max();
                self.record_delivered(now, key, handed.unwrap_or_default());
            }
        }
    }

    /// Records how far an inbox was confirmed, if the log does not know it.
    fn record_delivered(&mut self, now: Now, key: u32, delivered: u64) {
        let stream = &self.streams[key as usize];
        let inbox = stream.name.personal_user().is_some() && stream.is_numbered();
        if inbox && delivered > stream.delivered {
            let (slot, channel) = (stream.slot, stream.name.clone());
            self.record(now, slot, Op::Delivered { channel, offset: delivered });
        }
    }

    /// Sessions came and went. An attach that still waits for a commit is told too: it would say what is no longer so.
    pub(super) fn on_sessions(&mut self, from: Incarnation, change: &SessionChange) {
        let stream = self.names.get(&change.channel).and_then(|key| self.streams.get_mut(*key as usize));
        let listeners = stream.into_iter().flat_map(|stream| &mut stream.listeners);
        for listener in listeners.filter(|listener| listener.gateway == from && listener.attach == change.attach) {
            listener.sessions = change.sessions;
            listener.presence.apply(change);
            listener.is_partial = (listener.is_partial || change.more) && !change.last;
        }
        let slot = self.slot_of(&change.channel);
        let parked = self.parked.get_mut(&slot).into_iter().flatten();
        for (_, attach) in parked.filter(|(gateway, parked)| *gateway == from && parked.attach == change.attach) {
            apply(change, attach);
        }
        let Some(reign) = self.slots[slot.index()].reign_mut() else { return };
        for wait in reign.waits_mut() {
            if let Wait::Attach(gateway, attach) = wait
                && *gateway == from
                && attach.attach == change.attach
            {
                apply(change, attach);
            }
        }
    }

    /// Takes a gateway off a stream. Returns how far the inbox is known to be confirmed through it.
    fn drop_listener(&mut self, key: u32, gateway: Incarnation) -> Option<u64> {
        let stream = self.streams.get_mut(key as usize)?;
        let at = stream.listeners.iter().position(|listener| listener.gateway == gateway)?;
        let listener = stream.listeners.swap_remove(at);
        if stream.listeners.is_empty() {
            stream.listeners = Vec::new();
            self.users -= u64::from(stream.name.personal_user().is_some());
        }
        Some(listener.delivered)
    }

    /// The same, for a gateway that attaches anew. Who is there through it may be told in several parts, so listings end here.
    fn forget_listener(&mut self, key: u32, gateway: Incarnation) {
        let listeners = self.streams.get(key as usize).map(|stream| &stream.listeners[..]).unwrap_or_default();
        let listener = listeners.iter().find(|listener| listener.gateway == gateway);
        self.losses += u64::from(listener.is_some_and(|listener| !listener.presence.is_empty()));
        self.drop_listener(key, gateway);
    }

    /// Takes every gateway off a stream.
    pub(super) fn drop_all_listeners(&mut self, key: u32) {
        let Some(stream) = self.streams.get_mut(key as usize) else { return };
        if stream.is_attended() {
            self.users -= u64::from(stream.name.personal_user().is_some());
        }
        stream.listeners = Vec::new();
    }

    /// A gateway or its link is gone: it listens nowhere until it attaches again, and users it had may come elsewhere. What it reported of inboxes is kept.
    pub(super) fn drop_listeners(&mut self, now: Now, gateway: Incarnation) {
        self.forget_outflow(gateway);
        self.parked.values_mut().for_each(|parked| parked.retain(|(from, _)| *from != gateway));
        // Whoever waits to attach waits for a stream that the log has given birth to.
        let written = self.slots.iter_mut().filter(|entry| entry.index > 0);
        for reign in written.filter_map(super::slot::SlotEntry::reign_mut) {
            reign.forget_waits(|wait| matches!(wait, Wait::Attach(from, _) if *from == gateway));
        }
        let listens = |stream: &Stream| stream.listeners.iter().any(|listener| listener.gateway == gateway);
        let keys: Vec<u32> =
            self.streams.iter().filter(|(_, stream)| listens(stream)).map(|(key, _)| key as u32).collect();
        self.losses += u64::from(!keys.is_empty());
        for key in keys {
            let Some(delivered) = self.drop_listener(key, gateway) else { continue };
            self.record_delivered(now, key, delivered);
            self.drop_unused(now, key);
        }
    }

    /// A channel without history and without listeners holds nothing.
    fn drop_unused(&mut self, now: Now, key: u32) {
        let Some(stream) = self.streams.get_mut(key as usize) else { return };
        stream.used = now;
        if stream.epoch.is_none() && !stream.is_attended() {
            self.remove_stream(key);
        }
    }

    pub(super) fn on_history(&mut self, now: Now, from: Incarnation, id: u64, query: Box<HistoryQuery>) {
        let slot = self.slot_of(&query.channel);
        let level = self.level_of(&query.channel, query.options);
        match self.stream_to_read(now, slot, level, &query.channel, query.options) {
            Err(refusal) => self.peers.send(from, Message::Answer(id, Answer::Refused(refusal))),
            Ok(_) => self.when_committed(now, slot, level, Wait::History(from, id, query)),
        }
    }

    /// The stream of a channel whose history is asked for.
    ///
    /// # Errors
    /// What whoever asks is told.
    fn stream_to_read(
        &mut self,
        now: Now,
        slot: Slot,
        level: Durability,
        channel: &ChannelName,
        options: ChannelOptions,
    ) -> Result<u32, Refusal> {
        if self.slots[slot.index()].reign().is_none() || !self.serves(slot, level) {
            self.is_wanted_in_the_log(now, slot, level);
            Err(Refusal::Retry)
        } else if !options.has_history() {
            Err(Refusal::NotAvailable)
        } else {
            self.stream_or_new(now, slot, channel, options).ok_or(Refusal::Full)
        }
    }

    /// Drops what is kept of a channel and is committed. What is on its way comes after the removal.
    pub(super) fn on_remove_history(
        &mut self,
        now: Now,
        from: Incarnation,
        id: u64,
        channel: &ChannelName,
        options: ChannelOptions,
    ) {
        let slot = self.slot_of(channel);
        let level = self.level_of(channel, options);
        match self.stream_to_read(now, slot, level, channel, options) {
            Err(refusal) => return self.peers.send(from, Message::Answer(id, Answer::Refused(refusal))),
            Ok(stream) => {
                let stream = &self.streams[stream as usize];
                let first = stream.committed() + 1;
                if first > stream.first() {
                    self.record(now, slot, Op::Trim { channel: channel.clone(), first });
                }
            }
        }
        self.when_committed(now, slot, level, Wait::Removed(from, id));
    }

    /// Sends a page of what is committed now. Who is not the owner any more has it asked elsewhere.
    pub(super) fn answer_history(&mut self, from: Incarnation, id: u64, query: &HistoryQuery) {
        let stream = self.stream_of(&query.channel).and_then(|(_, stream)| Some((stream, stream.epoch?)));
        let answer = match stream.filter(|(stream, _)| self.is_ready(stream.slot, stream.options.level())) {
            None => Answer::Refused(Refusal::Retry),
            Some((_, epoch)) if query.since.is_some_and(|(_, asked)| asked.is_some_and(|asked| asked != epoch)) => {
                Answer::Refused(Refusal::Unrecoverable)
            }
            Some((stream, epoch)) => {
                Answer::History(stream.page(query, self.limits.page, self.peers.part_bytes(), epoch))
            }
        };
        self.peers.send_part(from, Message::Answer(id, answer));
    }
}

/// Brings an attach that waits up to date.
fn apply(change: &SessionChange, attach: &mut Attach) {
    change.apply(&mut attach.sessions, &mut attach.presence);
    attach.more |= change.more;
}
