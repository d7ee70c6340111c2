//! Members say how they are, each of them, and an orchestrator that starts processes anew has no reason to while they turn.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use parking_lot::Mutex;
use ringway_testkit::process::Builder;
use ringway_testkit::server::{KEY, TOKEN};
use ringway_testkit::{Process, Server, eventually_ok, http, process};
use serde_json::{Value, json};

use crate::support::{BINARY, CHANGE, SOON, configured, demo, dev};

const SECRET: &str = "known between members";

/// A member of a cluster that others join, whose health is on a port of its own.
fn member(arguments: &[&str]) -> Builder {
    let builder = Process::builder(&*BINARY, arguments).env("RINGWAY_SECRET", SECRET);
    builder.env("RINGWAY_LINK_LISTEN", "127.0.0.1:0").env("RINGWAY_INTERNAL_LISTEN", "127.0.0.1:0")
}

/// Where a process answers those who watch it; known before it has joined.
async fn internal(process: &mut Process) -> SocketAddr {
    let found =
        process.wait_for("listening for health, metrics, admin API and page address=([0-9.]+:[0-9]+)", SOON).await;
    found[1].parse().expect("an address and a port")
}

async fn health(addr: SocketAddr) -> anyhow::Result<(u16, Value)> {
    let answer = http::get(addr, "/health", &[]).await?;
    Ok((answer.status, answer.json()?))
}

/// Waits until it is so, and a reason begins like this.
async fn wait_health(addr: SocketAddr, code: u16, status: &str, reason: &str) {
    eventually_ok(CHANGE, || async {
        let (answered, body) = health(addr).await?;
        ensure!((answered, &body["status"]) == (code, &json!(status)), "{answered} {body}");
        let why = body["why"].as_array().context("no list of reasons")?;
        let told = |why: &Value| why.as_str().is_some_and(|why| why.starts_with(reason));
        ensure!(reason.is_empty() == why.is_empty() && (reason.is_empty() || why.iter().any(told)), "{body}");
        Ok(())
    })
    .await;
}

async fn metric(addr: SocketAddr, name: &str) -> f64 {
    http::get(addr, "/metrics", &[]).await.expect("an answer").metric(name).values().sum()
}

type Headers<'a> = &'a [(&'a str, &'a str)];

/// Asks processes whether they live, over and over.
struct Probe {
    asking: tokio::task::JoinHandle<()>,
    answers: Arc<Mutex<(usize, Vec<String>)>>,
}

