//! The composition root: the only place where the parts of a process meet.
//!
//! Two steps: [`bind`] opens every port, so that nothing starts where something is in the way; [`Bound::start`] joins the
//! cluster, or gives birth to one, and serves.

mod birth;
mod link_address;
mod numbers;
mod serve;

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use ringway_core::Incarnation;
use ringway_core::id::{Birth, MemberId};
use ringway_core::registry::Registry;
use ringway_core::view::Placement;
use ringway_edge::Edge;
use ringway_link::{BindError, Links, Listener, Secret, Settings, Target};
use ringway_protocol::link::Identity;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tracing::info;

use crate::address::{host_and_port, with_port};
use crate::changes::Changes;
use crate::clock;
use crate::cluster::{self, ClusterHandle, ClusterState, Myself};
use crate::config::{Config, Roles};
use crate::console::Clients;
use crate::data_dir::{DataDir, DataDirError};
use crate::gateway::{GatewayConfig, Intake, SocketRoutes};
use crate::guesses::Guesses;
use crate::health::{self, Expected, Health};
use crate::member::{self, End, GatewayParts, JoinError, Meter, Parts, Signal, Stats};
use crate::metrics::Metrics;
use crate::orchestrator::Orchestrator;
use crate::registry::{Handle, Outside};
use crate::routes::{RouteParts, routes};
use serve::{Doors, Listeners, Served};

pub use link_address::AddressFault;

/// A way to the first gateway that is there is found within this.
const AT_ONCE: Duration = Duration::from_millis(250);

/// Signals that may wait for the member task: there are three, given one after the other.
const SIGNALS: usize = 4;

