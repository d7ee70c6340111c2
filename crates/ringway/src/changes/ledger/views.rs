//! What a view adds to the receipts: who came, who went, and which slots moved.

use std::sync::Arc;

use ringway_core::timing::Now;
use ringway_core::view::{Placement, View};
use ringway_core::{MemberId, Slot, ring};

use super::super::Departure;
use super::super::goal::Goal;
use super::super::receipt::{Occasion, millis};
use super::super::step::{Step, What, steps};
use super::{Ledger, Shift};

/// Gateways that the view lost and whose process may live: frozen, or cut off. Beyond, the sockets of one that is killed later are
/// not counted.
const LIMBO: usize = 256;

/// A member that the view changed, the change that this belongs to, and the slots that it gained or lost.
type Changed = (MemberId, u64, Vec<Slot>);

impl Ledger {
    /// Applies a newer view. Returns which slots moved for which changes.
    pub(super) fn on_view(&mut self, at: Now, view: Arc<View>, placement: Placement, left: &[Departure]) -> Vec<Shift> {
        let steps = steps(&self.view, &view);
        let mut changed: Vec<Changed> = Vec::new();
        for step in steps {
            let departure = left.iter().find(|departure| departure.incarnation == step.incarnation);
            let number = self.take_step(at, &step, departure, view.epoch.0);
            if !changed.iter().any(|(_, known, _)| *known == number) {
                changed.push((step.member, number, Vec::new()));
            }
        }
        let bystanders = self.share_out(&placement, &mut changed);
        for (_, number, slots) in &changed {
            if let Some((receipt, _)) = self.running().find(|(receipt, _)| receipt.number == *number) {
                receipt.moved.slots += slots.len() as u32 + bystanders;
                receipt.bystander_moves += bystanders;
            }
        }
        self.settled.retain(|node, _| view.node(*node).is_some());
        // Without an owner before or after, nobody's owner is another one.
        let had_owners = [&self.placement, &placement].iter().all(|placement| !placement.table().nodes().is_empty());
        (self.view, self.placement) = (view, placement);
        self.see_gateways();
        self.changed = true;
        let shift = |(_, number, slots): Changed| {
            let order = if had_owners { self.order(number, &slots) } else { None };
            Shift { number, slots, order }
        };
        changed.into_iter().map(shift).collect()
    }

    /// Orders do not wait for gateways that have left.
    fn see_gateways(&mut self) {
        let view = self.view.clone();
        for (_, open) in self.running() {
            open.given.iter_mut().for_each(|given| given.see(&view));
        }
    }

    /// Gives each moved slot to the change of the member that gained or lost it. Returns how many neither did.
    fn share_out(&self, after: &Placement, changed: &mut [Changed]) -> u32 {
        if Arc::ptr_eq(self.placement.table(), after.table()) {
            return 0;
        }
        let mut bystanders = 0;
        for one in ring::moves(self.placement.table(), after.table()) {
            let has_part = |id: &MemberId| one.to.as_ref() == Some(id) || one.from.as_ref() == Some(id);
            match changed.iter_mut().find(|(id, ..)| has_part(id)) {
                Some((_, _, slots)) => slots.push(one.slot),
                None => bystanders += 1,
            }
        }
        bystanders
    }

    /// Writes down what happened to one member. Returns the number of the change that it belongs to.
    fn take_step(&mut self, at: Now, step: &Step, departure: Option<&Departure>, epoch: u64) -> u64 {
        let known = self
            .running()
            .find(|(receipt, open)| open.is_going_on(&step.member) && step.what.may_come_of(receipt.action))
            .map(|(receipt, _)| receipt.number);
        let number = known.unwrap_or_else(|| self.open_unasked(at, step, departure));
        let lost = if step.what == What::Lost { self.lost_sockets(step, departure) } else { 0 };
        if step.what == What::Joined {
            self.limbo.remove(&step.member);
        }
        let Some((receipt, open)) = self.running().find(|(receipt, _)| receipt.number == number) else { return number };
        receipt.epochs.after = epoch;
        open.touched = at;
        open.lost = open.lost.saturating_add(lost);
        if step.what == What::Lost && receipt.action.is_fault() {
            receipt.detection_ms = Some(millis(at.saturating_sub(open.began)));
        }
        number
    }

    fn open_unasked(&mut self, at: Now, step: &Step, departure: Option<&Departure>) -> u64 {
        let action = step.what.unasked();
        let goal = match action {
            Occasion::Joined => Goal::Active(None),
            Occasion::Weight => Goal::Balanced(step.incarnation),
            _ => Goal::Gone(step.incarnation),
        };
        let began = departure.filter(|_| action == Occasion::Exit).map_or(at, |departure| departure.since.min(at));
        let (receipt, _) = self.open(began, action, step.member.clone(), goal);
        receipt.number
    }

    /// Client sockets that went with a process. One that was killed has none; one that may only be silent keeps them for now.
    fn lost_sockets(&mut self, step: &Step, departure: Option<&Departure>) -> u64 {
        let Some(departure) = departure.filter(|departure| departure.sockets > 0) else { return 0 };
        let killed =
            self.running().any(|(receipt, open)| open.member == step.member && receipt.action == Occasion::Kill);
        if departure.ended || killed {
            return departure.sockets;
        }
        if self.limbo.len() < LIMBO {
            self.limbo.insert(step.member.clone(), departure.sockets);
        }
        0
    }
}
