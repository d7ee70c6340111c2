//! Which pages may open a socket or change something, and under which names this server is known. Only browsers send an origin, and they
//! send the true one; other clients need none.
//!
//! A page of somebody else can point a name of its own at this server's address; its browser then takes both for one site. So a
//! page is ours only under a name that we know: an IP address, `localhost`, or what the config says.

use std::net::{IpAddr, SocketAddr};

use ringway_edge::hyper::header::{HOST, HeaderMap, ORIGIN, REFERER};

use super::GatewayConfig;

/// Whether the request came to a name that is ours. A client that names no host is no browser.
pub(crate) fn is_known_host(headers: &HeaderMap, config: &GatewayConfig) -> bool {
    let Some(host) = headers.get(HOST) else { return true };
    host.to_str().is_ok_and(|host| is_known(name_of(host), config))
}

/// Whether a request with these headers may come from where it says: from a page among the allowed ones, or, where no list says
/// otherwise, from one of our own. The open config takes its own pages and those on loopback beside a list.
pub(crate) fn is_allowed(headers: &HeaderMap, config: &GatewayConfig) -> bool {
    let Some(origin) = headers.get(ORIGIN) else { return true };
    origin.to_str().is_ok_and(|origin| is_allowed_origin(origin, headers, config))
}

/// Whether a request that changes something may come from where the browser says. What says nothing of it is no browser.
pub(crate) fn may_change(headers: &HeaderMap, config: &GatewayConfig) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("null"));
    let source = text(ORIGIN.as_str()).or_else(|| text(REFERER.as_str()).map(origin_of));
    match (text("sec-fetch-site"), source) {
        (Some("same-origin" | "none"), _) | (None, None) => true,
        // A list says who may connect. Our own page mends the cluster all the same.
        (_, Some(origin)) => is_ours(origin, headers, config) || is_allowed_origin(origin, headers, config),
        (Some(_), None) => false,
    }
}

/// Whether a request that opens a stream, or speaks for one, may come from where the browser says. Unlike a WebSocket's, it need not say its
/// page: a browser names none where the page is at the very host that it asks, and none for what it only embeds.
pub(crate) fn may_stream(headers: &HeaderMap, config: &GatewayConfig) -> bool {
    let is_nameless_page = headers.contains_key("sec-fetch-site") && !headers.contains_key(ORIGIN);
    is_allowed(headers, config) && may_change(headers, config) && (!is_nameless_page || is_known_host(headers, config))
}

/// The page is at the very host that was asked, and that is a name of ours.
fn is_ours(origin: &str, headers: &HeaderMap, config: &GatewayConfig) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).filter(|host| is_known(name_of(host), config));
    let origin = origin.split_once("://").map(|(_, origin)| origin);
    host.zip(origin).is_some_and(|(host, origin)| origin.eq_ignore_ascii_case(host))
}

fn is_allowed_origin(origin: &str, headers: &HeaderMap, config: &GatewayConfig) -> bool {
    let is_listed = config.allowed_origins.iter().any(|one| one == "*" || one.eq_ignore_ascii_case(origin));
    if is_listed || !config.allowed_origins.is_empty() && !config.is_open {
        return is_listed;
    }
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let Some((origin, host)) = origin.split_once("://").map(|(_, origin)| origin).zip(host) else { return false };
    let is_at_page = |page| is_of_page(origin, host, page);
    let is_ours = origin.eq_ignore_ascii_case(host) || config.internal.is_some_and(is_at_page);
    is_ours && is_known(name_of(host), config) || config.is_open && is_loopback(name_of(origin))
}

/// `https://example.org/path` without its path.
fn origin_of(referer: &str) -> &str {
    let host = referer.find("://").map_or(0, |at| at + 3);
    referer[host..].find('/').map_or(referer, |end| &referer[..host + end])
}

/// Somebody else's name may lead here; an address and `localhost` are nobody's.
fn is_known(name: &str, config: &GatewayConfig) -> bool {
    let bare = name.trim_end_matches('.');
    address(name).is_some()
        || is_loopback(bare)
        || config.names.iter().any(|known| known.trim_matches(['[', ']']).eq_ignore_ascii_case(bare))
}

fn is_loopback(name: &str) -> bool {
    let is_below = |name: &str| name.len() > ".localhost".len() && name.to_ascii_lowercase().ends_with(".localhost");
    name.eq_ignore_ascii_case("localhost") || is_below(name) || address(name).is_some_and(|ip| ip.is_loopback())
}

/// `host:port` without its port.
fn name_of(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.is_empty() => name,
        _ => host,
    }
}

/// The page is at its port, under the name that its clients' address has as well, or under its listener's own address. One that
/// listens on this machine alone has names of this machine alone.
fn is_of_page(origin: &str, host: &str, page: SocketAddr) -> bool {
    let Some((name, port)) = origin.rsplit_once(':') else { return false };
    let is_its_own = match page.ip() {
        ip if ip.is_unspecified() || ip.is_loopback() => is_loopback(name),
        ip => address(name) == Some(ip),
    };
    port.parse() == Ok(page.port()) && (is_its_own || name.eq_ignore_ascii_case(name_of(host)))
}

