//! Nodes as their peers see them: frames in, frames out. Faults and time are the simulation's.

mod again;
mod claims;
mod flow;
mod full;
mod inbox;
mod listing;
mod logged;
mod removal;
mod syncs;
mod tally;

use crate::logbook::Chains;
use crate::message::{Durability, PubId};
use std::time::Duration;

use super::*;
use crate::id::{MemberId, Position};
use crate::keeping::KEPT;
use crate::message::{
    Attach, AttachFrom, AttachId, Attached, ChannelOptions, Deliver, Detach, Entry, HistoryQuery, Load, Op, PubNo,
    PubOk, Publish, Rep,
};
use crate::ring::{HashKey, SlotCount, Weight};
use crate::view::{COMPUTED, GatewayEntry, NodeEntry, Removal};

const GATEWAY: Incarnation = Incarnation(100);
/// Longer than it takes until the log knows how far an inbox was confirmed.
const PROGRESS: Duration = Duration::from_secs(2);

fn node_entry(incarnation: u64) -> NodeEntry {
    let id = MemberId::new(&format!("n{incarnation}")).unwrap();
    let (now, next) = (Weight::ONE, Weight::ONE);
    NodeEntry { id, incarnation: Incarnation(incarnation), address: "a:1".into(), now, next }
}

fn view(nodes: &[u64]) -> View {
    let born = View::born(HashKey::from_bytes([3; 16]), SlotCount::MIN);
    let id = MemberId::new("g").unwrap();
    let gateway = GatewayEntry { id, incarnation: GATEWAY, address: "g:1".into(), link: "h:2".into(), draining: false };
    nodes.iter().fold(born.with_gateway(gateway), |view, n| view.with_node(node_entry(*n))).activated()
}

/// Nodes whose frames reach one another at once, and a gateway that keeps what it is told.
struct Cluster {
    now: Now,
    nodes: Vec<Node>,
    told: Vec<Message>,
    seq: u64,
    /// Streams that were copied from node to node.
    copied: usize,
    /// The log, while it can be reached.
    log: Option<Chains>,
    /// Who does not reach it.
    cut_off: Option<Incarnation>,
}

impl Cluster {
    fn of(count: u64) -> Self {
        Self::with_limits(count, NodeLimits::default())
    }

    fn with_limits(count: u64, limits: NodeLimits) -> Self {
        let names: Vec<u64> = (1..=count).collect();
        Self::begun(view(&names), limits)
    }

    fn begun(view: View, limits: NodeLimits) -> Self {
        let names: Vec<u64> = view.nodes.iter().map(|node| node.incarnation.0).collect();
        let view = Arc::new(view);
        let now = Duration::from_secs(1);
        let node = |n: &u64| Node::new(now, Incarnation(*n), view.clone(), Timing::default(), limits, *n);
        let mut cluster = Self {
            now,
            nodes: names.iter().map(node).collect(),
            told: Vec::new(),
            seq: 0,
            copied: 0,
            log: None,
            cut_off: None,
        };
        for node in &mut cluster.nodes {
            let me = node.me;
            let others = names.iter().map(|name| Incarnation(*name)).filter(|peer| *peer != me);
            others.for_each(|peer| node.on_link_up(now, peer));
            node.on_link_up(now, GATEWAY);
            node.set_lease(now, Lease::Forever);
        }
        cluster.apply(&view);
        cluster
    }

    fn apply(&mut self, view: &Arc<View>) {
        self.nodes.iter_mut().for_each(|node| node.on_view(self.now, view));
        self.settle();
        for at in 0..self.nodes.len() {
            self.say(at, Message::AttachesDone(view.epoch));
        }
    }

