//! The commands that run members.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

use super::args::{
    ClientPortArgs, DemoArgs, GatewayArgs, InternalListen, MemberArgs, NodeRun, RegistryArgs, ServeArgs,
};
use super::closed::{danger, waits_in_vain};
use super::error::CliError;
use super::ready::{told_open, told_ready};
use crate::app::{self, Running, StartError};
use crate::config::{Config, Faults, RegistryAt, Roles, Secret};
use crate::demo::{Demo, DemoError, reachable};
use crate::orchestrator::cut;
use crate::shutdown::Signals;
use crate::telemetry;

/// The environment variable with what all members know. Not a flag: arguments can be read by other users.
const SECRET: &str = "RINGWAY_SECRET";

/// What is left of the time for leaving to close links and sockets in order: enough for both, on a busy machine too.
const CLOSING: Duration = Duration::from_secs(2);

pub(super) async fn serve(args: ServeArgs) -> Result<(), CliError> {
    let base = if args.dev { Config::default().open() } else { Config::default() };
    let mut config = args.member.over(base)?;
    args.registry.over(&mut config);
    args.port.over(&mut config);
    if args.dev {
        make_up_secrets(&mut config);
    }
    let open = args.dev;
    run_member(config, Roles::BOTH, |config, served| match (served.clients, open) {
        (Some(address), true) => told_open(config, served.internal.unwrap_or(address)),
        (Some(address), false) => format!("ringway serves on http://{}/\n", reachable(address)),
        (None, _) => String::new(),
    })
    .await
}

pub(super) async fn gateway(args: GatewayArgs) -> Result<(), CliError> {
    let base = if args.dev { Config::default().open() } else { Config::default() };
    let mut config = args.member.over(base)?;
    args.registry.over(&mut config);
    args.port.over(&mut config);
    config.cluster.join = args.join.or(config.cluster.join);
    if args.orchestrator.is_some() {
        // The file is the orchestrator's too, and so is the address that it advertises.
        config.server.advertise = None;
        config.server.gateways = 1;
        config.admin.orchestrator = args.orchestrator;
    }
    run_member(config, Roles::GATEWAY, |_, served| match served.clients {
        Some(address) => format!("ringway gateway on http://{}/\n", reachable(address)),
        None => String::new(),
    })
    .await
}

pub(super) async fn node(args: NodeRun) -> Result<(), CliError> {
    let mut base = Config::default();
    // A node of a demo reads the demo's file, in which no secret is too short.
    base.gateway.is_open = cut::are_allowed();
    let mut config = args.member.over(base)?;
    config.cluster.join = args.join.or(config.cluster.join);
    if config.cluster.join.is_none() && config.cluster.registry == RegistryAt::Local {
        let why = "a node needs a cluster to join: give --join ADDR, the link address of its first gateway, or set [cluster] join; or [cluster] registry, if the registry is in NATS";
        return Err(CliError::Usage(why.to_owned()));
    }
    if cut::are_allowed() {
        // The demo's file is for its gateways.
        config.server.gateways = 1;
    }
    if let Some(token) = args.admin_token {
        config.admin.token = Some(Secret(token));
    }
    run_member(config, Roles::NODE, |_, _| String::new()).await
}

pub(super) async fn demo(args: DemoArgs) -> Result<(), CliError> {
    let mut config = demo_config(args.config.as_deref(), &args.registry)?;
    args.port.over(&mut config);
    make_up_secrets(&mut config);
    config.cluster.secret.get_or_insert_with(|| Secret(random_text()));
    let (nodes, gateways) = (usize::from(args.nodes), usize::from(args.gateways));
    let around = if gateways == 1 { "a gateway".to_owned() } else { format!("{gateways} gateways") };
    telemetry::note(format_args!("starting {nodes} nodes around {around} ..."));
    let demo = Demo { config, file: args.config, nodes, gateways };
    let told = demo.run(|ready| {
        telemetry::announce(told_ready(ready));
    });
    Box::pin(told).await.map_err(|why| match why {
        DemoError::Gateway(StartError::Port { .. } | StartError::LinkPort(_)) => CliError::unavailable(why),
        other => CliError::failed(other),
    })
}

/// The settings of a demo with this file, the port aside.
pub(super) fn demo_config(file: Option<&Path>, registry: &RegistryArgs) -> Result<Config, CliError> {
    let member = MemberArgs { config: file.map(Path::to_owned), ..MemberArgs::default() };
    let mut config = member.over(Config::default().open())?;
    registry.over(&mut config);
    if config.cluster.data_dir.is_some() && file.is_none() {
        // Whoever gives a demo a folder wants to see what outlives it.
        config.gateway.hub.keep_in_the_log();
    }
    match config.log_fault() {
        Some(fault) => Err(CliError::config(format!("nothing was started:\n{fault}"))),
        None => Ok(config),
    }
}

