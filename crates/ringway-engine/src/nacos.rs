//! A census in Nacos: members are ephemeral instances of a service there.
//!
//! Its makers' client registers, sends the heartbeats, registers anew after an outage, and is told of changes. What the list then is, is read
//! over HTTP (`api`), because the client's lists hide what counts here:
//!
//! | Nacos | its client's list | read here |
//! |---|---|---|
//! | an instance is offline | is without it, as if it were gone | asks for that one instance, which is there |
//! | too few are healthy (protection threshold) | says that all are | the list says that it is protected |
//! | does not answer | is the last one | is away |

mod api;
mod inspect;
mod session;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use nacos_sdk::api::naming::{
    NamingChangeEvent, NamingEventListener, NamingService, NamingServiceBuilder, ServiceInstance,
};
use nacos_sdk::api::props::ClientProps;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::census::{Absent, Census, Entry, LOOK, List, Listed, Reason, Standing};
use api::{Api, Instance};
pub use inspect::{Inspection, inspect};
use session::{Session, Shown};

/// The client writes what it hears to a folder in the user's home unless it is named another one, and reads it only if asked to. Here nothing
/// can be written.
const NOWHERE: &str = "/dev/null/nacos";

/// How long a registration may take. The client then goes on trying by itself.
const PATIENCE: Duration = Duration::from_secs(3);

/// Instances that are asked for one by one, for the list does not have them any more: more in one look would take too long.
const ASKED: usize = 16;

/// How Nacos is reached, and what the members are called there.
#[derive(Clone)]
pub struct Config {
    /// `host:port` of its servers, the port for HTTP. The one for gRPC is 1,000 above.
    pub servers: Vec<String>,
    /// Id of the namespace; empty: `public`.
    pub namespace: String,
    /// Name of the group.
    pub group: String,
    /// Name of the cluster inside the service.
    pub cluster: String,
    /// The service that members are instances of.
    pub service: String,
    /// User and password.
    pub user: Option<(String, String)>,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Config({} in {} at {})", self.service, self.group, self.servers.join(", "))
    }
}

/// A further service that a member is listed in, for others to find it there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Name of the service.
    pub service: String,
    /// Where it is served, `host:port`.
    pub address: String,
}

/// A member's way to Nacos.
pub struct Nacos {
    config: Config,
    api: Api,
    session: Arc<Session>,
    offer: Option<Offer>,
    client: Option<NamingService>,
    entry: Option<(Entry, ServiceInstance)>,
    /// Counts what Nacos has told.
    told: watch::Receiver<u64>,
    teller: Arc<Teller>,
    /// Where members were last listed.
    known: BTreeMap<String, Instance>,
}

impl std::fmt::Debug for Nacos {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Nacos").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Wakes whoever waits when Nacos tells of a change.
struct Teller(watch::Sender<u64>);

impl NamingEventListener for Teller {
    fn event(&self, _event: Arc<NamingChangeEvent>) {
        self.0.send_modify(|count| *count += 1);
    }
}

impl Nacos {
    /// A way that is not used yet. `offer` is entered with the member.
    pub fn new(config: Config, offer: Option<Offer>) -> Self {
        let (teller, told) = watch::channel(0);
        let session = Arc::new(Session::new(config.servers.clone(), config.user.clone()));
        let api = Api::new(session.clone(), &config);
        let (client, entry, known) = (None, None, BTreeMap::new());
        Self { config, api, session, offer, client, entry, told, teller: Arc::new(Teller(teller)), known }
    }

    /// The client. It is made once, when Nacos is there, and then goes on trying.
    async fn client(&mut self) -> Result<NamingService, Absent> {
        if let Some(client) = &self.client {
            return Ok(client.clone());
        }
        let props = ClientProps::new()
            // What stands in the environment of the process is not for it.
            .env_first(false)
            .server_addr(self.config.servers.join(","))
            .namespace(&*self.config.namespace)
            .app_name("ringway")
            // An empty list is news, too.
            .naming_push_empty_protection(false)
            // With this it begins without a server; there is nothing to be loaded.
            .naming_load_cache_at_start(true)
            .cache_dir(NOWHERE);
        let builder = NamingServiceBuilder::new(props).with_auth_plugin(Arc::new(Shown(self.session.clone())));
        let client = builder.build().await.map_err(|why| Absent(why.to_string()))?;
        let (service, group) = (self.config.service.clone(), Some(self.config.group.clone()));
        let listener = self.teller.clone();
        // Without a server it is subscribed later.
        let _ = timeout(PATIENCE, client.subscribe(service, group, Vec::new(), listener)).await;
        self.client = Some(client.clone());
        Ok(client)
    }

    async fn register(&self, client: &NamingService, service: &str, instance: ServiceInstance) -> Result<(), Absent> {
        let group = Some(self.config.group.clone());
        match timeout(PATIENCE, client.register_instance(service.to_owned(), group, instance)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(why)) => Err(self.session.trouble().unwrap_or_else(|| Absent(why.to_string()))),
            Err(_) => Err(Absent("Nacos did not answer in time".to_owned())),
        }
    }

