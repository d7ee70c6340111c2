//! A node's rules: the slots it owns, the copies it keeps for others, and how one becomes the other.
//!
//! The safety of the cluster is here (and in nothing else): an owner acknowledges only what every copy that it has
//! marked has confirmed; it never drops one on its own; a new owner goes live only after every node of its view has
//! said what it holds. The rules are named R1 to R25 in ARCHITECTURE.md.

mod attach;
mod claims;
mod copies;
mod inspect;
mod listing;
mod log;
mod logbook;
mod orders;
mod outflow;
mod posts;
mod publish;
mod replay;
mod replica;
mod slot;
mod staging;
mod sweep;
mod syncs;
mod tally;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use crate::id::{ChannelName, Epoch, Incarnation, Slot};
use crate::limits::{NodeLimits, SLOT_LINES};
use crate::logbook::LogRequest;
use crate::message::{Answer, Attach, Detach, Have, Lane, Message, NodeInfo, Query, Refusal};
use crate::peers::{Outgoing, Peers};
use crate::relay::Relay;
use crate::stream::Stream;
use crate::timing::{Now, Timing};
use crate::view::{Placement, View};

pub use inspect::{ChannelReport, ReignReport, SlotReport, told_by};
use outflow::Paged;
use slot::{Phase, SlotEntry};

/// A node's lease as its holder counts it, from *sending* a renewal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lease {
    /// No renewal was ever good.
    Never,
    /// It ran out, or a renewal found no key; the last good renewal was sent then.
    Lapsed(Now),
    /// Good since then.
    Since(Now),
    /// The registry is in this process: the lease cannot lapse.
    Forever,
}

impl Lease {
    /// An owner that is alone may acknowledge (R12).
    fn holds_solo(self, now: Now, own: Now) -> bool {
        match self {
            Self::Never | Self::Lapsed(_) => false,
            Self::Since(renewed) => now < renewed + own,
            Self::Forever => true,
        }
    }

    /// An owner with a confirmed second copy may acknowledge (R13).
    fn holds_pair(self, now: Now, pair: Now) -> bool {
        match self {
            Self::Never => false,
            Self::Lapsed(renewed) | Self::Since(renewed) => now < renewed + pair,
            Self::Forever => true,
        }
    }
}

/// A gateway as a node sees it.
#[derive(Debug, Default)]
struct GatewaySide {
    /// It has sent all attaches of this epoch.
    done: Epoch,
    /// And all on the link that is up.
    is_attached: bool,
    /// When it was heard last, on whatever link, or when it came into the view.
    heard: Now,
}

