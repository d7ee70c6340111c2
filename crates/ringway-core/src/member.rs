//! A member without I/O: the rules of all its roles, and the turn in which they answer each other. Whoever has the links, the sockets and
//! the time is a pump around it: it hands in what has come, takes a turn, and carries out what comes out. The process is one, the
//! simulation is another, and neither knows in which order things are done inside.
//!
//! ```text
//!              ┌─────────────────────────── a turn ───────────────────────────┐
//!   frames     │  membership ──view, lease──▶ node ◀──frames to itself──┐      │   frames
//!   links   ──▶│      │                        ▲                        ▼      │──▶
//!   answers    │      └──────view──▶ gateway ◀─┴── what clients ask ── front  │   requests, and what else
//!   time       │                                                              │   others must know
//!              └──────────────────────────────────────────────────────────────┘
//! ```
//!
//! A turn ends when nobody inside has more to say to the others. A newer view is applied by every role before anything that follows
//! from it is said.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use crate::gateway::Gateway;
use crate::id::{Epoch, Incarnation};
use crate::keeping::Keeping;
use crate::logbook::LogAnswer;
use crate::membership::{Action, Change, Life, Membership};
use crate::message::{Attach, Frame, Load, Message, RegistryAnswer};
use crate::node::{Lease, Node};
use crate::peers::Outgoing;
use crate::registry::Seat;
use crate::timing::{Now, Timing};
use crate::view::{Placement, Removal, View};

/// Rounds in which the roles of one member answer each other. They end by themselves; the bound keeps a fault from hanging the process.
const ROUNDS: usize = 10_000;

/// What stands before a gateway's rules: those who listen, ask and publish there.
pub trait Front {
    /// The rules behind it.
    fn gateway(&self) -> &Gateway;
    /// The same, to tell them something.
    fn gateway_mut(&mut self) -> &mut Gateway;
    /// Takes what the rules have to tell, and lets them know what follows from it. Comes after every round of a turn.
    fn take_events(&mut self, now: Now);
    /// Adds to the attaches of a frame what only the front knows: who is there.
    fn complete(&mut self, attaches: &mut [Attach]);
    /// Lets time pass.
    fn pass(&mut self, now: Now);
    /// How channels are kept, as other gateways are told if this member is the keeper. `None`: nobody is told anything.
    fn keeping(&self) -> Option<Arc<Keeping>> {
        None
    }
    /// The keeper says how channels are kept.
    fn keep(&mut self, _now: Now, _keeping: &Arc<Keeping>) {}
}

/// A gateway whose events somebody else takes.
impl Front for Gateway {
    fn gateway(&self) -> &Gateway {
        self
    }

    fn gateway_mut(&mut self) -> &mut Gateway {
        self
    }

    fn take_events(&mut self, _now: Now) {}

    fn complete(&mut self, _attaches: &mut [Attach]) {}

    fn pass(&mut self, _now: Now) {}
}

/// What a simulation keeps from the roles or tells them wrongly, to see whether its checker notices. Nothing, in a process.
#[derive(Debug, Clone, Copy, Default)]
pub struct Lies {
    /// The view that a member is told instead of this one.
    pub view: Option<fn(Incarnation, &View) -> View>,
    /// The lease that its node believes to have.
    pub lease: Option<Lease>,
    /// Its node is not told when a link ends.
    pub hides_breaks: bool,
}

/// The rules of one member, through all its incarnations.
#[derive(Debug)]
pub struct Member<F> {
    me: Incarnation,
    timing: Timing,
    membership: Membership,
    node: Option<Node>,
    front: Option<F>,
    /// What the roles here say to each other.
    local: VecDeque<Frame>,
    /// What the gateway here has taken of what the node here sent: for the next turn.
    taken: Vec<Frame>,
    /// What a role has just said. Empty between turns.
    fresh: Vec<Outgoing>,
    frames: Vec<Outgoing>,
    actions: VecDeque<Action>,
    /// What was said to itself, where somebody watches.
    overheard: Option<Vec<Outgoing>>,
    lies: Lies,
    /// It has told the gateways how channels are kept.
    is_keeper: bool,
}

impl<F: Front> Member<F> {
    /// A member that knows a view (perhaps an old one) and is not in it.
    pub fn new(now: Now, identity: Life, view: &Arc<View>, timing: Timing, seat: Seat) -> Self {
        let me = identity.incarnation;
        let membership = Membership::new(now, identity, view.clone(), timing, seat);
        Self {
            me,
            timing,
            membership,
            node: None,
            front: None,
            local: VecDeque::new(),
            taken: Vec::new(),
            fresh: Vec::new(),
            frames: Vec::new(),
            actions: VecDeque::new(),
            overheard: None,
            lies: Lies::default(),
            is_keeper: false,
        }
    }

