//! Where a sabotaged run lies between a hub and its clients: what goes into a socket, what comes out of it, and what is handed in.

use ringway_core::ChannelName;
use ringway_core::message::Reset;
use ringway_core::ring::SlotSet;
use ringway_protocol::ws::{Opcode, server_frame};

use super::frames::{Answer, Told};
use crate::Sabotage;
use crate::world::World;

/// One in so many is told wrongly.
const SOME: u64 = 16;

impl World {
    /// What a client sees instead of this.
    pub(super) fn lied_told(&mut self, at: usize, number: u64, mut told: Told) -> Vec<Told> {
        let Some(sabotage) = self.sabotage else { return vec![told] };
        let Some(connection) = self.processes[at].clients.connections.get_mut(&number) else { return Vec::new() };
        match (sabotage, &mut told) {
            (Sabotage::DropPush, Told::Pushed { .. }) if self.rng.below(SOME) == 0 => return Vec::new(),
            (Sabotage::RepeatPush, Told::Pushed { offset: 1.., .. }) if self.rng.below(SOME) == 0 => {
                return vec![told.clone(), told];
            }
            (Sabotage::ForgeRecovered, Told::Answered { reply: Answer::Subscribed(began), .. }) => {
                began.recovered |= began.was_recovering && began.at.is_some();
            }
            (Sabotage::RepeatAnswer, Told::Answered { .. }) => return vec![told.clone(), told],
            (Sabotage::ForgeAcknowledgement, Told::Answered { reply, .. })
                if *reply == Answer::Failed(PUBLISH_FAILED) =>
            {
                *reply = Answer::Published;
            }
            (Sabotage::HideFarewell, Told::Reconnect) => return Vec::new(),
            (Sabotage::EarlyPush, Told::Answered { reply: Answer::Subscribed(_), .. }) => {
                return connection.kept_back.replace(told).into_iter().collect();
            }
            (Sabotage::EarlyPush, _) => return std::iter::once(told).chain(connection.kept_back.take()).collect(),
            _ => {}
        }
        vec![told]
    }

    /// An inbox that nobody comes back to with a position.
    pub(crate) fn is_plain_inbox(&self, name: &ChannelName) -> bool {
        let channel = self.setup.channels.iter().position(|channel| channel.is_inbox() && channel.name == *name);
        channel.is_some() && self.people.list.iter().all(|client| client.user != channel || client.is_plain)
    }

    /// What is written to a client that is gone counts as confirmed by it.
    pub(super) fn lie_of_pongs(&mut self, at: usize, number: u64) {
        if self.sabotage != Some(Sabotage::ConfirmWrites) {
            return;
        }
        let Some(connection) = self.processes[at].clients.connections.get(&number) else { return };
        let (socket, mut budget) = (connection.socket.clone(), usize::MAX);
        while let Some(frame) = socket.read(&mut budget) {
            if let Some((Opcode::Ping, _, payload)) = server_frame(&frame) {
                self.pinged(at, number, frame.slice_ref(payload));
                self.pong(at, number);
                self.hand_in(at);
            }
        }
    }

    /// The order that a gateway's hub is given instead of this one.
    pub(super) fn lied_reset(&self, reset: &Reset) -> Reset {
        let mut reset = reset.clone();
        if self.sabotage == Some(Sabotage::ForgeReset) {
            reset.slots =
                reset.slots.map(|slots| SlotSet::of(self.setup.slots.slots().filter(|slot| !slots.has(*slot))));
        }
        reset
    }

    /// Whether a socket's word that it has room is lost.
    pub(super) fn hides_room(&self) -> bool {
        self.sabotage == Some(Sabotage::HideRoom)
    }

    /// Whether a backend's answer is lost.
    pub(super) fn drops_answer(&mut self) -> bool {
        self.sabotage == Some(Sabotage::DropAnswer) && self.rng.below(SOME) == 0
    }
}

/// What a publish fails with that may have been taken.
const PUBLISH_FAILED: u16 = 100;
