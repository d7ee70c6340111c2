//! Members of channels that an attach, or the room for those who come, has no place for: their owner is told of them when the attach is
//! answered, part by part, as it takes them.

use super::{ChannelKey, Channels};
use crate::gateway::Gateway;
use crate::id::Incarnation;
use crate::limits::JOINS_UNDER_WAY;
use crate::message::{AttachId, Lane, Message, SessionChange};

impl Channels {
    /// If members are to follow an attach that is answered, they do.
    pub(super) fn begin_to_tell(&mut self, key: ChannelKey) {
        let Some(channel) = self.slab.get(key.0 as usize).filter(|channel| channel.follows && channel.answered) else {
            return;
        };
        if let Some(owner) = channel.asked {
            self.to_tell.entry(owner).or_default().push_back(channel.attach);
        }
    }
}

impl Gateway {
    /// The attach that goes out now has no room for all members: they are told in parts when it is answered, by whoever asks for
    /// [`Gateway::next_to_tell`]. Not before, for only then it is not sent again.
    pub fn members_follow(&mut self, attach: AttachId) {
        if let Some((_, channel)) = self.channels.current(attach).filter(|(_, channel)| !channel.answered) {
            channel.follows = true;
        }
    }

    /// The owner of a channel may be told at once who comes to it: there is room for that, or nobody to be told.
    pub fn has_room_for_joins(&self, key: ChannelKey) -> bool {
        let asked = self.channels.slab.get(key.0 as usize).and_then(|channel| channel.asked);
        asked.is_none_or(|owner| self.peers.live_under_way(owner, Lane::Attaches) < JOINS_UNDER_WAY)
    }

    /// There is no room for some who came to a channel: they are told as those for whom its attach had none. Says whether that is
    /// news, of which the owner is to be told; otherwise members of the channel follow already.
    pub fn joins_follow(&mut self, key: ChannelKey) -> bool {
        let Some(channel) = self.channels.slab.get_mut(key.0 as usize) else { return false };
        let is_news = !std::mem::replace(&mut channel.follows, true);
        if is_news {
            self.channels.begin_to_tell(key);
        }
        is_news
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
        let Some(attaches) = self.channels.to_tell.get_mut(&owner) else { return };
        let told = attaches.pop_front();
        if attaches.is_empty() {
            self.channels.to_tell.remove(&owner);
        }
        let current = told.and_then(|attach| self.channels.current(attach));
        if let Some((_, channel)) = current.filter(|(_, channel)| channel.asked == Some(owner)) {
            channel.follows = false;
        }
    }
}
