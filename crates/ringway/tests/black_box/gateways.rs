//! More than one gateway: clients of one channel on both, one that is killed, and one that leaves in good order.

use std::time::{Duration, Instant};

use anyhow::Context;
use ringway_testkit::server::TOKEN;
use ringway_testkit::{CentrifugeClient, eventually, eventually_ok, http};
use serde_json::json;

use crate::support::{CHANGE, SOON, demo, plain, two_gateways};

#[tokio::test]
async fn a_killed_gateway_costs_its_own_sockets_and_no_message() {
    let (server, second) = two_gateways(2, "").await;
    let mut ann = CentrifugeClient::connect(server.addr()).await.unwrap();
    let mut ben = CentrifugeClient::connect(second).await.unwrap();
    for client in [&mut ann, &mut ben] {
        client.subscribe("room").await.unwrap();
    }
    ann.publish("room", json!(1)).await.unwrap();
    ben.publish("room", json!(2)).await.unwrap();
    for client in [&mut ann, &mut ben] {
        let got = client.wait_publications("room", 2, SOON).await.unwrap();
        assert_eq!(got.iter().map(|one| one.offset).collect::<Vec<_>>(), [1, 2]);
    }
    let position = ben.position("room").unwrap();
    server.act("gateway-1", "kill").await.unwrap();
    ben.wait_closed(SOON).await.unwrap();
    for number in 3..=5 {
        ann.publish("room", json!(number)).await.unwrap();
    }
    let mut ben = CentrifugeClient::connect(server.addr()).await.unwrap();
    let result = ben.recover("room", &position).await.unwrap();
    assert_eq!(result["recovered"], true, "{result}");
    let missed = ben.wait_publications("room", 3, SOON).await.unwrap();
    assert_eq!(missed.iter().map(|one| one.data.clone()).collect::<Vec<_>>(), [json!(3), json!(4), json!(5)]);
    server.wait_state("gateway-1", "down", SOON).await;
    assert_eq!(
        ann.presence("room").await.unwrap().as_object().unwrap().len(),
        2,
        "who was on it is not there any more"
    );
    server.act("gateway-1", "start").await.unwrap();
    server.wait_state("gateway-1", "active", CHANGE).await;
    let mut cid = CentrifugeClient::connect(second).await.unwrap();
    cid.subscribe("room").await.unwrap();
    cid.publish("room", json!(6)).await.unwrap();
    assert_eq!(ann.wait_publications("room", 6, SOON).await.unwrap().len(), 6);
    assert!(ann.closed().is_none(), "nobody else was disturbed");
}

#[tokio::test]
async fn a_gateway_that_leaves_sends_its_clients_away_a_few_at_a_time() {
    let (server, second) = two_gateways(2, "[drain]\nrate = 20\n").await;
    let mut here = CentrifugeClient::connect(server.addr()).await.unwrap();
    here.subscribe("room").await.unwrap();
    let mut there = Vec::new();
    for _ in 0..10 {
        let mut client = CentrifugeClient::connect(second).await.unwrap();
        client.subscribe("room").await.unwrap();
        there.push(client);
    }
    let mut bob = plain(second, "bob").await;
    here.publish("room", json!(1)).await.unwrap();
    for client in &mut there {
        client.wait_publications("room", 1, SOON).await.unwrap();
    }
    let begin = Instant::now();
    server.act("gateway-1", "stop").await.unwrap();
    server.wait_state("gateway-1", "draining", SOON).await;
    let positions: Vec<_> = there.iter().map(|client| client.position("room").unwrap()).collect();
    for client in &mut there {
        assert_eq!(client.wait_closed(SOON).await.unwrap().code, Some(3001));
    }
    bob.wait_closed(SOON).await.unwrap();
    assert!(bob.all().iter().any(|message| message["type"] == 2), "{:?}", bob.all());
    assert!(begin.elapsed() >= Duration::from_millis(400), "11 clients at 20 a second: {:?}", begin.elapsed());
    server.wait_state("gateway-1", "down", CHANGE).await;
    here.publish("room", json!(2)).await.unwrap();
    for position in positions {
        let mut client = CentrifugeClient::connect(server.addr()).await.unwrap();
        assert_eq!(client.recover("room", &position).await.unwrap()["recovered"], true);
        let missed = client.wait_publications("room", 1, SOON).await.unwrap();
        assert_eq!(missed[0].data, json!(2));
    }
    plain(server.addr(), "bob").await;
    assert!(here.closed().is_none());
}

#[tokio::test]
async fn other_gateways_show_the_cluster_and_name_who_changes_it() {
    let (server, second) = two_gateways(2, "").await;
    let bearer = format!("Bearer {TOKEN}");
    let key = [("authorization", bearer.as_str())];
    // On a busy machine a member may be silent for a moment, and is shown as suspect for as long.
    let shown = eventually_ok(SOON, || async {
        let shown = http::get(second, "/admin/members", &key).await?.json()?;
        let members = shown["members"].as_array().context("no members")?;
        let all = members.len() == 4 && members.iter().all(|member| member["state"] == "active");
        all.then(|| shown.clone()).with_context(|| format!("not four active members: {shown}"))
    })
    .await;
    let orchestrator = shown["members"].as_array().unwrap().iter().find(|member| member["id"] == "gateway-0").unwrap();
    assert_eq!(
        (&orchestrator["orchestrator"], &orchestrator["address"]),
        (&json!(true), &json!(server.addr().to_string()))
    );
    let place = http::get(second, "/admin/ring?user=bob", &key).await.unwrap();
    assert_eq!(place.json().unwrap(), server.admin_get("/admin/ring?user=bob").await.unwrap().json().unwrap());
    for path in ["/admin/members", "/admin/members/node-1/stop", "/admin/members/node-1/weight"] {
        let refused = http::post_raw(second, path, &key, "").await.unwrap();
        assert_eq!(refused.status, 409, "{path}: {}", refused.text());
        assert!(refused.text().contains(&format!("http://{}", server.addr())), "{path}: {}", refused.text());
    }
    assert_eq!(server.members().await.unwrap().len(), 4, "nothing was done");
}

#[tokio::test]
async fn a_node_that_is_cut_off_is_replaced_and_comes_back() {
    let server = demo(3).await;
    let mut ann = CentrifugeClient::connect(server.addr()).await.unwrap();
    ann.subscribe("room").await.unwrap();
    let cut = async |from: &str, seconds: u32| {
        let body = json!({"from": from, "seconds": seconds});
        server.admin_post_json("/admin/members/node-1/cut", &body).await
    };
    for (from, seconds, status) in [("node-1", 1, 400), ("node-9", 1, 404), ("node-2", 0, 400)] {
        assert_eq!(cut(from, seconds).await.unwrap().status, status, "{from} {seconds}");
    }
    for from in ["gateway-0", "node-2", "node-3"] {
        assert_eq!(cut(from, 5).await.unwrap().status, 200, "{from}");
    }
    let away = |member: &ringway_testkit::server::Listed| member.state == "joining";
    eventually(SOON, || async { server.member("node-1").await.ok().filter(away) }).await;
    ann.publish("room", json!(1)).await.unwrap();
    server.wait_state("node-1", "active", CHANGE).await;
    ann.publish("room", json!(2)).await.unwrap();
    assert_eq!(ann.wait_publications("room", 2, SOON).await.unwrap().len(), 2);
    assert!(ann.closed().is_none());
}
