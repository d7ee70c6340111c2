//! A gateway's rules: publishes that are numbered and sent until answered, channels that keep their position through
//! every change of owner, queries that find the owner. Sessions are not known here; whoever embeds this hands on what
//! [`Event`]s say.
//!
//! Life of a channel at a gateway:
//!
//! ```text
//!            attach()                 Attached                    owner changed, link lost, gap
//!   (none) ───────────▶ asking ─────────────────▶ attached ─────────────────────────────────────▶ asking
//!                         │ 60 ms without answer: again                │ detach()
//!                         ▼                                            ▼
//!                       asking                             (none); an inbox lingers until Detached
//! ```

mod channels;
mod publishes;
mod queries;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::id::{ChannelName, Epoch, Incarnation, Position, Slot};
use crate::keeping::Keeping;
use crate::limits::GatewayLimits;
use crate::message::{Answer, Attach, AttachId, ChannelOptions, Entry, Load, Message, Order, Post, Toll};
use crate::peers::{Outgoing, Peers};
use crate::timing::{Now, Timing};
use crate::view::{Placement, View};

pub use channels::ChannelKey;
pub use publishes::{NewPublish, PublishError};
pub use queries::QueryError;

/// What the sessions of a gateway need to know.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// First answer to `attach`: deliveries follow from here on.
    Attached {
        /// The channel.
        channel: ChannelKey,
        /// Epoch and top of its stream; `None` without history.
        stream: Option<Position>,
        /// Offset after which deliveries begin.
        from: u64,
        /// Users on the owner.
        users: u64,
    },
    /// The owner has no room for the channel now. It is asked again until the channel is let go.
    Refused {
        /// The channel.
        channel: ChannelKey,
    },
    /// The next publication of a channel, each exactly once and in order.
    Deliver {
        /// The channel.
        channel: ChannelKey,
        /// Offset; 0 without history.
        offset: u64,
        /// What.
        entry: Entry,
    },
    /// The channel goes on at another place: what was between is gone, or the stream is another one.
    Lost {
        /// The channel.
        channel: ChannelKey,
        /// Where deliveries go on from.
        at: Position,
    },
    /// A detached inbox: its log says how far it was confirmed, whoever may come to own it.
    Detached(AttachId),
    /// The end of a publish.
    Published {
        /// The token given with it.
        token: u64,
        /// Where it stands (`None` without history) and how many copies there are, or why it failed.
        result: Result<(Option<Position>, u8), PublishError>,
    },
    /// The end of a query.
    Answered {
        /// The token given with it.
        token: u64,
        /// What was found, or why nothing was.
        result: Result<Answer, QueryError>,
    },
    /// Do this with sessions, and say so ([`Gateway::obeyed`]).
    Order {
        /// The node that passes the order on, and its number there.
        from: (Incarnation, u64),
        /// What, and which sessions.
        order: Box<Order>,
    },
    /// Hand this to a session here, and say whether there is one ([`Gateway::posted`]).
    Posted {
        /// The node that passes it on, and its number there.
        from: (Incarnation, u64),
        /// What.
        post: Box<Post>,
    },
}

/// Frames whose attaches do not say yet who is there: the rules do not know. They cannot be sent without.
#[derive(Debug)]
#[must_use]
pub struct Incomplete(Vec<Outgoing>);

impl Incomplete {
    /// The frames, each of their attaches completed by whoever knows its sessions.
    pub fn completed(mut self, mut complete: impl FnMut(&mut [Attach])) -> Vec<Outgoing> {
        for outgoing in &mut self.0 {
            if let Message::Attach(attaches) = &mut outgoing.frame.message {
                complete(attaches);
            }
        }
        self.0
    }
}

/// The rules of one gateway incarnation.
#[derive(Debug)]
pub struct Gateway {
    me: Incarnation,
    timing: Timing,
    limits: GatewayLimits,
    placement: Option<Placement>,
    peers: Peers,
    loads: HashMap<Incarnation, Load>,
    publishes: publishes::Publishes,
    channels: channels::Channels,
    queries: queries::Queries,
    /// Epoch for which `AttachesDone` is still owed to these nodes.
    owed: Vec<Incarnation>,
    /// Nodes whose frames of before this epoch may still be under way.
    awaited: Vec<(Incarnation, Epoch)>,
    /// Linked nodes that left on purpose: what they still say counts, unlike what a removed one says.
    departed: Vec<Incarnation>,
    events: VecDeque<Event>,
    toll: Toll,
}

