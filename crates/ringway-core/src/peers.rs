//! The outgoing side of a member's rules: frames for linked peers, each preceded by the view it speaks of.
//!
//! On every link the view of an epoch goes before the first frame of that epoch. So a receiver is never behind the
//! frame that it reads, and "catch up first" needs no waiting.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::id::{Epoch, Incarnation};
use crate::limits::SYNC_BATCH;
use crate::message::{FRAME_OVERHEAD, Frame, Lane, Message, SlotSync};
use crate::timing::Now;
use crate::view::View;

/// A frame to be put on the link to a peer. Where the link is gone meanwhile it is dropped: the rules start again from `link_up`.
#[derive(Debug, Clone, PartialEq)]
pub struct Outgoing {
    /// Incarnation of the peer.
    pub to: Incarnation,
    /// What to send.
    pub frame: Frame,
}

/// Linked peers, what each of them knows of the view, and what waits to be sent.
#[derive(Debug)]
pub(crate) struct Peers {
    view: Arc<View>,
    told: BTreeMap<Incarnation, Sent>,
    heard: BTreeMap<Incarnation, Heard>,
    /// When this member last stood still for a while: what it did not hear then proves nothing.
    awake_since: Now,
    last_tick: Now,
    told_taken: Now,
    /// Bytes of parts that may be under way to one role of a peer.
    bulk: usize,
    out: Vec<Outgoing>,
}

/// What went out on a link.
#[derive(Debug, Default)]
struct Sent {
    /// Newest epoch of the frames.
    epoch: Epoch,
    lanes: [UnderWay; 3],
}

/// What of a lane has not been taken by the peer, as far as it has said.
#[derive(Debug, Default)]
struct UnderWay {
    /// Bytes sent and taken since the link came up.
    sent: u64,
    taken: u64,
    /// Parts of what is large: where each ends among what was sent, and its bytes.
    parts: VecDeque<(u64, usize)>,
    /// Bytes of these.
    bulk: usize,
}

impl UnderWay {
    fn taken(&mut self, all: u64) {
        self.taken = all.clamp(self.taken, self.sent);
        while let Some((_, bytes)) = self.parts.pop_front_if(|(end, _)| *end <= self.taken) {
            self.bulk -= bytes;
        }
    }

    fn live(&self) -> usize {
        usize::try_from(self.sent - self.taken).unwrap_or(usize::MAX).saturating_sub(self.bulk)
    }
}

/// What came on a link.
#[derive(Debug, Clone, Copy)]
struct Heard {
    /// Newest epoch of its frames.
    epoch: Epoch,
    /// Bytes taken of each lane, and as many as the peer was told of.
    taken: [u64; 3],
    acknowledged: [u64; 3],
    /// When the last frame came.
    frame: Option<Now>,
    /// The same, or when the link came up.
    alive: Now,
}

impl Peers {
    /// Nobody linked yet. A peer that has so many bytes under way as `bulk` waits: it is told of a quarter of them at once, so that it hardly
    /// ever waits, and one small frame does for many that came.
    pub(crate) fn new(view: Arc<View>, bulk: usize) -> Self {
        let (told, heard) = (BTreeMap::new(), BTreeMap::new());
        Self {
            view,
            told,
            heard,
            awake_since: Now::ZERO,
            last_tick: Now::ZERO,
            told_taken: Now::ZERO,
            bulk,
            out: Vec::new(),
        }
    }

    /// The view that frames are sent with.
    pub(crate) fn view(&self) -> &Arc<View> {
        &self.view
    }

    /// Frames are of this view from now on.
    pub(crate) fn set_view(&mut self, view: Arc<View>) {
        self.view = view;
    }

    /// A link came up, anew or instead of an older one.
    pub(crate) fn link_up(&mut self, now: Now, peer: Incarnation) {
        self.told.insert(peer, Sent::default());
        let heard = Heard { epoch: Epoch(0), taken: [0; 3], acknowledged: [0; 3], frame: None, alive: now };
        self.heard.insert(peer, heard);
    }

