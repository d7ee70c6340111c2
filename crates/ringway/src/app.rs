//! The composition root: the only place where the parts of a process meet.
//!
//! Two steps: [`bind`] opens every port, so that nothing starts where something is in the way; [`Bound::start`] joins the
//! cluster, or gives birth to one, and serves.

mod birth;
mod error;
mod further;
mod link_address;
mod numbers;
mod own;
mod seated;
mod serve;

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join_all, select_all};
use ringway_core::Incarnation;
use ringway_core::id::{Birth, MemberId};
use ringway_core::registry::Registry;
use ringway_core::ring::Weight;
use ringway_core::view::View;
use ringway_edge::Edge;
use ringway_engine::file::FileLog;
use ringway_link::{Event, Links, Listener, Secret, Settings, Target};
use ringway_protocol::link::Identity;
use tokio::sync::mpsc;
use tracing::{error, info};

use crate::address::{host_and_port, with_port};
use crate::census::{self, Entrance};
use crate::changes::Changes;
use crate::cluster::ClusterHandle;
use crate::config::{Config, LogAt, RegistryAt, Roles};
use crate::console::Clients;
use crate::data_dir::DataDir;
use crate::demo::reachable;
use crate::engine;
use crate::gateway::{Client, GatewayConfig, Intake};
use crate::guesses::Guesses;
use crate::health;
use crate::logbook;
use crate::member::{self, End, GatewayParts, JoinError, Signal};
use crate::mirror;
use crate::orchestrator::Orchestrator;
use crate::orders;
use crate::registry::{Handle, Way};
use further::{Common, Further};
use own::Own;
use seated::{Control, Ready, Seated};
use serve::{Doors, Listeners};

pub use error::StartError;
pub use link_address::AddressFault;
pub use serve::sockets_within;

/// A way to the first gateway that is there is found within this.
const AT_ONCE: Duration = Duration::from_millis(250);

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
    further: Vec<Further>,
    data: Option<DataDir>,
}

/// How a process comes to its first view.
enum Begin {
    /// It keeps the registry.
    Registry(Registry),
    /// It asks the one that does.
    Join(Target),
    /// It asks a store outside, and has this view for it if it has none.
    Outside(Way, Arc<View>),
}

