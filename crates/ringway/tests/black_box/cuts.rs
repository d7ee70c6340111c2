//! A network that is cut in one place: between one node and one gateway, and nowhere else.

use std::time::{Duration, Instant};

use ringway_testkit::machine::Standstill;
use ringway_testkit::{CentrifugeClient, Server, eventually_ok, http};
use serde_json::json;

use crate::support::{CHANGE, SOON, two_gateways};

/// Clients whose owner cannot be reached are sent away after this.
const SEND_AWAY: Duration = Duration::from_secs(30);
/// The last of them has gone when so much more has passed, and then the cut ends.
const MARGIN: Duration = Duration::from_secs(6);

async fn epoch(server: &Server) -> u64 {
    let shown = server.admin_get("/admin/members").await.and_then(|answer| answer.json()).expect("the members");
    shown["epoch"].as_u64().expect("a number")
}

/// Those of fifty channels that this node owns: some of them stay with it when a node joins.
async fn channels_of(server: &Server, owner: &str) -> Vec<String> {
    let names: Vec<String> = (0..50).map(|number| format!("room-{number}")).collect();
    let keys: Vec<String> = names.iter().map(|name| format!("key={name}")).collect();
    let places = server.places(&keys).await.expect("a view that stays");
    names.into_iter().filter(|name| places[&format!("key={name}")].owner == owner).collect()
}

#[tokio::test]
async fn one_cut_link_costs_the_gateway_those_slots_and_nothing_else() {
    let (server, second) = two_gateways(2, "").await;
    let cut_off = channels_of(&server, "node-1").await;
    let other = channels_of(&server, "node-2").await.pop().expect("it owns some");
    let mut ann = CentrifugeClient::connect(second).await.unwrap();
    let mut ben = CentrifugeClient::connect(second).await.unwrap();
    for channel in &cut_off {
        ann.subscribe(channel).await.unwrap();
    }
    ben.subscribe(&other).await.unwrap();
    let before = epoch(&server).await;
    let (watch, begun) = (Standstill::watch(), Instant::now());
    let body = json!({"from": "gateway-1", "seconds": (SEND_AWAY + MARGIN).as_secs()});
    assert_eq!(server.admin_post_json("/admin/members/node-1/cut", &body).await.unwrap().status, 200);

    // Longer than a silent node would be left in the view, and ten times so.
    let mut published = 0;
    while begun.elapsed() < Duration::from_secs(12) {
        ben.publish(&other, json!(published)).await.unwrap();
        published += 1;
        assert_eq!(epoch(&server).await, before, "nobody is removed after {:?}", begun.elapsed());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(ben.wait_publications(&other, published, SOON).await.unwrap().len(), published);
    assert!(ann.publish(&cut_off[0], json!("lost")).await.is_err(), "its owner is not reached from there");
    let health = http::get(second, "/health", &[]).await.unwrap().text().clone();
    assert!(health.contains("node-1"), "{health}");

    // A change goes on meanwhile.
    server.add().await.unwrap();
    server.wait_state("node-3", "active", CHANGE).await;
    assert!(begun.elapsed() < Duration::from_secs(28), "the change has waited for the cut: {:?}", begun.elapsed());
    assert!(ann.closed().is_none() && ben.closed().is_none());
    let kept = channels_of(&server, "node-1").await;
    let cut_off = cut_off.into_iter().find(|channel| kept.contains(channel)).expect("some stay where they were");

    // At last, who needs what cannot be reached is asked to go where it can be.
    let closed = ann.wait_closed(CHANGE).await.unwrap();
    let waited = begun.elapsed();
    assert_eq!(closed.code, Some(3011), "{closed:?}");
    assert!(waited >= SEND_AWAY && waited <= SEND_AWAY + MARGIN + watch.total().0, "{waited:?}");
    eventually_ok(SOON, || async {
        let counted = http::get(second, "/metrics", &[]).await?.metric("ringway_sessions_sent_away_total");
        anyhow::ensure!(counted.values().sum::<f64>() == 1.0, "{counted:?}");
        Ok(())
    })
    .await;
    let mut ann = CentrifugeClient::connect(server.addr()).await.unwrap();
    ann.subscribe(&cut_off).await.unwrap();
    ann.publish(&cut_off, json!(1)).await.unwrap();

    // When the network is whole again, so is the gateway.
    let mut cid = CentrifugeClient::connect(second).await.unwrap();
    eventually_ok(CHANGE, || async {
        let health = http::get(second, "/health", &[]).await?;
        anyhow::ensure!(health.status == 200 && !health.text().contains("node-1"), "{}", health.text());
        Ok(())
    })
    .await;
    cid.subscribe(&cut_off).await.unwrap();
    ann.publish(&cut_off, json!(2)).await.unwrap();
    assert_eq!(cid.wait_publications(&cut_off, 1, SOON).await.unwrap().len(), 1);
    assert!(ben.closed().is_none(), "clients of other slots noticed nothing");
}
