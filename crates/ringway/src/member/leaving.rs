//! A member that was asked to end: what it waits for, said every now and then, and when there is nothing to wait for.
//!
//! ```text
//!   Shed ──▶ clients are sent away ──▶ Drain ──▶ slots are handed over, the view is written without it ──▶ left
//!                                        └── nothing to hand over ──▶ done at once
//! ```
//!
//! Whoever gave these orders has a clock, and says `Stop` when the time is over, whatever has been reached by then.

use std::time::Duration;

use ringway_core::member::Front;
use ringway_core::timing::Now;
use tokio::sync::oneshot;
use tracing::{info, warn};

use super::Task;

/// The same wait is said again after this.
const REMIND: Duration = Duration::from_secs(10);

/// What takes no longer than this is not worth a line.
const BRIEF: Duration = Duration::from_secs(1);

/// A gateway owns nothing that must be handed over. It would only like to be out of the view, so a registry that is away is
/// not waited for any longer than this: others see the process end, or its lease lapse.
const PATIENCE: Duration = Duration::from_secs(2);

/// The registry leaves last: a whole cluster that is asked to end hands over as far as it can, and needs it for that. Members
/// that are asked together show it within this, and so do those whose turn comes when another one has left.
const TURNS: Duration = Duration::from_millis(300);

/// This member is on its way out.
#[derive(Debug)]
pub(super) struct Leaving {
    /// Since when it sends clients away, and then since when it hands over.
    since: Now,
    /// When another member was on its way out, too, or this one began.
    others: Now,
    /// What was said last of each kind of wait.
    said: [Option<Now>; Awaited::KINDS],
}

/// What a member that leaves waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Awaited {
    /// So many clients have a socket here.
    Clients(usize),
    /// Owners that have not confirmed how far so many inboxes were handed on.
    Inboxes(usize),
    /// An answer of the registry.
    Registry,
    /// Another node that stays.
    Room,
    /// So many others, which are leaving too and need the registry that is here.
    Others(usize),
    /// Copies of so many slots.
    Copies(u64),
    /// The next view.
    View,
}

impl Awaited {
    const KINDS: usize = 7;

    fn kind(self) -> usize {
        match self {
            Self::Clients(_) => 0,
            Self::Inboxes(_) => 1,
            Self::Registry => 2,
            Self::Room => 3,
            Self::Others(_) => 4,
            Self::Copies(_) => 5,
            Self::View => 6,
        }
    }

    /// What is over within milliseconds, as a rule.
    fn is_brief(self) -> bool {
        matches!(self, Self::Inboxes(_) | Self::View)
    }
}

impl std::fmt::Display for Awaited {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Clients(1) => f.write_str("waiting for 1 client"),
            Self::Clients(clients) => write!(f, "waiting for {clients} clients"),
            Self::Inboxes(inboxes) => {
                write!(f, "waiting until it is kept how far {inboxes} inboxes were handed on")
            }
            Self::Registry => f.write_str("waiting for the registry to answer"),
            Self::Room => f.write_str("waiting for another node to be active: without this one too few would be left"),
            Self::Others(1) => f.write_str("waiting for 1 member that is leaving, too, and needs the registry"),
            Self::Others(others) => {
                write!(f, "waiting for {others} members that are leaving, too, and need the registry")
            }
            Self::Copies(1) => f.write_str("handing over: 1 slot still lacks a copy"),
            Self::Copies(slots) => write!(f, "handing over: {slots} slots still lack a copy"),
            Self::View => f.write_str("waiting for the view without this member"),
        }
    }
}

impl Task {
    /// Clients come first, or are passed over where there is no gateway.
    pub(super) fn begin_to_leave(&mut self, now: Now) {
        self.exit.leaving = Some(Leaving { since: now, others: now, said: [None; Awaited::KINDS] });
    }

    /// Clients are gone: slots are handed over, and the view is left.
    pub(super) fn begin_to_drain(&mut self, now: Now, done: oneshot::Sender<()>) {
        self.begin_to_leave(now);
        self.exit.draining = Some(done);
        if let Some(why) = self.nothing_to_hand_over(now) {
            return self.drained(why);
        }
        info!("draining: handing over, then leaving");
    }

    /// Goes on with leaving, and says what it waits for.
    pub(super) fn leave_on(&mut self, now: Now) {
        if self.exit.draining.is_some() {
            match self.nothing_to_hand_over(now) {
                Some(why) => self.drained(why),
                None if self.waits_for_others(now) => {}
                // Asked again and again: whatever undoes it, this member still means to leave.
                None => self.member.leave(),
            }
        }
        let Some(awaited) = self.awaited(now) else { return };
        let Some(leaving) = &mut self.exit.leaving else { return };
        let said = &mut leaving.said[awaited.kind()];
        let early = awaited.is_brief() && now < leaving.since + BRIEF;
        if !early && said.is_none_or(|said| now >= said + REMIND) {
            *said = Some(now);
            info!("draining: {awaited}");
        }
    }

