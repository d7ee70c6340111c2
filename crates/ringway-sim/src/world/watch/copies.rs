//! Complete copies: a mark is true (I1), one is left whatever happens (C1), two after a drain (C6), and who says that it
//! is settled has all that are wanted (C7).

use std::rc::Rc;
use std::sync::Arc;

use ringway_core::node::Node;
use ringway_core::view::{NodeEntry, NodeState, Placement, View};
use ringway_core::{Epoch, Incarnation, Position, Slot};

use super::publication_of;
use crate::checker::Removed;
use crate::setup::{ChannelSetup, Mode};
use crate::world::{World, note};
use ringway_core::ring::SlotSet;

/// It has the mark, and not only for what is kept in the log.
pub(crate) fn is_whole(node: &Node, slot: Slot) -> bool {
    node.is_marked(slot) && !node.standing(slot).early
}

/// Views of which it is kept where everything is.
const PLACED: usize = 32;

impl World {
    /// Nodes of the registry's view that hold the mark of a slot.
    pub(super) fn marked(&self, slot: Slot) -> impl Iterator<Item = (Incarnation, &Node)> {
        let nodes = self.newest_view().nodes.iter();
        let nodes = nodes.filter_map(|entry| Some((entry.incarnation, self.node_of(entry.incarnation)?)));
        nodes.filter(move |(_, node)| is_whole(node, slot))
    }

    /// Those nodes of the registry's view that run.
    pub(crate) fn nodes_of_view(&self) -> Vec<&Node> {
        self.newest_view().nodes.iter().filter_map(|entry| self.node_of(entry.incarnation)).collect()
    }

    /// Where everything is in this view, worked out from nothing. The last answers are kept: all members ask of the same views.
    pub(crate) fn placed(&mut self, view: &View) -> Rc<Placement> {
        if let Some((_, placement)) = self.placed.iter().find(|(of, _)| of == view) {
            return placement.clone();
        }
        let placement = Rc::new(Placement::of(view, None));
        self.placed.truncate(PLACED - 1);
        self.placed.push_front((view.clone(), placement.clone()));
        placement
    }

    /// I1 at a commit: every complete copy has it.
    pub(super) fn watch_complete(&mut self, channel: usize, position: Position) {
        let slot = self.setup.channels[channel].slot;
        let lacks = |node: &Node| !self.holds(node, channel, position) && !self.is_to_be_read(node, channel);
        let lacking = self.marked(slot).find(|(_, node)| lacks(node)).map(|(inc, _)| inc);
        if let Some(lacking) = lacking {
            let text = format!("{position:?} of channel {channel} is committed, and marked {lacking} lacks it");
            self.violate("I1", text);
        }
    }

    /// The channel is in the log, and this node has not read it there.
    pub(super) fn is_to_be_read(&self, node: &Node, channel: usize) -> bool {
        let setup = &self.setup.channels[channel];
        setup.is_logged() && !node.standing(setup.slot).read
    }

    /// The slot was lost with an excuse, and nobody in the view has it anew: who still serves it was removed and does not
    /// know yet, and all that it acknowledges, in streams that it begins too, was lost with it.
    pub(super) fn is_lost(&self, slot: Slot) -> bool {
        self.checker.lost.has(slot) && self.marked(slot).next().is_none()
    }

    /// The node has the stream up to this place, with the same content there.
    fn holds(&self, node: &Node, channel: usize, position: Position) -> bool {
        let name = &self.setup.channels[channel].name;
        let Some(report) = node.inspect_channel(name) else { return false };
        if report.epoch != Some(position.epoch) || report.top < position.offset {
            return false;
        }
        let known = self.checker.logs.get(&position.epoch).and_then(|log| log.entries.get(&position.offset));
        let held = node.inspect_entry(name, position.offset).map(publication_of);
        known.is_none() || held.is_none() || known.copied() == held
    }

