//! Membership, as each member works at it: it joins, keeps its lease, removes the dead, and leaves when asked.
//!
//! Everything goes through the registry's compare-and-set on the epoch; nobody is in charge. The rules are R11 and
//! R14 to R20 of ARCHITECTURE.md.

mod changes;
mod lease;
mod removals;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::id::{Epoch, Incarnation, MemberId};
use crate::logbook::LogRequest;
use crate::message::{RegistryAnswer, RegistryOp, RegistryRequest};
use crate::node::Lease;
use crate::registry::Seat;
use crate::ring::Weight;
use crate::timing::{Now, Timing};
use crate::view::{GatewayEntry, NodeEntry, Placement, Removal, View};

/// What a member wants done. Its [`Member`](crate::member::Member) does what is for its own roles, and hands all of it on.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Send this to the registry.
    Request(RegistryRequest),
    /// Send this to the log.
    Log(LogRequest),
    /// A newer view: every role applies it.
    View {
        /// The one before.
        before: Arc<View>,
        /// The new one.
        view: Arc<View>,
        /// What it means.
        placement: Placement,
    },
    /// The lease is another one: the node goes by it.
    Lease(Lease),
    /// This incarnation is over: everything starts again with a new one (R11).
    Expelled,
    /// This member asked to leave, and has.
    Left,
    /// Joining has to wait: another incarnation of this id is still in the view. Said once.
    IdTaken(Incarnation),
    /// Joining has to wait: the view has as many nodes as a table takes. Said once.
    Full,
    /// This member is asking for another one's removal, and why. Whether that is written shows in the next view.
    Suspects(Incarnation, Sign),
    /// A change asked for under this token is written (with its epoch), or will not be.
    Changed(u64, Result<Epoch, ChangeError>),
}

/// What a member that is taken for dead has failed to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Sign {
    /// Nothing of it came on its link.
    #[error("nothing was heard of it for {0:.1?}")]
    Silent(Duration),
    /// It did not renew its lease.
    #[error("its lease has lapsed")]
    Lapsed,
}

/// A change of the view that somebody asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Another weight for a node; zero drains it, and it leaves.
    Weight(Incarnation, Weight),
    /// This member's own node hands over all that it owns, and stays in the view without a weight.
    Rest,
    /// A member leaves the view.
    Remove(Incarnation, Removal),
    /// A gateway sheds its clients and will leave.
    DrainGateway(Incarnation),
}

/// Why a change was not written. Nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// No such member.
    #[error("that member is not in the view")]
    NotInView,
    /// The cluster cannot spare the node.
    #[error("the other nodes are too few: without it two must stay, or one and nobody else")]
    NoRoom,
    /// The node owns nothing yet.
    #[error("this node is still being filled, and hands over once it is active")]
    Filling,
    /// The registry did not answer.
    #[error("the registry did not answer in time; the change may or may not have been written")]
    Unknown,
}

/// Where this member stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Not in the view yet.
    Outside,
    /// In the view.
    Inside,
    /// In the view, and to leave it as soon as there is room and everybody is settled.
    Leaving,
    /// Over.
    Gone,
}

/// What a request was for.
#[derive(Debug, Clone, PartialEq)]
enum Purpose {
    Renew,
    /// The lease key, before joining or affirming; then comes the write.
    Put,
    Join,
    Affirm {
        put_sent: Now,
    },
    Leases,
    Remove,
    Activate,
    Leave,
    Turn,
    Asked(u64, Change),
}

#[derive(Debug)]
struct Open {
    purpose: Purpose,
    sent: Now,
    epoch: Epoch,
}

/// The membership rules of one incarnation.
#[derive(Debug)]
pub struct Membership {
    timing: Timing,
    id: MemberId,
    me: Incarnation,
    node: Option<NodeEntry>,
    gateway: Option<GatewayEntry>,
    /// The host has still to say how channels are kept, and it does not join before.
    waits_for_word: bool,
    seat: Seat,
    standing: Standing,
    view: Arc<View>,
    placement: Option<Placement>,
    /// What I last asked to be written, and what it means: mostly it is the next view.
    sealed: Option<(Arc<View>, Placement)>,
    view_since: Now,
    /// When the removals that the view counts were seen to have grown.
    removals_since: Now,
    last_renewal: Option<Now>,
    lapsed: bool,
    next_renewal: Now,
    next_look: Now,
    last_tick: Now,
    /// When this process last stood still for a while: what it did not hear then proves nothing.
    awake_since: Now,
    put_sent: Option<Now>,
    open: BTreeMap<u64, Open>,
    next_request: u64,
    last_answer: Now,
    answered_from: Now,
    heard: BTreeMap<Incarnation, Now>,
    evidence: BTreeMap<Incarnation, Removal>,
    /// Members that somebody beside the links takes for gone.
    doubted: BTreeSet<Incarnation>,
    asked: VecDeque<(u64, Change, Now)>,
    /// This node was last asked to rest, so when it has drained it stays.
    rests: bool,
    id_taken: bool,
    /// Members whose leases had lapsed when the registry was last asked.
    lapsed_members: Vec<Incarnation>,
    found_full: bool,
    actions: VecDeque<Action>,
}

