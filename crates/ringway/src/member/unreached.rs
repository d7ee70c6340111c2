//! Nodes that live and that this gateway does not reach: the network between the two is cut, and nowhere else.
//!
//! Such a gateway stays in the view, for it does its work for all other slots. Clients that need the slots of the node that it
//! does not reach are asked to connect elsewhere after [`SEND_AWAY`], where there is an elsewhere.

use std::collections::BTreeMap;
use std::time::Duration;

use ringway_core::Incarnation;
use ringway_core::ring::SlotSet;
use ringway_core::timing::Now;
use ringway_core::view::View;
use tracing::{info, warn};

use super::Task;
use crate::words::Span;

/// Clients whose owner is not reached are sent away after this, and those that came meanwhile after it has passed again. A node
/// that is dead is replaced long before, so this is a network that does not mend by itself; and a client that comes back to this
/// very gateway is not sent away in a circle.
const SEND_AWAY: Duration = Duration::from_secs(30);

/// A link between a node and a gateway that has been silent for this long is closed and made anew, for after a long cut TCP takes
/// its time to try again. A member that is dead has left the view by then.
const STALE: Duration = Duration::from_secs(10);

/// What this process does not hear.
#[derive(Debug, Default)]
pub(super) struct Unreached {
    nodes: BTreeMap<Incarnation, Absence>,
    /// When it was looked last, and since when this process has not stood still.
    looked: Now,
    awake_since: Now,
}

/// A node that owns slots and is not reached.
#[derive(Debug)]
struct Absence {
    since: Now,
    /// When its clients were sent away last, or it was said that they cannot be.
    acted: Option<Now>,
}

impl Task {
    /// Follows which owners are reached, and does something about those that have not been for long.
    pub(super) fn look_at_owners(&mut self, now: Now) {
        let stood_still = now > self.mesh.unreached.looked + self.parts.timing.silent();
        self.mesh.unreached.looked = now;
        if stood_still {
            self.mesh.unreached.awake_since = now;
        }
        if now <= self.mesh.unreached.awake_since + self.parts.timing.suspect {
            return;
        }
        self.close_stale_links(now);
        if self.member.front().is_some() {
            self.follow_absences(now);
            self.send_away_from_absent(now);
        }
    }

    /// Tells the door whether sockets come to this gateway while the process has another one: not before the view lists it, not when it is
    /// on its way out, and not while it sends clients away because it does not reach their owners.
    pub(super) fn say_whether_sockets_come(&self) {
        let Some(gateway) = &self.parts.gateway else { return };
        let is_listed = self.member.view().gateway(self.me).is_some_and(|listed| !listed.draining);
        let reaches = self.mesh.unreached.nodes.values().all(|absence| absence.acted.is_none());
        gateway.intake.set_takes_sockets(is_listed && reaches && self.exit.leaving.is_none());
    }

    fn close_stale_links(&self, now: Now) {
        let view = self.member.view();
        let across = |peer: Incarnation| match (view.node(self.me), view.gateway(self.me)) {
            (Some(_), _) => view.gateway(peer).is_some() && view.node(peer).is_none(),
            (None, Some(_)) => view.node(peer).is_some(),
            (None, None) => false,
        };
        let stale = self.mesh.peers.iter().filter(|(peer, known)| {
            self.member.membership().keeper() != Some(**peer) && across(**peer) && now > known.last_heard(now) + STALE
        });
        // Asked again until its end is told, which changes nothing.
        stale.for_each(|(_, known)| known.sender.close());
    }

    fn reaches(&self, now: Now, node: Incarnation) -> bool {
        let heard = || now <= self.member.membership().last_heard(node) + self.parts.timing.suspect;
        node == self.me || (self.mesh.peers.contains_key(&node) && heard())
    }

    fn follow_absences(&mut self, now: Now) {
        let view = self.member.view().clone();
        let owners = view.nodes.iter().filter(|node| node.serves()).map(|node| node.incarnation);
        let absent: Vec<Incarnation> = owners.filter(|node| !self.reaches(now, *node)).collect();
        let back = self.mesh.unreached.nodes.extract_if(.., |node, _| !absent.contains(node));
        for (node, absence) in back.filter(|(_, absence)| absence.acted.is_some()) {
            let after = now.saturating_sub(absence.since);
            match view.id_of(node) {
                Some(node) => info!(%node, "a node is reached again, after {}", Span(after)),
                None => info!("a node that could not be reached has left the view"),
            }
        }
        for node in absent {
            self.mesh.unreached.nodes.entry(node).or_insert(Absence { since: now, acted: None });
        }
    }

    /// Asks the clients of owners that were absent for long to connect elsewhere. Not while it is unknown whether those live:
    /// a node that is dead is as dead for all others.
    fn send_away_from_absent(&mut self, now: Now) {
        let lives = |node: Incarnation| self.member.membership().is_known_to_live(now, node);
        let due = |(node, absence): (&Incarnation, &Absence)| {
            (now >= absence.acted.unwrap_or(absence.since) + SEND_AWAY && lives(*node)).then_some(*node)
        };
        let due: Vec<Incarnation> = self.mesh.unreached.nodes.iter().filter_map(due).collect();
        if due.is_empty() || self.exit.leaving.is_some() {
            return;
        }
        let view = self.member.view().clone();
        let elsewhere = view
            .gateways
            .iter()
            .any(|gateway| gateway.incarnation != self.me && !gateway.draining && lives(gateway.incarnation));
        let slots = self.slots_of(&view, &due);
        let (names, count) = (names(&view, &due), slots.len());
        let (Some(hub), Some(gateway)) = (self.member.front_mut(), &self.parts.gateway) else { return };
        let first =
            self.mesh.unreached.nodes.iter().any(|(node, absence)| due.contains(node) && absence.acted.is_none());
        if !elsewhere {
            if first {
                warn!(nodes = %names, "not reached for {}, so clients here cannot use {count} slots; there is no other gateway that they could be sent to", Span(SEND_AWAY));
            }
        } else if let Some(clients) = hub.send_away(now, &slots, gateway.drain_rate) {
            if first || clients > 0 {
                let rate = gateway.drain_rate;
                warn!(nodes = %names, clients, rate, "not reached for {}, so clients here cannot use {count} slots; asking those that need them to connect elsewhere", Span(SEND_AWAY));
            }
        } else {
            // Those of last time have not all had their turn.
            return;
        }
        let acted = self.mesh.unreached.nodes.iter_mut().filter(|(node, _)| due.contains(node));
        acted.for_each(|(_, absence)| absence.acted = Some(now));
    }

    fn slots_of(&self, view: &View, owners: &[Incarnation]) -> SlotSet {
        let placement = self.member.membership().placement();
        let owner = |slot| placement.and_then(|placement| placement.owner(slot));
        SlotSet::of(view.slots.slots().filter(|slot| owner(*slot).is_some_and(|owner| owners.contains(&owner))))
    }
}

fn names(view: &View, members: &[Incarnation]) -> String {
    let names: Vec<String> = members.iter().filter_map(|member| view.id_of(*member)).map(ToString::to_string).collect();
    names.join(", ")
}