impl Gateway {
    /// A gateway that knows a view but no node yet.
    pub fn new(me: Incarnation, view: Arc<View>, timing: Timing, limits: GatewayLimits) -> Self {
        Self {
            me,
            timing,
            limits,
            placement: None,
            peers: Peers::new(view, limits.bulk_bytes),
            loads: HashMap::new(),
            publishes: publishes::Publishes::default(),
            channels: channels::Channels::default(),
            queries: queries::Queries::default(),
            owed: Vec::new(),
            awaited: Vec::new(),
            departed: Vec::new(),
            events: VecDeque::new(),
            toll: Toll::begun(me),
        }
    }

    /// The same gateway in a new incarnation, after a removal: channels keep their positions and are attached again,
    /// queries are asked again, publishes that were not answered end as unknown, for nobody will answer them now.
    ///
    /// The view may be another cluster's. Then positions say nothing there, and every stream is found to have begun anew.
    pub fn live_anew(&mut self, now: Now, me: Incarnation, view: Arc<View>) {
        let linked: Vec<Incarnation> = self.peers.linked().collect();
        for peer in linked {
            self.forget_attaches_at(now, peer);
            self.lose_queries_at(peer);
        }
        self.give_up_publishes();
        if !view.is_of_one_cluster_with(self.view()) {
            self.count_slots_anew(&view);
        }
        (self.me, self.placement) = (me, None);
        self.peers = Peers::new(view, self.limits.bulk_bytes);
        self.loads.clear();
        self.owed.clear();
        self.awaited.clear();
        self.departed.clear();
    }

    /// The incarnation that publishes are numbered under.
    pub fn incarnation(&self) -> Incarnation {
        self.me
    }

    /// The newest view applied.
    pub fn view(&self) -> &Arc<View> {
        self.peers.view()
    }

    /// What the view means for every slot; `None` before the first view with nodes.
    pub fn placement(&self) -> Option<&Placement> {
        self.placement.as_ref()
    }

    /// Slot of a channel or key.
    pub fn slot_of(&self, name: &str) -> Slot {
        crate::ring::slot_of(&self.view().key, self.view().slots, name)
    }

    /// The owner of a slot, if it is known and linked, and the view has me: what comes from outside it is dropped
    /// without an answer, and would be waited for in vain.
    fn reachable_owner(&self, slot: Slot) -> Option<Incarnation> {
        self.view().gateway(self.me)?;
        let owner = self.placement.as_ref()?.owner(slot)?;
        self.peers.is_up(owner).then_some(owner)
    }

    /// There is a link to this member.
    pub fn is_linked(&self, peer: Incarnation) -> bool {
        self.peers.is_up(peer)
    }

    /// What a node last said of itself.
    pub fn load(&self, node: Incarnation) -> Load {
        self.loads.get(&node).copied().unwrap_or_default()
    }

    /// What changes cost those who listen here, counted since this process began.
    pub fn toll(&self) -> &Toll {
        &self.toll
    }

    /// Applies a newer view. Older ones are ignored, and what is no view of this cluster.
    pub fn on_view(&mut self, now: Now, view: Arc<View>) {
        if self.is_news(&view) {
            let placement = Placement::of(&view, self.placement.as_ref());
            self.apply_view(now, view, placement);
        }
    }

    /// The same, where what the view means is known already: a process computes it once, for all its rules.
    pub fn on_view_placed(&mut self, now: Now, view: Arc<View>, placement: &Placement) {
        if self.is_news(&view) {
            self.apply_view(now, view, placement.clone());
        }
    }

    fn is_news(&self, view: &View) -> bool {
        let is_first = self.placement.is_none() && self.view().accepts(view).is_ok();
        view.follows(self.view()) || is_first
    }