/// Why a process did not start. Nothing is left behind.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The port for clients is not to be had.
    #[error(
        "cannot listen for clients on {address}: {why}. Another program has the port, or it needs rights: choose another one with --port"
    )]
    Port {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        why: std::io::Error,
    },
    /// The internal port is not to be had.
    #[error(
        "cannot listen for health, metrics, admin API and page on {address}: {why}. Another program has the port, or it is the clients' port, or it needs rights: choose another one with --internal-listen"
    )]
    InternalPort {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        why: std::io::Error,
    },
    /// The port for links is not to be had.
    #[error(transparent)]
    LinkPort(#[from] BindError),
    /// The folder for the registry is of no use.
    #[error(transparent)]
    Data(#[from] DataDirError),
    /// Others could not dial the address that they would be told.
    #[error("{0}\nNothing was started.")]
    LinkAddress(#[from] AddressFault),
    /// The cluster did not take this process.
    #[error(transparent)]
    Join(#[from] JoinError),
    /// A member that joins others needs their secret.
    #[error(
        "cannot join without the cluster's secret: set [cluster] secret, or RINGWAY_SECRET, to the same text on every member"
    )]
    NoSecret,
}

/// A process whose ports are open, and that does nothing yet.
#[derive(Debug)]
pub struct Bound {
    config: Arc<Config>,
    roles: Roles,
    id: MemberId,
    /// Where clients reach this process, and where whoever watches it does.
    ports: (Option<SocketAddr>, Option<SocketAddr>),
    doors: Doors,
    links: Listener,
    data: Option<DataDir>,
}

/// How a process comes to its first view.
enum Begin {
    /// It keeps the registry.
    Registry(Registry),
    /// It asks the one that does.
    Join(Target),
    /// It asks a server outside.
    #[cfg_attr(not(test), expect(dead_code, reason = "the seat of engines whose registry is outside"))]
    Outside(Outside),
}

impl Begin {
    /// What others are told when they link, before this process knows more.
    fn birth(&self) -> Option<Birth> {
        match self {
            Self::Registry(registry) => Some(registry.view().birth()),
            Self::Join(_) | Self::Outside(_) => None,
        }
    }
}

/// A process that is at work.
#[derive(Debug)]
pub struct Running {
    /// What is known of the cluster.
    pub cluster: ClusterHandle,
    /// Its links.
    pub links: Links,
    signals: mpsc::Sender<Signal>,
    edge: Option<Edge>,
    /// The internal port: it answers until the end.
    internal: Option<Edge>,
    member: JoinHandle<End>,
}

/// Opens every port that the roles need. Who joins waits until there is a way to the first gateway, and says so at its ports meanwhile.
///
/// # Errors
/// [`StartError`]: a port or the data folder is in use, a secret is missing, or others could not dial this member.
pub async fn bind(config: Arc<Config>, roles: Roles) -> Result<Bound, StartError> {
    if config.cluster.join.is_some() && config.cluster.secret.is_none() {
        return Err(StartError::NoSecret);
    }
    let id = config.cluster.id.clone().unwrap_or_else(|| default_id(roles));
    let mut choosing = pin!(link_address::choose(&config.cluster));
    // A fault of the address is told before any port opens. A way to the first gateway may take long to come up.
    let chosen = tokio::time::timeout(AT_ONCE, &mut choosing).await.ok().transpose()?;
    let listeners = Listeners::bind(&config.server, roles).await?;
    let ports = listeners.ports();
    let doors = listeners.open(&config, health::early_routes(&id, config.cluster.join.as_deref()));
    let inside = async {
        let address = match chosen {
            Some(address) => address,
            None => choosing.await?,
        };
        let links = Listener::bind(&address.to_string()).await?;
        let data = match (&config.cluster.data_dir, &config.cluster.join) {
            (Some(path), None) => Some(DataDir::open(path)?),
            _ => None,
        };
        Ok::<_, StartError>((links, data))
    };
    match inside.await {
        Ok((links, data)) => Ok(Bound { config: config.clone(), roles, id, ports, doors, links, data }),
        Err(why) => {
            doors.close();
            Err(why)
        }
    }
}

impl Bound {
    /// Where clients reach this process.
    pub fn client_addr(&self) -> Option<SocketAddr> {
        self.ports.0
    }

    /// Where health, metrics, admin API and page are, if they have a port of their own.
    pub fn internal_addr(&self) -> Option<SocketAddr> {
        self.ports.1
    }

    /// Where the page's clients connect.
    fn page_clients(&self) -> Clients {
        match (self.client_addr(), self.internal_addr()) {
            (None, _) => Clients::Nowhere,
            (Some(_), None) => Clients::Here,
            (Some(listen), Some(_)) => Clients::Elsewhere { advertise: self.config.server.advertise.clone(), listen },
        }
    }

    /// Where members reach this process.
    pub fn link_addr(&self) -> SocketAddr {
        self.links.address()
    }

    /// Where members are told that they reach this process.
    fn link_address(&self) -> String {
        self.config.cluster.link_advertise.clone().unwrap_or_else(|| self.link_addr().to_string())
    }

    /// Where others are told that clients reach this process. One that listens on every address names the one at which
    /// members reach it: clients may well do so too.
    fn client_address(&self) -> Option<Arc<str>> {
        let bound = self.client_addr()?;
        let told = match self.config.server.advertise.clone() {
            Some(told) => told,
            None if bound.ip().is_unspecified() => with_port(&self.link_address(), bound.port()),
            None => bound.to_string(),
        };
        Some(told.into())
    }

    fn identity(&self, id: MemberId, begin: &Begin) -> Identity {
        Identity {
            id,
            incarnation: Incarnation(rand::random()),
            roles: ringway_link::Roles { gateway: self.roles.gateway, node: self.roles.node },
            address: self.link_address().into(),
            client_address: self.client_address(),
            keeps_registry: matches!(begin, Begin::Registry(_)),
            birth: begin.birth(),
        }
    }

    /// Joins the cluster, or gives birth to one, and serves.
    ///
    /// # Errors
    /// [`StartError`]: the cluster does not take this process.
    pub async fn start(self, orchestrator: Option<Orchestrator>) -> Result<Running, StartError> {
        let begin = match &self.config.cluster.join {
            None => Begin::Registry(birth::registry(&self.config, self.data.as_ref(), orchestrator.is_some())?),
            Some(address) => Begin::Join(Target::anyone(address.as_str())),
        };
        self.go(begin, orchestrator).await
    }

    /// The same in a cluster whose registry is in a server outside.
    #[cfg(test)]
    pub async fn start_outside(self, outside: Outside) -> Result<Running, StartError> {
        self.go(Begin::Outside(outside), None).await
    }

    async fn go(self, begin: Begin, orchestrator: Option<Orchestrator>) -> Result<Running, StartError> {
        let (config, roles) = (self.config.clone(), self.roles);
        let id = self.id.clone();
        // Whoever dials from now on learns which cluster this is.
        let identity = self.identity(id.clone(), &begin);
        let incarnation = identity.incarnation;
        let client_address = identity.client_address.clone();
        let (internal, clients) = (self.internal_addr(), self.page_clients());
        info!(address = %identity.address, "listening for members");
        let doors = self.doors;
        let names = site_names(&config);
        let rules = Arc::new(GatewayConfig { internal, names, ..config.gateway.clone() });
        let guesses = Guesses::default();
        let gateway = client_address.zip(doors.edge()).map(|(address, edge)| GatewayParts {
            address,
            config: rules.clone(),
            intake: Arc::new(Intake::new(config.gateway.limits.inbox_bytes)),
            edge,
            drain_rate: config.drain.rate,
        });
        let secret = config.cluster.secret.as_ref().map_or_else(random_secret, |secret| Secret::new(&secret.0));
        let limits = ringway_link::Limits::default();
        let settings =
            Settings { identity, cluster: "".into(), secret, limits, on_wrong_secret: guesses.at_the_link_port() };
        let (links, mut events) = Links::start(self.links, settings);

        let mut early = Vec::new();
        let (view, registry, join) = match begin {
            Begin::Registry(registry) => (registry.view().clone(), Handle::here(registry, self.data), None),
            Begin::Join(target) => {
                let (view, kept) = member::first_view(&links, &target, &mut events).await?;
                early = kept;
                links.belong_to(view.birth());
                (view, Handle::linked(), Some(target))
            }
            Begin::Outside(mut outside) => {
                let view = outside.first_view(incarnation, config.timing.ttl).await.ok_or(JoinError::Ended)?;
                links.belong_to(view.birth());
                (view, Handle::Outside(outside), None)
            }
        };
        let first = ClusterState {
            placement: Arc::new(Placement::of(&view, None)),
            view: view.clone(),
            me: Myself { id: id.clone(), incarnation },
            loads: std::collections::HashMap::new(),
            links: std::collections::HashMap::new(),
            troubles: Vec::new(),
        };
        let (seat, cluster) = cluster::cluster(first);
        let (signals, orders) = mpsc::channel(SIGNALS);
        let (stats, seen) = watch::channel(Stats { turned: clock::now(), ..Stats::default() });

        let edge = gateway.as_ref().map(|gateway| gateway.edge.clone());
        // Every gateway tells the keeper what it saw, so that is where receipts are kept.
        let intake = gateway.as_ref().map(|gateway| gateway.intake.clone());
        let keeps = registry.may_keep(roles.gateway);
        let keep = || Changes::keep(view.clone(), config.rebalance, cluster.clone(), intake.clone());
        let (changes, teller) = keeps.then(keep).unzip();
        let expected = Expected { nodes: config.cluster.expect_nodes, gateways: config.cluster.expect_gateways };
        let health = Health::new(cluster.clone(), seen.clone(), config.timing, expected);
        let sockets = gateway.as_ref().map(|gateway| serve::sockets(&config, gateway, guesses.clone()));
        let metrics = Metrics::of_process();
        let refusals = sockets.as_ref().map(SocketRoutes::refusals);
        let meter = Meter::default();
        metrics.collect(numbers::MemberTime::new(id.clone(), meter.clone()));
        metrics.collect(numbers::Numbers::new(seen, edge.clone(), refusals, links.clone(), guesses.clone()));
        let routes = routes(RouteParts {
            config: &config,
            cluster: cluster.clone(),
            orchestrator,
            intake,
            changes,
            // Only the open config has the echo: what is for tests alone goes together.
            cuts: config.server.echo.then(|| links.clone()),
            health,
            metrics,
            clients,
            guesses: guesses.clone(),
        });
        let internal = doors.serve(&config, gateway.as_ref().zip(sockets), Served { rules, guesses, routes });
        let kept = links.clone();
        let member = tokio::spawn(meter.measure(member::run(Parts {
            id,
            incarnation,
            node: roles.node.then_some(config.cluster.weight),
            gateway,
            registry,
            join,
            view,
            timing: config.timing,
            limits: (config.limits.gateway, config.limits.node),
            links,
            events: (early, events),
            seat,
            signals: orders,
            stats,
            teller,
        })));
        Ok(Running { cluster, links: kept, signals, edge, internal, member })
    }
}

/// Names under which this server is known: what it says of itself, and where its own pages may be.
fn site_names(config: &Config) -> Vec<String> {
    let host = |address: &String| host_and_port(address).ok().map(|(host, _)| host.to_owned());
    let told = [&config.server.advertise, &config.cluster.link_advertise];
    let origin = |origin: &String| {
        let host = origin.split_once("://")?.1;
        Some(host.rsplit_once(':').map_or(host, |(name, _)| name).to_owned())
    };
    let names = config.server.names.iter().cloned();
    let told = told.into_iter().flatten().filter_map(host);
    names.chain(told).chain(config.gateway.allowed_origins.iter().filter_map(origin)).collect()
}

impl Running {
    /// Takes no new sockets, sends the clients away, hands over and leaves the view. Returns when that is done, or when
    /// there is nothing that could be handed over. The pace is made for this much time, and nothing is cut short: whoever
    /// runs out of it calls [`Running::stop`].
    pub async fn leave(&self, within: Duration) {
        if let Some(edge) = &self.edge {
            edge.stop_accepting();
        }
        self.order(|done| Signal::Shed(within, done)).await;
        self.order(Signal::Drain).await;
    }

    /// Closes everything at once.
    pub async fn stop(&self) {
        if let Some(edge) = &self.edge {
            edge.stop_accepting();
        }
        self.order(Signal::Stop).await;
        if let Some(edge) = &self.edge {
            let closed = async {
                while edge.open() > 0 {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            // Clients that do not answer a close frame are cut off with the process.
            let _ = tokio::time::timeout(Duration::from_secs(1), closed).await;
        }
        if let Some(internal) = &self.internal {
            internal.stop_accepting();
        }
    }

    /// Ends its member and its links without a word, as a crash of the process does. What listens goes with the test.
    #[cfg(test)]
    pub async fn crash(self) {
        self.member.abort();
        self.links.shut_down().await;
    }

    async fn order(&self, signal: impl FnOnce(oneshot::Sender<()>) -> Signal) {
        let (done, finished) = oneshot::channel();
        if self.signals.send(signal(done)).await.is_ok() {
            // An error means that the task has ended, which is what was wanted.
            let _ = finished.await;
        }
    }

    /// Resolves when the member task has ended, with the reason in words.
    pub async fn ended(&mut self) -> String {
        match (&mut self.member).await {
            Ok(End::Left) => "this member has left the cluster".into(),
            Ok(End::Stopped) => "this member was stopped".into(),
            Ok(End::Outdated { kept, known }) => format!(
                "the data folder holds view {kept} of this cluster, and a running member knows view {known}, which does not come from it: the folder is an older copy, and going on with it could \
                 lose what was acknowledged. Put the newest one back; or stop every member, and start them all again with this one; or start this one with an empty folder: \
                 the members then begin a new cluster"
            ),
            Err(error) => format!("the member task failed: {error}"),
        }
    }
}

fn default_id(roles: Roles) -> MemberId {
    let name = match (roles.gateway, roles.node) {
        (true, true) => "ringway-1",
        (true, false) => "gateway-1",
        _ => "node-1",
    };
    MemberId::new(name).expect("letters, a dash and a digit")
}

fn random_secret() -> Secret {
    Secret::new(rand::random::<[u8; 32]>())
}
