//! The further gateways of a process (`[server] gateways`): members of their own, with the role gateway alone, behind the one port for
//! clients. Each joins as any gateway does, over a link, so neither the rules nor the registry know of them.

use std::net::SocketAddr;
use std::sync::Arc;

use ringway_core::Incarnation;
use ringway_core::id::MemberId;
use ringway_edge::Edge;
use ringway_link::{Links, Listener, Roles, Secret, Settings, Target};
use ringway_protocol::link::Identity;

use super::StartError;
use super::seated::{Ready, Seated};
use crate::address::{host_and_port, with_port};
use crate::config::Config;
use crate::engine;
use crate::gateway::{GatewayConfig, Intake};
use crate::guesses::Guesses;
use crate::logbook;
use crate::member::{self, GatewayParts};
use crate::registry::Handle;

/// A further gateway whose port for links is open.
#[derive(Debug)]
pub(super) struct Further {
    pub(super) id: MemberId,
    listener: Listener,
    /// Where members are told that they reach it.
    address: String,
}

/// What all gateways of a process have in common.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) config: Arc<Config>,
    pub(super) gateway_config: Arc<GatewayConfig>,
    pub(super) secret: Secret,
    pub(super) bus: engine::Bus,
    pub(super) guesses: Guesses,
    pub(super) client_address: Arc<str>,
    pub(super) edge: Edge,
    /// All of them, the first one first.
    pub(super) ids: Vec<MemberId>,
}

impl Common {
    /// The role gateway of one of them.
    pub(super) fn parts(&self, id: &MemberId) -> GatewayParts {
        let count = u32::try_from(self.ids.len()).unwrap_or(u32::MAX).max(1);
        GatewayParts {
            address: self.client_address.clone(),
            config: self.gateway_config.clone(),
            intake: Arc::new(Intake::new(self.config.gateway.limits.intake_bytes)),
            edge: self.edge.clone(),
            // The pace is that of the process: whoever takes its clients in does not care which gateway they come from.
            drain_rate: (self.config.drain.rate / count).max(1),
            beside: self.ids.iter().filter(|other| *other != id).cloned().collect(),
        }
    }
}

/// Opens the ports of the further gateways: those after the first one's, which is `wanted`, or free ones where that is free.
pub(super) async fn bind(config: &Config, first: &MemberId, wanted: SocketAddr) -> Result<Vec<Further>, StartError> {
    let mut all = Vec::new();
    for number in 2..=config.server.gateways {
        let id = id_of(first, number)?;
        let step = u16::try_from(number - 1).unwrap_or(u16::MAX);
        let port = after(wanted.port(), step)
            .ok_or(StartError::LinkPorts { first: wanted, gateways: config.server.gateways })?;
        let listener = Listener::bind(&SocketAddr::new(wanted.ip(), port).to_string()).await?;
        let address = told(config.cluster.link_advertise.as_deref(), wanted.port(), step, listener.address());
        all.push(Further { id, listener, address });
    }
    Ok(all)
}

/// A further gateway keeps its name over restarts: the process's, and its number.
fn id_of(first: &MemberId, number: usize) -> Result<MemberId, StartError> {
    MemberId::new(&format!("{first}.{number}")).map_err(|why| StartError::GatewayName { first: first.clone(), why })
}

/// The port so many steps after another one. A port that the system chooses has none after it: it chooses again.
fn after(port: u16, step: u16) -> Option<u16> {
    if port == 0 { Some(0) } else { port.checked_add(step) }
}

/// Where members are told that they reach a further gateway that listens at `bound`.
fn told(advertise: Option<&str>, wanted: u16, step: u16, bound: SocketAddr) -> String {
    let Some(advertise) = advertise else { return bound.to_string() };
    let first = host_and_port(advertise).map_or(0, |(_, port)| port);
    let port = if wanted == 0 { None } else { first.checked_add(step) };
    with_port(advertise, port.unwrap_or(bound.port()))
}

impl Further {
    /// Joins over a link to the host, at `host`, however long it takes the host to answer, and starts the member task.
    pub(super) async fn join(self, common: &Common, host: Target) -> Result<Seated, StartError> {
        let incarnation = Incarnation(rand::random());
        let identity = Identity {
            id: self.id.clone(),
            incarnation,
            roles: Roles { gateway: true, node: false },
            address: self.address.into(),
            client_address: Some(common.client_address.clone()),
            keeps_registry: false,
            birth: None,
        };
        let settings = Settings {
            identity,
            cluster: "".into(),
            secret: common.secret.clone(),
            limits: ringway_link::Limits::default(),
            on_wrong_secret: common.guesses.at_the_link_port(),
        };
        let (links, mut events) = Links::start(self.listener, settings);
        let (view, early) = member::first_view(&links, &host, &mut events).await?;
        links.belong_to(view.birth());
        let gateway = Some(common.parts(&self.id));
        // It has no node.
        let log = logbook::Handle::Absent;
        let orders = common.bus.handle(&common.secret, incarnation);
        let (registry, join, events) = (Handle::linked(), Some(host), (early, events));
        let ready =
            Ready { id: self.id, incarnation, node: None, gateway, registry, log, orders, join, view, links, events };
        Ok(ready.start(&common.config, |_| None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_and_addresses_follow_those_of_the_first() {
        let bound = SocketAddr::from(([10, 0, 0, 1], 9_891));
        assert_eq!(after(9_889, 2), Some(9_891));
        assert_eq!((after(0, 2), after(65_535, 1)), (Some(0), None));
        assert_eq!(told(None, 9_889, 2, bound), "10.0.0.1:9891");
        assert_eq!(told(Some("gw.example:7000"), 9_889, 2, bound), "gw.example:7002");
        assert_eq!(told(Some("gw.example:7000"), 0, 2, bound), "gw.example:9891");
    }

    #[test]
    fn names_follow_that_of_the_process() {
        let name = |length: usize| MemberId::new(&"g".repeat(length)).unwrap();
        assert_eq!(id_of(&MemberId::new("gateway-1").unwrap(), 2).unwrap().as_str(), "gateway-1.2");
        assert!(id_of(&name(61), 64).is_ok());
        let why = id_of(&name(62), 64).unwrap_err().to_string();
        assert!(why.contains("cluster") && why.contains("id"), "{why}");
    }
}
