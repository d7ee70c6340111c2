//! Channels with more members than an attach has room for: they are told when it is answered, part by part, as the owner takes them.

use super::{ChannelKey, Channels};
use crate::gateway::Gateway;
use crate::id::Incarnation;
use crate::message::{AttachId, Lane, Message, SessionChange};

impl Channels {
    /// The attach is answered: if more of its members are to follow, they do.
    pub(super) fn begin_to_tell(&mut self, key: ChannelKey, owner: Incarnation, attach: AttachId) {
        if self.crowds.get(&key) == Some(&attach) {
            self.crowds.remove(&key);
            self.to_tell.entry(owner).or_default().push_back(attach);
        }
    }
}

impl Gateway {
    /// The attach that goes out now has no room for all members: they are told in parts when it is answered, by whoever asks for
    /// [`Gateway::next_to_tell`]. Not before, for only then it is not sent again.
    pub fn members_follow(&mut self, attach: AttachId) {
        if self.channels.current(attach).is_some() {
            self.channels.crowds.insert(attach.channel_key(), attach);
        }
    }

    /// An attach whose members, or more of them, are to be told now: its owner has room for a part. [`Gateway::tell_part`] tells them.
    pub fn next_to_tell(&mut self) -> Option<(Incarnation, AttachId)> {
        let owners: Vec<Incarnation> = self.channels.to_tell.keys().copied().collect();
        owners.into_iter().find_map(|owner| Some((owner, self.next_to_tell_to(owner)?)))
    }

    fn next_to_tell_to(&mut self, owner: Incarnation) -> Option<AttachId> {
        if !self.peers.has_room_for_part(owner, Lane::Attaches) {
            return None;
        }
        while let Some(attach) = self.channels.to_tell.get(&owner).and_then(|attaches| attaches.front().copied()) {
            let current = self.channels.current(attach);
            if current.is_some_and(|(_, channel)| channel.asked == Some(owner) && channel.answered) {
                return Some(attach);
            }
            self.told(owner);
        }
        None
    }

    /// Members are still to be told to somebody.
    pub fn has_to_tell(&self) -> bool {
        !self.channels.to_tell.is_empty()
    }

    /// Tells an owner more of the members of the attach that is next there. The part says whether it is the last one.
    pub fn tell_part(&mut self, owner: Incarnation, part: SessionChange) {
        if part.last {
            self.told(owner);
        }
        self.peers.send_part(owner, Message::Sessions(Box::new(part)));
    }

    /// Goes on to the next attach whose members are to be told there.
    fn told(&mut self, owner: Incarnation) {
        if let Some(attaches) = self.channels.to_tell.get_mut(&owner) {
            attaches.pop_front();
            if attaches.is_empty() {
                self.channels.to_tell.remove(&owner);
            }
        }
    }
}
