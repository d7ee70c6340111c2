//! Channels that are kept in the log: all processes are killed, and they go on where they were.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use ringway_testkit::process::Builder;
use ringway_testkit::{CentrifugeClient, Process, Server, Target, eventually_ok};
use serde_json::json;

use crate::support::{BINARY, CHANGE, LOG_AND_MEMORY as CONFIG, SOON, configured};

/// Channels of each kind, in slots of all nodes.
const CHANNELS: u64 = 24;

async fn demo(folder: &Path, nodes: usize) -> Server {
    let nodes = nodes.to_string();
    let builder = Process::builder(&*BINARY, &["demo", "--port", "0", "--nodes", &nodes]);
    Server::start(configured(builder.arg("--data-dir").arg(folder), CONFIG), CHANGE).await
}

/// Publishes until it is acknowledged. Each try has the same key, so one that was taken is not taken twice.
async fn publish(server: &Server, channel: &str, number: u64) -> (u64, String) {
    let body = json!({ "channel": channel, "data": { "n": number }, "idempotency_key": format!("{channel}-{number}") });
    eventually_ok(CHANGE, || async {
        let answer = server.api("publish", body.clone()).await?;
        let offset = answer["offset"].as_u64().context("an offset")?;
        anyhow::Ok((offset, answer["epoch"].as_str().context("an epoch")?.to_owned()))
    })
    .await
}

async fn history(server: &Server, channel: &str) -> (String, Vec<u64>) {
    eventually_ok(CHANGE, || async {
        let page = server.api("history", json!({ "channel": channel, "limit": 10_000 })).await?;
        let all = page["publications"].as_array().context("publications")?;
        let numbers = all.iter().map(|one| one["data"]["n"].as_u64().context("a number"));
        anyhow::Ok((page["epoch"].as_str().context("an epoch")?.to_owned(), numbers.collect::<anyhow::Result<_>>()?))
    })
    .await
}

/// Every process of a demo ends at this moment.
fn kill_all(server: &Server) {
    let all = server.process.descendants();
    server.process.kill();
    for pid in all {
        ringway_testkit::process::kill(pid);
    }
}

async fn logged(server: &Server) -> f64 {
    let acknowledged = server.metrics("ringway_acknowledged_total").await.expect("metrics");
    acknowledged.iter().filter(|(labels, _)| labels.contains("logged=\"yes\"")).map(|(_, count)| count).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_all_was_killed_channels_in_the_log_go_on_and_others_begin_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut server = demo(folder.path(), 3).await;
    server.settled(3).await;
    let name = |kind: &str, at: u64| format!("{kind}:{at}");
    let mut epochs = Vec::new();
    for at in 0..CHANNELS {
        let (_, epoch) = publish(&server, &name("log", at), 0).await;
        publish(&server, &name("memory", at), 0).await;
        epochs.push(epoch);
    }
    for round in 1..4_u64 {
        // Somebody listens, leaves, and misses what comes before and after the end of everything.
        let target = Target::from(server.addr());
        let mut listener = CentrifugeClient::connect_with(&target, json!({})).await.unwrap();
        listener.subscribe("log:0").await.unwrap();
        listener.subscribe("memory:0").await.unwrap();
        for at in 0..CHANNELS {
            publish(&server, &name("log", at), round * 10).await;
        }
        publish(&server, "memory:0", round * 10).await;
        listener.wait_publications("log:0", 1, SOON).await.unwrap();
        let place = listener.position("log:0").unwrap();
        let place_in_memory = listener.position("memory:0").unwrap();
        listener.close();
        for at in 0..CHANNELS {
            publish(&server, &name("log", at), round * 10 + 1).await;
        }
        kill_all(&server);
        server = demo(folder.path(), 3).await;
        publish(&server, "log:0", round * 10 + 2).await;

        let target = Target::from(server.addr());
        let mut back = CentrifugeClient::connect_with(&target, json!({})).await.unwrap();
        let recovered = back.recover("log:0", &place).await.unwrap();
        assert_eq!(recovered["recovered"], true, "{recovered}");
        let missed = recovered["publications"].as_array().unwrap();
        let missed: Vec<u64> = missed.iter().map(|one| one["data"]["n"].as_u64().unwrap()).collect();
        assert_eq!(missed, [round * 10 + 1, round * 10 + 2], "nothing is missing, nothing comes twice");
        let anew = back.recover("memory:0", &place_in_memory).await.unwrap();
        assert_ne!(anew["recovered"], true, "{anew}");
        for at in 0..CHANNELS {
            let (epoch, numbers) = history(&server, &name("log", at)).await;
            let mut expected: Vec<u64> = vec![0];
            for round in 1..=round {
                expected.extend([round * 10, round * 10 + 1]);
                expected.extend((at == 0).then_some(round * 10 + 2));
            }
            assert_eq!((&epoch, numbers), (&epochs[at as usize], expected), "log:{at} after round {round}");
        }
    }
    assert!(logged(&server).await > 0.0);
}

