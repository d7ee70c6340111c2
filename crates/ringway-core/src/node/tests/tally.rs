//! What nodes say of themselves with their pings.

use super::*;
use crate::message::Load;

/// Longer than the time between two counts.
const A_COUNT: Duration = Duration::from_millis(300);

impl Cluster {
    /// What all nodes say together: slots that are alone, not live, blocked.
    fn counted(&mut self) -> (u64, u64, u64) {
        self.pass(A_COUNT);
        let loads: Vec<Load> = self.nodes.iter().map(Node::load).collect();
        let sum = |count: fn(&Load) -> u64| loads.iter().map(count).sum();
        (sum(|load| load.alone), sum(|load| load.not_live), sum(|load| load.blocked))
    }

    fn slots(&self) -> u64 {
        u64::from(self.nodes[0].view().slots.get())
    }
}

#[test]
fn slots_are_alone_until_a_second_copy_has_confirmed_its_mark() {
    let mut cluster = Cluster::of(3);
    assert_eq!(cluster.counted(), (0, 0, 0));
    cluster.kill_owner("room");
    assert_eq!(cluster.counted(), (0, 0, 0), "the other two have copied");
    cluster.kill_owner("room");
    assert_eq!(
        cluster.counted(),
        (cluster.slots(), 0, 0),
        "one node settles alone, and has no second copy of anything"
    );
}

#[test]
fn what_waits_for_a_copy_that_is_away_is_blocked() {
    let mut cluster = Cluster::of(2);
    assert_eq!(cluster.counted(), (0, 0, 0));
    let all = cluster.slots();
    cluster.interrupt(0, 1, |cluster| assert_eq!(cluster.counted(), (all, 0, all)));
    assert_eq!(cluster.counted(), (0, 0, 0));
}

#[test]
fn the_lease_decides_for_pairs_and_for_those_alone() {
    let timing = Timing::default();
    let mut pair = Cluster::of(2);
    let mut alone = Cluster::of(1);
    for cluster in [&mut pair, &mut alone] {
        let now = cluster.now;
        cluster.nodes.iter_mut().for_each(|node| node.set_lease(now, Lease::Since(now)));
    }
    let all = pair.slots();
    assert_eq!((pair.counted().2, alone.counted().2), (0, 0));
    pair.pass(timing.own());
    alone.pass(timing.own());
    assert_eq!((pair.counted().2, alone.counted().2), (0, all));
    pair.pass(timing.pair);
    assert_eq!(pair.counted().2, all);
}

#[test]
fn where_two_copies_must_hold_it_one_node_is_blocked() {
    assert_eq!(Cluster::of(1).counted().2, 0);
    let mut cluster = Cluster::begun(View { ack_copies: 2, ..view(&[1]) }, NodeLimits::default());
    assert_eq!(cluster.counted(), (cluster.slots(), 0, cluster.slots()));
}

#[test]
fn slots_that_wait_for_their_copies_are_not_live() {
    let mut cluster = Cluster::of(3);
    assert_eq!(cluster.counted(), (0, 0, 0));
    // Two at once: some slots have lost both copies, and begin anew only later than a removed owner may act.
    let dead = [cluster.nodes.pop().unwrap().me, cluster.nodes.pop().unwrap().me];
    let mut view = (**cluster.nodes[0].view()).clone();
    for node in dead {
        cluster.nodes[0].on_link_down(cluster.now, node);
        view = view.without(node, Removal::Suspected);
    }
    cluster.apply(&Arc::new(view));
    let (alone, not_live, blocked) = cluster.counted();
    assert!(0 < not_live && not_live < cluster.slots(), "{not_live} of {}", cluster.slots());
    assert_eq!((alone, blocked), (cluster.slots(), 0));
    cluster.pass(Timing::default().fresh());
    assert_eq!(cluster.counted(), (cluster.slots(), 0, 0));
}

#[test]
fn removals_that_are_over_hold_up_nobody_who_comes_later() {
    let removed = view(&[1, 2]).without(Incarnation(2), Removal::Suspected);
    let mut cluster = Cluster::begun(removed.clone(), NodeLimits::default());
    assert_eq!(
        cluster.counted().1,
        cluster.slots(),
        "of a removal before its first view, a node does not know when it was"
    );
    cluster.pass(Timing::default().fresh());
    assert_eq!(cluster.counted().1, 0);
    let over = View { removals_over: removed.removals, ..removed };
    assert_eq!(Cluster::begun(over, NodeLimits::default()).counted().1, 0, "unless the view says that it is over");
}

#[test]
fn a_node_without_room_says_of_what() {
    let mut unlimited = Cluster::of(1);
    unlimited.publish("room", KEPT);
    // Room for the first one, and one byte more.
    let history_limit = unlimited.nodes[0].load().history_bytes + 1;
    let limits = NodeLimits { history_bytes: history_limit as usize, channels: 2, ..NodeLimits::default() };
    let mut cluster = Cluster::with_limits(1, limits);
    let full = |cluster: &Cluster| {
        let load = cluster.nodes[0].load();
        (load.history_full, load.channels_full, load.keys_full)
    };
    assert_eq!((full(&cluster), cluster.nodes[0].load().history_limit), ((false, false, false), history_limit));
    cluster.publish("room", KEPT);
    assert_eq!(full(&cluster), (false, false, false));
    // Two bytes.
    cluster.seq = 9;
    cluster.publish("room", KEPT);
    assert_eq!(cluster.refused()[0].why, Refusal::Full);
    assert_eq!(full(&cluster), (true, false, false));
    cluster.attach(1, "other", AttachFrom::Top, KEPT);
    assert_eq!(full(&cluster), (true, true, false));
    // Until there is room for such a one.
    cluster.pass(KEPT.history_ttl);
    cluster.pass(A_COUNT);
    assert_eq!(full(&cluster), (false, true, false));
}
