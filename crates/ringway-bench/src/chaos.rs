//! `ringway chaos`: a cluster of real processes under load, disturbed at random by a seed, with every message checked.
//!
//! The order of things: a `cluster` is started or found, a swarm of clients that come back connects to all of its gateways and talks, a
//! `plan` wishes for faults, the `runner` carries them out and watches, and the `report` judges.

pub mod admin;
mod args;
pub(crate) mod cluster;
mod plan;
mod report;
mod runner;
mod settings;
mod stop;

use std::path::Path;

use crate::client::Form;
use crate::progress::Progress;
use crate::swarm::{Channels, Namespace, Swarm, SwarmConfig};
use ringway_http::Target;

pub use args::{ChaosArgs, Subscribers};
pub use plan::{Fault, Plan, Scene, Wish};
pub use report::{Bound, ChaosReport, Happening, KindReport};
pub use settings::{Impossible, Settings};

use cluster::{Cluster, Logs};
use runner::Runner;
use stop::Stop;

/// Runs faults against a cluster and judges it. `program` is the binary whose `demo` is started where no cluster is named, with these
/// settings: by them it is judged. Ask [`Settings::check`] first. Ctrl-C ends the faults early, with a report; a second one ends the process.
///
/// # Errors
/// There is no cluster, or the clients cannot connect to it. What the cluster does wrong later is in the report.
pub async fn run(args: &ChaosArgs, program: &Path, settings: &Settings) -> anyhow::Result<ChaosReport> {
    let stop = Stop::on_signals();
    let seed = args.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    tell(&format!("seed {seed}"));
    let mut cluster = tokio::select! {
        cluster = Cluster::find_or_start(args, program) => cluster?,
        () = stop.wait() => anyhow::bail!("interrupted before anything was measured"),
    };
    let outcome = disturb(args, settings, seed, &mut cluster, &stop).await;
    let logs = if outcome.as_ref().is_ok_and(ChaosReport::is_clean) { Logs::Remove } else { Logs::Keep };
    cluster.end(logs).await;
    outcome
}

async fn disturb(
    args: &ChaosArgs,
    settings: &Settings,
    seed: u64,
    cluster: &mut Cluster,
    stop: &Stop,
) -> anyhow::Result<ChaosReport> {
    let gateways = cluster.admin().gateways().await?;
    let mut targets = Vec::with_capacity(gateways.len());
    for gateway in &gateways {
        targets.push(Target::resolve(&gateway.address).await?);
    }
    let config = SwarmConfig {
        targets,
        plain: args.plain,
        centrifuge: args.clients,
        form: Form::default(),
        user_prefix: format!("chaos-{:x}-", rand::random::<u32>()),
        peers: PEERS,
        channels: Channels::Mixed {
            namespaces: namespaces(args, settings),
            prefix: format!("chaos-{:x}-", rand::random::<u32>()),
            smallest: args.subscribers.from,
            largest: args.subscribers.to,
        },
        publishers: usize::MAX,
        payload: args.payload,
        connecting: CONNECTING,
        reconnect: true,
        deadline: settings.deadline,
    };
    let progress = Progress::new();
    let swarm = tokio::select! {
        swarm = Swarm::connect(config, &progress) => swarm?,
        () = stop.wait() => anyhow::bail!("interrupted before anything was measured"),
    };
    drop(progress);
    tell(&format!("{} clients are connected to {} gateways", args.clients + args.plain, gateways.len()));
    let ids = gateways.into_iter().map(|gateway| gateway.id).collect();
    Runner::new(args, seed, cluster, &swarm, ids).run(stop).await
}

/// Those that channels take turns through; without any, channels have none.
fn namespaces(args: &ChaosArgs, settings: &Settings) -> Vec<Namespace> {
    let without = [String::new()];
    let names = if args.namespaces.is_empty() { &without[..] } else { &args.namespaces };
    names.iter().map(|name| Namespace { name: name.clone(), outlives: settings.is_logged(name) }).collect()
}

/// To how many others each plain user writes, which is also by how many each is written to: as many as a channel has at most by default.
const PEERS: usize = 4;
/// Clients that connect at once: after a gateway's death its clients come back quickly, and do not starve those that stayed.
const CONNECTING: usize = 64;

/// Says one line of progress.
fn tell(line: &str) {
    use std::io::Write;
    // Progress is a courtesy.
    let _ = writeln!(std::io::stderr(), "chaos: {line}");
}
