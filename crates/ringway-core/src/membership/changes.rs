//! Changes of the view that somebody asked for, and the next step of those that are under way (R19, R20).

use super::{Action, Change, ChangeError, Membership, Purpose, Standing};
use crate::id::{Epoch, Incarnation};
use crate::ring::Weight;
use crate::timing::Now;
use crate::view::{NodeEntry, NodeState, Removal, View};

impl Membership {
    pub(super) fn act_on_asked(&mut self, now: Now) {
        if self.is_writing() || self.standing == Standing::Gone {
            return;
        }
        let Some((token, change, _)) = self.asked.pop_front() else { return };
        match self.changed_view(change) {
            Ok(view) => self.write(now, Purpose::Asked(token, change), view),
            Err(error) => self.actions.push_back(Action::Changed(token, Err(error))),
        }
    }

    pub(super) fn changed_view(&self, change: Change) -> Result<View, ChangeError> {
        match change {
            Change::Weight(node, weight) => {
                let entry = self.view.node(node).ok_or(ChangeError::NotInView)?;
                let drains = weight.is_zero() && entry.next != Weight::ZERO;
                if drains && !self.view.has_room_without(node) {
                    return Err(ChangeError::NoRoom);
                }
                Ok(self.view.with_next_weight(node, weight))
            }
            Change::Rest => {
                let entry = self.view.node(self.me).ok_or(ChangeError::NotInView)?;
                match entry.state() {
                    NodeState::Joining => Err(ChangeError::Filling),
                    NodeState::Active | NodeState::Reweighting if !self.view.has_room_without(self.me) => {
                        Err(ChangeError::NoRoom)
                    }
                    _ => Ok(self.view.with_next_weight(self.me, Weight::ZERO)),
                }
            }
            Change::Remove(member, why) if self.view.has(member) => Ok(self.view.without(member, why)),
            Change::DrainGateway(gateway) if self.view.gateway(gateway).is_some() => {
                Ok(self.view.with_draining_gateway(gateway))
            }
            Change::Remove(..) | Change::DrainGateway(_) => Err(ChangeError::NotInView),
        }
    }

    /// Every serving node, but perhaps one, has said that it is settled at this epoch.
    pub(super) fn all_settled(&self, settled: &impl Fn(Incarnation) -> Epoch) -> bool {
        let epoch = self.view.epoch;
        self.view.nodes.iter().filter(|node| node.serves()).all(|node| settled(node.incarnation) == epoch)
    }

    /// Takes the next step of a join, a changed weight, or a drain of mine, when everybody is settled (R19, R20).
    pub(super) fn finish_changes(&mut self, now: Now, settled: impl Fn(Incarnation) -> Epoch) {
        if self.is_writing() {
            return;
        }
        let state = self.view.node(self.me).map(NodeEntry::state);
        let leaving = self.standing == Standing::Leaving;
        match state {
            // One that is to leave while it is filled takes its place first, and then leaves as everybody does: what it was filled with may
            // be the second copy by now, of what another one has handed over that left meanwhile.
            Some(NodeState::Joining | NodeState::Reweighting) if self.all_settled(&settled) => {
                self.write(now, Purpose::Activate, self.view.activated());
            }
            Some(NodeState::Active | NodeState::Reweighting) if leaving && self.view.has_room_without(self.me) => {
                self.write(now, Purpose::Turn, self.view.with_next_weight(self.me, Weight::ZERO));
            }
            Some(NodeState::Draining) if !self.view.has_room_without(self.me) => {
                if !self.rests {
                    self.standing = Standing::Leaving;
                }
                let weight = self.view.node(self.me).map_or(Weight::ONE, |node| node.now);
                self.write(now, Purpose::Turn, self.view.with_next_weight(self.me, weight));
            }
            Some(NodeState::Draining) if self.rests && !leaving && self.all_settled(&settled) => {
                self.write(now, Purpose::Turn, self.view.with_resting(self.me));
            }
            Some(NodeState::Resting) if leaving => {
                self.write(now, Purpose::Leave, self.view.without(self.me, Removal::Planned));
            }
            Some(NodeState::Draining) if self.all_settled(&settled) => {
                self.standing = Standing::Leaving;
                self.write(now, Purpose::Leave, self.view.without(self.me, Removal::Planned));
            }
            None if leaving => self.write(now, Purpose::Leave, self.view.without(self.me, Removal::Planned)),
            _ => self.end_removals(now),
        }
    }

    /// Nobody who was removed acts any more: the keeper has it written, so that who is started later waits for none of them (R10).
    fn end_removals(&mut self, now: Now) {
        let is_due = self.view.removals_over < self.view.removals && self.removals_are_over(now);
        if is_due && self.keeper() == Some(self.me) {
            self.write(now, Purpose::Turn, self.view.affirmed());
        }
    }
}
