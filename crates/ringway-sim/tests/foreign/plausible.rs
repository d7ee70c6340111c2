//! Lies that fit: the sender is one who may say such a thing, and what a rule looks at first is as it should be. So the rest
//! of the message, which is drawn, comes to where it is taken.

use ringway_core::gateway::Gateway;
use ringway_core::message::{Message, Op, Publish, Rep, SlotState, StateKind};
use ringway_core::node::Node;
use ringway_core::{ChannelName, Epoch, Incarnation, Slot};

/// What the rules of one process hold, for a liar who knows.
pub(super) struct Inside<'a> {
    pub(super) node: &'a Node,
    pub(super) gateway: &'a Gateway,
    /// Decides.
    pub(super) random: u64,
}

impl Inside<'_> {
    /// Bends a message so that it is taken, as far as that is simple, and names who says it. `None`: whoever.
    pub(super) fn bend(&self, message: &mut Message) -> Option<Incarnation> {
        match message {
            Message::Publish(publish) => self.bend_publish(publish),
            Message::Attach(_)
            | Message::Detach(_)
            | Message::Delivered(_)
            | Message::Sessions(_)
            | Message::Query(..) => {}
            Message::State(state) => return self.bend_state(state),
            Message::Syncs(syncs) => return self.owner(syncs.first()?.slot),
            Message::Rep(rep) => return self.bend_rep(rep),
            Message::Mark(slots) | Message::Release(slots) => {
                slots.iter_mut().for_each(|(slot, term)| *term = self.term(*slot));
                return self.owner(slots.first()?.0);
            }
            Message::Have(haves) => {
                haves.iter_mut().for_each(|have| have.term = self.term(have.slot));
                return Some(Incarnation(2 + self.random % 2));
            }
            Message::Attached(_) | Message::Deliver(_) | Message::Answer(..) => return self.owner(Slot(0)),
            _ => return None,
        }
        // One of the other gateways.
        Some(Incarnation(4 + self.random % 2))
    }

    fn slot_of(&self, channel: &ChannelName) -> Slot {
        self.gateway.slot_of(channel.as_str())
    }

    fn owner(&self, slot: Slot) -> Option<Incarnation> {
        self.gateway.placement()?.owner(slot)
    }

    fn term(&self, slot: Slot) -> Epoch {
        self.node.inspect(slot).map(|report| report.term).unwrap_or_default()
    }

    /// The oldest that its gateway waits for is always taken, whatever its number.
    fn bend_publish(&self, publish: &mut Publish) {
        publish.slot = self.slot_of(&publish.channel);
        publish.floor = publish.seq;
    }

    fn bend_state(&self, state: &mut SlotState) -> Option<Incarnation> {
        if let Some(slot) = state.streams.first().map(|stream| self.slot_of(&stream.channel)) {
            state.slot = slot;
            state.streams.retain(|stream| self.slot_of(&stream.channel) == slot);
        }
        (state.kind, state.base) = (StateKind::Sync(1), None);
        (state.term, state.index) = (state.term.max(self.term(state.slot)), state.index % 8);
        if self.random.is_multiple_of(4) {
            (state.part, state.last) = (0, true);
        }
        self.owner(state.slot)
    }

    fn bend_rep(&self, rep: &mut Rep) -> Option<Incarnation> {
        let mut top = None;
        for op in &mut rep.ops {
            match op {
                Op::Create { channel, .. } => rep.slot = self.slot_of(channel),
                Op::Append { channel, offset, .. } => {
                    rep.slot = self.slot_of(channel);
                    let held = self.node.inspect_channel(channel).map_or(0, |report| report.top);
                    *offset = top.unwrap_or(held).saturating_add(1);
                    top = Some(*offset);
                }
                Op::Key { channel, .. } => rep.slot = self.slot_of(channel),
                Op::Trim { .. } | Op::Delivered { .. } | Op::Forget { .. } => {}
            }
        }
        let report = self.node.inspect(rep.slot)?;
        (rep.term, rep.index) = (report.term, report.index.saturating_add(1));
        self.owner(rep.slot)
    }
}
