//! Copies of which nothing needs to be sent: many in one frame, each taken as the state it stands for.

use super::*;
use crate::message::Standing;
use crate::message::{Frame, SlotSync};

/// What a node would send now, in order.
fn frames(node: &mut Node) -> Vec<Outgoing> {
    node.finish_turn(Now::default());
    node.drain_frames().collect()
}

fn syncs(frames: &[Outgoing]) -> Vec<SlotSync> {
    let batches = frames.iter().filter_map(|outgoing| match &outgoing.frame.message {
        Message::Syncs(batch) => Some(batch.clone()),
        _ => None,
    });
    batches.flatten().collect()
}

/// The owner of a channel, its replica, and a link between them that has just come back; what the replica sent is lost.
fn linked_anew(cluster: &mut Cluster, channel: &str) -> (usize, usize) {
    let owner = cluster.owner(cluster.slot(channel));
    let (replica, now) = (1 - owner, cluster.now);
    let names = [cluster.nodes[owner].me, cluster.nodes[replica].me];
    cluster.nodes[owner].on_link_down(now, names[1]);
    cluster.nodes[replica].on_link_down(now, names[0]);
    cluster.nodes[owner].on_link_up(now, names[1]);
    cluster.nodes[replica].on_link_up(now, names[0]);
    cluster.nodes[replica].drain_frames().for_each(drop);
    (owner, replica)
}

#[test]
fn what_is_equal_or_empty_takes_one_frame() {
    let mut cluster = Cluster::of(2);
    cluster.publish("news", KEPT);
    let (owner, _) = linked_anew(&mut cluster, "news");
    let frames = frames(&mut cluster.nodes[owner]);
    let of_copies = |outgoing: &&Outgoing| matches!(outgoing.frame.message, Message::State(_) | Message::Syncs(_));
    assert_eq!(frames.iter().filter(of_copies).count(), 1, "{frames:?}");
    let syncs = syncs(&frames);
    let news = syncs.iter().find(|sync| sync.slot == cluster.slot("news")).unwrap();
    assert_eq!(news.base, Some((news.term, news.index)), "nothing has changed since");
    assert!(syncs.iter().filter(|sync| sync.slot != news.slot).all(|sync| (sync.index, sync.base) == (0, None)));
}

#[test]
fn an_operation_follows_its_sync_and_no_sync_overtakes_it() {
    let mut cluster = Cluster::with_limits(2, NodeLimits { copy_slots: 1, ..NodeLimits::default() });
    cluster.publish("news", KEPT);
    let (owner, replica) = linked_anew(&mut cluster, "news");
    let (now, slot, me) = (cluster.now, cluster.slot("news"), cluster.nodes[owner].me);
    let epoch = cluster.nodes[owner].view().epoch;
    let news = cluster.new_publish(2, 2, "news", KEPT, None);
    let publish = |seq| Message::Publish(Box::new(Publish { seq, floor: seq, ..news.clone() }));
    // The slot with content is copied first; the next one waits for an answer.
    cluster.nodes[owner].on_message(now, GATEWAY, epoch, publish(2));
    let from = cluster.nodes[replica].me;
    let reign = cluster.nodes[owner].slots[slot.index()].reign().unwrap();
    let (term, sync, index) = (reign.term, reign.replicas[0].sync, reign.replicas[0].synced);
    let have = Have { slot, term, sync, index, mark: false };
    cluster.nodes[owner].on_message(now, from, epoch, Message::Have(vec![have]));
    cluster.nodes[owner].on_message(now, GATEWAY, epoch, publish(3));
    let sent: Vec<Outgoing> = frames(&mut cluster.nodes[owner]).into_iter().filter(|it| it.to == from).collect();
    let order: Vec<&str> = sent
        .iter()
        .filter_map(|outgoing| match &outgoing.frame.message {
            Message::Syncs(_) => Some("syncs"),
            Message::Rep(_) => Some("rep"),
            _ => None,
        })
        .collect();
    assert_eq!(order, ["syncs", "rep", "syncs", "rep"]);
    for outgoing in sent {
        cluster.nodes[replica].on_message(now, me, epoch, outgoing.frame.message);
    }
    assert_eq!(cluster.nodes[replica].inspect(slot).unwrap().index, cluster.nodes[owner].inspect(slot).unwrap().index);
    cluster.settle();
    assert!(cluster.nodes[owner].is_settled());
}

