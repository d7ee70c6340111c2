//! Whom the host lets in. A newcomer's first step into the view is its lease, so that is where the door is.
//!
//! It dials every newcomer back, once per life: others will dial it too. Who cannot be dialed would be removed as silent or dead,
//! come back, and so on for ever. So it stays outside, tries on, and is told why. The same becomes of a node that others take
//! for dead again and again while it is heard here: they and it do not reach each other.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ringway_core::message::{Frame, Message, RegistryAnswer, RegistryOp, RegistryRequest};
use ringway_core::timing::Now;
use ringway_core::view::View;
use ringway_core::{Incarnation, MemberId};
use ringway_link::{DialError, Evidence, Identity, Target};
use tracing::warn;

use super::Task;
use super::evidence::Finding;
use crate::words::Span;

/// How long dialing back may take. A member whose machine is busy answers late, and is dialed again.
const PATIENCE: Duration = Duration::from_secs(1);
/// A member that could not be dialed is dialed again after this.
const AGAIN: Duration = Duration::from_secs(2);
/// Removals of a node that is heard here are one after the other if they are no further apart: it joined, and was silent to others at once.
const IN_A_ROW: Duration = Duration::from_secs(5);
/// So many in a row are no accident.
const ACCIDENTS: u32 = 2;
/// The first wait after that, which doubles, and the longest.
const WAIT: Duration = Duration::from_secs(10);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// What is known of those who knock.
#[derive(Debug, Default)]
pub(super) struct Door {
    /// Dials back that are under way or failed. Of those that are linked.
    dials: HashMap<Incarnation, DialBack>,
    contested: HashMap<MemberId, Contested>,
}

#[derive(Debug)]
enum DialBack {
    /// With the request that waits for its end.
    UnderWay(Option<RegistryRequest>),
    /// It is not tried again before this.
    Failed(Now, Arc<str>),
}

/// A node that others took for dead while it was heard here.
#[derive(Debug, Default, Clone, Copy)]
struct Contested {
    times: u32,
    /// When it may come back.
    until: Now,
}

impl Contested {
    /// Once more.
    fn again(self, now: Now) -> Self {
        let times = if now <= self.until + IN_A_ROW { self.times + 1 } else { 1 };
        let doublings = times.saturating_sub(ACCIDENTS + 1).min(16);
        let wait = if times > ACCIDENTS { (WAIT * (1 << doublings)).min(LONGEST_WAIT) } else { Duration::ZERO };
        Self { times, until: now + wait }
    }
}

impl Door {
    /// A link ended.
    pub(super) fn unlinked(&mut self, peer: Incarnation) {
        self.dials.remove(&peer);
    }
}

impl Task {
    /// A newcomer is linked: the keeper dials it back. Whoever it has reached is dead when a connection there is refused.
    pub(super) fn dial_back(&mut self, peer: Incarnation) {
        let is_new = self.is_keeper() && !self.member.view().has(peer) && !self.mesh.reach.has_reached(peer);
        if let Some(identity) = self.mesh.peers.get(&peer).filter(|_| is_new).map(|known| known.identity.clone()) {
            self.begin_to_dial_back(&identity, None);
        }
    }

    fn begin_to_dial_back(&mut self, identity: &Identity, waits: Option<RegistryRequest>) {
        let peer = identity.incarnation;
        self.mesh.door.dials.insert(peer, DialBack::UnderWay(waits));
        let (links, findings) = (self.parts.links.clone(), self.mesh.evidence.clone());
        let target = Target::member(identity.address.clone(), identity.id.clone(), peer);
        tokio::spawn(async move {
            let why = why_not(links.probe(&target, PATIENCE).await, peer);
            // The task may have ended; then nobody needs to know.
            let _ = findings.send(Finding::DialedBack { peer, why }).await;
        });
    }

    /// Whether a request may be carried out now. A newcomer's waits for the dial back.
    pub(super) fn let_in(&mut self, now: Now, from: Incarnation, request: RegistryRequest) -> Option<RegistryRequest> {
        let knocks = matches!(request.op, RegistryOp::Put(_)) && !self.member.view().has(from);
        if !self.is_host() || !knocks {
            return Some(request);
        }
        let identity = self.mesh.peers.get(&from)?.identity.clone();
        if let Some(why) = self.is_contested(now, &identity.id) {
            self.deny(from, &request, &why);
            return None;
        }
        if self.mesh.reach.has_reached(from) {
            return Some(request);
        }
        match self.mesh.door.dials.get_mut(&from) {
            Some(DialBack::UnderWay(waits)) => *waits = Some(request),
            Some(DialBack::Failed(again, why)) if now < *again => {
                let why = why.clone();
                self.deny(from, &request, &why);
            }
            Some(DialBack::Failed(..)) | None => self.begin_to_dial_back(&identity, Some(request)),
        }
        None
    }

