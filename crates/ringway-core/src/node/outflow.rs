//! What a gateway has not been told yet: what a channel's listener there has missed, and answers that it asked for. It goes in
//! parts, as the gateway takes them, so that what is new never waits behind more than [`NodeLimits::bulk_bytes`]; and a gateway that
//! does not keep up is served from where it is, instead of from a queue.
//!
//! [`NodeLimits::bulk_bytes`]: crate::limits::NodeLimits::bulk_bytes

use std::collections::VecDeque;

use super::Node;
use crate::id::Incarnation;
use crate::message::{AttachId, Attached, ChannelsQuery, Deliver, Entry, HistoryQuery, Lane, Message, PresenceQuery};
use crate::stream::{Listener, Stream};

/// Bytes of an inbox that are sent ahead of what its user has confirmed, where there is more that waited: what a user who reads slowly, or
/// many of them, cost their gateway. A user who reads fast confirms once a second.
const INBOX_AHEAD: usize = 8 << 20;

/// What waits for one gateway. Of each listener at most one entry, and of answers no more than the gateway may ask for.
#[derive(Debug, Default)]
pub(super) struct Outflow {
    /// Listeners that have missed something: the stream, and the attach.
    behind: VecDeque<(u32, AttachId)>,
    /// Pages that were asked for.
    answers: VecDeque<(u64, Paged)>,
}

/// What is answered in pages.
#[derive(Debug)]
pub(super) enum Paged {
    History(Box<HistoryQuery>),
    Presence(Box<PresenceQuery>),
    Channels(Box<ChannelsQuery>),
}

impl Outflow {
    fn is_empty(&self) -> bool {
        self.behind.is_empty() && self.answers.is_empty()
    }
}

impl Node {
    /// The peer keeps up, and has taken enough of what is large to be sent another part.
    pub(super) fn has_room_for_part(&self, to: Incarnation, lane: Lane) -> bool {
        self.peers.has_room_for_part(to, lane) && !self.is_behind(to, lane)
    }

    /// The peer does not keep up with what is new.
    pub(super) fn is_behind(&self, to: Incarnation, lane: Lane) -> bool {
        self.peers.live_under_way(to, lane) >= self.limits.live_bytes
    }

    /// A page is to be answered when its turn comes.
    pub(super) fn answer_later(&mut self, to: Incarnation, id: u64, asked: Paged) {
        if self.peers.is_up(to) {
            self.outflows.entry(to).or_default().answers.push_back((id, asked));
            self.pump_outflow(to);
        }
    }

    /// A listener has missed what is from `next` on.
    pub(super) fn catch_up(&mut self, key: u32, gateway: Incarnation, attach: AttachId) {
        self.outflows.entry(gateway).or_default().behind.push_back((key, attach));
    }

    /// A publication is committed: every gateway that listens is sent it, now or when it has caught up.
    pub(super) fn tell_listeners(&mut self, key: u32, offset: u64) {
        let Some(stream) = self.streams.get_mut(key as usize) else { return };
        let limit = self.limits.live_bytes;
        let Some((entry, listeners)) = stream.entry_and_listeners(offset) else { return };
        for listener in listeners.iter_mut().filter(|listener| listener.is_live()) {
            if self.peers.live_under_way(listener.gateway, Lane::Deliveries) >= limit {
                listener.next = offset;
                let outflow = self.outflows.entry(listener.gateway).or_default();
                outflow.behind.push_back((key, listener.attach));
                continue;
            }
            let deliver = Deliver { attach: listener.attach, offset, entry: entry.clone() };
            self.peers.send(listener.gateway, Message::Deliver(deliver));
        }
    }

