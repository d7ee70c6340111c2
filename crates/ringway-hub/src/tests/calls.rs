//! Calls of backends.

use ringway_core::UserName;
use ringway_core::message::{Answer, ChannelsPage, Deed, Message, NodeInfo, Order, Query};
use ringway_core::ring::SlotSet;
use ringway_protocol::api::ApiError;

use super::harness::*;
use crate::{ApiAnswer, ApiPublish, ApiRequest, ChannelsPlace, History, HubConfig, USERS_NAMED};

fn publication(channel: &str) -> Box<ApiPublish> {
    let (channel, idempotency_key) = (Ok(name(channel)), Some("k".into()));
    Box::new(ApiPublish { channel, entry: entry("1"), idempotency_key, version: None, skip_history: false })
}

#[test]
fn a_publish_is_answered_with_its_place() {
    let mut world = World::open();
    let mut answer = world.call(ApiRequest::Publish(publication("news")));
    assert!(answer.try_recv().is_err());
    let sent = world.publishes().pop().unwrap();
    assert_eq!((&sent.idempotency_key, sent.entry.publisher()), (&Some("k".into()), None));
    world.acknowledge(&sent, Some(at(1)));
    assert_eq!(answer.try_recv().unwrap(), ApiAnswer::Published(Some(at(1))));
}

#[test]
fn a_broadcast_is_answered_in_order_when_all_parts_are() {
    let mut world = World::open();
    let channels = vec![Ok(name("a")), Ok(name("no:such")), Ok(name("b"))];
    let mut answer = world.call(ApiRequest::Broadcast(channels, publication("ignored")));
    let sent = world.publishes();
    world.acknowledge(&sent[1], Some(at(9)));
    assert!(answer.try_recv().is_err());
    world.reject(&sent[0]);
    let expected = vec![Err(ApiError::Internal), Err(ApiError::UnknownChannel), Ok(Some(at(9)))];
    assert_eq!(answer.try_recv().unwrap(), ApiAnswer::Broadcast(expected));
}

#[test]
fn calls_that_make_no_sense_are_answered_at_once() {
    let mut world = World::open();
    let history = |channel: &str| {
        let channel = ringway_core::ChannelName::new(channel);
        ApiRequest::History(Box::new(History { channel, limit: 1, since: None, reverse: false }))
    };
    let table = [
        (ApiRequest::Publish(publication("no:such")), ApiError::UnknownChannel),
        (ApiRequest::Presence(Ok(name("no:such"))), ApiError::UnknownChannel),
        (ApiRequest::Presence(Ok(name("#ann"))), ApiError::NotAvailable),
        (history(""), ApiError::BadRequest),
        (ApiRequest::Broadcast(Vec::new(), publication("x")), ApiError::BadRequest),
    ];
    for (request, error) in table {
        let mut answer = world.call(request);
        assert_eq!(answer.try_recv().unwrap(), ApiAnswer::Failed(error));
    }
}

#[test]
fn calls_have_a_limit_and_free_their_place() {
    let mut config = HubConfig::open();
    config.limits.calls = 1;
    let mut world = World::new(config);
    let mut first = world.call(ApiRequest::Publish(publication("news")));
    let mut second = world.call(ApiRequest::Publish(publication("news")));
    assert_eq!(second.try_recv().unwrap(), ApiAnswer::Overloaded);
    let sent = world.publishes().pop().unwrap();
    world.acknowledge(&sent, None);
    assert_eq!(first.try_recv().unwrap(), ApiAnswer::Published(None));
    let mut third = world.call(ApiRequest::Publish(publication("news")));
    assert!(third.try_recv().is_err(), "it is under way");
}

