//! A cluster whose registry is in NATS: nobody is first, and any process may end.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use ringway_testkit::process::Builder;
use ringway_testkit::{CentrifugeClient, NatsServers, Process, Server, Target, eventually_ok, http, process};
use serde_json::{Value, json};

use crate::support::{BINARY, CHANGE, SOON, configured};

const SECRET: &str = "known between members";
/// A free port of this machine.
pub(crate) const ANY: &str = "127.0.0.1:0";

fn config(servers: &NatsServers, more: &str) -> String {
    format!(
        "[cluster]\nregistry = \"nats\"\nslots = 256\n{more}[nats]\nurls = {:?}\n[client]\nallow_anonymous_connect_without_token = true\n[channels.namespaces.kept]\n\
         history_size = 1000\nhistory_ttl = \"10m\"\nforce_recovery = true\nallow_history_for_subscriber = true\nallow_history_for_anonymous = true\nallow_subscribe_for_client = true\nallow_subscribe_for_anonymous = true\nallow_publish_for_client = true\nallow_publish_for_anonymous = true\n",
        servers.urls()
    )
}

pub(crate) fn member(arguments: &[&str], config: &str) -> Builder {
    configured(Process::builder(&*BINARY, arguments).env("RINGWAY_SECRET", SECRET), config)
}

/// No gateway starts with any of these configs. What it says has the part beside it, and no secret.
pub(crate) async fn are_faults(configs: &[(&str, &str)]) {
    for (config, part) in configs {
        let mut process = member(&["gateway", "--port", "0"], config).start();
        assert_eq!(process.wait_exit(SOON).await.code(), Some(64), "{config}");
        let told = process.stderr();
        assert!(told.contains(part) && !told.contains("secret@"), "{config}: {told}");
    }
}

/// `link`: where members reach it, for whoever comes back there.
pub(crate) async fn gateway(id: &str, link: &str, config: &str) -> Server {
    Server::start(member(&["gateway", "--id", id, "--port", "0", "--link-listen", link], config), CHANGE).await
}

pub(crate) fn node(id: &str, link: &str, config: &str) -> Process {
    member(&["node", "--id", id, "--internal-listen", "127.0.0.1:0", "--link-listen", link], config).start()
}

pub(crate) async fn link_of(process: &mut Process) -> String {
    process.wait_for(r"members address=([0-9.]+:[0-9]+)", SOON).await[1].clone()
}

async fn health(server: &Server) -> anyhow::Result<Value> {
    http::get(server.addr(), "/health", &[]).await?.json()
}

pub(crate) async fn epoch(server: &Server) -> u64 {
    eventually_ok(SOON, || async { health(server).await?["epoch"].as_u64().context("an epoch") }).await
}

/// These are in the view, and every node is active.
pub(crate) async fn lists(server: &Server, expected: &[&str]) {
    eventually_ok(CHANGE, || async {
        let members = server.members().await?;
        let there = members.iter().filter(|member| member.state != "down");
        let mut ids: Vec<&str> = there.clone().map(|member| &*member.id).collect();
        ids.sort_unstable();
        ensure!(ids == expected && there.into_iter().all(|member| member.state == "active"), "{members:?}");
        Ok(())
    })
    .await;
}

