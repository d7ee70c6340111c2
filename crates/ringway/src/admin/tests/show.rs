//! What reading routes show.

use ringway_core::Incarnation;
use ringway_core::ring::Weight;
use ringway_core::view::Removal;
use serde_json::json;

use super::fake::Fake;
use crate::cluster::Reach;

#[tokio::test]
async fn members_are_listed_as_the_view_has_them() {
    let fake = Fake::new();
    fake.join("node-10", 10);
    let answer = fake.get("/admin/members").await;
    assert_eq!(answer.status, 200);
    assert!(answer.body["epoch"].as_u64().unwrap() > 1);
    let ids: Vec<&str> =
        answer.body["members"].as_array().unwrap().iter().map(|member| member["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["gateway-0", "node-1", "node-2", "node-3", "node-10"]);
    let slots: u64 =
        answer.body["members"].as_array().unwrap().iter().map(|member| member["slots"].as_u64().unwrap()).sum();
    assert_eq!(slots, 64);
    let gateway = fake.member("gateway-0").await;
    let wanted = json!({
        "id": "gateway-0", "roles": ["gateway"], "state": "active", "weight": 0.0, "slots": 0, "unsettled": 0, "users": 0, "sockets": 42,
        "pid": std::process::id(), "address": "127.0.0.1:9888", "orchestrator": false,
    });
    assert_eq!(gateway, wanted);
    let node = fake.member("node-2").await;
    assert_eq!(
        (&node["users"], &node["pid"], &node["weight"], &node["address"]),
        (&json!(7), &json!(0), &json!(1.0), &json!("127.0.0.1:72"))
    );
}

#[tokio::test]
async fn states_tell_what_a_member_is_doing() {
    let fake = Fake::new();
    fake.view(|view| view.with_next_weight(Incarnation(3), Weight::ZERO));
    assert_eq!(fake.member("node-3").await["state"], "draining");
    fake.change(|state| {
        state.links.insert(Incarnation(1), Reach::Silent);
        state.links.remove(&Incarnation(2));
    });
    assert_eq!(
        (&fake.member("node-1").await["state"], &fake.member("node-2").await["state"]),
        (&json!("suspect"), &json!("suspect"))
    );
    let four = |view: &ringway_core::view::View| {
        let node = view.nodes[0].clone();
        view.with_node(ringway_core::view::NodeEntry {
            id: super::fake::id("node-4"),
            incarnation: Incarnation(4),
            ..node
        })
    };
    fake.view(four);
    assert_eq!(
        (&fake.member("node-4").await["state"], &fake.member("node-4").await["slots"]),
        (&json!("joining"), &json!(0))
    );
}

#[tokio::test]
async fn a_member_that_left_stays_listed_as_down() {
    let fake = Fake::new();
    // The memory must have seen it before it goes.
    fake.wait_for("node-2", "active").await;
    tokio::task::yield_now().await;
    fake.view(|view| view.without(Incarnation(2), Removal::Proven));
    let member = fake.wait_for("node-2", "down").await;
    let wanted = json!({
        "id": "node-2", "roles": ["node"], "state": "down", "weight": 1.0, "slots": 0, "unsettled": 0, "users": 0, "sockets": 0, "pid": 0,
        "address": "127.0.0.1:72", "orchestrator": false,
    });
    assert_eq!(member, wanted);
}

#[tokio::test]
async fn the_ring_names_owner_and_standby() {
    let fake = Fake::new();
    let by_user = fake.get("/admin/ring?user=bob").await;
    assert_eq!(by_user.status, 200);
    assert_eq!(by_user.body, fake.get("/admin/ring?key=%23bob").await.body);
    assert_eq!(by_user.body["key"], "#bob");
    assert!(by_user.body["slot"].as_u64().unwrap() < 64);
    let names = (by_user.body["owner"].as_str().unwrap(), by_user.body["standby"].as_str().unwrap());
    assert!(names.0.starts_with("node-") && names.1.starts_with("node-") && names.0 != names.1, "{names:?}");
    fake.view(|view| view.without(Incarnation(1), Removal::Proven).without(Incarnation(2), Removal::Proven));
    let alone = fake.get("/admin/ring?user=bob").await;
    assert_eq!((&alone.body["owner"], &alone.body["standby"]), (&json!("node-3"), &json!(null)));
}

#[tokio::test]
async fn names_that_cannot_be_are_refused() {
    let fake = Fake::new();
    let long = "x".repeat(256);
    for query in [
        "",
        "?key=",
        "?user=",
        "?user=a%20b",
        "?user=a/b",
        "?key=a&user=b",
        "?key=%00",
        "?key=a&key=b",
        &format!("?key={long}"),
    ] {
        let refused = fake.get(&format!("/admin/ring{query}")).await;
        assert_eq!(refused.status, 400, "{query}: {refused:?}");
        assert!(!refused.error().is_empty());
    }
}