    /// Delivers frames until there are none.
    fn settle(&mut self) {
        loop {
            let mut frames = Vec::new();
            for node in &mut self.nodes {
                node.finish_turn(self.now);
                for request in node.take_log_requests() {
                    if let Some(log) = self.log.as_mut().filter(|_| self.cut_off != Some(node.me)) {
                        let answer = log.handle(self.now, request);
                        node.on_log(self.now, answer);
                    }
                }
                let from = node.me;
                frames.extend(node.drain_frames().map(|outgoing| (from, outgoing)));
            }
            if frames.is_empty() {
                return;
            }
            for (from, outgoing) in frames {
                let (epoch, message) = (outgoing.frame.epoch, outgoing.frame.message);
                self.copied += if let Message::State(state) = &message { state.streams.len() } else { 0 };
                if let Message::LogRequest(request) = message {
                    self.pass_on(from, outgoing.to, *request);
                    continue;
                }
                match self.nodes.iter_mut().find(|node| node.me == outgoing.to) {
                    Some(node) => node.on_message(self.now, from, epoch, message),
                    None => self.told.push(message),
                }
            }
        }
    }

    /// A member asks the log for another one.
    fn pass_on(&mut self, from: Incarnation, by: Incarnation, request: LogRequest) {
        let answer = self.log.as_mut().filter(|_| self.cut_off != Some(by)).map(|log| log.handle(self.now, request));
        if let (Some(answer), Some(node)) = (answer, self.nodes.iter_mut().find(|node| node.me == from)) {
            node.on_relayed_log(self.now, by, answer);
        }
    }

    fn say(&mut self, node: usize, message: Message) {
        let epoch = self.nodes[node].view().epoch;
        self.nodes[node].on_message(self.now, GATEWAY, epoch, message);
        self.settle();
    }

    fn owner(&self, slot: Slot) -> usize {
        let owner = self.nodes[0].placement.as_ref().unwrap().owner(slot).unwrap();
        self.nodes.iter().position(|node| node.me == owner).unwrap()
    }

    fn tell_owner(&mut self, channel: &str, message: Message) {
        let owner = self.owner(self.slot(channel));
        self.say(owner, message);
    }

    fn slot(&self, channel: &str) -> Slot {
        let view = self.nodes[0].view();
        crate::ring::slot_of(&view.key, view.slots, channel)
    }

    fn publish_as(&mut self, seq: u64, floor: u64, channel: &str, options: ChannelOptions, key: Option<&str>) {
        let publish = self.new_publish(seq, floor, channel, options, key);
        self.tell_owner(channel, Message::Publish(Box::new(publish)));
    }

    fn new_publish(&self, seq: u64, floor: u64, channel: &str, options: ChannelOptions, key: Option<&str>) -> Publish {
        let entry = Entry::of(seq.to_string().as_bytes());
        let (slot, idempotency_key) = (self.slot(channel), key.map(Into::into));
        let channel = ChannelName::new(channel).unwrap();
        Publish {
            slot,
            seq,
            floor,
            durability: options.level(),
            channel,
            entry,
            options,
            idempotency_key,
            version: None,
        }
    }

    fn publish(&mut self, channel: &str, options: ChannelOptions) {
        self.seq += 1;
        self.publish_as(self.seq, self.seq, channel, options, None);
    }

    fn attach(&mut self, id: u64, channel: &str, from: AttachFrom, options: ChannelOptions) {
        self.attach_confirmed(id, channel, from, 0, options);
    }

    fn attach_confirmed(&mut self, id: u64, channel: &str, from: AttachFrom, confirmed: u64, options: ChannelOptions) {
        let channel_name = ChannelName::new(channel).unwrap();
        let (sessions, presence) = (1, Vec::new());
        let attach = Attach {
            channel: channel_name,
            attach: AttachId(id),
            from,
            confirmed,
            options,
            sessions,
            presence,
            more: false,
        };
        self.tell_owner(channel, Message::Attach(vec![attach]));
    }

    fn take<T>(&mut self, pick: impl Fn(&Message) -> Option<T>) -> Vec<T> {
        let found = self.told.iter().filter_map(&pick).collect();
        self.told.retain(|message| pick(message).is_none());
        found
    }

    fn acknowledged(&mut self) -> Vec<PubOk> {
        self.take(|message| if let Message::PubOk(ok) = message { Some(ok.clone()) } else { None })
    }

    fn refused(&mut self) -> Vec<PubNo> {
        self.take(|message| if let Message::PubNo(no) = message { Some(no.clone()) } else { None })
    }

