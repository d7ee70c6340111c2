//! The first gateway was started again and remembers nothing: it has given birth to another cluster. Whoever meets it starts
//! over there, by itself and at once.
//!
//! Its word is enough: it answers where this member was told to join, under the join secret, and says that the registry is with
//! it. The old cluster has no registry any more, so nobody can join, leave or be replaced in it, and it is over in any case.
//!
//! A node drops what it held. A gateway keeps its sockets and attaches their channels in the new cluster; their streams
//! begin anew, and the clients are told so.

use std::sync::Arc;

use ringway_core::message::{Frame, Message, RegistryAnswer, RegistryOp, RegistryRequest};
use ringway_core::timing::Now;
use ringway_core::view::View;
use ringway_core::{Epoch, Incarnation};
use ringway_link::Identity;
use tracing::warn;

use super::Task;
use super::join::checked;

impl Task {
    /// Gives up the old cluster. Until the new one's view is here, this member is in none.
    pub(super) fn leave_for(&mut self, now: Now, host: &Identity) {
        if !self.registry.begin_to_arrive() {
            return;
        }
        warn!(
            first_gateway = %host.id, address = %host.address,
            "the first gateway was started again without what it knew, so this is another cluster: starting over in it. Channels begin anew"
        );
        let old = self.member.view();
        let nobody = View { copies: old.copies, ack_copies: old.ack_copies, ..View::born(old.key, old.slots) };
        for target in self.mesh.dialed.extract_if(.., |target| target.member.is_some()) {
            self.parts.links.stop_dialing(&target);
        }
        self.mesh.loads.clear();
        self.take_new_life(now, &Arc::new(nobody), None);
        self.turn(now);
    }

    /// The first gateway is linked: what does the new cluster look like?
    pub(super) fn ask_for_view(&self, peer: Incarnation) {
        let message = Message::RegistryRequest(RegistryRequest { id: 0, op: RegistryOp::Read });
        if let Some(host) = self.mesh.peers.get(&peer).filter(|known| known.identity.keeps_registry) {
            // If the link is gone already, the next one asks again.
            let _ = host.sender.send(Frame { epoch: Epoch(0), message });
        }
    }

    /// The new cluster's view is here: from now on this member works at getting into it.
    pub(super) fn arrive(&mut self, now: Now, from: Incarnation, answer: &RegistryAnswer) {
        let Some(view) = checked(&answer.view) else { return };
        self.registry.arrived();
        let birth = view.birth();
        self.settle_in(now, &view);
        self.parts.links.belong_to(birth);
        let linked: Vec<Incarnation> = self.mesh.peers.keys().copied().collect();
        for peer in linked {
            self.meet(now, peer);
        }
        self.look_for_my_former_life(now);
        warn!(first_gateway = %self.name_of(from), "joining the new cluster");
    }

    fn name_of(&self, peer: Incarnation) -> String {
        self.mesh.peers.get(&peer).map_or_else(String::new, |known| known.identity.id.to_string())
    }
}