impl Probe {
    fn of(addrs: Vec<SocketAddr>) -> Self {
        let answers = Arc::<Mutex<(usize, Vec<String>)>>::default();
        let seen = answers.clone();
        let asking = tokio::spawn(async move {
            loop {
                for addr in &addrs {
                    let answer = http::get(*addr, "/health/live", &[]).await;
                    let mut seen = seen.lock();
                    match answer {
                        Ok(answer) if answer.status == 200 => seen.0 += 1,
                        Ok(answer) => seen.1.push(format!("{addr}: {} {}", answer.status, answer.text())),
                        Err(why) => seen.1.push(format!("{addr}: {why}")),
                    }
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        Self { asking, answers }
    }

    fn always_lived(&self) {
        let (lived, died) = &*self.answers.lock();
        assert!(*lived > 10 && died.is_empty(), "{lived} answers were good, and {died:?}");
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.asking.abort();
    }
}

#[tokio::test]
async fn without_its_second_node_a_cluster_is_degraded_until_it_is_back() {
    let mut server = demo(2).await;
    let addr = server.addr();
    wait_health(addr, 200, "ok", "").await;
    assert_eq!(metric(addr, "ringway_slots_without_second_copy").await, 0.0);
    let probe = Probe::of(vec![addr]);
    assert!(process::kill(server.member("node-2").await.unwrap().pid));
    wait_health(addr, 200, "degraded", "no second copy of 1024 slots: there is one active node").await;
    assert_eq!(metric(addr, "ringway_slots_without_second_copy").await, 1024.0);
    assert_eq!(metric(addr, "ringway_slots_unserved").await, 0.0);
    server.process.wait_for("WARN .*health is degraded: no second copy of 1024 slots", SOON).await;
    server.publish("room", json!(1)).await.expect("one copy is enough to go on");
    server.act("node-2", "start").await.unwrap();
    wait_health(addr, 200, "ok", "").await;
    assert_eq!(metric(addr, "ringway_slots_without_second_copy").await, 0.0);
    server.process.wait_for("INFO .*health is ok again, after [0-9.]+s", SOON).await;
    probe.always_lived();
}

#[tokio::test]
async fn where_both_copies_are_lost_it_fails_until_their_slots_begin_anew() {
    let builder = Process::builder(&*BINARY, &["demo", "--port", "0", "--nodes", "3"]);
    // An owner begins anew six fifths of this after the loss.
    let config = "[cluster]\nslots = 256\n[cluster.timing]\npair = \"5s\"\n";
    let mut server = Server::start(configured(builder, config), CHANGE).await;
    server.settled(3).await;
    let (addr, lost) = (server.addr(), ["node-1", "node-2"]);
    let probe = Probe::of(vec![addr]);
    // Whoever is frozen may still act, for all that is known: so their slots do not begin anew at once.
    for id in lost {
        assert!(process::freeze(server.member(id).await.unwrap().pid));
    }
    eventually_ok(CHANGE, || async {
        let (code, body) = health(addr).await?;
        ensure!(code == 503 && body["status"] == "failing", "{code} {body}");
        let why = body["why"].to_string();
        ensure!(why.contains(" slots are not served") && why.contains("of node-3"), "{body}");
        Ok(())
    })
    .await;
    server.process.wait_for("ERROR .*health is failing: ", SOON).await;
    wait_health(addr, 200, "degraded", "no second copy of 256 slots").await;
    probe.always_lived();
}

#[tokio::test]
async fn a_node_without_room_for_history_fails_and_says_which() {
    let config = "[cluster]\nreplicas = 1\n[limits.node]\nhistory_bytes = \"4KiB\"\n\
                  [channels.namespaces.short]\nallow_subscribe_for_client = true\nallow_subscribe_for_anonymous = true\nhistory_size = 1000\nhistory_ttl = \"4s\"\n";
    let server = dev(config).await;
    let addr = server.addr();
    wait_health(addr, 200, "ok", "").await;
    let mut published = 0;
    while server.publish("short:room", json!("x".repeat(100))).await.is_ok() {
        published += 1;
        assert!(published < 1000, "history has no end");
    }
    wait_health(addr, 503, "failing", "publishes with history are refused where ringway-1 owns").await;
    let (held, limit) =
        (metric(addr, "ringway_node_history_bytes").await, metric(addr, "ringway_node_history_limit_bytes").await);
    assert!(limit == 4096.0 && held <= limit && held > 2048.0, "{held} of {limit}");
    wait_health(addr, 200, "ok", "").await;
    server.publish("short:room", json!("there is room again")).await.unwrap();
}

#[tokio::test]
async fn without_the_first_gateway_the_others_say_what_is_left_and_then_that_nothing_is() {
    let config = "[cluster]\nslots = 256\n[cluster.timing]\npair = \"6s\"\ndeadline = \"2s\"\n";
    let first = configured(member(&["gateway", "--port", "0"]), config);
    let mut first = Server::start(first, SOON).await;
    let link = first.process.wait_for("members address=([0-9.]+:[0-9]+)", SOON).await[1].clone();
    let mut others = Vec::new();
    for arguments in [["node", "--id", "n-1"], ["node", "--id", "n-2"], ["gateway", "--id", "g-1"]] {
        let builder = member(&arguments).env("RINGWAY_JOIN", &link).env("RINGWAY_PORT", "0");
        let mut process = configured(builder, config).start();
        let addr = internal(&mut process).await;
        others.push((process, addr));
    }
    let probe = Probe::of(others.iter().map(|(_, addr)| *addr).collect());
    for (_, addr) in &others {
        wait_health(*addr, 200, "ok", "").await;
        assert_eq!(metric(*addr, "ringway_registry_away_seconds").await, 0.0);
    }
    first.process.kill();
    for (_, addr) in &others {
        wait_health(*addr, 200, "degraded", "the registry is away since ").await;
        assert!(metric(*addr, "ringway_registry_away_seconds").await > 2.0);
    }
    for (process, addr) in &mut others {
        wait_health(*addr, 503, "failing", "nothing is acknowledged in 256 slots").await;
        assert_eq!(metric(*addr, "ringway_slots_unserved").await, 256.0);
        process.wait_for("WARN .*health is degraded: the registry is away since ", SOON).await;
        process.wait_for("ERROR .*health is failing: ", SOON).await;
    }
    probe.always_lived();
}

#[tokio::test]
async fn a_member_that_waits_for_its_cluster_starts_and_lives() {
    let reason = "waiting for the cluster's first gateway at ";
    // Nobody listens there yet, or the name does not exist yet.
    for join in ["127.0.0.1:9", "gateway.invalid:9889"] {
        let mut node = member(&["node", "--id", "n-1", "--join", join]).start();
        let addr = internal(&mut node).await;
        wait_health(addr, 503, "starting", &format!("{reason}{join}")).await;
        assert_eq!(http::get(addr, "/health/live", &[]).await.unwrap().status, 200);
    }
    let mut gateway = member(&["gateway", "--id", "g-1", "--join", "127.0.0.1:9", "--port", "0"])
        .env("RINGWAY_INTERNAL_LISTEN", "")
        .start();
    let found = gateway.wait_for("listening for clients address=([0-9.]+:[0-9]+)", SOON).await;
    let addr = found[1].parse().unwrap();
    wait_health(addr, 503, "starting", reason).await;
    let later = http::get(addr, "/api/info", &[]).await.unwrap();
    assert_eq!((later.status, later.header("retry-after")), (503, Some("1")), "{}", later.text());
}

#[tokio::test]
async fn what_operators_need_is_on_the_internal_port_alone() {
    let config = "[server]\ninternal_api = true\n[cluster]\nslots = 64\n[plain]\nenabled = true\n";
    let builder = configured(member(&["gateway", "--port", "0"]), config);
    let mut server = Server::start(builder, SOON).await;
    let inside = internal(&mut server.process).await;
    let link = server.process.wait_for("members address=([0-9.]+:[0-9]+)", SOON).await[1].clone();
    let node = member(&["node", "--id", "n-1"]).env("RINGWAY_JOIN", &link).env("RINGWAY_ADMIN_TOKEN", TOKEN);
    let mut node = node.start();
    let of_node = internal(&mut node).await;
    wait_health(inside, 200, "degraded", "no second copy of 64 slots").await;
    wait_health(of_node, 200, "degraded", "no second copy of 64 slots").await;

    let (token, key) = (format!("Bearer {TOKEN}"), [("x-api-key", KEY)]);
    let admin = [("authorization", token.as_str())];
    // What, with which header, and the status on the clients' port, the gateway's internal one, and the node's.
    let table: [(&str, Headers<'_>, [u16; 3]); 8] = [
        ("/health", &[], [404, 200, 200]),
        ("/health/live", &[], [404, 200, 200]),
        ("/metrics", &[], [404, 200, 200]),
        ("/", &[], [404, 200, 200]),
        ("/console/clients.json", &[], [404, 200, 200]),
        ("/admin/members", &admin, [404, 200, 200]),
        ("/admin/members", &[], [404, 401, 401]),
        ("/socket/ann", &[], [400, 404, 404]),
    ];
    for (path, headers, expected) in table {
        for (addr, expected) in [server.addr(), inside, of_node].into_iter().zip(expected) {
            let answer = http::get(addr, path, headers).await.unwrap();
            assert_eq!(answer.status, expected, "{path} at {addr}: {}", answer.text());
        }
    }
    for (addr, expected) in [(server.addr(), 404), (inside, 200), (of_node, 404)] {
        let answer = http::post(addr, "/api/info", &key, &json!({})).await.unwrap();
        assert_eq!(answer.status, expected, "{addr}: {}", answer.text());
    }
    let text = http::get(of_node, "/metrics", &[]).await.unwrap().text();
    for name in [
        "process_cpu_seconds_total ",
        "process_open_fds ",
        "ringway_build_info{",
        "ringway_health{",
        "ringway_view_epoch{",
    ] {
        assert!(text.contains(&format!("\n{name}")), "no {name} in\n{text}");
    }
    let listed = http::get(of_node, "/admin/members", &admin).await.unwrap().json().unwrap();
    assert_eq!(listed["members"].as_array().map(Vec::len), Some(2), "{listed}");
    let clients = |addr| async move { http::get(addr, "/console/clients.json", &[]).await.unwrap().json().unwrap() };
    assert_eq!(clients(inside).await, json!({"clients": server.addr().to_string()}));
    assert_eq!(clients(of_node).await, json!({"clients": null}));

    // Whoever is told to end is not ill.
    node.terminate();
    assert!(node.wait_exit(CHANGE).await.success());
    assert!(!node.stderr().contains("health is failing"), "{}", node.stderr());
}

#[tokio::test]
async fn the_page_on_the_internal_port_is_no_stranger_to_the_clients_port() {
    let config = "[server]\ninternal_listen = \"127.0.0.1:0\"\n[plain]\nenabled = true\n";
    let mut server = crate::support::serve(config).await;
    let inside = internal(&mut server.process).await;
    let addr = server.addr();
    let asked = |origin: String| async move {
        let key = "dGhlIHNhbXBsZSBub25jZQ==";
        let headers = [
            ("origin", origin.as_str()),
            ("connection", "upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", key),
        ];
        http::get(addr, "/socket/ann", &headers).await.unwrap().status
    };
    assert_eq!(asked(format!("http://{inside}")).await, 101);
    assert_eq!(asked("http://evil.example".to_owned()).await, 403);
    assert_eq!(
        http::get(inside, "/metrics", &[]).await.unwrap().metric("ringway_connects_refused_total")[r#"{reason="origin"}"#],
        1.0
    );
}

#[tokio::test]
async fn an_internal_port_in_use_is_told_before_anything_starts() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let builder = Process::builder(&*BINARY, &["serve", "--port", "0", "--internal-listen", &address]);
    let mut process = builder.env("RINGWAY_LINK_LISTEN", "127.0.0.1:0").start();
    assert_eq!(process.wait_exit(SOON).await.code(), Some(69));
    let said = process.stderr();
    assert!(said.contains(&format!("on {address}")) && said.contains("--internal-listen"), "{said}");
}
