//! On what terms a session listens: with a position, back to the latest publication alone, or to some publications alone.

use std::time::Duration;

use ringway_core::message::{Answer, Deliver, Entry, HistoryPage, Message, Query};
use serde_json::{Value, json};

use super::harness::*;
use crate::{Access, ChannelConfig, HubConfig, NamePattern, Offer, RecoveryMode};

fn world(config: ChannelConfig) -> World {
    World::new(HubConfig { without_namespace: Some(config), ..HubConfig::open() })
}

fn subscribe(world: &mut World, wish: Value) -> Peer {
    let peer = world.anonymous();
    let mut wish = wish;
    wish["channel"] = "news".into();
    world.send(&peer, &json!({"id": 2, "subscribe": wish}).to_string());
    peer
}

#[test]
fn a_position_is_for_those_who_ask_where_it_is_not_for_all() {
    let open = ChannelConfig { recovery: Offer::Never, read_history: Access::NOBODY, ..ChannelConfig::open() };
    let table = [
        (Offer::Never, Offer::Never, json!({"positioned": true, "recoverable": true}), (false, false)),
        (Offer::IfAsked, Offer::Never, json!({"positioned": true, "recoverable": true}), (true, false)),
        (Offer::IfAsked, Offer::IfAsked, json!({}), (false, false)),
        (Offer::Never, Offer::IfAsked, json!({"recoverable": true}), (true, true)),
        (Offer::Always, Offer::Never, json!({}), (true, false)),
    ];
    for (positioning, recovery, wish, (positioned, recoverable)) in table {
        let mut world = world(ChannelConfig { positioning, recovery, ..open.clone() });
        let peer = subscribe(&mut world, wish.clone());
        world.attached("news", Some(at(3)), 3);
        let result = &peer.one()["subscribe"];
        let is = |key: &str| result[key] == true;
        assert_eq!((is("positioned"), is("recoverable")), (positioned, recoverable), "{wish}");
        assert_eq!(result["epoch"].is_string(), positioned);
        // What is lost is told to those alone who were promised to be told.
        world.lose("news", ringway_core::Position { epoch: other_epoch(), offset: 0 });
        assert_eq!(peer.seen().iter().any(|seen| seen["push"]["unsubscribe"]["code"] == 2500), positioned, "{wish}");
    }
}

#[test]
fn in_cache_mode_the_latest_publication_is_all_that_comes() {
    let mut world = world(ChannelConfig { recovery_mode: RecoveryMode::Cache, ..ChannelConfig::open() });
    let peer = subscribe(&mut world, json!({"recover": true, "offset": 1, "epoch": "former"}));
    world.attached("news", Some(at(7)), 7);
    let (_, query) = world.queries().pop().unwrap();
    let Query::History(query) = query else { panic!("{query:?}") };
    assert_eq!((query.limit, query.reverse, query.since), (1, true, None));
    world.page(at(7), 7..=7);
    let result = peer.one()["subscribe"].clone();
    assert_eq!((result["recovered"].clone(), result["offset"].clone()), (json!(true), json!(1)));
    assert_eq!(result["publications"], json!([{"data": 7, "offset": 7}]));
    world.deliver_all("news", 8..=8);
    assert_eq!(peer.offsets(), [8]);
    let seen = subscribe(&mut world, json!({"recover": true, "offset": 8, "epoch": "abcdefgh"}));
    let result = seen.one()["subscribe"].clone();
    assert_eq!((result["recovered"].clone(), result["publications"].clone()), (json!(true), Value::Null));
    let lost = subscribe(&mut world, json!({"recover": true, "offset": 1, "epoch": "abcdefgh"}));
    world.page(at(8), NOTHING);
    let result = lost.one()["subscribe"].clone();
    assert_eq!((result["recovered"].clone(), result["was_recovering"].clone()), (Value::Null, json!(true)));
}

fn tagged(offset: u64) -> Entry {
    Entry::with_tags(offset.to_string().as_bytes(), [("odd", if offset % 2 == 1 { "yes" } else { "no" })])
}

