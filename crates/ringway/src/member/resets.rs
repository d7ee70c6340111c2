//! Orders to connect anew: given by the keeper, carried out by the gateways' hubs, and reported on the way back.
//!
//! A gateway carries an order out when it has applied the view that moved the slots, so it has changed over before it sends anybody away. Over a link the view
//! goes ahead of the order; an order that comes another way waits for it.
//!
//! ```text
//!            ┌─ each second, without a word of the gateway ─┐
//!  given ────┴─▶ bus, if there is one, else the link        │      first count ─▶ taken       last count ─▶ done
//!                and from the second time on the link ──────┘
//! ```
//!
//! The keeper gives an order again until the gateway has said how far it is, or has left the view. A gateway that is not linked at first gets it when it is.

use std::sync::Arc;
use std::time::Duration;

use ringway_core::Incarnation;
use ringway_core::message::{Frame, Message, Reset, ResetCount};
use ringway_core::peers::Outgoing;
use ringway_core::timing::Now;
use ringway_core::view::View;
use tracing::{debug, info, warn};

use super::Task;
use crate::changes::Fact;
use crate::cluster::ChangeError;
use crate::orders::{Key, Kind};
use crate::words::Span;

/// Orders that wait for gateways. One more, and the oldest is given up.
const ORDERS: usize = 16;

/// An order is given again after so long without a word, and so long at the most.
const AGAIN: Duration = Duration::from_secs(1);
const GIVEN_FOR: Duration = Duration::from_secs(60);

/// A gateway that has begun says that it is done within the window and this.
const LAST_WORD: Duration = Duration::from_secs(5);

/// The orders that gateways have not carried out.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    given: Vec<Given>,
    /// When something is to be done next.
    next: Option<Now>,
}

/// One order.
#[derive(Debug)]
struct Given {
    order: Reset,
    until: Now,
    gateways: Vec<Waited>,
}

/// A gateway that is not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Waited {
    gateway: Incarnation,
    /// It has said that it has begun.
    has_begun: bool,
    /// It was tried so often.
    tries: u32,
    /// When it is tried next.
    next: Now,
}

impl Outbox {
    /// Keeps an order to these. Returns the number of one that is given up for it, and who has not got that.
    fn keep(&mut self, now: Now, order: &Reset, gateways: &[Incarnation]) -> Option<(u64, Vec<Incarnation>)> {
        let waited = |gateway: &Incarnation| Waited { gateway: *gateway, has_begun: false, tries: 0, next: now };
        let gateways = gateways.iter().map(waited).collect();
        let oldest = (self.given.len() >= ORDERS).then(|| self.given.remove(0));
        self.given.push(Given { order: order.clone(), until: now + GIVEN_FOR + order.window, gateways });
        self.next = Some(now);
        oldest.map(|oldest| (oldest.order.number, oldest.never_begun()))
    }

    /// A gateway says how far it is.
    fn hear(&mut self, now: Now, gateway: Incarnation, count: ResetCount) {
        for given in self.given.iter_mut().filter(|given| given.order.number == count.number) {
            for waited in given.gateways.iter_mut().filter(|waited| waited.gateway == gateway) {
                (waited.has_begun, waited.next) = (true, now + given.order.window + LAST_WORD);
            }
            given.gateways.retain(|waited| waited.gateway != gateway || !count.done);
        }
        self.given.retain(|given| !given.gateways.is_empty());
    }

    /// What is to be given now, and how often it was given before.
    fn due(&mut self, now: Now) -> Vec<(Incarnation, u32, Reset)> {
        if self.next.is_none_or(|next| now < next) {
            return Vec::new();
        }
        let mut due = Vec::new();
        for given in &mut self.given {
            for waited in given.gateways.iter_mut().filter(|waited| waited.next <= now) {
                due.push((waited.gateway, waited.tries, given.order.clone()));
                (waited.tries, waited.next) = (waited.tries.saturating_add(1), now + AGAIN);
            }
        }
        self.next = (!self.given.is_empty()).then_some(now + AGAIN / 4);
        due
    }

    fn find(&self, key: Key) -> Option<&Reset> {
        let given = self.given.iter().find(|given| given.order.number == key.number)?;
        let waits = given.gateways.iter().any(|waited| waited.gateway == key.to && !waited.has_begun);
        waits.then_some(&given.order)
    }

    /// Gives up what has taken too long, and gateways that this says are gone. Returns which of them have not begun with which orders.
    fn give_up(&mut self, now: Now, is_gone: impl Fn(Incarnation) -> bool) -> Vec<(u64, Vec<Incarnation>)> {
        let mut missed = Vec::new();
        for given in &mut self.given {
            let is_late = given.until <= now;
            let gone: Vec<_> = given.gateways.extract_if(.., |one| is_late || is_gone(one.gateway)).collect();
            let never_begun: Vec<_> = gone.iter().filter(|one| !one.has_begun).map(|one| one.gateway).collect();
            missed.extend((!never_begun.is_empty()).then_some((given.order.number, never_begun)));
        }
        self.given.retain(|given| !given.gateways.is_empty());
        missed
    }
}

