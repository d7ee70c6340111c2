//! Who may call the server API.

use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq;

use super::Api;
use crate::guesses::{Kind, refuse, source};

/// Lets a request with the key through.
pub(super) async fn check(State(api): State<Api>, request: Request, next: Next) -> Response {
    if api.config.api_insecure {
        return next.run(request).await;
    }
    let Some(key) = api.config.api_key.as_deref().filter(|key| !key.is_empty()) else {
        let text = "the server API is off: [http_api] key is not configured here\n";
        return (StatusCode::UNAUTHORIZED, text).into_response();
    };
    match is_shown(&request, key) {
        Some(true) => return next.run(request).await,
        Some(false) => {}
        None => {
            let text =
                "the API key is missing: send it as X-API-Key, as Authorization: apikey KEY, or as ?api_key=KEY\n";
            return (StatusCode::UNAUTHORIZED, text).into_response();
        }
    }
    let reply = api.guesses.wrong(source(request.extensions()), Kind::ApiKey);
    let wrong = (StatusCode::UNAUTHORIZED, "this is not the API key\n");
    let limited = "this is not the API key, and others from this address were not either: find out who tries, or send the right one\n";
    refuse(reply, wrong, limited).await
}

/// Whether a request shows the key; `None`: it shows none.
fn is_shown(request: &Request, key: &str) -> Option<bool> {
    let in_query = in_query(request.uri());
    let mut all = shown(request.headers()).into_iter().chain(in_query.as_deref().map(str::as_bytes)).peekable();
    all.peek()?;
    Some(all.any(|shown| is_same(shown, key)))
}

fn shown(headers: &HeaderMap) -> Option<&[u8]> {
    let authorization = || {
        let value = headers.get(header::AUTHORIZATION)?.as_bytes();
        let (scheme, key) = value.split_at_checked(b"apikey ".len())?;
        scheme.eq_ignore_ascii_case(b"apikey ").then_some(key)
    };
    headers.get("x-api-key").map(header::HeaderValue::as_bytes).or_else(authorization)
}

/// The key in the query, for callers that cannot set headers. It stands in logs of proxies then.
fn in_query(uri: &Uri) -> Option<String> {
    let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri).ok()?;
    pairs.into_iter().find(|(name, _)| name == "api_key").map(|(_, key)| key)
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