    fn instance(&self, entry: &Entry, address: &str) -> Result<ServiceInstance, Absent> {
        let parts = address.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
        let (host, port) = parts.ok_or_else(|| Absent(format!("{address} is no address to be listed at")))?;
        let metadata = [
            ("id", entry.id.clone()),
            ("incarnation", format!("{:016x}", entry.incarnation)),
            ("roles", entry.roles.clone()),
            ("version", entry.version.clone()),
        ];
        Ok(ServiceInstance {
            ip: host.trim_matches(['[', ']']).to_owned(),
            port,
            weight: entry.weight,
            cluster_name: Some(self.config.cluster.clone()),
            metadata: metadata.map(|(key, value)| (key.to_owned(), value)).into(),
            ..ServiceInstance::default()
        })
    }

    /// Reads the list, and asks for those whom it has no longer.
    async fn look(&mut self) -> Result<List, Absent> {
        let (listed, is_protected) = self.api.list().await?;
        let mut members = BTreeMap::new();
        for instance in listed {
            let Some(id) = instance.member() else { continue };
            members.insert(id.clone(), instance.standing());
            self.known.insert(id, instance);
        }
        members.extend(self.hidden(&members).await?);
        let members = members.into_iter().map(|(id, standing)| Listed { id, standing }).collect();
        Ok(List { members, is_protected })
    }

    /// Those who are there and not in the list: they are offline. Of the others it is forgotten where they were, but for this member: it is
    /// asked for again, because it will come back.
    async fn hidden(&mut self, listed: &BTreeMap<String, Standing>) -> Result<Vec<(String, Standing)>, Absent> {
        let missing: Vec<String> = self.known.keys().filter(|id| !listed.contains_key(*id)).cloned().collect();
        let mut hidden = Vec::new();
        for id in missing.into_iter().take(ASKED) {
            let Some(known) = self.known.get(&id) else { continue };
            let there = self.api.instance(known).await?.and_then(|found| found.member());
            if there.as_ref() == Some(&id) {
                hidden.push(id);
            } else if !self.is_me(&id) {
                self.known.remove(&id);
            }
        }
        if hidden.is_empty() {
            return Ok(Vec::new());
        }
        // One may have come back between the two questions.
        let (again, _) = self.api.list().await?;
        let standing = |id: &String| {
            let back = again.iter().find(|instance| instance.member().as_ref() == Some(id));
            back.map_or(Standing::Off(Reason::Disabled), Instance::standing)
        };
        Ok(hidden.into_iter().map(|id| (id.clone(), standing(&id))).collect())
    }

    fn is_me(&self, id: &str) -> bool {
        self.entry.as_ref().is_some_and(|(entry, _)| entry.id == id)
    }
}

impl Census for Nacos {
    async fn enter(&mut self, entry: Entry) -> Result<(), Absent> {
        let instance = self.instance(&entry, &entry.address)?;
        let offered = self.offer.clone().map(|offer| Ok((self.instance(&entry, &offer.address)?, offer.service)));
        let offered = offered.transpose()?;
        // It may be offline from the beginning: what was set in a console outlives a process.
        self.known.insert(entry.id.clone(), Instance::of(&instance));
        self.entry = Some((entry, instance.clone()));
        // The client takes many seconds to find out that nobody is there, or that nobody lets it in, and says neither.
        self.api.list().await.map_err(|why| self.session.trouble().unwrap_or(why))?;
        let client = self.client().await?;
        let service = self.config.service.clone();
        let entered = self.register(&client, &service, instance).await;
        if let Some((instance, service)) = offered {
            // Whoever looks for gateways takes each alike: the weight of the entry is that of its node.
            self.register(&client, &service, ServiceInstance { weight: 1.0, ..instance }).await?;
        }
        entered
    }

    async fn next(&mut self) -> Result<List, Absent> {
        // Its sender is in the teller, which this holds.
        let _ = timeout(LOOK, self.told.changed()).await;
        if let (None, Some((entry, _))) = (&self.client, self.entry.clone()) {
            self.enter(entry).await?;
        }
        self.look().await.map_err(|why| self.session.trouble().unwrap_or(why))
    }

    async fn leave(&mut self) {
        let Some((entry, instance)) = self.entry.take() else { return };
        let Some(client) = self.client.clone() else { return };
        let group = Some(self.config.group.clone());
        let offered = self.offer.take().and_then(|offer| Some((self.instance(&entry, &offer.address).ok()?, offer)));
        let service = self.config.service.clone();
        let leaves = async {
            // An error means that the end of the connection will do it.
            if let Some((instance, offer)) = offered {
                let _ = client.deregister_instance(offer.service, group.clone(), instance).await;
            }
            let _ = client.deregister_instance(service, group, instance).await;
        };
        let _ = timeout(PATIENCE, leaves).await;
    }
}
