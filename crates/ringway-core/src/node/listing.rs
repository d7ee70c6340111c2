//! Who is on a channel and which channels there are: told page by page, when a gateway has room for a part. A page says what it
//! is of ([`Census`]), and the next one is refused where that has changed: half of a list is never told for the whole.
//!
//! Who is on a channel is known when every gateway has attached here what it has (its `AttachesDone` says so, for each link and each
//! reign), and when each of these attaches is whole: one with more members than its frame has room for says so, and its last part
//! says that they are all. Until then nothing is told, and whoever asked asks again.

use super::slot::{Phase, Wait};
use super::{GatewaySide, Node};
use crate::id::{ChannelName, Incarnation, Slot};
use crate::message::{
    Answer, AttachFrom, Census, ChannelsPage, ChannelsQuery, Durability, FRAME_OVERHEAD, Message, PresencePage,
    PresenceQuery, Refusal,
};
use crate::roll::{self, Roll};
use crate::stream::Stream;

impl Node {
    pub(super) fn answer_presence(&mut self, to: Incarnation, id: u64, query: &PresenceQuery) {
        let page = self.presence_page(query);
        self.peers.send_part(to, Message::Answer(id, page.map_or_else(Answer::Refused, Answer::Presence)));
    }

    fn presence_page(&self, query: &PresenceQuery) -> Result<PresencePage, Refusal> {
        let slot = self.slot_of(&query.channel);
        let reign = self.slots[slot.index()].reign().ok_or(Refusal::Retry)?;
        let census = Census { node: self.me, epoch: reign.term, losses: self.losses };
        let after = behind(query.after.as_ref(), census)?.copied();
        if !self.knows_members(&query.channel) {
            return Err(Refusal::Retry);
        }
        let (clients, more) = roll::page(self.rolls(&query.channel), after, self.peers.part_bytes());
        Ok(PresencePage { census, clients, more })
    }

    pub(super) fn presence_stats(&self, channel: &ChannelName) -> Answer {
        if !self.knows_members(channel) {
            return Answer::Refused(Refusal::Retry);
        }
        let (clients, users) = roll::count(self.rolls(channel));
        Answer::PresenceStats(clients, users)
    }

    /// Every gateway has told all who are on the channel. One that has been silent for `suspect` and has told nothing is not waited for.
    fn knows_members(&self, channel: &ChannelName) -> bool {
        let slot = self.slot_of(channel);
        let level = self.stream_of(channel).map(|(_, stream)| stream.options.level()).unwrap_or_default();
        let Some(reign) = self.slots[slot.index()].reign().filter(|_| self.is_ready(slot, level)) else { return false };
        let (now, suspect) = (self.peers.last_tick(), self.timing.suspect);
        let is_coming = |side: &GatewaySide| {
            (side.done < reign.term || !side.is_attached) && !self.peers.is_silence(now, side.heard, suspect)
        };
        // A gateway that comes back to the channel waits for the log.
        let comes_back = |wait: &Wait| matches!(wait, Wait::Attach(_, attach) if attach.channel == *channel && matches!(attach.from, AttachFrom::At(_)));
        let listeners = self.stream_of(channel).map(|(_, stream)| &stream.listeners[..]).unwrap_or_default();
        !self.gateways.values().any(is_coming)
            && !reign.waits().any(comes_back)
            && !self.is_parked(slot, channel)
            && !listeners.iter().any(|listener| listener.is_partial)
    }

    /// A gateway that comes to the channel waits for its slot.
    fn is_parked(&self, slot: Slot, channel: &ChannelName) -> bool {
        self.parked.get(&slot).into_iter().flatten().any(|(_, attach)| attach.channel == *channel)
    }

    fn rolls(&self, channel: &ChannelName) -> impl Iterator<Item = &Roll> + Clone {
        let listeners = self.stream_of(channel).map(|(_, stream)| &stream.listeners[..]).unwrap_or_default();
        listeners.iter().map(|listener| &listener.presence)
    }

    pub(super) fn answer_channels(&mut self, to: Incarnation, id: u64, query: &ChannelsQuery) {
        let page = self.channels_page(query);
        self.peers.send_part(to, Message::Answer(id, page.map_or_else(Answer::Refused, Answer::Channels)));
    }

    /// Slot by slot, and in a slot by name: so a page begins where the last one ended without a list of all names in order.
    fn channels_page(&self, query: &ChannelsQuery) -> Result<ChannelsPage, Refusal> {
        let census = Census { node: self.me, epoch: self.view().epoch, losses: self.losses };
        if query.epoch != census.epoch {
            return Err(Refusal::Unrecoverable);
        }
        let after = behind(query.after.as_ref(), census)?;
        let (room, first) = (self.peers.part_bytes(), after.map_or(0, |name| self.slot_of(name).index()));
        let (mut channels, mut bytes) = (Vec::new(), 0);
        for slot in (first..self.slots.len()).map(|slot| Slot(slot as u32)) {
            if matches!(self.slots[slot.index()].phase, Phase::Idle) {
                continue;
            }
            // Its listeners may not have come yet.
            if !self.is_ready(slot, Durability::Memory) {
                return Err(Refusal::Retry);
            }
            for stream in self.attended_after(slot, after.filter(|_| slot.index() == first), room) {
                bytes += FRAME_OVERHEAD + stream.name.as_str().len();
                if bytes > room && !channels.is_empty() {
                    return Ok(ChannelsPage { census, channels, more: true });
                }
                channels.push((stream.name.clone(), stream.sessions()));
            }
        }
        Ok(ChannelsPage { census, channels, more: false })
    }

    /// The channels of a slot behind this name that somebody is subscribed to, in order: as many as are of use to one page.
    fn attended_after(&self, slot: Slot, after: Option<&ChannelName>, room: usize) -> Vec<&Stream> {
        let streams = self.slots[slot.index()].streams.iter().filter_map(|key| self.streams.get(*key as usize));
        let mut attended: Vec<&Stream> = streams
            .filter(|stream| stream.is_attended() && after.is_none_or(|after| stream.name.as_str() > after.as_str()))
            .collect();
        // One more than fits, so that the page knows that there is more.
        let most = room / FRAME_OVERHEAD + 2;
        if attended.len() > most {
            attended.select_nth_unstable_by(most, |a, b| a.name.as_str().cmp(b.name.as_str()));
            attended.truncate(most);
        }
        attended.sort_unstable_by(|a, b| a.name.as_str().cmp(b.name.as_str()));
        attended
    }
}

/// Where a page begins.
///
/// # Errors
/// The listing is of another census.
fn behind<K>(after: Option<&(K, Census)>, census: Census) -> Result<Option<&K>, Refusal> {
    match after {
        Some((_, asked)) if *asked != census => Err(Refusal::Unrecoverable),
        after => Ok(after.map(|(last, _)| last)),
    }
}