    fn attached(&mut self) -> Attached {
        let attached = self.take(|message| if let Message::Attached(it) = message { Some(it.clone()) } else { None });
        assert_eq!(attached.len(), 1, "{:?}", self.told);
        attached[0].clone()
    }

    fn delivered(&mut self) -> Vec<(u64, u64)> {
        let place = |deliver: &Deliver| (deliver.attach.0, deliver.offset);
        self.take(|message| if let Message::Deliver(deliver) = message { Some(place(deliver)) } else { None })
    }

    fn history(&mut self, channel: &str) -> Vec<u64> {
        let name = ChannelName::new(channel).unwrap();
        let query = HistoryQuery { channel: name, options: KEPT, since: None, limit: 1000, reverse: false };
        self.tell_owner(channel, Message::Query(1, Query::History(Box::new(query))));
        let pages: Vec<Vec<u64>> = self.take(|message| match message {
            Message::Answer(1, Answer::History(page)) => Some(page.publications.iter().map(|(o, _)| *o).collect()),
            _ => None,
        });
        pages.concat()
    }

    /// Removes the owner of a channel, process and all.
    fn kill_owner(&mut self, channel: &str) {
        let owner = self.owner(self.slot(channel));
        let dead = self.nodes.remove(owner).me;
        self.nodes.iter_mut().for_each(|node| node.on_link_down(self.now, dead));
        let next = Arc::new(self.nodes[0].view().without(dead, Removal::Proven));
        self.apply(&next);
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.nodes.iter_mut().for_each(|node| node.tick(self.now));
        self.settle();
    }

    /// The link between two nodes ends, something happens, and it is back.
    fn interrupt(&mut self, a: usize, b: usize, meanwhile: impl FnOnce(&mut Self)) {
        let (now, names) = (self.now, [self.nodes[a].me, self.nodes[b].me]);
        self.nodes[a].on_link_down(now, names[1]);
        self.nodes[b].on_link_down(now, names[0]);
        meanwhile(self);
        self.nodes[a].on_link_up(now, names[1]);
        self.nodes[b].on_link_up(now, names[0]);
        self.settle();
    }

    /// A new node comes in, to be filled.
    fn join(&mut self, name: u64) {
        let (now, incarnation) = (self.now, Incarnation(name));
        let joining = Arc::new(self.nodes[0].view().with_node(node_entry(name)));
        let mut newcomer = Node::new(now, incarnation, joining.clone(), Timing::default(), NodeLimits::default(), name);
        newcomer.set_lease(now, Lease::Forever);
        newcomer.on_link_up(now, GATEWAY);
        for node in &mut self.nodes {
            newcomer.on_link_up(now, node.me);
            node.on_link_up(now, incarnation);
        }
        self.nodes.push(newcomer);
        self.apply(&joining);
    }
}

#[test]
fn a_lone_node_serves_at_once_and_says_one_copy() {
    let mut cluster = Cluster::of(1);
    cluster.attach(1, "news", AttachFrom::Top, KEPT);
    assert_eq!(cluster.attached().from, 0);
    cluster.publish("news", KEPT);
    let ok = cluster.acknowledged();
    assert_eq!((ok.len(), ok[0].position.unwrap().offset, ok[0].copies), (1, 1, 1));
    assert_eq!(cluster.delivered(), [(1, 1)]);
    assert!(cluster.nodes[0].is_settled());
}

#[test]
fn two_copies_hold_what_is_acknowledged() {
    let mut cluster = Cluster::of(3);
    (0..5).for_each(|_| cluster.publish("news", KEPT));
    assert!(cluster.acknowledged().iter().all(|ok| ok.copies == 2));
    let epoch_before = cluster.history("news");
    cluster.kill_owner("news");
    assert_eq!(cluster.history("news"), epoch_before);
    assert!(cluster.nodes.iter().all(Node::is_settled), "the copies are two again");
    cluster.kill_owner("news");
    assert_eq!(cluster.history("news"), [1, 2, 3, 4, 5], "and once more");
}

