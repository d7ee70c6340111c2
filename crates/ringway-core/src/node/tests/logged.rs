//! The log outside: what waits for it and what does not, what it lacks, and what is read from it.

use super::*;
use crate::id::Birth;
use crate::logbook::{LogOp, LogRequest, Place, Record};
use crate::message::{SlotState, SlotSync, Standing};
use crate::node::told_by;

const LOGGED: ChannelOptions = ChannelOptions { durability: Durability::Log, ..KEPT };

impl Cluster {
    fn with_log(nodes: u64) -> Self {
        Self { log: Some(Chains::default()), ..Self::of(nodes) }
    }

    /// Two channels of one slot.
    fn two_of_a_slot(&self) -> (String, String) {
        let slot = self.slot("a");
        let other = (0..).map(|number| format!("b-{number}")).find(|name| self.slot(name) == slot);
        ("a".to_owned(), other.expect("one of many"))
    }

    /// Lets what has no answer be asked for again.
    fn ask_again(&mut self) {
        for _ in 0..3 {
            self.now += Duration::from_secs(1);
            for node in &mut self.nodes {
                node.tick(self.now);
            }
            self.settle();
        }
    }

    /// Acknowledged since the last time: numbers, offsets, and whether in the log.
    fn answered(&mut self) -> Vec<(u64, u64, Durability)> {
        let told = std::mem::take(&mut self.told).into_iter();
        let ok = told.filter_map(|message| match message {
            Message::PubOk(ok) => Some((ok.seq, ok.position.map_or(0, |position| position.offset), ok.durability)),
            _ => None,
        });
        ok.collect()
    }

    /// The streams of a channel's slot as the log tells them: oldest and last offset.
    fn in_the_log(&self, channel: &str) -> Option<(u64, u64)> {
        let slot = self.slot(channel);
        let told = told_by(slot, &self.log.as_ref()?.chain(self.now, slot));
        told.iter().find(|(name, _)| name.as_str() == channel).map(|(_, report)| (report.first, report.top))
    }

    /// Publishes, again and again, until an owner that reads the log first has taken it.
    fn publish_until_taken(&mut self, seq: u64, channel: &str, options: ChannelOptions) {
        self.publish_as(seq, seq, channel, options, None);
        self.ask_again();
        self.publish_as(seq, seq, channel, options, None);
        self.ask_again();
    }
}

#[test]
fn what_is_not_logged_goes_on_while_the_log_is_away() {
    let mut cluster = Cluster::with_log(2);
    let (logged, kept) = cluster.two_of_a_slot();
    cluster.publish_until_taken(1, &logged, LOGGED);
    assert_eq!(cluster.answered().last(), Some(&(1, 1, Durability::Log)));
    let log = cluster.log.take();
    cluster.publish_as(2, 2, &logged, LOGGED, None);
    cluster.publish_as(1, 1, &kept, KEPT, None);
    assert_eq!(cluster.answered(), [(1, 1, Durability::Memory)], "numbers of their own, too");
    cluster.publish_as(2, 2, &kept, KEPT, None);
    assert_eq!(cluster.answered(), [(2, 2, Durability::Memory)]);
    cluster.log = log;
    cluster.ask_again();
    assert_eq!(cluster.answered(), [(2, 2, Durability::Log)]);
    assert_eq!(cluster.in_the_log(&logged), Some((1, 2)));
    assert_eq!(cluster.in_the_log(&kept), None);
}

#[test]
fn what_is_read_from_a_log_that_may_have_lost_its_end_goes_on_as_another_stream() {
    let mut cluster = Cluster::with_log(2);
    for seq in 1..=3 {
        cluster.publish_until_taken(seq, "a", LOGGED);
    }
    let epoch_of = |cluster: &Cluster| {
        let slot = cluster.slot("a");
        told_by(slot, &cluster.log.as_ref().unwrap().chain(cluster.now, slot))[0].1.epoch
    };
    let epoch = epoch_of(&cluster);
    let mut log = cluster.log.take().unwrap();
    log.lose(true, |_, records| records - 1);
    let mut next = Cluster { log: Some(log), ..Cluster::of(3) };
    next.nodes.iter_mut().for_each(|node| node.random ^= 0x5a5a);
    next.publish_until_taken(2, "a", LOGGED);
    assert_eq!(next.answered().last(), Some(&(2, 2, Durability::Log)), "what is left was taken before");
    next.publish_until_taken(4, "a", LOGGED);
    assert_eq!(next.answered().last(), Some(&(4, 3, Durability::Log)), "and one more");
    let renewed = epoch_of(&next);
    assert_ne!(renewed, epoch, "somebody may have seen something else at that place");
    // Once it is written whole, nothing is of the former life.
    let mut third = Cluster { log: next.log.take(), ..Cluster::of(3) };
    third.publish_until_taken(5, "a", LOGGED);
    assert_eq!((third.answered().last(), epoch_of(&third)), (Some(&(5, 4, Durability::Log)), renewed));
}

