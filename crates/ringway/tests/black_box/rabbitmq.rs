//! A cluster whose orders go through RabbitMQ, and over the links while that is away.

use std::net::SocketAddr;

use anyhow::{Context as _, ensure};
use ringway_testkit::{CentrifugeClient, RabbitServer, Server, eventually_ok, http};
use serde_json::{Value, json};

use crate::support::{CHANGE, SOON, named, two_gateways};

const PASSWORD: &str = "the-password-of-rabbitmq";
const USERS: usize = 24;

fn config(rabbit: &RabbitServer) -> String {
    format!(
        "bus = \"rabbitmq\"\n[rabbitmq]\nurls = [{:?}]\nvhost = \"orders\"\nuser = \"ringway\"\npassword = \"{PASSWORD}\"\n",
        rabbit.url()
    )
}

async fn why(gateway: SocketAddr) -> anyhow::Result<Value> {
    let health: Value = http::get(gateway, "/health", &[]).await?.json()?;
    ensure!(health["status"] == "ok" || health["status"] == "degraded", "{health}");
    Ok(health["why"].clone())
}

/// Whether the bus is away is what `/health` says.
async fn bus_is(gateways: [SocketAddr; 2], is_there: bool) {
    for gateway in gateways {
        eventually_ok(CHANGE, || async {
            let why = why(gateway).await?.to_string();
            ensure!(why.contains("RabbitMQ") != is_there, "{why}");
            Ok(())
        })
        .await;
    }
}

/// Orders that a gateway has taken of this kind, on this way.
async fn taken(gateway: SocketAddr, kind: &str, way: &str) -> f64 {
    let counts = http::get(gateway, "/metrics", &[]).await.expect("an answer").metric("ringway_orders_taken_total");
    counts[&format!("{{kind=\"{kind}\",way=\"{way}\"}}")]
}

/// Sockets that both gateways say they closed so that clients connect anew.
async fn reset(gateways: [SocketAddr; 2]) -> u64 {
    let mut sum = 0.0;
    for gateway in gateways {
        let page = http::get(gateway, "/metrics", &[]).await.expect("an answer");
        sum += page.metric("ringway_reset_sockets_total")["{mode=\"reset\"}"];
    }
    sum as u64
}

/// A user with a session at the second gateway is disconnected through the first one, once: who comes back stays. Until the order goes
/// this way it is tried again.
async fn disconnects(server: &Server, second: SocketAddr, way: &str) {
    eventually_ok(CHANGE, || async {
        let mut client = named(second, "ann", json!({})).await?;
        let before = taken(second, "disconnect", way).await;
        server.api("disconnect", json!({"user": "ann"})).await?;
        let closed = client.wait_closed(SOON).await?;
        ensure!(closed.code == Some(3503), "{closed:?}");
        let back = named(second, "ann", json!({})).await?;
        ensure!(taken(second, "disconnect", way).await > before, "it went another way than {way}");
        // One that comes a second time, a second later, on the other way, is not carried out.
        server.api("disconnect", json!({"user": "somebody else"})).await?;
        ensure!(back.closed().is_none(), "{:?}", back.closed());
        Ok(())
    })
    .await;
}