/// What this member is, for the view.
#[derive(Debug, Clone)]
pub struct Life {
    /// Stable name.
    pub id: MemberId,
    /// This life.
    pub incarnation: Incarnation,
    /// Its entry as a node.
    pub node: Option<NodeEntry>,
    /// Its entry as a gateway.
    pub gateway: Option<GatewayEntry>,
}

impl Membership {
    /// A member that knows a view (perhaps an old one) and is not in it.
    pub fn new(now: Now, identity: Life, view: Arc<View>, timing: Timing, seat: Seat) -> Self {
        let Life { id, incarnation, node, gateway } = identity;
        Self {
            timing,
            id,
            me: incarnation,
            node,
            gateway,
            waits_for_word: false,
            seat,
            standing: Standing::Outside,
            view,
            placement: None,
            sealed: None,
            view_since: now,
            removals_since: now,
            last_renewal: None,
            lapsed: false,
            next_renewal: now,
            next_look: now,
            last_tick: now,
            awake_since: now,
            put_sent: None,
            open: BTreeMap::new(),
            next_request: 0,
            last_answer: now,
            answered_from: now,
            heard: BTreeMap::new(),
            evidence: BTreeMap::new(),
            doubted: BTreeSet::new(),
            asked: VecDeque::new(),
            rests: false,
            id_taken: false,
            lapsed_members: Vec::new(),
            found_full: false,
            actions: VecDeque::new(),
        }
    }

    /// What the newest view means; `None` before the first one that this member was told of.
    pub fn placement(&self) -> Option<&Placement> {
        self.placement.as_ref()
    }

    /// A gateway that is told by the host how channels are kept does not join before it was.
    pub(crate) fn wait_for_word(&mut self) {
        self.waits_for_word = matches!(self.seat, Seat::Host(_));
    }

    /// It was told, and joins with the next tick.
    pub(crate) fn word_came(&mut self) {
        if std::mem::take(&mut self.waits_for_word) {
            self.next_renewal = Now::ZERO;
        }
    }

    /// The newest view known.
    pub fn view(&self) -> &Arc<View> {
        &self.view
    }

    /// This incarnation is in the view.
    pub fn is_inside(&self) -> bool {
        matches!(self.standing, Standing::Inside | Standing::Leaving)
    }

    /// Where the registry is.
    pub fn seat(&self) -> Seat {
        self.seat
    }

    /// Who keeps receipts, and whom newcomers dial: [`Seat::keeper`].
    pub fn keeper(&self) -> Option<Incarnation> {
        self.seat.keeper(self.me, &self.view)
    }

    /// Says which member's process the registry is in.
    pub fn set_host(&mut self, host: Incarnation) {
        self.seat.found_at(host);
    }

    /// The way to the registry is new: what was asked on the old one, and only says that I am alive, is asked again now.
    pub fn on_registry_link(&mut self, now: Now) {
        self.open.retain(|_, open| !matches!(open.purpose, Purpose::Renew | Purpose::Put | Purpose::Leases));
        self.next_renewal = now;
    }

    /// A frame of this member came in at this time.
    pub fn heard(&mut self, at: Now, peer: Incarnation) {
        let heard = self.heard.entry(peer).or_default();
        *heard = at.max(*heard);
    }

    /// When a member was heard last.
    pub fn last_heard(&self, peer: Incarnation) -> Now {
        self.heard.get(&peer).copied().unwrap_or_default()
    }

    /// It was heard just now.
    pub fn hears(&self, now: Now, peer: Incarnation) -> bool {
        now <= self.last_heard(peer) + self.timing.silent()
    }

    /// A member is known to have died: its process ended, or its host refuses the link that just broke (R15).
    pub fn evidence(&mut self, now: Now, peer: Incarnation, proof: Removal) {
        if self.view.has(peer) && peer != self.me {
            self.evidence.entry(peer).or_insert(proof);
            self.act_on_evidence(now);
        }
    }

    /// Evidence that turned out wrong: the member answers.
    pub fn refute(&mut self, peer: Incarnation) {
        if self.evidence.get(&peer) == Some(&Removal::Suspected) {
            self.evidence.remove(&peer);
        }
    }

