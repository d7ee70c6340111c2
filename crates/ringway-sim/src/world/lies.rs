//! Where a sabotaged run lies: to the rules, never in them. A link changes, invents or swallows frames, or a process
//! keeps something from its node.

use std::sync::Arc;

use ringway_core::message::{ClaimedSlot, Frame, Message, Op, SlotState, StateKind};
use ringway_core::node::Lease;
use ringway_core::peers::Outgoing;
use ringway_core::view::{Removal, View};
use ringway_core::{Epoch, Incarnation};

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
            (Sabotage::StripPublishers, Message::State(state)) => {
                state.publishers.clear();
            }
            (Sabotage::StripPublishers, Message::Rep(rep)) => {
                for op in &mut rep.ops {
                    if let Op::Append { publisher, .. } = op {
                        *publisher = (Incarnation(1), 1, 1);
                    }
                }
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
            (Sabotage::HideRemovals, Message::Moved(view)) => *view = self.lied_view(view),
            (Sabotage::ForgeSettled, Message::Ping(_)) if self.processes[from].is_node => {
                return vec![with(Message::Settled(epoch)), out];
            }
            (Sabotage::ForgeFloor, Message::Publish(publish)) => publish.floor = publish.seq,
            (Sabotage::ForgeOffset, Message::Deliver(deliver)) if deliver.offset % 8 == 3 => {
                deliver.entry.data = 0u32.to_le_bytes().to_vec().into();
            }
            (Sabotage::ForgetDelivered, Message::Detach(detach)) => {
                detach.delivered.iter_mut().for_each(|position| position.offset = 0);
            }
            (Sabotage::ForgetDelivered, Message::Delivered(_)) => return Vec::new(),
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
        let node = process.and_then(|process| process.node.as_ref());
        node.and_then(|node| node.inspect(slot)).map_or(Epoch(0), |report| report.term)
    }

    /// A link broke: a lying process tells its node that the peer has left the view.
    pub(crate) fn lie_about_break(&mut self, ends: [usize; 2], incarnations: [Incarnation; 2]) {
        if self.sabotage != Some(Sabotage::DropUnreachable) {
            return;
        }
        for end in 0..2 {
            let process = &mut self.processes[ends[end]];
            let now = process.clock(self.now);
            let Some(node) = process.node.as_mut().filter(|_| !process.frozen) else { continue };
            let gone = incarnations[1 - end];
            if node.view().node(gone).is_some() && node.view().nodes.len() > 1 {
                let view = Arc::new(node.view().without(gone, Removal::Proven));
                node.on_view(now, &view);
            }
        }
    }

    pub(crate) fn lied_lease(&self, lease: Lease) -> Lease {
        if self.sabotage == Some(Sabotage::ForgeLease) { Lease::Forever } else { lease }
    }

    pub(crate) fn lied_view(&self, view: &Arc<View>) -> Arc<View> {
        if self.sabotage == Some(Sabotage::HideRemovals) {
            return Arc::new(View { removals: 0, ..(**view).clone() });
        }
        view.clone()
    }
}

fn is_sync(state: &SlotState) -> bool {
    state.last && matches!(state.kind, StateKind::Sync(_))
}
