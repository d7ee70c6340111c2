//! What is to be done with sessions wherever they are: each gateway is told, and whoever asked is answered when all have done so.
//!
//! A gateway whose life ends meanwhile is waited for no longer. One whose link ends may have done it or not: the order is refused,
//! and asked for again, until that gateway is linked anew or out of the view.

use std::collections::{BTreeMap, BTreeSet};

use super::Node;
use crate::id::Incarnation;
use crate::message::{Answer, Message, Order, Refusal};
use crate::timing::Now;

/// Orders that wait for gateways, of some 100 bytes each. One more is refused, and asked again by its gateway until its deadline.
const UNDER_WAY: usize = 4_096;

/// Orders that gateways carry out.
#[derive(Debug, Default)]
pub(super) struct Orders {
    last: u64,
    open: BTreeMap<u64, Given>,
}

#[derive(Debug)]
struct Given {
    /// Who asked, and under which number.
    asker: (Incarnation, u64),
    /// Gateways that have not said that it is done.
    waits: BTreeSet<Incarnation>,
    /// The asker has given up by then.
    until: Now,
}

impl Orders {
    pub(super) fn clear(&mut self) {
        self.open.clear();
    }

    /// Nobody waits for these any more.
    pub(super) fn expire(&mut self, now: Now) {
        self.open.retain(|_, given| now < given.until);
    }

    /// A gateway is not waited for any longer, in one order or in all. Says who must be told that theirs are done.
    fn done(&mut self, gateway: Incarnation, number: Option<u64>) -> Vec<(Incarnation, u64)> {
        let of = |number: &u64, only: Option<u64>| only.is_none_or(|only| only == *number);
        for (_, given) in self.open.iter_mut().filter(|(at, _)| of(at, number)) {
            given.waits.remove(&gateway);
        }
        let over = self.open.extract_if(.., |at, given| of(at, number) && given.waits.is_empty());
        over.map(|(_, given)| given.asker).collect()
    }

    /// Nobody knows any more whether a gateway carries out what it was told. Says who must be told to ask again.
    fn give_up(&mut self, gateway: Incarnation) -> Vec<(Incarnation, u64)> {
        let lost = self.open.extract_if(.., |_, given| given.waits.contains(&gateway));
        lost.map(|(_, given)| given.asker).collect()
    }
}

impl Node {
    /// Hands an order to every gateway of the view. If one of them cannot be told now, the order is refused, and asked for again.
    pub(super) fn give_order(&mut self, now: Now, from: Incarnation, id: u64, order: &Order) {
        let waits: BTreeSet<Incarnation> = self.view().gateways.iter().map(|gateway| gateway.incarnation).collect();
        let is_down = |gateway: &Incarnation| !self.peers.is_up(*gateway);
        if waits.is_empty() || waits.iter().any(is_down) || self.orders.open.len() >= UNDER_WAY {
            return self.peers.send(from, Message::Answer(id, Answer::Refused(Refusal::Retry)));
        }
        self.orders.last += 1;
        let number = self.orders.last;
        for gateway in &waits {
            self.peers.send(*gateway, Message::Order(number, Box::new(order.clone())));
        }
        let given = Given { asker: (from, id), waits, until: now + self.timing.deadline };
        self.orders.open.insert(number, given);
    }

    /// A gateway has done what an order says.
    pub(super) fn on_obeyed(&mut self, gateway: Incarnation, number: u64) {
        self.answer_obeyed(gateway, Some(number));
    }

    /// The link of a gateway ended.
    pub(super) fn orders_cut_off(&mut self, gateway: Incarnation) {
        for (asker, id) in self.orders.give_up(gateway) {
            self.peers.send(asker, Message::Answer(id, Answer::Refused(Refusal::Retry)));
        }
    }

    /// A gateway is out of the view.
    pub(super) fn orders_without(&mut self, gateway: Incarnation) {
        self.answer_obeyed(gateway, None);
    }

    fn answer_obeyed(&mut self, gateway: Incarnation, number: Option<u64>) {
        for (asker, id) in self.orders.done(gateway, number) {
            self.peers.send(asker, Message::Answer(id, Answer::Obeyed));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_that_ends_is_waited_for_in_no_order() {
        let until = Now::from_secs(5);
        let given = |asker, waits: &[u64]| {
            let waits = waits.iter().copied().map(Incarnation).collect();
            Given { asker: (Incarnation(asker), 1), waits, until }
        };
        let open = BTreeMap::from([(1, given(8, &[1, 2])), (2, given(9, &[1])), (3, given(9, &[2, 3]))]);
        let mut orders = Orders { last: 3, open };
        assert_eq!(orders.done(Incarnation(3), Some(1)), [], "that one was not waited for");
        assert_eq!(orders.done(Incarnation(1), None), [(Incarnation(9), 1)]);
        assert_eq!(orders.done(Incarnation(2), Some(1)), [(Incarnation(8), 1)]);
        assert_eq!(orders.open.len(), 1);
        orders.expire(until);
        assert!(orders.open.is_empty());
    }
}