#[test]
fn channels_are_listed_page_by_page_in_one_view() {
    let mut world = World::open();
    let page = |channel: &str, more| {
        Answer::Channels(ChannelsPage { census: CENSUS, channels: vec![(name(channel), 3)], more })
    };
    let mut first = world.call(ApiRequest::Channels(None));
    world.answer(page("chat", true));
    let Ok(ApiAnswer::Channels(channels, Some(place))) = first.try_recv() else { panic!("more follow") };
    assert_eq!((channels, &place.after), (vec![(name("chat"), 3)], &Some((name("chat"), CENSUS))));
    let mut second = world.call(ApiRequest::Channels(Some(place.clone())));
    let Some((_, Query::Channels(asked))) = world.queries().pop() else { panic!("a page is asked for") };
    assert_eq!((asked.epoch, &asked.after), (place.epoch, &place.after));
    world.answer(page("news", false));
    assert_eq!(second.try_recv().unwrap(), ApiAnswer::Channels(vec![(name("news"), 3)], None));
    let elsewhere = ChannelsPlace { epoch: place.epoch.next(), ..place };
    let mut refused = world.call(ApiRequest::Channels(Some(elsewhere)));
    assert_eq!(refused.try_recv().unwrap(), ApiAnswer::Failed(ApiError::UnrecoverablePosition), "of another view");
}

#[test]
fn all_nodes_are_asked_for_counts() {
    let mut world = World::open();
    let mut info = world.call(ApiRequest::Info);
    world.answer(Answer::Info(NodeInfo { users: 5, ..NodeInfo::default() }));
    let ApiAnswer::Info(members) = info.try_recv().unwrap() else { panic!() };
    assert_eq!((members.len(), members[0].id.as_str(), members[0].node.users), (2, "node-1", 5));
}

/// Users with a session in these slots: how many, and who.
fn users(world: &mut World, slots: SlotSet) -> (u64, Vec<String>) {
    let Ok(ApiAnswer::Users(count, mut names)) = world.call(ApiRequest::Users(slots)).try_recv() else { panic!() };
    names.sort();
    (count, names.iter().map(ToString::to_string).collect())
}

#[test]
fn users_of_slots_are_those_with_a_session_here() {
    let mut world = World::open();
    let all = world.hub.rules.view().slots;
    let (_ann, bob, _second) = (world.plain("ann"), world.plain("bob"), world.plain("ann"));
    assert_eq!(users(&mut world, SlotSet::of(all.slots())), (2, vec!["ann".to_owned(), "bob".to_owned()]));
    let slot = world.hub.rules.slot_of("#bob");
    let others = SlotSet::of(all.slots().filter(|other| *other != slot));
    assert!(users(&mut world, SlotSet::of([slot])).1.contains(&"bob".to_owned()));
    assert!(!users(&mut world, others).1.contains(&"bob".to_owned()));
    world.hang_up(&bob);
    assert_eq!(users(&mut world, SlotSet::of(all.slots())).0, 1);
    assert_eq!(users(&mut world, SlotSet::default()), (0, vec![]));
    let _crowd: Vec<_> = (0..USERS_NAMED + 5).map(|number| world.plain(&format!("user{number}"))).collect();
    let (count, names) = users(&mut world, SlotSet::of(all.slots()));
    assert_eq!((count, names.len()), (USERS_NAMED as u64 + 6, USERS_NAMED));
}

#[test]
fn an_order_to_disconnect_goes_to_the_users_owner() {
    let mut world = World::open();
    let user = "ann".into();
    let deed = Deed::Close { code: 3503, reason: "force disconnect".into() };
    let order = Order { user, client: None, whitelist: Vec::new(), deed };
    let mut answer = world.call(ApiRequest::Order(Box::new(order.clone())));
    let Some(Message::Query(id, Query::Order(sent))) = world.said.last().cloned() else { panic!("{:?}", world.said) };
    assert_eq!(*sent, order);
    assert!(answer.try_recv().is_err(), "it may be lost on the way: nothing is said before the sessions are closed");
    world.hear(Message::Answer(id, Answer::Obeyed));
    world.turn();
    assert_eq!(answer.try_recv().unwrap(), ApiAnswer::Done);
}

#[test]
fn a_message_from_outside_is_kept_as_a_plain_one() {
    let mut world = World::open();
    let data = bytes::Bytes::from_static(br#"{"content":"hi","from":null}"#);
    let mut answer = world.call(ApiRequest::Say(UserName::new("bob").unwrap(), data.clone()));
    let sent = world.publishes().pop().unwrap();
    assert_eq!((sent.channel.as_str(), sent.entry.data()), ("#bob", &data[..]));
    world.acknowledge(&sent, Some(at(1)));
    assert!(matches!(answer.try_recv(), Ok(ApiAnswer::Published(_))));
}
