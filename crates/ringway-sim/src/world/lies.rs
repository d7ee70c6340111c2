//! Where a sabotaged run lies: to the rules, never in them. A link changes, invents or swallows frames, or a process
//! keeps something from its node.

use std::sync::Arc;

use ringway_core::member::Lies;
use ringway_core::message::{Answer, AttachFrom, ClaimedSlot, Frame, Have, Message, Op, Query, SlotState, StateKind};
use ringway_core::node::Lease;
use ringway_core::peers::Outgoing;
use ringway_core::registry::store::{Revision, Said, StoreAnswer, StoreOp, StoreRequest};
use ringway_core::ring::Weight;
use ringway_core::view::{Removal, View};
use ringway_core::{Epoch, Incarnation, Slot};

use super::{Event, Input, MS, World};
use crate::Sabotage;

impl World {
    /// What is put on the link instead of this frame.
    pub(super) fn lied_frames(&mut self, from: usize, mut out: Outgoing) -> Vec<Outgoing> {
        let Some(sabotage) = self.sabotage else { return vec![out] };
        let (epoch, to) = (out.frame.epoch, out.to);
        let with = |message| Outgoing { to, frame: Frame { epoch, message } };
        match (sabotage, &mut out.frame.message) {
            (Sabotage::ForgeHave, Message::Have(haves)) => haves.iter_mut().for_each(|have| have.index += 1_000_000),
            (Sabotage::ForgeMark, Message::Have(haves)) => haves.iter_mut().for_each(|have| have.mark = true),
            (Sabotage::MarkEarly, Message::State(state)) if is_sync(state) => {
                let mark = with(Message::Mark(vec![(state.slot, state.term)]));
                return vec![out, mark];
            }
            (Sabotage::MarkEarly, Message::Syncs(syncs)) => {
                let mark = with(Message::Mark(syncs.iter().map(|sync| (sync.slot, sync.term)).collect()));
                return vec![out, mark];
            }
            (Sabotage::ForgeClaimed, Message::Claim(slots)) => {
                let unheld = |slot| ClaimedSlot { slot, mark: false, term: Epoch(0), index: 0 };
                let message = Message::Claimed(slots.iter().copied().map(unheld).collect());
                self.forge(from, to, Frame { epoch, message });
                return Vec::new();
            }
            (Sabotage::ForgeReleased, Message::Release(slots)) => {
                let message = Message::Released(slots.iter().map(|(slot, _)| (*slot, epoch)).collect());
                self.forge(from, to, Frame { epoch, message });
                return Vec::new();
            }
            (Sabotage::ForgeKeeping, Message::Keeping(keeping)) => {
                *keeping = Arc::new(self.setup.hub_of(self.setup.gateways - 1).keeping());
            }
            (Sabotage::StripPublishers, Message::State(state)) => {
                state.publishers.clear();
            }
            (Sabotage::StripPublishers, Message::Rep(rep)) => {
                for op in &mut rep.ops {
                    if let Op::Append { publisher, .. } = op {
                        (publisher.gateway, publisher.seq, publisher.floor) = (Incarnation(1), 1, 1);
                    }
                }
            }
            (Sabotage::StripDifference, Message::State(state)) if state.base.is_some() => state.streams.clear(),
            (Sabotage::DropUnreachable, Message::State(state)) => {
                if let StateKind::Sync(number) = state.kind {
                    self.note_sync(from, to, state.slot, number);
                }
            }
            (Sabotage::DropUnreachable, Message::Syncs(syncs)) => {
                syncs.iter().for_each(|sync| self.note_sync(from, to, sync.slot, sync.number));
            }
            (Sabotage::DropUnreachable, Message::Rep(rep)) if !self.is_linked(from, to) => {
                let (slot, term, index) = (rep.slot, rep.term, rep.index + rep.ops.len() as u64 - 1);
                if let Some(sync) = self.syncs.get(&(self.processes[from].incarnation, to, slot)).copied() {
                    let message = Message::Have(vec![Have { slot, term, sync, index, mark: true }]);
                    self.forge(from, to, Frame { epoch, message });
                }
            }
            (Sabotage::StripKeys, Message::State(state)) => {
                state.streams.iter_mut().for_each(|stream| stream.keys.clear());
            }
            (Sabotage::StripKeys, Message::Rep(rep)) => {
                for op in &mut rep.ops {
                    if let Op::Append { key, .. } = op {
                        *key = None;
                    }
                }
            }
            (Sabotage::TrimCopies, Message::Rep(rep)) => {
                for op in &mut rep.ops {
                    if let Op::Append { first, offset, .. } = op {
                        *first = *offset;
                    }
                }
            }
            (Sabotage::HideRemovals | Sabotage::HideCopies | Sabotage::ForgeWeights, Message::Moved(view)) => {
                let receiver = self.processes.iter().position(|process| process.incarnation == to);
                // What a liar believes stays with it.
                if sabotage == Sabotage::ForgeWeights && self.is_misled(from) {
                    return Vec::new();
                }
                *view = self.lied_view(receiver.unwrap_or(from), view);
            }
            (Sabotage::HideMarks, Message::Claimed(slots)) => slots.iter_mut().for_each(|slot| slot.mark = false),
            (Sabotage::ForgeSettled | Sabotage::HideMarks, Message::Ping(_)) if self.processes[from].is_node => {
                return vec![with(Message::Settled(epoch)), out];
            }
            (Sabotage::ForgePings, Message::Ping(_)) => {
                if let Some(at) = self.passes_cut(from, to) {
                    self.forge(at, self.processes[from].incarnation, out.frame);
                    return Vec::new();
                }
            }
            (Sabotage::ForgeFloor, Message::Publish(publish)) => publish.floor = publish.seq,
            (Sabotage::HideSettled, Message::Settled(_)) => return Vec::new(),
            (Sabotage::ForgeOffset, Message::Deliver(deliver)) => match deliver.offset % 8 {
                3 => return Vec::new(),
                4..=7 => deliver.offset -= 1,
                _ => {}
            },
            (Sabotage::ForgetPosition, Message::Attach(attaches)) => {
                for attach in attaches.iter_mut().filter(|attach| matches!(attach.from, AttachFrom::At(_))) {
                    attach.from = AttachFrom::Top;
                }
            }
            (Sabotage::ForgetDelivered, Message::Detach(detach)) => {
                detach.delivered.iter_mut().for_each(|position| position.offset = 0);
            }
            (Sabotage::ForgetDelivered, Message::Delivered(_)) => return Vec::new(),
            (Sabotage::ForgetDelivered, Message::Attach(attaches)) => {
                attaches.iter_mut().for_each(|attach| attach.confirmed = 0);
            }
            (Sabotage::EmptyPages, Message::Query(_, Query::History(query)))
                if query.limit == self.setup.hub.limits.page =>
            {
                query.limit = 0;
            }
            (Sabotage::SkipUnread, Message::Query(_, Query::History(query))) if self.is_plain_inbox(&query.channel) => {
                if let Some((offset, _)) = query.since.as_mut().filter(|(_, epoch)| epoch.is_none()) {
                    *offset += 1;
                }
            }
            (Sabotage::ForgeClosed, Message::Order(number, _)) => {
                self.forge(from, to, Frame { epoch, message: Message::Obeyed(*number) });
                return Vec::new();
            }
            (Sabotage::ForgeRemoved, Message::Query(id, Query::RemoveHistory(..))) => {
                self.forge(from, to, Frame { epoch, message: Message::Answer(*id, Answer::Removed) });
                return Vec::new();
            }
            (Sabotage::WidenOrder, Message::Order(_, order)) => {
                (order.client, order.whitelist) = (None, Vec::new());
            }
            (Sabotage::HideSessions, Message::Sessions(_)) => return Vec::new(),
            (Sabotage::LateAttach, Message::AttachesDone(_)) => return vec![out],
            (Sabotage::LateAttach, Message::Attach(_)) => {
                let frame = out.frame.clone();
                self.forge_later(to, self.processes[from].incarnation, frame);
                return Vec::new();
            }
            (Sabotage::ForgeTerm, Message::Rep(rep)) => rep.term = self.newest_term(to, rep.slot),
            _ => {}
        }
        vec![out]
    }

