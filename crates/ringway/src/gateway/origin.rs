//! Which pages may open a socket. Only browsers send an origin, and they send the true one; other clients need none.

use ringway_edge::hyper::header::{HOST, HeaderMap, ORIGIN};

/// Whether a request with these headers may come from where it says. `allowed` holds origins as `https://example.org`,
/// or `*` for any; without an entry, the origin's host must be the host that was asked for.
pub(super) fn is_allowed(headers: &HeaderMap, allowed: &[String]) -> bool {
    let Some(origin) = headers.get(ORIGIN) else { return true };
    let Ok(origin) = origin.to_str() else { return false };
    if !allowed.is_empty() {
        return allowed.iter().any(|one| one == "*" || one.eq_ignore_ascii_case(origin));
    }
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let origin_host = origin.split_once("://").map(|(_, host)| host);
    origin_host.zip(host).is_some_and(|(origin, host)| origin.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringway_edge::hyper::header::HeaderValue;

    fn headers(origin: Option<&'static str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("chat.example:9888"));
        headers.extend(origin.map(|origin| (ORIGIN, HeaderValue::from_static(origin))));
        headers
    }

    #[test]
    fn without_a_list_the_origin_is_the_host() {
        assert!(is_allowed(&headers(None), &[]));
        assert!(is_allowed(&headers(Some("http://chat.example:9888")), &[]));
        assert!(!is_allowed(&headers(Some("http://chat.example")), &[]));
        assert!(!is_allowed(&headers(Some("https://evil.example")), &[]));
        assert!(!is_allowed(&headers(Some("null")), &[]));
    }

    #[test]
    fn a_list_names_origins() {
        let list = ["https://app.example".to_owned()];
        assert!(is_allowed(&headers(Some("https://APP.example")), &list));
        assert!(!is_allowed(&headers(Some("http://chat.example:9888")), &list));
        assert!(is_allowed(&headers(Some("https://evil.example")), &["*".to_owned()]));
    }
}
