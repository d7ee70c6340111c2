//! Links that are slow: across the world, or with less room than there is to carry.

use std::time::{Duration, Instant};

use ringway_testkit::{Pace, Process, Progress, Server, Swarm, SwarmConfig, eventually_ok};
use serde_json::json;

use crate::support::{BINARY, CHANGE, configured, demo};

/// One way around the world.
const DELAY_MS: u64 = 250;
/// A node's link to another one.
const PACE: u64 = 1_000_000;
/// Bytes of one publication.
const LARGE: usize = 60_000;

/// What `from` sends arrives at `to` like this for as long as a test takes.
async fn slow(server: &Server, to: &str, from: &str, how: &serde_json::Value) {
    let mut body = json!({"from": from, "seconds": 590});
    body.as_object_mut().expect("a body").extend(how.as_object().expect("fields").clone());
    let answer = server.admin_post_json(&format!("/admin/members/{to}/slow"), &body).await.expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.text());
}

async fn slow_both(server: &Server, one: &str, other: &str, how: &serde_json::Value) {
    slow(server, one, other, how).await;
    slow(server, other, one, how).await;
}

/// Members that have been taken for dead, and come in again, or are gone.
async fn are_well(server: &Server, nodes: &[&str]) {
    for member in server.members().await.expect("the members") {
        let well = member.state == "active" || !nodes.contains(&member.id.as_str());
        assert!(well, "{} is {}", member.id, member.state);
    }
}

#[tokio::test]
async fn an_order_that_makes_no_sense_is_refused() {
    let server = demo(2).await;
    let refused = [
        (json!({"from": "node-1", "seconds": 1}), 400),
        (json!({"from": "node-9", "seconds": 1}), 404),
        (json!({"from": "node-2", "seconds": 0}), 400),
        (json!({"from": "node-2", "seconds": 1, "delay_ms": 10_001}), 400),
        (json!({"from": "node-2", "seconds": 1, "delay_ms": -1}), 400),
        (json!({"from": "node-2", "seconds": 1, "bytes_per_second": "many"}), 400),
        (json!({"from": "node-2", "seconds": 1, "pace": 1}), 400),
    ];
    for (body, status) in refused {
        let answer = server.admin_post_json("/admin/members/node-1/slow", &body).await.expect("an answer");
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
    }
}

