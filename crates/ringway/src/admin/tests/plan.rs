//! What is foretold of a change, and that foretelling changes nothing.

use ringway_core::Incarnation;
use ringway_core::view::Removal;
use serde_json::{Value, json};

use super::fake::Fake;

async fn slots_of(fake: &Fake, name: &str) -> u64 {
    fake.member(name).await["slots"].as_u64().unwrap_or(0)
}

fn row<'a>(plan: &'a Value, name: &str) -> &'a Value {
    plan["nodes"].as_array().unwrap().iter().find(|node| node["id"] == name).unwrap()
}

#[tokio::test]
async fn a_kill_is_foretold_and_comes_true() {
    let fake = Fake::new();
    let before = fake.get("/admin/members").await.body;
    let owned = slots_of(&fake, "node-2").await;
    let planned = fake.post_body("/admin/plan", r#"{"action":"kill","member":"node-2"}"#).await;
    assert_eq!(planned.status, 200, "{planned:?}");
    let plan = &planned.body;
    let told = (&plan["action"], &plan["member"], &plan["slots"], &plan["weight"]);
    assert_eq!(told, (&json!("kill"), &json!("node-2"), &json!(owned), &json!(0.0)));
    assert_eq!((&plan["bystander_moves"], &plan["epoch"]), (&json!(0), &before["epoch"]));
    assert_eq!((&plan["users"], &plan["user_names"]), (&json!(0), &json!([])));
    assert!(plan["max_over_mean"].as_f64().unwrap() >= 1.0 && plan["estimated_ms"].as_u64().unwrap() > 0);
    assert!(["node-1", "node-3"].contains(&plan["busiest_heir"]["id"].as_str().unwrap()));
    assert_eq!(fake.get("/admin/members").await.body, before, "nothing has changed");
    fake.view(|view| view.without(Incarnation(2), Removal::Proven));
    for name in ["node-1", "node-3"] {
        assert_eq!(row(plan, name)["slots_after"], json!(slots_of(&fake, name).await));
    }
    assert_eq!(row(plan, "node-2")["slots_after"], json!(0));
}

#[tokio::test]
async fn an_added_node_is_named_as_it_will_be() {
    let fake = Fake::orchestrating().await;
    for _ in 0..2 {
        let planned = fake.post_body("/admin/plan", r#"{"action":"add"}"#).await;
        let heir = &planned.body["busiest_heir"];
        assert_eq!((&planned.body["member"], &heir["id"]), (&json!("node-4"), &json!("node-4")), "{planned:?}");
        assert_eq!((&heir["slots"], &heir["of_fair_share"]), (&planned.body["slots"], &json!(1.0)));
    }
    let added = fake.post("/admin/members").await;
    assert_eq!(added.body["member"]["id"], json!("node-4"), "a plan uses no id up");
}

#[tokio::test]
async fn a_node_that_is_started_elsewhere_is_named() {
    let planned = Fake::new().post_body("/admin/plan", r#"{"action":"add","member":"far-1","weight":2}"#).await;
    let (member, weight) = (&planned.body["member"], &planned.body["weight"]);
    assert_eq!((member, weight), (&json!("far-1"), &json!(2.0)), "{planned:?}");
    assert_eq!(row(&planned.body, "far-1")["slots_after"], planned.body["slots"]);
}

#[tokio::test]
async fn a_weight_and_a_stop_are_foretold() {
    let fake = Fake::new();
    let owned = slots_of(&fake, "node-3").await;
    let planned = fake.post_body("/admin/plan", r#"{"action":"weight","member":"node-3","weight":2.5}"#).await;
    let after = row(&planned.body, "node-3")["slots_after"].as_u64().unwrap();
    assert_eq!((after - owned, &planned.body["weight"]), (planned.body["slots"].as_u64().unwrap(), &json!(2.5)));
    let planned = fake.post_body("/admin/plan", r#"{"action":"stop","member":"node-3"}"#).await;
    assert_eq!(planned.body["slots"], json!(owned));
}

#[tokio::test]
async fn what_cannot_be_foretold_is_refused() {
    let fake = Fake::new();
    for (body, status) in [
        ("", 400),
        ("{}", 400),
        (r#"{"action":"explode","member":"node-1"}"#, 400),
        (r#"{"action":"kill"}"#, 400),
        (r#"{"action":"add","member":"node 7"}"#, 400),
        (r#"{"action":"add","member":"node-1"}"#, 409),
        (r#"{"action":"add","member":"gateway-0"}"#, 409),
        (r#"{"action":"weight","member":"node-1"}"#, 400),
        (r#"{"action":"weight","member":"node-1","weight":0}"#, 400),
        (r#"{"action":"kill","member":"node-1","weight":2}"#, 400),
        (r#"{"action":"kill","member":"node-1","when":"now"}"#, 400),
        (r#"{"action":"kill","member":"node-9"}"#, 404),
        (r#"{"action":"kill","member":"gateway-0"}"#, 409),
        (r#"{"action":"add"}"#, 409),
    ] {
        let refused = fake.post_body("/admin/plan", body).await;
        assert_eq!(refused.status, status, "{body}: {refused:?}");
        assert!(!refused.error().is_empty());
    }
    for other in [2, 3] {
        fake.view(|view| view.without(Incarnation(other), Removal::Proven));
    }
    assert_eq!(fake.post_body("/admin/plan", r#"{"action":"stop","member":"node-1"}"#).await.status, 409);
}
