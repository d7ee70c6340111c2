//! Much at once: what is large goes in parts, as its receiver takes them; who does not keep up holds up nobody else.

use super::*;
use crate::message::StreamState;

/// Bytes of the parts here.
const PART: usize = 300;
const SMALL: NodeLimits = NodeLimits {
    history_bytes: 1 << 30,
    channels: 1000,
    keys: 1000,
    bulk_bytes: PART * 2,
    live_bytes: 1000,
    copy_slots: 4096,
    page: 1000,
    log_bytes: 64 << 20,
    log_chain_bytes: 256 << 10,
};

impl Cluster {
    /// The gateway says that it has taken all that its owner has sent it.
    fn take_all(&mut self, channel: &str) {
        self.tell_owner(channel, Message::Taken(Lane::Deliveries, u64::MAX));
    }

    /// Offsets delivered until the gateway has taken everything, turn by turn, with the most bytes that were under way.
    fn taken_in_turns(&mut self, channel: &str) -> Vec<Vec<u64>> {
        let mut turns = Vec::new();
        loop {
            let delivered: Vec<u64> = self.delivered().iter().map(|(_, offset)| *offset).collect();
            if delivered.is_empty() {
                return turns;
            }
            turns.push(delivered);
            self.take_all(channel);
        }
    }
}

#[test]
fn what_was_missed_comes_in_parts_and_then_what_is_new() {
    let mut cluster = Cluster::with_limits(1, SMALL);
    (0..30).for_each(|_| cluster.publish("news", KEPT));
    let epoch = cluster.acknowledged()[0].position.unwrap().epoch;
    cluster.attach(1, "news", AttachFrom::At(Position { epoch, offset: 3 }), KEPT);
    assert_eq!(cluster.attached().from, 3);
    cluster.publish("news", KEPT);
    let turns = cluster.taken_in_turns("news");
    assert_eq!(turns.concat(), (4..=31).collect::<Vec<_>>(), "each once and in order, the new one last");
    assert!(turns.len() >= 3 && turns.iter().all(|turn| turn.len() * 64 <= PART * 2), "{turns:?}");
    cluster.publish("news", KEPT);
    assert_eq!(cluster.delivered(), [(1, 32)], "now it has missed nothing");
}

#[test]
fn a_gateway_that_does_not_keep_up_is_served_from_where_it_is() {
    let mut cluster = Cluster::with_limits(1, SMALL);
    cluster.attach(1, "news", AttachFrom::Top, KEPT);
    cluster.attach(2, "chat", AttachFrom::Top, ChannelOptions::default());
    cluster.take(|message| matches!(message, Message::Attached(_)).then_some(()));
    (0..60).for_each(|_| cluster.publish("news", KEPT));
    assert_eq!(cluster.acknowledged().len(), 60, "publishers do not wait for it");
    let at_once = cluster.delivered();
    assert!(at_once.len() < 20, "{} are under way", at_once.len());
    cluster.publish("chat", ChannelOptions::default());
    assert_eq!(cluster.delivered(), [], "what nobody keeps is lost to it");
    assert_eq!(cluster.nodes[0].tally.dropped, 1);
    cluster.take_all("news");
    let rest = cluster.taken_in_turns("news").concat();
    let all: Vec<u64> = at_once.iter().map(|(_, offset)| *offset).chain(rest).collect();
    assert_eq!(all, (1..=60).collect::<Vec<_>>());
}

#[test]
fn who_missed_what_is_trimmed_by_now_is_told_where_it_goes_on() {
    let mut cluster = Cluster::with_limits(1, SMALL);
    cluster.attach(1, "news", AttachFrom::Top, KEPT);
    cluster.attached();
    (0..30).for_each(|_| cluster.publish("news", KEPT));
    cluster.delivered();
    cluster.pass(KEPT.history_ttl);
    cluster.take_all("news");
    let attached = cluster.attached();
    assert_eq!((attached.attach, attached.from), (AttachId(1), 30));
    assert_eq!(cluster.delivered(), []);
}

#[test]
fn an_inbox_is_sent_no_further_than_its_user_follows() {
    let limits = NodeLimits { bulk_bytes: 2 << 20, live_bytes: 64 << 20, ..SMALL };
    let mut cluster = Cluster::with_limits(1, limits);
    let large = Entry::of(&vec![b'x'; 1 << 20]);
    for seq in 1..=20 {
        let publish = Publish { entry: large.clone(), ..cluster.new_publish(seq, seq, "#bob", KEPT, None) };
        cluster.tell_owner("#bob", Message::Publish(Box::new(publish)));
    }
    cluster.attach(1, "#bob", AttachFrom::Inbox, KEPT);
    let offsets = |cluster: &mut Cluster| cluster.taken_in_turns("#bob").concat();
    let first: Vec<u64> = offsets(&mut cluster);
    assert!(first.len() < 12 && offsets(&mut cluster).is_empty(), "{first:?}");
    let confirm = |offset| Message::Delivered(vec![(AttachId(1), ChannelName::new("#bob").unwrap(), offset)]);
    let mut all = first;
    while all.len() < 20 {
        let before = all.len();
        cluster.tell_owner("#bob", confirm(all[before - 1]));
        all.extend(offsets(&mut cluster));
        assert!(all.len() > before);
    }
    assert_eq!(all, (1..=20).collect::<Vec<_>>());
}

#[test]
fn a_history_is_read_page_by_page() {
    let mut cluster = Cluster::with_limits(1, SMALL);
    (0..30).for_each(|_| cluster.publish("news", KEPT));
    let found = cluster.history("news");
    assert!(!found.is_empty() && found.len() * 64 <= PART, "{found:?}");
}

