//! One turn of the member task: rules are asked until none has anything more to say, and what they say is done.

use std::sync::Arc;

use ringway_core::Incarnation;
use ringway_core::member::Action;
use ringway_core::message::{Frame, Load, Message, RegistryRequest};
use ringway_core::peers::Outgoing;
use ringway_core::timing::Now;
use ringway_core::view::{Placement, Removal, View};
use ringway_link::Event;
use tokio::sync::mpsc;
use tracing::{debug, error, info, warn};

use super::registrar::{Answered, Kept};
use super::{Client, Command, End, Inbox, Task};
use crate::changes::Fact;
use crate::clock;
use crate::cluster::{self, Order};

/// Rounds in which the rules of one process answer each other. They end by themselves; the bound keeps a fault from
/// hanging the process.
const ROUNDS: usize = 10_000;

impl Task {
    /// Lets time pass, then takes a turn.
    pub(super) fn tick(&mut self, now: Now) {
        for (peer, known) in &self.peers {
            self.rules.heard(known.last_heard(now), *peer);
            if let Some(node) = &mut self.node {
                node.heard(known.last_heard(now), *peer);
            }
        }
        if let Some(node) = &mut self.node {
            node.tick(now);
        }
        if let Some(hub) = &mut self.hub {
            hub.rules.tick(now);
            hub.tick(now);
        }
        self.shed(now);
        self.leave_on(now);
        let node = &self.node;
        if !self.is_arriving {
            self.rules.tick(now, |peer| node.as_ref().map_or_else(Default::default, |node| node.settled_by(peer)));
        }
        self.beat(now);
        self.report_settled(now);
        self.report_toll(now);
        self.turn(now);
    }

    /// Pings when it is time. True if it was.
    fn beat(&mut self, now: Now) -> bool {
        let due = now >= self.next_ping;
        if due {
            self.next_ping = now + self.parts.timing.ping;
            self.ping(now);
            self.report_resets();
            self.dial_in_their_place(now);
            self.look_at_owners(now);
            self.facts_changed = true;
        }
        due
    }

    /// Takes so many events at most of what the links have brought. Pings go out on time meanwhile, whatever it costs:
    /// a member with much to do is alive.
    pub(super) fn take_events(&mut self, events: &mut mpsc::Receiver<Event>, most: usize) {
        for _ in 0..most {
            let Ok(event) = events.try_recv() else { return };
            let now = clock::now();
            self.on_link_event(now, event);
            if self.beat(now) {
                self.turn(now);
            }
        }
    }

    /// Takes what clients have brought, then takes a turn.
    pub(super) fn take_inputs(&mut self, now: Now, inbox: Option<&Inbox<Client>>) {
        let mut batch = std::mem::take(&mut self.batch);
        if let (Some(inbox), Some(hub)) = (inbox, &mut self.hub) {
            inbox.take(&mut batch);
            self.turns.work_off(now, hub, &mut batch);
            if self.turns.is_waiting() {
                inbox.nudge();
            }
        }
        self.turn(now);
        self.turns.resume(&mut batch);
        self.batch = batch;
    }

    pub(super) fn on_command(&mut self, now: Now, command: Command) -> Option<tokio::sync::oneshot::Sender<()>> {
        match command {
            Command::Shed(within, done) => {
                self.begin_to_shed(now, within, done);
                None
            }
            Command::Drain(done) => {
                self.begin_to_drain(now, done);
                // Whoever came in through a handshake that was under way.
                if let Some(hub) = &mut self.hub {
                    hub.shut_down();
                }
                None
            }
            Command::Stop(done) => {
                self.give_up_leaving(now);
                if let Some(hub) = &mut self.hub {
                    hub.shut_down();
                }
                Some(done)
            }
        }
    }

    pub(super) fn on_order(&mut self, now: Now, order: Order) {
        use cluster::Change;
        use ringway_core::member::Change as Asked;
        let Order { change, answer } = order;
        let asked = match change {
            Change::Drain(member) if self.rules.view().node(member).is_some() => {
                Asked::Weight(member, ringway_core::ring::Weight::ZERO)
            }
            Change::Drain(member) => Asked::DrainGateway(member),
            Change::Weight(member, weight) => Asked::Weight(member, weight),
            Change::Remove(member, why) => {
                if why == Removal::Proven {
                    self.note_end(now, member);
                }
                Asked::Remove(member, why)
            }
            Change::Reset(reset) => {
                // An asker who does not wait any more needs no answer.
                let _ = answer.send(self.give_reset(now, &reset).map(|()| self.rules.view().epoch));
                return;
            }
        };
        self.next_change += 1;
        self.changes.insert(self.next_change, answer);
        self.rules.change(now, self.next_change, asked);
    }

