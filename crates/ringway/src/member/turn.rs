//! One turn of the member task: the rules take theirs, and what comes out is carried out.

use std::sync::Arc;

use ringway_core::Incarnation;
use ringway_core::logbook::{LogAnswer, LogRequest};
use ringway_core::membership::Action;
use ringway_core::message::{Frame, Load, Message, RegistryRequest};
use ringway_core::peers::Outgoing;
use ringway_core::timing::Now;
use ringway_core::view::{Difference, Placement, Removal, View};
use ringway_link::Event;
use tracing::{debug, error, info, warn};

use super::{Client, End, Intake, Signal, Task};
use crate::changes::Fact;
use crate::clock;
use crate::cluster::{ChangeError, Demand, Demanded};
use crate::logbook;
use crate::orders::By;
use crate::registry::{Answered, Heard, News, Sent};

/// Rounds in which the rules of one process answer each other. They end by themselves; the bound keeps a fault from
/// hanging the process.
const ROUNDS: usize = 10_000;

impl Task {
    /// Lets time pass, then takes a turn.
    pub(super) fn tick(&mut self, now: Now) {
        for (peer, known) in &self.mesh.peers {
            self.member.heard(known.last_heard(now), *peer);
        }
        self.tick_registry(now);
        self.member.tick(now);
        self.shed(now);
        self.leave_on(now);
        if !self.registry.is_arriving() {
            self.member.tick_membership(now);
        }
        self.beat(now);
        self.report_settled(now);
        self.report_toll(now);
        self.tick_orders(now);
        self.turn(now);
    }

    /// Pings when it is time. True if it was.
    fn beat(&mut self, now: Now) -> bool {
        let due = now >= self.next_ping;
        if due {
            self.next_ping = now + self.parts.timing.ping;
            self.ping(now);
            self.report_resets(now);
            self.dial_in_their_place(now);
            self.look_at_owners(now);
            self.facts_changed = true;
        }
        self.say_whether_sockets_come();
        due
    }

    /// Takes so many events at most of what the links have brought, and so many bytes of frames with the last of them. Pings go out
    /// on time meanwhile, whatever it costs: a member with much to do is alive.
    pub(super) fn take_events(&mut self, events: impl Iterator<Item = Event>, mut bytes: usize) {
        for event in events {
            let now = clock::now();
            bytes = bytes.saturating_sub(bytes_of(&event));
            self.on_link_event(now, event);
            if self.beat(now) {
                self.turn(now);
            }
            if bytes == 0 {
                return;
            }
        }
    }

    /// Takes what clients have brought, then takes a turn.
    pub(super) fn take_inputs(&mut self, now: Now, intake: Option<&Intake<Client>>) {
        let mut batch = std::mem::take(&mut self.sockets.batch);
        if let (Some(intake), Some(hub)) = (intake, self.member.front_mut()) {
            intake.take(&mut batch);
            self.sockets.turns.work_off(now, hub, &mut batch);
            if self.sockets.turns.is_waiting() {
                intake.nudge();
            }
        }
        self.turn(now);
        self.sockets.turns.resume(&mut batch);
        self.sockets.batch = batch;
    }

    pub(super) fn on_signal(&mut self, now: Now, signal: Signal) -> Option<tokio::sync::oneshot::Sender<()>> {
        match signal {
            Signal::Shed(within, done) => {
                self.begin_to_shed(now, within, done);
                None
            }
            Signal::Drain(done) => {
                self.begin_to_drain(now, done);
                // Whoever came in through a handshake that was under way.
                if let Some(hub) = self.member.front_mut() {
                    hub.shut_down();
                }
                None
            }
            Signal::Stop(done) => {
                self.give_up_leaving(now);
                if let Some(hub) = self.member.front_mut() {
                    hub.shut_down();
                }
                Some(done)
            }
        }
    }

