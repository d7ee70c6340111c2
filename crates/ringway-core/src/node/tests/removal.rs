//! Histories that are removed: what was kept is gone at every copy and in the log, and the stream goes on where it was.

use super::*;
use crate::message::Durability;

const LOGGED: ChannelOptions = ChannelOptions { durability: Durability::Log, ..KEPT };

impl Cluster {
    /// Has a history removed. Whether that was answered.
    fn remove(&mut self, channel: &str, options: ChannelOptions) -> Vec<Answer> {
        let name = ChannelName::new(channel).unwrap();
        self.tell_owner(channel, Message::Query(2, Query::RemoveHistory(name, options)));
        self.take(|message| if let Message::Answer(2, answer) = message { Some(answer.clone()) } else { None })
    }

    fn top(&mut self, channel: &str) -> Position {
        self.publish(channel, KEPT);
        self.acknowledged().last().unwrap().position.unwrap()
    }
}

#[test]
fn what_was_kept_is_gone_and_the_stream_goes_on() {
    let mut cluster = Cluster::of(3);
    let epoch = cluster.top("news").epoch;
    cluster.publish("news", KEPT);
    assert_eq!(cluster.history("news"), [1, 2]);
    assert_eq!(cluster.remove("news", KEPT), [Answer::Removed]);
    assert_eq!(cluster.history("news"), []);
    assert_eq!(cluster.remove("news", KEPT), [Answer::Removed], "once more is the same");
    cluster.kill_owner("news");
    assert_eq!(cluster.history("news"), [], "the copy has removed it, too");
    assert_eq!(cluster.top("news"), Position { epoch, offset: 3 });
    assert_eq!(cluster.history("news"), [3]);
}

#[test]
fn who_was_behind_is_told_that_something_is_gone() {
    let mut cluster = Cluster::of(2);
    let first = cluster.top("news");
    cluster.publish("news", KEPT);
    cluster.remove("news", KEPT);
    cluster.attach(1, "news", AttachFrom::At(first), KEPT);
    let attached = cluster.attached();
    assert_eq!((attached.from, cluster.delivered()), (2, vec![]), "it has not got the second one");
    cluster.attach(2, "news", AttachFrom::At(Position { offset: 2, ..first }), KEPT);
    assert_eq!(cluster.attached().from, 2);
    cluster.publish("news", KEPT);
    assert_eq!(cluster.delivered(), [(2, 3)], "whoever has all goes on");
}

#[test]
fn it_is_not_answered_before_the_copy_knows() {
    let mut cluster = Cluster::of(2);
    cluster.publish("news", KEPT);
    let owner = cluster.owner(cluster.slot("news"));
    cluster.interrupt(owner, 1 - owner, |cluster| {
        assert_eq!(cluster.remove("news", KEPT), []);
        assert_eq!(cluster.history("news"), [], "nor is anything read that may come back");
    });
    let answers =
        cluster.take(|message| if let Message::Answer(2, answer) = message { Some(answer.clone()) } else { None });
    assert_eq!(answers, [Answer::Removed]);
}

#[test]
fn what_is_not_kept_cannot_be_removed() {
    let mut cluster = Cluster::of(1);
    let unkept = ChannelOptions { history_size: 0, ..KEPT };
    assert_eq!(cluster.remove("news", unkept), [Answer::Refused(Refusal::NotAvailable)]);
}

#[test]
fn what_was_removed_does_not_come_back_from_the_log() {
    let mut cluster = Cluster { log: Some(Chains::default()), ..Cluster::of(2) };
    let wait = |cluster: &mut Cluster| (0..3).for_each(|_| cluster.pass(Duration::from_secs(1)));
    let publish = |cluster: &mut Cluster, seq| {
        for _ in 0..2 {
            cluster.publish_as(seq, seq, "a", LOGGED, None);
            wait(cluster);
        }
    };
    let report = |cluster: &Cluster| {
        let slot = cluster.slot("a");
        let told = super::super::told_by(slot, &cluster.log.as_ref().unwrap().chain(cluster.now, slot));
        told.into_iter().map(|(_, report)| (report.first, report.top)).collect::<Vec<_>>()
    };
    publish(&mut cluster, 1);
    publish(&mut cluster, 2);
    assert_eq!(report(&cluster), [(1, 2)]);
    cluster.remove("a", LOGGED);
    wait(&mut cluster);
    assert_eq!(report(&cluster), [(3, 2)], "nothing, and the next is the third");
    publish(&mut cluster, 3);
    let mut next = Cluster { log: cluster.log.take(), ..Cluster::of(3) };
    publish(&mut next, 4);
    assert_eq!(report(&next), [(3, 4)]);
    assert_eq!(next.history("a"), [3, 4], "read from the log");
}
