//! Much at once: what is large goes in parts, and costs nobody who has nothing to do with it.

use std::time::{Duration, Instant};

use ringway_testkit::{Process, Server, http};
use serde_json::json;

use crate::support::{BINARY, CHANGE, configured};

/// Bytes of one publication: close to the most that clients may send.
const LARGE: usize = 60_000;
/// Others wait no longer for an answer than this while much is copied, 99 of 100 times.
const OTHERS_WAIT: Duration = Duration::from_millis(250);

async fn demo(nodes: usize) -> Server {
    let builder = Process::builder(BINARY, &["demo", "--port", "0", "--nodes", &nodes.to_string()]);
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
    let logs = server.process.logs();
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
    // 48 MB that the gateway has at once, and of which an owner is sent a small part at a time.
    let channels: Vec<String> = (0..800).map(|number| format!("channel-{number}")).collect();
    let said =
        server.api("broadcast", json!({"channels": channels, "data": "x".repeat(LARGE)})).await.expect("an answer");
    let answers = said["responses"].as_array().expect("an answer for each");
    assert!(answers.len() == 800 && answers.iter().all(|answer| answer["error"].is_null()), "{said}");
    assert_eq!(closed_links(&server), Vec::<String>::new());
}