/// An address as it stands in an origin: `10.0.0.1` or `[::1]`.
fn address(name: &str) -> Option<IpAddr> {
    name.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringway_edge::hyper::header::HeaderValue;

    fn config(allowed: &[&str], page: Option<SocketAddr>) -> GatewayConfig {
        GatewayConfig {
            allowed_origins: allowed.iter().map(|one| (*one).to_owned()).collect(),
            internal: page,
            names: vec!["chat.example".into()],
            ..GatewayConfig::default()
        }
    }

    fn headers(origin: Option<&'static str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("chat.example:9888"));
        headers.extend(origin.map(|origin| (ORIGIN, HeaderValue::from_static(origin))));
        headers
    }

    #[test]
    fn without_a_list_the_origin_is_the_host() {
        assert!(is_allowed(&headers(None), &config(&[], None)));
        assert!(is_allowed(&headers(Some("http://chat.example:9888")), &config(&[], None)));
        assert!(!is_allowed(&headers(Some("http://chat.example")), &config(&[], None)));
        assert!(!is_allowed(&headers(Some("https://evil.example")), &config(&[], None)));
        assert!(!is_allowed(&headers(Some("null")), &config(&[], None)));
    }

    #[test]
    fn a_list_names_origins() {
        let list = config(&["https://app.example"], None);
        assert!(is_allowed(&headers(Some("https://APP.example")), &list));
        assert!(!is_allowed(&headers(Some("http://chat.example:9888")), &list));
        assert!(is_allowed(&headers(Some("https://evil.example")), &config(&["*"], None)));
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
            assert_eq!(is_allowed(&headers(Some(origin)), &config(&[], page)), expected, "{page:?} {origin}");
            let listed = config(&["https://app.example"], page);
            assert!(!is_allowed(&headers(Some(origin)), &listed), "a list says all");
        }
    }

    fn named(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_name_that_somebody_points_here_is_not_ours() {
        let known = [
            "chat.example",
            "chat.example:9888",
            "CHAT.example.",
            "10.0.0.1:9888",
            "[::1]:9888",
            "localhost",
            "a.localhost:1",
        ];
        for host in known {
            assert!(is_known_host(&named(&[("host", host)]), &config(&[], None)), "{host}");
        }
        for host in ["evil.example:9888", "localhost.evil.example", "chat.example.evil", "", ":9888", ".localhost"] {
            let rebound = named(&[("host", host)]);
            assert!(!is_known_host(&rebound, &config(&[], None)), "{host}");
        }
        let rebound = named(&[("host", "evil.example:9888"), ("origin", "http://evil.example:9888")]);
        assert!(!is_allowed(&rebound, &config(&[], None)) && !may_change(&rebound, &GatewayConfig::open()));
        assert!(is_known_host(&named(&[]), &config(&[], None)));
    }

    #[test]
    fn the_open_config_takes_this_machines_pages_and_what_is_listed() {
        let open = GatewayConfig { allowed_origins: vec!["https://app.example".into()], ..GatewayConfig::open() };
        for (origin, expected) in [
            ("http://127.0.0.1:3000", true),
            ("http://localhost:5173", true),
            ("http://[::1]:80", true),
            ("https://app.example", true),
            ("http://192.168.1.5:9888", true),
            ("https://evil.example", false),
            ("http://localhost.evil.example", false),
            ("null", false),
        ] {
            let asked = named(&[("host", "192.168.1.5:9888"), ("origin", origin)]);
            let asked = &asked;
            assert_eq!(is_allowed(asked, &open), expected, "{origin}");
        }
    }

    #[test]
    fn other_sites_change_nothing() {
        let table: &[(&[(&str, &str)], bool)] = &[
            (&[], true),
            (&[("sec-fetch-site", "none")], true),
            (&[("sec-fetch-site", "same-origin")], true),
            (&[("sec-fetch-site", "cross-site")], false),
            (&[("sec-fetch-site", "same-site")], false),
            (&[("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")], false),
            (&[("sec-fetch-site", "cross-site"), ("referer", "https://app.example/x")], true),
            (&[("origin", "https://app.example")], true),
            (&[("origin", "https://chat.example")], true),
            (&[("sec-fetch-site", "same-origin"), ("origin", "https://chat.example")], true),
            (&[("origin", "null")], false),
            (&[("referer", "https://evil.example/https://app.example")], false),
            (&[("referer", "https://app.example")], true),
        ];
        for (pairs, expected) in table {
            let mut headers: HeaderMap = HeaderMap::new();
            for (name, value) in *pairs {
                headers.insert(*name, HeaderValue::from_static(value));
            }
            headers.insert(HOST, HeaderValue::from_static("chat.example"));
            assert_eq!(may_change(&headers, &config(&["https://app.example"], None)), *expected, "{pairs:?}");
        }
    }
}