    /// Marks that are new must be true (I1); one that is given up must not be missed (C7).
    pub(crate) fn watch_marks(&mut self, at: usize) {
        let process = &mut self.processes[at];
        if self.now < process.marks_next {
            return;
        }
        process.marks_next = self.now + self.setup.look_at_marks;
        let Some(node) = process.node() else { return };
        let slots = || self.setup.slots.slots();
        if slots().all(|slot| is_whole(node, slot) == process.marks.has(slot)) {
            return;
        }
        let marks = SlotSet::of(slots().filter(|slot| is_whole(node, *slot)));
        let held = SlotSet::of(slots().filter(|slot| node.is_marked(*slot)));
        let before = std::mem::replace(&mut process.marks, marks.clone());
        let incarnation = self.processes[at].incarnation;
        if self.newest_view().node(incarnation).is_none() {
            return;
        }
        self.watch_new_marks(at, &marks.without(&before));
        // An owner that has not heard yet that the slot may begin anew gives nobody's mark up.
        let given_up = before.without(&held);
        if !given_up.is_empty() {
            self.copies_changed("a mark that was given up", &self.newest_view().clone());
            self.watch_given_up(at, &given_up);
        }
    }

    fn watch_new_marks(&mut self, at: usize, fresh: &SlotSet) {
        self.checker.lost.remove_all(fresh);
        let nodes = self.nodes_of_view();
        let marked = |slot: &Slot| nodes.iter().filter(|node| is_whole(node, *slot)).count();
        let doubled = SlotSet::of(fresh.iter().filter(|slot| marked(slot) > 1));
        self.checker.doubled.add_all(&doubled);
        let Some(node) = self.processes[at].node() else { return };
        let channels = fresh.iter().flat_map(|slot| &self.setup.by_slot[slot.index()]);
        let lacking = channels.copied().find_map(|channel| {
            let position = self.checker.acknowledged_top(channel).filter(|_| !self.is_to_be_read(node, channel))?;
            (!self.holds(node, channel, position)).then_some((channel, position))
        });
        if let Some((channel, position)) = lacking {
            let incarnation = self.processes[at].incarnation;
            // C4: a stream begins anew only where no complete copy is left.
            let anew = self.begins_anew(at, channel, position);
            let rule = if anew { "C4" } else { "I1" };
            self.violate(rule, format!("{incarnation} is marked for channel {channel} and lacks {position:?}"));
        }
    }

    /// The node is the live owner and knows nothing of this stream: the next publication begins another.
    fn begins_anew(&self, at: usize, channel: usize, position: Position) -> bool {
        let Some(node) = self.processes[at].node() else { return false };
        let setup = &self.setup.channels[channel];
        let lives = node.inspect(setup.slot).is_some_and(|report| report.reign.is_some());
        let epoch = node.inspect_channel(&setup.name).and_then(|report| report.epoch);
        lives && epoch != Some(position.epoch)
    }

    /// C7: a replica gives its mark up only when all that are wanted have theirs.
    fn watch_given_up(&mut self, at: usize, slots: &SlotSet) {
        let process = &self.processes[at];
        let Some(node) = process.node() else { return };
        let view = node.view().clone();
        if view.node(process.incarnation).is_none() {
            return;
        }
        let placement = self.placed(&view);
        let lacking = slots.iter().find_map(|slot| Some((slot, self.unmarked(&placement, slot, view.epoch)?)));
        if let Some((slot, lacking)) = lacking {
            let id = &self.processes[at].id;
            self.violate("C7", format!("{id} gives up slot {slot} at {}, and {lacking} has no mark of it", view.epoch));
        }
    }

    /// C7: who says that it is settled has every copy that is wanted.
    pub(super) fn watch_settled(&mut self, at: usize, epoch: Epoch) {
        let process = &self.processes[at];
        let (me, Some(node)) = (process.incarnation, process.node()) else { return };
        if node.view().epoch != epoch || self.setup.large.is_some() && process.settled_at == epoch {
            return;
        }
        let view = node.view().clone();
        self.processes[at].settled_at = epoch;
        let placement = self.placed(&view);
        let mine = self.setup.slots.slots().filter(|slot| placement.owner(*slot) == Some(me));
        let lacking = mine.into_iter().find_map(|slot| Some((slot, self.unmarked(&placement, slot, epoch)?)));
        if let Some((slot, lacking)) = lacking {
            self.violate("C7", format!("{me} is settled at {epoch}, and {lacking} has no mark of slot {slot}"));
        }
        self.look_for_settled();
    }