    /// The same of what is not kept: who does not keep up loses it.
    pub(super) fn tell_listeners_once(&mut self, stream: u32, entry: &Entry) {
        let Some(stream) = self.streams.get(stream as usize) else { return };
        for listener in &stream.listeners {
            // Nor is it handed to somebody before what came before it.
            let is_late = !listener.is_live();
            if is_late || self.peers.live_under_way(listener.gateway, Lane::Deliveries) >= self.limits.live_bytes {
                self.tally.dropped += 1;
                continue;
            }
            let deliver = Deliver { attach: listener.attach, offset: 0, entry: entry.clone() };
            self.peers.send(listener.gateway, Message::Deliver(deliver));
        }
    }

    /// A gateway is gone, or its link is: it will ask anew.
    pub(super) fn forget_outflow(&mut self, gateway: Incarnation) {
        self.outflows.remove(&gateway);
    }

    /// Sends every gateway as many parts as it has room for.
    pub(super) fn pump_outflows(&mut self) {
        if self.outflows.is_empty() {
            return;
        }
        for gateway in self.outflows.keys().copied().collect::<Vec<_>>() {
            self.pump_outflow(gateway);
        }
    }

    /// A part of what was missed and an answer in turns, so that neither waits for all of the other.
    pub(super) fn pump_outflow(&mut self, to: Incarnation) {
        while self.has_room_for_part(to, Lane::Deliveries) {
            let Some(outflow) = self.outflows.get_mut(&to) else { return };
            let (behind, answer) = (outflow.behind.pop_front(), outflow.answers.pop_front());
            if outflow.is_empty() {
                self.outflows.remove(&to);
            }
            if behind.is_none() && answer.is_none() {
                return;
            }
            if let Some((key, attach)) = behind
                && self.deliver_part(to, key, attach)
            {
                self.catch_up(key, to, attach);
            }
            match answer {
                Some((id, Paged::History(query))) => self.answer_history(to, id, &query),
                Some((id, Paged::Presence(query))) => self.answer_presence(to, id, &query),
                Some((id, Paged::Channels(query))) => self.answer_channels(to, id, &query),
                None => {}
            }
        }
    }

    /// The user of an inbox has confirmed something: more of what waited is sent, if that was waited for.
    pub(super) fn feed_inbox(&mut self, key: u32, gateway: Incarnation, attach: AttachId) {
        let Some(stream) = self.streams.get_mut(key as usize) else { return };
        let its = |listener: &Listener| listener.gateway == gateway && listener.attach == attach && listener.waits;
        let Some(at) = stream.listeners.iter().position(its) else { return };
        if !is_far_ahead(stream, at) {
            stream.listeners[at].waits = false;
            self.catch_up(key, gateway, attach);
            self.pump_outflow(gateway);
        }
    }

    /// Sends a listener the next part of what it has missed. Says whether there is more.
    fn deliver_part(&mut self, to: Incarnation, key: u32, attach: AttachId) -> bool {
        let Some(stream) = self.streams.get_mut(key as usize) else { return false };
        let Some(at) = stream.listeners.iter().position(|its| its.gateway == to && its.attach == attach) else {
            return false;
        };
        if is_far_ahead(stream, at) {
            stream.listeners[at].waits = true;
            return false;
        }
        let start = stream.listeners[at].next.max(stream.first());
        let (was_trimmed, top) = (start > stream.listeners[at].next, stream.committed());
        let missed = stream.committed_from(start, self.peers.part_bytes());
        let next = start + missed.len() as u64;
        let has_more = next <= top;
        stream.listeners[at].next = if has_more { next } else { Listener::LIVE };
        if was_trimmed {
            let (stream, from) = (stream.at(top), start - 1);
            self.peers.send(to, Message::Attached(Attached { attach, stream, from, users: self.users }));
        }
        for (offset, entry) in (start..).zip(missed) {
            self.peers.send_part(to, Message::Deliver(Deliver { attach, offset, entry }));
        }
        has_more
    }
}

/// A listener was sent much of an inbox that its user has not confirmed.
fn is_far_ahead(stream: &Stream, listener: usize) -> bool {
    let Listener { delivered, next, .. } = stream.listeners[listener];
    stream.name.personal_user().is_some() && stream.has_bytes_between(delivered.saturating_add(1), next, INBOX_AHEAD)
}
