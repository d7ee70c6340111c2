//! Whatever the owner of a channel says, the sessions of this gateway go on, and so does everybody else.

use std::time::Duration;

use ringway_core::id::{Epoch, Incarnation};
use ringway_core::message::{Message, Reset};
use ringway_protocol::link::testing::{Choices, Known, MESSAGE_KINDS, Sample, message_of_kind};

use super::harness::{Peer, World, at, epoch, name, other_epoch};
use crate::{ApiRequest, Protocol};

const CHANNELS: [&str; 3] = ["#u", "news", "room"];

struct Foreign {
    world: World,
    peers: Vec<Peer>,
    seed: u64,
    step: u64,
}

impl Foreign {
    fn new(seed: u64) -> Self {
        let mut foreign = Self { world: World::open(), peers: Vec::new(), seed, step: 0 };
        (0..3).for_each(|_| foreign.come());
        foreign
    }

    fn choices(&self) -> Choices {
        let ids = self.world.queries().into_iter().rev().take(4).map(|(id, _)| id);
        let numbers = [0, 1, 2, 3, u64::MAX - 1, u64::MAX].into_iter().chain(ids).collect();
        let attaches = self.world.said.iter().rev().filter_map(|message| match message {
            Message::Attach(attaches) => attaches.first().map(|attach| attach.attach),
            _ => None,
        });
        let slots = self.world.publishes().iter().rev().take(4).map(|publish| publish.slot).collect();
        let (attaches, streams) = (attaches.take(6).collect(), vec![epoch(), other_epoch()]);
        let channels = CHANNELS.map(name).into();
        let known = Known { numbers, attaches, slots, streams, channels, ..Known::default() };
        Choices::scattered(self.seed * 100_000 + self.step).among(known)
    }

    /// A client comes, and wants to hear of everything.
    fn come(&mut self) {
        let user = ringway_core::UserName::new("u").unwrap();
        for protocol in [Protocol::Plain(user), Protocol::Centrifuge] {
            let is_plain = matches!(protocol, Protocol::Plain(_));
            let peer = self.world.connect(protocol);
            peer.socket.0.lock().takes_anything = true;
            if !is_plain {
                let token = super::harness::token("u", None);
                self.world.send(&peer, &format!(r#"{{"id":1,"connect":{{"token":"{token}"}}}}"#));
                let recover = r#""recover":true,"epoch":"abcdefgh","offset":18446744073709551615"#;
                self.world.send(&peer, &format!(r#"{{"id":2,"subscribe":{{"channel":"news",{recover}}}}}"#));
                self.world
                    .send(&peer, r#"{"id":3,"subscribe":{"channel":"room","recover":true,"epoch":"","offset":1}}"#);
            }
            self.peers.push(peer);
        }
    }

    /// Somebody asks the owner for something.
    fn ask(&mut self, choices: &mut Choices) {
        let at = choices.below(self.peers.len());
        let peer = self.peers[at].clone();
        match choices.below(6) {
            0 => drop(self.world.call(ApiRequest::Info)),
            1 => drop(self.world.call(ApiRequest::Channels(None))),
            2 => self.world.send(&peer, r#"{"id":9,"presence":{"channel":"news"}}"#),
            3 => self.world.send(&peer, r#"{"id":9,"history":{"channel":"news","limit":10}}"#),
            4 => self.world.send(&peer, r#"{"id":9,"publish":{"channel":"news","data":1}}"#),
            _ => {
                self.world.hang_up(&peer);
                self.peers.remove(at);
                self.come();
            }
        }
    }

    /// The owner answers an attach as it should, and delivers what follows.
    fn be_honest(&mut self, choices: &mut Choices) {
        let channel = CHANNELS[choices.below(CHANNELS.len())];
        let asks = |message: &Message| match message {
            Message::Attach(attaches) => attaches.iter().any(|attach| attach.channel.as_str() == channel),
            _ => false,
        };
        if !self.world.said.iter().any(asks) {
            return;
        }
        self.world.attached(channel, Some(at(3)), 3);
        self.world.deliver(channel, 4, "{}");
    }

    fn step(&mut self) {
        self.step += 1;
        let mut choices = self.choices();
        match choices.below(12) {
            0 => self.ask(&mut choices),
            3 | 4 => self.be_honest(&mut choices),
            1 => self.world.pass(Duration::from_millis(250)),
            2 => {
                let order = Reset::sample(&mut choices);
                self.world.hub.reset(self.world.now, Incarnation(2), &order);
            }
            _ => {
                let kind = choices.below(MESSAGE_KINDS);
                let message = message_of_kind(kind, &mut choices);
                // Of views and of everything else that is not a gateway's, the rules have tests of their own.
                if message.is_for_gateway() || matches!(message, Message::Ping(_)) {
                    let now = self.world.now;
                    self.world.hub.rules.on_message(now, Incarnation(2), Epoch::sample(&mut choices), message);
                }
            }
        }
        self.world.turn();
    }
}

#[test]
fn no_word_of_an_owner_ends_a_gateway() {
    let mut deliveries = 0;
    for seed in 0..24 {
        let mut foreign = Foreign::new(seed);
        (0..1_200).for_each(|_| foreign.step());
        deliveries += foreign.world.hub.counts().deliveries;
    }
    assert!(deliveries > 100, "what nobody is delivered harms nobody: {deliveries}");
}