#[test]
fn a_sync_is_taken_as_the_state_it_stands_for() {
    let taken = |change: fn(&mut SlotSync, &mut Incarnation), batch: bool| {
        let mut cluster = Cluster::of(2);
        cluster.publish("news", KEPT);
        let (owner, replica) = linked_anew(&mut cluster, "news");
        let (slot, mut from, now) = (cluster.slot("news"), cluster.nodes[owner].me, cluster.now);
        let mut sync = *syncs(&frames(&mut cluster.nodes[owner])).iter().find(|sync| sync.slot == slot).unwrap();
        change(&mut sync, &mut from);
        let message = if batch { Message::Syncs(vec![sync]) } else { Message::State(Box::new(sync.into())) };
        let replica = &mut cluster.nodes[replica];
        replica.on_message(now, from, replica.view().epoch, message);
        (replica.inspect(slot), frames(replica))
    };
    let changes: [fn(&mut SlotSync, &mut Incarnation); 6] = [
        |_, _| {},
        |sync, _| sync.base = None,
        |sync, _| sync.base = Some((Epoch(1), sync.index)),
        |sync, _| (sync.index, sync.base) = (sync.index + 1, Some((sync.term, sync.index + 1))),
        |sync, _| sync.term = Epoch(0),
        |_, from| *from = Incarnation(77),
    ];
    for (at, change) in changes.into_iter().enumerate() {
        assert_eq!(taken(change, true), taken(change, false), "case {at}");
    }
}

#[test]
fn syncs_of_another_than_the_owner_change_nothing_and_are_answered_with_one_view() {
    let mut cluster = Cluster::of(3);
    cluster.publish("news", KEPT);
    let owner = cluster.owner(cluster.slot("news"));
    let stranger = cluster.nodes[(owner + 1) % 3].me;
    let (now, node) = (cluster.now, &mut cluster.nodes[owner]);
    let held: Vec<_> = node.view().slots.slots().map(|slot| node.inspect(slot)).collect();
    let mine: Vec<Slot> =
        node.view().slots.slots().filter(|slot| node.inspect(*slot).unwrap().reign.is_some()).collect();
    let empty =
        |slot| SlotSync { slot, term: Epoch(99), number: 99, index: 0, base: None, standing: Standing::default() };
    let beyond = Slot(node.view().slots.get());
    let batch = mine.iter().copied().chain([beyond]).map(empty).collect();
    node.on_message(now, stranger, node.view().epoch, Message::Syncs(batch));
    assert_eq!(node.view().slots.slots().map(|slot| node.inspect(slot)).collect::<Vec<_>>(), held);
    let sent = frames(node);
    assert!(mine.len() > 1 && matches!(&sent[..], [Outgoing { frame: Frame { message: Message::Moved(_), .. }, .. }]));
}

#[test]
fn what_was_lost_with_a_link_is_sent_again_under_new_numbers() {
    let mut cluster = Cluster::of(2);
    let (owner, replica) = linked_anew(&mut cluster, "news");
    let lost = syncs(&frames(&mut cluster.nodes[owner]));
    let (owner, _) = linked_anew(&mut cluster, "news");
    let again = syncs(&frames(&mut cluster.nodes[owner]));
    let slots = |syncs: &[SlotSync]| syncs.iter().map(|sync| sync.slot).collect::<BTreeSet<_>>();
    assert!(!lost.is_empty() && slots(&lost) == slots(&again));
    assert!(lost.iter().all(|old| again.iter().all(|new| new.number > old.number)));
    let (now, from, epoch) = (cluster.now, cluster.nodes[replica].me, cluster.nodes[owner].view().epoch);
    let answer = |sync: &SlotSync| Have { slot: sync.slot, term: sync.term, sync: sync.number, index: 0, mark: true };
    let node = &mut cluster.nodes[owner];
    node.on_message(now, from, epoch, Message::Have(lost.iter().map(answer).collect()));
    assert!(!node.is_settled(), "late answers to what was lost count for nothing");
    node.on_message(now, from, epoch, Message::Have(again.iter().map(answer).collect()));
    assert!(node.is_settled());
}

#[test]
fn no_more_slots_than_allowed_are_under_way() {
    let mut cluster = Cluster::with_limits(2, NodeLimits { copy_slots: 2, ..NodeLimits::default() });
    assert!(cluster.nodes.iter().all(Node::is_settled), "all had their turn");
    let (owner, replica) = linked_anew(&mut cluster, "news");
    let owned = (0..8).filter(|slot| cluster.owner(Slot(*slot)) == owner).count();
    let first = syncs(&frames(&mut cluster.nodes[owner]));
    assert!(owned > 2 && first.len() == 2);
    let (now, from, epoch) = (cluster.now, cluster.nodes[replica].me, cluster.nodes[owner].view().epoch);
    let have = Have { slot: first[0].slot, term: first[0].term, sync: first[0].number, index: 0, mark: false };
    cluster.nodes[owner].on_message(now, from, epoch, Message::Have(vec![have]));
    assert_eq!(syncs(&frames(&mut cluster.nodes[owner])).len(), 1, "one answer, one more");
}