#[test]
fn nothing_is_acknowledged_without_the_copy() {
    let mut cluster = Cluster::of(2);
    let owner = cluster.owner(cluster.slot("news"));
    let other = cluster.nodes[1 - owner].me;
    let now = cluster.now;
    cluster.nodes[owner].on_link_down(now, other);
    cluster.publish("news", KEPT);
    assert!(cluster.acknowledged().is_empty() && cluster.refused().is_empty());
    cluster.nodes[owner].on_link_up(now, other);
    cluster.settle();
    assert_eq!(cluster.acknowledged()[0].copies, 2);
}

#[test]
fn where_two_copies_are_asked_for_a_lone_owner_waits_for_the_second() {
    let mut cluster = Cluster::begun(View { ack_copies: 2, ..view(&[1]) }, NodeLimits::default());
    cluster.publish("news", KEPT);
    cluster.attach(1, "chat", AttachFrom::Top, ChannelOptions::default());
    cluster.publish("chat", ChannelOptions::default());
    assert_eq!(cluster.acknowledged().iter().map(|ok| ok.copies).collect::<Vec<_>>(), [0], "only what nobody keeps");
    cluster.join(2);
    assert_eq!(cluster.acknowledged().iter().map(|ok| ok.copies).collect::<Vec<_>>(), [2]);
    cluster.kill_owner("news");
    assert_eq!(cluster.history("news"), [] as [u64; 0], "what only one copy holds is not shown either");
}

#[test]
fn after_a_broken_link_only_what_changed_is_copied() {
    let mut cluster = Cluster::of(2);
    let names: Vec<String> = (0..40).map(|number| format!("c{number}")).collect();
    names.iter().for_each(|name| cluster.publish(name, KEPT));
    cluster.acknowledged();
    cluster.copied = 0;
    cluster.interrupt(0, 1, |_| {});
    assert_eq!(cluster.copied, 0);
    cluster.interrupt(0, 1, |cluster| names[..3].iter().for_each(|name| cluster.publish(name, KEPT)));
    assert_eq!((cluster.copied, cluster.acknowledged().len()), (3, 3));
    assert!(cluster.nodes.iter().all(Node::is_settled));
    cluster.kill_owner("c0");
    let kept: Vec<usize> = names.iter().map(|name| cluster.history(name).len()).collect();
    assert_eq!(kept, [vec![2; 3], vec![1; 37]].concat());
}

#[test]
fn numbers_are_taken_in_order_and_once() {
    let mut cluster = Cluster::of(1);
    cluster.publish_as(1, 1, "news", KEPT, None);
    cluster.publish_as(3, 1, "news", KEPT, None);
    assert_eq!(cluster.refused().iter().map(|no| (no.seq, no.why)).collect::<Vec<_>>(), [(3, Refusal::Retry)]);
    cluster.publish_as(2, 1, "news", KEPT, None);
    cluster.publish_as(2, 1, "news", KEPT, None);
    cluster.publish_as(9, 9, "news", KEPT, None);
    let offsets: Vec<_> = cluster.acknowledged().iter().map(|ok| (ok.seq, ok.position.unwrap().offset)).collect();
    assert_eq!(offsets, [(1, 1), (2, 2), (2, 2), (9, 3)], "a repeat gets its old place, the floor closes a gap");
}

#[test]
fn what_was_sent_before_a_reign_is_not_taken_in_it() {
    let mut cluster = Cluster::of(2);
    let before = cluster.nodes[0].view().epoch;
    cluster.kill_owner("news");
    let publish = cluster.new_publish(1, 1, "news", ChannelOptions::default(), None);
    let now = cluster.now;
    cluster.nodes[0].on_message(now, GATEWAY, before, Message::Publish(Box::new(publish.clone())));
    cluster.settle();
    assert_eq!(cluster.refused().iter().map(|no| no.why).collect::<Vec<_>>(), [Refusal::Retry]);
    cluster.tell_owner("news", Message::Publish(Box::new(publish)));
    assert_eq!(cluster.acknowledged().len(), 1, "sent again by who knows of it");
}

#[test]
fn a_repeat_is_known_to_the_next_owner() {
    let mut cluster = Cluster::of(3);
    cluster.publish_as(1, 1, "news", KEPT, None);
    let first = cluster.acknowledged()[0].position;
    cluster.kill_owner("news");
    cluster.publish_as(1, 1, "news", KEPT, None);
    assert_eq!(cluster.acknowledged()[0].position, first);
    assert_eq!(cluster.history("news"), [1]);
}

