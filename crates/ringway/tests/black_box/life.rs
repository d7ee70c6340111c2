//! The life of processes: how the demo starts, what it does to its members, how everything ends, and what refuses to start.

use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use ringway_testkit::{Process, Server, eventually, process};
use serde_json::Value;

use crate::support::{BINARY, CHANGE, SOON, configured, demo, demo_builder, dev, plain, ringway};

/// Everything is gone this long after Ctrl-C.
const END_LIMIT: Duration = Duration::from_secs(5);

async fn answered(demo: &Server, args: &[&str]) -> Value {
    let output = ringway(demo.process.dir(), args).await;
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{args:?}: {}", String::from_utf8_lossy(&output.stdout)))
}

async fn all_gone(pids: &[u32], limit: Duration) {
    eventually(limit, || async { pids.iter().all(|pid| !process::alive(*pid)).then_some(()) }).await;
}

#[tokio::test]
async fn the_command_line_finds_the_demo() {
    let demo = demo(2).await;
    let members = answered(&demo, &["members", "--json"]).await;
    assert_eq!(members["members"].as_array().unwrap().len(), 3, "{members}");
    let fields = ["id", "roles", "state", "weight", "slots", "users", "sockets", "pid", "address", "orchestrator"];
    for member in members["members"].as_array().unwrap() {
        assert!(fields.iter().all(|field| !member[field].is_null()), "{member}");
        assert_eq!(member["orchestrator"], member["id"] == "gateway-0", "{member}");
    }
    let place = answered(&demo, &["ring", "--user", "bob", "--json"]).await;
    assert_eq!((&place["key"], place["owner"] == place["standby"]), (&Value::from("#bob"), false), "{place}");
    let mut bob = plain(demo.addr(), "bob").await;
    answered(&demo, &["send", "bob", "hello there", "--json"]).await;
    assert_eq!(bob.recv_content(SOON).await.unwrap(), ("hello there".to_owned(), None));
    let added = answered(&demo, &["node", "add", "--json"]).await;
    assert_eq!(added["member"]["id"], "node-3", "{added}");
    demo.settled(3).await;
    let shown = ringway(demo.process.dir(), &["members"]).await;
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(["gateway-0", "node-1", "node-2", "node-3"].iter().all(|id| shown.contains(id)), "{shown}");
    let output = ringway(demo.process.dir(), &["node", "kill", "node-9"]).await;
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("no member node-9"));
    let nowhere = tempfile::tempdir().unwrap();
    let output = ringway(nowhere.path(), &["members"]).await;
    assert_eq!(output.status.code(), Some(69));
    assert!(String::from_utf8_lossy(&output.stderr).contains("ringway demo"));
}

#[tokio::test]
async fn ctrl_c_ends_everything() {
    let mut demo = demo(2).await;
    let ann = plain(demo.addr(), "ann").await;
    demo.act("node-2", "freeze").await.unwrap();
    let children = demo.process.descendants();
    assert_eq!(children.len(), 2);
    let start = Instant::now();
    demo.process.interrupt();
    let status = demo.process.wait_exit(END_LIMIT).await;
    assert!(status.success(), "{status}");
    all_gone(&children, END_LIMIT.saturating_sub(start.elapsed())).await;
    assert!(demo.process.descendants().is_empty());
    eventually(SOON, || async { ann.closed() }).await;
    let output = ringway(demo.process.dir(), &["members"]).await;
    assert_eq!(output.status.code(), Some(69), "its file is gone with it");
}

#[tokio::test]
async fn children_die_with_a_killed_demo() {
    let demo = demo(2).await;
    demo.act("node-1", "freeze").await.unwrap();
    let children = demo.process.descendants();
    assert_eq!(children.len(), 2);
    demo.process.kill();
    all_gone(&children, END_LIMIT).await;
    let output = ringway(demo.process.dir(), &["members"]).await;
    assert_eq!(output.status.code(), Some(69), "a file that a killed demo left behind deceives nobody");
}

#[tokio::test]
async fn members_stay_listed_until_removed() {
    let demo = demo(3).await;
    for action in ["stop", "start", "kill", "freeze", "thaw", "remove"] {
        let answer = demo.admin_post(&format!("/admin/members/gateway-0/{action}")).await.unwrap();
        assert_eq!(answer.status, 409, "{action}: {}", answer.text());
        assert!(answer.json().unwrap()["error"].as_str().unwrap().contains("gateway-0"));
    }
    for action in ["start", "thaw", "remove"] {
        let answer = demo.admin_post(&format!("/admin/members/node-1/{action}")).await.unwrap();
        assert_eq!(answer.status, 409, "{action} while it runs: {}", answer.text());
    }
    demo.act("node-3", "kill").await.unwrap();
    demo.wait_state("node-3", "down", SOON).await;
    assert_eq!(demo.member("node-3").await.unwrap().pid, 0);
    let answer = demo.admin_post("/admin/members/node-3/kill").await.unwrap();
    assert_eq!(answer.status, 409, "{}", answer.text());
    demo.act("node-3", "remove").await.unwrap();
    assert!(demo.member("node-3").await.is_err());
    assert_eq!(demo.add().await.unwrap().id, "node-4", "ids are not used twice");
    demo.settled(3).await;
    demo.act("node-1", "stop").await.unwrap();
    demo.wait_state("node-1", "down", CHANGE).await;
    demo.act("node-1", "start").await.unwrap();
    demo.settled(3).await;
}

