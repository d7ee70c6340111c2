//! Receipts of what actions do.

use serde_json::{Value, json};

use super::fake::{Fake, id};

#[tokio::test]
async fn a_kill_comes_true_as_foretold() {
    let fake = Fake::orchestrating().await;
    let owned = fake.member("node-2").await["slots"].clone();
    let done = fake.post("/admin/members/node-2/kill").await;
    let receipt = fake.settled(&done.body["change"]).await;
    assert_eq!((&receipt["action"], &receipt["member"]), (&json!("kill"), &json!("node-2")));
    let predicted = json!({"slots": owned, "bystander_moves": 0, "users": 0, "sockets_closed": 0});
    assert_eq!((&receipt["predicted"], &receipt["moved"]["slots"]), (&predicted, &owned));
    assert_eq!((&receipt["bystander_moves"], &receipt["mode"]), (&json!(0), &json!("migrate")));
    assert!(receipt["detection_ms"].as_f64().unwrap() >= 0.0 && receipt["settled_ms"].is_number(), "{receipt}");
    let planned = fake.post_body("/admin/plan", r#"{"action":"kill","member":"node-1"}"#).await;
    let estimated = planned.body["estimated_ms"].as_f64().unwrap();
    assert_eq!(
        estimated,
        receipt["settled_ms"].as_f64().unwrap().trunc(),
        "the next one takes as long as this one did"
    );
    assert_eq!(receipt["pauses"], json!({"count": 0, "p50_ms": 0.0, "p99_ms": 0.0, "max_ms": 0.0}));
}

#[tokio::test]
async fn a_weight_and_an_added_node_come_true_as_foretold() {
    let fake = Fake::orchestrating().await;
    let done = fake.post_body("/admin/members/node-1/weight", r#"{"weight":2}"#).await;
    fake.view(ringway_core::view::View::activated);
    let receipt = fake.settled(&done.body["change"]).await;
    assert_eq!(receipt["predicted"]["slots"], receipt["moved"]["slots"]);
    assert!(receipt["moved"]["slots"].as_u64().unwrap() > 0 && receipt["detection_ms"].is_null(), "{receipt}");

    let done = fake.post("/admin/members").await;
    fake.join("node-4", 4);
    let receipt = fake.settled(&done.body["change"]).await;
    assert_eq!((&receipt["action"], &receipt["member"]), (&json!("add"), &json!("node-4")));
    assert_eq!(receipt["predicted"]["slots"], receipt["moved"]["slots"]);
}

#[tokio::test]
async fn a_refused_action_has_no_receipt() {
    let fake = Fake::orchestrating().await;
    assert_eq!(fake.post("/admin/members/node-1/thaw").await.status, 409);
    assert_eq!(fake.get("/admin/changes").await.body, json!({"changes": []}));
}

#[tokio::test]
async fn what_was_not_asked_for_is_listed_too() {
    let fake = Fake::orchestrating().await;
    let pid = fake.orchestrator.as_ref().unwrap().units()[&id("node-3")].pid;
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid as i32), nix::sys::signal::SIGKILL).unwrap();
    fake.wait_for("node-3", "down").await;
    let receipt = fake.settled(&json!(1)).await;
    assert_eq!((&receipt["action"], &receipt["predicted"]), (&json!("exit"), &Value::Null));
    assert!(receipt["moved"]["slots"].as_u64().unwrap() > 0);
}

#[tokio::test]
async fn other_gateways_name_the_one_that_keeps_them() {
    let fake = Fake::elsewhere(Some("10.0.0.1:9888"));
    let refused = fake.get("/admin/changes").await;
    assert_eq!(refused.status, 409);
    assert!(refused.error().contains("http://10.0.0.1:9888"), "{refused:?}");
}