    pub(super) fn on_demand(&mut self, now: Now, demanded: Demanded) {
        use ringway_core::membership::Change;
        let Demanded { demand, answer } = demanded;
        let asked = match demand {
            Demand::Weight(member, weight) => Change::Weight(member, weight),
            Demand::Rest => Change::Rest,
            Demand::Doubt(members) => {
                self.member.doubt(members);
                let _ = answer.send(Ok(self.member.view().epoch));
                return;
            }
            Demand::Remove(member, why) => {
                if why == Removal::Proven {
                    self.note_end(now, member);
                }
                Change::Remove(member, why)
            }
            Demand::Reset(reset) => {
                // An asker who does not wait any more needs no answer.
                let _ = answer.send(self.give_reset(now, &reset).map(|()| self.member.view().epoch));
                return;
            }
        };
        self.demands.next += 1;
        self.demands.waiting.insert(self.demands.next, answer);
        self.member.change(now, self.demands.next, asked);
    }

    /// Lets the rules act and carries out what they want, until they want nothing more; then has the sockets written.
    pub(super) fn turn(&mut self, now: Now) {
        for _ in 0..ROUNDS {
            self.member.turn(now);
            let mut goes_on = self.hand_posts();
            while let Some(action) = self.member.next_action() {
                goes_on |= self.carry_out(now, action);
            }
            self.send_frames(now);
            if !goes_on {
                break;
            }
        }
        if let Some((hub, flusher)) = self.member.front_mut().zip(self.sockets.flusher.as_mut()) {
            hub.flush(now, |socket| flusher.add(socket));
            flusher.end();
        }
        if self.facts_changed {
            self.publish_facts(now);
        }
    }

    /// Hands what has come for sessions here to their connections. True if there was something: the rules have to say so.
    fn hand_posts(&mut self) -> bool {
        let (Some(hub), Some(gateway)) = (self.member.front_mut(), &self.parts.gateway) else { return false };
        let posts = hub.take_posts();
        for posted in &posts {
            // Without an answer its asker gives it up, and its client is told to try again.
            if let Some(is_taken) = gateway.intake.hand(&posted.post) {
                hub.posted(posted, is_taken);
            }
        }
        !posts.is_empty()
    }

    fn send_frames(&mut self, now: Now) {
        let mut frames = std::mem::take(&mut self.frames);
        self.member.swap_frames(&mut frames);
        frames.drain(..).for_each(|outgoing| self.send_out(now, outgoing));
        self.frames = frames;
    }

    /// True if the rules were told something, which they may have to say something about.
    fn carry_out(&mut self, now: Now, action: Action) -> bool {
        match action {
            Action::Request(request) => return self.ask_registry(now, request),
            Action::Log(request) => return self.ask_log(now, request),
            Action::View { before, view, placement } => {
                self.on_applied(now, &before, &view, &placement);
                return true;
            }
            Action::Expelled => {
                self.start_over(now);
                return true;
            }
            Action::Left => {
                info!(epoch = %self.member.view().epoch, "everything is handed over; this member has left the view");
                self.exit.left = Some(now);
            }
            Action::Lease(_) => {}
            Action::IdTaken(_) => {
                warn!(id = %self.parts.id, "a member with this id is in the view; joining when it is gone");
            }
            Action::Full => {
                let most = ringway_core::ring::MAX_NODES;
                warn!(id = %self.parts.id, "the cluster has {most} nodes, which is the most; joining when one has left");
            }
            Action::Suspects(peer, sign) => {
                if let Some(id) = self.member.view().id_of(peer) {
                    warn!(member = %id, "a member is taken for dead: {sign}; asking for its removal");
                }
            }
            Action::Changed(token, result) => {
                if let Some(answer) = self.demands.waiting.remove(&token) {
                    let _ = answer.send(result.map_err(ChangeError::from));
                }
            }
        }
        false
    }

    /// True if the answer is there already.
    fn ask_registry(&mut self, now: Now, request: RegistryRequest) -> bool {
        match self.registry.ask(now, self.me, request) {
            Sent::Answered(answered) => {
                self.hand_out(now, answered);
                return true;
            }
            Sent::ToHost(request) => self.send_to_host(request),
            Sent::Away => return self.hear_registry(now),
        }
        false
    }

    /// Without a link to the host a request is one without an answer.
    fn send_to_host(&self, request: RegistryRequest) {
        if let Some(host) = self.member.membership().seat().host() {
            self.put_to(host, Message::RegistryRequest(request));
        }
    }