    /// Does what the rules want until they want nothing more, then writes to the sockets.
    pub(super) fn turn(&mut self, now: Now) {
        for frame in std::mem::take(&mut self.taken) {
            self.on_frame(now, self.me, frame);
        }
        for _ in 0..ROUNDS {
            while let Some(action) = self.rules.next_action() {
                self.act(now, action);
            }
            self.send_frames(now);
            let Some(frame) = self.local.pop_front() else { break };
            self.on_frame(now, self.me, frame);
            while let Some(frame) = self.local.pop_front() {
                self.on_frame(now, self.me, frame);
            }
        }
        if let Some(hub) = &mut self.hub {
            hub.flush(now);
        }
        if self.facts_changed {
            self.publish_facts(now);
        }
    }

    /// Puts on the links what the rules have to say, and here what they say to each other.
    fn send_frames(&mut self, now: Now) {
        let mut frames = std::mem::take(&mut self.frames);
        if let Some(node) = &mut self.node {
            node.finish_turn();
            node.swap_frames(&mut frames);
            frames.drain(..).for_each(|outgoing| self.send(outgoing));
        }
        if let Some(hub) = &mut self.hub {
            hub.on_events(now);
            hub.rules.swap_frames(&mut frames);
            frames.drain(..).for_each(|outgoing| self.send_of_gateway(outgoing));
        }
        self.frames = frames;
    }

    fn act(&mut self, now: Now, action: Action) {
        match action {
            Action::Request(request) => self.ask_registry(now, request),
            Action::View(view, placement) => self.apply(now, &view, &placement),
            Action::Lease(lease) => {
                if let Some(node) = &mut self.node {
                    node.set_lease(now, lease);
                }
            }
            Action::Expelled => self.start_over(now),
            Action::Left => {
                info!(epoch = %self.rules.view().epoch, "everything is handed over; this member has left the view");
                self.left = Some(now);
            }
            Action::IdTaken(_) => {
                warn!(id = %self.parts.id, "a member with this id is in the view; joining when it is gone");
            }
            Action::Full => {
                let most = ringway_core::ring::MAX_NODES;
                warn!(id = %self.parts.id, "the cluster has {most} nodes, which is the most; joining when one has left");
            }
            Action::Suspects(peer, sign) => {
                if let Some(id) = self.rules.view().id_of(peer) {
                    warn!(member = %id, "a member is taken for dead: {sign}; asking for its removal");
                }
            }
            Action::Changed(token, result) => {
                if let Some(answer) = self.changes.remove(&token) {
                    let _ = answer.send(result.map_err(spoken));
                }
            }
        }
    }

    fn ask_registry(&mut self, now: Now, request: RegistryRequest) {
        if self.registry.is_some() {
            return self.on_request(now, self.me, request);
        }
        let Some(peer) = self.host.and_then(|host| self.peers.get(&host)) else { return };
        let frame = Frame { epoch: self.rules.view().epoch, message: Message::RegistryRequest(request) };
        if let Err(error) = peer.sender.send(&frame) {
            debug!(%error, "the registry's link took no request");
        }
    }

    /// A request to the registry here; where there is none it gets no answer.
    pub(super) fn on_request(&mut self, now: Now, from: Incarnation, request: RegistryRequest) {
        let answered = self.registry.as_mut().and_then(|registry| registry.ask(now, from, request));
        answered.into_iter().for_each(|answered| self.hand_out(now, answered));
    }

    /// The registry's view is on the disk, or could not be written.
    pub(super) fn on_kept(&mut self, now: Now, kept: &Kept) {
        let answers = self.registry.as_mut().map(|registry| registry.on_kept(now, kept));
        answers.into_iter().flatten().for_each(|answered| self.hand_out(now, answered));
    }

    /// Gives an answer of the registry to whoever asked, once everybody is told of a new view.
    fn hand_out(&mut self, now: Now, answered: Answered) {
        let Answered { to, answer, is_news } = answered;
        let epoch = answer.view.epoch;
        if is_news {
            let frame = Frame { epoch, message: Message::Moved(answer.view.clone()) };
            for peer in self.peers.values() {
                // A link that is full closes itself, and its other end reads the view when it is back.
                let _ = peer.sender.send(&frame);
            }
            self.rules.on_view(now, &answer.view);
        }
        if to == self.me {
            self.rules.on_answer(now, &answer);
        } else if let Some(peer) = self.peers.get(&to) {
            let _ = peer.sender.send(&Frame { epoch, message: Message::RegistryAnswer(answer) });
        }
    }

    fn apply(&mut self, now: Now, view: &Arc<View>, placement: &Placement) {
        info!("view {}: {}", view.epoch, self.news_in(view));
        self.weight = view.node(self.me).filter(|node| node.stays()).map(|node| node.next).or(self.weight);
        if let Some(node) = &mut self.node {
            node.on_view_placed(now, view, placement);
        }
        if let Some(hub) = &mut self.hub {
            hub.rules.on_view_placed(now, view.clone(), placement);
            if let Some(placement) = hub.rules.placement().filter(|placement| placement.checksum() != view.checksum) {
                error!(epoch = %view.epoch, mine = placement.checksum(), theirs = view.checksum,
                       "this member places slots differently from the one that wrote the view; run the same version everywhere");
            }
        }
        self.tell_view(now, view, placement);
        self.follow_view(now, view);
        self.note_let_in();
        self.ping(now);
        self.facts_changed = true;
    }