/// A link that says nothing for a while, and then goes on, is the same link, and nobody is removed for less than a silence.
#[tokio::test(flavor = "multi_thread")]
async fn a_stall_ends_and_everything_that_waited_comes() {
    let server = demo(2).await;
    let body = |from: &str| json!({"from": from, "seconds": 1, "bytes_per_second": 0});
    for (to, from) in [("node-1", "node-2"), ("node-2", "node-1")] {
        let answer = server.admin_post_json(&format!("/admin/members/{to}/slow"), &body(from)).await;
        assert_eq!(answer.expect("an answer").status, 200);
    }
    let began = Instant::now();
    // With two nodes every channel has its second copy at the other end of that link.
    for number in 1..=20 {
        let answer = server.publish("news", json!(number)).await.expect("an acknowledgement");
        assert_eq!(answer["offset"], number);
    }
    assert!(began.elapsed() >= Duration::from_millis(500), "nothing was stalled: {:?}", began.elapsed());
    are_well(&server, &["node-1", "node-2"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_across_the_world_loses_nothing() {
    let server = demo_for_all(3).await;
    let members = ["gateway-0", "node-1", "node-2", "node-3"];
    for (at, one) in members.iter().enumerate() {
        for other in &members[at + 1..] {
            slow_both(&server, one, other, &json!({"delay_ms": DELAY_MS})).await;
        }
    }
    let config = SwarmConfig::new(server.addr().into(), 100, 50);
    let swarm = Swarm::connect(config, &Progress::new()).await.expect("a swarm");
    swarm.start(Pace::Rate(200.0));
    server.settled(3).await;
    server.act("node-2", "kill").await.expect("a node to kill");
    server.settled(2).await;
    server.act("node-2", "start").await.expect("a node to start");
    server.settled(3).await;
    server.act("node-1", "stop").await.expect("a node to stop");
    server.wait_state("node-1", "down", CHANGE).await;
    server.settled(2).await;
    swarm.send_sample(150);
    swarm.stop();
    swarm.drained(Duration::from_secs(20)).await;
    let report = swarm.report();
    println!("{report}");
    println!("latencies: {}", swarm.latencies());
    let check = &report.check;
    let wrong = (report.closed, check.lost, check.doubled, check.reordered, check.unanswered, report.unrecovered);
    assert_eq!(wrong, (0, 0, 0, 0, 0, 0), "{report}");
    // There and back, between gateway and owner and between owner and standby.
    assert!(swarm.latencies().max_ms >= 2.0 * DELAY_MS as f64, "the links were not slow: {}", swarm.latencies());
    are_well(&server, &["node-2", "node-3"]).await;
}

/// Open to all: the swarm's users have no tokens.
async fn demo_for_all(nodes: usize) -> Server {
    let builder = Process::builder(&*BINARY, &["demo", "--port", "0", "--nodes", &nodes.to_string()]);
    let server = Server::start(configured(builder, "[cluster]\nslots = 1024\n"), CHANGE).await;
    server.settled(nodes).await;
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn a_narrow_link_between_nodes_carries_a_large_channel() {
    copied_over_a_narrow_link(250).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: ./scripts/test long"]
async fn long_a_narrow_link_between_nodes_carries_a_channel_of_100_megabytes() {
    copied_over_a_narrow_link(1_700).await;
}

async fn copied_over_a_narrow_link(count: u64) {
    let server = server_of_large_channels().await;
    let text = "x".repeat(LARGE);
    for number in 1..=count {
        let result = server.publish("large", json!(text)).await.expect("room");
        assert_eq!(result["offset"], number);
    }
    let place = server.places(&["key=large".into()]).await.expect("a view that stays").remove("key=large").expect("it");
    let (owner, standby) = (place.owner, place.standby);
    let third = ["node-1", "node-2", "node-3"].into_iter().find(|id| *id != owner && *id != standby).expect("a third");
    slow_both(&server, &standby, third, &json!({"bytes_per_second": PACE})).await;
    server.act(&owner, "kill").await.expect("a node to kill");
    let least = Duration::from_secs_f64(count as f64 * LARGE as f64 / PACE as f64);
    let (took, slowest, others) = others_while_copying(&server, &[&standby, third], least).await;
    println!("{count} publications were copied in {took:?}; {others} others meanwhile, the slowest {slowest:?}");
    assert!(took >= least.mul_f64(0.8), "the link was not narrow: {took:?}");
    assert!(slowest <= Duration::from_secs(3), "others waited for {slowest:?}");

    // The copy that came over the narrow link is all there is.
    server.act(&standby, "kill").await.expect("a node to kill");
    for (reverse, offset) in [(false, 1), (true, count)] {
        let body = json!({"channel": "large", "limit": 1, "reverse": reverse});
        let kept = eventually_ok(CHANGE, || server.api("history", body.clone())).await;
        assert_eq!(kept["publications"][0]["offset"], offset, "{kept}");
    }
    for number in 0..50 {
        let other = format!("other-{number}");
        let kept = server.api("history", json!({"channel": other, "limit": 0})).await.expect("a history");
        let sent = (others + 49 - number) / 50;
        assert_eq!(kept["offset"], sent, "{other}: what was acknowledged is there, and nothing twice");
    }
}

async fn server_of_large_channels() -> Server {
    let builder = Process::builder(&*BINARY, &["demo", "--port", "0", "--nodes", "3"]);
    let config = "[cluster]\nslots = 1024\n[channels.without_namespace]\nhistory_size = 20000\nhistory_ttl = \"1h\"\n";
    let server = Server::start(configured(builder, config), CHANGE).await;
    server.settled(3).await;
    server
}

/// Publishes to fifty other channels in turn until everything has its copies again, and looks that nobody is taken for dead. How
/// long the copying took, how long the slowest publish, and how many there were.
async fn others_while_copying(server: &Server, left: &[&str], least: Duration) -> (Duration, Duration, u64) {
    let (began, mut slowest, mut count, mut begun) = (Instant::now(), Duration::ZERO, 0, false);
    loop {
        let sent = Instant::now();
        server.publish(&format!("other-{}", count % 50), json!(count)).await.expect("others are served");
        // What the dead owner had is published to again once that is known.
        if began.elapsed() > Duration::from_secs(5) {
            slowest = slowest.max(sent.elapsed());
        }
        count += 1;
        are_well(server, left).await;
        let unsettled = server.metrics("ringway_node_slots_unsettled").await.expect("metrics");
        // Until somebody has noticed the death, all is as it was.
        begun |= unsettled.values().any(|slots| *slots > 0.0);
        if begun && unsettled.len() == left.len() && unsettled.values().all(|slots| *slots == 0.0) {
            return (began.elapsed(), slowest, count);
        }
        assert!(began.elapsed() < 3 * least + 2 * CHANGE, "it takes too long: {unsettled:?}");
    }
}