/// A node that has both copies ends, and its standby too: what is in the log is read by the next owner.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_the_log_survives_both_of_its_copies() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = demo(folder.path(), 4).await;
    server.settled(4).await;
    let channels: Vec<String> = (0..CHANNELS).map(|at| format!("log:{at}")).collect();
    let mut before = Vec::new();
    for channel in &channels {
        for number in 0..10 {
            publish(&server, channel, number).await;
        }
        before.push(history(&server, channel).await);
    }
    let nodes: Vec<_> = server.members().await.unwrap().into_iter().filter(|member| member.is_node).collect();
    let pids: Vec<u32> = nodes.iter().take(2).map(|node| node.pid).collect();
    assert_eq!(pids.len(), 2);
    for pid in pids {
        assert!(ringway_testkit::process::kill(pid), "node {pid}");
    }
    for (channel, (epoch, numbers)) in channels.iter().zip(before) {
        let (offset, epoch_now) = publish(&server, channel, 10).await;
        assert_eq!((offset, &epoch_now), (11, &epoch), "{channel} goes on");
        let (_, all) = history(&server, channel).await;
        assert_eq!(all, [numbers, vec![10]].concat(), "{channel}");
    }
}

#[tokio::test]
async fn a_log_without_a_place_is_a_fault_of_the_config() {
    let cases = [
        (vec!["gateway", "--port", "0"], CONFIG.to_owned(), "there is no folder for the log"),
        (
            vec!["gateway", "--port", "0"],
            format!(
                "{CONFIG}[inbox]\ndurability = \"log\"\nhistory_size = 0\nhistory_ttl = \"0s\"\nforce_recovery = false\n"
            ),
            "keeps a history",
        ),
        (
            vec!["gateway", "--port", "0"],
            CONFIG.replace("[cluster]\n", "[cluster]\nregistry = \"nats\"\n"),
            "with the registry outside no process keeps a folder",
        ),
        (
            vec!["gateway", "--port", "0"],
            format!("{CONFIG}[durability]\nfsync = \"sometimes\"\n"),
            "\"always\", \"never\" or a time",
        ),
    ];
    for (arguments, config, part) in cases {
        let mut process =
            configured(Process::builder(&*BINARY, &arguments).env("RINGWAY_SECRET", "for tests"), &config).start();
        assert_eq!(process.wait_exit(SOON).await.code(), Some(64), "{}", process.stderr());
        assert!(process.stderr().contains(part), "{}", process.stderr());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_of_the_log_is_told_and_only_on_request_left_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = demo(folder.path(), 1).await;
    for number in 0..50 {
        publish(&server, "log:0", number).await;
    }
    kill_all(&server);
    drop(server);
    let log = folder.path().join("log-0000000000000001");
    let mut bytes = std::fs::read(&log).expect("the log");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&log, bytes).expect("written");
    let start = |more: &[&str]| {
        let builder = Process::builder(&*BINARY, &["demo", "--port", "0", "--nodes", "1"]);
        let builder = more.iter().fold(builder, Builder::arg);
        configured(builder.arg("--data-dir").arg(folder.path()), CONFIG)
    };
    let mut refused = start(&[]).start();
    assert_eq!(refused.wait_exit(CHANGE).await.code(), Some(1), "{}", refused.stderr());
    let told = refused.stderr();
    for part in ["the log is damaged", "log-0000000000000001", "--accept-loss"] {
        assert!(told.contains(part), "{told}");
    }
    let server = Server::start(start(&["--accept-loss"]), CHANGE).await;
    let (_, numbers) = history(&server, "log:0").await;
    let expected: Vec<u64> = (0..numbers.len() as u64).collect();
    assert_eq!(numbers, expected, "the beginning");
    assert!(!numbers.is_empty() && numbers.len() < 50, "{numbers:?}");
    publish(&server, "log:0", 99).await;
}

