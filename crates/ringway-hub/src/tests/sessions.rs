//! A session's life in time: pings, deadlines, tokens that end, orders to close; and what owners are told of sessions.

use std::time::Duration;

use ringway_core::message::{Answer, Deed, Lane, Message, Order, Presence, SessionChange};
use serde_json::json;

use super::harness::*;
use crate::{HubConfig, Protocol, Refused};

fn session_changes(world: &World) -> Vec<SessionChange> {
    let change = |message: &Message| match message {
        Message::Sessions(change) => Some((**change).clone()),
        _ => None,
    };
    world.said.iter().filter_map(change).collect()
}

#[test]
fn the_connect_is_answered_with_what_the_client_needs() {
    let mut world = World::open();
    let peer = world.connect(Protocol::Centrifuge);
    world.send(&peer, r#"{"id":1,"connect":{}}"#);
    let reply = peer.one();
    let connect = &reply["connect"];
    assert_eq!((&reply["id"], &connect["ping"], &connect["pong"]), (&json!(1), &json!(25), &json!(true)));
    assert!(!connect["version"].as_str().unwrap().is_empty());
    assert_eq!(connect["client"].as_str().unwrap().as_bytes()[14], b'4', "a random UUID");
    assert!(connect["subs"].is_null());
}

#[test]
fn who_says_nothing_is_stale() {
    let mut world = World::open();
    let peer = world.connect(Protocol::Centrifuge);
    world.pass(Duration::from_millis(9750));
    assert_eq!(peer.closed(), None);
    world.pass(Duration::from_millis(500));
    assert_eq!(peer.closed(), Some(3502));
}

#[test]
fn pings_come_spread_and_then_regularly() {
    let mut world = World::open();
    let peers: Vec<_> = (0..40).map(|_| world.anonymous()).collect();
    let mut first = Vec::new();
    for step in 1..=100 {
        world.pass(Duration::from_millis(250));
        for peer in &peers {
            if peer.seen() == [json!({})] {
                first.push(step);
                world.send(peer, "{}");
            }
        }
    }
    assert_eq!(first.len(), 40);
    assert!(first.iter().all(|step| (50..=100).contains(step)), "{first:?}");
    assert!(first.iter().max().unwrap() - first.iter().min().unwrap() > 15, "spread: {first:?}");
    world.pass(Duration::from_secs(25));
    for peer in &peers {
        assert_eq!(peer.seen().len(), 1, "one ping in each interval");
    }
}

#[test]
fn a_missing_pong_closes() {
    let mut world = World::open();
    let peer = world.anonymous();
    while peer.seen().is_empty() {
        world.pass(Duration::from_millis(250));
    }
    world.pass(Duration::from_millis(7500));
    assert_eq!(peer.closed(), None);
    world.pass(Duration::from_millis(750));
    assert_eq!(peer.closed(), Some(3012));
}

#[test]
fn a_pong_counts_once() {
    let mut world = World::open();
    let peer = world.anonymous();
    while peer.seen().is_empty() {
        world.pass(Duration::from_millis(250));
    }
    world.send(&peer, "{}");
    assert_eq!(peer.closed(), None);
    world.send(&peer, "{}");
    assert_eq!(peer.closed(), Some(3501));
}

#[test]
fn credentials_end_a_grace_after_their_time() {
    let mut world = World::open();
    let peer = world.connect(Protocol::Centrifuge);
    world.send(&peer, &json!({"id":1,"connect":{"token": token("", Some(unix() + 5))}}).to_string());
    let reply = peer.one();
    assert_eq!(reply["connect"]["expires"], true);
    assert!((3..=5).contains(&reply["connect"]["ttl"].as_u64().unwrap()));
    for _ in 0..31 {
        world.pass(Duration::from_secs(1));
        if !peer.seen().is_empty() {
            world.send(&peer, "{}");
        }
    }
    assert_eq!(peer.closed(), Some(3005));
}

#[test]
fn a_refresh_extends_the_session() {
    let mut world = World::open();
    let peer = world.connect(Protocol::Centrifuge);
    world.send(&peer, &json!({"id":1,"connect":{"token": token("", Some(unix() + 5))}}).to_string());
    let _ = peer.seen();
    world.send(&peer, &json!({"id":2,"refresh":{"token": token("", Some(unix() + 600))}}).to_string());
    let ttl = peer.one()["refresh"]["ttl"].as_u64().unwrap();
    assert!((598..=600).contains(&ttl));
    for _ in 0..40 {
        world.pass(Duration::from_secs(1));
        if !peer.seen().is_empty() {
            world.send(&peer, "{}");
        }
    }
    assert_eq!(peer.closed(), None);
    world.send(&peer, &json!({"id":3,"refresh":{"token": token("eve", None)}}).to_string());
    assert_eq!(peer.closed(), Some(3500), "another user's token");
}

#[test]
fn an_order_closes_the_sessions_it_names() {
    let mut world = World::open();
    let mut devices = Vec::new();
    for _ in 0..2 {
        let peer = world.connect(Protocol::Centrifuge);
        world.send(&peer, &json!({"id":1,"connect":{"token": token("ann", None)}}).to_string());
        devices.push(peer);
    }
    world.attached("#ann", Some(at(0)), 0);
    let plain = world.plain("ann");
    let _ = plain.seen();
    let client = devices[1].one()["connect"]["client"].as_str().unwrap().to_owned();
    let kept = uuid::Uuid::parse_str(&client).unwrap().as_u128();
    let order = Order {
        user: "ann".into(),
        client: None,
        whitelist: vec![kept],
        deed: Deed::Close { code: 3011, reason: "force reconnect".into() },
    };
    world.hear(Message::Order(1, Box::new(order)));
    world.turn();
    assert_eq!(
        world.said.iter().filter(|said| **said == Message::Obeyed(1)).count(),
        1,
        "whoever asked waits for that"
    );
    assert_eq!((devices[0].closed(), devices[1].closed(), plain.closed()), (Some(3011), None, Some(3011)));
    assert_eq!(plain.one()["type"], 2, "the plain client is asked to come back first");
}

#[test]
fn an_order_closes_those_who_have_no_inbox() {
    let mut world = World::open();
    let tenant = world.connect(Protocol::Centrifuge);
    world.send(&tenant, &json!({"id":1,"connect":{"token": token("tenant:42", None)}}).to_string());
    assert!(tenant.one()["connect"]["client"].is_string(), "there is nothing to wait for");
    let anonymous: Vec<_> = (0..2).map(|_| world.connect(Protocol::Centrifuge)).collect();
    let client = |peer| {
        world.send(peer, r#"{"id":1,"connect":{}}"#);
        uuid::Uuid::parse_str(peer.one()["connect"]["client"].as_str().unwrap()).unwrap().as_u128()
    };
    let clients: Vec<u128> = anonymous.iter().map(client).collect();
    let order = |world: &mut World, user: &str, client| {
        let (user, reason) = (user.into(), "force disconnect".into());
        world.hear(Message::Order(
            2,
            Box::new(Order { user, client, whitelist: vec![], deed: Deed::Close { code: 3503, reason } }),
        ));
        world.turn();
    };
    let stranger = world.connect(Protocol::Centrifuge);
    order(&mut world, "", Some(clients[0]));
    assert_eq!((anonymous[0].closed(), anonymous[1].closed(), tenant.closed()), (Some(3503), None, None));
    order(&mut world, "tenant:42", None);
    assert_eq!((anonymous[1].closed(), tenant.closed()), (None, Some(3503)));
    order(&mut world, "", None);
    assert_eq!((anonymous[1].closed(), stranger.closed()), (Some(3503), None), "it has not said who it is");
}

#[test]
fn shedding_closes_some_at_a_time() {
    let mut world = World::open();
    let peers: Vec<_> = (0..5).map(|_| world.anonymous()).collect();
    assert_eq!(world.hub.shed(world.now, 2), 3);
    assert_eq!(peers.iter().filter(|peer| peer.closed() == Some(3001)).count(), 2);
    world.hub.shut_down();
    assert!(peers.iter().all(|peer| peer.closed() == Some(3001)));
}

#[test]
fn the_attach_says_who_is_here() {
    let mut world = World::open();
    let (one, two) = (world.anonymous(), world.anonymous());
    world.queue(&one, r#"{"id":2,"subscribe":{"channel":"news"}}"#);
    world.queue(&two, r#"{"id":2,"subscribe":{"channel":"news"}}"#);
    world.turn();
    let attach = world.attach_of("news");
    assert_eq!((attach.sessions, attach.presence.len()), (2, 2));
    assert!(session_changes(&world).is_empty(), "the attach says it all");
}

#[test]
fn who_comes_and_goes_later_is_told_once_a_turn() {
    let mut world = World::open();
    let peers: Vec<_> = (0..3).map(|_| world.anonymous()).collect();
    world.send(&peers[0], r#"{"id":2,"subscribe":{"channel":"news"}}"#);
    world.attached("news", Some(at(0)), 0);
    world.queue(&peers[1], r#"{"id":2,"subscribe":{"channel":"news"}}"#);
    world.queue(&peers[2], r#"{"id":2,"subscribe":{"channel":"news"}}"#);
    world.queue(&peers[2], r#"{"id":3,"unsubscribe":{"channel":"news"}}"#);
    world.turn();
    let changes = session_changes(&world);
    assert_eq!(changes.len(), 1);
    assert_eq!((changes[0].sessions, changes[0].joined.len(), changes[0].left.len()), (2, 1, 1));
}

#[test]
fn who_is_present_is_told_in_frames_of_a_part() {
    const PART: usize = 128 << 10;
    let mut world = World::open();
    let peers: Vec<Peer> = (0..300).map(|_| world.anonymous()).collect();
    for peer in &peers {
        for channel in 0..12 {
            let subscribe = json!({"id": channel + 2, "subscribe": {"channel": format!("c{channel}")}});
            world.queue(peer, &subscribe.to_string());
        }
    }
    world.said.clear();
    world.turn();
    for channel in 0..12 {
        world.attached(&format!("c{channel}"), Some(at(0)), 0);
    }
    for _ in 0..12 {
        world.hear(Message::Taken(Lane::Attaches, u64::MAX));
        world.turn();
    }
    let (mut told, mut frames) = (std::collections::HashMap::<String, std::collections::HashSet<u128>>::new(), 0);
    let mut note = |channel: &ringway_core::ChannelName, present: &[Presence]| {
        told.entry(channel.to_string()).or_default().extend(present.iter().map(|one| one.client));
        present.iter().map(Presence::size).sum::<usize>()
    };
    for message in &world.said {
        let bytes: usize = match message {
            Message::Attach(attaches) => {
                attaches.iter().map(|one| 64 + one.channel.as_str().len() + note(&one.channel, &one.presence)).sum()
            }
            Message::Sessions(change) => note(&change.channel, &change.joined) + change.left.len() * 16,
            _ => 0,
        };
        assert!(bytes <= PART, "a frame of {bytes} bytes");
        frames += usize::from(bytes > 0);
    }
    let all = told.values().all(|clients| clients.len() == 300);
    assert!(frames > 2 && told.len() == 12 && all, "everybody");
}

#[test]
fn presence_and_history_are_asked_of_the_owner() {
    let mut world = World::open();
    let peer = world.anonymous();
    world.send(&peer, r#"{"id":2,"subscribe":{"channel":"news"}}"#);
    world.attached("news", Some(at(0)), 0);
    let _ = peer.seen();
    world.send(&peer, r#"{"id":3,"presence":{"channel":"news"}}"#);
    world.answer(presence(1..=1, false));
    let client = uuid::Uuid::from_u128(1).to_string();
    assert_eq!(peer.one(), json!({"id":3,"presence":{"presence":{&client:{"user":"ann","client":&client}}}}));
    world.send(&peer, r#"{"id":4,"presence_stats":{"channel":"news"}}"#);
    world.answer(Answer::PresenceStats(3, 2));
    assert_eq!(peer.one(), json!({"id":4,"presence_stats":{"num_clients":3,"num_users":2}}));
    world.send(&peer, r#"{"id":5,"history":{"channel":"news","limit":-1}}"#);
    world.page(at(2), 1..=2);
    let publications = json!([{"data":1,"offset":1,"epoch":"abcdefgh"},{"data":2,"offset":2}]);
    assert_eq!(peer.one(), json!({"id":5,"history":{"publications":publications,"epoch":"abcdefgh","offset":2}}));
    for (history, code) in [
        (json!({"channel":"news","since":{"offset":0,"epoch":"abcdefgh"},"reverse":true}), 107),
        (json!({"channel":"news","since":{"offset":1,"epoch":"bogus"}}), 112),
    ] {
        world.send(&peer, &json!({"id": 6, "history": history}).to_string());
        assert_eq!(peer.one()["error"]["code"], code);
    }
    world.send(&peer, r#"{"id":7,"history":{"channel":"news","since":{"offset":1,"epoch":"zzzzzzzz"}}}"#);
    world.answer(Answer::Refused(ringway_core::message::Refusal::Unrecoverable));
    assert_eq!(peer.one()["error"]["code"], 112);
}

#[test]
fn who_is_not_let_in_is_counted_by_the_reason() {
    let config = HubConfig { allow_anonymous: false, ..HubConfig::open() };
    let mut world = World::new(config);
    let expired = token("ann", Some(unix() - 10));
    for connect in [json!({}), json!({"token": "garbage"}), json!({"token": expired}), json!({"token": expired})] {
        let peer = world.connect(Protocol::Centrifuge);
        world.send(&peer, &json!({"id": 1, "connect": connect}).to_string());
    }
    let _silent = world.connect(Protocol::Centrifuge);
    world.pass(Duration::from_secs(11));
    let expected = Refused { without_token: 1, invalid: 1, expired: 2, silent: 1, ..Refused::default() };
    assert_eq!(world.hub.counts().refused, expected);
}

#[test]
fn who_may_come_without_a_user_is_as_the_config_says() {
    let closed = || HubConfig { allow_anonymous: false, ..HubConfig::open() };
    let nobody = token("", None);
    for (config, connect, expected) in [
        (closed(), json!({}), Some(3501)),
        (closed(), json!({"token": nobody}), None),
        (HubConfig { disallow_anonymous_tokens: true, ..closed() }, json!({"token": nobody}), Some(3507)),
        (HubConfig { insecure: true, ..closed() }, json!({}), None),
        (HubConfig { insecure: true, ..closed() }, json!({"token": "garbage"}), Some(3500)),
    ] {
        let mut world = World::new(config.clone());
        let peer = world.connect(Protocol::Centrifuge);
        world.send(&peer, &json!({"id": 1, "connect": connect}).to_string());
        assert_eq!(peer.closed(), expected, "{connect} with {config:?}");
    }
    let mut world = World::new(HubConfig { insecure: true, ..closed() });
    let peer = world.connect(Protocol::Centrifuge);
    world.send(&peer, &json!({"id": 1, "connect": {"token": token("ann", Some(unix() + 60))}}).to_string());
    world.attached("#ann", None, 0);
    assert_eq!(peer.one()["connect"]["ttl"], serde_json::Value::Null, "tokens end there, connections do not");
}

/// Lets time pass until the client is pinged.
fn await_ping(world: &mut World, peer: &Peer) {
    while peer.seen().is_empty() {
        world.pass(Duration::from_millis(250));
    }
}

#[test]
fn a_pong_is_not_overdue_while_the_client_is_not_read_from() {
    let mut world = World::open();
    let peer = world.anonymous();
    await_ping(&mut world, &peer);
    peer.socket.0.lock().unread_for = Some(Duration::ZERO);
    world.pass(Duration::from_secs(60));
    assert_eq!(peer.closed(), None);
    peer.socket.0.lock().unread_for = Some(Duration::from_secs(3));
    world.pass(Duration::from_secs(8));
    assert_eq!(peer.closed(), None, "what it had sent before is just being read");
    world.send(&peer, "{}");
    assert_eq!(peer.closed(), None);
    peer.socket.0.lock().unread_for = Some(Duration::from_secs(100));
    await_ping(&mut world, &peer);
    world.pass(Duration::from_millis(8250));
    assert_eq!(peer.closed(), Some(3012));
}

#[test]
fn a_pong_is_not_overdue_while_the_client_works_off_what_came_before_the_ping() {
    let mut world = World::open();
    let peer = world.anonymous();
    await_ping(&mut world, &peer);
    peer.socket.0.lock().progressed_for = Some(Duration::from_millis(500));
    world.pass(Duration::from_secs(60));
    assert_eq!(peer.closed(), None);
    peer.socket.0.lock().progressed_for = Some(Duration::from_secs(9));
    world.pass(Duration::from_secs(8));
    assert_eq!(peer.closed(), Some(3012), "nothing moves any more");
}

#[test]
fn time_in_which_the_process_stood_still_is_nobodys_fault() {
    let mut world = World::open();
    let (peer, silent) = (world.anonymous(), world.connect(Protocol::Centrifuge));
    let expiring = world.connect(Protocol::Centrifuge);
    world.send(&expiring, &json!({"id":1,"connect":{"token": token("", Some(unix() + 5))}}).to_string());
    world.now += Duration::from_secs(3600);
    world.pass(Duration::from_millis(250));
    for peer in [&peer, &silent, &expiring] {
        assert_eq!(peer.closed(), None);
    }
    world.pass(Duration::from_secs(11));
    assert_eq!(silent.closed(), Some(3502), "the clock goes on");
}

#[test]
fn credentials_wait_for_a_refresh_that_was_not_read_and_not_for_ever() {
    let mut world = World::open();
    let peer = world.connect(Protocol::Centrifuge);
    world.send(&peer, &json!({"id":1,"connect":{"token": token("", Some(unix() + 1))}}).to_string());
    peer.socket.0.lock().unread_for = Some(Duration::ZERO);
    world.pass(Duration::from_secs(30));
    assert_eq!(peer.closed(), None);
    let _ = peer.seen();
    world.send(&peer, &json!({"id":2,"refresh":{"token": token("", Some(unix() + 1))}}).to_string());
    assert_eq!(peer.closed(), None);
    world.pass(Duration::from_secs(40));
    assert_eq!(peer.closed(), Some(3005));
}

#[test]
fn any_lifetime_of_a_token_works() {
    const YEAR: u64 = 366 * 86_400;
    for seconds in [28, YEAR, 34 * YEAR, 136 * YEAR, u64::MAX / 2, u64::MAX - unix()] {
        let mut world = World::open();
        let peer = world.connect(Protocol::Centrifuge);
        world.send(&peer, &json!({"id":1,"connect":{"token": token("", Some(unix() + seconds))}}).to_string());
        assert!(peer.one()["connect"]["ttl"].as_u64().unwrap() >= 27);
        for _ in 0..45 {
            world.pass(Duration::from_secs(1));
            if !peer.seen().is_empty() {
                world.send(&peer, "{}");
            }
        }
        assert_eq!(peer.closed(), None, "{seconds} s");
    }
}

#[test]
fn what_comes_after_a_connection_ended_is_not_the_next_ones_that_has_its_key() {
    let mut world = World::open();
    let gone = world.anonymous();
    let late = world.commands(&gone, r#"{"id":2,"subscribe":{"channel":"news"}}"#);
    let key = gone.ticket.session();
    world.hang_up(&gone);
    let next = world.anonymous();
    assert_eq!(next.ticket.session(), key);
    world.input(late);
    world.turn();
    assert!(next.seen().is_empty() && gone.seen().is_empty() && world.hub.audience.len() == 0);
}
