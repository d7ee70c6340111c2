//! Which pages may open a socket. Only browsers send an origin, and they send the true one; other clients need none.

use std::net::{IpAddr, SocketAddr};

use ringway_edge::hyper::header::{HOST, HeaderMap, ORIGIN};

/// Whether a request with these headers may come from where it says. `allowed` holds origins as `https://example.org`,
/// or `*` for any; without an entry, the origin's host must be the host that was asked for, or where our own page is:
/// `page`, if that has a port of its own.
pub(super) fn is_allowed(headers: &HeaderMap, allowed: &[String], page: Option<SocketAddr>) -> bool {
    let Some(origin) = headers.get(ORIGIN) else { return true };
    let Ok(origin) = origin.to_str() else { return false };
    if !allowed.is_empty() {
        return allowed.iter().any(|one| one == "*" || one.eq_ignore_ascii_case(origin));
    }
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let Some((origin, host)) = origin.split_once("://").map(|(_, origin)| origin).zip(host) else { return false };
    origin.eq_ignore_ascii_case(host) || page.is_some_and(|page| is_of_page(origin, host, page))
}

/// The page is at its port, under the name that its clients' address has as well, or under its listener's own address. One that
/// listens on this machine alone has names of this machine alone.
fn is_of_page(origin: &str, host: &str, page: SocketAddr) -> bool {
    let Some((name, port)) = origin.rsplit_once(':') else { return false };
    let is_local = name.eq_ignore_ascii_case("localhost") || address(name).is_some_and(|ip| ip.is_loopback());
    let is_its_own = match page.ip() {
        ip if ip.is_unspecified() || ip.is_loopback() => is_local,
        ip => address(name) == Some(ip),
    };
    let asked = host.rsplit_once(':').map_or(host, |(name, _)| name);
    port.parse() == Ok(page.port()) && (is_its_own || name.eq_ignore_ascii_case(asked))
}

/// An address as it stands in an origin: `10.0.0.1` or `[::1]`.
fn address(name: &str) -> Option<IpAddr> {
    name.trim_start_matches('[').trim_end_matches(']').parse().ok()
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
        assert!(is_allowed(&headers(None), &[], None));
        assert!(is_allowed(&headers(Some("http://chat.example:9888")), &[], None));
        assert!(!is_allowed(&headers(Some("http://chat.example")), &[], None));
        assert!(!is_allowed(&headers(Some("https://evil.example")), &[], None));
        assert!(!is_allowed(&headers(Some("null")), &[], None));
    }

    #[test]
    fn a_list_names_origins() {
        let list = ["https://app.example".to_owned()];
        assert!(is_allowed(&headers(Some("https://APP.example")), &list, None));
        assert!(!is_allowed(&headers(Some("http://chat.example:9888")), &list, None));
        assert!(is_allowed(&headers(Some("https://evil.example")), &["*".to_owned()], None));
    }

    #[test]
    fn our_own_page_on_its_own_port_is_no_stranger() {
        let table = [
            // Under the same name as its clients, whatever that is: the port says that it is ours.
            ("0.0.0.0:9890", "http://chat.example:9890", true),
            ("10.0.0.5:9890", "https://chat.example:9890", true),
            ("0.0.0.0:9890", "http://chat.example:9891", false),
            ("0.0.0.0:9890", "http://chat.example", false),
            ("0.0.0.0:9890", "http://evil.example:9890", false),
            // Under its own address.
            ("10.0.0.5:9890", "http://10.0.0.5:9890", true),
            ("10.0.0.5:9890", "http://10.0.0.6:9890", false),
            ("10.0.0.5:9890", "http://localhost:9890", false),
            ("127.0.0.1:9890", "http://localhost:9890", true),
            ("127.0.0.1:9890", "http://127.0.0.1:9890", true),
            ("[::1]:9890", "http://[::1]:9890", true),
            ("127.0.0.1:9890", "http://127.0.0.1:9891", false),
            ("127.0.0.1:9890", "http://10.0.0.5:9890", false),
        ];
        for (page, origin, expected) in table {
            let page = Some(page.parse().unwrap());
            assert_eq!(is_allowed(&headers(Some(origin)), &[], page), expected, "{page:?} {origin}");
            assert!(!is_allowed(&headers(Some(origin)), &["https://app.example".to_owned()], page), "a list says all");
        }
    }
}
