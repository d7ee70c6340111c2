//! Lists go in parts, each entry that is there all the time once, and half of a list is never told for the whole.

use super::*;
use crate::message::{Census, ChannelsPage, ChannelsQuery, Presence, PresencePage, PresenceQuery, SessionChange};

/// Bytes of the parts here.
const PART: usize = 3000;
const WATCHED: ChannelOptions = ChannelOptions {
    history_size: 0,
    history_ttl: Duration::ZERO,
    presence: true,
    history_bytes: 0,
    durability: Durability::Memory,
};

fn cluster(nodes: u64) -> Cluster {
    Cluster::with_limits(nodes, NodeLimits { bulk_bytes: PART * 2, ..NodeLimits::default() })
}

fn name(name: &str) -> ChannelName {
    ChannelName::new(name).unwrap()
}

fn present(client: u128) -> Presence {
    Presence { client, user: format!("user-{}", client % 7).into(), conn_info: None, chan_info: None }
}

impl Cluster {
    fn come_and_go(&mut self, channel: &str, joined: impl Iterator<Item = u128>, left: Vec<u128>) {
        let joined = joined.map(present).collect();
        let change = SessionChange {
            channel: name(channel),
            attach: AttachId(1),
            sessions: 1,
            joined,
            left,
            last: false,
            more: false,
        };
        self.tell_owner(channel, Message::Sessions(Box::new(change)));
    }

    fn present_after(&mut self, channel: &str, after: Option<(u128, Census)>) -> Result<PresencePage, Refusal> {
        let query = Query::Presence(Box::new(PresenceQuery { channel: name(channel), after }));
        self.tell_owner(channel, Message::Query(1, query));
        self.tell_owner(channel, Message::Taken(Lane::Deliveries, u64::MAX));
        self.one_answer(|answer| match answer {
            Answer::Presence(page) => Some(page),
            _ => None,
        })
    }

    fn channels_after(&mut self, node: usize, after: Option<(ChannelName, Census)>) -> Result<ChannelsPage, Refusal> {
        let epoch = self.nodes[node].view().epoch;
        self.say(node, Message::Query(1, Query::Channels(Box::new(ChannelsQuery { epoch, after }))));
        self.say(node, Message::Taken(Lane::Deliveries, u64::MAX));
        self.one_answer(|answer| match answer {
            Answer::Channels(page) => Some(page),
            _ => None,
        })
    }

    /// The one answer that came. It is no larger than a part.
    fn one_answer<T>(&mut self, pick: impl Fn(Answer) -> Option<T>) -> Result<T, Refusal> {
        let mut answers = self.take(|message| match message {
            Message::Answer(1, answer) => Some((answer.clone(), message.weight().unwrap().1)),
            _ => None,
        });
        assert_eq!(answers.len(), 1, "{answers:?}");
        let (answer, bytes) = answers.remove(0);
        assert!(bytes <= PART + 64, "{bytes} bytes");
        match answer {
            Answer::Refused(why) => Err(why),
            answer => Ok(pick(answer).expect("an answer to that")),
        }
    }

    fn all_channels(&mut self, node: usize) -> Vec<String> {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = self.channels_after(node, after).unwrap();
            found.extend(page.channels.iter().map(|(name, _)| name.to_string()));
            if !page.more {
                return found;
            }
            after = page.channels.last().map(|(last, _)| (last.clone(), page.census));
        }
    }
}

#[test]
fn who_is_present_all_the_time_is_told_once() {
    let mut cluster = cluster(1);
    cluster.attach(1, "news", AttachFrom::Top, WATCHED);
    let stays = |client: &u128| !client.is_multiple_of(3);
    cluster.come_and_go("news", (0..1000).filter(stays), Vec::new());
    let (mut found, mut after, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = cluster.present_after("news", after).unwrap();
        found.extend(page.clients.iter().map(|one| one.client));
        after = page.clients.last().map(|last| (last.client, page.census));
        if !page.more {
            break;
        }
        // Others come and go between any two pages.
        let others = move |client: &u128| client.is_multiple_of(3) && (client / 3 + pages).is_multiple_of(2);
        cluster.come_and_go("news", (0..1000).filter(others), (0..1000).step_by(3).collect());
        pages += 1;
    }
    assert!(pages > 15 && found.is_sorted_by(|a, b| a < b), "in order, nobody twice");
    found.retain(stays);
    assert_eq!(found, (0..1000).filter(stays).collect::<Vec<_>>());
}