impl Given {
    fn never_begun(&self) -> Vec<Incarnation> {
        self.gateways.iter().filter(|waited| !waited.has_begun).map(|waited| waited.gateway).collect()
    }
}

impl Task {
    /// Gives an order to every gateway of the view.
    pub(super) fn give_reset(&mut self, now: Now, order: &Reset) -> Result<(), ChangeError> {
        if !self.is_keeper() {
            let why =
                "clients are asked to connect anew by the cluster's first gateway, which is linked with all others";
            return Err(ChangeError::NotNow(why.to_owned()));
        }
        let view = self.member.view().clone();
        let all = view.gateways.iter().map(|gateway| gateway.incarnation);
        let others: Vec<Incarnation> = all.filter(|gateway| *gateway != self.me).collect();
        let oldest = self.orders.resets.keep(now, order, &others);
        self.note_missed(now, oldest);
        // Told before anybody can say how far it is.
        self.telling.tell(Fact::ResetGiven { at: now, number: order.number, missed: Vec::new() });
        if view.gateway(self.me).is_some() {
            self.on_reset(now, self.me, order);
        }
        self.repeat_resets(now);
        Ok(())
    }

    /// Gives again what no gateway has said a word of.
    pub(super) fn repeat_resets(&mut self, now: Now) {
        for (to, tries, order) in self.orders.resets.due(now) {
            let key = Key { to, kind: Kind::Reset, number: order.number };
            let view = self.member.view().clone();
            let is_linked = self.mesh.peers.contains_key(&to);
            // Whom the bus has not reached in a second is told over the link, and whom there is no link to through the bus.
            let through_the_bus = tries == 0 || !is_linked;
            let frame = Frame { epoch: view.epoch, message: Message::Reset(Box::new(order)) };
            let went = through_the_bus && self.orders.handle.give(self.me, view.birth(), key, &frame);
            if went {
                self.send_view_ahead(to, &view);
            } else if !self.put_reset(key, frame, &view) && tries == 0 {
                let gateway = view.id_of(to).map_or_else(String::new, ToString::to_string);
                warn!(%gateway, number = key.number, "not linked: its clients are asked to connect anew when it is");
            }
        }
        let missed = self.orders.resets.give_up(now, |_| false);
        self.note_missed(now, missed);
    }

    /// Sends the view that an order follows. A host has sent that already.
    fn send_view_ahead(&self, to: Incarnation, view: &Arc<View>) -> bool {
        let moved = || Frame { epoch: view.epoch, message: Message::Moved(view.clone()) };
        self.is_host() || self.mesh.peers.get(&to).is_some_and(|peer| peer.sender.send(moved()).is_ok())
    }

    fn put_reset(&mut self, key: Key, frame: Frame, view: &Arc<View>) -> bool {
        self.send_view_ahead(key.to, view) && self.put_order(key, frame)
    }

    /// The bus did not take it.
    pub(super) fn reset_over_the_link(&mut self, key: Key) {
        if let Some(order) = self.orders.resets.find(key) {
            let view = self.member.view().clone();
            let frame = Frame { epoch: view.epoch, message: Message::Reset(Box::new(order.clone())) };
            self.put_reset(key, frame, &view);
        }
    }

    /// Receipts say whose clients stayed.
    fn note_missed(&self, now: Now, missed: impl IntoIterator<Item = (u64, Vec<Incarnation>)>) {
        for (number, missed) in missed {
            warn!(
                number,
                "{} gateway(s) could not be told, so their clients are not asked to connect anew",
                missed.len()
            );
            self.telling.tell(Fact::ResetGiven { at: now, number, missed });
        }
    }

    /// A view comes: whoever is not in it is not waited for. Told before the view is, for then nobody knows their names.
    pub(super) fn resets_in(&mut self, now: Now, view: &View) {
        let (is_keeper, me) = (self.is_keeper(), self.me);
        let missed =
            self.orders.resets.give_up(now, |gateway| !is_keeper || (gateway != me && view.gateway(gateway).is_none()));
        self.note_missed(now, missed);
    }

    /// An order came. Only the keeper gives any. Returns whether it is carried out now.
    pub(super) fn on_reset(&mut self, now: Now, from: Incarnation, order: &Reset) -> bool {
        if self.member.membership().keeper() != Some(from) {
            debug!(%from, "an order to connect anew from somebody who gives none");
            return false;
        }
        let is_first = self.member.front_mut().is_some_and(|hub| hub.reset(now, from, order));
        if is_first {
            let whose =
                order.slots.as_ref().map_or("all".to_owned(), |slots| format!("those of {} slots", slots.len()));
            info!(number = order.number, "asking clients to connect anew: {whose}, within {}", Span(order.window));
        }
        is_first
    }

    /// A gateway says how far it is.
    pub(super) fn on_reset_count(&mut self, now: Now, gateway: Incarnation, count: ResetCount) {
        self.orders.resets.hear(now, gateway, count);
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

#[cfg(test)]
mod tests;