    /// The store carries a request out, or says so.
    pub(crate) fn lied_store(&mut self, at: usize, mut request: StoreRequest) -> StoreAnswer {
        let mut is_forged = false;
        match (self.sabotage, &mut request.op) {
            (Some(Sabotage::ForgeEnded), StoreOp::EndLease { at: None, of }) => {
                request.op = StoreOp::ReadLease(*of);
                is_forged = true;
            }
            (Some(Sabotage::ForgeStanding), StoreOp::EndLease { of, at: Some(at) }) => {
                *at = self.keys.revision_of(*of).unwrap_or(*at);
            }
            _ => {}
        }
        self.watch_conviction(at, &request.op);
        let mut answer = self.keys.handle(request);
        if self.sabotage == Some(Sabotage::HideLives) {
            answer.life = 0;
            if let Said::View(Some(stored)) = &mut answer.said {
                stored.life = 0;
            }
        }
        if is_forged {
            answer.said = Said::Ended;
        }
        if let Said::Leases(leases) = &mut answer.said
            && self.sabotage == Some(Sabotage::ForgeStanding)
        {
            leases.iter_mut().for_each(|(_, revision)| *revision = Revision(0));
        }
        answer
    }

    /// Tells a process what its peer never said.
    fn forge(&mut self, to: usize, claimed_from: Incarnation, frame: Frame) {
        let (at, boot) = (self.now + 1, self.processes[to].boot);
        self.schedule(at, Event::To(to, boot, Input::Frame(claimed_from, frame)));
    }

