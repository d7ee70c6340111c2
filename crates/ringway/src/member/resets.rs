//! Orders to connect anew: given by the keeper, which is linked with every gateway, carried out by the gateways' hubs, and reported on the way back.
//!
//! An order follows the view that moved its slots on the same link, so a gateway has changed over before it sends anybody away.
//! A gateway that is not linked at that moment takes no part: its clients were not disturbed, and they need not be.

use std::sync::Arc;

use ringway_core::Incarnation;
use ringway_core::message::{Frame, Message, Reset, ResetCount};
use ringway_core::peers::Outgoing;
use ringway_core::timing::Now;
use ringway_core::view::View;
use ringway_link::LinkSender;
use tracing::{debug, info, warn};

use super::Task;
use crate::changes::Fact;
use crate::cluster::ChangeError;
use crate::words::Span;

impl Task {
    /// Gives an order to every gateway of the view.
    pub(super) fn give_reset(&mut self, now: Now, order: &Reset) -> Result<(), ChangeError> {
        if !self.is_keeper() {
            let why =
                "clients are asked to connect anew by the cluster's first gateway, which is linked with all others";
            return Err(ChangeError::NotNow(why.to_owned()));
        }
        let view = self.member.view().clone();
        let frame = Frame { epoch: view.epoch, message: Message::Reset(Box::new(order.clone())) };
        let mut missed = Vec::new();
        for gateway in &view.gateways {
            let peer = gateway.incarnation;
            let was_given = if peer == self.me {
                self.on_reset(now, peer, order);
                true
            } else {
                self.mesh.peers.get(&peer).is_some_and(|linked| self.order(&linked.sender, &view, &frame))
            };
            if !was_given {
                warn!(gateway = %gateway.id, "not linked, so its clients are not asked to connect anew");
                missed.push(peer);
            }
        }
        self.telling.tell(Fact::ResetGiven { at: now, number: order.number, missed });
        Ok(())
    }

    /// Sends an order behind the view that it follows. A host has sent that already.
    fn order(&self, to: &LinkSender, view: &Arc<View>, order: &Frame) -> bool {
        let moved = Frame { epoch: view.epoch, message: Message::Moved(view.clone()) };
        (self.is_host() || to.send(moved).is_ok()) && to.send(order.clone()).is_ok()
    }

    /// An order came. Only the keeper gives any.
    pub(super) fn on_reset(&mut self, now: Now, from: Incarnation, order: &Reset) {
        if self.member.membership().keeper() != Some(from) {
            debug!(%from, "an order to connect anew from somebody who gives none");
            return;
        }
        if let Some(hub) = self.member.front_mut() {
            let whose =
                order.slots.as_ref().map_or("all".to_owned(), |slots| format!("those of {} slots", slots.len()));
            info!(number = order.number, "asking clients to connect anew: {whose}, within {}", Span(order.window));
            hub.reset(now, from, order);
        }
    }

    /// A gateway says how far it is.
    pub(super) fn on_reset_count(&mut self, now: Now, gateway: Incarnation, count: ResetCount) {
        self.telling.tell(Fact::Reset { at: now, gateway, count });
    }

    /// Says how far this gateway is with its orders. While the link is away the news wait.
    pub(super) fn report_resets(&mut self, now: Now) {
        let Some(to) = self.reachable_keeper() else { return };
        let counts = self.member.front_mut().map(ringway_hub::Hub::take_reset_counts).unwrap_or_default();
        let epoch = self.member.view().epoch;
        for count in counts {
            self.send(now, Outgoing { to, frame: Frame { epoch, message: Message::ResetCount(count) } });
        }
    }
}
