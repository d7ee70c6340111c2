//! Gateways with different files: channels are kept as the first gateway's file says, at all of them.

use anyhow::ensure;
use ringway_testkit::process::Builder;
use ringway_testkit::{CentrifugeClient, Process, Server, eventually_ok};
use serde_json::json;
use tempfile::TempDir;

use crate::support::{BINARY, CHANGE, SOON, configured};

const SECRET: &str = "known between members";

/// Keeps so many publications; everybody may do everything.
fn config(history_size: u32, more: &str) -> String {
    format!(
        "[cluster]\nslots = 256\n[client]\nallow_anonymous_connect_without_token = true\n[channels.namespaces.kept]\nhistory_size = {history_size}\n\
         history_ttl = \"10m\"\nforce_recovery = true\nallow_history_for_subscriber = true\nallow_history_for_anonymous = true\nallow_subscribe_for_client = true\nallow_subscribe_for_anonymous = true\nallow_publish_for_client = true\nallow_publish_for_anonymous = true\n{more}"
    )
}

fn member(arguments: &[&str], config: &str) -> Builder {
    configured(Process::builder(&*BINARY, arguments).env("RINGWAY_SECRET", SECRET), config)
}

fn first(data: &TempDir, link: &str, config: &str) -> Builder {
    member(&["gateway", "--id", "g-1", "--port", "0", "--link-listen", link], config).arg("--data-dir").arg(data.path())
}

/// Publications that the channel has, after more than it keeps were published here.
async fn kept(server: &Server) -> anyhow::Result<usize> {
    for number in 0..12 {
        server.publish("kept:1", json!(number)).await?;
    }
    let history = server.api("history", json!({"channel": "kept:1", "limit": -1})).await?;
    Ok(history["publications"].as_array().map_or(0, Vec::len))
}

async fn all_keep(servers: [&Server; 2], size: usize) {
    eventually_ok(SOON, || async {
        // Where a second one would keep otherwise, the first would notice.
        for server in servers.into_iter().chain(servers) {
            let found = kept(server).await?;
            ensure!(found == size, "{found} are kept, by what {} was told", server.addr());
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn the_first_gateways_file_says_how_channels_are_kept() {
    let data = TempDir::new().unwrap();
    let mut server = Server::start(first(&data, "127.0.0.1:0", &config(5, "")), SOON).await;
    let link = server.process.wait_for(r"members address=([0-9.]+:[0-9]+)", SOON).await[1].clone();
    let more = "[channels.namespaces.other]\nallow_subscribe_for_client = true\nallow_subscribe_for_anonymous = true\n";
    let arguments = ["gateway", "--id", "g-2", "--join", &link, "--port", "0", "--link-listen", "127.0.0.1:0"];
    let mut second = Server::start(member(&arguments, &config(3, more)), SOON).await;
    let _node = member(&["node", "--id", "n-1", "--join", &link, "--link-listen", "127.0.0.1:0"], "").start();
    server.settled(1).await;
    all_keep([&second, &server], 5).await;

    let said =
        second.process.wait_for(r"keeps channels otherwise than the first gateway's, which counts: (.*)", SOON).await;
    assert!(said[1].contains("[channels.namespaces.kept] has history_size 5 and here 3"), "{}", said[1]);
    assert!(said[1].contains("[channels.namespaces.other] is not known in the cluster"), "{}", said[1]);
    let overruled = second.metrics("ringway_channel_kinds_overruled").await.unwrap();
    assert_eq!(overruled.values().copied().collect::<Vec<_>>(), [2.0]);
    let none = server.metrics("ringway_channel_kinds_overruled").await.unwrap();
    assert_eq!(none.values().copied().collect::<Vec<_>>(), [0.0]);

    // Another file for the first one, and a client that stays at the second meanwhile.
    let mut ann = CentrifugeClient::connect(second.addr()).await.unwrap();
    ann.subscribe("kept:1").await.unwrap();
    server.process.terminate();
    server.process.wait_exit(CHANGE).await;
    let server = Server::start(first(&data, &link, &config(3, more)), SOON).await;
    second.process.wait_for("channels are kept as the config of this process says", SOON).await;
    server.settled(1).await;
    all_keep([&second, &server], 3).await;
    let overruled = second.metrics("ringway_channel_kinds_overruled").await.unwrap();
    assert_eq!(overruled.values().copied().collect::<Vec<_>>(), [0.0]);
    assert!(ann.closed().is_none(), "{:?}", ann.closed());
    let lines = second.process.stderr();
    assert_eq!(lines.matches("keeps channels otherwise").count(), 1, "once: {lines}");
}

/// Without a folder a first gateway that is started again is another cluster, with another word.
#[tokio::test]
async fn another_clusters_word_is_heard_by_who_comes_over() {
    let begin =
        |link: &str, size| member(&["gateway", "--id", "g-1", "--port", "0", "--link-listen", link], &config(size, ""));
    let mut server = Server::start(begin("127.0.0.1:0", 5), SOON).await;
    let link = server.process.wait_for(r"members address=([0-9.]+:[0-9]+)", SOON).await[1].clone();
    let arguments = ["gateway", "--id", "g-2", "--join", &link, "--port", "0", "--link-listen", "127.0.0.1:0"];
    let second = Server::start(member(&arguments, &config(3, "")), SOON).await;
    let _node = member(&["node", "--id", "n-1", "--join", &link, "--link-listen", "127.0.0.1:0"], "").start();
    server.settled(1).await;
    all_keep([&second, &server], 5).await;
    server.process.kill();
    server.process.wait_exit(SOON).await;
    let server = Server::start(begin(&link, 7), SOON).await;
    eventually_ok(CHANGE, || async {
        ensure!(server.members().await?.len() == 3, "they are still coming over");
        Ok(())
    })
    .await;
    server.settled(1).await;
    all_keep([&second, &server], 7).await;
}
