//! Channels with more members than a frame has room for: their owner is told of them as it takes them, and knows the same in the end.

use std::collections::BTreeSet;

use bytes::Bytes;
use ringway_core::Incarnation;
use ringway_core::message::{AttachId, Lane, Message, Presence, SessionChange};

use super::harness::{Peer, World, at};

const OWNER: Incarnation = Incarnation(2);
/// Bytes of parts that may be under way.
pub(super) const UNDER_WAY: usize = 256 << 10;
/// Bytes of a session's description, and of the whole of what is told of it at the most.
const INFO: usize = 60_000;
pub(super) const ONE: usize = INFO + 100;

/// What the owner knows of "news".
#[derive(Default)]
pub(super) struct Owner {
    attach: Option<AttachId>,
    /// It says who is there.
    pub(super) is_whole: bool,
    pub(super) present: BTreeSet<u128>,
    /// Frames taken.
    read: usize,
}

impl Owner {
    /// The link has ended: nobody listens there any more.
    pub(super) fn forget(&mut self) {
        (self.attach, self.is_whole) = (None, false);
        self.present.clear();
    }

    pub(super) fn attach(&self) -> Option<AttachId> {
        self.attach
    }

    /// Takes what was said since the last time. Returns its bytes.
    pub(super) fn take(&mut self, world: &World) -> usize {
        let said = &world.said[self.read..];
        self.read = world.said.len();
        said.iter().map(|message| self.take_one(message)).sum()
    }

    fn take_one(&mut self, message: &Message) -> usize {
        let bytes = |present: &[Presence]| present.iter().map(Presence::size).sum::<usize>();
        match message {
            Message::Attach(attaches) => {
                let Some(attach) = attaches.iter().find(|attach| attach.channel.as_str() == "news") else { return 0 };
                (self.attach, self.is_whole) = (Some(attach.attach), !attach.more);
                self.present = attach.presence.iter().map(|one| one.client).collect();
                bytes(&attach.presence)
            }
            Message::Sessions(change) => {
                if self.attach == Some(change.attach) {
                    self.apply(change);
                }
                bytes(&change.joined)
            }
            Message::Detach(detach) if self.attach == Some(detach.attach) => {
                self.forget();
                0
            }
            _ => 0,
        }
    }

    fn apply(&mut self, change: &SessionChange) {
        self.present.retain(|client| !change.left.contains(client));
        self.present.extend(change.joined.iter().map(|one| one.client));
        self.is_whole = self.is_whole && !change.more || change.last;
    }
}

impl World {
    /// So many sessions on "news" with large descriptions, all in one turn.
    fn crowd(&mut self, count: usize) -> Vec<Peer> {
        let peers = self.described(count);
        peers.iter().for_each(|peer| self.subscribe(peer));
        self.turn();
        peers
    }

    /// So many sessions with large descriptions.
    pub(super) fn described(&mut self, count: usize) -> Vec<Peer> {
        let info = Bytes::from(vec![b'1'; INFO]);
        let peers = (0..count).map(|_| self.anonymous()).collect();
        self.hub.roster.all_mut().for_each(|session| session.info = Some(Box::new(info.clone())));
        peers
    }

    pub(super) fn subscribe(&mut self, peer: &Peer) {
        self.queue(peer, r#"{"id":2,"subscribe":{"channel":"news"}}"#);
    }

    pub(super) fn unsubscribe(&mut self, peer: &Peer) {
        self.queue(peer, r#"{"id":3,"unsubscribe":{"channel":"news"}}"#);
    }

    /// Who is on "news".
    pub(super) fn members(&self) -> BTreeSet<u128> {
        let key = self.hub.audience.key_of(&super::harness::name("news"));
        let keys = key.into_iter().flat_map(|key| self.hub.audience.get(key).unwrap().keys());
        keys.map(|session| self.hub.roster.get(session).unwrap().client.as_u128()).collect()
    }

    /// The owner takes what was sent.
    pub(super) fn taken(&mut self) {
        self.hear(Message::Taken(Lane::Attaches, u64::MAX));
        self.turn();
    }
}

#[test]
fn a_crowd_is_told_as_its_owner_takes_it_while_others_come_and_go() {
    let (mut world, mut owner) = (World::open(), Owner::default());
    let peers = world.crowd(200);
    assert!(owner.take(&world) <= 4096 && !owner.is_whole, "the attach is not held up");
    world.taken();
    assert_eq!(owner.take(&world), 0, "nobody is told before it is answered: it might be sent again");
    world.attached("news", Some(at(0)), 0);
    let mut rounds = 0;
    while !owner.is_whole {
        let bytes = owner.take(&world);
        // Beside parts there is the one who came back.
        assert!(bytes > 0 && bytes <= UNDER_WAY + ONE, "{bytes} bytes at once");
        world.turn();
        assert_eq!(owner.take(&world), 0, "more before that was taken");
        // One goes, another comes back, whether they were told or not.
        world.unsubscribe(&peers[rounds % 200]);
        world.unsubscribe(&peers[199 - rounds % 200]);
        world.turn();
        world.subscribe(&peers[199 - rounds % 200]);
        world.taken();
        rounds += 1;
    }
    assert!(rounds > 30, "{rounds} rounds");
    owner.take(&world);
    assert_eq!(owner.present, world.members());
    assert!(owner.present.len() < 200);
    // What comes later is told as ever.
    world.unsubscribe(&peers[100]);
    world.turn();
    owner.take(&world);
    assert_eq!(owner.present, world.members());
    assert!(world.hub.audience.crowds.is_empty() && !world.hub.rules.has_to_tell());
}

#[test]
fn a_link_that_ends_in_the_middle_has_the_crowd_told_anew() {
    let (mut world, mut owner) = (World::open(), Owner::default());
    let peers = world.crowd(50);
    world.attached("news", Some(at(0)), 0);
    world.taken();
    owner.take(&world);
    assert!(!owner.is_whole);
    world.hub.rules.on_link_down(world.now, OWNER);
    world.turn();
    world.unsubscribe(&peers[0]);
    world.turn();
    assert_eq!(owner.take(&world), 0, "nothing is said to nobody");
    world.hub.rules.on_link_up(world.now, OWNER);
    world.turn();
    owner.take(&world);
    world.attached("news", Some(at(0)), 0);
    for _ in 0..50 {
        let bytes = owner.take(&world);
        assert!(bytes <= UNDER_WAY, "{bytes} bytes at once");
        world.taken();
    }
    assert!(owner.is_whole);
    assert_eq!(owner.present, world.members());
    assert_eq!(owner.present.len(), 49);
}

#[test]
fn a_crowd_that_is_let_go_in_the_middle_is_forgotten() {
    let mut world = World::open();
    let peers = world.crowd(50);
    world.attached("news", Some(at(0)), 0);
    peers.iter().for_each(|peer| world.unsubscribe(peer));
    world.turn();
    world.taken();
    assert!(world.hub.audience.crowds.is_empty() && !world.hub.rules.has_to_tell());
}