    /// Attaches, publishes and queries follow their slots to the new owners. First the gateway notes who still has something to say under
    /// the old view, for which it needs both views.
    fn apply_view(&mut self, now: Now, view: Arc<View>, placement: Placement) {
        let crashed = view.crashes > self.view().crashes;
        // A slot may have had another owner in a view that this gateway has never seen, so no owner of before counts as the same.
        let skipped = view.epoch > self.view().epoch.next();
        self.await_last_words(&view, crashed);
        let removed: Vec<Incarnation> = self.peers.linked().filter(|peer| crashed && !view.has(*peer)).collect();
        self.loads.retain(|node, _| view.has(*node));
        self.owed = view.nodes.iter().map(|node| node.incarnation).collect();
        self.peers.set_view(view);
        self.placement = Some(placement);
        for peer in removed {
            self.lose_unkept_at(peer);
        }
        // In this order: what goes out again goes to owners at which its channel is attached, or about to be.
        self.forget_attaches_elsewhere(now, skipped);
        self.follow_owners(now);
        self.resend_moved(skipped);
        self.forget_queries(skipped);
        self.retry_queries();
        self.pay_attaches_done(now);
    }

    /// Notes who has to speak under the new view before this gateway says that all its attaches were sent: until then a delivery of a former
    /// owner may be on its way, and on channels without history it would come after one of the next owner. A node that left on purpose
    /// says what it still has to say. One that was removed is not waited for: it may never speak again.
    fn await_last_words(&mut self, view: &View, crashed: bool) {
        let was_node = |peer: &Incarnation| self.view().node(*peer).is_some();
        let is_node = |peer: &Incarnation| view.node(*peer).is_some();
        let speaks = |peer: &Incarnation| was_node(peer) && (!crashed || is_node(peer));
        // A node that left in an earlier view may still owe what it said before that.
        let owes = |(peer, _): &(Incarnation, Epoch)| self.departed.contains(peer) && !is_node(peer);
        let earlier = self.awaited.iter().copied().filter(owes);
        let awaited = self.peers.linked().filter(speaks).map(|peer| (peer, view.epoch)).chain(earlier).collect();
        let left = |peer: &Incarnation| !crashed && was_node(peer) && !is_node(peer);
        let left: Vec<Incarnation> = self.peers.linked().filter(left).collect();
        self.awaited = awaited;
        self.departed.extend(left);
    }

    /// A link to a member came up, anew or instead of an older one.
    pub fn on_link_up(&mut self, now: Now, peer: Incarnation) {
        if self.peers.is_up(peer) {
            self.on_link_down(now, peer);
        }
        self.peers.link_up(now, peer);
        self.follow_owners(now);
        self.resend_to(peer);
        self.retry_queries();
        if self.view().node(peer).is_some() && !self.owed.contains(&peer) {
            self.owed.push(peer);
        }
        self.pay_attaches_done(now);
    }

    /// A link ended.
    pub fn on_link_down(&mut self, now: Now, peer: Incarnation) {
        self.forget_attaches_at(now, peer);
        self.peers.link_down(peer);
        self.publishes.forget_sent(peer);
        self.departed.retain(|departed| *departed != peer);
        self.lose_queries_at(peer);
        self.lose_unkept_at(peer);
        self.pay_attaches_done(now);
    }

    /// A frame came in. `from` is known from the link; its view, if newer, came before it.
    pub fn on_message(&mut self, now: Now, from: Incarnation, epoch: Epoch, message: Message) {
        self.peers.heard(now, from, epoch);
        self.peers.take(from, &message);
        match message {
            Message::Moved(view) => return self.on_view(now, view),
            Message::Taken(lane, bytes) => {
                self.peers.on_taken(from, lane, bytes);
                self.send_attaches(now);
                return self.pay_attaches_done(now);
            }
            _ => {}
        }
        let in_view = self.view().has(from);
        match message {
            Message::Deliver(deliver) if in_view || self.departed.contains(&from) => {
                self.on_deliver(now, from, in_view, deliver);
            }
            // A node that left on purpose may still owe these. What has a place in a stream is asked of the new owner.
            Message::PubOk(ok) if in_view || ok.position.is_none() => self.on_pub_ok(from, &ok),
            Message::PubNo(no) => self.on_pub_no(now, from, &no),
            _ if !in_view => {}
            Message::Ping(load) => {
                self.loads.insert(from, load);
            }
            Message::Attached(attached) => self.on_attached(now, from, &attached),
            Message::AttachRefused(attach, _) => self.on_attach_refused(from, attach),
            Message::Detached(attach) => self.on_detached(attach),
            Message::Answer(id, answer) => self.on_answer(now, from, id, answer),
            Message::Order(number, order) => {
                self.events.push_back(Event::Order { from: (from, number), order });
            }
            Message::Post(number, post) => self.events.push_back(Event::Posted { from: (from, number), post }),
            _ => {}
        }
        self.pay_attaches_done(now);
    }