    /// A dial back has ended. It counts only while the member is linked.
    pub(super) fn on_dialed_back(&mut self, now: Now, peer: Incarnation, why: Option<Arc<str>>) {
        let (Some(known), Some(DialBack::UnderWay(waits))) =
            (self.mesh.peers.get(&peer), self.mesh.door.dials.remove(&peer))
        else {
            return;
        };
        let (id, address) = (&known.identity.id, known.identity.address.clone());
        let Some(why) = why else {
            self.mesh.reach.found(peer, &address);
            if let Some(request) = waits {
                self.on_request(now, peer, request);
            }
            return;
        };
        warn!("{id} cannot be dialed at {address} ({why}); it is kept out of the cluster until it can");
        let why: Arc<str> = format!("the first gateway cannot dial it at {address} ({why}). Set link_listen or link_advertise to an address at which the other machines reach this one, and let them through to its port").into();
        if let Some(request) = waits {
            self.deny(peer, &request, &why);
        }
        self.mesh.door.dials.insert(peer, DialBack::Failed(now + AGAIN, why));
    }

    /// Answers a newcomer that it gets no lease, and says why.
    fn deny(&self, to: Incarnation, request: &RegistryRequest, why: &str) {
        let Some(peer) = self.mesh.peers.get(&to) else { return };
        let view = self.member.view().clone();
        let epoch = view.epoch;
        let answer = RegistryAnswer { id: request.id, done: false, view, lapsed: Vec::new() };
        for message in [Message::KeptOut(why.into()), Message::RegistryAnswer(answer)] {
            // A link that takes no more has ended, and its other end asks again on the next.
            let _ = peer.sender.send(Frame { epoch, message });
        }
    }

    /// A view is without a node that was in the one before. Was it removed though it is heard here?
    pub(super) fn note_removal(&mut self, now: Now, before: &View, gone: Incarnation) {
        let Some(node) = before.node(gone).filter(|_| self.is_host()) else { return };
        let is_heard =
            self.mesh.peers.get(&gone).is_some_and(|peer| peer.sender.silence() < self.parts.timing.silent());
        if is_heard {
            self.mesh.door.contested.retain(|_, contested| now <= contested.until + IN_A_ROW);
            let contested = self.mesh.door.contested.entry(node.id.clone()).or_default();
            *contested = contested.again(now);
        }
    }

    fn is_contested(&mut self, now: Now, id: &MemberId) -> Option<String> {
        let contested = self.mesh.door.contested.get(id).filter(|contested| now < contested.until)?;
        let (times, left) = (contested.times, contested.until.saturating_sub(now));
        warn!(
            "{id} was taken for dead {times} times in a row by others, though it is heard here: look at the network between it and the other nodes. It may join again in {}",
            Span(left)
        );
        Some(format!(
            "others took it for dead {times} times in a row, though the first gateway hears it: look at the network between this machine and the other nodes'"
        ))
    }
}

/// What a probe found in the place of a member, in words. `None`: the member itself.
fn why_not(found: Evidence, wanted: Incarnation) -> Option<Arc<str>> {
    let other = |identity: &Identity| format!("another member answers there, {}", identity.id).into();
    match found {
        Evidence::Answered(identity) if identity.incarnation == wanted => None,
        Evidence::Answered(identity) => Some(other(&identity)),
        Evidence::Unknown(DialError::Other(identity)) => Some(other(&identity)),
        Evidence::Refused => Some("connection refused: nothing listens there".into()),
        Evidence::Unknown(why) => Some(why.to_string().into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_others_do_not_hear_waits_longer_and_longer() {
        let (mut contested, mut now, mut waits) = (Contested::default(), Duration::from_secs(100), Vec::new());
        for _ in 0..8 {
            contested = contested.again(now);
            waits.push(contested.until.saturating_sub(now).as_secs());
            // It joins as soon as it may, and others find it silent.
            now = contested.until + Duration::from_secs(2);
        }
        assert_eq!(waits, [0, 0, 10, 20, 40, 60, 60, 60]);
        contested = contested.again(contested.until + IN_A_ROW + Duration::from_millis(1));
        assert_eq!(contested.times, 1, "in between it was well");
    }
}