/// The rules of one node incarnation.
#[derive(Debug)]
pub struct Node {
    me: Incarnation,
    timing: Timing,
    limits: NodeLimits,
    random: u64,
    born: Now,
    peers: Peers,
    placement: Option<Placement>,
    lease: Lease,
    slots: Vec<SlotEntry>,
    streams: slab::Slab<Stream>,
    names: HashMap<ChannelName, u32>,
    gateways: BTreeMap<Incarnation, GatewaySide>,
    claims: claims::ClaimRound,
    copies: syncs::Copies,
    /// What gateways have not been told yet; those that know everything have no entry.
    outflows: BTreeMap<Incarnation, outflow::Outflow>,
    orders: orders::Orders,
    posts: posts::Posts,
    next_sync: u64,
    /// When a view with more removals was applied last; `None`: nobody who was removed acts any more.
    removal_seen: Option<Now>,
    /// `Have`s to be sent at the end of the turn.
    haves: Vec<(Incarnation, Have)>,
    /// Owners that were refused, by slot: at most one entry for each slot and node of the view.
    refused: BTreeSet<(Incarnation, Slot)>,
    /// Slots whose commit point the lease holds up.
    stalled: BTreeSet<Slot>,
    /// Slots that hold publishes, or attaches of inboxes, until gateways have changed over.
    holding: BTreeSet<Slot>,
    /// Attaches that came while their slot was being taken over, or before all gateways have said how far inboxes are: at most
    /// one for each gateway and channel.
    parked: BTreeMap<Slot, Vec<(Incarnation, Attach)>>,
    /// What came meanwhile of inboxes that were let go: at most one for each that its gateway keeps telling of.
    parted: BTreeMap<Slot, Vec<(Incarnation, Detach)>>,
    /// How often all that a gateway has told of its sessions was let go: listings that had begun are refused from then on.
    losses: u64,
    /// Owned slots that are not settled.
    unsettled: u64,
    tally: tally::Tally,
    settled_at: Epoch,
    settled_by: BTreeMap<Incarnation, Epoch>,
    /// Inboxes whose progress is to be recorded, by when: at most one entry for each while it is a stream of this node.
    progress: VecDeque<(Now, u32)>,
    users: u64,
    history_bytes: usize,
    keys: usize,
    swept: usize,
    expelled: bool,
    /// Slots whose book may have something to ask of the log.
    books: BTreeSet<Slot>,
    /// What was asked, when, and for what.
    log_errands: BTreeMap<u64, (Now, logbook::Errand)>,
    log_requests: VecDeque<LogRequest>,
    next_log: u64,
    /// Operations that wait for the log, in bytes.
    log_bytes: usize,
    is_log_full: bool,
    /// Requests to the log that had no answer since the last one that had one.
    log_silence: u32,
    /// The log has records of another cluster.
    is_log_foreign: bool,
    /// Every member asks the log by itself.
    is_log_shared: bool,
    /// Who passes requests to the log on.
    log_relay: Relay,
    /// When the first request to the log was sent that came after its last answer.
    log_unanswered: Option<Now>,
    next_log_probe: Now,
    /// Slots of mine that are live for the log alone.
    early: BTreeSet<Slot>,
}

impl Node {
    /// A node that holds nothing yet. `random` seeds the names of its streams.
    pub fn new(now: Now, me: Incarnation, view: Arc<View>, timing: Timing, limits: NodeLimits, random: u64) -> Self {
        let mut slots = Vec::new();
        slots.resize_with(view.slots.get() as usize, SlotEntry::default);
        Self {
            me,
            timing,
            limits,
            random: random | 1,
            born: now,
            peers: Peers::new(view, limits.bulk_bytes),
            placement: None,
            lease: Lease::Never,
            slots,
            streams: slab::Slab::new(),
            names: HashMap::new(),
            gateways: BTreeMap::new(),
            claims: claims::ClaimRound::default(),
            copies: syncs::Copies::default(),
            outflows: BTreeMap::new(),
            orders: orders::Orders::default(),
            posts: posts::Posts::default(),
            next_sync: 0,
            removal_seen: None,
            haves: Vec::new(),
            refused: BTreeSet::new(),
            stalled: BTreeSet::new(),
            holding: BTreeSet::new(),
            parked: BTreeMap::new(),
            parted: BTreeMap::new(),
            losses: 0,
            unsettled: 0,
            tally: tally::Tally::default(),
            settled_at: Epoch(0),
            settled_by: BTreeMap::new(),
            progress: VecDeque::new(),
            users: 0,
            history_bytes: 0,
            keys: 0,
            swept: 0,
            expelled: false,
            books: BTreeSet::new(),
            log_errands: BTreeMap::new(),
            log_requests: VecDeque::new(),
            next_log: 0,
            log_bytes: 0,
            is_log_full: false,
            log_silence: 0,
            is_log_foreign: false,
            is_log_shared: false,
            log_relay: Relay::default(),
            log_unanswered: None,
            next_log_probe: now,
            early: BTreeSet::new(),
        }
    }

    /// This life of the node.
    pub fn incarnation(&self) -> Incarnation {
        self.me
    }

    /// The newest view applied.
    pub fn view(&self) -> &Arc<View> {
        self.peers.view()
    }