/// Of what a fence closes nobody knows yet whether it is whole. An owner that comes with a copy from who wrote the fence writes that
/// copy whole, and not what it has beyond the fence.
#[test]
fn a_fence_does_not_say_that_the_chain_is_whole() {
    let mut cluster = Cluster::with_log(2);
    cluster.publish_until_taken(1, "a", LOGGED);
    let mut next = Cluster { log: cluster.log.take(), ..Cluster::of(3) };
    next.publish_until_taken(2, "a", LOGGED);
    let slot = next.slot("a");
    let mut chain = next.log.as_ref().unwrap().chain(next.now, slot).into_iter().map(|logged| logged.record);
    let is_fence = |record: &Record| record.number == 1 && record.ops.is_empty() && record.part.is_none();
    let whole: Vec<(bool, bool)> = chain.by_ref().map(|record| (is_fence(&record), record.whole)).collect();
    assert!(whole.contains(&(true, false)), "{whole:?}");
    assert!(whole.iter().all(|(is_fence, whole)| is_fence != whole), "{whole:?}");
}

/// One that does not reach the log asks through others, until it reaches it again.
#[test]
fn who_is_cut_off_from_the_log_asks_through_others() {
    let mut cluster = Cluster::with_log(3);
    cluster.nodes = std::mem::take(&mut cluster.nodes).into_iter().map(Node::with_shared_log).collect();
    cluster.publish_until_taken(1, "a", LOGGED);
    let owner = cluster.owner(cluster.slot("a"));
    let relayed = |cluster: &Cluster| cluster.nodes[owner].load().relayed;
    assert_eq!((cluster.answered().last(), relayed(&cluster)), (Some(&(1, 1, Durability::Log)), false));
    cluster.cut_off = Some(cluster.nodes[owner].me);
    cluster.publish_as(2, 2, "a", LOGGED, None);
    for _ in 0..30 {
        cluster.nodes.iter_mut().for_each(Node::ping);
        cluster.pass(Duration::from_millis(100));
    }
    assert_eq!((cluster.answered(), relayed(&cluster)), (vec![(2, 2, Durability::Log)], true));
    cluster.publish_as(3, 3, "a", LOGGED, None);
    assert_eq!(cluster.answered(), [(3, 3, Durability::Log)], "at once");
    assert_eq!(cluster.in_the_log("a"), Some((1, 3)));
    cluster.cut_off = None;
    cluster.pass(Duration::from_secs(1));
    assert!(!relayed(&cluster), "it looks for itself, too");
    cluster.publish_as(4, 4, "a", LOGGED, None);
    assert_eq!(cluster.answered(), [(4, 4, Durability::Log)]);
}

#[test]
fn whoever_has_no_copy_reads_the_log_and_goes_on() {
    let mut cluster = Cluster::with_log(2);
    for seq in 1..=3 {
        cluster.publish_until_taken(seq, "a", LOGGED);
    }
    let mut next = Cluster { log: cluster.log.take(), ..Cluster::of(3) };
    // The gateway numbers go on, too.
    next.publish_until_taken(3, "a", LOGGED);
    assert_eq!(next.answered().last(), Some(&(3, 3, Durability::Log)), "it was taken before");
    next.publish_until_taken(4, "a", LOGGED);
    assert_eq!(next.answered().last(), Some(&(4, 4, Durability::Log)));
    let slot = next.slot("a");
    let owner = next.owner(slot);
    let standby = next.nodes[0].placement.as_ref().unwrap().standby(slot).unwrap();
    let standby = next.nodes.iter().position(|node| node.me == standby).unwrap();
    let name = ChannelName::new("a").unwrap();
    for at in [owner, standby] {
        let report = next.nodes[at].inspect_channel(&name).unwrap();
        assert_eq!((report.first, report.top), (1, 4), "the copies have what was read");
        assert!(next.nodes[at].standing(slot).read);
    }
}

#[test]
fn a_log_that_went_back_gets_what_its_owner_holds() {
    let mut cluster = Cluster::with_log(2);
    for seq in 1..=3 {
        cluster.publish_until_taken(seq, "a", LOGGED);
    }
    let earlier = cluster.log.clone();
    cluster.publish_until_taken(4, "a", LOGGED);
    for lost in [earlier, Some(Chains::default())] {
        cluster.log = lost;
        cluster.answered();
        cluster.seq += 1;
        let seq = 4 + cluster.seq;
        cluster.publish_until_taken(seq, "a", LOGGED);
        assert_eq!(cluster.answered().first(), Some(&(seq, seq, Durability::Log)));
        assert_eq!(cluster.in_the_log("a"), Some((1, seq)), "from the first one on");
    }
}