/// Publishes the next number, as often as it takes, and sees it come once.
pub(crate) async fn goes_on(server: &Server, client: &mut CentrifugeClient, number: &mut u64) {
    *number += 1;
    let data = json!({ "number": *number });
    eventually_ok(CHANGE, || async { server.publish("kept:news", data.clone()).await.map(drop) }).await;
    let got = client.recv(CHANGE).await.expect("it is delivered");
    assert!(format!("{got:?}").contains(&format!("{number}")), "{got:?} and not {number}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a NATS server"]
async fn nats_keeps_the_registry_and_any_process_may_end() {
    let mut servers = NatsServers::start(1, &[]);
    // Whoever was removed without a proof may act for that long: so long after the end of everything, the first owner waits (R10).
    let config = config(&servers, "[cluster.timing]\npair = \"10s\"\n");
    let first = gateway("g-1", ANY, &config).await;
    let mut second = gateway("g-2", ANY, &config).await;
    let mut nodes = [node("n-1", ANY, &config), node("n-2", ANY, &config), node("n-3", ANY, &config)];
    lists(&second, &["g-1", "g-2", "n-1", "n-2", "n-3"]).await;
    let mut client = CentrifugeClient::connect_with(&Target::from(second.addr()), json!({})).await.unwrap();
    client.subscribe("kept:news").await.unwrap();
    let mut number = 0;
    goes_on(&second, &mut client, &mut number).await;

    first.process.kill();
    lists(&second, &["g-2", "n-1", "n-2", "n-3"]).await;
    goes_on(&second, &mut client, &mut number).await;
    let mut first = gateway("g-1", ANY, &config).await;
    lists(&second, &["g-1", "g-2", "n-1", "n-2", "n-3"]).await;

    nodes[0].kill();
    goes_on(&second, &mut client, &mut number).await;
    lists(&first, &["g-1", "g-2", "n-2", "n-3"]).await;

    // NATS is away for longer than a lease. What has two copies goes on, and nobody is removed for it.
    servers.kill(0);
    let end = tokio::time::Instant::now() + Duration::from_secs(4);
    while tokio::time::Instant::now() < end {
        goes_on(&second, &mut client, &mut number).await;
    }
    servers.run(0);
    let mut again = node("n-1", ANY, &config);
    lists(&second, &["g-1", "g-2", "n-1", "n-2", "n-3"]).await;
    goes_on(&second, &mut client, &mut number).await;

    // All end at once, and are started again: the same cluster goes on.
    let before = epoch(&second).await;
    let [_, two, three] = &mut nodes;
    let all = [&mut first.process, &mut second.process, &mut again, two, three];
    let mut links = Vec::new();
    for process in all {
        links.push(link_of(process).await);
        process.kill();
        process.wait_exit(SOON).await;
    }
    let (first, _second) = tokio::join!(gateway("g-1", &links[0], &config), gateway("g-2", &links[1], &config));
    let _nodes = [("n-1", 2), ("n-2", 3), ("n-3", 4)].map(|(id, at)| node(id, &links[at], &config));
    lists(&first, &["g-1", "g-2", "n-1", "n-2", "n-3"]).await;
    assert!(epoch(&first).await > before, "epochs go on");
}

/// The children read where NATS is in the file, with the password: neither is on a command line or in a log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a NATS server"]
async fn nats_has_the_registry_of_a_demo_whose_members_are_killed_started_and_added() {
    const PASSWORD: &str = "the-password-of-nats";
    let servers = NatsServers::start(1, &["--user", "me", "--pass", PASSWORD]);
    // Whoever was removed without a proof may act for that long (R10).
    let config = config(&servers, "log = \"nats\"\n[cluster.timing]\npair = \"10s\"\n")
        .replace("[nats]\n", &format!("[nats]\nuser = \"me\"\npassword = \"{PASSWORD}\"\n"))
        .replace("force_recovery = true\nallow_history_for_subscriber = true\nallow_history_for_anonymous = true\n", "force_recovery = true\nallow_history_for_subscriber = true\nallow_history_for_anonymous = true\ndurability = \"log\"\n");
    let demo = || configured(Process::builder(&*BINARY, &["demo", "--port", "0", "--gateways", "2"]), &config);
    let all = ["gateway-0", "gateway-1", "node-1", "node-2", "node-3"];
    let server = Server::start(demo(), CHANGE).await;
    lists(&server, &all).await;
    let mut client = CentrifugeClient::connect_with(&Target::from(server.addr()), json!({})).await.unwrap();
    client.subscribe("kept:news").await.unwrap();
    let mut number = 0;
    goes_on(&server, &mut client, &mut number).await;
    for id in ["node-2", "gateway-1"] {
        server.act(id, "kill").await.unwrap();
        server.wait_state(id, "down", CHANGE).await;
        goes_on(&server, &mut client, &mut number).await;
        server.act(id, "start").await.unwrap();
        lists(&server, &all).await;
    }
    assert_eq!(server.add().await.unwrap().id, "node-4");
    lists(&server, &[&all[..], &["node-4"]].concat()).await;
    goes_on(&server, &mut client, &mut number).await;

    let processes = server.process.descendants();
    for pid in processes.iter().chain([&server.process.pid()]) {
        let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).expect("it runs");
        assert!(!line.contains(PASSWORD), "{line}");
    }
    let logs = server.process.logs().into_iter().map(|(_, log)| log).chain([server.process.stderr()]);
    assert!(logs.into_iter().all(|log| !log.contains(PASSWORD)));

    let publish = async |server: &Server| {
        let said = eventually_ok(CHANGE, || async { server.publish("kept:news", json!({ "number": 0 })).await }).await;
        (said["epoch"].to_string(), said["offset"].as_u64().expect("an offset"))
    };
    let (stream, offset) = publish(&server).await;

    // All end at once; the next demo is the same cluster, and waits for none of those that NATS still lists.
    let epoch_before = epoch(&server).await;
    server.process.kill();
    for pid in processes {
        // The system may have ended it with the demo.
        let _ = process::kill(pid);
    }
    let server = Server::start(demo(), CHANGE).await;
    lists(&server, &all).await;
    assert!(epoch(&server).await > epoch_before, "epochs go on");
    let (stream_now, offset_now) = publish(&server).await;
    assert!(stream_now == stream && offset_now > offset, "{stream} {offset}, then {stream_now} {offset_now}");
}