    /// Owned slots that lack a copy or are not live.
    pub fn unsettled(&self) -> u64 {
        self.unsettled
    }

    /// Every slot that this node owns at this epoch is settled (R21).
    pub fn is_settled(&self) -> bool {
        self.unsettled == 0 && self.placement.is_some() && !self.expelled
    }

    /// Newest epoch at which this node said that it was settled.
    pub(crate) fn settled_by(&self, node: Incarnation) -> Epoch {
        if node == self.me && self.is_settled() {
            return self.view().epoch;
        }
        self.settled_by.get(&node).copied().unwrap_or_default()
    }

    /// The lease changed: commit points that waited for it may move.
    pub fn set_lease(&mut self, now: Now, lease: Lease) {
        self.lease = lease;
        for slot in std::mem::take(&mut self.stalled) {
            self.advance(now, slot);
        }
    }

    /// Applies a newer view. Older ones are ignored, and what is no view of this cluster.
    pub fn on_view(&mut self, now: Now, view: &Arc<View>) {
        if self.is_news(view) {
            // Who is outside needs not know where everything is. Every member that it meets tells it the view, and each time the whole
            // table would be worked out from nothing.
            let placement = view.node(self.me).is_some().then(|| Placement::of(view, self.placement.as_ref()));
            self.apply_view(now, view, placement);
        }
    }

    /// The same, where what the view means is known already: a process computes it once, for all its rules.
    pub fn on_view_placed(&mut self, now: Now, view: &Arc<View>, placement: &Placement) {
        if self.is_news(view) {
            self.apply_view(now, view, Some(placement.clone()));
        }
    }

    fn is_news(&self, view: &View) -> bool {
        let is_older = view.epoch < self.view().epoch;
        let is_first = self.placement.is_none() && !is_older && self.view().accepts(view).is_ok();
        !self.expelled && (view.follows(self.view()) || is_first)
    }

    /// Each slot begins, keeps or ends its part here. What was agreed under the former view (claims, releases, that all is settled) is asked for
    /// anew: answers count at one and the same epoch only (R5, R7, R21).
    fn apply_view(&mut self, now: Now, view: &Arc<View>, placement: Option<Placement>) {
        let before = self.peers.view().clone();
        let first = self.placement.is_none();
        // Whoever was removed may act for a while yet, and no stream begins anew before that is over (R10). Of what was removed before this
        // node knew a view, it does not know when, if the view does not say that it is over.
        if view.removals_over >= view.removals {
            self.removal_seen = None;
        } else if first || view.removals > before.removals {
            self.removal_seen = Some(now);
        }
        let crashed = !first && view.crashes > before.crashes;
        self.placement = placement;
        self.peers.set_view(view.clone());
        if view.node(self.me).is_none() {
            // Before its first join no view lists this node, and it holds nothing to drop.
            self.placement = None;
            if !first {
                self.expel();
            }
            return;
        }
        self.follow_members(now, view);
        self.claims.start_over();
        self.settled_at = Epoch(0);
        // Counted from the start: claims and settled slots have all moved.
        self.unsettled = view.slots.slots().map(|slot| u64::from(self.apply_placement(now, slot, crashed))).sum();
        self.own_up_to_refusals();
        self.send_claims(now);
        self.pump_copies(now);
        // Gateways that change over wait for word of the new view from everybody.
        self.ping();
    }

    /// Drops everything: nothing that this incarnation holds may ever count again (R11).
    fn expel(&mut self) {
        self.expelled = true;
        for slot in 0..self.slots.len() {
            self.refuse_waiting(Slot(slot as u32));
        }
        self.slots.iter_mut().for_each(|entry| *entry = SlotEntry::default());
        self.streams.clear();
        self.names.clear();
        self.gateways.clear();
        self.claims.start_over();
        self.haves.clear();
        self.refused.clear();
        self.stalled.clear();
        self.holding.clear();
        self.parked.clear();
        self.parted.clear();
        self.progress.clear();
        self.outflows.clear();
        self.orders.clear();
        self.posts.clear();
        self.books.clear();
        self.log_errands.clear();
        self.log_requests.clear();
        self.early.clear();
        self.log_bytes = 0;
        (self.users, self.history_bytes, self.keys, self.unsettled) = (0, 0, 0, 0);
        self.tally = tally::Tally::default();
    }

