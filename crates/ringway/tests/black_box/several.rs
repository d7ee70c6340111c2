//! Several gateways in one process, behind one port: members of their own, and for clients one server.

use ringway_testkit::process::Builder;
use ringway_testkit::{CentrifugeClient, Process, Server, eventually, eventually_ok};
use serde_json::{Value, json};

use crate::support::{BINARY, CHANGE, SOON, configured, dev, named};

const SECRET: &str = "known between members";

/// Sessions of each gateway of the process.
async fn sessions(server: &Server) -> Vec<f64> {
    server.metrics("ringway_member_sessions").await.expect("metrics").into_values().collect()
}

/// Waits until so many members are active, and gives their names.
async fn active(server: &Server, count: usize) -> Vec<String> {
    eventually_ok(CHANGE, || async {
        let members = server.members().await?;
        let active: Vec<_> = members.into_iter().filter(|member| member.state == "active").collect();
        anyhow::ensure!(active.len() == count, "{active:?}");
        Ok(active.into_iter().map(|member| member.id).collect())
    })
    .await
}

/// So many clients on a channel.
async fn on_room(server: &Server, count: usize) -> Vec<CentrifugeClient> {
    let mut clients = Vec::new();
    for _ in 0..count {
        let mut client = CentrifugeClient::connect(server.addr()).await.expect("a client");
        client.subscribe("room").await.expect("a subscription");
        clients.push(client);
    }
    clients
}

/// Everybody has these publications, each once and in order.
async fn all_have(clients: &mut [CentrifugeClient], numbers: std::ops::RangeInclusive<u64>) {
    let expected: Vec<Value> = numbers.map(|number| json!(number)).collect();
    for client in clients {
        let got = client.wait_publications("room", expected.len(), SOON).await.expect("publications");
        assert_eq!(got.into_iter().map(|one| one.data).collect::<Vec<_>>(), expected);
    }
}

fn member(role: &str, id: &str, join: &str, config: &str) -> Builder {
    let builder = Process::builder(&*BINARY, &[role, "--join", join, "--id", id, "--link-listen", "127.0.0.1:0"]);
    let builder = if role == "gateway" { builder.arg("--dev").arg("--port").arg("0") } else { builder };
    configured(builder.env("RINGWAY_SECRET", SECRET), config)
}

#[tokio::test]
async fn a_process_with_four_gateways_is_one_server_for_its_clients() {
    let mut server = dev("[server]\ngateways = 4\n").await;
    let ids = active(&server, 4).await;
    assert_eq!(ids, ["ringway-1", "ringway-1.2", "ringway-1.3", "ringway-1.4"]);
    let mut clients = on_room(&server, 8).await;
    eventually(SOON, || async { (sessions(&server).await == [2.0; 4]).then_some(()) }).await;
    for number in 1..=20 {
        clients[number % 8].publish("room", json!(number)).await.unwrap();
    }
    all_have(&mut clients, 1..=20).await;
    assert_eq!(clients[0].presence("room").await.unwrap().as_object().unwrap().len(), 8);
    assert_eq!(clients[3].history("room").await.unwrap()["publications"].as_array().unwrap().len(), 20);
    let mut ann = Vec::new();
    for _ in 0..4 {
        ann.push(named(server.addr(), "ann", json!({})).await.unwrap());
    }
    server.api("disconnect", json!({"user": "ann"})).await.unwrap();
    for client in &mut ann {
        client.wait_closed(SOON).await.unwrap();
    }
    let tasks = server.metrics("ringway_member_cpu_seconds_total").await.unwrap();
    assert_eq!(tasks.len(), 4, "{tasks:?}");
    server.process.terminate();
    for client in &mut clients {
        assert_eq!(client.wait_closed(SOON).await.unwrap().code, Some(3001));
    }
    assert_eq!(server.process.wait_exit(SOON).await.code(), Some(0), "{}", server.process.stderr());
}

/// One file is for all roles: a node alone has no gateways, whatever it says.
const ONE_FILE: &str = "[server]\ngateways = 2\n";

#[tokio::test]
async fn gateways_of_one_process_join_others_and_lose_nothing_when_a_node_is_killed() {
    let builder = Process::builder(&*BINARY, &["gateway", "--dev", "--port", "0", "--link-listen", "127.0.0.1:0"]);
    let config = "[cluster]\nid = \"host\"\nslots = 256\n[server]\ngateways = 2\n";
    let mut host = Server::start(configured(builder.env("RINGWAY_SECRET", SECRET), config), SOON).await;
    let link = host.process.wait_for(r#"members address=([0-9.]+:[0-9]+)"#, SOON).await[1].clone();
    let mut nodes: Vec<_> = ["n-1", "n-2", "n-3"].map(|id| member("node", id, &link, ONE_FILE).start()).into();
    host.settled(3).await;
    let joined = Server::start(member("gateway", "gw", &link, "[server]\ngateways = 3\n"), SOON).await;
    let ids = active(&host, 8).await;
    for id in ["host", "host.2", "gw", "gw.2", "gw.3"] {
        assert!(ids.iter().any(|other| other == id), "{ids:?}");
    }
    let mut clients = on_room(&joined, 6).await;
    clients.extend(on_room(&host, 2).await);
    eventually(SOON, || async { (sessions(&joined).await == [2.0; 3]).then_some(()) }).await;
    for number in 1..=60_usize {
        if number == 20 {
            let owner = host.places(&["key=room".to_owned()]).await.unwrap()["key=room"].owner.clone();
            let place = ["n-1", "n-2", "n-3"].iter().position(|id| *id == owner).unwrap();
            nodes.swap_remove(place).kill();
        }
        clients[number % 8].publish("room", json!(number)).await.unwrap();
    }
    all_have(&mut clients, 1..=60).await;
    let mut leaving = joined;
    leaving.process.terminate();
    for client in &mut clients[..6] {
        assert_eq!(client.wait_closed(SOON).await.unwrap().code, Some(3001));
    }
    assert_eq!(leaving.process.wait_exit(SOON).await.code(), Some(0), "{}", leaving.process.stderr());
    let ids = active(&host, 4).await;
    assert!(ids.iter().all(|id| !id.starts_with("gw")), "{ids:?}");
}

#[tokio::test]
async fn a_number_of_gateways_that_cannot_be_is_a_fault_of_the_config() {
    for (builder, config, words) in [
        (
            Process::builder(&*BINARY, &["serve", "--port", "0"]),
            "[server]\ngateways = 0\n",
            &["server.gateways", "between 1 and 64"][..],
        ),
        (
            Process::builder(&*BINARY, &["serve", "--port", "0", "--link-listen", "127.0.0.1:65534"]),
            "[server]\ngateways = 4\n",
            &["65536", "--link-listen"],
        ),
    ] {
        let mut process = configured(builder, config).start();
        let status = process.wait_exit(SOON).await;
        let told = process.stderr();
        assert_eq!(status.code(), Some(64), "{told}");
        for word in words {
            assert!(told.contains(word), "no {word:?} in {told}");
        }
    }
}