#[test]
fn how_many_are_present_is_counted_where_they_are() {
    let mut cluster = cluster(1);
    cluster.attach(1, "news", AttachFrom::Top, WATCHED);
    cluster.come_and_go("news", 0..1000, Vec::new());
    cluster.tell_owner("news", Message::Query(1, Query::PresenceStats(name("news"))));
    let counts = cluster.one_answer(|answer| match answer {
        Answer::PresenceStats(clients, users) => Some((clients, users)),
        _ => None,
    });
    assert_eq!(counts, Ok((1000, 7)));
}

#[test]
fn a_list_ends_where_its_owner_is_another_one_or_has_lost_a_gateway() {
    let mut cluster = cluster(2);
    cluster.attach(1, "news", AttachFrom::Top, WATCHED);
    cluster.come_and_go("news", 0..1000, Vec::new());
    let first = cluster.present_after("news", None).unwrap();
    let after = first.clients.last().map(|last| (last.client, first.census));
    assert!(cluster.present_after("news", after).is_ok());
    // It will attach again, but not at once.
    let (now, owner) = (cluster.now, cluster.owner(cluster.slot("news")));
    cluster.nodes[owner].on_link_up(now, GATEWAY);
    cluster.told.clear();
    assert_eq!(cluster.present_after("news", after), Err(Refusal::Unrecoverable));
    assert_eq!(cluster.present_after("news", None), Err(Refusal::Retry), "the gateway has not said who is there");
    cluster.say(owner, Message::AttachesDone(cluster.nodes[owner].view().epoch));
    cluster.told.clear();
    let again = cluster.present_after("news", None).unwrap();
    cluster.kill_owner("news");
    cluster.told.clear();
    let after = Some((5, again.census));
    assert_eq!(cluster.present_after("news", after), Err(Refusal::Unrecoverable), "another owner");
}

#[test]
fn every_channel_is_listed_once_while_others_come_and_go() {
    let mut cluster = cluster(1);
    let names: Vec<String> = (0..300).map(|number| format!("channel-{number}")).collect();
    for (id, name) in (1..).zip(&names) {
        cluster.attach(id, name, AttachFrom::Top, WATCHED);
    }
    cluster.told.clear();
    let mut found = cluster.all_channels(0);
    found.sort();
    let mut expected = names.clone();
    expected.sort();
    assert_eq!(found, expected);
    let first = cluster.channels_after(0, None).unwrap();
    assert!(first.more && first.channels.len() * 64 <= PART);
    let after = first.channels.last().map(|(last, _)| (last.clone(), first.census));
    cluster.attach(1000, "another", AttachFrom::Top, WATCHED);
    cluster.told.clear();
    assert!(cluster.channels_after(0, after.clone()).is_ok());
    cluster.join(2);
    cluster.told.clear();
    assert_eq!(cluster.channels_after(0, after), Err(Refusal::Unrecoverable), "in another view they are elsewhere");
}

#[test]
fn the_channels_of_all_nodes_are_all_channels() {
    let mut cluster = cluster(3);
    let names: Vec<String> = (0..200).map(|number| format!("channel-{number}")).collect();
    for (id, name) in (1..).zip(&names) {
        cluster.attach(id, name, AttachFrom::Top, WATCHED);
    }
    cluster.told.clear();
    let mut found: Vec<String> = (0..3).flat_map(|node| cluster.all_channels(node)).collect();
    found.sort();
    let mut expected = names;
    expected.sort();
    assert_eq!(found, expected);
}

/// How many are told, or why none are.
fn count(cluster: &mut Cluster) -> Result<usize, Refusal> {
    cluster.told.clear();
    cluster.tell_owner("news", Message::Query(1, Query::PresenceStats(name("news"))));
    let counts = cluster.one_answer(|answer| match answer {
        Answer::PresenceStats(clients, _) => Some(clients as usize),
        _ => None,
    });
    let listed = cluster.present_after("news", None).map(|page| page.clients.len());
    assert_eq!(listed, counts, "both or neither");
    listed
}