    /// Lets go of members that left the view, and takes note of gateways that came into it.
    fn follow_members(&mut self, now: Now, view: &View) {
        let gone: Vec<Incarnation> =
            self.gateways.keys().copied().filter(|gateway| view.gateway(*gateway).is_none()).collect();
        for gateway in gone {
            self.gateways.remove(&gateway);
            self.drop_listeners(now, gateway);
            self.orders_without(gateway);
            self.end_posts(gateway, &Answer::Posted(false));
        }
        for gateway in &view.gateways {
            self.gateways.entry(gateway.incarnation).or_insert(GatewaySide {
                done: Epoch(0),
                is_attached: false,
                heard: now,
            });
        }
        self.settled_by.retain(|node, _| view.node(*node).is_some());
        self.copies.start_over(|node| view.node(node).is_some());
    }

    /// What the new view means for one slot. Says whether it is mine and not settled.
    fn apply_placement(&mut self, now: Now, slot: Slot, crashed: bool) -> bool {
        let mine = self.placement.as_ref().and_then(|placement| placement.owner(slot)) == Some(self.me);
        let (entry, view) = (&mut self.slots[slot.index()], self.peers.view());
        // Incarnations never return, so nothing of theirs will be repeated.
        if !entry.publishers.is_empty() {
            entry.publishers.retain(|publisher| view.gateway(publisher.gateway).is_some());
        }
        if !mine {
            entry.elsewhere = view.epoch;
        }
        match (&entry.phase, mine) {
            (Phase::Idle, false) => false,
            (Phase::Live(_), true) => {
                self.keep_reigning(now, slot);
                self.slots[slot.index()].reign().is_some_and(|reign| !reign.settled)
            }
            (_, true) => {
                entry.phase = Phase::Claiming;
                entry.staging = None;
                self.claims.add(slot, crashed);
                true
            }
            (_, false) => {
                self.stop(slot);
                false
            }
        }
    }

    /// No longer the owner: waiting answers and attaches are dropped, data and mark are kept.
    fn stop(&mut self, slot: Slot) {
        self.refuse_waiting(slot);
        self.close_book(slot);
        self.early.remove(&slot);
        self.parked.remove(&slot);
        self.parted.remove(&slot);
        self.holding.remove(&slot);
        let entry = &mut self.slots[slot.index()];
        entry.phase = Phase::Idle;
        entry.staging = None;
        for key in entry.streams.clone() {
            self.drop_all_listeners(key);
            let stream = &mut self.streams[key as usize];
            stream.commit_all();
            if stream.epoch.is_none() {
                self.remove_stream(key);
            }
        }
    }

    /// A link to a member came up, anew or instead of an older one.
    pub fn on_link_up(&mut self, now: Now, peer: Incarnation) {
        if self.peers.is_up(peer) {
            self.on_link_down(now, peer);
        }
        self.peers.link_up(now, peer);
        self.heard(now, peer);
        if self.expelled {
            return;
        }
        self.claims_link_up(now, peer);
        self.copies_link_up(now, peer);
        if self.settled_at != Epoch(0) {
            self.peers.send(peer, Message::Settled(self.settled_at));
        }
        self.peers.send(peer, Message::Ping(self.load()));
    }

    /// A link ended. What it carried may be lost; `need` and marks stay as they are.
    pub fn on_link_down(&mut self, now: Now, peer: Incarnation) {
        self.peers.link_down(peer);
        if let Some(side) = self.gateways.get_mut(&peer) {
            side.is_attached = false;
        }
        self.refused.retain(|(owner, _)| *owner != peer);
        self.drop_listeners(now, peer);
        self.orders_cut_off(peer);
        self.end_posts(peer, &Answer::Refused(Refusal::Retry));
        self.copies_link_down(peer);
    }

