//! Where this process listens for other members, and what address it tells them: one that they can dial.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use ringway_link::{Route, RouteError};
use tracing::warn;

use crate::address::Scope;
use crate::config::{Cluster, Config};
use crate::engine;

/// Where the first process of a cluster listens for links unless told otherwise: next to the clients' port.
const PORT: u16 = 9_889;

/// Pause before a name or a route is looked up again that was not there.
const PAUSE: Duration = Duration::from_millis(500);

/// The address that others would be told is none that they can dial. Nothing was opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressFault {
    /// Every address of this machine, and so no particular one.
    #[error(
        "`cluster.{setting}` is {address}, which stands for every address of this machine: other members cannot dial it. {mend}"
    )]
    NoParticular {
        /// `link_listen` or `link_advertise`.
        setting: &'static str,
        /// What it is.
        address: String,
        /// What to do.
        mend: String,
    },
    /// Only this machine reaches it, and the cluster is not on this machine alone.
    #[error(
        "`cluster.{setting}` is {address}, which only this machine reaches, and the cluster to join, at {join}, is on a network: its other members cannot dial it. {mend}"
    )]
    OnlyHere {
        /// `link_listen` or `link_advertise`.
        setting: &'static str,
        /// What it is.
        address: String,
        /// Where the first gateway is.
        join: String,
        /// What to do.
        mend: String,
    },
}

/// The address to listen on, once there is a way to the first gateway, or to the server that has the registry. It is waited for: names and networks of containers
/// come up when they do.
///
/// # Errors
/// [`AddressFault`]: others could not reach the address that they would be told.
pub(super) async fn choose(config: &Config) -> Result<SocketAddr, AddressFault> {
    let cluster = &config.cluster;
    let outside = || cluster.registry.is_outside().then(|| engine::address(config));
    let Some(join) = &cluster.join.clone().or_else(outside) else { return of_first(cluster) };
    let route = route_to(join).await;
    of_joining(cluster, join, &route)
}

/// The first process listens where it is told, or on this machine alone. Only its port must be known to others, and
/// only if they have the secret.
fn of_first(cluster: &Cluster) -> Result<SocketAddr, AddressFault> {
    let port = if cluster.secret.is_some() { PORT } else { 0 };
    let listen = cluster.link_listen.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let told = Advertised::of(cluster, listen);
    // Without a secret nobody joins, so nobody is told.
    if told.scope == Scope::NoParticular && cluster.secret.is_some() {
        let mend = "Set `cluster.link_advertise` (--link-advertise) to the host:port at which the other members reach this machine, or `cluster.link_listen` to that address itself.";
        return Err(told.no_particular(mend.to_owned()));
    }
    Ok(listen)
}

/// Who joins listens, unless it is told otherwise, where the first gateway's answers come in: others are there too.
fn of_joining(cluster: &Cluster, join: &str, route: &Route) -> Result<SocketAddr, AddressFault> {
    let listen = cluster.link_listen.unwrap_or_else(|| SocketAddr::new(route.from.to_canonical(), 0));
    let told = Advertised::of(cluster, listen);
    let mend = || {
        let by_itself = format!("it is then {}, which is this machine's address on the way there", route.from);
        let leave_out = match told.setting {
            "link_listen" => format!("Leave `link_listen` out ({by_itself})"),
            _ => format!("Leave `link_listen` and `link_advertise` out ({by_itself})"),
        };
        format!("{leave_out}, or set `link_advertise` to the host:port at which the other members reach this machine.")
    };
    match told.scope {
        Scope::NoParticular => Err(told.no_particular(mend())),
        Scope::ThisMachine if !route.is_loopback() => {
            let Advertised { setting, address, .. } = &told;
            let (setting, address, join) = (*setting, address.clone(), join.to_owned());
            Err(AddressFault::OnlyHere { setting, address, join, mend: mend() })
        }
        Scope::ThisMachine | Scope::Network => Ok(listen),
    }
}

/// Waits for a way to an address, and says so.
async fn route_to(join: &str) -> Route {
    loop {
        let why = match Route::find(join).await {
            Ok(route) => return route,
            Err(why) => why,
        };
        let hint = match &why {
            RouteError::UnknownName(_) => "check how it is spelled",
            RouteError::NoRoute(_) => "check the address and this machine's network",
        };
        warn!("the first gateway, {join}, cannot be dialed: {why}; {hint}. Trying again until it can");
        tokio::time::sleep(PAUSE).await;
    }
}

/// The address that others are told, and from which machines it can be dialed.
#[derive(Debug)]
struct Advertised {
    setting: &'static str,
    address: String,
    scope: Scope,
}

impl Advertised {
    fn of(cluster: &Cluster, listen: SocketAddr) -> Self {
        match &cluster.link_advertise {
            Some(address) => {
                Self { setting: "link_advertise", address: address.clone(), scope: Scope::of_text(address) }
            }
            None => Self { setting: "link_listen", address: listen.to_string(), scope: Scope::of(listen.ip()) },
        }
    }

    fn no_particular(&self, mend: String) -> AddressFault {
        AddressFault::NoParticular { setting: self.setting, address: self.address.clone(), mend }
    }
}

#[cfg(test)]
mod tests;
