//! `ringway demo`: a cluster of real processes on one machine, in one command.
//!
//! This process is the first gateway, the registry and the orchestrator; the nodes and the other gateways are children of it.

mod logs;

use std::ffi::OsString;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ringway_core::MemberId;
use tracing::warn;

use crate::app::{self, Running, StartError};
use crate::beacon::{self, Beacon, BeaconError};
use crate::config::{Config, RegistryAt, Roles, Secret};
use crate::health::Expected;
use crate::orchestrator::driver::DriverError;
use crate::orchestrator::process::{GatewayLaunch, Launch, ProcessDriver};
use crate::orchestrator::{Condition, Orchestrator, OrchestratorError, cut, evidence};
use crate::shutdown::Signals;
use crate::words::Span;

/// Members start within a second or two; a machine that needs longer than this has a problem worth seeing.
const HEALTHY_DEADLINE: Duration = Duration::from_secs(10);
/// Servers outside that have the registry elect a leader within this.
const ELECTION: Duration = Duration::from_secs(10);
/// The gateway closes its sockets within this, or they are cut off with the process: everything is gone within 5 s of Ctrl-C.
const STOP_DEADLINE: Duration = Duration::from_secs(3);
/// Name of this process in the cluster. Its nodes are `node-1`, `node-2`, …, its other gateways `gateway-1`, ….
const GATEWAY: &str = "gateway-0";

/// What a demo is started with. Token, key and secret are in the config.
#[derive(Debug)]
pub struct Demo {
    /// Settings of the gateway, complete.
    pub config: Config,
    /// The file they came from, which the nodes read too.
    pub file: Option<PathBuf>,
    /// How many nodes.
    pub nodes: usize,
    /// How many gateways, this process included.
    pub gateways: usize,
}