#[test]
fn a_stream_that_goes_into_the_log_goes_whole_and_stays() {
    let mut cluster = Cluster::with_log(2);
    for seq in 1..=3 {
        cluster.publish_as(seq, seq, "a", KEPT, None);
    }
    assert_eq!(cluster.in_the_log("a"), None);
    cluster.publish_until_taken(1, "a", LOGGED);
    assert_eq!(cluster.answered().last(), Some(&(1, 4, Durability::Log)));
    assert_eq!(cluster.in_the_log("a"), Some((1, 4)));
    cluster.publish_as(4, 4, "a", KEPT, None);
    cluster.ask_again();
    assert_eq!(cluster.in_the_log("a"), Some((1, 5)), "a part of it would be less than nothing");
}

#[test]
fn a_full_log_refuses_and_goes_on_when_it_has_room() {
    let mut cluster = Cluster::with_log(1);
    cluster.publish_until_taken(1, "a", LOGGED);
    cluster.answered();
    cluster.log.as_mut().unwrap().set_full(true);
    cluster.publish_as(2, 2, "a", LOGGED, None);
    cluster.publish_as(3, 2, "a", LOGGED, None);
    let told = std::mem::take(&mut cluster.told);
    let full = |message: &Message| matches!(message, Message::PubNo(no) if no.seq == 3 && no.why == Refusal::Full);
    assert!(told.iter().any(full), "{told:?}");
    cluster.log.as_mut().unwrap().set_full(false);
    cluster.ask_again();
    assert_eq!(cluster.answered(), [(2, 2, Durability::Log)]);
}

#[test]
fn a_chain_of_another_cluster_or_of_a_later_owner_is_not_touched() {
    for (birth, term) in [(Some(Birth(1)), Epoch(1)), (None, Epoch(1_000))] {
        let mut cluster = Cluster::with_log(1);
        let mine = cluster.nodes[0].view().birth();
        let record = Record {
            birth: birth.unwrap_or(mine),
            term,
            number: 1,
            start: 0,
            index: 9,
            whole: true,
            state: 0,
            weight: 1,
            ops: Vec::new(),
            part: None,
        };
        let slot = cluster.slot("a");
        let op = LogOp::Append { slot, after: None, record: Arc::new(record) };
        cluster.log.as_mut().unwrap().handle(Duration::ZERO, LogRequest { id: 1, op });
        for seq in 1..3 {
            cluster.publish_until_taken(seq, "a", LOGGED);
        }
        assert_eq!(cluster.answered(), []);
        let chain = cluster.log.as_ref().unwrap().chain(cluster.now, slot);
        assert_eq!(chain.iter().map(|logged| logged.place).collect::<Vec<_>>(), [Place(1)]);
    }
}

#[test]
fn a_long_chain_is_cut_off_before_the_state_that_takes_its_place() {
    let limits = NodeLimits { log_chain_bytes: 2_000, bulk_bytes: 600, ..NodeLimits::default() };
    let mut cluster = Cluster { log: Some(Chains::default()), ..Cluster::with_limits(2, limits) };
    let short = ChannelOptions { history_size: 3, ..LOGGED };
    cluster.publish_until_taken(1, "a", short);
    for seq in 2..=200 {
        cluster.publish_as(seq, seq, "a", short, None);
    }
    cluster.ask_again();
    let slot = cluster.slot("a");
    let chain = cluster.log.as_ref().unwrap().chain(cluster.now, slot);
    assert!(chain.len() < 60, "{} records", chain.len());
    let (first, top) = cluster.in_the_log("a").expect("it is told");
    assert!(top == 200 && first >= 197, "{first} to {top}");
}

/// What a copy could not use is asked for whole, though operations came behind it in the same turn.
#[test]
fn an_answer_to_a_newer_state_is_not_hidden_by_one_to_an_older() {
    let mut cluster = Cluster::of(2);
    cluster.publish_as(1, 1, "a", KEPT, None);
    let slot = cluster.slot("a");
    let owner = cluster.owner(slot);
    let copy = 1 - owner;
    let (from, term) = (cluster.nodes[owner].me, cluster.nodes[copy].inspect(slot).unwrap().term);
    let epoch = cluster.nodes[owner].view().epoch;
    let mut state = SlotState::from(SlotSync {
        slot,
        term,
        number: 99,
        index: 7,
        base: Some((term, 6)),
        standing: Standing::default(),
    });
    state.index = 7;
    let rep = Rep { slot, term, index: 8, ops: vec![Op::Forget { channel: ChannelName::new("a").unwrap() }] };
    cluster.nodes[copy].on_message(cluster.now, from, epoch, Message::State(Box::new(state)));
    cluster.nodes[copy].on_message(cluster.now, from, epoch, Message::Rep(Box::new(rep)));
    cluster.nodes[copy].finish_turn(cluster.now);
    let frames: Vec<Outgoing> = cluster.nodes[copy].drain_frames().collect();
    let haves = frames.iter().find_map(|outgoing| match &outgoing.frame.message {
        Message::Have(haves) => haves.iter().find(|have| have.slot == slot),
        _ => None,
    });
    assert_eq!(haves.map(|have| (have.sync, have.index)), Some((99, 0)), "{frames:?}");
}
