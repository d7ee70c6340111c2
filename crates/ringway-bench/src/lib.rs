//! The load generator behind `ringway bench`: real sockets, checked messages, tables and JSON.
//!
//! [`run`] drives a server that is already running, or for a siege one of its own. What it is made of serves tests too: the [`swarm`] of clients, the [`checker`] of their
//! messages, and the cheap client [`socket`].

pub mod checker;
pub mod latency;
pub mod stamp;

pub mod socket;

pub mod client;
pub mod procstat;
pub mod progress;

pub mod swarm;

pub mod args;
pub mod chaos;
mod idle;
mod interrupt;
mod report;
mod rows;
mod serial;
mod siege;
mod traffic;

use anyhow::bail;

pub use args::Bench;
use args::Common;
pub use idle::{IdleReport, Memory};
pub use report::Report;
pub use serial::MemberUse;
pub use siege::{Load, LoadReport, Phase, SiegeArgs, SiegeReport};
pub use traffic::{ServerUse, TrafficReport};

use interrupt::Interrupt;
use progress::Progress;
use ringway_http::Target;
use swarm::{Swarm, SwarmConfig};

/// What the names of plain users begin with. The same in every run, so that repeated runs do not fill the server with inboxes.
const USER_PREFIX: &str = "bench-";

/// Runs one bench against a running server. Ctrl-C ends it early, with a report of what was measured until then.
///
/// # Errors
/// The server cannot be reached or does not let clients in, or its processes cannot be read.
pub async fn run(bench: &Bench) -> anyhow::Result<Report> {
    let interrupt = Interrupt::on_ctrl_c();
    let progress = Progress::new();
    match bench {
        Bench::Idle(args) => idle::run(args, &interrupt, &progress).await.map(Report::Idle),
        Bench::Fanout(args) => traffic::fanout(args, &interrupt, &progress).await.map(Report::Fanout),
        Bench::P2p(args) => traffic::p2p(args, &interrupt, &progress).await.map(Report::P2p),
        Bench::Siege(args) => siege::run(args, &interrupt, &progress).await.map(Report::Siege),
    }
}

async fn targets(common: &Common) -> anyhow::Result<Vec<Target>> {
    resolve(&common.urls).await
}

/// Where the servers' pages of metrics are.
async fn pages(common: &Common) -> anyhow::Result<Vec<Target>> {
    resolve(if common.metrics.is_empty() { &common.urls } else { &common.metrics }).await
}

async fn resolve(urls: &[String]) -> anyhow::Result<Vec<Target>> {
    let mut targets = Vec::with_capacity(urls.len());
    for url in urls {
        targets.push(Target::resolve(url).await?);
    }
    Ok(targets)
}

/// Connects a swarm unless interrupted; half a swarm measures nothing.
async fn connect(config: SwarmConfig, interrupt: &Interrupt, progress: &Progress) -> anyhow::Result<Swarm> {
    tokio::select! {
        swarm = Swarm::connect(config, progress) => swarm,
        () = interrupt.wait() => bail!("interrupted while connecting: nothing was measured"),
    }
}
