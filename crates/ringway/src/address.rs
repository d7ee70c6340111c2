//! Addresses as people write them, `host:port`, and who can dial them.

use std::net::IpAddr;

/// From which machines an address can be dialed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// 0.0.0.0 or `::`: every address of a machine, and so no particular one.
    NoParticular,
    /// Loopback: on every machine it leads to that machine.
    ThisMachine,
    /// Any other address, or a name.
    Network,
}

impl Scope {
    /// Of an IP address.
    pub fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            ip if ip.is_unspecified() => Self::NoParticular,
            ip if ip.is_loopback() => Self::ThisMachine,
            _ => Self::Network,
        }
    }

    /// Of `host:port`. Names are not looked up.
    pub fn of_text(address: &str) -> Self {
        let host = host_and_port(address).map_or(address, |(host, _)| host);
        match host.parse() {
            Ok(ip) => Self::of(ip),
            Err(_) if host.eq_ignore_ascii_case("localhost") => Self::ThisMachine,
            Err(_) => Self::Network,
        }
    }
}

/// Takes `host:port` apart. The port is one that can be dialed; an IPv6 address keeps its brackets off.
///
/// # Errors
/// What is wrong with it. The text continues the sentence "`key` …".
pub fn host_and_port(text: &str) -> Result<(&str, u16), String> {
    let wrong = |why: &str| Err(format!("is {text:?}, {why}: write host and port, such as \"10.0.0.1:9889\""));
    if text.contains("://") || text.contains('/') {
        return wrong("which looks like a URL");
    }
    let Some((host, port)) = text.rsplit_once(':') else { return wrong("which has no port") };
    let inside = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    if inside.is_none() && host.contains(':') {
        return wrong("which is an IPv6 address without brackets around it");
    }
    match (inside.unwrap_or(host), port.parse()) {
        ("", _) => wrong("which has no host"),
        (_, Err(_) | Ok(0)) => wrong("whose port is no number from 1 to 65535"),
        (host, Ok(port)) => Ok((host, port)),
    }
}

/// The same host at another port.
pub fn with_port(address: &str, port: u16) -> String {
    address.rsplit_once(':').map_or_else(|| address.to_owned(), |(host, _)| format!("{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_to_dial_has_a_host_and_a_port() {
        for (text, host) in [("10.0.0.1:9889", "10.0.0.1"), ("gw:1", "gw"), ("[fd00::1]:9889", "fd00::1")] {
            assert_eq!(host_and_port(text).map(|(host, _)| host), Ok(host));
        }
        for (text, why) in [
            ("10.0.0.1", "no port"),
            (":9889", "no host"),
            ("gw:0", "1 to 65535"),
            ("gw:70000", "1 to 65535"),
            ("gw:", "1 to 65535"),
            ("fd00::1:9889", "brackets"),
            ("http://gw:9888", "URL"),
            ("gw:9888/", "URL"),
            ("", "no port"),
        ] {
            let fault = host_and_port(text).unwrap_err();
            assert!(fault.contains(why) && fault.contains("10.0.0.1:9889"), "{text}: {fault}");
        }
    }

    #[test]
    fn an_address_tells_who_can_dial_it() {
        for (text, scope) in [
            ("10.0.0.1:9889", Scope::Network),
            ("gw.example:9889", Scope::Network),
            ("127.0.0.1:1", Scope::ThisMachine),
            ("[::1]:1", Scope::ThisMachine),
            ("[::ffff:127.1.2.3]:1", Scope::ThisMachine),
            ("LocalHost:1", Scope::ThisMachine),
            ("0.0.0.0:1", Scope::NoParticular),
            ("[::]:1", Scope::NoParticular),
        ] {
            assert_eq!(Scope::of_text(text), scope, "{text}");
        }
    }

    #[test]
    fn a_host_keeps_its_brackets_with_another_port() {
        assert_eq!(with_port("gw:9889", 9888), "gw:9888");
        assert_eq!(with_port("[fd00::1]:9889", 1), "[fd00::1]:1");
    }
}