#[test]
fn the_same_key_is_the_same_publication() {
    let mut cluster = Cluster::of(3);
    cluster.publish_as(1, 1, "news", KEPT, Some("k"));
    cluster.publish_as(2, 2, "news", KEPT, Some("k"));
    cluster.kill_owner("news");
    cluster.publish_as(3, 3, "news", KEPT, Some("k"));
    cluster.publish_as(4, 4, "news", KEPT, Some("other"));
    let offsets: Vec<u64> = cluster.acknowledged().iter().map(|ok| ok.position.unwrap().offset).collect();
    assert_eq!(offsets, [1, 1, 1, 2]);
}

#[test]
fn at_its_limits_a_node_refuses_for_now() {
    let limits = NodeLimits { channels: 1, history_bytes: 1000, ..NodeLimits::default() };
    let mut cluster = Cluster::with_limits(1, limits);
    cluster.publish_as(1, 1, "news", KEPT, None);
    let other = (0..).map(|n| format!("c{n}")).find(|name| cluster.slot(name) != cluster.slot("news")).unwrap();
    cluster.publish_as(1, 1, &other, KEPT, None);
    assert_eq!(cluster.refused()[0].why, Refusal::Full);
    for seq in 2..20 {
        cluster.publish_as(seq, seq, "news", KEPT, None);
    }
    assert!(cluster.refused().iter().any(|no| no.why == Refusal::Full));
    assert_eq!(cluster.history("news").len(), cluster.acknowledged().len(), "nothing acknowledged was dropped");
}

#[test]
fn a_gateway_goes_on_from_its_position() {
    let mut cluster = Cluster::of(3);
    (0..5).for_each(|_| cluster.publish("news", KEPT));
    let epoch = cluster.acknowledged()[0].position.unwrap().epoch;
    cluster.attach(1, "news", AttachFrom::At(Position { epoch, offset: 2 }), KEPT);
    assert_eq!(cluster.attached().from, 2);
    assert_eq!(cluster.delivered(), [(1, 3), (1, 4), (1, 5)]);
    cluster.attach(2, "news", AttachFrom::At(Position { epoch: crate::StreamEpoch::from_random(5), offset: 2 }), KEPT);
    assert_eq!(cluster.attached().from, 5, "another life of the stream: from the top");
}

#[test]
fn an_inbox_waits_for_its_user_and_is_handed_on_once() {
    let mut cluster = Cluster::of(3);
    (0..3).for_each(|_| cluster.publish("#bob", KEPT));
    cluster.attach(1, "#bob", AttachFrom::Inbox, KEPT);
    let attached = cluster.attached();
    assert_eq!((attached.from, attached.users), (0, 1));
    assert_eq!(cluster.delivered(), [(1, 1), (1, 2), (1, 3)]);
    let channel = ChannelName::new("#bob").unwrap();
    let delivered = attached.stream.map(|stream| Position { offset: 2, ..stream });
    cluster.tell_owner(
        "#bob",
        Message::Detach(Detach { channel, attach: AttachId(1), delivered, durability: Durability::Memory }),
    );
    let confirmed = cluster.take(|message| if let Message::Detached(id) = message { Some(*id) } else { None });
    assert_eq!(confirmed, [AttachId(1)]);
    cluster.kill_owner("#bob");
    cluster.attach(2, "#bob", AttachFrom::Inbox, KEPT);
    assert_eq!((cluster.attached().from, cluster.delivered()), (2, vec![(2, 3)]), "the next owner knows it too");
}

#[test]
fn how_far_an_inbox_was_handed_on_outlives_its_owner_while_the_gateway_is_silent() {
    let mut cluster = Cluster::of(3);
    cluster.attach(1, "#bob", AttachFrom::Inbox, KEPT);
    (0..5).for_each(|_| cluster.publish("#bob", KEPT));
    let name = ChannelName::new("#bob").unwrap();
    cluster.tell_owner("#bob", Message::Delivered(vec![(AttachId(1), name, 4)]));
    cluster.pass(PROGRESS);
    cluster.told.clear();
    cluster.kill_owner("#bob");
    cluster.attach(2, "#bob", AttachFrom::Inbox, KEPT);
    assert_eq!(cluster.attached().from, 4, "by another gateway, which cannot know");
}

