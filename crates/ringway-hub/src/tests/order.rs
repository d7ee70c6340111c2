//! Commands that come before the answers to earlier ones, and what is done before a client is closed.

use serde_json::{Value, json};

use super::harness::*;
use crate::{Access, ChannelConfig, ClientInput, Command, HubConfig, Offer, Protocol};

const SUBSCRIBE: &str = r#"{"id":2,"subscribe":{"channel":"news"}}"#;
const UNSUBSCRIBE: &str = r#"{"id":3,"unsubscribe":{"channel":"news"}}"#;

fn ids(peer: &Peer) -> Vec<u64> {
    peer.seen().iter().map(|seen| seen["id"].as_u64().unwrap_or_default()).collect()
}

/// What cannot be read came behind these commands.
fn send_broken(world: &mut World, peer: &Peer, frame: &str) {
    let ClientInput::Commands(ticket, mut commands) = world.commands(peer, frame) else { unreachable!() };
    commands.push(Command::BROKEN);
    let asks = commands.iter().filter(|command| command.ask.is_counted()).count();
    ticket.begin_asks(asks as u32);
    world.input(ClientInput::Commands(ticket, commands));
    world.turn();
}

#[test]
fn a_page_that_mounts_twice_gets_three_results() {
    let mut world = World::open();
    let peer = world.anonymous();
    world.send(&peer, &format!("{SUBSCRIBE}\n{UNSUBSCRIBE}\n{{\"id\":4,\"subscribe\":{{\"channel\":\"news\"}}}}"));
    assert!(peer.seen().is_empty(), "the owner has not answered");
    world.attached("news", Some(at(5)), 5);
    let subscribed = json!({"recoverable":true,"epoch":"abcdefgh","offset":5,"positioned":true});
    let expected = [
        json!({"id":2,"subscribe":subscribed}),
        json!({"id":3,"unsubscribe":{}}),
        json!({"id":4,"subscribe":subscribed}),
    ];
    assert_eq!(peer.seen(), expected);
    world.deliver_all("news", 6..=6);
    assert_eq!(peer.offsets(), [6]);
    assert_eq!(world.hub.counts().subscriptions, 1);
}

#[test]
fn an_unsubscribe_before_the_answer_ends_what_began() {
    let mut world = World::open();
    let peer = world.anonymous();
    world.send(&peer, SUBSCRIBE);
    world.send(&peer, UNSUBSCRIBE);
    world.attached("news", Some(at(5)), 5);
    assert_eq!(ids(&peer), [2, 3]);
    assert_eq!(world.hub.rules.channel_count(), 0, "nobody is left");
}

#[test]
fn what_follows_an_unsubscribe_that_waits_is_answered_in_its_order() {
    let mut world = World::open();
    let peer = world.anonymous();
    let publish = r#"{"id":4,"publish":{"channel":"news","data":1}}"#;
    world.send(
        &peer,
        &format!("{SUBSCRIBE}\n{UNSUBSCRIBE}\n{publish}\n{{\"id\":5,\"subscribe\":{{\"channel\":\"other\"}}}}"),
    );
    world.attached("other", Some(at(0)), 0);
    assert_eq!(ids(&peer), [5], "other channels do not wait");
    world.attached("news", Some(at(0)), 0);
    let seen = peer.seen();
    assert_eq!(seen.iter().map(|seen| seen["id"].as_u64().unwrap()).collect::<Vec<_>>(), [2, 3, 4]);
    assert_eq!(seen[2]["error"]["code"], 103, "it is a subscriber no more");
}

#[test]
fn a_subscribe_that_fails_is_followed_by_what_waited() {
    let mut world = World::open();
    let peer = world.anonymous();
    let recover = r#"{"id":2,"subscribe":{"channel":"news","recover":true,"offset":1,"epoch":"zzzzzzzz","flag":2}}"#;
    world.send(&peer, &format!("{recover}\n{UNSUBSCRIBE}\n{{\"id\":4,\"subscribe\":{{\"channel\":\"news\"}}}}"));
    world.attached("news", Some(at(5)), 5);
    let seen = peer.seen();
    assert_eq!(seen[0]["error"]["code"], 112);
    assert_eq!((&seen[1]["unsubscribe"], &seen[2]["subscribe"]["offset"], seen.len()), (&json!({}), &json!(5), 3));
}