/// Why there is no demo, or no longer. Nothing of it is left running.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The gateway did not start.
    #[error(transparent)]
    Gateway(#[from] StartError),
    /// A member did not start.
    #[error("a member could not be started: {0}")]
    Member(#[from] OrchestratorError),
    /// A member ended before the cluster was healthy.
    #[error("{id} ended while the demo was starting ({how}). Its log, {}, ends with:\n{tail}", log.display())]
    MemberEnded {
        /// Which.
        id: MemberId,
        /// How.
        how: String,
        /// Where it logged.
        log: PathBuf,
        /// The end of that.
        tail: String,
    },
    /// The members run and are not active.
    #[error("the members were not active within {within:?}: {why}. Look into their logs in {}", logs.display())]
    NotHealthy {
        /// How long it was waited for.
        within: Duration,
        /// What is missing.
        why: String,
        /// Where they log.
        logs: PathBuf,
    },
    /// The logs' directory could not be made.
    #[error("cannot make a directory for the members' logs: {0}")]
    Logs(#[from] BeaconError),
    /// The system refused something.
    #[error("cannot start: {0}")]
    System(#[from] std::io::Error),
    /// The gateway's task failed.
    #[error("{0}")]
    Failed(String),
}

impl From<DriverError> for DemoError {
    fn from(why: DriverError) -> Self {
        Self::Member(why.into())
    }
}

/// What is told once it is healthy.
#[derive(Debug)]
pub struct Ready {
    /// Where the other gateways are.
    pub gateways: Vec<SocketAddr>,
    /// Token and keys.
    pub beacon: Beacon,
    /// How many nodes it has.
    pub nodes: usize,
    /// Where the members log.
    pub logs: PathBuf,
    /// Why the command line will not find it by itself.
    pub not_found: Option<String>,
}

impl Demo {
    /// Runs until it is asked to end. `tell` is called once it is healthy.
    ///
    /// # Errors
    /// [`DemoError`].
    pub async fn run(mut self, tell: impl FnOnce(&Ready)) -> Result<(), DemoError> {
        let mut signals = Signals::take()?;
        self.config.cluster.id = Some(MemberId::new(GATEWAY).expect("letters, a dash and a digit"));
        self.config.cluster.link_listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        // Everything is on the clients' port: there the page and the command line look for it.
        self.config.server.internal_listen = None;
        // A demo's gateways are processes, so that they can be killed one by one.
        self.config.server.gateways = 1;
        self.config.cluster.expect_nodes = self.nodes;
        self.config.cluster.expect_gateways = self.gateways;
        let bound = app::bind(Arc::new(self.config.clone()), Roles::GATEWAY).await?;
        let address =
            bound.client_addr().unwrap_or_else(|| SocketAddr::new(self.config.server.listen, self.config.server.port));

        let gateways = self.gateway_addresses(address)?;
        let launch = self.launch(bound.link_addr(), logs::directory()?)?;
        let driver = ProcessDriver::new(launch.clone())?.with_gateways(self.gateway_launch(bound.link_addr(), address));
        let orchestrator = Orchestrator::new(driver);
        let mut running = bound.start(Some(orchestrator.clone())).await?;
        if self.config.cluster.registry.is_outside() {
            evidence::end_former_lives(&running.cluster).await;
        }
        tokio::spawn(evidence::carry(orchestrator.clone(), running.cluster.clone()));

        let started = tokio::select! {
            healthy = self.bring_up(&orchestrator, &running, &launch, &gateways) => healthy.map(|()| true),
            () = signals.first() => Ok(false),
        };
        let outcome = match started {
            Ok(true) => {
                let (beacon, lit) = self.light(address);
                tell(&Ready {
                    gateways,
                    beacon,
                    nodes: self.nodes,
                    logs: launch.logs,
                    not_found: lit.as_ref().err().map(ToString::to_string),
                });
                tokio::select! {
                    () = signals.first() => Ok(()),
                    why = running.ended() => Err(DemoError::Failed(why)),
                }
            }
            Ok(false) => Ok(()),
            Err(why) => Err(why),
        };
        signals.finish(end(&orchestrator, &running)).await;
        outcome
    }

    /// How the nodes are started.
    fn launch(&self, link: SocketAddr, logs: PathBuf) -> Result<Launch, DemoError> {
        let mut environment: Vec<(OsString, OsString)> =
            vec![("RINGWAY_LINK_LISTEN".into(), "127.0.0.1:0".into()), (cut::ALLOW_CUTS.into(), "1".into())];
        // The file is for all of them, and a port for one.
        environment.push(("RINGWAY_INTERNAL_LISTEN".into(), "".into()));
        if let Some(Secret(secret)) = &self.config.cluster.secret {
            environment.push(("RINGWAY_SECRET".into(), secret.into()));
        }
        if let Some(file) = &self.file {
            environment.push(("RINGWAY_CONFIG".into(), std::path::absolute(file)?.into()));
        }
        Ok(Launch { program: std::env::current_exe()?, arguments: self.role("node", link), environment, logs })
    }

    /// What every child's command line begins with. Where the registry is outside, nobody is there to join: the file that the
    /// children read as well says where it is, and has the passwords.
    fn role(&self, role: &str, link: SocketAddr) -> Vec<OsString> {
        match self.config.cluster.registry {
            RegistryAt::Local => vec![role.into(), "--join".into(), link.to_string().into()],
            RegistryAt::Nats | RegistryAt::Redis => vec![role.into()],
        }
    }

    /// What gateways are started with besides. Token and key travel in the environment, as secrets do.
    fn gateway_launch(&self, link: SocketAddr, mine: SocketAddr) -> GatewayLaunch {
        let orchestrator = self.config.server.advertise.clone().unwrap_or_else(|| mine.to_string());
        let text = |name: &str, value: String| (OsString::from(name), OsString::from(value));
        let mut environment = vec![
            text("RINGWAY_DEV", "true".to_owned()),
            text("RINGWAY_LISTEN", mine.ip().to_string()),
            text("RINGWAY_ORCHESTRATOR", orchestrator),
        ];
        environment.extend(self.config.admin.token.clone().map(|token| text("RINGWAY_ADMIN_TOKEN", token.0)));
        environment.extend(self.config.gateway.api_key.clone().map(|key| text("RINGWAY_API_KEY", key)));
        GatewayLaunch { arguments: self.role("gateway", link), environment }
    }

    /// Addresses of the other gateways, which keep them over restarts: the ports after the first one's, or free ones
    /// where that was left to the system.
    fn gateway_addresses(&self, first: SocketAddr) -> Result<Vec<SocketAddr>, StartError> {
        let wanted = |number: usize| match self.config.server.port {
            0 => Some(0),
            port => u16::try_from(number).ok().and_then(|number| port.checked_add(number)),
        };
        let too_high = || std::io::Error::other("the other gateways' ports follow it, and 65535 is the last port");
        // Held until all are known, so that no two are the same; then the children take them.
        let mut held = Vec::new();
        for number in 1..self.gateways {
            let port = wanted(number).ok_or_else(|| StartError::Port { address: first, why: too_high() })?;
            let address = SocketAddr::new(first.ip(), port);
            held.push(TcpListener::bind(address).map_err(|why| StartError::Port { address, why })?);
        }
        let addresses = held.iter().map(TcpListener::local_addr).collect::<Result<_, _>>();
        addresses.map_err(|why| StartError::Port { address: first, why })
    }

    async fn bring_up(
        &self,
        orchestrator: &Orchestrator,
        running: &Running,
        launch: &Launch,
        gateways: &[SocketAddr],
    ) -> Result<(), DemoError> {
        for (address, number) in gateways.iter().zip(1..) {
            let id = MemberId::new(&format!("gateway-{number}")).expect("letters, a dash and a digit");
            orchestrator.start_gateway(id, address.port()).await?;
        }
        for _ in 0..self.nodes {
            orchestrator.add(std::collections::BTreeSet::new()).await?;
        }
        let mut units = orchestrator.watch();
        let expected = Expected { nodes: self.nodes, gateways: self.gateways };
        let within = self.healthy_within();
        tokio::select! {
            healthy = running.cluster.wait_until(within, |state| expected.are_there(state)) => match healthy {
                true => Ok(()),
                false => {
                    let why = expected.compared(&running.cluster.state());
                    Err(DemoError::NotHealthy { within, why, logs: launch.logs.clone() })
                }
            },
            ended = units.wait_for(|units| units.values().any(|unit| unit.condition == Condition::Ended)) => {
                let units = ended.map_err(|_| OrchestratorError::Ending)?.clone();
                let (id, unit) = units.iter().find(|(_, unit)| unit.condition == Condition::Ended).ok_or(DriverError::Gone)?;
                let log = launch.log_of(id);
                Err(DemoError::MemberEnded { id: id.clone(), how: unit.ended.clone(), tail: logs::tail(&log), log })
            }
        }
    }

    /// A cluster that is remembered may first wait until nobody who was removed without proof can act any more (R10).
    fn healthy_within(&self) -> Duration {
        let Config { cluster, timing, .. } = &self.config;
        match (cluster.registry, &cluster.data_dir) {
            (RegistryAt::Nats | RegistryAt::Redis, _) => HEALTHY_DEADLINE + ELECTION + timing.fresh(),
            (RegistryAt::Local, Some(_)) => HEALTHY_DEADLINE + timing.fresh(),
            (RegistryAt::Local, None) => HEALTHY_DEADLINE,
        }
    }

    fn light(&self, address: SocketAddr) -> (Beacon, Result<beacon::Lit, BeaconError>) {
        let text = |secret: Option<&String>| secret.cloned().unwrap_or_default();
        let token = text(self.config.admin.token.as_ref().map(|token| &token.0));
        let beacon =
            Beacon::new(format!("http://{}", reachable(address)), token, text(self.config.gateway.api_key.as_ref()));
        let lit = beacon.light(&beacon::directory());
        (beacon, lit)
    }
}

/// Where a browser on this machine reaches a listener; one on all addresses is reached on the loopback one.
pub fn reachable(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => SocketAddr::from(([127, 0, 0, 1], v4.port())),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, v6.port())),
        other => other,
    }
}

async fn end(orchestrator: &Orchestrator, running: &Running) {
    if tokio::time::timeout(STOP_DEADLINE, running.stop()).await.is_err() {
        warn!("the gateway took longer than {} to close; its sockets end with the process", Span(STOP_DEADLINE));
    }
    orchestrator.end().await;
}