    /// Is everybody settled? Then what was destroyed before counts no longer.
    pub(crate) fn look_for_settled(&mut self) {
        if self.is_settled() {
            self.checker.settled(awake(self.newest_view()), &self.setup);
        }
    }

    /// A node that should hold the slot at this epoch, is alive and has no mark of it. One that has seen a newer view may
    /// have been released in that: of it, this epoch says nothing any more.
    fn unmarked(&self, placement: &Placement, slot: Slot, epoch: Epoch) -> Option<Incarnation> {
        let lacks = |wanted: &Incarnation| {
            self.node_of(*wanted).is_some_and(|node| !node.is_marked(slot) && node.view().epoch <= epoch)
        };
        placement.wanted(slot).into_iter().find(lacks)
    }

    /// A new view: who is gone from it, and what goes with them. `lapsed` are those whose lease key had ended.
    pub(crate) fn watch_view(&mut self, before: &Arc<View>, view: &Arc<View>, lapsed: &[Incarnation]) {
        for (_, gone, _) in before.members().filter(|(_, member, _)| !view.has(*member)) {
            self.left.insert(gone, self.now);
        }
        // A store that has lost a removal may be told the view of before, by those who had not heard of it.
        for (_, member, _) in view.members() {
            self.left.remove(&member);
            self.checker.removed.remove(&member);
        }
        for gone in before.nodes.iter().filter(|node| view.node(node.incarnation).is_none()) {
            let lapsed = lapsed.contains(&gone.incarnation);
            self.checker.removed.insert(gone.incarnation, Removed { at: self.now, lapsed });
            // Who leaves while it joins takes complete copies with it, for which others may have been released already: until all
            // slots have their two copies again, that is as if it had crashed.
            let leaves_unfinished = !gone.serves() && self.setup.mode == Mode::Wild;
            if view.crashes > before.crashes || leaves_unfinished {
                self.copies_destroyed(gone.incarnation, before);
            }
        }
        let planned = view.crashes == before.crashes;
        let handed_over = before.nodes.iter().any(|node| node.serves() && view.node(node.incarnation).is_none());
        if planned && handed_over && self.setup.mode != Mode::Planned && !self.checker.destroyed.is_empty() {
            // A node that drained has asked everybody else, but one may have crashed since it was answered. Such a crash
            // is a fault in the middle of a change: what is lost by both is not held against the rules.
            self.excuse_lost_slots();
        }
        self.copies_changed("a view", before);
        self.watch_well(before, view);
        self.watch_gateways(before, view, lapsed);
        let has_gone = |node: &NodeEntry| node.serves() && view.node(node.incarnation).is_none_or(is_resting);
        let drained = before.nodes.iter().find(|node| has_gone(node));
        if drained.is_some_and(|node| node.state() == NodeState::Draining) && view.crashes == before.crashes {
            self.watch_drained(view);
        }
    }

    pub(crate) fn excuse_lost_slots(&mut self) {
        let nodes = self.nodes_of_view();
        let unmarked = |slot: &Slot| !nodes.iter().any(|node| is_whole(node, *slot));
        let lost: Vec<Slot> = self.setup.slots.slots().filter(unmarked).collect();
        lost.into_iter().for_each(|slot| self.excuse(slot));
    }

