//! What actions do to real processes, and how they are refused.

use serde_json::json;

use super::fake::{Fake, id};
use crate::orchestrator::Operation;

#[tokio::test]
async fn without_an_orchestrator_actions_are_refused_with_the_reason() {
    let fake = Fake::new();
    let refused = fake.post("/admin/members").await;
    assert_eq!(refused.status, 409);
    assert!(refused.error().contains("ringway demo") && refused.error().contains("--join"), "{refused:?}");
    let refused = fake.post("/admin/members/node-1/kill").await;
    assert_eq!(refused.status, 409);
    assert!(refused.error().contains("was not started by this process"), "{refused:?}");
}

#[tokio::test]
async fn unknown_members_and_actions_are_not_found() {
    let fake = Fake::orchestrating().await;
    for path in [
        "/admin/members/node-9/kill",
        "/admin/members/%20/kill",
        "/admin/members/node-1/explode",
        "/admin/members/node-1",
    ] {
        let refused = fake.post(path).await;
        assert_eq!(refused.status, 404, "{path}: {refused:?}");
    }
    assert!(fake.post("/admin/members/node-1/explode").await.error().contains("freeze"));
}

#[tokio::test]
async fn the_orchestrator_does_nothing_to_itself() {
    let fake = Fake::orchestrating().await;
    assert_eq!(fake.member("gateway-0").await["orchestrator"], json!(true));
    for (action, _) in Operation::ALL {
        let refused = fake.post(&format!("/admin/members/gateway-0/{action}")).await;
        assert_eq!(refused.status, 409, "{action}");
        assert!(refused.error().contains("Ctrl-C"), "{refused:?}");
    }
}

#[tokio::test]
async fn a_kill_is_carried_out_and_the_view_hears_of_it() {
    let fake = Fake::orchestrating().await;
    assert_ne!(fake.member("node-2").await["pid"], 0);
    let done = fake.post("/admin/members/node-2/kill").await;
    assert_eq!(
        (done.status, &done.body["action"], &done.body["member"]["id"]),
        (200, &json!("kill"), &json!("node-2"))
    );
    let down = fake.wait_for("node-2", "down").await;
    assert_eq!((&down["pid"], &down["slots"]), (&json!(0), &json!(0)));
    for action in ["kill", "stop", "freeze", "thaw"] {
        let refused = fake.post(&format!("/admin/members/node-2/{action}")).await;
        assert_eq!(refused.status, 409, "{action}");
        assert!(refused.error().contains("is down"), "{refused:?}");
    }
}

#[tokio::test]
async fn a_member_that_is_down_can_be_started_again_or_forgotten() {
    let fake = Fake::orchestrating().await;
    assert_eq!(fake.post("/admin/members/node-2/start").await.status, 409);
    assert_eq!(fake.post("/admin/members/node-2/remove").await.status, 409);
    for name in ["node-2", "node-3"] {
        assert_eq!(fake.post(&format!("/admin/members/{name}/kill")).await.status, 200);
    }
    let started = fake.post("/admin/members/node-2/start").await;
    assert_eq!((started.status, &started.body["member"]["state"]), (200, &json!("joining")), "{started:?}");
    assert_ne!(started.body["member"]["pid"], 0);
    let removed = fake.post("/admin/members/node-3/remove").await;
    assert_eq!(removed.status, 200, "{removed:?}");
    assert_eq!(fake.member("node-3").await, json!(null));
    assert_eq!(fake.post("/admin/members/node-3/start").await.status, 404);
}

#[tokio::test]
async fn a_frozen_member_is_suspect_until_it_is_thawed() {
    let fake = Fake::orchestrating().await;
    assert_eq!(fake.post("/admin/members/node-1/freeze").await.status, 200);
    assert_eq!(fake.member("node-1").await["state"], "suspect");
    for action in ["freeze", "stop", "start", "remove"] {
        assert_eq!(fake.post(&format!("/admin/members/node-1/{action}")).await.status, 409, "{action}");
    }
    assert_eq!(fake.post("/admin/members/node-1/thaw").await.status, 200);
    assert_eq!(fake.member("node-1").await["state"], "active");
    assert_eq!(fake.post("/admin/members/node-1/thaw").await.status, 409);
    // Out of the view and frozen still: down, with a process.
    fake.post("/admin/members/node-1/freeze").await;
    fake.view(|view| view.without(ringway_core::Incarnation(1), ringway_core::view::Removal::Suspected));
    let down = fake.member("node-1").await;
    assert_eq!(down["state"], "down");
    assert_ne!(down["pid"], 0);
    assert_eq!(fake.post("/admin/members/node-1/remove").await.status, 409);
    assert_eq!(fake.post("/admin/members/node-1/kill").await.status, 200);
    assert_eq!(fake.wait_for("node-1", "down").await["pid"], 0);
}

#[tokio::test]
async fn ids_are_never_used_twice() {
    let fake = Fake::orchestrating().await;
    fake.join("node-5", 50);
    fake.post("/admin/members/node-3/kill").await;
    fake.post("/admin/members/node-3/remove").await;
    let mut names = Vec::new();
    for _ in 0..2 {
        let added = fake.post("/admin/members").await;
        assert_eq!(
            (added.status, &added.body["action"], &added.body["member"]["state"]),
            (200, &json!("add"), &json!("joining"))
        );
        names.push(added.body["member"]["id"].as_str().unwrap().to_owned());
    }
    assert_eq!(names, ["node-4", "node-6"]);
}

#[tokio::test]
async fn a_stop_answers_while_it_is_under_way() {
    let fake = Fake::orchestrating().await;
    let stopped = fake.post("/admin/members/node-1/stop").await;
    assert_eq!(stopped.status, 200);
    let orchestrator = fake.orchestrator.as_ref().unwrap();
    let mut units = orchestrator.watch();
    units.wait_for(|units| units[&id("node-1")].pid == 0).await.unwrap();
    assert_eq!(orchestrator.units()[&id("node-1")].ended, "exit code 0");
}