impl Begin {
    /// What others are told when they link, before this process knows more.
    fn birth(&self) -> Option<Birth> {
        match self {
            Self::Registry(registry) => Some(registry.view().birth()),
            Self::Join(_) | Self::Outside(..) => None,
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
    edge: Option<Edge>,
    /// The internal port: it answers until the end.
    internal: Option<Edge>,
    /// Its members, the first one first. There is one at least.
    members: Vec<Control>,
    /// The log, where it is in a folder of this process.
    file: Option<FileLog>,
    /// Its place in the census, where there is one.
    census: Option<census::Place>,
    /// Where the sessions of the first gateway are.
    intake: Option<Arc<Intake<Client>>>,
}

/// Opens every port that the roles need. Who joins waits until there is a way to the first gateway, and says so at its ports meanwhile.
///
/// # Errors
/// [`StartError`]: a port or the data folder is in use, a secret is missing, or others could not dial this member.
pub async fn bind(config: Arc<Config>, roles: Roles) -> Result<Bound, StartError> {
    let is_first = config.cluster.join.is_none() && config.cluster.registry == RegistryAt::Local;
    if !is_first && config.cluster.secret.is_none() {
        return Err(StartError::NoSecret);
    }
    let id = config.cluster.id.clone().unwrap_or_else(|| default_id(roles));
    let mut choosing = pin!(link_address::choose(&config));
    // A fault of the address is told before any port opens. A way to the first gateway may take long to come up.
    let chosen = tokio::time::timeout(AT_ONCE, &mut choosing).await.ok().transpose()?;
    let listeners = Listeners::bind(&config.server, roles).await?;
    let ports = listeners.ports();
    let doors = listeners.open(&config, health::early_routes(&id, &config));
    let inside = async {
        let address = match chosen {
            Some(address) => address,
            None => choosing.await?,
        };
        let links = Listener::bind(&address.to_string()).await?;
        // One file is for all roles, and a node alone has no gateways.
        let further = if roles.gateway { further::bind(&config, &id, address).await? } else { Vec::new() };
        let data = match (&config.cluster.data_dir, &config.cluster.join) {
            (Some(path), None) if is_first => Some(DataDir::open(path)?),
            _ => None,
        };
        Ok::<_, StartError>((links, further, data))
    };
    match inside.await {
        Ok((links, further, data)) => {
            Ok(Bound { config: config.clone(), roles, id, ports, doors, links, further, data })
        }
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
            None if self.config.cluster.registry.is_outside() => {
                let way = engine::registry(&self.config).await?;
                Begin::Outside(way, Arc::new(birth::born(&self.config)))
            }
            None => Begin::Registry(birth::registry(&self.config, self.data.as_ref(), orchestrator.is_some())?),
            Some(address) => Begin::Join(Target::anyone(address.as_str())),
        };
        let log = self.log(&begin).await?;
        let mirror = engine::mirror(&self.config).await?;
        let running = self.go(begin, log, orchestrator).await?;
        if let Some(mirror) = mirror {
            mirror::show(mirror, &running.cluster, running.intake.clone());
        }
        Ok(running)
    }

    /// Where requests of this process to the log go, and the log itself where it is in a folder here.
    async fn log(&self, begin: &Begin) -> Result<(logbook::Handle, Option<FileLog>), StartError> {
        Ok(match (self.config.cluster.log, begin, &self.data) {
            (LogAt::Nats | LogAt::Redis, ..) => (logbook::Handle::Way(engine::log(&self.config).await?), None),
            (LogAt::Local, Begin::Registry(registry), Some(data)) => {
                let (folder, birth) = (data.path().to_owned(), registry.view().birth());
                let log = engine::log_in_folder(folder, birth, &self.config).await?;
                (logbook::Handle::Way(logbook::Way::to(log.clone())), Some(log))
            }
            (LogAt::Local, Begin::Join(_), _) => (logbook::Handle::Linked, None),
            (LogAt::Local, Begin::Registry(_) | Begin::Outside(..), _) => (logbook::Handle::Absent, None),
        })
    }

    /// The same in a cluster whose registry is in a store outside. If that has no view yet, the cluster is born with this one.
    #[cfg(test)]
    pub async fn start_outside(self, way: Way, born: Arc<View>) -> Result<Running, StartError> {
        self.go(Begin::Outside(way, born), (logbook::Handle::Absent, None), None).await
    }

    async fn go(
        self,
        begin: Begin,
        (log, file): (logbook::Handle, Option<FileLog>),
        orchestrator: Option<Orchestrator>,
    ) -> Result<Running, StartError> {
        let config = self.config.clone();
        let identity = self.identity(self.id.clone(), &begin);
        let census = Entrance::of(&config, self.roles, &identity);
        let (internal, clients, host) = (self.internal_addr(), self.page_clients(), self.host(&begin));
        info!(address = %identity.address, "listening for members");
        let guesses = Guesses::default();
        let gateway_config = Arc::new(GatewayConfig { internal, names: site_names(&config), ..config.gateway.clone() });
        let secret = config.cluster.secret.as_ref().map_or_else(random_secret, |secret| Secret::new(&secret.0));
        let ids = std::iter::once(&self.id).chain(self.further.iter().map(|further| &further.id)).cloned().collect();
        let (edge, doors) = (self.doors.edge(), self.doors);
        let bus = engine::Bus::open(&config).await?;
        let orders = bus.handle(&secret, identity.incarnation);
        let common = identity.client_address.clone().zip(edge.clone()).map(|(client_address, edge)| Common {
            config: config.clone(),
            gateway_config: gateway_config.clone(),
            secret: secret.clone(),
            bus,
            guesses: guesses.clone(),
            client_address,
            edge,
            ids,
        });
        let gateway = common.as_ref().map(|common| common.parts(&self.id));
        let on_wrong_secret = guesses.at_the_link_port();
        let limits = ringway_link::Limits::default();
        // Whoever dials from now on learns which cluster this is.
        let settings = Settings { identity, cluster: "".into(), secret, limits, on_wrong_secret };
        let links = Links::start(self.links, settings);
        let node = self.roles.node.then_some(config.cluster.weight);
        let ready = begin.ready(self.id, (node, gateway), links, self.data, (log, orders), config.timing.ttl).await?;
        let (first, changes) = keeping(ready, &config);
        let mut all = vec![first];
        if let Some(common) = &common {
            for further in self.further {
                all.push(further.join(common, host.clone()).await?);
            }
        }
        let own = Own { edge, gateway_config, guesses, clients, orchestrator, changes, file, census };
        Ok(own.serve(&config, doors, all))
    }

    /// Where further gateways of this process reach the host.
    fn host(&self, begin: &Begin) -> Target {
        match begin {
            Begin::Join(target) => target.clone(),
            Begin::Registry(_) | Begin::Outside(..) => Target::anyone(reachable(self.link_addr()).to_string()),
        }
    }
}

impl Begin {
    /// Comes to the first view: with that the member can begin.
    async fn ready(
        self,
        id: MemberId,
        (node, gateway): (Option<Weight>, Option<GatewayParts>),
        (links, mut events): (Links, mpsc::Receiver<Event>),
        data: Option<DataDir>,
        (log, orders): (logbook::Handle, orders::Handle),
        ttl: Duration,
    ) -> Result<Ready, StartError> {
        let incarnation = links.identity().incarnation;
        let (view, registry, join, early) = match self {
            Self::Registry(registry) => (registry.view().clone(), Handle::here(registry, data), None, Vec::new()),
            Self::Join(target) => {
                let (view, early) = member::first_view(&links, &target, &mut events).await?;
                links.belong_to(view.birth());
                (view, Handle::linked(), Some(target), early)
            }
            Self::Outside(mut way, born) => {
                let view = way.first_view(incarnation, &born, ttl).await.ok_or(JoinError::Ended)?;
                links.belong_to(view.birth());
                (view, Handle::outside(way), None, Vec::new())
            }
        };
        Ok(Ready { id, incarnation, node, gateway, registry, log, orders, join, view, links, events: (early, events) })
    }
}

/// Starts the first member. Every gateway tells the keeper what it saw, so that is where receipts are kept.
fn keeping(ready: Ready, config: &Config) -> (Seated, Option<Changes>) {
    let keeps = ready.registry.may_keep(ready.gateway.is_some());
    let (view, intake) = (ready.view.clone(), ready.gateway.as_ref().map(|gateway| gateway.intake.clone()));
    let mut changes = None;
    let first = ready.start(config, |cluster| {
        let (kept, teller) = keeps.then(|| Changes::keep(view, config.rebalance, cluster.clone(), intake)).unzip();
        changes = kept;
        teller
    });
    (first, changes)
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
        if let Some(census) = &self.census {
            census.leave().await;
        }
        if let Some(edge) = &self.edge {
            edge.stop_accepting();
        }
        join_all(self.members.iter().map(|member| member.order(|done| Signal::Shed(within, done)))).await;
        let (first, further) = self.split();
        // The first one last: the others may need the registry, which may be there.
        join_all(further.iter().map(|member| member.order(Signal::Drain))).await;
        if let Some(first) = first {
            first.order(Signal::Drain).await;
        }
    }

    /// Closes everything at once.
    pub async fn stop(&self) {
        if let Some(census) = &self.census {
            census.leave().await;
        }
        if let Some(edge) = &self.edge {
            edge.stop_accepting();
        }
        join_all(self.members.iter().map(|member| member.order(Signal::Stop))).await;
        if let Some(file) = &self.file
            && let Err(why) = file.close().await
        {
            error!(%why, "the log was not closed as it should be");
        }
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
        for member in &self.members {
            member.task.abort();
            member.links.shut_down().await;
        }
    }

    fn split(&self) -> (Option<&Control>, &[Control]) {
        self.members.split_first().map_or((None, &[]), |(first, further)| (Some(first), further))
    }

    /// Resolves when a member task has ended, with the reason in words.
    pub async fn ended(&mut self) -> String {
        let file = self.file.clone();
        let failed = async {
            match &file {
                Some(file) => file.until_failed().await,
                None => std::future::pending().await,
            }
        };
        let (end, ..) = tokio::select! {
            end = select_all(self.members.iter_mut().map(|member| &mut member.task)) => end,
            why = failed => return why,
        };
        match end {
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
