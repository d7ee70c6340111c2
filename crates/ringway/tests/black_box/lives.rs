//! Lives of members: two processes with one name, changes that nobody who listens may notice, and one that was away for long.

use std::time::Instant;

use ringway_testkit::centrifuge::CallError;
use ringway_testkit::process::Builder;
use ringway_testkit::{CentrifugeClient, Process, Server, eventually, eventually_ok, process};
use serde_json::{Value, json};

use crate::support::{BINARY, CHANGE, SOON, configured};

/// What the members of these tests know.
const SECRET: &str = "known between members";

/// A gateway that nodes can join, and where.
async fn first_gateway() -> (Server, String) {
    let builder = Process::builder(&*BINARY, &["gateway", "--port", "0", "--link-listen", "127.0.0.1:0"]);
    let config = "[cluster]\nslots = 256\n[channels.namespaces.kept]\nallow_subscribe_for_client = true\nallow_subscribe_for_anonymous = true\nhistory_size = 100\nhistory_ttl = \"10m\"\n";
    let mut server = Server::start(configured(builder.env("RINGWAY_SECRET", SECRET), config), SOON).await;
    let found = server.process.wait_for(r#"members address=([0-9.]+:[0-9]+)"#, SOON).await;
    (server, found[1].clone())
}

fn node(id: &str, join: &str) -> Builder {
    let builder = Process::builder(&*BINARY, &["node", "--join", join, "--id", id, "--link-listen", "127.0.0.1:0"]);
    builder.env("RINGWAY_SECRET", SECRET)
}

#[tokio::test]
async fn a_second_process_with_one_id_waits_until_the_first_is_gone() {
    let (server, link) = first_gateway().await;
    let first = node("n-1", &link).start();
    let _other = node("n-2", &link).start();
    server.settled(2).await;
    for number in 1..=20 {
        server.publish(&format!("kept:{}", number % 4), json!(number)).await.unwrap();
    }
    let epoch = async || server.admin_get("/admin/members").await.unwrap().json().unwrap()["epoch"].as_u64().unwrap();
    let before = epoch().await;
    let mut second = node("n-1", &link).start();
    second.wait_for("a member with this id is in the view", SOON).await;
    for number in 21..=40 {
        server.publish(&format!("kept:{}", number % 4), json!(number)).await.unwrap();
    }
    assert_eq!(epoch().await, before, "the first one stays as it is");

    let killed = Instant::now();
    first.kill();
    eventually_ok(CHANGE, || async {
        let now = epoch().await;
        anyhow::ensure!(now > before, "still {now}");
        server.member("n-1").await
    })
    .await;
    server.settled(2).await;
    println!("the second one has taken its place {:.1?} after the first was killed", killed.elapsed());
    for channel in 0..4 {
        let page = server.api("history", json!({"channel": format!("kept:{channel}"), "limit": 100})).await.unwrap();
        assert_eq!(page["publications"].as_array().unwrap().len(), 10, "{page}");
    }
    server.publish("kept:0", json!("more")).await.unwrap();
}

#[tokio::test]
async fn planned_changes_lose_nothing_without_history_either() {
    let config = "[cluster]\nslots = 256\n[channels.namespaces.live]\nallow_subscribe_for_client = true\nallow_subscribe_for_anonymous = true\nallow_publish_for_subscriber = true\nallow_publish_for_anonymous = true\n";
    let builder = Process::builder(&*BINARY, &["demo", "--port", "0", "--nodes", "2", "--gateways", "2"]);
    let server = Server::start(configured(builder, config), CHANGE).await;
    server.settled(2).await;
    let second = server.member("gateway-1").await.unwrap().address.parse().unwrap();
    let mut listeners = Vec::new();
    for channel in 0..8 {
        let channel = format!("live:{channel}");
        for addr in [server.addr(), second] {
            let mut client = CentrifugeClient::connect(addr).await.unwrap();
            client.subscribe(&channel).await.unwrap();
            listeners.push((channel.clone(), client));
        }
    }
    let mut number = 0;
    // A few hundred while each change is under way: the first are sent before it begins, the last after its end.
    for change in ["add", "weight", "stop", "start"] {
        let done = async {
            match change {
                "add" => drop(server.add().await.unwrap()),
                "weight" => weigh(&server, "node-1", 3).await,
                _ => drop(server.act("node-2", change).await.unwrap()),
            }
            if change == "stop" {
                server.wait_state("node-2", "down", CHANGE).await;
            }
            server.settled(if change == "stop" { 2 } else { 3 }).await;
        };
        tokio::pin!(done);
        let mut after = 0;
        let mut is_done = false;
        while after < 100 {
            number += 1;
            let (channel, publisher) = &mut listeners[number % 16];
            let sent = publisher.publish(channel, json!(number));
            tokio::pin!(sent);
            tokio::select! {
                answer = &mut sent => drop(answer.unwrap()),
                () = &mut done, if !is_done => { is_done = true; sent.await.unwrap(); }
            }
            after += usize::from(is_done);
        }
        println!("{change}: {number} publications so far");
    }
    for (at, (channel, client)) in listeners.iter_mut().enumerate() {
        // Two clients publish to each channel in turn.
        let all: Vec<Value> = (1..=number).filter(|n| n % 16 / 2 == at / 2).map(|n| json!(n)).collect();
        let got = client.wait_publications(channel, all.len(), SOON).await.unwrap();
        assert_eq!(got.into_iter().map(|one| one.data).collect::<Vec<_>>(), all, "client {at} of {channel}");
        assert!(client.closed().is_none());
    }
}

async fn weigh(server: &Server, id: &str, weight: u32) {
    let path = format!("/admin/members/{id}/weight");
    let answer = server.admin_post_json(&path, &json!({"weight": weight})).await.expect("the admin API answers");
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[tokio::test]
async fn a_node_that_was_frozen_comes_back_as_another_and_serves() {
    let builder = Process::builder(&*BINARY, &["demo", "--port", "0", "--nodes", "3"]);
    let server = Server::start(configured(builder, "[cluster]\nslots = 256\n"), CHANGE).await;
    server.settled(3).await;
    let mut ann = CentrifugeClient::connect(server.addr()).await.unwrap();
    ann.subscribe("room").await.unwrap();
    let owner = server.places(&["key=room".to_owned()]).await.unwrap()["key=room"].owner.clone();
    weigh(&server, &owner, 3).await;
    server.settled(3).await;
    server.act(&owner, "freeze").await.unwrap();
    server.wait_state(&owner, "down", SOON).await;
    for number in 1..=10 {
        ann.publish("room", json!(number)).await.unwrap();
    }
    let thawed = Instant::now();
    server.act(&owner, "thaw").await.unwrap();
    server.wait_state(&owner, "active", CHANGE).await;
    println!("{owner} is active {:.2?} after the thaw", thawed.elapsed());
    server.settled(3).await;
    let place = server.places(&["key=room".to_owned()]).await.unwrap()["key=room"].clone();
    assert_eq!(place.owner, owner, "it owns again what it owned before");
    let members = server.admin_get("/admin/members").await.unwrap().json().unwrap();
    let weight = |member: &serde_json::Value| member["id"] == json!(owner) && member["weight"] == json!(3.0);
    assert!(members["members"].as_array().unwrap().iter().any(weight), "{members}");
    ann.publish("room", json!(11)).await.unwrap();
    let got = ann.wait_publications("room", 11, SOON).await.unwrap();
    assert_eq!(got.iter().map(|one| one.offset).collect::<Vec<_>>(), (1..=11).collect::<Vec<u64>>());
}

#[tokio::test]
async fn where_both_copies_are_lost_everybody_is_told() {
    let builder = Process::builder(&*BINARY, &["demo", "--port", "0", "--nodes", "3"]);
    // An owner begins anew six fifths of this after the loss.
    let config = "[cluster]\nslots = 256\n[cluster.timing]\npair = \"3s\"\n";
    let server = Server::start(configured(builder, config), CHANGE).await;
    server.settled(3).await;
    let mut ann = CentrifugeClient::connect(server.addr()).await.unwrap();
    ann.subscribe("room").await.unwrap();
    ann.publish("room", json!("lost")).await.unwrap();
    let before = ann.position("room").unwrap();
    let place = server.places(&["key=room".to_owned()]).await.unwrap()["key=room"].clone();
    // At once, before the third node can have a copy.
    for id in [&place.owner, &place.standby] {
        let pid = server.member(id).await.unwrap().pid;
        assert!(process::freeze(pid), "{id} has the process {pid}");
    }
    for id in [&place.owner, &place.standby] {
        assert!(process::kill(server.member(id).await.unwrap().pid));
    }
    let resubscribed = eventually(CHANGE, || async { ann.resubscribed().pop() }).await;
    assert_ne!(resubscribed["subscribe"]["recovered"], json!(true), "{resubscribed}");
    eventually_ok(CHANGE, || async {
        let now = ann.position("room");
        anyhow::ensure!(now.as_ref().is_some_and(|now| now.epoch != before.epoch), "still {now:?}");
        Ok(())
    })
    .await;
    ann.publish("room", json!("kept")).await.unwrap();
    let got = ann.wait_publications("room", 2, SOON).await.unwrap();
    assert_eq!(got.iter().map(|one| one.offset).collect::<Vec<_>>(), [1, 1], "of two streams");
    assert!(ann.closed().is_none());
}

#[tokio::test]
async fn while_the_registrys_process_is_away_pairs_go_on_for_a_while() {
    let config = "[cluster]\nslots = 256\n[cluster.timing]\npair = \"3s\"\ndeadline = \"2s\"\n";
    let builder = Process::builder(&*BINARY, &["demo", "--port", "0", "--nodes", "2", "--gateways", "2"]);
    let server = Server::start(configured(builder, config), CHANGE).await;
    server.settled(2).await;
    let second = server.member("gateway-1").await.unwrap().address.parse().unwrap();
    let mut ann = CentrifugeClient::connect(second).await.unwrap();
    ann.subscribe("room").await.unwrap();
    server.process.freeze();
    let (away, mut acknowledged) = (Instant::now(), Vec::new());
    let refused = loop {
        let number = acknowledged.len();
        match ann.publish("room", json!(number)).await {
            Ok(_) => acknowledged.push(json!(number)),
            Err(why) => break why,
        }
        assert!(away.elapsed() < CHANGE, "publishes go on without a lease");
    };
    println!("{} publishes went on for {:.1?}, then: {refused:?}", acknowledged.len(), away.elapsed());
    assert!(acknowledged.len() > 100, "two copies are enough for a while");
    assert!(matches!(refused, CallError::Server { code: 100, .. }), "an answer, not silence: {refused:?}");
    server.process.thaw();
    eventually_ok(CHANGE, || async {
        let health = ringway_testkit::http::get(server.addr(), "/health", &[]).await?;
        anyhow::ensure!(health.status == 200, "{}", health.text());
        Ok(())
    })
    .await;
    // What was refused may have been taken all the same: it is the only one that may be there or not.
    let last = json!("back");
    while ann.publish("room", last.clone()).await.is_err() {
        assert!(away.elapsed() < CHANGE, "publishes do not come back");
    }
    let ended = |got: &[Value]| got.contains(&last);
    let got = eventually(SOON, || async {
        let got: Vec<Value> = ann.publications("room").into_iter().map(|one| one.data).collect();
        ended(&got).then_some(got)
    })
    .await;
    assert_eq!(got[..acknowledged.len()], acknowledged);
    assert!(ann.closed().is_none(), "a client of another gateway is not concerned");
}
