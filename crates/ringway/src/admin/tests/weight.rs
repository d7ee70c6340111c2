//! Another weight for a node: what is asked of the cluster, and what is refused.

use serde_json::json;

use super::fake::Fake;

#[tokio::test]
async fn a_weight_is_what_the_node_will_have() {
    let fake = Fake::new();
    for weight in [json!(2.0), json!(0.5)] {
        let done = fake.post_body("/admin/members/node-2/weight", &json!({ "weight": weight }).to_string()).await;
        let shown = (done.status, &done.body["action"], &done.body["member"]["weight"]);
        assert_eq!(shown, (200, &json!("weight"), &weight), "{done:?}");
        assert_eq!(fake.member("node-2").await["weight"], weight);
    }
    assert_eq!(fake.member("node-1").await["weight"], json!(1.0));
}

#[tokio::test]
async fn bodies_that_say_no_weight_are_bad_requests() {
    let fake = Fake::new();
    for body in [
        "",
        "2",
        "{}",
        r#"{"weight":"2"}"#,
        r#"{"weight":2,"mode":1}"#,
        r#"{"weight":-1}"#,
        r#"{"weight":0}"#,
        r#"{"weight":0.0001}"#,
        r#"{"weight":1e9}"#,
        "{\"weight\":",
    ] {
        let refused = fake.post_body("/admin/members/node-2/weight", body).await;
        assert_eq!(refused.status, 400, "{body}: {refused:?}");
        assert!(!refused.error().is_empty());
    }
    assert_eq!(fake.member("node-2").await["weight"], json!(1.0));
}

#[tokio::test]
async fn only_nodes_of_the_view_that_stay_take_a_weight() {
    let fake = Fake::new();
    fake.view(|view| view.with_next_weight(ringway_core::Incarnation(3), ringway_core::ring::Weight::ZERO));
    for (id, status) in [("gateway-0", 409), ("node-3", 409), ("node-9", 404), ("%20", 404)] {
        let refused = fake.post_body(&format!("/admin/members/{id}/weight"), r#"{"weight":2}"#).await;
        assert_eq!(refused.status, status, "{id}: {refused:?}");
    }
    // Goes through the member task, by which time the members there are have been remembered.
    assert_eq!(fake.post_body("/admin/members/node-2/weight", r#"{"weight":2}"#).await.status, 200);
    fake.view(|view| view.without(ringway_core::Incarnation(2), ringway_core::view::Removal::Proven));
    let gone = fake.post_body("/admin/members/node-2/weight", r#"{"weight":2}"#).await;
    assert_eq!(gone.status, 409, "{gone:?}");
}