impl Cluster {
    /// A gateway has more members on "news" than its attach has room for.
    fn attach_crowd(&mut self, id: u64) {
        let (channel, from) = (name("news"), AttachFrom::Top);
        let (sessions, presence) = (20, (0..5).map(present).collect());
        let attach = AttachId(id);
        let attach = Attach { channel, attach, from, confirmed: 0, options: WATCHED, sessions, presence, more: true };
        self.tell_owner("news", Message::Attach(vec![attach]));
    }

    fn tell_crowd(&mut self, id: u64, clients: std::ops::Range<u128>, left: Vec<u128>, last: bool) {
        let (channel, attach, joined) = (name("news"), AttachId(id), clients.map(present).collect());
        let part = SessionChange { channel, attach, sessions: 20, joined, left, last, more: false };
        self.tell_owner("news", Message::Sessions(Box::new(part)));
    }
}

#[test]
fn nobody_is_told_who_is_present_before_all_are_known() {
    let mut cluster = cluster(1);
    cluster.attach_crowd(1);
    assert_eq!(count(&mut cluster), Err(Refusal::Retry));
    cluster.tell_crowd(1, 0..10, Vec::new(), false);
    assert_eq!(count(&mut cluster), Err(Refusal::Retry));
    // Others come and go meanwhile, which says nothing of those who are still to be told.
    cluster.tell_crowd(1, 20..22, vec![3], false);
    cluster.tell_crowd(7, 0..1, Vec::new(), true);
    assert_eq!(count(&mut cluster), Err(Refusal::Retry), "an attach of before is not this one");
    cluster.tell_crowd(1, 10..20, Vec::new(), true);
    assert_eq!(count(&mut cluster), Ok(21));
    // It attaches anew, as after a gap.
    cluster.attach_crowd(2);
    assert_eq!(count(&mut cluster), Err(Refusal::Retry));
    cluster.tell_crowd(2, 0..20, Vec::new(), true);
    assert_eq!(count(&mut cluster), Ok(20));
}

#[test]
fn nobody_is_told_who_is_present_while_some_who_came_are_still_to_be_told() {
    let mut cluster = cluster(1);
    let follow = |cluster: &mut Cluster, left: Vec<u128>| {
        let (channel, attach, joined) = (name("news"), AttachId(1), Vec::new());
        let mark = SessionChange { channel, attach, sessions: 20, joined, left, last: false, more: true };
        cluster.tell_owner("news", Message::Sessions(Box::new(mark)));
    };
    cluster.attach(1, "news", AttachFrom::Top, WATCHED);
    cluster.tell_crowd(1, 0..10, Vec::new(), false);
    assert_eq!(count(&mut cluster), Ok(10));
    for round in 0..3 {
        follow(&mut cluster, vec![round]);
        assert_eq!(count(&mut cluster), Err(Refusal::Retry), "some are still to be told");
        cluster.tell_crowd(1, 20..25, Vec::new(), false);
        assert_eq!(count(&mut cluster), Err(Refusal::Retry), "and more");
        cluster.tell_crowd(1, 25..30, Vec::new(), true);
        assert_eq!(count(&mut cluster), Ok(19 - round as usize));
    }
    // Another attach says all that there is.
    follow(&mut cluster, Vec::new());
    cluster.attach(2, "news", AttachFrom::Top, WATCHED);
    cluster.tell_crowd(2, 0..3, Vec::new(), false);
    assert_eq!(count(&mut cluster), Ok(3));
}

#[test]
fn a_link_that_ends_in_the_middle_leaves_no_half_of_a_crowd() {
    let mut cluster = cluster(1);
    cluster.attach_crowd(1);
    cluster.tell_crowd(1, 0..10, Vec::new(), false);
    let now = cluster.now;
    cluster.nodes[0].on_link_up(now, GATEWAY);
    assert_eq!(count(&mut cluster), Err(Refusal::Retry), "the gateway has not said who is there");
    cluster.attach_crowd(2);
    cluster.say(0, Message::AttachesDone(cluster.nodes[0].view().epoch));
    assert_eq!(count(&mut cluster), Err(Refusal::Retry), "nor now");
    cluster.tell_crowd(2, 0..20, Vec::new(), true);
    assert_eq!(count(&mut cluster), Ok(20));
}
