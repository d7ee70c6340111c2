//! Channels with more members than an attach has room for: their owner is told who they are in parts, as it takes them.
//!
//! A part is made of what is so when it goes. Who comes or goes meanwhile is told at once, before or after the part that tells of the
//! session, and the owner knows the same in the end: a part never says what was undone before it. So nothing is kept but the keys of
//! those who are still to be told, of one channel for each owner.

use std::collections::HashMap;

use ringway_core::Incarnation;
use ringway_core::gateway::ChannelKey;
use ringway_core::message::{Attach, AttachId, Presence, SessionChange};

use super::present::PART_BYTES;
use super::session::SessionKey;
use super::{Hub, Socket};

/// Bytes of members that go with each attach of a frame, and with the frame at the most. They do not count as under way to the owner, so
/// the first is little.
const ROOM: usize = 2 << 10;
const ROOM_MOST: usize = PART_BYTES / 2;

/// Who is still to be told to each owner, of the attach that is next there.
#[derive(Debug, Default)]
pub(super) struct Crowds {
    rest: HashMap<Incarnation, (AttachId, Vec<SessionKey>)>,
}

impl<S: Socket> Hub<S> {
    /// Completes attaches of one frame with what the rules don't know: who is here. Members for whom there is no room follow when the
    /// attach is answered.
    pub fn fill_attaches(&mut self, attaches: &mut [Attach]) {
        let mut room = (attaches.len() * ROOM).min(ROOM_MOST);
        for attach in attaches {
            self.fill_attach(attach, &mut room);
            if attach.more {
                self.rules.members_follow(attach.attach);
            }
        }
    }

    fn fill_attach(&self, attach: &mut Attach, room: &mut usize) {
        let Some(channel) = self.channels.get(attach.attach.channel_key()) else { return };
        attach.sessions = channel.sessions() as u32;
        if !attach.options.presence {
            return;
        }
        let key = attach.attach.channel_key();
        for one in channel.keys().filter_map(|session| self.present_in(session, key)) {
            if one.size() > *room {
                attach.more = true;
                return;
            }
            *room -= one.size();
            attach.presence.push(one);
        }
    }

    /// Tells owners more of the members that they wait for, as much as they have room for.
    pub(super) fn tell_crowds(&mut self) {
        while let Some((owner, attach)) = self.rules.next_to_tell() {
            let Some(part) = self.next_part(owner, attach) else { return };
            self.rules.tell_part(owner, part);
        }
        if !self.crowds.rest.is_empty() && !self.rules.has_to_tell() {
            self.crowds.rest.clear();
        }
    }

    fn next_part(&mut self, owner: Incarnation, attach: AttachId) -> Option<SessionChange> {
        let key = attach.channel_key();
        let channel = self.rules.channel_name(key)?.clone();
        let mut rest = match self.crowds.rest.remove(&owner) {
            Some((of, rest)) if of == attach => rest,
            _ => self.channels.get(key).map(|channel| channel.keys().collect()).unwrap_or_default(),
        };
        let (mut joined, mut bytes) = (Vec::new(), 0);
        while let Some(session) = rest.pop() {
            let Some(one) = self.member(session, key) else { continue };
            bytes += one.size();
            if bytes > PART_BYTES && !joined.is_empty() {
                rest.push(session);
                break;
            }
            joined.push(one);
        }
        let last = rest.is_empty();
        if !last {
            self.crowds.rest.insert(owner, (attach, rest));
        }
        let sessions = self.channels.get(key).map_or(0, |channel| channel.sessions() as u32);
        Some(SessionChange { channel, attach, sessions, joined, left: Vec::new(), last })
    }

    /// Nobody is still to be told.
    #[cfg(test)]
    pub(super) fn crowds_are_empty(&self) -> bool {
        self.crowds.rest.is_empty()
    }

    /// Whoever has this key by now, if it is on the channel.
    fn member(&self, session: SessionKey, channel: ChannelKey) -> Option<Presence> {
        self.sessions.get(session as usize).filter(|session| session.sub(channel).is_some())?;
        self.present_in(session, channel)
    }
}