    /// Tells the node of an order that it is done here.
    pub fn obeyed(&mut self, (node, number): (Incarnation, u64)) {
        self.peers.send(node, Message::Obeyed(number));
    }

    /// Tells the node of a post whether there is such a session here, and it has that.
    pub fn posted(&mut self, (node, number): (Incarnation, u64), is_taken: bool) {
        self.peers.send(node, Message::Posted(number, is_taken));
    }

    /// Tells another gateway how channels are kept.
    pub(crate) fn tell_keeping(&mut self, to: Incarnation, keeping: Arc<Keeping>) {
        self.peers.send(to, Message::Keeping(keeping));
    }

    /// Channels that are attached are kept like this from now on, and publishes that no owner was sent: owners hear of it with the next
    /// attach or publish. `None`: as before.
    pub fn keep_anew(&mut self, options_of: impl Fn(&ChannelName) -> Option<ChannelOptions>) {
        self.channels.keep_anew(&options_of);
        self.publishes.keep_anew(&options_of);
        self.queries.keep_anew(&options_of);
    }

    /// Lets time pass: retries, deadlines, reports. Call every few milliseconds.
    pub fn tick(&mut self, now: Now) {
        self.peers.tick(now, self.timing.ping);
        self.peers.tell_taken(now, self.timing.ping);
        self.pay_attaches_done(now);
        self.retry_attaches(now);
        self.report_delivered(now);
        self.retry_publishes(now);
        self.expire_publishes(now);
        self.expire_queries(now);
    }

    /// Says to every linked member that this gateway is alive.
    pub fn ping(&mut self, load: Load) {
        let linked: Vec<Incarnation> = self.peers.linked().collect();
        for peer in linked {
            self.peers.send(peer, Message::Ping(load));
        }
    }

    /// Takes the frames to be sent, in order. The empty buffer changes places with the one they are in.
    pub fn take_frames(&mut self, mut empty: Vec<Outgoing>) -> Incomplete {
        self.peers.swap(&mut empty);
        Incomplete(empty)
    }

    /// Takes the next event.
    pub fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Tells nodes that all attaches of this epoch were sent, once no older delivery can be under way any more.
    ///
    /// A node holds publishes on channels without history until it has this: so none of them passes a gateway that
    /// is still changing over, and none overtakes a delivery of the former owner.
    ///
    /// A node that has been silent for `suspect` is not waited for: its link may be cut for long. What it still delivers then
    /// comes too late, and is dropped where a later owner has delivered meanwhile.
    fn pay_attaches_done(&mut self, now: Now) {
        let epoch = self.view().epoch;
        let (peers, suspect) = (&self.peers, self.timing.suspect);
        let owes = |peer: Incarnation, since| peers.heard_epoch(peer).is_some_and(|heard| heard < since);
        self.awaited.retain(|(peer, since)| owes(*peer, *since) && !peers.is_silent(now, *peer, suspect));
        if !self.awaited.is_empty() || self.owed.is_empty() {
            return;
        }
        // Some of its attaches may still wait for their turn.
        let all_sent = |node: &Incarnation| peers.is_up(*node) && !self.channels.has_attaches_for(*node);
        let (up, later): (Vec<_>, Vec<_>) = self.owed.drain(..).partition(all_sent);
        self.owed = later;
        for node in up {
            self.peers.send(node, Message::AttachesDone(epoch));
        }
    }
}

#[cfg(test)]
mod tests;
