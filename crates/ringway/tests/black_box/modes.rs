//! What becomes of clients whose owner changes: with `reset` exactly they are asked to connect anew, with `reset-all`
//! everybody is; and whoever comes back has missed nothing.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, ensure};
use ringway_testkit::{CentrifugeClient, PlainClient, Server, eventually_ok, http, process};
use serde_json::{Value, json};

use crate::support::{CHANGE, SOON, named, plain, two_gateways};

/// Clients of each kind. With three nodes about a third of them moves when a fourth joins, so that both sorts are there.
const CLIENTS: usize = 12;

/// Clients of every kind, by the names that decide where they belong; half of them on each gateway.
struct Crowd {
    plain: BTreeMap<String, PlainClient>,
    named: BTreeMap<String, CentrifugeClient>,
    listening: BTreeMap<String, CentrifugeClient>,
}

impl Crowd {
    async fn gather(gateways: [SocketAddr; 2]) -> Self {
        let mut crowd = Self { plain: BTreeMap::new(), named: BTreeMap::new(), listening: BTreeMap::new() };
        for number in 0..CLIENTS {
            let at = gateways[number % 2];
            let user = format!("plain{number}");
            crowd.plain.insert(format!("user={user}"), plain(at, &user).await);
            let user = format!("named{number}");
            crowd.named.insert(format!("user={user}"), named(at, &user, json!({})).await.expect("a session"));
            let mut client = CentrifugeClient::connect(at).await.expect("a session");
            client.subscribe(&format!("room{number}")).await.expect("a subscription");
            crowd.listening.insert(format!("key=room{number}"), client);
        }
        crowd
    }

    fn names(&self) -> Vec<String> {
        self.plain.keys().chain(self.named.keys()).chain(self.listening.keys()).cloned().collect()
    }

    /// Waits until those who are meant have been asked, each in its own way. Nobody else has been.
    async fn wait_asked(&mut self, is_meant: impl Fn(&str) -> bool) {
        for (name, client) in self.plain.iter_mut().filter(|(name, _)| is_meant(name)) {
            client.wait_closed(SOON).await.unwrap_or_else(|why| panic!("{name}: {why}"));
            let asked = client.all().iter().any(|message| message["type"] == 2);
            assert!(asked, "{name} was closed without a word: {:?}", client.all());
        }
        let centrifuge = self.named.iter_mut().chain(&mut self.listening);
        for (name, client) in centrifuge.filter(|(name, _)| is_meant(name)) {
            let closed = client.wait_closed(SOON).await.unwrap_or_else(|why| panic!("{name}: {why}"));
            assert_eq!(closed.code, Some(3011), "{name}: {closed:?}");
        }
        self.assert_open(|name| !is_meant(name));
    }

    fn assert_open(&self, is_meant: impl Fn(&str) -> bool) {
        let plain = self.plain.iter().map(|(name, client)| (name, client.closed()));
        let centrifuge = self.named.iter().chain(&self.listening).map(|(name, client)| (name, client.closed()));
        for (name, closed) in plain.chain(centrifuge).filter(|(name, _)| is_meant(name)) {
            assert!(closed.is_none(), "{name}: {closed:?}");
        }
    }
}

async fn order(server: &Server, path: &str, body: Value) -> Value {
    let answer = server.admin_post_json(path, &body).await.expect("an answer");
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.json().expect("JSON")
}

/// The receipt that is wanted, once the change is over.
async fn receipt(server: &Server, wanted: impl Fn(&Value) -> bool) -> Value {
    eventually_ok(CHANGE, || async {
        let answer = server.admin_get("/admin/changes").await?.json()?;
        let receipts = answer["changes"].as_array().context("no changes")?;
        let receipt = receipts.iter().find(|receipt| wanted(receipt)).context("no such change")?;
        ensure!(receipt["state"] == "settled", "{receipt}");
        Ok(receipt.clone())
    })
    .await
}

/// Sockets that both gateways say they closed in this mode.
async fn counted(gateways: [SocketAddr; 2], mode: &str) -> u64 {
    let mut sum = 0.0;
    for gateway in gateways {
        let counts =
            http::get(gateway, "/metrics", &[]).await.expect("an answer").metric("ringway_reset_sockets_total");
        sum += counts[&format!("{{mode=\"{mode}\"}}")];
    }
    sum as u64
}