    /// True if the answer is there already.
    fn ask_log(&mut self, now: Now, request: LogRequest) -> bool {
        match self.log.ask(self.me, request) {
            logbook::Sent::Away => {}
            logbook::Sent::ToHost(request) => {
                if let Some(host) = self.member.membership().seat().host() {
                    self.put_to(host, Message::LogRequest(Box::new(request)));
                }
            }
            logbook::Sent::Answered(answer) => {
                self.member.on_log(now, answer);
                return true;
            }
        }
        false
    }

    /// The log has answered, this member or one that asked through it, and perhaps more than once.
    pub(super) fn on_logged(&mut self, now: Now, to: Incarnation, answer: LogAnswer) {
        let mut next = Some((to, answer));
        while let Some((to, answer)) = next {
            if to == self.me {
                self.member.on_log(now, answer);
            } else {
                self.put_to(to, Message::LogAnswer(Box::new(answer)));
            }
            next = self.log.come();
        }
    }

    /// A request of another member to the registry here; where there is none it gets no answer.
    pub(super) fn on_request(&mut self, now: Now, from: Incarnation, request: RegistryRequest) {
        let answered = self.registry.serve(now, from, request);
        answered.into_iter().for_each(|answered| self.hand_out(now, answered));
    }

    /// The registry has something to say that comes over no link.
    pub(super) fn on_news(&mut self, now: Now, news: News) {
        match news {
            News::Kept(kept) => {
                self.registry.on_kept(now, &kept).into_iter().for_each(|answered| self.hand_out(now, answered));
            }
            News::Told(told) => {
                if let Some((to, answer)) = self.registry.on_told(now, told) {
                    self.put_to(to, Message::StoreAnswer(answer));
                }
                self.hear_registry(now);
            }
        }
    }

    fn tick_registry(&mut self, now: Now) {
        let membership = self.member.membership();
        self.registry.tick(now, |peer| membership.hears(now, peer));
        self.hear_registry(now);
    }

    /// Does what a registry outside wants. True if the rules were told something.
    fn hear_registry(&mut self, now: Now) -> bool {
        let mut is_told = false;
        while let Some(heard) = self.registry.next_heard() {
            match heard {
                Heard::Answer(answer) => self.member.on_answer(now, &answer),
                Heard::View(view) => self.member.on_view(now, &view),
                Heard::Relay(to, request) => {
                    self.put_to(to, Message::StoreRequest(request));
                    continue;
                }
            }
            is_told = true;
        }
        is_told
    }

    fn put_to(&self, to: Incarnation, message: Message) {
        self.put(Outgoing { to, frame: Frame { epoch: self.member.view().epoch, message } });
    }

    /// Gives an answer of the registry to whoever asked, once everybody is told of a new view.
    fn hand_out(&mut self, now: Now, answered: Answered) {
        let Answered { to, answer, is_news } = answered;
        let epoch = answer.view.epoch;
        if is_news {
            let frame = Frame { epoch, message: Message::Moved(answer.view.clone()) };
            for peer in self.mesh.peers.values() {
                // A link that is full closes itself, and its other end reads the view when it is back.
                let _ = peer.sender.send(frame.clone());
            }
            self.member.on_view(now, &answer.view);
        }
        if to == self.me {
            self.member.on_answer(now, &answer);
        } else if let Some(peer) = self.mesh.peers.get(&to) {
            let _ = peer.sender.send(Frame { epoch, message: Message::RegistryAnswer(answer) });
        }
    }

    /// Every role has applied a view.
    fn on_applied(&mut self, now: Now, before: &View, view: &Arc<View>, placement: &Placement) {
        info!("view {}: {}", view.epoch, Difference::new(before, view));
        self.weight = view.node(self.me).filter(|node| node.stays()).map(|node| node.next).or(self.weight);
        if placement.checksum() != view.checksum {
            error!(epoch = %view.epoch, mine = placement.checksum(), theirs = view.checksum,
                   "this member places slots differently from the one that wrote the view; run the same version everywhere");
        }
        self.registry.on_view(view);
        self.resets_in(now, view);
        self.tell_view(now, view, placement);
        self.follow_view(now, view);
        self.obey_in(now, view);
        self.note_let_in();
        self.ping(now);
        self.facts_changed = true;
    }

    /// Tells every linked member that this one is alive, and how it is.
    pub(super) fn ping(&mut self, now: Now) {
        let load = self.load();
        if let Some(node) = self.member.node() {
            self.tell_load(now, self.me, node.view().epoch, load);
        }
        self.mesh.loads.insert(self.me, load);
        self.member.ping(load);
    }