#[test]
fn without_history_it_goes_out_at_once_and_is_not_kept() {
    let mut cluster = Cluster::of(3);
    let unkept = ChannelOptions::default();
    cluster.attach(1, "live", AttachFrom::Top, unkept);
    assert_eq!(cluster.attached().stream, None);
    cluster.publish("live", unkept);
    let ok = cluster.acknowledged();
    assert_eq!((ok[0].position, ok[0].copies), (None, 0));
    assert_eq!(cluster.delivered(), [(1, 0)]);
    assert!(cluster.nodes.iter().map(|node| node.load().history_bytes).sum::<u64>() == 0);
}

#[test]
fn who_is_not_in_the_view_drops_everything_and_takes_nothing() {
    let mut cluster = Cluster::of(2);
    cluster.publish("news", KEPT);
    let owner = cluster.owner(cluster.slot("news"));
    let gone = cluster.nodes[owner].me;
    let next = Arc::new(cluster.nodes[owner].view().without(gone, Removal::Suspected));
    let now = cluster.now;
    cluster.nodes[owner].on_view(now, &next);
    assert!(cluster.nodes[owner].expelled);
    assert_eq!(cluster.nodes[owner].load().channels, 0);
    cluster.told.clear();
    cluster.seq += 1;
    let publish = cluster.new_publish(cluster.seq, cluster.seq, "news", KEPT, None);
    cluster.say(owner, Message::Publish(Box::new(publish)));
    assert_eq!(cluster.refused()[0].why, Refusal::Retry);
    assert!(cluster.acknowledged().is_empty());
}

/// Every member that a newcomer meets tells it the view, which does not list it yet: with many of both, it has better things to do than to
/// work out each time where everything is.
#[test]
fn who_is_outside_takes_views_without_working_them_out() {
    let names: Vec<u64> = (1..=30).collect();
    let large = View { slots: SlotCount::DEFAULT, ..view(&names) };
    let (now, told) = (Duration::ZERO, Arc::new(large.clone()));
    let mut newcomer = Node::new(now, Incarnation(99), told.clone(), Timing::default(), NodeLimits::default(), 1);
    let before = COMPUTED.get();
    (0..100).for_each(|_| newcomer.on_message(now, Incarnation(1), told.epoch, Message::Moved(told.clone())));
    assert_eq!(COMPUTED.get(), before);
    // Nor does it go back to an older one.
    let older = Arc::new(View { epoch: Epoch(told.epoch.0 - 1), ..large });
    newcomer.on_message(now, Incarnation(1), told.epoch, Message::Moved(older));
    assert_eq!(newcomer.view().epoch, told.epoch);
}

#[test]
fn a_new_node_is_filled_before_it_owns() {
    let mut cluster = Cluster::of(1);
    for number in 0..40 {
        cluster.publish(&format!("c{number}"), KEPT);
    }
    cluster.join(2);
    let joining = cluster.nodes[0].view().clone();
    assert_eq!(cluster.nodes[1].settled_by(Incarnation(1)), joining.epoch, "the newcomer hears that it is filled");
    assert_eq!(cluster.nodes[1].load().channels, cluster.nodes[0].load().channels);
    let active = Arc::new(joining.activated());
    cluster.apply(&active);
    assert!(cluster.nodes.iter().all(Node::is_settled));
    for number in 0..40 {
        assert_eq!(cluster.history(&format!("c{number}")).len(), 1);
    }
}

