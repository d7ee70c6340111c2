//! What happens to the subject besides single messages: its clients want something, views come that are right or wrong.

use ringway_core::message::Durability;
use std::sync::Arc;
use std::time::Duration;

use ringway_core::gateway::NewPublish;
use ringway_core::message::{ChannelOptions, Entry, Message, Query};
use ringway_core::ring::{HashKey, MAX_NODES, SlotCount, Weight};
use ringway_core::view::Removal;
use ringway_core::{Epoch, Incarnation};

use super::{OTHERS, SLOTS, Subject, channels, gateway, node};

impl Subject {
    /// Clients of this gateway want something.
    pub(super) fn own_wish(&mut self) {
        let all = channels();
        let channel = all[self.below(all.len() as u64) as usize].clone();
        let history_size = self.one_of(&[0, 10, 10]);
        let options = ChannelOptions {
            history_size,
            history_ttl: Duration::from_secs(600),
            presence: true,
            history_bytes: 0,
            durability: Durability::Memory,
        };
        let entry = Entry::of(b"1");
        let key = (self.below(4) == 0).then(|| "key".into());
        match self.below(4) {
            0 => {
                let now = self.now;
                let key = self.gateway().attach(now, channel, options);
                self.keys.push(key);
            }
            1 if !self.keys.is_empty() => {
                let at = self.below(self.keys.len() as u64) as usize;
                let key = self.keys.swap_remove(at);
                let (now, confirms) = (self.now, self.random.is_multiple_of(3));
                if let Some(position) = self.gateway().position(key).filter(|_| confirms) {
                    self.gateway().confirm(key, position);
                }
                self.gateway().detach(now, key);
            }
            2 => {
                let now = self.now;
                let _ = self.gateway().query(now, 1, Query::PresenceStats(channel));
            }
            _ => {
                let (now, new) =
                    (self.now, NewPublish { channel, entry, options, idempotency_key: key, version: None });
                let _ = self.gateway().publish(now, 1, new);
            }
        }
    }

    /// A view that nobody may take.
    pub(super) fn lie_of_a_view(&mut self) {
        let mut view = (**self.member.view()).clone();
        view.epoch = Epoch(view.epoch.0.saturating_add(self.below(3)));
        match self.below(8) {
            0 => view.key = HashKey::from_bytes([8; 16]),
            1 => view.slots = SlotCount::new(SLOTS * 2).expect("a power of two"),
            2 => view.nodes = (0..=MAX_NODES as u64).map(|at| node(100_000 + at)).collect(),
            3 => view.nodes.extend(view.nodes.clone()),
            4 => view.nodes.reverse(),
            5 => (view.copies, view.ack_copies) = self.one_of(&[(0, 0), (3, 1), (2, 0), (1, 2)]),
            6 => view.epoch = self.one_of(&[Epoch(u64::MAX), Epoch(1 << 63)]),
            _ => view.nodes.iter_mut().for_each(|node| node.incarnation = Incarnation(2)),
        }
        let from = Incarnation(self.one_of(&OTHERS));
        self.hear(from, Message::Moved(Arc::new(view)));
    }

    /// A view that somebody could have written.
    pub(super) fn change_view(&mut self) {
        let view = self.registry.view().clone();
        let me = self.me();
        let peer = self.one_of(&[me, Incarnation(2), Incarnation(3), Incarnation(4), Incarnation(5)]);
        let changed = match self.below(7) {
            0 => view.affirmed(),
            1 => view.activated(),
            2 => view.with_next_weight(peer, self.one_of(&[Weight::ZERO, Weight::ONE, Weight::MAX])),
            3 if self.below(2) == 0 => {
                view.without(peer, self.one_of(&[Removal::Planned, Removal::Proven, Removal::Suspected]))
            }
            4 => view.with_draining_gateway(peer),
            _ if view.has(peer) => view.affirmed(),
            5 => view.with_node(node(peer.0)),
            _ => view.with_gateway(gateway(peer.0)),
        };
        self.take_view(Arc::new(changed));
    }
}
