//! What owners are told of who is on a channel: who came and left in a turn, at once; and in parts, as the owner takes them, those for
//! whom there is no room: members of a channel that is attached, and whoever comes while much is under way.
//!
//! A part is made of what is so when it goes. Who comes or goes meanwhile is told before or after the part that tells of the session, and
//! the owner knows the same in the end: a part never says what was undone before it. So nothing is kept but the keys of those who are
//! still to be told: of those who came too many at a time, and of the one channel of each owner that is told whole.
//!
//! Who left is told at once, for that is little: what is told later is who is there.

use std::collections::{HashMap, VecDeque};

use ringway_core::gateway::ChannelKey;
use ringway_core::message::{Attach, AttachId, Presence, SessionChange};

use super::channel::Changes;
use super::keys::SessionKey;
use super::{Hub, Socket};

/// Bytes of those who are told to an owner with one message.
const PART_BYTES: usize = 128 << 10;

/// Those who left that are told with one message: it is then a part.
const LEFT_MOST: usize = PART_BYTES / size_of::<u128>();

/// Bytes of members that go with each attach of a frame, and with the frame at the most. They do not count as under way to the owner, so
/// the first is little.
const ROOM: usize = 2 << 10;
const ROOM_MOST: usize = PART_BYTES / 2;

/// Who is still to be told, of channels whose members follow. Where nothing is said of such a channel, it is told whole.
///
/// A client that comes and goes all the time stands in it more than once, so twice as many keys as a channel has sessions are looked
/// through, and those that are over are dropped.
#[derive(Debug, Default)]
pub(super) struct Crowds {
    rest: HashMap<ChannelKey, VecDeque<SessionKey>>,
}

impl Crowds {
    /// The channel is attached, which says all, or let go.
    pub(super) fn forget(&mut self, channel: ChannelKey) {
        self.rest.remove(&channel);
    }

    /// Nobody is still to be told.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Keys of those.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.rest.values().map(VecDeque::len).sum()
    }
}

impl<S: Socket> Hub<S> {
    /// Completes attaches of one frame with what the rules don't know: who is here. Members for whom there is no room follow when the
    /// attach is answered.
    pub(crate) fn fill_attaches(&mut self, attaches: &mut [Attach]) {
        let mut room = (attaches.len() * ROOM).min(ROOM_MOST);
        for attach in attaches {
            self.audience.crowds.forget(attach.attach.channel_key());
            self.fill_attach(attach, &mut room);
            if attach.more {
                self.rules.members_follow(attach.attach);
            }
        }
    }

    fn fill_attach(&self, attach: &mut Attach, room: &mut usize) {
        let Some(channel) = self.audience.get(attach.attach.channel_key()) else { return };
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

    /// Tells a channel's owner who left it, and who came as far as there is room. Others who came are told in parts.
    pub(super) fn tell_changes(&mut self, key: ChannelKey, changes: Changes) {
        let Changes { mut joined, mut left } = changes;
        joined.sort_unstable();
        joined.dedup();
        let mut joined = VecDeque::from(joined);
        while left.len() > LEFT_MOST {
            let gone = left.split_off(left.len() - LEFT_MOST);
            self.tell_change(key, Vec::new(), gone, false);
        }
        loop {
            let is_little = joined.is_empty() && !left.is_empty();
            if !is_little && !self.rules.has_room_for_joins(key) {
                return self.put_off(key, joined, left);
            }
            let part = self.take_part(key, &mut joined, left.len() * size_of::<u128>());
            self.tell_change(key, part, std::mem::take(&mut left), false);
            if joined.is_empty() {
                return;
            }
        }
    }

    /// There is no room for those who came. Their owner is told that they follow: until then it does not say who is there.
    fn put_off(&mut self, key: ChannelKey, joined: VecDeque<SessionKey>, left: Vec<u128>) {
        let has_come = !joined.is_empty();
        let is_news = self.rules.joins_follow(key);
        if is_news {
            self.audience.crowds.rest.insert(key, joined);
        } else if let Some(mut rest) = self.audience.crowds.rest.remove(&key) {
            rest.extend(joined);
            if rest.len() > 2 * self.audience.sessions_of(key) {
                rest.make_contiguous().sort_unstable();
                let mut last = None;
                rest.retain(|session| last.replace(*session) != Some(*session) && self.roster.is_in(*session, key));
            }
            self.audience.crowds.rest.insert(key, rest);
        }
        if !left.is_empty() || is_news && has_come {
            self.tell_change(key, Vec::new(), left, has_come);
        }
    }

    fn tell_change(&mut self, key: ChannelKey, joined: Vec<Presence>, left: Vec<u128>, more: bool) {
        let sessions = self.audience.sessions_of(key) as u32;
        self.rules.sessions_changed(key, |channel, attach| SessionChange {
            channel,
            attach,
            sessions,
            joined,
            left,
            last: false,
            more,
        });
    }

    /// Tells owners more of the members that they wait for, as much as they have room for.
    pub(super) fn tell_crowds(&mut self) {
        while let Some((owner, attach)) = self.rules.next_to_tell() {
            let Some(part) = self.next_part(attach) else { return };
            self.rules.tell_part(owner, part);
        }
    }

    fn next_part(&mut self, attach: AttachId) -> Option<SessionChange> {
        let key = attach.channel_key();
        let channel = self.rules.channel_name(key)?.clone();
        let has_presence = self.rules.channel_options(key).is_some_and(|options| options.presence);
        let told = self.audience.crowds.rest.remove(&key);
        let all = || {
            self.audience.get(key).filter(|_| has_presence).map(|channel| channel.keys().collect()).unwrap_or_default()
        };
        let mut rest = told.unwrap_or_else(all);
        let joined = self.take_part(key, &mut rest, 0);
        let last = rest.is_empty();
        if !last {
            self.audience.crowds.rest.insert(key, rest);
        }
        let sessions = self.audience.sessions_of(key) as u32;
        Some(SessionChange { channel, attach, sessions, joined, left: Vec::new(), last, more: false })
    }

    /// Describes the next ones, if they are on the channel by now: as many as a part has room for that has so many bytes, or one.
    fn take_part(&self, key: ChannelKey, rest: &mut VecDeque<SessionKey>, mut bytes: usize) -> Vec<Presence> {
        let mut joined = Vec::new();
        while let Some(session) = rest.pop_front() {
            let Some(one) = self.member(session, key) else { continue };
            bytes += one.size();
            if bytes > PART_BYTES && !joined.is_empty() {
                rest.push_front(session);
                break;
            }
            joined.push(one);
        }
        joined
    }

    /// Whoever has this key by now, if it is on the channel.
    fn member(&self, session: SessionKey, channel: ChannelKey) -> Option<Presence> {
        if self.roster.is_in(session, channel) { self.present_in(session, channel) } else { None }
    }
}