    /// Other members that are on their way out.
    fn others_leaving(&self) -> usize {
        let view = self.member.view();
        let nodes = view.nodes.iter().filter(|node| node.serves() && !node.stays()).map(|node| node.incarnation);
        let gateways = view.gateways.iter().filter(|gateway| gateway.draining).map(|gateway| gateway.incarnation);
        let leaving: std::collections::BTreeSet<_> =
            nodes.chain(gateways).filter(|member| *member != self.me).collect();
        leaving.len()
    }

    /// The registry is here, and others have needed it to leave until just now.
    fn waits_for_others(&mut self, now: Now) -> bool {
        let view = self.member.view();
        let beside = view.members().any(|(_, member, _)| member != self.me);
        let are_leaving = self.others_leaving() > 0;
        let is_host = self.is_host();
        let Some(leaving) = self.exit.leaving.as_mut().filter(|_| beside && is_host) else { return false };
        if are_leaving {
            leaving.others = now;
        }
        now < leaving.others + TURNS
    }

    /// There is nothing to wait for any more.
    fn drained(&mut self, why: &str) {
        info!("ending without a handover: {why}");
        if let Some(done) = self.exit.draining.take() {
            let _ = done.send(());
        }
    }

    /// Why this member has nothing that another one could take, or nobody who could.
    fn nothing_to_hand_over(&self, now: Now) -> Option<&'static str> {
        let (view, leaving) = (self.member.view(), self.exit.leaving.as_ref()?);
        if self.exit.left.is_some() {
            return None;
        }
        if !view.has(self.me) {
            return Some("this member is not in the view, so nothing is here that counts");
        }
        let owns = view.node(self.me).is_some();
        if owns && view.nodes.len() == 1 {
            return Some("this is the last node, so there is nobody to take what it holds");
        }
        let gives_up = !owns && !self.member.membership().registry_answers(now) && now >= leaving.since + PATIENCE;
        gives_up.then_some("the registry does not answer, and a gateway has nothing that must be handed over")
    }

    /// What stands in the way of the end.
    fn awaited(&self, now: Now) -> Option<Awaited> {
        self.exit.leaving.as_ref()?;
        if let (Some(_), Some(hub)) = (&self.exit.shedding, self.member.front()) {
            return match (hub.still_open(), hub.gateway().lingering_count()) {
                (0, 0) => None,
                (0, inboxes) => Some(Awaited::Inboxes(inboxes)),
                (clients, _) => Some(Awaited::Clients(clients)),
            };
        }
        self.exit.draining.as_ref().filter(|_| self.exit.left.is_none())?;
        let view = self.member.view();
        if !self.member.membership().registry_answers(now) {
            return Some(Awaited::Registry);
        }
        let others = self.others_leaving();
        if self.is_host() && others > 0 {
            return Some(Awaited::Others(others));
        }
        if view.node(self.me).is_some() && !view.has_room_without(self.me) {
            return Some(Awaited::Room);
        }
        let others = view.nodes.iter().filter(|node| node.incarnation != self.me);
        let others = others.filter_map(|node| self.mesh.loads.get(&node.incarnation)).map(|load| load.unsettled);
        let mine = self.member.node().map_or(0, ringway_core::node::Node::unsettled);
        match mine + others.sum::<u64>() {
            0 => Some(Awaited::View),
            slots => Some(Awaited::Copies(slots)),
        }
    }

    /// The time is over, or this member ends without any ado.
    pub(super) fn give_up_leaving(&mut self, now: Now) {
        if let Some(awaited) = self.awaited(now) {
            warn!(
                "the time for leaving is over ([drain] timeout), so this member ends as if it had crashed: it was still {awaited}"
            );
        }
        self.exit.leaving = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_told_in_words() {
        let all = [
            Awaited::Clients(312),
            Awaited::Inboxes(2),
            Awaited::Registry,
            Awaited::Room,
            Awaited::Others(3),
            Awaited::Copies(12),
            Awaited::View,
        ];
        let kinds: Vec<usize> = all.iter().map(|awaited| awaited.kind()).collect();
        assert_eq!(kinds, (0..Awaited::KINDS).collect::<Vec<_>>());
        assert_eq!(all[0].to_string(), "waiting for 312 clients");
        assert_eq!(Awaited::Clients(1).to_string(), "waiting for 1 client");
        assert_eq!(all[5].to_string(), "handing over: 12 slots still lack a copy");
    }
}
