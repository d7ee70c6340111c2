//! What a request over HTTP must satisfy before anything is done for it: it came to a name of ours, and what it would change is not
//! asked for by a page of somebody else.

use std::sync::Arc;

use crate::gateway::GatewayConfig;
use axum::Json;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::gateway::{is_known_host, may_change};

const FOREIGN_HOST: &str = "this server is not known under the name that was asked for: ask for it by its address, or add the \
                            name to [server] names";
const FOREIGN_PAGE: &str = "a page of another site asked for this change: change it from a page of this server, or add that page's origin to \
                            [client] allowed_origins";

/// Lets through what may be asked. Probes come under any name, and back ends bring a key that no page of somebody else knows.
pub(crate) async fn check(State(config): State<Arc<GatewayConfig>>, request: Request, next: Next) -> Response {
    let (path, headers) = (request.uri().path(), request.headers());
    let is_probe = matches!(path, "/health" | "/health/live" | "/metrics");
    let is_api = path.starts_with("/api/");
    if !is_probe && !is_api && !is_known_host(headers, &config) {
        return refusal(path, StatusCode::MISDIRECTED_REQUEST, FOREIGN_HOST);
    }
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let changes = !reads || path.contains("/websocket/to/");
    if changes && !may_change(headers, &config) {
        return refusal(path, StatusCode::FORBIDDEN, FOREIGN_PAGE);
    }
    next.run(request).await
}

fn refusal(path: &str, status: StatusCode, text: &'static str) -> Response {
    match path.starts_with("/admin/") {
        true => (status, Json(json!({ "error": text }))).into_response(),
        false => (status, format!("{text}\n")).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::body::Body;
    use axum::middleware::from_fn_with_state;
    use axum::routing::any;
    use tower::ServiceExt;

    async fn status(method: &str, path: &str, headers: &[(&str, &str)]) -> u16 {
        let config = Arc::new(GatewayConfig { names: vec!["chat.example".into()], ..GatewayConfig::default() });
        let routes = Router::new().fallback(any(|| async {})).layer(from_fn_with_state(config, check));
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        routes.oneshot(request.body(Body::empty()).unwrap()).await.unwrap().status().as_u16()
    }

    #[tokio::test]
    async fn a_foreign_name_is_told_so_and_probes_are_answered() {
        let foreign = [("host", "evil.example:9888")];
        for path in ["/", "/console/app.js", "/admin/members", "/websocket/to/bob/hello"] {
            assert_eq!(status("GET", path, &foreign).await, 421, "{path}");
            assert_eq!(status("GET", path, &[("host", "chat.example")]).await, 200, "{path}");
            assert_eq!(status("GET", path, &[("host", "127.0.0.1:9888")]).await, 200, "{path}");
        }
        for path in ["/health", "/health/live", "/metrics", "/api/info"] {
            assert_eq!(status("GET", path, &foreign).await, 200, "{path}");
        }
    }

    #[tokio::test]
    async fn other_sites_change_nothing_by_any_route() {
        let foreign = [("host", "chat.example"), ("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")];
        for (method, path) in [
            ("POST", "/admin/members"),
            ("POST", "/api/publish"),
            ("POST", "/websocket/to/bob/hello"),
            ("GET", "/websocket/to/bob/hello"),
            ("GET", "/ufire-websocket/websocket/to/bob/hello"),
        ] {
            assert_eq!(status(method, path, &foreign).await, 403, "{method} {path}");
            assert_eq!(status(method, path, &foreign[..1]).await, 200, "{method} {path}");
        }
        assert_eq!(status("GET", "/health", &foreign).await, 200);
    }
}
