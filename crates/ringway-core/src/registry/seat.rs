//! Where the registry is, as a member sees it, and who is its keeper.

use super::store::{StoreAnswer, StoreRequest};
use crate::id::{Epoch, Incarnation};
use crate::view::View;

/// Where the registry is. Who answers a member's requests, whose lease cannot lapse, whom nobody accuses and who keeps receipts all
/// follow from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seat {
    /// In this process: it is the host.
    Here,
    /// In the process of another member, the host, in this life. `None`: no link has said which yet.
    Host(Option<Incarnation>),
    /// In a store outside the cluster: no process hosts it.
    Outside,
}

impl Seat {
    /// The registry is in this process, so the lease cannot lapse.
    pub fn is_here(self) -> bool {
        self == Self::Here
    }

    /// The member whose process has the registry, if it is another one and known.
    pub fn host(self) -> Option<Incarnation> {
        if let Self::Host(host) = self { host } else { None }
    }

    /// That member's process has the registry. Whoever could write its removal has just heard from it.
    pub fn is_hosted_by(self, other: Incarnation) -> bool {
        self == Self::Host(Some(other))
    }

    /// As it is for a new life of the member: no link has said anything yet.
    pub(crate) fn anew(self) -> Self {
        if let Self::Host(_) = self { Self::Host(None) } else { self }
    }

    /// A link with the member that has the registry says which life of it that is. A store outside stays where it is.
    pub(crate) fn found_at(&mut self, host: Incarnation) {
        if let Self::Host(known) = self {
            *known = Some(host);
        }
    }

    /// Who does, for `me`, all that needs one member for the whole cluster and is not the registry's: it takes tolls, keeps receipts,
    /// gives orders to connect anew, and is linked with everybody. The host, where there is one: it outlives every view. Otherwise
    /// the first gateway of the view. `None`: not known, or there is no gateway.
    pub fn keeper(self, me: Incarnation, view: &View) -> Option<Incarnation> {
        match self {
            Self::Here => Some(me),
            Self::Host(host) => host,
            Self::Outside => view.first_gateway(),
        }
    }
}

/// A request on its way to the store of a registry outside, and which life asks: one of this member, or of one that it was asked by.
#[derive(Debug, Clone, PartialEq)]
pub struct ToStore {
    /// Numbers of requests begin anew with each life, so an answer to the life before is none to this one.
    pub from: Incarnation,
    /// What it asks.
    pub request: StoreRequest,
}

/// What comes from there.
#[derive(Debug, Clone, PartialEq)]
pub enum FromStore {
    /// The answer to a request of this life.
    Answer(Incarnation, StoreAnswer),
    /// Somebody has written a view of this epoch.
    Notice(Epoch),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemberId;
    use crate::ring::{HashKey, SlotCount};
    use crate::view::{GatewayEntry, Removal};

    const ME: Incarnation = Incarnation(9);

    fn view(gateways: &[(&str, u64)]) -> View {
        let entry = |(id, life): &(&str, u64)| {
            let (id, incarnation) = (MemberId::new(id).unwrap(), Incarnation(*life));
            GatewayEntry { id, incarnation, address: "a:1".into(), link: "a:2".into(), draining: false }
        };
        let born = View::born(HashKey::from_bytes([1; 16]), SlotCount::MIN);
        gateways.iter().map(entry).fold(born, |view, gateway| view.with_gateway(gateway))
    }

    #[test]
    fn the_host_is_the_keeper_whatever_the_view_says() {
        let view = view(&[("a", 1), ("b", 2)]);
        assert_eq!(Seat::Here.keeper(ME, &view), Some(ME));
        assert_eq!(Seat::Host(Some(Incarnation(2))).keeper(ME, &view), Some(Incarnation(2)));
        assert_eq!(Seat::Host(None).keeper(ME, &view), None);
    }

    #[test]
    fn without_a_host_the_keeper_is_the_first_gateway_and_then_the_next() {
        let keeper = |view: &View| Seat::Outside.keeper(ME, view).map(|keeper| keeper.0);
        let all = view(&[("c", 3), ("a", 1), ("b", 2)]);
        assert_eq!(keeper(&all), Some(1), "by id, and not by who came first");
        let without = all.without(Incarnation(1), Removal::Proven);
        assert_eq!(keeper(&without), Some(2));
        let (id, back) = (MemberId::new("a").unwrap(), Incarnation(7));
        let entry = GatewayEntry { id, incarnation: back, address: "a:1".into(), link: "a:2".into(), draining: false };
        assert_eq!(keeper(&without.with_gateway(entry)), Some(7), "the next life of an id is another member");
        assert_eq!(keeper(&view(&[])), None);
    }

    #[test]
    fn only_a_registry_with_a_member_moves_with_its_lives() {
        let found = |mut seat: Seat| {
            seat.found_at(Incarnation(4));
            seat
        };
        assert_eq!(found(Seat::Host(None)), Seat::Host(Some(Incarnation(4))));
        assert_eq!(found(Seat::Host(Some(Incarnation(3)))), Seat::Host(Some(Incarnation(4))));
        assert_eq!((found(Seat::Here), found(Seat::Outside)), (Seat::Here, Seat::Outside));
        assert!(Seat::Host(Some(ME)).is_hosted_by(ME) && !Seat::Outside.is_hosted_by(ME));
    }
}