    fn forge_later(&mut self, to: Incarnation, from: Incarnation, frame: Frame) {
        if let Some(at) = self.processes.iter().position(|process| process.incarnation == to) {
            let (when, boot) = (self.now + 20 * MS, self.processes[at].boot);
            self.schedule(when, Event::To(at, boot, Input::Frame(from, frame)));
        }
    }

    /// The term that a replica holds: with it, whatever comes is taken.
    fn newest_term(&self, replica: Incarnation, slot: ringway_core::Slot) -> Epoch {
        let process = self.processes.iter().find(|process| process.incarnation == replica);
        let node = process.and_then(|process| process.node());
        node.and_then(|node| node.inspect(slot)).map_or(Epoch(0), |report| report.term)
    }

    /// A link broke: a lying process tells its node of a view in which it is the only one.
    pub(crate) fn lie_about_break(&mut self, ends: [usize; 2], incarnations: [Incarnation; 2]) {
        if self.sabotage != Some(Sabotage::ForgeView) {
            return;
        }
        for end in 0..2 {
            let process = &mut self.processes[ends[end]];
            let now = process.clock(self.now);
            let Some(member) = process.member.as_mut().filter(|_| !process.frozen) else { continue };
            let Some(node) = member.node() else { continue };
            let gone = incarnations[1 - end];
            if node.view().node(gone).is_some() && node.view().nodes.len() > 1 {
                let mut view = node.view().affirmed();
                view.nodes.retain(|node| node.incarnation == incarnations[end]);
                member.mislead_node(now, &Arc::new(view));
            }
        }
    }

    /// A link is cut: a lying node takes the gateway at its other end for dead as soon as it is silent.
    pub(crate) fn lie_about_silence(&mut self, link: usize, to_second: bool) {
        let ends = self.network.links[link].ends;
        let (from, to) = if to_second { (ends[0], ends[1]) } else { (ends[1], ends[0]) };
        let lies = self.sabotage == Some(Sabotage::BlameSilence) && self.processes[to].is_node;
        if lies && !self.processes[from].is_node {
            let (gateway, boot) = (self.processes[from].incarnation, self.processes[to].boot);
            let at = self.now + self.setup.timing.suspect.as_micros() as u64;
            self.schedule(at, Event::To(to, boot, Input::Evidence(gateway, Removal::Suspected)));
        }
    }

    /// What gets through a cut all the same: a gateway's word that it lives.
    fn passes_cut(&self, from: usize, to: Incarnation) -> Option<usize> {
        let to = self.processes.iter().position(|process| process.incarnation == to)?;
        let ends = self.processes[from].is_gateway && self.processes[to].is_node;
        (ends && self.network.is_cut(from, to)).then_some(to)
    }

    /// What a process is told wrongly, from its start.
    pub(crate) fn lies_for(&self, at: usize) -> Lies {
        let view: Option<fn(Incarnation, &View) -> View> = match self.sabotage {
            Some(Sabotage::HideRemovals) => Some(|_, view| View { removals: 0, ..view.clone() }),
            Some(Sabotage::HideCopies) => Some(|_, view| View { ack_copies: 1, ..view.clone() }),
            Some(Sabotage::ForgeWeights) if self.is_misled(at) => Some(with_light_others),
            _ => None,
        };
        let lease = (self.sabotage == Some(Sabotage::ForgeLease)).then_some(Lease::Forever);
        // A link ended and its node is not told: it goes on sending, and somebody answers.
        let hides_breaks = self.sabotage == Some(Sabotage::DropUnreachable);
        Lies { view, lease, hides_breaks }
    }

    /// The first node and the last gateway place differently from all others.
    fn is_misled(&self, at: usize) -> bool {
        at + 1 == self.setup.gateways || at == self.setup.gateways
    }

    pub(crate) fn lied_view(&self, at: usize, view: &Arc<View>) -> Arc<View> {
        let lie = self.lies_for(at).view;
        lie.map_or_else(|| view.clone(), |lie| Arc::new(lie(self.processes[at].incarnation, view)))
    }

    fn note_sync(&mut self, from: usize, to: Incarnation, slot: Slot, number: u64) {
        self.syncs.insert((self.processes[from].incarnation, to, slot), number);
    }

    fn is_linked(&self, from: usize, to: Incarnation) -> bool {
        self.processes[from].connections.contains_key(&to)
    }
}

/// The view in which all other nodes weigh next to nothing.
fn with_light_others(me: Incarnation, view: &View) -> View {
    let (mut view, light) = (view.clone(), Weight::from_thousandths(1).unwrap_or(Weight::ONE));
    for node in view.nodes.iter_mut().filter(|node| node.incarnation != me) {
        node.now = if node.serves() { light } else { node.now };
        node.next = if node.stays() { light } else { node.next };
    }
    view
}

fn is_sync(state: &SlotState) -> bool {
    state.last && matches!(state.kind, StateKind::Sync(_))
}