    /// Members that somebody beside the links takes for gone. It proves nothing: silence of theirs is waited for a shorter
    /// time ([`Timing::doubted`]), and everything else of R17 holds as it does.
    pub fn doubt(&mut self, members: BTreeSet<Incarnation>) {
        self.doubted = members;
    }

    /// Asks to leave. [`Action::Left`] follows when there was room and everything is handed over; a drain that must
    /// wait its turn waits.
    pub fn leave(&mut self) {
        if self.standing == Standing::Inside {
            self.standing = Standing::Leaving;
        }
    }

    /// Asks for a change; [`Action::Changed`] with this token ends it.
    pub fn change(&mut self, now: Now, token: u64, change: Change) {
        match change {
            Change::Rest => self.rests = true,
            Change::Weight(node, weight) if node == self.me => self.rests &= weight.is_zero(),
            _ => {}
        }
        self.asked.push_back((token, change, now));
        self.act_on_asked(now);
    }

    /// A newer view was seen, wherever it came from.
    pub fn on_view(&mut self, now: Now, view: &Arc<View>) {
        if !view.follows(&self.view) {
            return;
        }
        let before = std::mem::replace(&mut self.view, view.clone());
        let sealed = self.sealed.take().filter(|(sealed, _)| sealed == view);
        let placement = sealed.map_or_else(|| Placement::of(view, self.placement.as_ref()), |(_, placement)| placement);
        self.placement = Some(placement.clone());
        self.view_since = now;
        if view.removals > before.removals {
            self.removals_since = now;
        }
        self.evidence.retain(|peer, _| view.has(*peer));
        // Of those who just left, it is still asked when they were last heard.
        self.heard.retain(|peer, _| view.has(*peer) || before.has(*peer));
        self.actions.push_back(Action::View { before: before.clone(), view: view.clone(), placement });
        let had_my_id = |view: &View| view.incarnation_of(&self.id).is_some();
        match (self.standing, view.has(self.me)) {
            (Standing::Outside, true) => self.standing = Standing::Inside,
            // Whoever had my id is gone: my turn, at once.
            (Standing::Outside, false) if had_my_id(&before) && !had_my_id(view) => self.next_renewal = now,
            (Standing::Inside | Standing::Leaving, false) => self.end(),
            _ => {}
        }
        self.act_on_evidence(now);
        self.act_on_asked(now);
    }

    /// The view has moved on without me.
    fn end(&mut self) {
        let left = self.standing == Standing::Leaving;
        self.standing = Standing::Gone;
        self.actions.push_back(if left { Action::Left } else { Action::Expelled });
    }

    /// The registry answered. An answer that comes after its time counts as none: its outcome was taken as unknown. So does one
    /// of another cluster's registry.
    pub fn on_answer(&mut self, now: Now, answer: &RegistryAnswer) {
        if self.view.accepts(&answer.view).is_err() {
            return;
        }
        if now > self.last_answer + self.timing.ttl / 2 {
            self.answered_from = now;
        }
        self.last_answer = now;
        let open = self.open.get(&answer.id).map(|open| (open.purpose.clone(), open.sent, open.epoch));
        if let Some((Purpose::Join | Purpose::Affirm { .. }, ..)) = open {
            // The view in the answer decides, below.
        } else {
            self.on_view(now, &answer.view);
        }
        let Some((purpose, sent, epoch)) = open else { return };
        self.conclude(now, answer, &purpose, sent, epoch);
        self.open.remove(&answer.id);
        self.on_view(now, &answer.view);
    }

