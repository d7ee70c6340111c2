//! A node that holds as many channels as it may.

use super::*;

fn crowded(channels: usize) -> Cluster {
    Cluster::with_limits(2, NodeLimits { channels, ..NodeLimits::default() })
}

fn held(cluster: &Cluster) -> Vec<u64> {
    cluster.nodes.iter().map(|node| node.load().channels).collect()
}

/// Attaches a fresh channel and lets it go again.
fn touch(cluster: &mut Cluster, id: u64) {
    let name = format!("fresh-{id}");
    cluster.attach(id, &name, AttachFrom::Top, KEPT);
    let channel = ChannelName::new(&name).unwrap();
    cluster.tell_owner(
        &name,
        Message::Detach(Detach { channel, attach: AttachId(id), delivered: None, durability: Durability::Memory }),
    );
}

#[test]
fn who_attaches_one_channel_too_many_is_told_at_once() {
    for options in [KEPT, ChannelOptions::default()] {
        let mut cluster = Cluster::with_limits(1, NodeLimits { channels: 1, ..NodeLimits::default() });
        cluster.attach(1, "first", AttachFrom::Top, options);
        cluster.attached();
        cluster.attach(2, "second", AttachFrom::Top, options);
        let refused =
            |message: &Message| matches!(message, Message::AttachRefused(AttachId(2), Refusal::Full)).then_some(());
        assert_eq!(cluster.take(refused).len(), 1, "{:?}", cluster.told);
    }
}

#[test]
fn where_there_are_many_the_unused_ones_go_early_and_everywhere() {
    let mut cluster = crowded(64);
    cluster.publish("used", KEPT);
    cluster.attach(1_000, "attended", AttachFrom::Top, KEPT);
    (0..62).for_each(|id| touch(&mut cluster, id));
    assert_eq!(held(&cluster), [64, 64]);
    cluster.pass(Duration::from_secs(1));
    assert_eq!(held(&cluster), [64, 64], "not at once");
    cluster.told.clear();
    cluster.pass(Duration::from_secs(2));
    // As many as it takes to be below the limit, and the copies the same.
    let after = held(&cluster);
    assert!(after.iter().all(|channels| *channels < 56) && after[0] == after[1], "{after:?}");
    cluster.attach(2_000, "newcomer", AttachFrom::Top, KEPT);
    cluster.attached();
    assert_eq!(cluster.history("used"), [1]);
}

#[test]
fn streams_are_looked_at_as_often_as_they_may_go_and_no_more() {
    let mut cluster = crowded(64);
    let mut sweep = |channels: u64, all: usize| {
        let held = cluster.nodes[0].load().channels;
        (held..channels).for_each(|id| touch(&mut cluster, id));
        cluster.nodes[0].streams_to_sweep(all)
    };
    for (channels, all, count) in [
        // Up to half of the limit, and a little beyond, where they go after hours.
        (10, 1_000_000, 256),
        (33, 100_000, 256),
        // At the limit they go after two seconds: a round takes half of one, and no tick takes long.
        (64, 20_000, 400),
        (64, 1_000_000, 4_096),
        (64, 64, 256),
    ] {
        assert_eq!(sweep(channels, all), count, "{channels} of 64 held, {all} to look at");
    }
}

#[test]
fn a_stream_that_was_published_to_keeps_its_place() {
    let mut cluster = crowded(16);
    cluster.publish("news", KEPT);
    let before = cluster.acknowledged()[0].position;
    // Its entries grow too old, and it is empty from then on.
    cluster.pass(Duration::from_secs(61));
    (0..15).for_each(|id| touch(&mut cluster, id));
    cluster.pass(Duration::from_secs(3));
    cluster.pass(Duration::from_secs(3));
    cluster.told.clear();
    cluster.attach(100, "news", AttachFrom::Top, KEPT);
    assert_eq!(cluster.attached().stream, before);
}

#[test]
fn below_half_of_the_limit_nothing_goes_before_its_time() {
    let mut cluster = crowded(64);
    (0..32).for_each(|id| touch(&mut cluster, id));
    cluster.pass(Duration::from_secs(23 * 3_600));
    assert_eq!(held(&cluster), [32, 32]);
}
