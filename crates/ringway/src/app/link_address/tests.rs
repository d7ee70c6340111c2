//! Which addresses are taken, which are refused, and what is told.

use super::*;
use crate::config::Secret;

fn cluster(link_listen: Option<&str>, link_advertise: Option<&str>) -> Cluster {
    Cluster {
        link_listen: link_listen.map(|address| address.parse().expect("an address with a port")),
        link_advertise: link_advertise.map(str::to_owned),
        secret: Some(Secret("s".to_owned())),
        ..Cluster::default()
    }
}

fn route(to: &str, from: &str) -> Route {
    Route { to: to.parse().expect("an address with a port"), from: from.parse().expect("an address") }
}

/// The first gateway is on another machine, on this one under its own address, or on its loopback.
fn routes() -> [Route; 4] {
    [
        route("10.0.0.1:9889", "10.0.0.2"),
        route("10.0.0.2:9889", "10.0.0.2"),
        route("[fd00::1]:9889", "fd00::2"),
        route("127.0.0.1:9889", "127.0.0.1"),
    ]
}

#[test]
fn who_joins_listens_where_the_first_gateways_answers_come_in() {
    for (route, listen) in routes().iter().zip(["10.0.0.2:0", "10.0.0.2:0", "[fd00::2]:0", "127.0.0.1:0"]) {
        assert_eq!(of_joining(&cluster(None, None), "gw:9889", route), Ok(listen.parse().unwrap()));
    }
    // The address of a dual-stack socket is told as others write it.
    let mapped = route("[::ffff:10.0.0.1]:9889", "::ffff:10.0.0.2");
    assert_eq!(of_joining(&cluster(None, None), "gw:9889", &mapped), Ok("10.0.0.2:0".parse().unwrap()));
}

#[test]
fn who_joins_does_not_tell_others_what_they_cannot_dial() {
    use Scope::{Network, NoParticular, ThisMachine};
    for (listen, advertise, setting, scope) in [
        ("10.0.0.2:9889", None, "link_listen", Network),
        ("127.0.0.1:0", None, "link_listen", ThisMachine),
        ("127.9.9.9:0", None, "link_listen", ThisMachine),
        ("[::1]:0", None, "link_listen", ThisMachine),
        ("[::ffff:127.0.0.1]:0", None, "link_listen", ThisMachine),
        ("0.0.0.0:9889", None, "link_listen", NoParticular),
        ("[::]:9889", None, "link_listen", NoParticular),
        ("0.0.0.0:9889", Some("10.0.0.2:9889"), "link_advertise", Network),
        ("127.0.0.1:9889", Some("tunnel.example:9889"), "link_advertise", Network),
        ("0.0.0.0:9889", Some("0.0.0.0:9889"), "link_advertise", NoParticular),
        ("10.0.0.2:9889", Some("[::]:9889"), "link_advertise", NoParticular),
        ("10.0.0.2:9889", Some("localhost:9889"), "link_advertise", ThisMachine),
        ("10.0.0.2:9889", Some("127.0.0.1:9889"), "link_advertise", ThisMachine),
        ("10.0.0.2:9889", Some("[::1]:9889"), "link_advertise", ThisMachine),
    ] {
        for route in routes() {
            let outcome = of_joining(&cluster(Some(listen), advertise), "gw:9889", &route);
            let is_taken = match scope {
                Network => true,
                ThisMachine => route.is_loopback(),
                NoParticular => false,
            };
            assert_eq!(outcome.is_ok(), is_taken, "{listen} {advertise:?} towards {route:?}: {outcome:?}");
            let Err(fault) = outcome else { continue };
            let text = fault.to_string();
            let address = advertise.unwrap_or(listen);
            for words in [setting, address, "`link_advertise` to the host:port", &route.from.to_string()] {
                assert!(text.contains(words), "no {words:?} in {text}");
            }
            assert_eq!(text.contains("gw:9889"), scope == ThisMachine, "{text}");
        }
    }
}

#[test]
fn the_first_process_may_be_on_this_machine_alone_but_not_nowhere_in_particular() {
    assert_eq!(of_first(&cluster(None, None)), Ok("127.0.0.1:9889".parse().unwrap()));
    assert_eq!(of_first(&Cluster::default()), Ok("127.0.0.1:0".parse().unwrap()), "nobody can join it");
    for (listen, advertise, is_taken) in [
        ("10.0.0.1:9889", None, true),
        ("127.0.0.1:0", None, true),
        ("0.0.0.0:9889", None, false),
        ("[::]:9889", None, false),
        ("0.0.0.0:9889", Some("gateway-0.example:9889"), true),
        ("0.0.0.0:9889", Some("0.0.0.0:9889"), false),
    ] {
        let outcome = of_first(&cluster(Some(listen), advertise));
        assert_eq!(outcome.is_ok(), is_taken, "{listen} {advertise:?}: {outcome:?}");
        if let Err(fault) = outcome {
            assert!(fault.to_string().contains("--link-advertise"), "{fault}");
        }
    }
    let alone = Cluster { secret: None, ..cluster(Some("0.0.0.0:9889"), None) };
    assert!(of_first(&alone).is_ok(), "nobody is told");
}
