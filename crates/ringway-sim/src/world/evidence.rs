//! How members find out that another has died, as the real ones do: a link ends, or a view lists a node that is not
//! linked, and they look whether anybody listens where that member did, and who.

use std::sync::Arc;

use ringway_core::view::{Removal, View};
use ringway_core::{Incarnation, MemberId};

use super::process::State;
use super::{Event, Input, MS, Time, World};

/// A probe without an answer is given up after this, and then made again.
const PROBE: Time = 320 * MS;

/// Probes after one reason to look. After that silence decides.
const PROBES: u32 = 50;

/// A look at where a member is listed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Probe {
    by: usize,
    boot: u32,
    listed: Incarnation,
    /// The process that has the address.
    address: usize,
    left: u32,
}

impl World {
    /// The link of a member ended: is it dead?
    pub(crate) fn look_for_evidence(&mut self, by: usize, peer: Incarnation) {
        let listed = self.processes[by].member.as_ref().and_then(|member| address_of(member.view(), peer));
        if let Some(address) = listed {
            self.probe_at(by, peer, address);
        }
    }

    /// Looks after members that the view lists and that are not linked: one may have come into the view after its process
    /// had given that life up. Gateways are looked after by nodes and by the keeper.
    pub(crate) fn look_after(&mut self, by: usize, view: &View) {
        let process = &self.processes[by];
        let keeper = process.member.as_ref().and_then(|member| member.membership().keeper());
        let looks_after_gateways = process.is_node || keeper == Some(process.incarnation);
        let is_due = |member: Incarnation| looks_after_gateways || view.node(member).is_some();
        let unlinked = |(id, member, _): &(&MemberId, Incarnation, &Arc<str>)| {
            **id != process.id && !process.connections.contains_key(member)
        };
        let members = view.members().filter(unlinked).map(|(_, member, _)| member);
        let members: Vec<Incarnation> = members.filter(|member| is_due(*member)).collect();
        for member in members {
            if let Some(address) = address_of(view, member) {
                self.probe_at(by, member, address);
            }
        }
    }

    /// A life of this id that is listed at this process's address has ended: an address belongs to one process at a time.
    pub(crate) fn find_my_former_life(&mut self, at: usize, view: &View) {
        let (id, me) = (self.processes[at].id.clone(), self.processes[at].incarnation);
        let former = view
            .members()
            .find(|(listed, member, address)| **listed == id && *member != me && address.parse() == Ok(at));
        if let Some((_, former, _)) = former {
            let boot = self.processes[at].boot;
            self.schedule(self.now, Event::To(at, boot, Input::Evidence(former, Removal::Proven)));
        }
    }

    fn probe_at(&mut self, by: usize, listed: Incarnation, address: usize) {
        let (boot, at) = (self.processes[by].boot, self.now + self.rng.range(MS / 5, 2 * MS));
        self.schedule(at, Event::Probe(Probe { by, boot, listed, address, left: PROBES }));
    }

    /// A probe gets its answer: refused, another life of that member, or nothing that proves anything.
    pub(crate) fn probe(&mut self, probe: Probe) {
        let Probe { by, boot, listed, address, left } = probe;
        let process = &self.processes[by];
        if process.boot != boot || process.state != State::Up || process.connections.contains_key(&listed) {
            return;
        }
        let there = &self.processes[address];
        let silent = process.frozen || self.network.is_cut(by, address) || self.network.is_cut(address, by);
        let proof = match there.state {
            _ if silent || there.frozen || there.host_down => None,
            State::Down => Some(Removal::Suspected),
            // Who answers under the same name says itself that its former life is over.
            State::Up if there.incarnation != listed => Some(Removal::Proven),
            State::Up | State::Lingering => return,
            State::Between => None,
        };
        match proof {
            Some(proof) => self.schedule(self.now, Event::To(by, boot, Input::Evidence(listed, proof))),
            None if left > 1 => {
                self.schedule(self.now + PROBE, Event::Probe(Probe { left: left - 1, ..probe }));
            }
            None => {}
        }
    }

    /// Whoever dials a member and finds another life of it there knows that the listed one has ended.
    pub(crate) fn find_replaced(&mut self, at: usize, peer: usize, when: Time) {
        let incarnation = self.processes[peer].incarnation;
        let Some(member) = &self.processes[at].member else { return };
        let view = member.view();
        let here = |listed: &Incarnation| *listed != incarnation && address_of(view, *listed) == Some(peer);
        let ended = view.members().map(|(_, member, _)| member).find(here);
        if let Some(ended) = ended {
            let boot = self.processes[at].boot;
            self.schedule(when, Event::To(at, boot, Input::Evidence(ended, Removal::Proven)));
        }
    }
}

/// The process that listens where this member is listed: an address here is the number of its process.
fn address_of(view: &View, member: Incarnation) -> Option<usize> {
    let node = view.node(member).map(|node| &node.address);
    let address = node.or_else(|| view.gateway(member).map(|gateway| &gateway.address))?;
    address.parse().ok()
}