    /// C6: a node that drained, and left or rests, leaves two complete copies elsewhere where two nodes are left, unless one was lost on the way.
    fn watch_drained(&mut self, view: &View) {
        if view.nodes.iter().filter(|node| node.serves()).count() < 2 || !self.checker.destroyed.is_empty() {
            return;
        }
        let nodes = self.nodes_of_view();
        let serving = |node: &&&Node| view.node(node.incarnation()).is_some_and(|entry| !is_resting(entry));
        // A standby hears a moment later than its owner that what began for the log alone is whole: it lacks the word, and nothing else.
        let marked = |slot: &Slot| nodes.iter().filter(serving).filter(|node| node.is_marked(*slot)).count();
        // What was lost before is there for the log alone, until it may begin anew.
        let single = self.setup.slots.slots().find(|slot| marked(slot) < 2 && !self.is_lost(*slot));
        if let Some(slot) = single {
            let copies: Vec<Incarnation> = self.marked(slot).map(|(incarnation, _)| incarnation).collect();
            self.violate("C6", format!("a drain left slot {slot} with complete copies at {copies:?} only"));
        }
    }

    /// A node of this view has lost its memory, or its place: the complete copies there are gone.
    pub(crate) fn copies_destroyed(&mut self, incarnation: Incarnation, view: &View) {
        let marks = self.processes.iter().find(|process| process.incarnation == incarnation && process.holds());
        let marks = marks.and_then(|process| process.node()).map_or_else(SlotSet::default, |node| {
            SlotSet::of(self.setup.slots.slots().filter(|slot| is_whole(node, *slot)))
        });
        let placement = self.placed(view);
        let copies = |slot: &Slot| placement.owner(*slot).into_iter().chain(placement.standby(*slot));
        let due = self.setup.slots.slots().filter(|slot| copies(slot).any(|copy| copy == incarnation));
        let due = SlotSet::of(due);
        let known = self.checker.destroyed.entry(incarnation).or_default();
        known.marks.add_all(&marks);
        known.due.add_all(&due);
    }

    /// C1: each slot in which something was committed has a complete copy in the view, or a good excuse: in a view of one
    /// node there is no second copy, and in the wild mode both of a slot's copies may go before everybody is settled
    /// again. A slot that never had two complete copies in that time had none to lose twice: there the second of its
    /// owners and standbys to go may take the only one. `view` is the one in which it happened.
    pub(crate) fn copies_changed(&mut self, why: &str, view: &View) {
        let serving = view.nodes.iter().filter(|node| node.serves()).count();
        let nodes = self.nodes_of_view();
        let unmarked = |slot: &Slot| !nodes.iter().any(|node| is_whole(node, *slot));
        let unmarked: Vec<Slot> = self.setup.slots.slots().filter(unmarked).collect();
        for slot in unmarked {
            let streams = self.checker.logs.values().filter(|log| !log.dead);
            // What is in the log is not lost with its copies.
            let is_here = |channel: &ChannelSetup| channel.slot == slot && !channel.is_logged();
            let lives = streams.into_iter().any(|log| is_here(&self.setup.channels[log.channel]));
            if lives {
                note!(self, "no complete copy of slot {slot} is left after {why}");
            }
            let (destroyed, due) = self.checker.destroyed_of(slot);
            let doubled = self.checker.doubled.has(slot);
            // What was lost before cannot be lost again, and where nothing is yet there is nothing to lose: a removed owner
            // may still begin streams there, for as long as it may acknowledge alone.
            let excused = self.is_lost(slot)
                || match self.setup.mode {
                    Mode::Planned => false,
                    Mode::One => awake(view) == 1 && destroyed == 1,
                    Mode::Wild => destroyed >= serving.clamp(1, 2) || (destroyed >= 1 && due >= 2 && !doubled),
                };
            if excused || !lives {
                self.excuse(slot);
            } else if lives {
                self.violate("C1", format!("no complete copy of slot {slot} is left after {why}"));
            }
        }
    }
}

/// Nodes that do not rest: those that rest hold nothing.
fn awake(view: &View) -> usize {
    view.nodes.iter().filter(|node| !is_resting(node)).count()
}

fn is_resting(node: &NodeEntry) -> bool {
    node.state() == NodeState::Resting
}
