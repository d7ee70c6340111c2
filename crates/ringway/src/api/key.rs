//! Who may call the server API.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Api;
use crate::guesses::{Kind, Verdict, source, too_many};

/// Lets a request with the key through.
pub(super) async fn check(State(api): State<Api>, request: Request, next: Next) -> Response {
    let Some(key) = api.config.api_key.as_deref().filter(|key| !key.is_empty()) else {
        let text = "the server API is off: no api_key is configured here\n";
        return (StatusCode::UNAUTHORIZED, text).into_response();
    };
    let Some(shown) = shown(request.headers()) else {
        let text = "the API key is missing: send it as X-API-Key, or as Authorization: apikey KEY\n";
        return (StatusCode::UNAUTHORIZED, text).into_response();
    };
    let is_right = is_same(shown, key.as_bytes());
    match api.guesses.attempt(source(request.extensions()), Kind::ApiKey, || is_right).await {
        Verdict::Right => next.run(request).await,
        Verdict::Wrong => (StatusCode::UNAUTHORIZED, "this is not the API key\n").into_response(),
        Verdict::TooMany => too_many("API keys"),
    }
}

fn shown(headers: &HeaderMap) -> Option<&[u8]> {
    let authorization = || {
        let value = headers.get(header::AUTHORIZATION)?.as_bytes();
        let (scheme, key) = value.split_at_checked(b"apikey ".len())?;
        scheme.eq_ignore_ascii_case(b"apikey ").then_some(key)
    };
    headers.get("x-api-key").map(header::HeaderValue::as_bytes).or_else(authorization)
}

/// Compares in a time that tells nothing of where the first difference is.
fn is_same(shown: &[u8], key: &[u8]) -> bool {
    shown.len() == key.len() && shown.iter().zip(key).fold(0, |all, (a, b)| all | (a ^ b)) == 0
}