#[test]
fn a_planned_flip_waits_for_a_gateway_only_while_it_is_heard() {
    let mut cluster = Cluster::of(2);
    let (unkept, timing) = (ChannelOptions::default(), Timing::default());
    cluster.join(3);
    let active = Arc::new(cluster.nodes[0].view().activated());
    cluster.nodes.iter_mut().for_each(|node| node.on_view(cluster.now, &active));
    cluster.settle();
    let slot = cluster.nodes[2].view().slots.slots().find(|slot| cluster.owner(*slot) == 2).expect("it owns some");
    let mut names = (0..).map(|number| format!("live-{number}"));
    let channel = names.find(|name| cluster.slot(name) == slot).expect("a name in the slot");
    cluster.publish(&channel, unkept);
    let beat = |cluster: &mut Cluster, time: Duration| {
        for _ in 0..time.as_millis() / timing.ping.as_millis() {
            cluster.pass(timing.ping);
        }
    };
    beat(&mut cluster, timing.suspect);
    assert!(cluster.acknowledged().is_empty(), "the gateway may still attach");
    cluster.say(2, Message::Ping(Load::default()));
    beat(&mut cluster, timing.suspect);
    assert!(cluster.acknowledged().is_empty(), "it was heard meanwhile");
    beat(&mut cluster, timing.ping);
    assert_eq!(cluster.acknowledged().len(), 1, "nothing was heard of it for too long");
    cluster.say(2, Message::Ping(Load::default()));
    cluster.publish(&channel, unkept);
    assert!(cluster.acknowledged().is_empty(), "it is back, so it is waited for again");
    cluster.say(2, Message::AttachesDone(active.epoch));
    assert_eq!(cluster.acknowledged().len(), 1);
}

/// A channel that its slot is not the slot of.
fn channel_elsewhere(cluster: &Cluster, slot: Slot) -> ChannelName {
    let name = (0..).map(|n| format!("c{n}")).find(|name| cluster.slot(name) != slot).unwrap();
    ChannelName::new(&name).unwrap()
}

#[test]
fn a_publish_to_a_slot_that_is_not_its_channels_is_refused() {
    let mut cluster = Cluster::of(2);
    let slot = Slot(0);
    let (channel, owner) = (channel_elsewhere(&cluster, slot), cluster.owner(slot));
    let publish = Publish { slot, ..cluster.new_publish(1, 1, channel.as_str(), KEPT, None) };
    cluster.told.clear();
    cluster.say(owner, Message::Publish(Box::new(publish)));
    let no = PubNo { slot, seq: 1, why: Refusal::Full, durability: Durability::Memory };
    assert_eq!(
        cluster.take(|message| matches!(message, Message::PubNo(_)).then(|| message.clone())),
        [Message::PubNo(no)]
    );
    assert!(cluster.nodes.iter().all(|node| node.inspect_channel(&channel).is_none()));
}

/// The owner goes on waiting for a copy that could not follow, instead of counting on it.
#[test]
fn an_operation_that_does_not_go_with_a_copy_is_not_counted_as_held() {
    let mut cluster = Cluster::of(2);
    cluster.publish("news", KEPT);
    let slot = cluster.slot("news");
    let owner = cluster.owner(slot);
    let (from, copy) = (cluster.nodes[owner].me, 1 - owner);
    let held = cluster.nodes[copy].inspect(slot).unwrap();
    let news = ChannelName::new("news").unwrap();
    let append = |offset| Op::Append {
        channel: news.clone(),
        options: KEPT,
        offset,
        first: 1,
        entry: Entry::of(b"1"),
        publisher: PubId { gateway: GATEWAY, durability: Durability::Memory, seq: 2, floor: 2 },
        key: None,
        version: None,
    };
    let elsewhere = channel_elsewhere(&cluster, slot);
    let create = Op::Create { channel: elsewhere, epoch: crate::id::StreamEpoch::from_random(1), options: KEPT };
    for op in [append(1), append(3), append(u64::MAX), create] {
        let rep = Rep { slot, term: held.term, index: held.index + 1, ops: vec![op] };
        let epoch = cluster.nodes[copy].view().epoch;
        cluster.nodes[copy].on_message(cluster.now, from, epoch, Message::Rep(Box::new(rep)));
        assert_eq!(cluster.nodes[copy].inspect(slot).unwrap(), held);
    }
    let beyond = Rep { slot, term: held.term, index: u64::MAX, ops: vec![append(2), append(3)] };
    let epoch = cluster.nodes[copy].view().epoch;
    cluster.nodes[copy].on_message(cluster.now, from, epoch, Message::Rep(Box::new(beyond)));
    assert_eq!(cluster.nodes[copy].inspect(slot).unwrap(), held);
}