    /// The same with these roles.
    #[must_use]
    pub fn with(mut self, now: Now, node: Option<Node>, front: Option<F>) -> Self {
        (self.node, self.front) = (node, front);
        self.wait_for_word();
        self.link_myself(now);
        self
    }

    /// What was said in a former life may have been another host's, or another cluster's: all links are made anew, and it is said again.
    fn wait_for_word(&mut self) {
        if self.front.as_ref().is_some_and(|front| front.keeping().is_some()) {
            self.membership.wait_for_word();
        }
    }

    /// Watches what this member says to itself.
    #[must_use]
    pub fn overheard(mut self) -> Self {
        self.overheard = Some(Vec::new());
        self
    }

    /// The same among lies.
    #[must_use]
    pub fn lied_to(mut self, lies: Lies) -> Self {
        self.lies = lies;
        self
    }

    /// The same member in a new incarnation, which is not in the view. What its node held is gone, and `node` is another; a gateway keeps
    /// its channels and who listens to them. Links are to be told of anew.
    pub fn live_anew(&mut self, now: Now, identity: Life, view: &Arc<View>, node: Option<Node>) {
        self.me = identity.incarnation;
        let seat = self.membership.seat().anew();
        self.membership = Membership::new(now, identity, view.clone(), self.timing, seat);
        self.wait_for_word();
        self.node = node;
        self.is_keeper = false;
        let told = self.told(view);
        if let Some(front) = &mut self.front {
            front.gateway_mut().live_anew(now, self.me, told);
        }
        self.local.clear();
        self.taken.clear();
        self.frames.clear();
        self.actions.clear();
        self.link_myself(now);
    }

    /// Roles of one member speak to each other as members do, without a link between them.
    fn link_myself(&mut self, now: Now) {
        if let (Some(node), Some(front)) = (&mut self.node, &mut self.front) {
            node.on_link_up(now, self.me);
            front.gateway_mut().on_link_up(now, self.me);
        }
        let lease = self.membership.lease();
        self.set_lease(now, lease);
    }

    /// This life.
    pub fn incarnation(&self) -> Incarnation {
        self.me
    }

    /// Its rules of membership, to look at.
    pub fn membership(&self) -> &Membership {
        &self.membership
    }

    /// The newest view known.
    pub fn view(&self) -> &Arc<View> {
        self.membership.view()
    }

    /// Its node, to look at.
    pub fn node(&self) -> Option<&Node> {
        self.node.as_ref()
    }

    /// Its gateway's rules, to look at.
    pub fn gateway(&self) -> Option<&Gateway> {
        self.front.as_ref().map(Front::gateway)
    }

    /// What stands before its gateway.
    pub fn front(&self) -> Option<&F> {
        self.front.as_ref()
    }

    /// The same, to hand in what clients want.
    pub fn front_mut(&mut self) -> Option<&mut F> {
        self.front.as_mut()
    }

    /// Something of a member was read at this time, whether it was taken since or waits.
    pub fn heard(&mut self, at: Now, peer: Incarnation) {
        self.membership.heard(at, peer);
        if let Some(node) = &mut self.node {
            node.heard(at, peer);
        }
    }

    /// The registry is in the process of that member.
    pub fn set_host(&mut self, now: Now, host: Incarnation) {
        self.membership.set_host(host);
        self.membership.on_registry_link(now);
    }

    /// A link came up, anew or instead of an older one.
    pub fn on_link_up(&mut self, now: Now, peer: Incarnation) {
        self.heard(now, peer);
        self.membership.refute(peer);
        if let Some(node) = &mut self.node {
            node.on_link_up(now, peer);
        }
        if let Some(front) = &mut self.front {
            front.gateway_mut().on_link_up(now, peer);
        }
        if self.membership.keeper() == Some(self.me) {
            self.tell_keeping(peer);
        }
    }

    fn tell_keeping(&mut self, to: Incarnation) {
        if let Some(front) = self.front.as_mut().filter(|_| to != self.me)
            && let Some(keeping) = front.keeping()
        {
            front.gateway_mut().tell_keeping(to, keeping);
        }
    }

    /// Who has just become the keeper is linked with gateways already.
    fn look_who_is_keeper(&mut self, view: &View) {
        let is_keeper = self.membership.keeper() == Some(self.me);
        if is_keeper && !std::mem::replace(&mut self.is_keeper, is_keeper) {
            view.gateways.iter().for_each(|gateway| self.tell_keeping(gateway.incarnation));
        }
        self.is_keeper = is_keeper;
    }