#[test]
fn who_asks_who_is_there_in_the_frame_of_its_subscribe_is_there() {
    use ringway_core::message::Message;
    let mut world = World::open();
    let [first, second] = [world.anonymous(), world.anonymous()];
    let ask = r#"{"id":3,"presence_stats":{"channel":"news"}}"#;
    world.send(&first, &format!("{SUBSCRIBE}\n{ask}"));
    assert!(world.queries().is_empty(), "its owner does not know it yet");
    world.attached("news", Some(at(0)), 0);
    assert_eq!(world.queries().len(), 1);
    world.said.clear();
    world.send(&second, &format!("{SUBSCRIBE}\n{ask}"));
    let told = world.said.iter().position(|message| matches!(message, Message::Sessions(_)));
    let asked = world.said.iter().position(|message| matches!(message, Message::Query(..)));
    assert!(told.is_some() && told < asked, "{told:?} {asked:?}");
}

#[test]
fn what_waits_for_a_newcomer_has_a_limit() {
    let mut world = World::open();
    let peer = world.anonymous();
    world.send(&peer, SUBSCRIBE);
    for _ in 0..32 {
        world.send(&peer, &format!("{UNSUBSCRIBE}\n{SUBSCRIBE}"));
        assert_eq!(peer.closed(), None);
    }
    world.send(&peer, UNSUBSCRIBE);
    assert_eq!(peer.closed(), Some(3013));
    world.hang_up(&peer);
    world.attached("news", Some(at(0)), 0);
    assert_eq!(world.hub.counts().sessions, 0);
}