    /// Tells every linked member that this one is alive, and how it is.
    pub(super) fn ping(&mut self, now: Now) {
        let load = self.load();
        if let Some(node) = &self.node {
            self.tell_load(now, self.me, node.view().epoch, load);
        }
        self.loads.insert(self.me, load);
        if let Some(hub) = &mut self.hub {
            hub.rules.ping(load);
        } else if let Some(node) = &mut self.node {
            node.ping();
        }
    }

    pub(super) fn load(&self) -> Load {
        let node = self.node.as_ref().map(ringway_core::node::Node::load).unwrap_or_default();
        let sockets = self.parts.gateway.as_ref().map_or(0, |gateway| gateway.edge.open());
        Load { sockets, ..node }
    }

    /// The member that the registry is with, if it can be told something now.
    pub(super) fn reachable_host(&self) -> Option<Incarnation> {
        self.host.filter(|host| *host == self.me || self.peers.contains_key(host))
    }

    /// Completes attaches with who is present.
    fn send_of_gateway(&mut self, mut outgoing: Outgoing) {
        if let (Message::Attach(attaches), Some(hub)) = (&mut outgoing.frame.message, &mut self.hub) {
            hub.fill_attaches(attaches);
        }
        self.send(outgoing);
    }

    pub(super) fn send(&mut self, outgoing: Outgoing) {
        if outgoing.to == self.me && matches!(outgoing.frame.message, Message::Taken(..)) {
            // One part a turn: others have theirs in between, as if there were a link.
            self.taken.push(outgoing.frame);
        } else if outgoing.to == self.me {
            self.local.push_back(outgoing.frame);
        } else if let Some(peer) = self.peers.get(&outgoing.to)
            && let Err(error) = peer.sender.send(&outgoing.frame)
        {
            debug!(peer = %peer.identity.id, %error, "a link took no frame");
        }
    }

    /// Gives a frame to the rules it is for.
    pub(super) fn on_frame(&mut self, now: Now, from: Incarnation, frame: Frame) {
        let Frame { epoch, message } = frame;
        match message {
            Message::RegistryAnswer(answer) if self.is_arriving => self.arrive(now, from, &answer),
            // What is said before it is known which cluster this is concerns nobody here.
            _ if self.is_arriving => {}
            Message::RegistryRequest(request) => {
                if let Some(request) = self.let_in(now, from, request) {
                    self.on_request(now, from, request);
                }
            }
            Message::RegistryAnswer(answer) => self.rules.on_answer(now, &answer),
            Message::Moved(view) if self.is_not_of_this_registry(&view) => {}
            Message::Moved(view) => {
                self.rules.on_view(now, &view);
                while let Some(action) = self.rules.next_action() {
                    self.act(now, action);
                }
                self.for_both(now, from, epoch, &Message::Moved(view));
            }
            Message::Ping(load) => {
                self.loads.insert(from, load);
                self.tell_load(now, from, epoch, load);
                self.for_both(now, from, epoch, &Message::Ping(load));
            }
            Message::KeptOut(why) => self.on_kept_out(from, &why),
            Message::Reset(order) => self.on_reset(now, from, &order),
            Message::ResetCount(count) => self.on_reset_count(now, from, count),
            Message::Toll(toll) => self.telling.tell(Fact::Toll { at: now, gateway: from, epoch, toll }),
            message if message.is_for_gateway() => {
                if let Some(hub) = &mut self.hub {
                    hub.rules.on_message(now, from, epoch, message);
                }
            }
            message => {
                if let Some(node) = &mut self.node {
                    node.on_message(now, from, epoch, message);
                }
            }
        }
    }

    /// A view that the registry here has not written: it was brought back from an older copy. To go on would be to write other
    /// views under the same numbers.
    fn is_not_of_this_registry(&mut self, view: &View) -> bool {
        let Some(registry) = &self.registry else { return false };
        let is_strange = !registry.knows(view);
        if is_strange {
            self.outdated = Some(End::Outdated { kept: registry.view().epoch, known: view.epoch });
        }
        is_strange
    }

    fn for_both(&mut self, now: Now, from: Incarnation, epoch: ringway_core::Epoch, message: &Message) {
        if let Some(node) = &mut self.node {
            node.on_message(now, from, epoch, message.clone());
        }
        if let Some(hub) = &mut self.hub {
            hub.rules.on_message(now, from, epoch, message.clone());
        }
    }
}

/// An error of the rules as the rest of the process is told it.
fn spoken(error: ringway_core::member::ChangeError) -> cluster::ChangeError {
    use ringway_core::member::ChangeError;
    match error {
        ChangeError::NotInView => cluster::ChangeError::NotInView,
        ChangeError::NoRoom => cluster::ChangeError::NotNow(error.to_string()),
        ChangeError::Unknown => cluster::ChangeError::Unknown,
    }
}
