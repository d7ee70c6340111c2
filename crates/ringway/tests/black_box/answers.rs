//! What clients are answered, frame by frame: the same here, in one process and in several, as by the reference server.

mod cases;
mod talk;

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ringway_testkit::{CentrifugeClient, Process, Server};
use serde_json::json;

use crate::support::{BINARY, CHANGE, SOON, configured, dev};
use cases::{Names, cases};
use talk::answers;

/// The channels that the cases use.
const CONFIG: &str = include_str!("answers/ringway.toml");
/// Names the reference server for [`the_reference_server_answers_so`], as `host:port`.
const REFERENCE: &str = "ANSWERS_OF";

/// Has all cases answered; gives what differs from what is expected here, or of the reference server.
async fn differences(addr: SocketAddr, is_reference: bool) -> Vec<String> {
    let run = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_micros();
    let mut found = Vec::new();
    for case in cases(&Names(run.to_string())) {
        let expected = if is_reference { &case.expected } else { case.ours.as_ref().unwrap_or(&case.expected) };
        match answers(addr, &case).await {
            Ok(got) if expected.matches(&got) => {}
            Ok(got) => found.push(format!("{}\n   expected {expected}\n        got {got}", case.name)),
            Err(error) => found.push(format!("{}\n   expected {expected}\n        but {error:#}", case.name)),
        }
    }
    found
}

fn assert_none(differences: &[String]) {
    assert!(differences.is_empty(), "{} differ\n{}", differences.len(), differences.join("\n"));
}

#[tokio::test]
async fn one_process_answers_as_it_should() {
    let builder =
        Process::builder(&*BINARY, &["serve", "--dev", "--port", "0"]).env("RINGWAY_LINK_LISTEN", "127.0.0.1:0");
    let server = Server::start(configured(builder, CONFIG), SOON).await;
    assert_none(&differences(server.addr(), false).await);
}

#[tokio::test]
async fn three_nodes_answer_as_they_should() {
    let builder = Process::builder(&*BINARY, &["demo", "--port", "0", "--nodes", "3"]);
    let server = Server::start(configured(builder, &format!("{CONFIG}[cluster]\nslots = 1024\n")), CHANGE).await;
    server.settled(3).await;
    assert_none(&differences(server.addr(), false).await);
}

/// To be run by hand, beside a reference server with `answers/reference.json`: what it answers otherwise is shown.
#[tokio::test]
#[ignore = "needs the reference server: ANSWERS_OF=host:port"]
async fn the_reference_server_answers_so() {
    let addr = std::env::var(REFERENCE).expect("ANSWERS_OF names it, as host:port");
    assert_none(&differences(addr.parse().expect("an address and a port"), true).await);
}

#[tokio::test]
async fn a_subscription_ends_with_its_token_unless_it_is_renewed() {
    let server = dev("expiry_grace = \"1s\"\n[channels.namespaces.closed]\nallow_subscribe_for_client = false\n").await;
    let names = Names(String::new());
    let soon = || names.token(&json!({"channel": "closed:x", "exp": unix() + 3}));
    let mut lazy = CentrifugeClient::connect(server.addr()).await.unwrap();
    let mut ann = CentrifugeClient::connect(server.addr()).await.unwrap();
    for client in [&mut lazy, &mut ann] {
        let result = client.call("subscribe", json!({"channel": "closed:x", "token": soon()})).await.unwrap();
        assert_eq!(result["expires"], true, "{result}");
    }
    let later = names.token(&json!({"channel": "closed:x", "exp": unix() + 1000}));
    let renewed = ann.call("sub_refresh", json!({"channel": "closed:x", "token": later})).await.unwrap();
    assert!(renewed["ttl"].as_u64().unwrap() > 900, "{renewed}");
    let push = lazy.recv_push(SOON).await.unwrap();
    assert_eq!(push, json!({"channel": "closed:x", "unsubscribe": {"code": 2501, "reason": "expired"}}));
    server.publish("closed:x", json!("for those who stay")).await.unwrap();
    assert_eq!(ann.recv(SOON).await.unwrap().data, json!("for those who stay"));
    assert!(lazy.publications("closed:x").is_empty() && lazy.closed().is_none());
}

fn unix() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| Duration::as_secs(&time))
}