#[test]
fn good_commands_are_answered_before_a_bad_one_closes() {
    let mut world = World::open();
    let peer = world.anonymous();
    let publish = r#"{"id":3,"publish":{"channel":"news","data":1}}"#;
    send_broken(
        &mut world,
        &peer,
        &format!("{SUBSCRIBE}\n{publish}\n{{\"id\":4,\"presence\":{{\"channel\":\"news\"}}}}"),
    );
    assert_eq!(peer.closed(), None);
    world.send(&peer, r#"{"id":9,"rpc":{"method":"m"}}"#);
    world.attached("news", Some(at(0)), 0);
    assert_eq!((ids(&peer), peer.closed()), (vec![2], None), "and nothing behind it is");
    let published = world.publishes().pop().unwrap();
    world.acknowledge(&published, Some(at(1)));
    assert_eq!((ids(&peer), peer.closed()), (vec![3], None));
    world.answer(presence(std::iter::empty(), false));
    assert_eq!((ids(&peer), peer.closed()), (vec![4], Some(3501)));
}

#[test]
fn what_waits_for_a_newcomer_is_answered_before_a_bad_command_closes() {
    let mut world = World::open();
    let peer = world.anonymous();
    send_broken(
        &mut world,
        &peer,
        &format!("{SUBSCRIBE}\n{UNSUBSCRIBE}\n{{\"id\":4,\"subscribe\":{{\"channel\":\"news\"}}}}"),
    );
    world.attached("news", Some(at(0)), 0);
    assert_eq!((ids(&peer), peer.closed()), (vec![2, 3, 4], Some(3501)));
}

#[test]
fn who_asks_for_nothing_good_is_closed_at_once_and_who_waits_in_vain_in_time() {
    let mut world = World::open();
    let [silent, idle, waiting] = [world.connect(Protocol::Centrifuge), world.anonymous(), world.anonymous()];
    send_broken(&mut world, &silent, "{}");
    send_broken(&mut world, &idle, r#"{"id":2,"rpc":{"method":"m"}}"#);
    assert_eq!((silent.closed(), idle.closed(), ids(&idle)), (Some(3501), Some(3501), vec![2]));
    send_broken(&mut world, &waiting, SUBSCRIBE);
    world.pass(std::time::Duration::from_secs(9));
    assert_eq!(waiting.closed(), None);
    world.pass(std::time::Duration::from_secs(2));
    assert_eq!(waiting.closed(), Some(3501), "the owner never came");
}

#[test]
fn a_connect_is_answered_before_a_bad_command_behind_it_closes() {
    let mut world = World::open();
    let peer = world.connect(Protocol::Centrifuge);
    let connect = json!({"id":1,"connect":{"token": token("ann", None)}}).to_string();
    send_broken(&mut world, &peer, &format!("{connect}\n{SUBSCRIBE}"));
    world.attached("#ann", Some(at(0)), 0);
    assert_eq!((ids(&peer), peer.closed()), (vec![1], None));
    world.attached("news", Some(at(0)), 0);
    assert_eq!((ids(&peer), peer.closed()), (vec![2], Some(3501)));
}

#[test]
fn what_a_channel_does_not_have_is_not_available_to_anybody() {
    let mut config = HubConfig::open();
    config.namespaces.insert("bare".into(), ChannelConfig::default());
    let mut world = World::new(config);
    let peer = world.anonymous();
    for (method, channel, code) in [
        ("presence", "bare:x", 108),
        ("presence_stats", "bare:x", 108),
        ("history", "bare:x", 108),
        ("presence", "news", 103),
        ("presence_stats", "news", 103),
        ("history", "news", 103),
        ("history", "other:x", 102),
    ] {
        let command: Value = json!({"id": 2, method: {"channel": channel}});
        world.send(&peer, &command.to_string());
        assert_eq!(peer.one()["error"]["code"], code, "{command}");
    }
}

#[test]
fn a_wish_to_recover_is_no_fault_where_nothing_is_recovered() {
    let mut config = HubConfig::open();
    let kept = ChannelConfig { recovery: Offer::Never, ..ChannelConfig::open() };
    config.namespaces.extend([
        ("bare".to_owned(), ChannelConfig { subscribe: Access::ANYONE, ..ChannelConfig::default() }),
        ("kept".to_owned(), kept),
    ]);
    let mut world = World::new(config);
    let peer = world.anonymous();
    for (channel, stream) in [("bare:x", None), ("kept:x", Some(at(3)))] {
        let wish = json!({"channel": channel, "recover": true, "flag": 2, "offset": 3, "epoch": "abcdefgh"});
        world.send(&peer, &json!({"id": 2, "subscribe": wish}).to_string());
        world.attached(channel, stream, stream.map_or(0, |at| at.offset));
        assert_eq!(peer.one(), json!({"id":2,"subscribe":{"was_recovering":true}}), "{channel}");
    }
}

#[test]
fn namespaces_are_told_without_a_dollar_and_an_empty_one_is_none() {
    let mut config = HubConfig::open();
    config.namespaces.insert("bare".into(), ChannelConfig::default());
    let channel = |name: &str| config.channel(&super::harness::name(name)).ok().cloned();
    for (name, expected) in [
        ("$bare:x", Some(ChannelConfig::default())),
        ("bare:", Some(ChannelConfig::default())),
        (":x", Some(ChannelConfig::open())),
        ("$:x", Some(ChannelConfig::open())),
        ("$x", Some(ChannelConfig::open())),
        ("$$bare:x", None),
        ("$other:x", None),
    ] {
        assert_eq!(channel(name), expected, "{name}");
    }
}

#[test]
fn the_personal_channel_is_not_the_clients_to_end() {
    let mut world = World::open();
    let peer = world.connect(Protocol::Centrifuge);
    world.send(&peer, &json!({"id":1,"connect":{"token": token("ann", None)}}).to_string());
    world.attached("#ann", Some(at(0)), 0);
    let _ = peer.seen();
    world.send(&peer, r##"{"id":2,"unsubscribe":{"channel":"#ann"}}"##);
    assert_eq!(peer.one()["error"]["code"], 103);
    world.deliver_all("#ann", 1..=1);
    assert_eq!(peer.offsets(), [1], "it was told so, and it goes on");
}

#[test]
fn the_first_publication_of_a_stream_says_which_stream_it_is() {
    let mut world = World::open();
    let peer = world.anonymous();
    world.send(&peer, SUBSCRIBE);
    world.attached("news", Some(at(0)), 0);
    let _ = peer.seen();
    world.deliver_all("news", 1..=2);
    let epochs: Vec<Value> = peer.seen().iter().map(|seen| seen["push"]["pub"]["epoch"].clone()).collect();
    assert_eq!(epochs, [json!("abcdefgh"), Value::Null]);
    let back = world.anonymous();
    world.send(&back, r#"{"id":2,"subscribe":{"channel":"news","recover":true,"offset":0,"epoch":""}}"#);
    world.page(at(2), 1..=2);
    let seen = back.one();
    let publications = json!([{"data":1,"offset":1,"epoch":"abcdefgh"},{"data":2,"offset":2}]);
    assert_eq!(seen["subscribe"]["publications"], publications);
}