    pub(super) fn load(&self) -> Load {
        let node = self.member.node().map(ringway_core::node::Node::load).unwrap_or_default();
        let sockets = self.member.front().map_or(0, |hub| hub.counts().sessions);
        let relayed = node.relayed || self.registry.is_relayed();
        Load { sockets, relayed, ..node }
    }

    /// The keeper, if it can be told something now.
    pub(super) fn reachable_keeper(&self) -> Option<Incarnation> {
        self.member.membership().keeper().filter(|keeper| *keeper == self.me || self.mesh.peers.contains_key(keeper))
    }

    /// This member is the one for the whole cluster that newcomers dial and that keeps receipts.
    pub(super) fn is_keeper(&self) -> bool {
        self.member.membership().keeper() == Some(self.me)
    }

    /// The registry is in this process.
    pub(super) fn is_host(&self) -> bool {
        self.member.membership().seat().is_here()
    }

    /// The registry is in the process of that member.
    pub(super) fn is_hosted_by(&self, peer: Incarnation) -> bool {
        self.member.membership().seat().is_hosted_by(peer)
    }

    /// Sends what this process has to say, to itself too.
    pub(super) fn send(&mut self, now: Now, outgoing: Outgoing) {
        match outgoing.to == self.me {
            true => self.on_frame(now, self.me, outgoing.frame),
            false => self.put(outgoing),
        }
    }

    pub(super) fn put(&self, outgoing: Outgoing) {
        if let Some(peer) = self.mesh.peers.get(&outgoing.to)
            && let Err(error) = peer.sender.send(outgoing.frame)
        {
            debug!(peer = %peer.identity.id, %error, "a link took no frame");
        }
    }

    /// Takes a frame for this process, or gives it to the rules.
    pub(super) fn on_frame(&mut self, now: Now, from: Incarnation, frame: Frame) {
        let epoch = frame.epoch;
        match frame.message {
            Message::RegistryAnswer(answer) if self.registry.is_arriving() => self.arrive(now, from, &answer),
            Message::Keeping(_) if self.registry.is_arriving() => self.mesh.early_word = Some((from, frame)),
            // What else is said before it is known which cluster this is concerns nobody here.
            _ if self.registry.is_arriving() => {}
            Message::RegistryRequest(request) => {
                if let Some(request) = self.let_in(now, from, request) {
                    self.on_request(now, from, request);
                }
            }
            Message::StoreRequest(request) => self.registry.pass_on(from, request),
            Message::LogRequest(request) => {
                if let Some(answer) = self.log.serve(from, *request) {
                    self.put_to(from, Message::LogAnswer(Box::new(answer)));
                }
            }
            Message::StoreAnswer(answer) => {
                self.registry.on_relayed(now, from, answer);
                self.hear_registry(now);
            }
            Message::Moved(ref view) if self.is_not_of_this_registry(view) => {}
            Message::KeptOut(why) => self.on_kept_out(from, &why),
            Message::Reset(order) => self.on_reset_by(now, (from, By::Link), &order),
            Message::ResetCount(count) => self.on_reset_count(now, from, count),
            Message::Order(number, _) => self.on_close(now, (from, By::Link), number, frame),
            Message::Obeyed(number) => {
                self.on_closed(from, number);
                self.member.on_frame(now, from, frame);
            }
            Message::Toll(toll) => self.telling.tell(Fact::Toll { at: now, gateway: from, epoch, toll }),
            Message::Ping(load) => {
                self.mesh.loads.insert(from, load);
                self.tell_load(now, from, epoch, load);
                self.member.on_frame(now, from, frame);
            }
            _ => self.member.on_frame(now, from, frame),
        }
    }

    /// A view that the registry here has not written: it was brought back from an older copy. To go on would be to write other
    /// views under the same numbers.
    fn is_not_of_this_registry(&mut self, view: &View) -> bool {
        let Some(kept) = self.registry.disowns(view) else { return false };
        self.exit.outdated = Some(End::Outdated { kept, known: view.epoch });
        true
    }
}

/// Bytes of the frames that came.
fn bytes_of(event: &Event) -> usize {
    if let Event::Frames { bytes, .. } = event { *bytes } else { 0 }
}
