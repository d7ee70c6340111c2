//! What becomes of clients whose owner changes: which bodies say so, with which actions, and where.

use serde_json::{Value, json};

use super::fake::Fake;

const RESET: &str = r#"{"mode":"reset","window":"30s"}"#;

/// The receipt of an answer.
async fn receipt(fake: &Fake, change: &Value) -> Value {
    let kept = fake.get("/admin/changes").await;
    let receipts = kept.body["changes"].as_array().unwrap();
    receipts.iter().find(|receipt| receipt["number"] == *change).cloned().unwrap_or_default()
}

#[tokio::test]
async fn actions_that_move_slots_take_a_mode() {
    let fake = Fake::orchestrating().await;
    for (path, body) in [
        ("/admin/members", RESET),
        ("/admin/members/node-1/weight", r#"{"weight":2,"mode":"reset","window":"30s"}"#),
        ("/admin/members/node-2/kill", RESET),
        ("/admin/members/node-3/stop", RESET),
    ] {
        let done = fake.post_body(path, body).await;
        assert_eq!(done.status, 200, "{path}: {done:?}");
        let receipt = receipt(&fake, &done.body["change"]).await;
        assert_eq!(receipt["mode"], "reset", "{path}: {receipt}");
        assert_eq!(receipt["predicted"]["sockets_closed"], Value::Null, "{receipt}");
    }
    fake.wait_for("node-2", "down").await;
    let started = fake.post_body("/admin/members/node-2/start", r#"{"mode":"reset-all"}"#).await;
    let receipt = receipt(&fake, &started.body["change"]).await;
    assert_eq!((&receipt["mode"], &receipt["predicted"]["sockets_closed"]), (&json!("reset-all"), &json!(42)));
}

#[tokio::test]
async fn without_one_it_is_as_usual() {
    for body in ["", " ", "{}"] {
        // A node that is asked to stop may be down before it is asked again.
        let fake = Fake::orchestrating().await;
        let done = fake.post_body("/admin/members/node-1/stop", body).await;
        assert_eq!(done.status, 200, "{body:?}: {done:?}");
        let receipt = receipt(&fake, &done.body["change"]).await;
        assert_eq!((&receipt["mode"], &receipt["predicted"]["sockets_closed"]), (&json!("migrate"), &json!(0)));
    }
}

#[tokio::test]
async fn bodies_that_mean_nothing_are_refused_and_nothing_is_done() {
    let fake = Fake::orchestrating().await;
    for (body, word) in [
        (r#"{"mode":"rest"}"#, "`reset`"),
        (r#"{"modus":"reset"}"#, "`mode`"),
        (r#"{"window":"5s"}"#, "migrate"),
        (r#"{"mode":"reset","window":"11m"}"#, "10m"),
        (r#"{"mode":"reset","window":"soon"}"#, "5s"),
        ("reset", "cannot be read"),
    ] {
        for path in ["/admin/members", "/admin/members/node-1/kill"] {
            let refused = fake.post_body(path, body).await;
            assert_eq!(refused.status, 400, "{path} {body}: {refused:?}");
            assert!(refused.error().contains(word), "{path} {body}: {refused:?}");
        }
    }
    let refused = fake.post_body("/admin/members/node-1/weight", r#"{"weight":2,"mode":"reset","window":"x"}"#).await;
    assert_eq!(refused.status, 400, "{refused:?}");
    assert_eq!(fake.get("/admin/changes").await.body, json!({"changes": []}));
    assert_eq!(fake.member("node-1").await["state"], "active");
}

#[tokio::test]
async fn actions_that_move_no_slot_take_none() {
    let fake = Fake::orchestrating().await;
    for action in ["freeze", "thaw", "remove"] {
        let refused = fake.post_body(&format!("/admin/members/node-1/{action}"), RESET).await;
        assert_eq!(refused.status, 400, "{action}: {refused:?}");
        assert!(refused.error().contains(action) && refused.error().contains("weight"), "{refused:?}");
    }
    let refused = fake.post_body("/admin/members/gateway-0/stop", RESET).await;
    assert_eq!(refused.status, 409, "{refused:?}");
    assert!(refused.error().contains("owns no slots"), "{refused:?}");
}

#[tokio::test]
async fn only_the_first_gateway_takes_one() {
    let fake = Fake::elsewhere(None);
    let refused = fake.post_body("/admin/members/node-2/weight", r#"{"weight":2,"mode":"reset"}"#).await;
    assert_eq!(refused.status, 409, "{refused:?}");
    assert!(refused.error().contains("first gateway"), "{refused:?}");
}

#[tokio::test]
async fn a_receipt_tells_how_many_were_asked() {
    let fake = Fake::orchestrating().await;
    let done = fake.post_body("/admin/members/node-2/kill", RESET).await;
    let receipt = fake.settled(&done.body["change"]).await;
    assert_eq!((&receipt["mode"], &receipt["sockets_closed"]), (&json!("reset"), &json!(3)));
}