    /// A member was heard at this time, though what it sent may still wait to be taken.
    pub fn heard(&mut self, at: Now, peer: Incarnation) {
        if let Some(side) = self.gateways.get_mut(&peer) {
            side.heard = side.heard.max(at);
        }
    }

    /// A frame came in. `from` is known from the link; its view, if newer, came before it.
    pub fn on_message(&mut self, now: Now, from: Incarnation, epoch: Epoch, message: Message) {
        self.peers.heard(now, from, epoch);
        self.peers.take(from, &message);
        self.heard(now, from);
        if let Message::Taken(lane, bytes) = message {
            return self.on_taken(now, from, lane, bytes);
        }
        if let Message::Moved(view) = message {
            self.on_view(now, &view);
            return;
        }
        if self.expelled || self.placement.is_none() {
            self.refuse_outside(from, &message);
            return;
        }
        if !self.view().has(from) {
            if epoch < self.view().epoch {
                let view = self.view().clone();
                self.peers.send(from, Message::Moved(view));
            }
            return;
        }
        self.dispatch(now, from, epoch, message);
    }

    /// A peer has room for more.
    fn on_taken(&mut self, now: Now, from: Incarnation, lane: Lane, bytes: u64) {
        self.peers.on_taken(from, lane, bytes);
        if !self.expelled {
            match lane {
                Lane::Copies => self.pump_copies(now),
                Lane::Deliveries => self.pump_outflow(from),
                Lane::Attaches => {}
            }
        }
    }

    fn dispatch(&mut self, now: Now, from: Incarnation, epoch: Epoch, message: Message) {
        match message {
            Message::Publish(publish) => self.on_publish(now, from, epoch, *publish),
            Message::Attach(attaches) => {
                attaches.into_iter().for_each(|attach| self.on_attach(now, from, epoch, attach));
            }
            Message::AttachesDone(epoch) => self.on_attaches_done(now, from, epoch),
            Message::Detach(detach) => self.on_detach(now, from, detach),
            Message::Delivered(reports) => self.on_delivered(now, from, &reports),
            Message::Sessions(change) => self.on_sessions(from, &change),
            Message::Query(id, query) => self.on_query(now, from, id, query),
            Message::Obeyed(number) => self.on_obeyed(from, number),
            Message::Posted(number, is_taken) => self.on_posted(from, number, is_taken),
            Message::Claim(slots) => self.on_claim(from, epoch, &slots),
            Message::Claimed(slots) => self.on_claimed(now, from, epoch, &slots),
            Message::Fetch(slots) => self.on_fetch(now, from, epoch, &slots),
            Message::State(state) => self.on_state(now, from, epoch, *state),
            Message::Syncs(syncs) => self.on_syncs(now, from, epoch, syncs),
            Message::Rep(rep) => self.on_rep(now, from, *rep),
            Message::Have(haves) => haves.iter().for_each(|have| self.on_have(now, from, have)),
            Message::Mark(slots) => slots.iter().for_each(|(slot, term)| self.on_mark(from, *slot, *term)),
            Message::Release(slots) => self.on_release(from, epoch, &slots),
            Message::Released(slots) => self.on_released(now, from, epoch, &slots),
            Message::Settled(epoch) => self.on_settled(from, epoch),
            _ => {}
        }
        self.pump_copies(now);
    }

    /// Who is not in the view takes nothing, and says so to those who wait for an answer.
    fn refuse_outside(&mut self, from: Incarnation, message: &Message) {
        match message {
            Message::Publish(publish) => {
                self.refuse(publish.slot, publish.id(from), Refusal::Retry);
            }
            Message::Query(id, _) => self.peers.send(from, Message::Answer(*id, Answer::Refused(Refusal::Retry))),
            _ => {}
        }
    }

