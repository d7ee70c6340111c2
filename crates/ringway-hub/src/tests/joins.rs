//! Many who come to a channel at a time: their owner is told of them as it takes them, and knows the same in the end. While it does not
//! know all, it says of nobody whether they are there.

use proptest::prelude::*;
use ringway_core::limits::JOINS_UNDER_WAY;
use ringway_core::message::Message;
use ringway_core::{ChannelName, Incarnation};

use super::crowd::{ONE, Owner, UNDER_WAY};
use super::harness::{Peer, World, at};
use crate::{Access, ChannelConfig, HubConfig};

/// Bytes of a part.
const PART: usize = UNDER_WAY / 2;

/// What the gateway may tell in one turn of those who come: what may be under way of it, and a part that goes beyond that, and the parts.
const AT_ONCE: usize = JOINS_UNDER_WAY + PART + UNDER_WAY;

impl World {
    /// "news" is attached, with one who stays; and so many others who may come.
    fn with_news(count: usize) -> (Self, Owner, Vec<Peer>) {
        let mut config = HubConfig::open();
        let bare = ChannelConfig { subscribe: Access::ANYONE, ..ChannelConfig::default() };
        config.namespaces.insert("bare".into(), bare);
        let mut world = Self::new(config);
        let peers = world.described(count + 1);
        world.subscribe(&peers[count]);
        world.turn();
        world.attached("news", Some(at(0)), 0);
        world.taken();
        world.taken();
        let mut owner = Owner::default();
        owner.take(&world);
        assert!(owner.is_whole && owner.present == world.members());
        (world, owner, peers)
    }

    fn sent(&self) -> usize {
        self.said.len()
    }

    /// The owner takes all there is, in as many turns as that needs. Returns how many.
    fn told_all(&mut self, owner: &mut Owner) -> usize {
        let mut rounds = 0;
        while !owner.is_whole {
            rounds += 1;
            assert!(rounds < 1_000, "it never knows all");
            self.taken();
            let bytes = owner.take(self);
            assert!(bytes <= UNDER_WAY, "{bytes} bytes at once");
        }
        assert_eq!(owner.present, self.members());
        rounds
    }
}

#[test]
fn a_crowd_that_comes_in_one_turn_is_told_as_its_owner_takes_it() {
    let (mut world, mut owner, peers) = World::with_news(400);
    peers.iter().take(400).for_each(|peer| world.subscribe(peer));
    world.turn();
    let bytes = owner.take(&world);
    assert!(bytes <= AT_ONCE, "{bytes} bytes at once");
    assert!(bytes + ONE >= JOINS_UNDER_WAY, "what there is room for does not wait");
    assert!(!owner.is_whole, "nobody is told that they are not there");
    world.turn();
    assert_eq!(owner.take(&world), 0, "more before that was taken");
    let rounds = world.told_all(&mut owner);
    assert!(rounds > 50, "{rounds} rounds");
    assert!(world.hub.audience.crowds.is_empty() && !world.hub.rules.has_to_tell());
    // What comes later is told as ever.
    world.taken();
    world.unsubscribe(&peers[7]);
    world.turn();
    owner.take(&world);
    assert!(owner.is_whole && owner.present == world.members());
}

#[test]
fn who_waits_to_be_told_and_leaves_is_never_told_and_who_was_told_and_leaves_is_gone() {
    let (mut world, mut owner, peers) = World::with_news(400);
    peers.iter().take(400).for_each(|peer| world.subscribe(peer));
    world.turn();
    owner.take(&world);
    let told = owner.present.len();
    assert!(told > 10 && told < 300);
    peers.iter().take(390).for_each(|peer| world.unsubscribe(peer));
    world.turn();
    assert!(owner.take(&world) < PART && !owner.is_whole, "there is no room yet, but who left is told");
    assert!(owner.present.is_subset(&world.members()));
    // A second burst comes during the first one.
    peers.iter().take(100).for_each(|peer| world.subscribe(peer));
    world.turn();
    assert!(owner.take(&world) <= UNDER_WAY);
    assert!(world.told_all(&mut owner) > 10);
    assert_eq!(owner.present.len(), 111);
}

#[test]
fn what_does_not_end_is_told_too_and_keeps_no_more_keys_than_twice_the_sessions() {
    let (mut world, mut owner, peers) = World::with_news(200);
    peers.iter().take(200).for_each(|peer| world.subscribe(peer));
    world.turn();
    for round in 0..1_000 {
        world.unsubscribe(&peers[round % 200]);
        world.subscribe(&peers[round % 200]);
        world.turn();
        let kept = world.hub.audience.crowds.len();
        assert!(kept <= 2 * 201, "{kept} keys");
    }
    owner.take(&world);
    world.told_all(&mut owner);
}

