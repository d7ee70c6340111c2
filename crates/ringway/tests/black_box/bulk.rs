//! Much at once: what is large goes in parts, and costs nobody who has nothing to do with it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ringway_testkit::{CentrifugeClient, Process, Server, Target, eventually, http};
use serde_json::{Value, json};

use crate::support::{BINARY, CHANGE, configured, token};

/// Bytes of one publication: close to the most that clients may send.
const LARGE: usize = 60_000;
/// Others wait no longer for an answer than this while much is copied, 99 of 100 times.
const OTHERS_WAIT: Duration = Duration::from_millis(250);

/// The same while a list is told. That takes so short a time that the slowest of some twenty publishes is what counts.
const LISTS_WAIT: Duration = Duration::from_secs(1);

async fn demo(nodes: usize) -> Server {
    let builder = Process::builder(&*BINARY, &["demo", "--port", "0", "--nodes", &nodes.to_string()]);
    let config = "[cluster]\nslots = 1024\n[channels.without_namespace]\nhistory_size = 20000\nhistory_ttl = \"1h\"\n\
                  [limits.node]\nhistory_bytes = \"2GiB\"\n";
    let server = Server::start(configured(builder, config), CHANGE).await;
    server.settled(nodes).await;
    server
}

/// Fills a channel with so many large publications.
async fn fill(server: &Server, channel: &str, count: u64) {
    let text = "x".repeat(LARGE);
    for number in 0..count {
        let result = server.publish(channel, json!({"number": number, "text": text})).await.expect("room");
        assert_eq!(result["offset"], number + 1);
    }
}

/// Links of members that are in the logs as closed because their queue was full.
fn closed_links(server: &Server) -> Vec<String> {
    let mut logs = server.process.logs();
    // The first gateway's own.
    logs.push(("stderr".into(), server.process.stderr()));
    let lines = logs.iter().flat_map(|(_, log)| log.lines());
    lines.filter(|line| line.contains("bytes were waiting to be sent")).map(str::to_owned).collect()
}

async fn owner(server: &Server, channel: &str) -> String {
    let place = server.admin_get(&format!("/admin/ring?key={channel}")).await.expect("an answer").json().expect("JSON");
    place["owner"].as_str().expect("an owner").to_owned()
}

/// Kills the owner and waits for its slots to be whole again; how long 99 of 100 publishes to other channels took meanwhile. Says both.
async fn kill_owner(server: &Server, channel: &str, left: usize) -> Duration {
    let owner = owner(server, channel).await;
    server.act(&owner, "kill").await.expect("a node to kill");
    let (killed, mut waits) = (Instant::now(), Vec::new());
    let publish = async {
        for number in 0.. {
            let began = Instant::now();
            server.publish(&format!("other-{}", number % 50), json!(number)).await.expect("others are served");
            waits.push(began.elapsed());
        }
    };
    tokio::select! {
        () = publish => {}
        () = server.settled(left) => {}
    }
    waits.sort_unstable();
    let wait = waits[waits.len() * 99 / 100];
    println!("settled {:?} after the kill; {} other publishes, p99 {wait:?}", killed.elapsed(), waits.len());
    wait
}

