//! The ports at which a member with these settings would listen: free, held by a member, or in somebody's way.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};

use super::finding::{Finding, What};
use super::member::{self, Told};
use crate::config::{Config, RegistryAt};
use crate::demo::reachable;

/// Where the first process listens for members, unless it is told otherwise.
const LINK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9889);

/// A port, and what came of the try to listen there.
#[derive(Debug)]
struct Port {
    what: What,
    address: SocketAddr,
    tried: Result<(), io::Error>,
}

/// What is to be said of the ports, and the address of the member that holds them, if there is one.
pub(super) async fn look(config: &Config) -> (Vec<Finding>, Option<String>) {
    let ports: Vec<Port> = addresses(config).into_iter().map(|(what, address)| tried(what, address)).collect();
    let mut held = None;
    for port in ports.iter().filter(|port| port.is_taken() && port.what != What::PortLink) {
        let url = format!("http://{}", reachable(port.address));
        if let Ok(told) = member::health(&url, None).await {
            held = Some((url, told));
            break;
        }
    }
    let by = held.as_ref().map(|(_, told)| told);
    let found = ports.iter().map(|port| judged(port, by)).collect();
    (found, held.map(|(url, _)| url))
}

/// Ports that the settings fix. Port 0 takes a free one.
fn addresses(config: &Config) -> Vec<(What, SocketAddr)> {
    let (server, cluster) = (&config.server, &config.cluster);
    let is_first = cluster.join.is_none() && cluster.registry == RegistryAt::Local;
    let named = [
        (What::PortInternal, server.internal_listen),
        (What::PortClients, Some(SocketAddr::new(server.listen, server.port))),
        (What::PortLink, cluster.link_listen.or(is_first.then_some(LINK))),
    ];
    let named = named.into_iter().filter_map(|(what, address)| Some((what, address?)));
    named.filter(|(_, address)| address.port() != 0).collect()
}

fn tried(what: What, address: SocketAddr) -> Port {
    Port { what, address, tried: TcpListener::bind(address).map(drop) }
}

impl Port {
    fn is_taken(&self) -> bool {
        self.tried.as_ref().is_err_and(|why| why.kind() == ErrorKind::AddrInUse)
    }
}

fn judged(port: &Port, held: Option<&Told>) -> Finding {
    let (what, address) = (port.what, port.address);
    let Err(why) = &port.tried else { return Finding::ok(what, format!("{address} is free.")) };
    match (why.kind(), held) {
        (ErrorKind::AddrInUse, Some(told)) => {
            Finding::ok(what, format!("{address} is in use; the member {} runs here.", told.member))
        }
        (ErrorKind::AddrInUse, None) => Finding::fault(
            what,
            format!("{address} is in use, and no member of ringway answers at the ports of this config."),
            format!(
                "Find out who has it (`ss -ltnp 'sport = :{}'`), and stop that one or choose another port.",
                address.port()
            ),
        ),
        (ErrorKind::PermissionDenied, _) => Finding::fault(
            what,
            format!("This user may not listen at {address}: {why}."),
            "Choose a port of 1024 or more, or give the program the capability CAP_NET_BIND_SERVICE.",
        ),
        (ErrorKind::AddrNotAvailable, _) => Finding::fault(
            what,
            format!("{address} is no address of this machine: {why}."),
            "Listen at an address that `ip address` lists, or run this on the machine that the config is for.",
        ),
        _ => Finding::fault(what, format!("Nobody can listen at {address}: {why}."), "Choose another address or port."),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    #[test]
    fn ports_are_free_or_held_or_in_the_way() {
        let told = Told { member: "gateway-0".to_owned(), status: "ok".to_owned(), why: Vec::new(), epoch: 1 };
        let port = |tried| Port { what: What::PortClients, address: LINK, tried };
        for (kind, alone, beside) in [
            (None, Level::Ok, Level::Ok),
            (Some(ErrorKind::AddrInUse), Level::Fault, Level::Ok),
            (Some(ErrorKind::PermissionDenied), Level::Fault, Level::Fault),
            (Some(ErrorKind::AddrNotAvailable), Level::Fault, Level::Fault),
            (Some(ErrorKind::Other), Level::Fault, Level::Fault),
        ] {
            let port = port(kind.map_or(Ok(()), |kind| Err(kind.into())));
            assert_eq!((judged(&port, None).level, judged(&port, Some(&told)).level), (alone, beside), "{kind:?}");
        }
    }

    #[test]
    fn a_port_that_somebody_has_is_seen_to_be_taken() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert!(tried(What::PortLink, address).is_taken());
        drop(listener);
        assert!(!tried(What::PortLink, address).is_taken());
    }

    #[test]
    fn only_fixed_ports_are_tried() {
        for (text, expected) in [
            ("", &[What::PortClients, What::PortLink][..]),
            ("[server]\nport = 0\n", &[What::PortLink]),
            ("[cluster]\njoin = \"10.0.0.1:9889\"\n", &[What::PortClients]),
            (
                "[cluster]\nregistry = \"nats\"\n[server]\ninternal_listen = \"127.0.0.1:1\"\n",
                &[What::PortInternal, What::PortClients],
            ),
        ] {
            let mut config = Config::default();
            config.apply(text).unwrap();
            let found: Vec<What> = addresses(&config).into_iter().map(|(what, _)| what).collect();
            assert_eq!(found, expected, "{text}");
        }
    }
}