    /// The keeper says how channels are kept. Whoever else says so is not obeyed.
    fn on_keeping(&mut self, now: Now, from: Incarnation, keeping: &Arc<Keeping>) {
        if let Some(front) = self.front.as_mut().filter(|_| self.membership.keeper() == Some(from))
            && keeping.check().is_ok()
        {
            front.keep(now, keeping);
            self.membership.word_came();
        }
    }

    /// A link ended.
    pub fn on_link_down(&mut self, now: Now, peer: Incarnation) {
        if let Some(node) = self.node.as_mut().filter(|_| !self.lies.hides_breaks) {
            node.on_link_down(now, peer);
        }
        if let Some(front) = &mut self.front {
            front.gateway_mut().on_link_down(now, peer);
        }
    }

    /// A frame came on a link. What concerns no role (requests to the registry, resets and the like) is for the pump, and is not taken.
    pub fn on_frame(&mut self, now: Now, from: Incarnation, frame: Frame) {
        let Frame { epoch, message } = frame;
        match message {
            Message::RegistryAnswer(answer) => self.on_answer(now, &answer),
            Message::Moved(view) => {
                self.on_view(now, &view);
                self.act(now);
                self.tell_both(now, from, epoch, &Message::Moved(view));
            }
            Message::Ping(load) => self.tell_both(now, from, epoch, &Message::Ping(load)),
            Message::Keeping(keeping) => self.on_keeping(now, from, &keeping),
            Message::LogAnswer(answer) => {
                if let Some(node) = &mut self.node {
                    node.on_relayed_log(now, from, *answer);
                }
            }
            message if message.is_for_gateway() => {
                if let Some(front) = &mut self.front {
                    front.gateway_mut().on_message(now, from, epoch, message);
                }
            }
            message => {
                if let Some(node) = &mut self.node {
                    node.on_message(now, from, epoch, message);
                }
            }
        }
    }

    fn tell_both(&mut self, now: Now, from: Incarnation, epoch: Epoch, message: &Message) {
        if let Some(node) = &mut self.node {
            node.on_message(now, from, epoch, message.clone());
        }
        if let Some(front) = &mut self.front {
            front.gateway_mut().on_message(now, from, epoch, message.clone());
        }
    }

    /// The registry answered.
    pub fn on_answer(&mut self, now: Now, answer: &RegistryAnswer) {
        self.membership.on_answer(now, answer);
    }

    /// The log itself answered.
    pub fn on_log(&mut self, now: Now, answer: LogAnswer) {
        if let Some(node) = &mut self.node {
            node.on_log(now, answer);
        }
    }

    /// A newer view was seen, wherever it came from.
    pub fn on_view(&mut self, now: Now, view: &Arc<View>) {
        self.membership.on_view(now, view);
    }

    /// A member is known to have died (R15).
    pub fn evidence(&mut self, now: Now, peer: Incarnation, proof: Removal) {
        self.membership.evidence(now, peer, proof);
    }

    /// Members that somebody beside the links takes for gone: [`Membership::doubt`].
    pub fn doubt(&mut self, members: BTreeSet<Incarnation>) {
        self.membership.doubt(members);
    }

    /// Asks to leave; [`Action::Left`] follows.
    pub fn leave(&mut self) {
        self.membership.leave();
    }

    /// Asks for a change; [`Action::Changed`] with this token ends it.
    pub fn change(&mut self, now: Now, token: u64, change: Change) {
        self.membership.change(now, token, change);
    }

    /// Tells its node alone of a view. A lie, for simulations.
    pub fn mislead_node(&mut self, now: Now, view: &Arc<View>) {
        if let Some(node) = &mut self.node {
            node.on_view(now, view);
        }
    }

    /// Lets time pass for the roles. [`Self::tick_membership`] follows: what they have done until then counts there.
    pub fn tick(&mut self, now: Now) {
        if let Some(node) = &mut self.node {
            node.tick(now);
        }
        if let Some(front) = &mut self.front {
            front.gateway_mut().tick(now);
            front.pass(now);
        }
    }

    /// Lets time pass for the rules of membership.
    pub fn tick_membership(&mut self, now: Now) {
        let node = &self.node;
        self.membership.tick(now, |peer| node.as_ref().map_or_else(Default::default, |node| node.settled_by(peer)));
    }