/// A node is added in the mode `reset`. Those who must are told, and come back; the receipt shows it.
async fn a_node_comes(server: &Server, gateways: [SocketAddr; 2], nodes: usize) {
    // Nobody who is about to leave is asked to.
    server.nobody_connected(SOON).await;
    let mut clients: Vec<CentrifugeClient> = Vec::new();
    for number in 0..USERS {
        clients.push(named(gateways[number % 2], &format!("u{number}"), json!({})).await.expect("a session"));
    }
    let names: Vec<String> = (0..USERS).map(|number| format!("user=u{number}")).collect();
    let before = server.places(&names).await.expect("their owners");
    let reset_before = reset(gateways).await;
    let body = json!({"mode": "reset", "window": "200ms"});
    let added: Value = server.admin_post_json("/admin/members", &body).await.expect("an answer").json().expect("JSON");
    server.settled(nodes).await;
    let after = server.places(&names).await.expect("their owners");
    let mut asked = 0_u64;
    for (name, client) in names.iter().zip(&mut clients) {
        if before[name].owner != after[name].owner {
            let closed = client.wait_closed(SOON).await.unwrap_or_else(|why| panic!("{name}: {why}"));
            assert_eq!(closed.code, Some(3011), "{name}: {closed:?}");
            asked += 1;
        }
    }
    assert!(asked > 0 && asked < USERS as u64, "{asked} have moved");
    let receipt = eventually_ok(CHANGE, || async {
        let answer: Value = server.admin_get("/admin/changes").await?.json()?;
        let receipts = answer["changes"].as_array().context("no changes")?;
        let receipt = receipts.iter().find(|receipt| receipt["number"] == added["change"]).context("no such change")?;
        ensure!(receipt["state"] == "settled", "{receipt}");
        Ok(receipt.clone())
    })
    .await;
    assert_eq!(receipt["mode"], "reset", "{receipt}");
    // Those who were disconnected just before may count in it as well.
    assert!(receipt["sockets_closed"].as_u64() >= Some(asked), "{asked} in {receipt}");
    assert_eq!(reset(gateways).await - reset_before, asked, "exactly those were asked");
    assert_eq!(receipt["why"], Value::Null, "{receipt}");
    for (number, client) in clients.iter_mut().enumerate() {
        if client.closed().is_some() {
            *client = named(gateways[number % 2], &format!("u{number}"), json!({})).await.expect("it comes back");
        }
    }
    assert!(clients.iter().all(|client| client.closed().is_none()), "and the others have stayed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a RabbitMQ server"]
async fn rabbitmq_carries_orders_and_the_links_do_while_it_is_away() {
    let settings = format!("default_user = ringway\ndefault_pass = {PASSWORD}\ndefault_vhost = orders\n");
    let mut rabbit = RabbitServer::start(&settings);
    let (server, second) = two_gateways(3, &config(&rabbit)).await;
    let gateways = [server.addr(), second];
    bus_is(gateways, true).await;
    disconnects(&server, second, "bus").await;
    a_node_comes(&server, gateways, 4).await;
    assert_eq!((taken(second, "reset", "bus").await, taken(second, "reset", "link").await), (1.0, 0.0));

    rabbit.kill();
    disconnects(&server, second, "link").await;
    bus_is(gateways, false).await;
    a_node_comes(&server, gateways, 5).await;
    assert_eq!((taken(second, "reset", "bus").await, taken(second, "reset", "link").await), (1.0, 1.0));

    rabbit.run();
    bus_is(gateways, true).await;
    disconnects(&server, second, "bus").await;
    a_node_comes(&server, gateways, 6).await;
    assert_eq!((taken(second, "reset", "bus").await, taken(second, "reset", "link").await), (2.0, 1.0));
}

/// Whoever starts a process with a wrong password reads so, and what to do. Its orders go over the links.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a RabbitMQ server"]
async fn rabbitmq_that_lets_nobody_in_is_told_of_at_the_start() {
    let rabbit = RabbitServer::start("default_user = ringway\ndefault_pass = another\ndefault_vhost = orders\n");
    let (mut server, second) = two_gateways(2, &config(&rabbit)).await;
    let url = regex_lite::escape(&rabbit.url());
    server.process.wait_for(&format!(r"{url}.*Check \[rabbitmq\] user and password"), CHANGE).await;
    disconnects(&server, second, "link").await;
    bus_is([server.addr(), second], false).await;
    let logs = server.process.logs().into_iter().map(|(_, log)| log).chain([server.process.stderr()]);
    assert!(logs.into_iter().all(|log| !log.contains(PASSWORD)), "a password is in no log");
}