    /// Lets time pass: new streams that wait, commit points that the lease held up, old entries.
    pub fn tick(&mut self, now: Now) {
        self.peers.tick(now, self.timing.ping);
        self.peers.tell_taken(now, self.timing.ping);
        if self.expelled || self.placement.is_none() {
            return;
        }
        for slot in std::mem::take(&mut self.stalled) {
            self.advance(now, slot);
        }
        self.start_fresh(now);
        self.tick_books(now);
        self.release_held(now);
        self.keep_progress(now);
        self.sweep(now);
        self.pump_copies(now);
        self.pump_outflows();
        self.count(now);
        self.orders.expire(now);
        self.posts.expire(now);
    }

    /// Says to every linked member that this node is alive, and how it is.
    pub fn ping(&mut self) {
        let load = self.load();
        let linked: Vec<Incarnation> = self.peers.linked().collect();
        for peer in linked {
            self.peers.send(peer, Message::Ping(load));
        }
    }

    /// Newest epoch that a linked peer is known to have applied.
    pub fn heard_epoch(&self, peer: Incarnation) -> Option<Epoch> {
        self.peers.heard_epoch(peer)
    }

    /// Ends a turn: what was collected for batches goes out. Take the frames afterwards.
    pub fn finish_turn(&mut self, now: Now) {
        self.pump_books(now);
        let mut haves = std::mem::take(&mut self.haves);
        haves.sort_by_key(|(owner, have)| (*owner, have.slot));
        haves.dedup_by(|later, kept| {
            let same = (later.0, later.1.slot) == (kept.0, kept.1.slot);
            // Cumulative: of several for one slot the last says it all. But what is said of an older `Sync` is not heard, and hides that the
            // newest one was of no use.
            if same && (later.1.sync >= kept.1.sync || later.1.sync == 0) {
                *kept = *later;
            }
            same
        });
        for batch in haves.chunk_by(|(a, _), (b, _)| a == b) {
            let owner = batch[0].0;
            for lines in batch.chunks(SLOT_LINES) {
                self.peers.send(owner, Message::Have(lines.iter().map(|(_, have)| *have).collect()));
            }
        }
        self.flush_marks();
        self.report_settled();
    }

    /// Takes the frames to be sent, in order.
    pub fn drain_frames(&mut self) -> std::vec::Drain<'_, Outgoing> {
        self.peers.drain()
    }

    /// The same, into an empty buffer that changes places with the one they are in.
    pub fn swap_frames(&mut self, frames: &mut Vec<Outgoing>) {
        self.peers.swap(frames);
    }

    fn on_query(&mut self, now: Now, from: Incarnation, id: u64, query: Query) {
        let answer = match query {
            Query::History(history) => return self.on_history(now, from, id, history),
            Query::Presence(presence) => return self.answer_later(from, id, Paged::Presence(presence)),
            Query::Channels(channels) => return self.answer_later(from, id, Paged::Channels(channels)),
            Query::PresenceStats(channel) => self.presence_stats(&channel),
            Query::Info => Answer::Info(self.info(now)),
            Query::Order(order) => return self.give_order(now, from, id, &order),
            Query::RemoveHistory(channel, options) => return self.on_remove_history(now, from, id, &channel, options),
            Query::Post(post) => return self.pass_on(now, from, id, post),
        };
        self.peers.send(from, Message::Answer(id, answer));
    }

    fn info(&self, now: Now) -> NodeInfo {
        let attended = self.streams.iter().map(|(_, stream)| stream).filter(|stream| stream.is_attended());
        let (channels, subscriptions) = attended
            .fold((0, 0), |(channels, sessions), stream| (channels + 1, sessions + u64::from(stream.sessions())));
        NodeInfo { subscriptions, users: self.users, channels, uptime: now.saturating_sub(self.born) }
    }

    /// The next random number (xorshift): names of streams need to differ, not to be secret.
    fn next_random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
}

#[cfg(test)]
mod tests;