#[test]
fn those_who_come_to_many_channels_wait_too_each_for_its_own_last_part() {
    let (mut world, mut owner, peers) = World::with_news(80);
    let [first, second] = [&peers[0], &peers[1]];
    let bare = "bare:one".to_owned();
    let channels: Vec<String> = (0..20).map(|number| format!("c{number}")).chain([bare]).collect();
    for channel in &channels {
        world.send(first, &format!(r#"{{"id":9,"subscribe":{{"channel":"{channel}"}}}}"#));
        world.attached(channel, (!channel.starts_with("bare")).then(|| at(0)), 0);
        world.taken();
    }
    world.taken();
    peers.iter().take(80).for_each(|peer| world.subscribe(peer));
    world.turn();
    owner.take(&world);
    assert!(!owner.is_whole);
    let before = world.sent();
    for channel in &channels {
        world.queue(second, &format!(r#"{{"id":9,"subscribe":{{"channel":"{channel}"}}}}"#));
    }
    world.turn();
    let marks = world.said[before..].iter().filter(|message| is_mark(message)).count();
    assert_eq!(
        (marks, world.sent() - before),
        (20, 20),
        "they follow, where it is told who they are, and nothing else is said"
    );
    world.told_all(&mut owner);
    for _ in 0..30 {
        world.taken();
    }
    assert!(!world.hub.rules.has_to_tell() && world.hub.audience.crowds.is_empty());
    let told = |channel: &ChannelName, message: &Message| match message {
        Message::Sessions(change) => {
            change.last
                && change.channel == *channel
                && change.sessions == 2
                && change.joined.is_empty() == is_bare(channel)
        }
        _ => false,
    };
    for channel in channels {
        let channel = ChannelName::new(&channel).unwrap();
        assert_eq!(world.said[before..].iter().filter(|message| told(&channel, message)).count(), 1, "{channel}");
    }
}

fn is_bare(channel: &ChannelName) -> bool {
    channel.as_str().starts_with("bare")
}

/// It says that more follow, and nothing else.
fn is_mark(message: &Message) -> bool {
    matches!(message, Message::Sessions(change) if change.more && change.joined.is_empty() && change.left.is_empty())
}

/// What may happen.
#[derive(Debug, Clone)]
enum Step {
    /// These come, or leave, without the end of a turn.
    Come(std::ops::Range<usize>),
    Leave(std::ops::Range<usize>),
    /// All leave: the channel is let go.
    AllLeave,
    /// One hangs up, and another with its key comes.
    Replaced(usize),
    Turn,
    Taken,
    Answered,
    /// The link ends, and there is another one.
    Relinked,
    Unlinked,
    /// Another node is the owner.
    Moved,
    /// Time for an attach to be sent again.
    Passes,
}

const PEERS: usize = 150;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let some = || (0..PEERS, 1..PEERS).prop_map(|(begin, count)| begin..(begin + count).min(PEERS));
    let step = prop_oneof![
        4 => some().prop_map(Step::Come),
        3 => some().prop_map(Step::Leave),
        1 => Just(Step::AllLeave),
        2 => (0..PEERS).prop_map(Step::Replaced),
        4 => Just(Step::Turn),
        4 => Just(Step::Taken),
        3 => Just(Step::Answered),
        1 => Just(Step::Relinked),
        1 => Just(Step::Unlinked),
        1 => Just(Step::Moved),
        1 => Just(Step::Passes),
    ];
    proptest::collection::vec(step, 1..60)
}

struct Play {
    world: World,
    owner: Owner,
    peers: Vec<Peer>,
    is_linked: bool,
    moves: u64,
}

impl Play {
    fn step(&mut self, step: &Step) {
        let world = &mut self.world;
        match step {
            Step::Come(those) => self.peers[those.clone()].iter().for_each(|peer| world.subscribe(peer)),
            Step::Leave(those) => self.peers[those.clone()].iter().for_each(|peer| world.unsubscribe(peer)),
            Step::AllLeave => self.peers.iter().for_each(|peer| world.unsubscribe(peer)),
            Step::Replaced(one) => {
                world.hang_up(&self.peers[*one]);
                self.peers[*one] = world.described(1).remove(0);
                // Whoever connects ends a turn.
                self.take();
                self.world.subscribe(&self.peers[*one]);
            }
            Step::Turn => world.turn(),
            Step::Taken => world.taken(),
            Step::Answered => self.answer(),
            Step::Relinked => self.relink(),
            Step::Unlinked => {
                world.hub.rules.on_link_down(world.now, world.owner());
                self.is_linked = false;
                world.turn();
                self.owner.take(world);
                self.owner.forget();
            }
            Step::Moved => {
                self.moves += 1;
                self.owner.take(world);
                self.owner.forget();
                self.is_linked = true;
                world.replace_owner(Incarnation(2 + self.moves));
            }
            Step::Passes => world.pass(std::time::Duration::from_millis(500)),
        }
    }

    fn answer(&mut self) {
        if self.owner.attach().is_some() && self.is_linked {
            self.world.attached("news", Some(at(0)), 0);
        }
    }

    fn relink(&mut self) {
        let world = &mut self.world;
        self.owner.take(world);
        self.owner.forget();
        world.hub.rules.on_link_up(world.now, world.owner());
        self.is_linked = true;
        world.turn();
    }

    /// What the owner takes of one turn has a limit.
    fn take(&mut self) {
        let bytes = self.owner.take(&self.world);
        assert!(bytes <= AT_ONCE + ONE, "{bytes} bytes at once");
    }

    /// Whenever the owner says who is there, it is right.
    fn look(&mut self) {
        self.take();
        if self.owner.is_whole && self.owner.attach().is_some() && self.is_linked {
            assert_eq!(self.owner.present, self.world.members());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_owner_knows_the_same_in_the_end(steps in steps()) {
        let mut world = World::open();
        let peers = world.described(PEERS);
        let mut play = Play { world, owner: Owner::default(), peers, is_linked: true, moves: 0 };
        for step in &steps {
            play.step(step);
            if !matches!(step, Step::Come(_) | Step::Leave(_) | Step::AllLeave | Step::Replaced(_)) {
                play.look();
            }
        }
        play.world.turn();
        play.relink();
        play.look();
        for _ in 0..200 {
            play.answer();
            play.look();
            play.world.taken();
            play.look();
        }
        let is_told = play.owner.is_whole || play.owner.attach().is_none();
        prop_assert!(is_told && !play.world.hub.rules.has_to_tell() && play.world.hub.audience.crowds.is_empty());
        prop_assert_eq!(&play.owner.present, &play.world.members());
    }
}