#[tokio::test]
async fn exactly_those_whose_owner_changed_connect_anew_and_miss_nothing() {
    let (server, second) = two_gateways(3, "").await;
    let gateways = [server.addr(), second];
    let mut crowd = Crowd::gather(gateways).await;
    let names = crowd.names();
    let before = server.places(&names).await.unwrap();

    // Everybody is written to all the while.
    let (over, rounds) = (Cell::new(false), Cell::new(0_u64));
    let writing = async {
        // Whoever is away for a few seconds misses fewer than one page of recovery holds.
        let mut pace = tokio::time::interval(Duration::from_millis(40));
        while !over.get() {
            for number in 0..CLIENTS {
                server.publish(&format!("room{number}"), json!(rounds.get())).await.unwrap();
                let inbox = format!("#plain{number}");
                server.publish(&inbox, json!({"content": rounds.get().to_string()})).await.unwrap();
            }
            rounds.set(rounds.get() + 1);
            pace.tick().await;
        }
    };
    let changing = async {
        let added = order(&server, "/admin/members", json!({"mode": "reset", "window": "500ms"})).await;
        server.settled(4).await;
        let after = server.places(&names).await.unwrap();
        let moved: Vec<_> = names.iter().filter(|name| before[*name].owner != after[*name].owner).cloned().collect();
        assert!(!moved.is_empty() && moved.len() < names.len(), "{moved:?}");
        crowd.wait_asked(|name| moved.iter().any(|moved| moved == name)).await;
        let receipt = receipt(&server, |receipt| receipt["number"] == added["change"]).await;
        over.set(true);
        (moved, receipt)
    };
    let ((), (moved, receipt)) = tokio::join!(writing, changing);
    assert_eq!((&receipt["mode"], &receipt["sockets_closed"]), (&json!("reset"), &json!(moved.len())), "{receipt}");
    assert_eq!(counted(gateways, "reset").await, moved.len() as u64);

    // Each comes back to the gateway that it was not on.
    let rounds = rounds.get();
    for number in 0..CLIENTS {
        let elsewhere = gateways[(number + 1) % 2];
        let room = format!("room{number}");
        let client = crowd.listening.get_mut(&format!("key={room}")).unwrap();
        let mut offsets: Vec<u64> = client.publications(&room).iter().map(|one| one.offset).collect();
        if client.closed().is_some() {
            let position = client.position(&room).unwrap();
            *client = CentrifugeClient::connect(elsewhere).await.unwrap();
            assert_eq!(client.recover(&room, &position).await.unwrap()["recovered"], true);
            let missed = client.wait_publications(&room, rounds as usize - offsets.len(), SOON).await.unwrap();
            offsets.extend(missed.iter().map(|one| one.offset));
        } else {
            let all = client.wait_publications(&room, rounds as usize, SOON).await.unwrap();
            offsets = all.iter().map(|one| one.offset).collect();
        }
        assert_eq!(offsets, (1..=rounds).collect::<Vec<_>>(), "{room}");

        let user = format!("plain{number}");
        let client = crowd.plain.get_mut(&format!("user={user}")).unwrap();
        let mut contents = client.contents();
        if client.closed().is_some() {
            *client = plain(elsewhere, &user).await;
        } else {
            contents.clear();
        }
        while contents.len() < rounds as usize {
            contents.push(client.recv_content(SOON).await.unwrap().0);
        }
        assert_eq!(contents, (0..rounds).map(|round| round.to_string()).collect::<Vec<_>>(), "{user}");
    }
    crowd.assert_open(|name| !moved.iter().any(|moved| moved == name));
}

#[tokio::test]
async fn everybody_connects_anew_if_that_is_what_is_asked_for() {
    let (server, second) = two_gateways(2, "").await;
    let gateways = [server.addr(), second];
    let mut crowd = Crowd::gather(gateways).await;
    let weighed = order(&server, "/admin/members/node-1/weight", json!({"weight": 2, "mode": "reset-all"})).await;
    let all = crowd.names().len();
    let begin = std::time::Instant::now();
    crowd.wait_asked(|_| true).await;
    assert!(begin.elapsed() >= Duration::from_secs(3), "spread over five seconds, not {:?}", begin.elapsed());
    let receipt = receipt(&server, |receipt| receipt["number"] == weighed["change"]).await;
    assert_eq!((&receipt["mode"], &receipt["sockets_closed"]), (&json!("reset-all"), &json!(all)), "{receipt}");
    assert_eq!((counted(gateways, "reset-all").await, counted(gateways, "reset").await), (all as u64, 0));
    let crowd = Crowd::gather(gateways).await;
    crowd.assert_open(|_| true);
}

#[tokio::test]
async fn what_nobody_asked_for_goes_by_the_config() {
    let (server, second) = two_gateways(3, "[rebalance]\nmode = \"reset\"\nwindow = \"0s\"\n").await;
    let gateways = [server.addr(), second];
    let mut crowd = Crowd::gather(gateways).await;
    let names = crowd.names();
    let before = server.places(&names).await.unwrap();
    let moved = |name: &str| before[name].owner == "node-2";
    let expected = names.iter().filter(|name| moved(name)).count();
    assert!(expected > 0 && expected < names.len(), "{before:?}");
    process::kill(server.member("node-2").await.unwrap().pid);
    crowd.wait_asked(moved).await;
    let receipt = receipt(&server, |receipt| receipt["action"] == "exit").await;
    assert_eq!((&receipt["mode"], &receipt["sockets_closed"]), (&json!("reset"), &json!(expected)), "{receipt}");
    // A change that is to disturb nobody may say so.
    order(&server, "/admin/members/node-2/start", json!({"mode": "migrate"})).await;
    server.settled(3).await;
    crowd.assert_open(|name| !moved(name));
    assert_eq!(counted(gateways, "reset").await, expected as u64);
}
