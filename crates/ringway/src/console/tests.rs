//! The page as it is served.

use std::collections::BTreeSet;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use tower::ServiceExt;

use super::*;

async fn get_with(path: &str, tag: Option<&HeaderValue>) -> Response {
    let mut request = Request::builder().uri(path);
    if let Some(tag) = tag {
        request = request.header(IF_NONE_MATCH, tag);
    }
    routes(Clients::Here).oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

#[test]
fn every_file_of_the_page_is_in_the_binary() {
    let served = ["html", "js", "css", "svg"];
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../console");
    let names = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let there: BTreeSet<String> =
        names.filter(|name| name.rsplit_once('.').is_some_and(|(_, kind)| served.contains(&kind))).collect();
    let embedded: BTreeSet<String> = FILES.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(embedded, there);
}

#[tokio::test]
async fn the_page_comes_with_a_strict_policy() {
    let page = get_with("/", None).await;
    assert_eq!(page.status(), StatusCode::OK);
    assert_eq!(page.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
    let policy = page.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"));
    let body = to_bytes(page.into_body(), 1 << 20).await.unwrap();
    assert!(String::from_utf8_lossy(&body).contains("<title>Ringway</title>"));
}

#[tokio::test]
async fn everything_the_page_asks_for_is_there() {
    let (_, page) = FILES.iter().find(|(name, _)| *name == "index.html").unwrap();
    let page = String::from_utf8_lossy(page);
    let wanted: Vec<&str> = page.split(['"', '\'']).filter(|text| text.starts_with("console/")).collect();
    assert!(wanted.len() >= 3, "{wanted:?}");
    for path in wanted {
        assert_eq!(get_with(&format!("/{path}"), None).await.status(), StatusCode::OK, "{path}");
    }
    assert_eq!(get_with("/console/package.json", None).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_browser_that_has_it_is_told_so() {
    let first = get_with("/console/app.js", None).await;
    assert_eq!(first.headers()[CONTENT_TYPE], "text/javascript; charset=utf-8");
    let again = get_with("/console/app.js", Some(&first.headers()[ETAG])).await;
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    assert!(to_bytes(again.into_body(), 1).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_page_is_told_where_its_clients_connect_and_may() {
    let elsewhere = |advertise: Option<&str>, listen: &str| Clients::Elsewhere {
        advertise: advertise.map(str::to_owned),
        listen: listen.parse().unwrap(),
    };
    let table = [
        (Clients::Here, "ops.example:9890", json!("")),
        (Clients::Nowhere, "ops.example:9890", json!(null)),
        (elsewhere(Some("chat.example:443"), "0.0.0.0:9888"), "ops.example:9890", json!("chat.example:443")),
        (elsewhere(None, "0.0.0.0:9888"), "ops.example:9890", json!("ops.example:9888")),
        (elsewhere(None, "[::]:9888"), "[2001:db8::1]:9890", json!("[2001:db8::1]:9888")),
        (elsewhere(None, "10.0.0.5:9888"), "localhost:9890", json!("10.0.0.5:9888")),
        (elsewhere(None, "0.0.0.0:9888"), "a; script-src *:1", json!("a; script-src *:9888")),
    ];
    for (clients, host, expected) in table {
        let get = |path: &str| Request::get(path).header(HOST, host).body(Body::empty()).unwrap();
        let told = routes(clients.clone()).oneshot(get("/console/clients.json")).await.unwrap();
        let told = to_bytes(told.into_body(), 1000).await.unwrap();
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&told).unwrap(), json!({"clients": expected}));
        let page = routes(clients).oneshot(get("/")).await.unwrap();
        let policy = page.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap().rsplit_once("connect-src ").unwrap().1;
        let allowed = match expected.as_str() {
            Some(address) if !address.is_empty() && !host.contains(';') => {
                format!("'self' ws://{address} wss://{address}")
            }
            _ => "'self'".to_owned(),
        };
        assert_eq!(policy, allowed);
    }
}