async fn large_channel_survives(count: u64) {
    let server = demo(4).await;
    fill(&server, "large", count).await;
    for left in [3, 2] {
        let wait = kill_owner(&server, "large", left).await;
        assert!(wait <= OTHERS_WAIT, "others waited for {wait:?}");
    }
    let top = server.api("history", json!({"channel": "large", "limit": 1, "reverse": true})).await.expect("a history");
    assert_eq!(top["publications"][0]["offset"], count, "the newest is there");
    let oldest = server.api("history", json!({"channel": "large", "limit": 1})).await.expect("a history");
    assert_eq!(oldest["publications"][0]["offset"], 1, "and the oldest");
    assert_eq!(closed_links(&server), Vec::<String>::new());
    let health = http::get(server.addr(), "/health", &[]).await.expect("an answer");
    assert_eq!((health.status, health.json().expect("JSON")["status"].clone()), (200, json!("ok")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_channel_survives_two_kills_and_others_do_not_notice() {
    large_channel_survives(2_000).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs 4 GiB of memory: ./scripts/test long"]
async fn long_a_channel_of_900_megabytes_survives_two_kills() {
    large_channel_survives(15_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_large_publishes_at_once_wait_for_their_turn() {
    let server = demo(2).await;
    // 48 MB that the gateway has at once for one owner, which is sent a small part at a time: a link's queue holds 32 MiB.
    let keys: Vec<String> = (0..2_000).map(|number| format!("key=channel-{number}")).collect();
    let places = server.places(&keys).await.expect("a view that stays");
    let of_one_owner = keys.iter().filter(|key| places[*key].owner == "node-1");
    let channels: Vec<&str> = of_one_owner.filter_map(|key| key.strip_prefix("key=")).take(800).collect();
    assert_eq!(channels.len(), 800, "node-1 owns about half of all");
    let said =
        server.api("broadcast", json!({"channels": channels, "data": "x".repeat(LARGE)})).await.expect("an answer");
    assert_eq!(closed_links(&server), Vec::<String>::new());
    let answers = said["responses"].as_array().expect("an answer for each");
    let refused: Vec<_> = answers.iter().filter(|answer| !answer["error"].is_null()).collect();
    assert_eq!((answers.len(), refused.len()), (800, 0), "{:?}", refused.first());
}

/// How long 99 of 100 publishes of others take while something is done.
async fn others_meanwhile<T>(server: &Server, doing: impl Future<Output = T>) -> (T, Duration) {
    let mut waits = Vec::new();
    let publish = async {
        for number in 0.. {
            let began = Instant::now();
            server.publish(&format!("other-{}", number % 50), json!(number)).await.expect("others are served");
            waits.push(began.elapsed());
        }
    };
    let done = tokio::select! {
        () = publish => unreachable!("it goes on for ever"),
        done = doing => done,
    };
    waits.sort_unstable();
    let wait = waits.get(waits.len() * 99 / 100).copied().unwrap_or_default();
    println!("{} other publishes meanwhile, p99 {wait:?}", waits.len());
    (done, wait)
}

/// Members of a channel whose descriptions together are far more than what a socket may have waiting, and than a part.
async fn members_with_much_to_say(server: &Server, count: usize, bytes: usize) -> Vec<CentrifugeClient> {
    let mut members = Vec::new();
    for number in 0..count {
        let token = token(&json!({"sub": format!("user-{}", number % 100), "info": {"text": "i".repeat(bytes)}}));
        let target = Target::from(server.addr());
        let mut member = CentrifugeClient::connect_with(&target, json!({"token": token})).await.expect("a member");
        member.subscribe("crowd").await.expect("a subscription");
        members.push(member);
    }
    members
}

#[tokio::test(flavor = "multi_thread")]
async fn very_many_who_are_present_are_told_in_parts_and_others_do_not_notice() {
    let server = crate::support::demo(2).await;
    let mut members = members_with_much_to_say(&server, 400, 20_000).await;
    let (present, wait) = others_meanwhile(&server, members[7].presence("crowd")).await;
    let present = present.expect("eight megabytes that a client can read");
    assert_eq!(present.as_object().expect("members").len(), 400);
    assert!(wait <= LISTS_WAIT, "others waited for {wait:?}");
    let (listed, wait) = others_meanwhile(&server, server.api("presence", json!({"channel": "crowd"}))).await;
    let listed = listed.expect("a list");
    assert_eq!(listed["presence"].as_object().expect("members").len(), 400);
    assert!(members.iter().all(|member| listed["presence"][member.id()]["conn_info"]["text"].is_string()));
    assert!(wait <= LISTS_WAIT, "others waited for {wait:?}");
    let counts = server.api("presence_stats", json!({"channel": "crowd"})).await.expect("numbers");
    assert_eq!(counts, json!({"num_clients": 400, "num_users": 100}));
    assert!(members.iter().all(|member| member.closed().is_none()), "nobody is closed for what it asked");
    assert_eq!(closed_links(&server), Vec::<String>::new());
}

/// The connect of one who has as much to say of itself as it may.
fn much_to_say(number: usize) -> Value {
    let info = json!({"text": "i".repeat(LARGE)});
    json!({"token": token(&json!({"sub": format!("user-{}", number % 100), "info": info}))})
}

/// So many members of one channel with as much to say of themselves as they may, one in ten at the other gateway.
async fn large_crowd(gateway: SocketAddr, other: SocketAddr, count: usize) -> Vec<CentrifugeClient> {
    let mut members = Vec::new();
    for number in 0..count {
        let target = Target::from(if number % 10 == 0 { other } else { gateway });
        let mut member = CentrifugeClient::connect_with(&target, much_to_say(number)).await.expect("a member");
        member.subscribe("crowd").await.expect("a subscription");
        members.push(member);
    }
    members
}

/// Backends and clients of both gateways are told of every member.
async fn all_are_told(server: &Server, members: &mut [CentrifugeClient]) {
    let mut told = vec![server.api("presence", json!({"channel": "crowd"})).await.expect("a list")["presence"].take()];
    for member in &mut members[..2] {
        told.push(member.presence("crowd").await.expect("a list that a client can read"));
    }
    for told in told {
        let text = |member: &CentrifugeClient| told[member.id()]["conn_info"]["text"].as_str().map(str::len);
        assert!(members.iter().all(|member| text(member) == Some(LARGE)), "everybody");
        assert_eq!(told.as_object().expect("members").len(), members.len(), "and nobody else");
    }
}

/// 42 MB, of which one gateway has nine in ten: more than the queue of a link may hold when the next owner is told.
#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_with_much_to_say_is_told_whole_by_the_next_owner() {
    let config = "[limits.session]\nmessage_bytes = \"128KiB\"\n";
    let (server, second) = crate::support::two_gateways(3, config).await;
    let mut members = large_crowd(server.addr(), second, 700).await;
    all_are_told(&server, &mut members).await;
    for left in [2, 1] {
        let wait = kill_owner(&server, "crowd", left).await;
        let began = Instant::now();
        let (_, others) = others_meanwhile(&server, all_are_told(&server, &mut members)).await;
        println!("all were told after another {:?}", began.elapsed());
        assert!(wait.max(others) <= LISTS_WAIT, "others waited for {wait:?} and {others:?}");
        let listed = server.members().await.expect("members");
        let active = listed.iter().filter(|member| member.state == "active").count();
        assert_eq!(active, left + 2, "nobody else is removed: {listed:?}");
        assert_eq!(closed_links(&server), Vec::<String>::new());
    }
    assert!(members.iter().all(|member| member.closed().is_none()), "nobody is closed");
}

/// 54 MB of those who come while their owner takes nothing: more than the queue of a link holds.
#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_that_comes_while_its_owner_takes_nothing_is_told_whole_when_it_does() {
    let (server, second) = crate::support::two_gateways(2, "[limits.session]\nmessage_bytes = \"128KiB\"\n").await;
    let mut members = vec![CentrifugeClient::connect_with(&second.into(), much_to_say(0)).await.expect("a member")];
    members[0].subscribe("crowd").await.expect("a subscription");
    for number in 1..900 {
        members.push(CentrifugeClient::connect_with(&second.into(), much_to_say(number)).await.expect("a member"));
    }
    let stall = json!({"from": "gateway-1", "seconds": 6, "bytes_per_second": 0});
    let owner = owner(&server, "crowd").await;
    let answer = server.admin_post_json(&format!("/admin/members/{owner}/slow"), &stall).await.expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.text());
    for member in &mut members[1..] {
        member.subscribe("crowd").await.expect("a subscription, of which the owner need not know yet");
    }
    let listed = async || {
        let listed = server.api("presence", json!({"channel": "crowd"})).await;
        listed.ok().filter(|listed| listed["presence"].as_object().is_some_and(|found| found.len() == 900))
    };
    eventually(CHANGE, listed).await;
    all_are_told(&server, &mut members).await;
    assert_eq!(closed_links(&server), Vec::<String>::new());
    assert!(members.iter().all(|member| member.closed().is_none()), "nobody is closed");
}

/// So many sessions, each with so many channels of its own with long names.
async fn crowd_of_channels(server: &Server, sessions: usize, each: usize) -> Vec<CentrifugeClient> {
    let long = "n".repeat(180);
    let mut clients = Vec::new();
    for session in 0..sessions {
        let client = CentrifugeClient::connect(server.addr()).await.expect("a client");
        for number in 0..each {
            let subscribe = json!({"channel": format!("{session}-{number}-{long}")});
            client
                .send_text(&json!({"id": 1000 + number, "subscribe": subscribe}).to_string())
                .expect("an open socket");
            // What is unsent has a limit.
            if number % 100 == 99 {
                tokio::task::yield_now().await;
            }
        }
        clients.push(client);
    }
    clients
}

async fn all_channels_are_listed(sessions: usize, each: usize) {
    let server = crate::support::demo(3).await;
    let clients = crowd_of_channels(&server, sessions, each).await;
    let all = sessions * each;
    let listed = async {
        loop {
            let listed = server.api("channels", json!({})).await.expect("a list");
            let found = listed["channels"].as_object().expect("channels").len();
            if found >= all {
                break found;
            }
        }
    };
    let (found, wait) =
        others_meanwhile(&server, async { tokio::time::timeout(CHANGE, listed).await.expect("all of them") }).await;
    // Each of the others is published to, and nobody listens.
    assert_eq!(found, all);
    assert!(wait <= LISTS_WAIT, "others waited for {wait:?}");
    let few = server.api("channels", json!({"pattern": "3-1-*"})).await.expect("a list");
    assert_eq!(few["channels"].as_object().expect("channels").len(), 1);
    assert!(clients.iter().all(|client| client.closed().is_none()));
    assert_eq!(closed_links(&server), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn very_many_channels_are_listed_while_others_are_served() {
    all_channels_are_listed(50, 100).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute: ./scripts/test long"]
async fn long_a_hundred_thousand_channels_are_listed() {
    all_channels_are_listed(1_000, 100).await;
}
