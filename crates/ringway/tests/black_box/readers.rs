//! Who reads is served, however much there is for it and however slowly it reads; who does not read is closed, and what
//! waits for it meanwhile is bounded.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ringway_protocol::ws::Opcode;
use ringway_testkit::raw::{Frame, RawWs};
use ringway_testkit::{Process, Server, eventually};
use serde_json::{Value, json};

use crate::support::{BINARY, CHANGE, SOON, configured, dev, named_request};

/// A Centrifuge client of bob, with a small buffer and no habits. What it sends first goes in one frame with the connect.
async fn bob(addr: SocketAddr, commands: &[Value]) -> RawWs {
    let mut socket = RawWs::connect_narrow(addr, "/connection/websocket").await.expect("a socket");
    let connect = json!({"id": 1, "connect": named_request("bob", json!({}))});
    let lines: Vec<String> = std::iter::once(&connect).chain(commands).map(Value::to_string).collect();
    socket.send_text(&lines.join("\n")).await.expect("it takes the commands");
    socket
}

/// The next messages of the server. Pings of both kinds are answered.
async fn next(socket: &mut RawWs) -> Vec<Value> {
    loop {
        match socket.recv(CHANGE).await.expect("a message") {
            Frame::Text(text) => {
                let messages: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
                if messages.contains(&json!({})) {
                    socket.send(Opcode::Text, b"{}").await.expect("it takes the pong");
                }
                return messages;
            }
            Frame::Ping(payload) => socket.send(Opcode::Pong, &payload).await.expect("it takes the pong"),
            other => panic!("not a message: {other:?}"),
        }
    }
}

/// Offsets of all publications that came, in order, by channel: of replies and of pushes.
#[derive(Default)]
struct Got(BTreeMap<String, Vec<u64>>);

impl Got {
    fn take(&mut self, channel: &str, publications: &Value) {
        for publication in publications.as_array().into_iter().flatten() {
            let offset = publication["offset"].as_u64().expect("an offset");
            self.0.entry(channel.to_owned()).or_default().push(offset);
        }
    }

    fn take_push(&mut self, message: &Value) {
        if let Some(channel) = message["push"]["channel"].as_str() {
            assert!(message["push"]["unsubscribe"].is_null(), "{message}");
            self.take(channel, &json!([message["push"]["pub"]]));
        }
    }

    fn count(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }
}

async fn metric(server: &Server, name: &str) -> f64 {
    server.metrics(name).await.expect("metrics").values().sum()
}

/// A number of kilobytes that Linux tells of the process.
fn kilobytes(server: &Server, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.process.pid())).expect("a process");
    let line = status.lines().find(|line| line.starts_with(name)).expect("the line");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

/// Whether the process has taken a SIGSTOP.
fn stopped(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    status.lines().any(|line| line.starts_with("State:") && line.contains("stopped"))
}