/// While the log is away, channels in memory go on; logged publishes wait, and go on when it is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a NATS server"]
async fn nats_keeps_the_log_and_all_may_end() {
    let mut servers = ringway_testkit::NatsServers::start(1, &[]);
    let config = format!(
        "{}[nats]\nurls = {:?}\n",
        CONFIG.replace("[cluster]\n", "[cluster]\nengine = \"nats\"\n"),
        servers.urls()
    );
    let member = |arguments: &[&str]| {
        configured(Process::builder(&*BINARY, arguments).env("RINGWAY_SECRET", "known between members"), &config)
    };
    let start = async |links: &[String; 3]| {
        let gateway = member(&["gateway", "--id", "g", "--port", "0", "--link-listen", &links[0]]);
        let nodes = [("n-1", 1), ("n-2", 2)].map(|(id, at)| {
            member(&["node", "--id", id, "--internal-listen", "127.0.0.1:0", "--link-listen", &links[at]]).start()
        });
        (Server::start(gateway, CHANGE).await, nodes)
    };
    let mut links: [String; 3] = std::array::from_fn(|_| "127.0.0.1:0".to_owned());
    let (mut gateway, mut nodes) = start(&links).await;
    // An owner that is alone would stop with NATS.
    for node in ["n-1", "n-2"] {
        gateway.wait_state(node, "active", CHANGE).await;
    }
    let (_, epoch) = publish(&gateway, "log:0", 1).await;
    publish(&gateway, "memory:0", 1).await;

    servers.kill(0);
    publish(&gateway, "memory:0", 2).await;
    let waits = gateway.api("publish", json!({ "channel": "log:0", "data": { "n": 2 }, "idempotency_key": "log:0-2" }));
    let waits = tokio::time::timeout(Duration::from_secs(2), waits).await;
    assert!(!matches!(waits, Ok(Ok(_))), "acknowledged without the log: {waits:?}");
    publish(&gateway, "memory:0", 3).await;
    eventually_ok(CHANGE, || async {
        let health = ringway_testkit::http::get(gateway.addr(), "/health", &[]).await?;
        let health: serde_json::Value = health.json()?;
        ensure!(
            health["status"] == "degraded" && health["why"].to_string().contains("the log does not answer"),
            "{health}"
        );
        anyhow::Ok(())
    })
    .await;
    servers.run(0);
    let (offset, _) = publish(&gateway, "log:0", 2).await;
    assert_eq!(offset, 2, "it was taken once");

    for (at, process) in [&mut gateway.process].into_iter().chain(&mut nodes).enumerate() {
        links[at].clone_from(&process.wait_for(r"members address=([0-9.]+:[0-9]+)", SOON).await[1]);
        process.kill();
        process.wait_exit(SOON).await;
    }
    servers.kill(0);
    servers.run(0);
    let (gateway, _nodes) = start(&links).await;
    let (offset, epoch_now) = publish(&gateway, "log:0", 3).await;
    assert_eq!((offset, epoch_now), (3, epoch));
    eventually_ok(CHANGE, || async {
        let (_, numbers) = history(&gateway, "log:0").await;
        ensure!(numbers == [1, 2, 3], "{numbers:?}");
        anyhow::Ok(())
    })
    .await;
}
