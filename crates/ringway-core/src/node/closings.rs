//! Sessions that are to be closed wherever they are: each gateway is told, and whoever asked is answered when all have done so.
//!
//! A gateway whose life ends meanwhile is waited for no longer. One whose link ends may have closed its sessions or not: the order is refused,
//! and asked for again, until that gateway is linked anew or out of the view.

use std::collections::{BTreeMap, BTreeSet};

use super::Node;
use crate::id::Incarnation;
use crate::message::{Answer, Disconnect, Message, Refusal};
use crate::timing::Now;

/// Orders that wait for gateways, of some 100 bytes each. One more is refused, and asked again by its gateway until its deadline.
const UNDER_WAY: usize = 4_096;

/// Orders that gateways carry out.
#[derive(Debug, Default)]
pub(super) struct Closings {
    last: u64,
    open: BTreeMap<u64, Closing>,
}

#[derive(Debug)]
struct Closing {
    /// Who asked, and under which number.
    asker: (Incarnation, u64),
    /// Gateways that have not said that it is done.
    waits: BTreeSet<Incarnation>,
    /// The asker has given up by then.
    until: Now,
}

impl Closings {
    pub(super) fn clear(&mut self) {
        self.open.clear();
    }

    /// Nobody waits for these any more.
    pub(super) fn expire(&mut self, now: Now) {
        self.open.retain(|_, closing| now < closing.until);
    }

    /// A gateway is not waited for any longer, in one order or in all. Says who must be told that theirs are done.
    fn done(&mut self, gateway: Incarnation, number: Option<u64>) -> Vec<(Incarnation, u64)> {
        let of = |number: &u64, only: Option<u64>| only.is_none_or(|only| only == *number);
        for (_, closing) in self.open.iter_mut().filter(|(at, _)| of(at, number)) {
            closing.waits.remove(&gateway);
        }
        let over = self.open.extract_if(.., |at, closing| of(at, number) && closing.waits.is_empty());
        over.map(|(_, closing)| closing.asker).collect()
    }

    /// Nobody knows any more whether a gateway carries out what it was told. Says who must be told to ask again.
    fn give_up(&mut self, gateway: Incarnation) -> Vec<(Incarnation, u64)> {
        let lost = self.open.extract_if(.., |_, closing| closing.waits.contains(&gateway));
        lost.map(|(_, closing)| closing.asker).collect()
    }
}

impl Node {
    /// Hands an order to every gateway of the view. If one of them cannot be told now, the order is refused, and asked for again.
    pub(super) fn close_sessions(&mut self, now: Now, from: Incarnation, id: u64, order: &Disconnect) {
        let waits: BTreeSet<Incarnation> = self.view().gateways.iter().map(|gateway| gateway.incarnation).collect();
        let is_down = |gateway: &Incarnation| !self.peers.is_up(*gateway);
        if waits.is_empty() || waits.iter().any(is_down) || self.closings.open.len() >= UNDER_WAY {
            return self.peers.send(from, Message::Answer(id, Answer::Refused(Refusal::Retry)));
        }
        self.closings.last += 1;
        let number = self.closings.last;
        for gateway in &waits {
            self.peers.send(*gateway, Message::Close(number, Box::new(order.clone())));
        }
        let closing = Closing { asker: (from, id), waits, until: now + self.timing.deadline };
        self.closings.open.insert(number, closing);
    }

    /// A gateway has closed the sessions of an order.
    pub(super) fn on_closed(&mut self, gateway: Incarnation, number: u64) {
        self.answer_closed(gateway, Some(number));
    }

    /// The link of a gateway ended.
    pub(super) fn closings_cut_off(&mut self, gateway: Incarnation) {
        for (asker, id) in self.closings.give_up(gateway) {
            self.peers.send(asker, Message::Answer(id, Answer::Refused(Refusal::Retry)));
        }
    }

    /// A gateway is out of the view.
    pub(super) fn closings_without(&mut self, gateway: Incarnation) {
        self.answer_closed(gateway, None);
    }

    fn answer_closed(&mut self, gateway: Incarnation, number: Option<u64>) {
        for (asker, id) in self.closings.done(gateway, number) {
            self.peers.send(asker, Message::Answer(id, Answer::Closed));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_that_ends_is_waited_for_in_no_order() {
        let until = Now::from_secs(5);
        let closing = |asker, waits: &[u64]| {
            let waits = waits.iter().copied().map(Incarnation).collect();
            Closing { asker: (Incarnation(asker), 1), waits, until }
        };
        let open = BTreeMap::from([(1, closing(8, &[1, 2])), (2, closing(9, &[1])), (3, closing(9, &[2, 3]))]);
        let mut closings = Closings { last: 3, open };
        assert_eq!(closings.done(Incarnation(3), Some(1)), [], "that one was not waited for");
        assert_eq!(closings.done(Incarnation(1), None), [(Incarnation(9), 1)]);
        assert_eq!(closings.done(Incarnation(2), Some(1)), [(Incarnation(8), 1)]);
        assert_eq!(closings.open.len(), 1);
        closings.expire(until);
        assert!(closings.open.is_empty());
    }
}