    /// Tells every linked member that this one lives, and how it is.
    pub fn ping(&mut self, load: Load) {
        if let Some(front) = &mut self.front {
            front.gateway_mut().ping(load);
        } else if let Some(node) = &mut self.node {
            node.ping();
        }
    }

    /// Lets the rules act until none of them has more to say to another, and ends the turn: what was collected for batches goes out.
    pub fn turn(&mut self, now: Now) {
        for frame in std::mem::take(&mut self.taken) {
            self.on_frame(now, self.me, frame);
        }
        self.rounds(now, true);
    }

    /// The same in the middle of a turn: more comes in before it ends.
    pub fn act_on(&mut self, now: Now) {
        self.rounds(now, false);
    }

    fn rounds(&mut self, now: Now, ends: bool) {
        for _ in 0..ROUNDS {
            self.act(now);
            self.collect(now, ends);
            if self.local.is_empty() {
                return;
            }
            while let Some(frame) = self.local.pop_front() {
                self.on_frame(now, self.me, frame);
            }
        }
    }

    /// Does what the rules of membership want of the roles here.
    fn act(&mut self, now: Now) {
        while let Some(action) = self.membership.next_action() {
            match &action {
                Action::View { view, placement, .. } => self.apply(now, view, placement),
                Action::Lease(lease) => self.set_lease(now, *lease),
                Action::Expelled => self.node = None,
                _ => {}
            }
            self.actions.push_back(action);
        }
    }

    fn apply(&mut self, now: Now, view: &Arc<View>, placement: &Placement) {
        let told = self.told(view);
        // Whoever is lied to works out for itself what the lie means.
        let means = if Arc::ptr_eq(&told, view) { placement.clone() } else { Placement::of(&told, None) };
        if let Some(node) = &mut self.node {
            node.on_view_placed(now, &told, &means);
        }
        if let Some(front) = &mut self.front {
            front.gateway_mut().on_view_placed(now, told, &means);
        }
        self.look_who_is_keeper(view);
    }

    /// What the roles are told instead of this view.
    fn told(&self, view: &Arc<View>) -> Arc<View> {
        self.lies.view.map_or_else(|| view.clone(), |lie| Arc::new(lie(self.me, view)))
    }

    fn set_lease(&mut self, now: Now, lease: Lease) {
        if let Some(node) = &mut self.node {
            node.set_lease(now, self.lies.lease.unwrap_or(lease));
        }
    }

    /// Takes what the roles have said: what is for this member itself, and what goes out.
    fn collect(&mut self, now: Now, ends: bool) {
        let mut fresh = std::mem::take(&mut self.fresh);
        if let Some(node) = &mut self.node {
            if ends {
                node.finish_turn(now);
            }
            self.actions.extend(node.take_log_requests().into_iter().map(Action::Log));
            node.swap_frames(&mut fresh);
            self.sort(&mut fresh);
        }
        if let Some(front) = &mut self.front {
            front.take_events(now);
            let said = front.gateway_mut().take_frames(fresh);
            fresh = said.completed(|attaches| front.complete(attaches));
            self.sort(&mut fresh);
        }
        self.fresh = fresh;
    }

    /// Keeps apart what is for others and what is for this member itself. Where it has one role, it has nothing to say to itself.
    fn sort(&mut self, fresh: &mut Vec<Outgoing>) {
        if self.frames.is_empty() && (self.node.is_none() || self.front.is_none()) {
            return std::mem::swap(&mut self.frames, fresh);
        }
        for outgoing in fresh.drain(..) {
            if outgoing.to == self.me {
                self.keep(outgoing);
            } else {
                self.frames.push(outgoing);
            }
        }
    }

    fn keep(&mut self, outgoing: Outgoing) {
        if let Some(overheard) = &mut self.overheard {
            overheard.push(outgoing.clone());
        }
        match outgoing.frame.message {
            // One part a turn: others have theirs in between, as if there were a link.
            Message::Taken(..) => self.taken.push(outgoing.frame),
            _ => self.local.push_back(outgoing.frame),
        }
    }

    /// Something is left for the next turn.
    pub fn has_more(&self) -> bool {
        !self.taken.is_empty()
    }

    /// Puts the frames for others into an empty buffer that changes places with the one they are in.
    pub fn swap_frames(&mut self, frames: &mut Vec<Outgoing>) {
        std::mem::swap(&mut self.frames, frames);
    }

    /// Takes what was said to itself since the last time, if that is watched.
    pub fn take_overheard(&mut self) -> Vec<Outgoing> {
        self.overheard.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Takes the next thing that a member wants done. The roles here have done their part of it.
    pub fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }
}

#[cfg(test)]
mod tests;