    /// A link ended.
    pub(crate) fn link_down(&mut self, peer: Incarnation) {
        self.told.remove(&peer);
        self.heard.remove(&peer);
    }

    /// There is a link to this peer.
    pub(crate) fn is_up(&self, peer: Incarnation) -> bool {
        self.told.contains_key(&peer)
    }

    /// Every linked peer.
    pub(crate) fn linked(&self) -> impl Iterator<Item = Incarnation> + '_ {
        self.told.keys().copied()
    }

    /// A frame of this epoch came in on the link.
    pub(crate) fn heard(&mut self, now: Now, peer: Incarnation, epoch: Epoch) {
        if let Some(heard) = self.heard.get_mut(&peer) {
            *heard = Heard { epoch: epoch.max(heard.epoch), frame: Some(now), alive: now, ..*heard };
        }
    }

    /// Newest epoch that a frame on this link carried: the peer has applied that view.
    pub(crate) fn heard_epoch(&self, peer: Incarnation) -> Option<Epoch> {
        self.heard.get(&peer).map(|heard| heard.epoch)
    }

    /// When the last frame came on this link; `None` before the first and without a link.
    pub(crate) fn last_heard(&self, peer: Incarnation) -> Option<Now> {
        self.heard.get(&peer).and_then(|heard| heard.frame)
    }

    /// Lets time pass; members ping each other this often.
    pub(crate) fn tick(&mut self, now: Now, ping: Duration) {
        if now > self.last_tick + ping * 4 {
            self.awake_since = now;
        }
        self.last_tick = now;
    }

    /// When time was last let pass.
    pub(crate) fn last_tick(&self) -> Now {
        self.last_tick
    }

    /// A member that was heard at `last` has been silent for longer than `limit`, in which this one did not stand still.
    pub(crate) fn is_silence(&self, now: Now, last: Now, limit: Duration) -> bool {
        now > last.max(self.awake_since) + limit
    }

    /// The peer is not linked, or nothing came on its link for longer than `limit`.
    pub(crate) fn is_silent(&self, now: Now, peer: Incarnation, limit: Duration) -> bool {
        self.heard.get(&peer).is_none_or(|heard| self.is_silence(now, heard.alive, limit))
    }

    /// Since when a peer does not serve that is lost at `now`: since it was last heard, if that is longer ago than `silent`.
    pub(crate) fn unserved_since(&self, now: Now, peer: Incarnation, silent: Now) -> Now {
        self.last_heard(peer).filter(|heard| now > *heard + silent).unwrap_or(now)
    }

    /// Queues a message for a linked peer; nothing happens where there is no link.
    pub(crate) fn send(&mut self, to: Incarnation, message: Message) {
        let Some(told) = self.told.get_mut(&to) else { return };
        if let Some((lane, bytes)) = message.weight() {
            told.lanes[lane.index()].sent += bytes as u64;
        }
        let epoch = self.view.epoch;
        if told.epoch < epoch && epoch > Epoch(0) {
            told.epoch = epoch;
            self.out.push(Outgoing { to, frame: Frame { epoch, message: Message::Moved(self.view.clone()) } });
        }
        self.out.push(Outgoing { to, frame: Frame { epoch, message } });
    }

    /// The same for a part of what is large. Returns its bytes.
    pub(crate) fn send_part(&mut self, to: Incarnation, message: Message) -> usize {
        let weight = message.weight();
        self.send(to, message);
        if let Some((lane, bytes)) = weight
            && let Some(told) = self.told.get_mut(&to)
        {
            let lane = &mut told.lanes[lane.index()];
            lane.parts.push_back((lane.sent, bytes));
            lane.bulk += bytes;
        }
        weight.map_or(0, |(_, bytes)| bytes)
    }

    /// Bytes of one part, where that is not one publication.
    pub(crate) fn part_bytes(&self) -> usize {
        self.bulk / 2
    }

    /// The peer has taken enough of the parts that it was sent to be sent another one. Without a link there are none.
    pub(crate) fn has_room_for_part(&self, to: Incarnation, lane: Lane) -> bool {
        self.told.get(&to).is_none_or(|told| told.lanes[lane.index()].bulk < self.part_bytes().max(1))
    }

    /// Bytes of what is no part that the peer has not said it has taken.
    pub(crate) fn live_under_way(&self, to: Incarnation, lane: Lane) -> usize {
        self.told.get(&to).map_or(0, |told| told.lanes[lane.index()].live())
    }

    /// The peer says how much it has taken.
    pub(crate) fn on_taken(&mut self, from: Incarnation, lane: Lane, bytes: u64) {
        if let Some(told) = self.told.get_mut(&from) {
            told.lanes[lane.index()].taken(bytes);
        }
    }

    /// Something of a lane was taken here. The peer is told at once when it may wait for that.
    pub(crate) fn take(&mut self, from: Incarnation, message: &Message) {
        let Some((lane, bytes)) = message.weight() else { return };
        let Some(heard) = self.heard.get_mut(&from) else { return };
        let (taken, acknowledged) = (&mut heard.taken[lane.index()], &mut heard.acknowledged[lane.index()]);
        *taken += bytes as u64;
        if *taken - *acknowledged > self.bulk as u64 / 4 {
            *acknowledged = *taken;
            let taken = *taken;
            self.send(from, Message::Taken(lane, taken));
        }
    }

    /// Tells every peer, so often at most, what was taken and it does not know.
    pub(crate) fn tell_taken(&mut self, now: Now, pause: Duration) {
        if now < self.told_taken + pause {
            return;
        }
        self.told_taken = now;
        let mut news = Vec::new();
        for (peer, heard) in &mut self.heard {
            for lane in [Lane::Copies, Lane::Deliveries, Lane::Attaches] {
                let taken = heard.taken[lane.index()];
                if std::mem::replace(&mut heard.acknowledged[lane.index()], taken) < taken {
                    news.push((*peer, lane, taken));
                }
            }
        }
        news.into_iter().for_each(|(peer, lane, taken)| self.send(peer, Message::Taken(lane, taken)));
    }

    /// Queues a `Sync` without content. It joins the frame that was queued last, if that is of its kind and goes the same
    /// way: so it overtakes nothing, and nothing overtakes it.
    pub(crate) fn send_sync(&mut self, to: Incarnation, sync: SlotSync) {
        match self.last_frame(to) {
            Some(Frame { message: Message::Syncs(batch), .. }) if batch.len() < SYNC_BATCH => {
                batch.push(sync);
                if let Some(told) = self.told.get_mut(&to) {
                    told.lanes[Lane::Copies.index()].sent += FRAME_OVERHEAD as u64;
                }
            }
            _ => self.send(to, Message::Syncs(vec![sync])),
        }
    }

    /// Queues the view for a peer that does not know it; once, where nothing else was queued since.
    pub(crate) fn send_view(&mut self, to: Incarnation) {
        if !matches!(self.last_frame(to), Some(Frame { message: Message::Moved(_), .. })) {
            self.send(to, Message::Moved(self.view.clone()));
        }
    }

    /// The frame that was queued last, if it is for this peer, of this view, and on a link that was told of it.
    fn last_frame(&mut self, to: Incarnation) -> Option<&mut Frame> {
        let epoch = self.view.epoch;
        let told = self.told.get(&to).is_some_and(|told| told.epoch == epoch);
        let last = self.out.last_mut().filter(|last| told && last.to == to && last.frame.epoch == epoch);
        last.map(|last| &mut last.frame)
    }

    /// Takes what waits to be sent, in order.
    pub(crate) fn drain(&mut self) -> std::vec::Drain<'_, Outgoing> {
        self.out.drain(..)
    }

    /// The same into an empty buffer, which changes places with the one that was filled: nothing is copied.
    pub(crate) fn swap(&mut self, frames: &mut Vec<Outgoing>) {
        std::mem::swap(&mut self.out, frames);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Slot;
    use crate::ring::{HashKey, SlotCount};

    const PEER: Incarnation = Incarnation(2);

    fn peers() -> Peers {
        let mut peers = Peers::new(Arc::new(View::born(HashKey::from_bytes([0; 16]), SlotCount::MIN)), 0);
        [PEER, Incarnation(3)].into_iter().for_each(|peer| peers.link_up(Now::ZERO, peer));
        peers
    }

    fn sync(number: u64) -> SlotSync {
        SlotSync {
            slot: Slot(0),
            term: Epoch(1),
            number,
            index: 0,
            base: None,
            standing: crate::message::Standing::default(),
        }
    }

    /// What was queued for a peer: `v` a view, `s` a frame of syncs with their number, `o` anything else.
    fn queued(peers: &mut Peers, to: Incarnation) -> String {
        let frames = peers.drain().filter(|outgoing| outgoing.to == to);
        let short = frames.map(|outgoing| match outgoing.frame.message {
            Message::Moved(_) => "v".to_owned(),
            Message::Syncs(batch) => format!("s{}", batch.len()),
            _ => "o".to_owned(),
        });
        short.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn syncs_in_a_row_share_frames_of_a_limited_size() {
        let mut peers = peers();
        (0..SYNC_BATCH as u64 + 3).for_each(|number| peers.send_sync(PEER, sync(number)));
        assert_eq!(queued(&mut peers, PEER), format!("v s{SYNC_BATCH} s3"));
    }

    #[test]
    fn a_sync_joins_only_what_was_queued_last() {
        let mut peers = peers();
        let settled = || Message::Settled(Epoch(1));
        peers.send_sync(PEER, sync(1));
        peers.send(PEER, settled());
        peers.send_sync(PEER, sync(2));
        peers.send_sync(Incarnation(3), sync(3));
        peers.send_sync(PEER, sync(4));
        assert_eq!(queued(&mut peers, PEER), "v s1 o s1 s1");
    }

    #[test]
    fn a_sync_of_another_view_or_link_takes_its_own_frame() {
        let mut peers = peers();
        peers.send_sync(PEER, sync(1));
        peers.set_view(Arc::new(peers.view().affirmed()));
        peers.send_sync(PEER, sync(2));
        peers.link_down(PEER);
        peers.send_sync(PEER, sync(3));
        peers.link_up(Now::ZERO, PEER);
        peers.send_sync(PEER, sync(4));
        assert_eq!(queued(&mut peers, PEER), "v s1 v s1 v s1");
    }

    #[test]
    fn silence_is_counted_from_the_last_frame_the_link_or_ones_own_standstill() {
        let (ping, limit) = (Duration::from_millis(100), Duration::from_millis(1500));
        let at = Duration::from_millis;
        let mut peers = peers();
        (0..=40).for_each(|step| peers.tick(at(step * 100), ping));
        assert!(peers.is_silent(at(1501), PEER, limit) && !peers.is_silent(at(1500), PEER, limit));
        peers.heard(at(1000), PEER, Epoch(1));
        assert!(peers.is_silent(at(2501), PEER, limit) && !peers.is_silent(at(2500), PEER, limit));
        assert!(peers.is_silent(at(100), Incarnation(7), limit), "without a link there is nothing to hear");
        // It did not run for six seconds, so it heard nobody, and nobody is to blame.
        peers.tick(at(10_000), ping);
        assert!(!peers.is_silent(at(11_500), PEER, limit) && peers.is_silent(at(11_501), PEER, limit));
    }
}
