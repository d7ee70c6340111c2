//! Processes that are asked to end: all of them do, in the time that is set, and at once where there is nothing to hand over.

use std::time::{Duration, Instant};

use ringway_testkit::machine::Standstill;
use ringway_testkit::process::Builder;
use ringway_testkit::{CentrifugeClient, Process, Server, eventually_ok};
use serde_json::json;

use crate::support::{BINARY, CHANGE, SOON, configured, plain, two_gateways};

/// What the members of these tests know.
const SECRET: &str = "known between members";
/// What "at once" may take: closing links and sockets in order.
const AT_ONCE: Duration = Duration::from_secs(2);
/// Starting and reaping a process on a machine with other things to do.
const SLACK: Duration = Duration::from_millis(500);

/// A first gateway, and where members join it.
async fn first_gateway(config: &str) -> (Server, String) {
    let builder = Process::builder(&*BINARY, &["gateway", "--port", "0", "--link-listen", "127.0.0.1:0"]);
    let config = format!(
        "[cluster]\nslots = 256\n[channels.namespaces.kept]\nallow_subscribe_for_client = true\nallow_subscribe_for_anonymous = true\nhistory_size = 100\nhistory_ttl = \"10m\"\n{config}"
    );
    let mut server = Server::start(configured(builder.env("RINGWAY_SECRET", SECRET), &config), SOON).await;
    let found = server.process.wait_for(r#"members address=([0-9.]+:[0-9]+)"#, SOON).await;
    (server, found[1].clone())
}

fn member(role: &str, id: &str, join: &str, config: &str) -> Builder {
    let builder = Process::builder(&*BINARY, &[role, "--join", join, "--id", id, "--link-listen", "127.0.0.1:0"]);
    let builder = if role == "gateway" { builder.arg("--port").arg("0") } else { builder };
    configured(builder.env("RINGWAY_SECRET", SECRET), config)
}

/// Asks it to end. Gives how long that took, without the time that nobody had, and the exit code.
async fn ended(process: &mut Process) -> (Duration, Option<i32>) {
    let (watch, asked) = (Standstill::watch(), Instant::now());
    process.terminate();
    let status = process.wait_exit(CHANGE).await;
    (asked.elapsed().saturating_sub(watch.total().0), status.code())
}

#[tokio::test]
async fn a_node_waits_for_a_registry_that_is_away_until_its_time_is_over() {
    let (server, link) = first_gateway("").await;
    let mut first = member("node", "n-1", &link, "[drain]\ntimeout = \"3s\"\n").start();
    let _second = member("node", "n-2", &link, "").start();
    server.settled(2).await;
    server.process.kill();
    let (took, code) = ended(&mut first).await;
    let told = first.stderr();
    assert!(took <= Duration::from_secs(3) + SLACK, "{took:?}\n{told}");
    assert!(took >= Duration::from_millis(1_500), "it has waited: {took:?}\n{told}");
    assert_eq!(code, Some(75), "{told}");
    for words in ["draining: waiting for the registry to answer", "the time for leaving is over"] {
        assert_eq!(told.lines().filter(|line| line.contains(words)).count(), 1, "{words}: {told}");
    }
}

#[tokio::test]
async fn a_gateway_without_a_registry_ends_soon() {
    let (server, link) = first_gateway("").await;
    let _node = member("node", "n-1", &link, "").start();
    let mut second = Server::start(member("gateway", "g-2", &link, ""), SOON).await;
    server.settled(1).await;
    server.process.kill();
    let (took, code) = ended(&mut second.process).await;
    assert!(took <= AT_ONCE * 3, "{took:?}");
    assert_eq!(code, Some(0), "{}", second.process.stderr());
}

#[tokio::test]
async fn a_whole_cluster_that_is_asked_to_end_hands_over_to_the_last() {
    let (mut server, link) = first_gateway("").await;
    let mut nodes = [1, 2, 3].map(|n| member("node", &format!("n-{n}"), &link, "").start());
    let mut second = Server::start(member("gateway", "g-2", &link, ""), SOON).await;
    server.settled(3).await;
    let (watch, asked) = (Standstill::watch(), Instant::now());
    server.process.terminate();
    second.process.terminate();
    nodes.iter().for_each(Process::terminate);
    for process in nodes.iter_mut().chain([&mut second.process, &mut server.process]) {
        let code = process.wait_exit(CHANGE).await.code();
        assert_eq!(code, Some(0), "{}", process.stderr());
    }
    let took = asked.elapsed().saturating_sub(watch.total().0);
    assert!(took <= Duration::from_secs(10), "two handovers of 256 slots: {took:?}");
    let last = nodes.iter().filter(|node| node.stderr().contains("this is the last node")).count();
    assert_eq!(last, 1, "one, and no other");
}

#[tokio::test]
async fn the_last_node_ends_at_once() {
    let (server, link) = first_gateway("").await;
    let mut node = member("node", "n-1", &link, "").start();
    server.settled(1).await;
    let (took, code) = ended(&mut node).await;
    assert!(took <= AT_ONCE && code == Some(0), "{took:?}, {code:?}: {}", node.stderr());
}

#[tokio::test]
async fn who_is_not_in_the_cluster_ends_at_once() {
    let (server, link) = first_gateway("").await;
    let _node = member("node", "n-1", &link, "").start();
    server.settled(1).await;
    let mut second = member("node", "n-1", &link, "").start();
    second.wait_for("a member with this id is in the view", SOON).await;
    let (took, code) = ended(&mut second).await;
    assert!(took <= AT_ONCE && code == Some(0), "its id is taken: {took:?}, {code:?}\n{}", second.stderr());
    // Nobody listens there: the port was free a moment ago, and nothing else of this test asks for one.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut joiner = member("node", "n-2", &nobody.to_string(), "").start();
    joiner.wait_for("listening for members", SOON).await;
    let (took, code) = ended(&mut joiner).await;
    assert!(took <= AT_ONCE && code == Some(0), "it has no view yet: {took:?}, {code:?}\n{}", joiner.stderr());
    server.settled(1).await;
}

#[tokio::test]
async fn a_gateway_sends_all_its_clients_away_in_time() {
    let (server, second) = two_gateways(2, "[drain]\nrate = 10\ntimeout = \"4s\"\n").await;
    let mut clients = Vec::new();
    for _ in 0..500 {
        clients.push(CentrifugeClient::connect(second).await.unwrap());
    }
    let mut bob = plain(second, "bob").await;
    let (watch, asked) = (Standstill::watch(), Instant::now());
    server.act("gateway-1", "stop").await.unwrap();
    let mut ends = Vec::new();
    while ends.len() < clients.len() {
        let closed = clients.iter().filter(|client| client.closed().is_some()).count();
        ends.extend(std::iter::repeat_n(asked.elapsed(), closed - ends.len()));
        assert!(asked.elapsed() < CHANGE, "{closed} of {}", clients.len());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bob.wait_closed(SOON).await.unwrap();
    assert!(clients.iter().all(|client| client.closed().and_then(|closed| closed.code) == Some(3001)));
    assert!(ends[499] <= Duration::from_secs(4) + watch.total().0, "the last one was told after {:?}", ends[499]);
    assert!(ends[250] > Duration::from_millis(500), "half of them after {:?}: no storm", ends[250]);
    eventually_ok(SOON, || async {
        let member = server.member("gateway-1").await?;
        anyhow::ensure!(member.state == "down", "{member:?}");
        Ok(())
    })
    .await;
    let took = asked.elapsed().saturating_sub(watch.total().0);
    assert!(took <= Duration::from_secs(4) + SLACK, "{took:?}");
    let mut client = CentrifugeClient::connect(server.addr()).await.unwrap();
    client.subscribe("room").await.unwrap();
    client.publish("room", json!(1)).await.unwrap();
}