    /// What an answer means depends on what it was asked for, and on what has happened since. `sent` is when the request went out: a lease
    /// counts from there, for the answer may have been on its way for long (R14). `epoch` is that of the view that the request was made from.
    /// What fits no line here comes too late to mean anything.
    fn conclude(&mut self, now: Now, answer: &RegistryAnswer, purpose: &Purpose, sent: Now, epoch: Epoch) {
        let inside = answer.view.has(self.me);
        match purpose {
            Purpose::Renew if answer.done && inside && !self.lapsed && !self.has_run_out(now) => self.renewed(sent),
            Purpose::Renew if !answer.done => self.lapse(),
            Purpose::Put if answer.done && (self.standing == Standing::Outside || self.lapsed) => {
                self.put_sent = Some(sent);
                self.next_renewal = now;
            }
            // The write that lets this incarnation in was done, and a later one has removed it already. It never comes back (R11).
            Purpose::Join if answer.done && !inside => {
                self.standing = Standing::Gone;
                self.actions.push_back(Action::Expelled);
            }
            Purpose::Join if answer.done => {
                if let Some(put) = self.put_sent.take() {
                    self.renewed(put);
                    self.next_renewal = now;
                }
            }
            // Somebody else wrote first: try again on the newer view, while the key is fresh.
            Purpose::Join => {
                self.next_renewal = now;
                self.put_sent = self.put_sent.filter(|put| now < *put + self.timing.renew());
            }
            Purpose::Affirm { put_sent } if answer.done && inside => {
                self.lapsed = false;
                self.renewed(*put_sent);
                // It counts from two answers ago: over a long way, the next renewal must not wait for its turn.
                self.next_renewal = now;
            }
            Purpose::Affirm { .. } => self.next_renewal = now,
            // In a newer view, whoever had lapsed may have affirmed.
            Purpose::Leases if answer.view.epoch == epoch && self.view.epoch == epoch => {
                self.remove_lapsed(now, &answer.lapsed);
            }
            Purpose::Asked(token, _) if answer.done => {
                self.actions.push_back(Action::Changed(*token, Ok(epoch.next())));
            }
            Purpose::Asked(token, change) => self.asked.push_front((*token, *change, sent)),
            _ => {}
        }
    }

    /// Lets time pass. `settled` tells the newest epoch at which a node was settled, my own included.
    pub fn tick(&mut self, now: Now, settled: impl Fn(Incarnation) -> Epoch) {
        if self.standing == Standing::Gone {
            return;
        }
        self.expire(now);
        if now > self.last_tick + self.timing.silent() {
            self.awake_since = now;
        }
        self.last_tick = now;
        if self.has_run_out(now) {
            self.lapse();
        }
        if now >= self.next_renewal {
            self.next_renewal = now + self.timing.renew();
            self.keep_lease(now);
        }
        if self.standing == Standing::Outside {
            self.act_on_evidence(now);
            return;
        }
        if now >= self.next_look_at_leases(now) {
            self.next_look = now + self.timing.renew();
            self.look_at_leases(now);
        }
        self.look_at_links(now);
        self.act_on_evidence(now);
        self.act_on_asked(now);
        self.finish_changes(now, settled);
    }

    /// Nobody whom the view's removals left out acts any more.
    fn removals_are_over(&self, now: Now) -> bool {
        now >= self.removals_since + self.timing.fresh()
    }

    /// A view with the checksum of its tables: members that place differently will notice. It says which removals are over by now.
    fn sealed(&mut self, now: Now, mut view: View) -> Arc<View> {
        if self.removals_are_over(now) {
            view.removals_over = self.view.removals;
        }
        let placement = Placement::of(&view, self.placement.as_ref());
        view.checksum = placement.checksum();
        let view = Arc::new(view);
        self.sealed = Some((view.clone(), placement));
        view
    }

    fn request(&mut self, now: Now, purpose: Purpose, op: RegistryOp) {
        self.next_request += 1;
        let id = self.next_request;
        self.open.insert(id, Open { purpose, sent: now, epoch: self.view.epoch });
        self.actions.push_back(Action::Request(RegistryRequest { id, op }));
    }

    /// Requests without an answer have an unknown outcome.
    fn expire(&mut self, now: Now) {
        let limit = self.timing.registry_timeout();
        let late: Vec<u64> = self.open.iter().filter(|(_, open)| now >= open.sent + limit).map(|(id, _)| *id).collect();
        for id in late {
            match self.open.remove(&id).map(|open| open.purpose) {
                // The view has told what the answer did not.
                Some(Purpose::Join) if self.standing != Standing::Outside => {
                    if let Some(put) = self.put_sent.take() {
                        self.renewed(put);
                    }
                }
                // Perhaps I am in the view, perhaps I was: only another incarnation is sure not to be.
                Some(Purpose::Join) => {
                    self.standing = Standing::Gone;
                    self.actions.push_back(Action::Expelled);
                }
                Some(Purpose::Asked(token, _)) => {
                    self.actions.push_back(Action::Changed(token, Err(ChangeError::Unknown)));
                }
                _ => {}
            }
        }
    }

    fn is_writing(&self) -> bool {
        let writes = |purpose: &Purpose| !matches!(purpose, Purpose::Renew | Purpose::Put | Purpose::Leases);
        self.open.values().any(|open| writes(&open.purpose))
    }

    fn write(&mut self, now: Now, purpose: Purpose, view: View) {
        if !self.is_writing() {
            let view = self.sealed(now, view);
            self.request(now, purpose, RegistryOp::Cas(view));
        }
    }

    /// Takes the next thing to be done.
    pub fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }
}

#[cfg(test)]
mod tests;