#[test]
fn many_answers_wait_until_there_is_room() {
    let mut cluster = Cluster::with_limits(1, SMALL);
    (0..30).for_each(|_| cluster.publish("news", KEPT));
    (0..50).for_each(|_| drop(cluster.history("news")));
    let answers = |cluster: &mut Cluster| {
        cluster.take_all("news");
        cluster.take(|message| matches!(message, Message::Answer(..)).then_some(())).len()
    };
    let turns: Vec<usize> = std::iter::from_fn(|| Some(answers(&mut cluster)).filter(|count| *count > 0)).collect();
    assert!(turns.len() > 20 && turns.iter().all(|count| *count <= 3), "{turns:?}");
}

#[test]
fn publishes_go_at_the_pace_of_a_copy_that_does_not_keep_up() {
    let mut cluster = Cluster::with_limits(2, SMALL);
    cluster.publish("news", KEPT);
    assert_eq!(cluster.acknowledged()[0].copies, 2);
    let owner = cluster.owner(cluster.slot("news"));
    // The copy takes nothing: its frames are kept from it.
    let copy = cluster.nodes.remove(1 - owner);
    (0..40).for_each(|_| cluster.publish("news", KEPT));
    let refused = cluster.refused();
    assert!(refused.iter().all(|no| no.why == Refusal::Retry) && (20..40).contains(&refused.len()), "{refused:?}");
    drop(copy);
}

#[test]
fn a_state_comes_part_by_part_while_the_log_goes_on() {
    let mut cluster = Cluster::with_limits(1, SMALL);
    let names: Vec<String> = (0..20).map(|number| format!("channel-{number}")).collect();
    for _ in 0..10 {
        names.iter().for_each(|name| cluster.publish(name, KEPT));
    }
    cluster.publish_as(201, 201, "channel-0", KEPT, Some("key"));
    cluster.acknowledged();
    cluster.seq = 201;
    // The newcomer's frames are delivered one at a time, and there is a publish between any two of them.
    let joining = Arc::new(cluster.nodes[0].view().with_node(node_entry(2)));
    let mut newcomer = Node::new(cluster.now, Incarnation(2), joining.clone(), Timing::default(), SMALL, 2);
    newcomer.set_lease(cluster.now, Lease::Forever);
    newcomer.on_link_up(cluster.now, Incarnation(1));
    newcomer.on_view(cluster.now, &joining);
    let owner = &mut cluster.nodes[0];
    owner.on_link_up(cluster.now, Incarnation(2));
    owner.on_view(cluster.now, &joining);
    owner.on_message(cluster.now, GATEWAY, joining.epoch, Message::AttachesDone(joining.epoch));
    let mut parts = 0;
    for round in 0..2000 {
        let seq = cluster.seq + 1;
        let name = &names[round % names.len()];
        if round < 300 {
            let publish = cluster.new_publish(seq, seq, name, KEPT, None);
            cluster.nodes[0].on_message(cluster.now, GATEWAY, joining.epoch, Message::Publish(Box::new(publish)));
            cluster.seq = seq;
        }
        exchange(cluster.now, &mut cluster.nodes[0], &mut newcomer, &mut parts);
    }
    assert!(parts > 30, "{parts} parts");
    let owner = &cluster.nodes[0];
    for name in &names {
        let name = ChannelName::new(name).unwrap();
        let [ours, theirs] = [owner, &newcomer].map(|node| node.stream_of(&name).unwrap().1);
        assert_eq!((ours.top(), ours.first(), ours.epoch), (theirs.top(), theirs.first(), theirs.epoch));
        assert!((ours.first()..=ours.top()).all(|offset| ours.entry(offset) == theirs.entry(offset)));
        assert_eq!(ours.key_count(), theirs.key_count());
    }
    assert_eq!(owner.history_bytes, newcomer.history_bytes);
    assert!(owner.is_settled() && cluster.slots_agree(&newcomer));
}

impl Cluster {
    fn slots_agree(&self, other: &Node) -> bool {
        let owner = &self.nodes[0];
        let mut both = owner.slots.iter().zip(&other.slots);
        both.all(|(ours, theirs)| (ours.index, ours.term, true) == (theirs.index, theirs.term, theirs.mark))
    }
}

/// Bytes of an idempotency key here, as they are counted.
const KEY: usize = 70;

/// Both say what they have to say, once. No part is larger than a part may be.
fn exchange(now: Now, owner: &mut Node, copy: &mut Node, parts: &mut usize) {
    for node in [&mut *owner, &mut *copy] {
        node.finish_turn(now);
    }
    let said: Vec<Outgoing> = owner.drain_frames().filter(|outgoing| outgoing.to == copy.me).collect();
    let answered: Vec<Outgoing> = copy.drain_frames().filter(|outgoing| outgoing.to == owner.me).collect();
    for outgoing in said {
        if let Message::State(state) = &outgoing.frame.message {
            *parts += 1;
            let bytes: usize = state.streams.iter().map(StreamState::size).sum();
            let single = state.streams.len() == 1 && state.streams[0].entries.len() <= 1;
            // A key that goes with the last run of a part may be beyond its end.
            assert!(bytes <= PART + KEY || single, "a part of {bytes} bytes and {} streams", state.streams.len());
        }
        copy.on_message(now, owner.me, outgoing.frame.epoch, outgoing.frame.message);
    }
    for outgoing in answered {
        owner.on_message(now, copy.me, outgoing.frame.epoch, outgoing.frame.message);
    }
}