impl MemberArgs {
    /// These flags over the file over `base`.
    fn over(&self, base: Config) -> Result<Config, CliError> {
        let mut config = match &self.config {
            Some(file) => base.with_file(file).map_err(CliError::config)?,
            None => base,
        };
        if let Some(id) = &self.id {
            config.cluster.id = Some(id.clone());
        }
        if let Some(address) = self.link_listen {
            config.cluster.link_listen = Some(address);
        }
        if let Some(address) = &self.link_advertise {
            config.cluster.link_advertise = Some(address.clone());
        }
        if let Some(InternalListen(address)) = self.internal_listen {
            config.server.internal_listen = address;
        }
        if let Some(secret) = std::env::var(SECRET).ok().filter(|secret| !secret.is_empty()) {
            config.cluster.secret = Some(Secret(secret));
        }
        Ok(config)
    }
}

impl RegistryArgs {
    fn over(&self, config: &mut Config) {
        if let Some(folder) = &self.data_dir {
            config.cluster.data_dir = Some(folder.clone());
        }
        config.durability.accept_loss |= self.accept_loss;
    }
}

impl ClientPortArgs {
    fn over(&self, config: &mut Config) {
        config.server.port = self.port.unwrap_or(config.server.port);
        config.server.listen = self.listen.unwrap_or(config.server.listen);
        if let Some(address) = &self.advertise {
            config.server.advertise = Some(address.clone());
        }
        if let Some(token) = &self.admin_token {
            config.admin.token = Some(Secret(token.clone()));
        }
        if let Some(key) = &self.api_key {
            config.gateway.api_key = Some(key.clone());
        }
    }
}

/// Token and key for those who gave none.
fn make_up_secrets(config: &mut Config) {
    config.admin.token.get_or_insert_with(|| Secret(random_text()));
    config.gateway.api_key.get_or_insert_with(random_text);
}

/// 128 random bits in hexadecimal.
fn random_text() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// Where a member is reached over HTTP.
#[derive(Debug, Clone, Copy)]
struct Served {
    clients: Option<std::net::SocketAddr>,
    /// Health, metrics, admin API and page, if they have a port of their own.
    internal: Option<std::net::SocketAddr>,
}

/// Runs one member until it is asked to end, or fails. `tell` says what goes to stdout once it serves.
async fn run_member(
    config: Config,
    roles: Roles,
    tell: impl FnOnce(&Config, Served) -> String,
) -> Result<(), CliError> {
    let mut short = config.short_secrets();
    short.extend(config.log_fault());
    if !short.is_empty() {
        return Err(CliError::config(format!("nothing was started:\n{}", Faults(short))));
    }
    let mut signals = Signals::take().map_err(CliError::failed)?;
    let config = Arc::new(config);
    let timeout = config.drain.timeout;
    let bound = tokio::select! {
        bound = app::bind(config.clone(), roles) => bound.map_err(start_failed)?,
        () = signals.first() => return Ok(()),
    };
    let served = Served { clients: bound.client_addr(), internal: bound.internal_addr() };
    if let Some(danger) = danger(&config, roles) {
        warn!("{danger}");
    }
    for why in waits_in_vain(&config, roles) {
        warn!("{why}");
    }
    let mut running = tokio::select! {
        started = bound.start(None) => started.map_err(start_failed)?,
        () = signals.first() => return Ok(()),
    };
    cut::obey(running.links.clone());
    telemetry::announce(tell(&config, served));
    if let Some(address) = served.internal {
        let address = reachable(address);
        telemetry::announce(format!("ringway answers health, metrics, admin API and page on http://{address}/\n"));
    }
    tokio::select! {
        () = signals.first() => {}
        why = running.ended() => return Err(CliError::failed(why)),
    }
    signals.finish(leave(&running, timeout)).await
}

/// Sends clients away, hands over where there is somebody to take it, and closes: all of it within `timeout`.
async fn leave(running: &Running, timeout: Duration) -> Result<(), CliError> {
    let end = Instant::now() + timeout;
    let within = timeout - CLOSING.min(timeout / 4);
    let in_time = tokio::time::timeout(within, running.leave(within)).await;
    // Whoever has not closed by the end is cut off with the process.
    let _ = tokio::time::timeout_at(end, running.stop()).await;
    in_time.map_err(|_| CliError::OutOfTime(timeout))
}

fn start_failed(why: StartError) -> CliError {
    match why {
        StartError::NoSecret
        | StartError::LinkAddress(_)
        | StartError::GatewayName { .. }
        | StartError::LinkPorts { .. }
        | StartError::Rabbit(_) => CliError::config(why),
        _ => CliError::unavailable(why),
    }
}
