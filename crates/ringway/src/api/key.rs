//! Who may call the server API.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq;

use super::Api;
use crate::guesses::{Kind, refuse, source};

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
    if is_same(shown, key) {
        return next.run(request).await;
    }
    let reply = api.guesses.wrong(source(request.extensions()), Kind::ApiKey);
    let wrong = (StatusCode::UNAUTHORIZED, "this is not the API key\n");
    let limited = "this is not the API key, and others from this address were not either: find out who tries, or send the right one\n";
    refuse(reply, wrong, limited).await
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
fn is_same(shown: &[u8], key: &str) -> bool {
    shown.ct_eq(key.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_key_is_the_key() {
        for (shown, is) in [("key", true), ("", false), ("ke", false), ("keys", false), ("kez", false), ("Key", false)]
        {
            assert_eq!(is_same(shown.as_bytes(), "key"), is, "{shown}");
        }
        assert!(!is_same(b"\xff\xfe", "\u{fffd}"));
    }
}