#[tokio::test]
#[ignore = "needs a NATS server"]
async fn nats_that_is_not_there_is_told_and_waited_for() {
    let mut servers = NatsServers::start(1, &[]);
    servers.kill(0);
    let config = config(&servers, "");
    let mut waiting = member(&["gateway", "--id", "g-1", "--port", "0"], &config).start();
    let status = waiting.wait_exit(CHANGE).await;
    assert_eq!(status.code(), Some(69), "{}", waiting.stderr());
    let told = waiting.stderr();
    for part in ["cannot connect to NATS at nats://127.0.0.1:", "Is it running", "Nothing was started"] {
        assert!(told.contains(part), "{told}");
    }
    let mut waiting = member(&["gateway", "--id", "g-1", "--port", "0"], &config).start();
    waiting.wait_for("NATS is not there yet", SOON).await;
    servers.run(0);
    waiting.wait_for("the registry is in NATS", SOON).await;
    waiting.wait_for("ringway gateway on http://", SOON).await;
}

#[tokio::test]
async fn settings_that_do_not_go_with_nats_are_faults() {
    let faults = [
        ("[cluster]\nregistry = \"nats\"\njoin = \"10.0.0.1:9889\"\n", "leave it out"),
        ("[cluster]\nregistry = \"nats\"\n[server]\ngateways = 2\n", "server.gateways"),
        ("[nats]\nurls = [\"nats://me:secret@10.0.0.1:4222\"]\n", "nats.user"),
        ("[nats]\nurls = [\"10.0.0.1\"]\n", "tls://"),
        ("[nats]\nuser = \"me\"\n", "nats.password"),
        ("[nats]\ncert = \"c.pem\"\n", "nats.key"),
        ("[nats]\ncredentials = \"c\"\nnkey = \"n\"\n", "more than one way"),
        ("[nats]\nreplicas = 2\n", "1, 3 or 5"),
        ("[nats]\nname = \"a.b\"\n", "letters, digits"),
        ("[cluster]\nregistry = \"etcd\"\n", "\"local\", \"nats\", \"redis\""),
    ];
    are_faults(&faults).await;
}