#[tokio::test]
async fn a_broadcast_of_much_reaches_who_reads() {
    let server = dev("").await;
    let mut socket = bob(server.addr(), &[]).await;
    assert!(next(&mut socket).await[0]["connect"]["client"].is_string());
    let data = "x".repeat(60_000);
    let twenty = vec!["#bob"; 20];
    server.api("broadcast", json!({"channels": twenty, "data": data})).await.expect("an answer");
    let mut got = Got::default();
    while got.count() < 20 {
        next(&mut socket).await.iter().for_each(|message| got.take_push(message));
    }
    assert_eq!(got.0["#bob"], (1..=20).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_client_comes_back_to_many_channels_with_much_in_each() {
    const CHANNELS: u64 = 60;
    let server = dev("").await;
    let data = "x".repeat(5_000);
    let channels: Vec<String> = (0..CHANNELS).map(|number| format!("c{number}")).collect();
    for _ in 0..10 {
        server.api("broadcast", json!({"channels": channels, "data": data})).await.expect("an answer");
    }
    // One of them has more than any page.
    for _ in 0..700 {
        server.publish("c0", json!("more")).await.expect("an acknowledgement");
    }
    let recover = |number: u64| json!({"channel": format!("c{number}"), "recover": true, "offset": 0, "epoch": ""});
    let commands: Vec<Value> =
        (0..CHANNELS).map(|number| json!({"id": number + 2, "subscribe": recover(number)})).collect();
    let mut socket = bob(server.addr(), &commands).await;
    let mut got = Got::default();
    while got.count() < 700 + 10 * CHANNELS as usize {
        for message in next(&mut socket).await {
            match message["id"].as_u64() {
                Some(id @ 2..) => {
                    assert_eq!(message["subscribe"]["recovered"], true, "{message}");
                    got.take(&format!("c{}", id - 2), &message["subscribe"]["publications"]);
                }
                _ => got.take_push(&message),
            }
        }
    }
    for (channel, offsets) in &got.0 {
        let last = if channel == "c0" { 710 } else { 10 };
        assert_eq!(offsets, &(1..=last).collect::<Vec<_>>(), "{channel}");
    }
    server.publish("c0", json!("live")).await.expect("an acknowledgement");
    let live = next(&mut socket).await;
    assert_eq!(live[0]["push"]["pub"]["offset"], 711, "{live:?}");
    assert_eq!(metric(&server, "ringway_sockets_slow_total").await, 0.0);
}

#[tokio::test]
async fn many_reads_in_one_frame_are_answered_and_cost_little() {
    const READS: u64 = 750;
    let server = dev("").await;
    for _ in 0..30 {
        server.publish("news", json!("x".repeat(10_000))).await.expect("an acknowledgement");
    }
    let mut socket = bob(server.addr(), &[json!({"id": 2, "subscribe": {"channel": "news"}})]).await;
    while next(&mut socket).await.iter().all(|message| message["id"] != 2) {}
    let before = kilobytes(&server, "VmRSS");
    let read = |id: u64| json!({"id": id, "history": {"channel": "news", "limit": -1}}).to_string();
    let reads: Vec<String> = (0..READS).map(|number| read(number + 10)).collect();
    socket.send_text(&reads.join("\n")).await.expect("it takes them");
    eventually(SOON, || async { (metric(&server, "ringway_client_bytes_waiting").await > 0.0).then_some(()) }).await;
    for number in 0..READS {
        let answer = next(&mut socket).await;
        let answer = answer.iter().find(|message| **message != json!({})).expect("an answer");
        assert_eq!(answer["id"], number + 10);
        assert_eq!(answer["history"]["publications"].as_array().map(Vec::len), Some(30));
    }
    let grown = kilobytes(&server, "VmHWM").saturating_sub(before);
    assert!(grown < 48 * 1024, "{READS} answers of 300 kB each cost {grown} kB");
}

#[tokio::test]
async fn a_history_of_many_pages_is_one_answer_and_costs_little() {
    const COUNT: u64 = 240;
    let server = dev("").await;
    let data = "x".repeat(60_000);
    for _ in 0..COUNT {
        server.publish("news", json!(data)).await.expect("an acknowledgement");
    }
    let mut socket = bob(server.addr(), &[json!({"id": 2, "subscribe": {"channel": "news"}})]).await;
    while next(&mut socket).await.iter().all(|message| message["id"] != 2) {}
    let before = kilobytes(&server, "VmHWM");
    socket.send_text(r#"{"id":3,"history":{"channel":"news","limit":-1}}"#).await.expect("it takes it");
    let by_client = next(&mut socket).await.remove(0);
    let by_server = server.api("history", json!({"channel": "news", "limit": -1})).await.expect("an answer");
    for answer in [&by_client["history"], &by_server] {
        let publications = answer["publications"].as_array().expect("publications");
        let offsets: Vec<u64> = publications.iter().filter_map(|one| one["offset"].as_u64()).collect();
        assert_eq!(offsets, (1..=COUNT).collect::<Vec<_>>());
        assert_eq!(answer["offset"], COUNT);
    }
    let grown = kilobytes(&server, "VmHWM") - before;
    assert!(grown < 8 * 1024, "two answers of 14 MB, one after the other, cost {grown} kB");
}

#[tokio::test]
async fn who_reads_slowly_stays_and_who_does_not_read_goes() {
    let server = dev("slow_timeout = \"1s\"\n[limits.session]\noutbox_bytes = \"64KiB\"\n").await;
    let mut reader = bob(server.addr(), &[]).await;
    let mut sleeper = bob(server.addr(), &[]).await;
    let (_, _) = (next(&mut reader).await, next(&mut sleeper).await);
    let twenty = vec!["#bob"; 20];
    server.api("broadcast", json!({"channels": twenty, "data": "x".repeat(60_000)})).await.expect("an answer");
    let mut got = Got::default();
    while got.count() < 20 {
        next(&mut reader).await.iter().for_each(|message| got.take_push(message));
        // Three times as long in all as a client may take nothing.
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    assert_eq!(got.0["#bob"], (1..=20).collect::<Vec<_>>());
    eventually(SOON, || async { (metric(&server, "ringway_sockets_slow_total").await > 0.0).then_some(()) }).await;
    let closed = sleeper.closed(SOON).await.expect("an end");
    assert_eq!(closed.map(|(code, _)| code), Some(3008));
    server.publish("#bob", json!("still here")).await.expect("an acknowledgement");
    assert_eq!(next(&mut reader).await[0]["push"]["pub"]["offset"], 21);
}

#[tokio::test]
async fn a_pong_behind_publishes_that_wait_is_in_time() {
    // Both sections have what the demos of these tests have besides.
    let client =
        "token.hmac_secret_key = \"a signing key for tests alone\"\nping_interval = \"1s\"\npong_timeout = \"300ms\"";
    let builder = Process::builder(&*BINARY, &["demo", "--port", "0", "--nodes", "1"]);
    let builder = configured(
        builder,
        &format!("[client]\n{client}\n[cluster]\nslots = 1024\n[cluster.timing]\ndeadline = \"2s\"\n"),
    );
    let server = Server::start(builder, CHANGE).await;
    server.settled(1).await;
    let subscribe = json!({"id": 2, "subscribe": {"channel": "news"}});
    let mut socket = bob(server.addr(), &[subscribe]).await;
    while next(&mut socket).await.iter().all(|message| message["id"] != 2) {}
    let node = server.act("node-1", "freeze").await.expect("it freezes");
    // The signal is on its way when the action is answered, and what the node still answers does not wait.
    eventually(SOON, || async { stopped(node.pid).then_some(()) }).await;
    let publishes: Vec<String> = (0..40)
        .map(|number| json!({"id": 10 + number, "publish": {"channel": "news", "data": number}}).to_string())
        .collect();
    for publish in &publishes {
        socket.send_text(publish).await.expect("it takes it");
    }
    // The server gives them up after two seconds; it is not read from until then, and the ping's 1.3 s are over.
    let (mut answered, began) = (0, Instant::now());
    while answered < publishes.len() {
        answered += next(&mut socket).await.iter().filter(|message| message["id"].is_u64()).count();
    }
    assert!(began.elapsed() > Duration::from_secs(2), "no ping came while they waited: {:?}", began.elapsed());
    server.act("node-1", "thaw").await.expect("it thaws");
}