#[tokio::test]
async fn a_port_in_use_is_said_to_be() {
    let server = dev("").await;
    let port = server.addr().port().to_string();
    for command in [&["demo", "--port", &port][..], &["serve", "--dev", "--port", &port]] {
        let mut second = Process::builder(&*BINARY, command).env("RINGWAY_LINK_LISTEN", "127.0.0.1:0").start();
        let status = second.wait_exit(SOON).await;
        assert_eq!(status.code(), Some(69), "{}", second.stderr());
        assert!(second.stderr().contains(&port) && second.stderr().contains("--port"), "{}", second.stderr());
        assert!(second.descendants().is_empty());
    }
    plain(server.addr(), "ann").await;
}

#[tokio::test]
async fn a_wrong_secret_does_not_join() {
    let gateway =
        Process::builder(&*BINARY, &["gateway", "--port", "0"]).env("RINGWAY_SECRET", "the right secret of all");
    let gateway = Server::start(gateway.env("RINGWAY_LINK_LISTEN", "127.0.0.1:0"), SOON).await;
    let link = eventually(SOON, || async { listening_besides(gateway.process.pid(), gateway.addr().port()) }).await;
    let join = format!("127.0.0.1:{link}");
    for (secret, words) in [(Some("a wrong secret of all"), "secret"), (None, "RINGWAY_SECRET")] {
        let mut builder = Process::builder(&*BINARY, &["node", "--join", &join, "--link-listen", "127.0.0.1:0"]);
        if let Some(secret) = secret {
            builder = builder.env("RINGWAY_SECRET", secret);
        }
        let mut node = builder.start();
        assert!(!node.wait_exit(SOON).await.success());
        assert!(node.stderr().contains(words), "{}", node.stderr());
    }
    let node = Process::builder(&*BINARY, &["node", "--join", &join, "--link-listen", "127.0.0.1:0", "--id", "node-1"]);
    let node = node.env("RINGWAY_SECRET", "the right secret of all").start();
    gateway.wait_state("node-1", "active", CHANGE).await;
    node.terminate();
}

/// The port that a process listens on, other than `known`.
fn listening_besides(pid: u32, known: u16) -> Option<u16> {
    let inodes: Vec<String> = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .ok()?
        .flatten()
        .filter_map(|fd| {
            Some(
                std::fs::read_link(fd.path())
                    .ok()?
                    .to_str()?
                    .strip_prefix("socket:[")?
                    .trim_end_matches(']')
                    .to_owned(),
            )
        })
        .collect();
    let table = std::fs::read_to_string(format!("/proc/{pid}/net/tcp")).ok()?;
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let listens = fields[3] == "0A" && inodes.iter().any(|inode| inode == fields[9]);
        let port = u16::from_str_radix(fields[1].rsplit_once(':')?.1, 16).ok()?;
        (listens && port != known).then_some(port)
    })
}

#[tokio::test]
async fn all_faults_of_a_config_are_told_at_once() {
    let config = "[server]\nprot = 1\nmax_http = 1\n[nonsense]\nx = 1\n";
    for command in [&["serve", "--dev", "--port", "0"][..], &["demo", "--port", "0"], &["gateway", "--port", "0"]] {
        let mut process = configured(Process::builder(&*BINARY, command), config).start();
        assert_eq!(process.wait_exit(SOON).await.code(), Some(64), "{}", process.stderr());
        let told = process.stderr();
        assert!(["server.prot", "server.max_http", "nonsense"].iter().all(|key| told.contains(key)), "{told}");
        assert!(process.stdout().is_empty() && process.descendants().is_empty());
    }
    let mut process = Process::start(&*BINARY, &["serve", "--config", "/nowhere/ringway.toml"]);
    assert_eq!(process.wait_exit(SOON).await.code(), Some(64));
    assert!(process.stderr().contains("/nowhere/ringway.toml"), "{}", process.stderr());
    let mut process = Process::start(&*BINARY, &["demo", "--nodes", "none"]);
    assert_eq!(process.wait_exit(SOON).await.code(), Some(2));
}

#[tokio::test]
async fn the_address_is_printed_with_the_token_in_its_fragment() {
    let started = Instant::now();
    let mut demo = demo_builder(1).env("RINGWAY_ADMIN_TOKEN", "a b").start();
    let found = demo.wait_for(r"(http://[^ ]+)#token=([^ ]+)", SOON).await;
    assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
    assert_eq!(found[2], "a%20b");
    let logs = demo.wait_for(r"logs +(/.*)", SOON).await;
    assert!(Path::new(logs[1].trim()).join("node-1.log").exists(), "{logs:?}");
    let page = demo.wait_for(r"http://([0-9.:]+)/", SOON).await;
    let page = ringway_testkit::http::get(page[1].parse().unwrap(), "/", &[]).await.unwrap();
    assert!(page.status == 200 && !page.text().contains("a b"), "the page does not hold the token");
    process::send(demo.pid(), Signal::SIGTERM);
    assert!(demo.wait_exit(END_LIMIT).await.success());
}
