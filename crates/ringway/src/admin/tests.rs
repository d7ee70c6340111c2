//! The routes against a cluster that is made up: what they show, whom they refuse, what they ask for.

mod act;
mod changes;
mod fake;
mod modes;
mod plan;
mod show;
mod weight;

use axum::http::Method;
use fake::Fake;

/// What stands in the module's route table: the routes that there are.
const TABLE: &str = include_str!("../admin.rs");

#[tokio::test]
async fn the_table_of_the_module_is_what_the_router_has() {
    let fake = Fake::new();
    let lines: Vec<&str> = TABLE.lines().filter(|line| line.starts_with("//! | `")).collect();
    assert_eq!(lines.len(), 9);
    for line in lines {
        let route = line.split('`').nth(1).unwrap();
        let (method, path) = route.split_once(' ').unwrap();
        let path = path.replace("{id}", "node-1").replace("{action}", "freeze");
        let known = fake.call(method.parse().unwrap(), &path).await;
        assert!(![404, 405].contains(&known.status), "{route} is not in the router: {known:?}");
        let other = if method == "GET" { Method::PUT } else { Method::DELETE };
        let refused = fake.call(other, &path).await;
        assert_eq!(refused.status, 405, "{route}: {refused:?}");
        assert!(refused.error().contains("GET"), "{refused:?}");
    }
    assert_eq!(fake.get("/admin/nothing").await.status, 404);
    assert_eq!(fake.get("/admin").await.status, 404);
}

#[tokio::test]
async fn only_the_token_opens_the_door() {
    let fake = Fake::new();
    for header in
        [None, Some("Bearer wrong"), Some("Bearer"), Some("Basic secret"), Some("Bearer secret2"), Some("secret")]
    {
        let refused = fake.call_as(Method::GET, "/admin/members", header).await;
        assert_eq!(refused.status, 401, "{header:?}");
        assert!(refused.error().contains("Authorization: Bearer"), "{refused:?}");
    }
    for header in ["Bearer secret", "bearer secret"] {
        assert_eq!(fake.call_as(Method::GET, "/admin/members", Some(header)).await.status, 200, "{header}");
    }
    assert_eq!(fake.call_as(Method::GET, "/admin/nothing", None).await.status, 401);
}

#[tokio::test]
async fn any_text_is_a_token() {
    for token in ["ä ö", "a b", "!", "\u{1f600}"] {
        let fake = Fake::with_token(Some(token));
        assert_eq!(
            fake.call_as(Method::GET, "/admin/members", Some(&format!("Bearer {token}"))).await.status,
            200,
            "{token}"
        );
        assert_eq!(fake.call_as(Method::GET, "/admin/members", Some("Bearer x")).await.status, 401, "{token}");
    }
}

#[tokio::test]
async fn without_a_token_there_is_no_admin_api() {
    for token in [None, Some("")] {
        let fake = Fake::with_token(token);
        for path in ["/admin/members", "/admin/ring?user=bob", "/admin/x"] {
            assert_eq!(fake.call_as(Method::GET, path, Some("Bearer ")).await.status, 404, "{path}");
        }
    }
}