#[test]
fn a_filter_lets_through_what_it_names_live_and_recovered() {
    let mut world = world(ChannelConfig::open());
    let odd = json!({"key": "odd", "cmp": "eq", "val": "yes"});
    let peer = subscribe(&mut world, json!({"tf": odd, "recover": true, "offset": 0, "epoch": "abcdefgh"}));
    world.attached("news", Some(at(3)), 3);
    let publications = (1..=3).map(|offset| (offset, tagged(offset))).collect();
    world.answer(Answer::History(HistoryPage { top: at(3), publications, more: false }));
    let result = peer.one()["subscribe"].clone();
    assert_eq!(result["recovered"], true);
    assert_eq!(result["publications"].as_array().unwrap().len(), 2);
    let attach = world.attach_of("news").attach;
    for offset in 4..=7 {
        world.hear(Message::Deliver(Deliver { attach, offset, entry: tagged(offset) }));
    }
    world.turn();
    assert_eq!(peer.offsets(), [5, 7]);
    world.send(&peer, r#"{"id":3,"unsubscribe":{"channel":"news"}}"#);
    let _ = peer.seen();
    assert_eq!(world.hub.counts().subscriptions, 0);
}

#[test]
fn a_filter_that_is_none_or_not_allowed_is_refused() {
    let mut filtered = world(ChannelConfig::open());
    let peer = subscribe(&mut filtered, json!({"tf": {"key": "a"}}));
    assert_eq!(peer.one()["error"]["code"], 107);
    let mut closed = world(ChannelConfig { tags_filter: false, ..ChannelConfig::open() });
    let peer = subscribe(&mut closed, json!({"tf": {"key": "a", "cmp": "ex"}}));
    assert_eq!(peer.one()["error"]["code"], 107);
}

#[test]
fn differences_are_told_to_those_who_take_them_and_were_told_the_one_before() {
    let mut world = world(ChannelConfig::open());
    let document = |price: u64| format!(r#"{{"name":"{}","price":{price}}}"#, "n".repeat(80));
    let takes = subscribe(&mut world, json!({"delta": "fossil"}));
    world.attached("news", Some(at(3)), 3);
    assert_eq!(takes.one()["subscribe"]["delta"], true);
    let plain = subscribe(&mut world, json!({}));
    assert_eq!(plain.one()["subscribe"]["delta"], Value::Null);
    world.deliver("news", 4, &document(10));
    world.deliver("news", 5, &document(11));
    world.turn();
    let later = subscribe(&mut world, json!({"delta": "fossil", "recover": true, "offset": 4, "epoch": "abcdefgh"}));
    let publications = vec![(5, entry(&document(11)))];
    world.answer(Answer::History(HistoryPage { top: at(5), publications, more: false }));
    let recovered = later.one()["subscribe"]["publications"][0].clone();
    assert_eq!((recovered["data"].clone(), recovered["delta"].clone()), (json!(document(11)), Value::Null));
    world.deliver("news", 6, &document(12));
    world.turn();
    let told = |peer: &Peer| -> Vec<(Value, bool)> {
        let seen = peer.seen().into_iter();
        seen.map(|seen| (seen["push"]["pub"]["data"].clone(), seen["push"]["pub"]["delta"] == true)).collect()
    };
    let [first, second, third] = told(&takes).try_into().unwrap();
    assert_eq!(first, (json!(document(10)), false));
    for (told, price) in [(second, 11), (third, 12)] {
        let text = told.0.as_str().unwrap();
        assert!(told.1 && text.len() < 40 && text.ends_with(';'), "{price}: {text}");
    }
    let whole: Vec<(Value, bool)> =
        [10, 11, 12].map(|price| (serde_json::from_str(&document(price)).unwrap(), false)).into();
    assert_eq!(told(&plain), whole);
    assert_eq!(told(&later), [(json!(document(12)), false)]);
}

#[test]
fn a_difference_is_never_from_what_a_filter_kept_back() {
    let mut world = world(ChannelConfig::open());
    let odd = json!({"key": "odd", "cmp": "eq", "val": "yes"});
    let peer = subscribe(&mut world, json!({"tf": odd, "delta": "fossil"}));
    world.attached("news", Some(at(0)), 0);
    let _ = peer.seen();
    let attach = world.attach_of("news").attach;
    for (offset, tag) in [(1, "yes"), (2, "yes"), (3, "no"), (4, "yes"), (5, "yes")] {
        let data = format!("\"{}{offset}\"", "x".repeat(100));
        let entry = Entry::with_tags(data.as_bytes(), [("odd", tag)]);
        world.hear(Message::Deliver(Deliver { attach, offset, entry }));
    }
    world.turn();
    let told: Vec<bool> = peer.seen().iter().map(|seen| seen["push"]["pub"]["delta"] == true).collect();
    assert_eq!(told, [false, true, false, true]);
}

#[test]
fn names_must_match_where_a_pattern_says_how() {
    let names = NamePattern::new("^[a-z]+$").ok();
    let mut world = world(ChannelConfig { names, ..ChannelConfig::open() });
    let peer = world.anonymous();
    for (id, command) in [
        (2, json!({"subscribe": {"channel": "n1"}})),
        (3, json!({"publish": {"channel": "n1", "data": 1}})),
        (4, json!({"presence": {"channel": "n1"}})),
        (5, json!({"history": {"channel": "n1"}})),
    ] {
        let mut command = command;
        command["id"] = id.into();
        world.send(&peer, &command.to_string());
        assert_eq!(peer.one()["error"]["code"], 107, "{command}");
    }
}

#[test]
fn in_insecure_mode_all_is_open_but_the_inboxes_of_others() {
    let config = HubConfig {
        insecure: true,
        without_namespace: Some(ChannelConfig {
            history_size: 10,
            history_ttl: Duration::from_secs(60),
            presence: true,
            ..ChannelConfig::default()
        }),
        ..HubConfig::open()
    };
    let mut world = World::new(config);
    let peer = world.anonymous();
    world.send(&peer, r#"{"id":2,"subscribe":{"channel":"news"}}"#);
    world.attached("news", Some(at(0)), 0);
    assert!(peer.one()["subscribe"].is_object());
    world.send(&peer, r#"{"id":3,"publish":{"channel":"other","data":1}}"#);
    world.send(&peer, r#"{"id":4,"history":{"channel":"other"}}"#);
    assert_eq!((world.publishes().len(), world.queries().len()), (1, 1));
    world.send(&peer, r##"{"id":5,"subscribe":{"channel":"#bob"}}"##);
    assert_eq!(peer.one()["error"]["code"], 103);
    world.send(&peer, r##"{"id":6,"history":{"channel":"#bob"}}"##);
    assert_eq!(world.queries().len(), 1);
}
