//! `ringway bench siege`: a thousand good users on a cluster of real processes, and one kind of trouble after the other beside them.
//!
//! Each load is measured between two calm times of the same users, on the same sockets. The load comes from a thread of its own
//! with a low priority, so that what it costs to make it weighs little on what is measured. The machine is measured beside it: how late a
//! thread that wants nothing but to wake up gets its processor. What good users wait for that is no fault of the server.

mod args;
mod attack;
mod field;
mod lateness;
mod load;
mod loads;
mod party;
mod report;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use crate::chaos::cluster::{Cluster, Logs, Own, directory};
use crate::client::Form;
use crate::interrupt::Interrupt;
use crate::procstat;
use crate::progress::Progress;
use crate::swarm::{Channels, DEADLINE, Pace, Swarm, SwarmConfig};
use ringway_http::Target;

pub use args::SiegeArgs;
pub use load::Load;
pub use report::{LoadReport, Phase, SiegeReport};

use attack::Attack;
use field::Field;
use lateness::Lateness;

/// Good users that are subscribed to one channel; all others write to one another.
const LISTENERS: usize = 50;
/// Of these, so many publish: one of 48 messages goes to fifty, so that half of all deliveries are of the channel.
const PUBLISHERS: usize = 20;
/// What is under way at the end has so long to arrive.
const DRAIN: Duration = Duration::from_secs(10);
/// After a load, so long until it is calm: what it left is still being given up.
const REST: Duration = Duration::from_secs(2);
/// Clients that connect at once.
const CONNECTING: usize = 64;

pub(crate) async fn run(args: &SiegeArgs, interrupt: &Interrupt, progress: &Progress) -> anyhow::Result<SiegeReport> {
    let directory = directory("siege")?;
    let config = directory.join("siege.toml");
    std::fs::write(&config, field::CONFIG).with_context(|| format!("cannot write {}", config.display()))?;
    let own = std::env::current_exe()?;
    let program = args.program.as_deref().unwrap_or(&own);
    progress.say(|| format!("starting {} nodes and a gateway", args.nodes));
    let key = format!("{:032x}", rand::random::<u128>());
    let own = Own {
        program,
        directory,
        nodes: args.nodes,
        gateways: 1,
        config: Some(&config),
        data_dir: None,
        comes_back: false,
        api_key: Some(&key),
    };
    let cluster = tokio::select! {
        cluster = Cluster::start(own) => cluster?,
        () = interrupt.wait() => anyhow::bail!("interrupted before anything was measured"),
    };
    let outcome = besiege(args, &cluster, key, interrupt, progress).await;
    let logs = if outcome.as_ref().is_ok_and(SiegeReport::is_clean) { Logs::Remove } else { Logs::Keep };
    cluster.end(logs).await;
    outcome
}

async fn besiege(
    args: &SiegeArgs,
    cluster: &Cluster,
    key: String,
    interrupt: &Interrupt,
    progress: &Progress,
) -> anyhow::Result<SiegeReport> {
    let admin = cluster.admin();
    let gateways = admin.gateways().await?;
    let address = &gateways.first().context("a demo has a gateway")?.address;
    let members = admin.members().await?;
    let pids: Vec<u32> = members.iter().map(|member| member.pid).filter(|pid| *pid > 0).collect();
    let target = Target::resolve(address).await?;
    let field = Arc::new(Field::new(target.clone(), &pids, key)?);
    // Before a load takes every place that a channel could have.
    for load in &args.loads {
        loads::prepare(*load, &field).await.with_context(|| format!("{}: cannot prepare", load.name()))?;
    }
    let swarm = crate::connect(good_users(args, target), interrupt, progress).await?;
    swarm.start(Pace::Rate(args.rate));
    let mut watch = Watch { swarm: &swarm, pids: &pids, lateness: Lateness::watch(), interrupt, progress };
    interrupt.sleep(args.calm()).await;
    let mut loads = Vec::new();
    for _ in 0..args.rounds {
        watch.round(args, &field, &mut loads).await?;
    }
    report::judge(&mut loads, args.floor);
    swarm.stop();
    swarm.drained(DRAIN).await;
    let traffic = swarm.report();
    let (users, nodes) = (traffic.clients, args.nodes);
    swarm.close().await;
    Ok(SiegeReport {
        users,
        nodes,
        rate: args.rate,
        floor_ms: args.floor,
        loads,
        traffic,
        interrupted: interrupt.came(),
    })
}

/// Most write to one other each, over inboxes; some listen to a channel, in which some of them speak.
fn good_users(args: &SiegeArgs, target: Target) -> SwarmConfig {
    let listeners = LISTENERS.min(args.users / 2);
    SwarmConfig {
        targets: vec![target],
        plain: args.users - listeners,
        centrifuge: listeners,
        form: Form::default(),
        user_prefix: "good-".to_owned(),
        peers: 1,
        channels: Channels::One("good".to_owned()),
        publishers: PUBLISHERS,
        payload: 128,
        connecting: CONNECTING,
        reconnect: false,
        deadline: DEADLINE,
    }
}

/// Measures phases, one after the other.
struct Watch<'a> {
    swarm: &'a Swarm,
    pids: &'a [u32],
    lateness: Lateness,
    interrupt: &'a Interrupt,
    progress: &'a Progress,
}

impl Watch<'_> {
    /// Every load once, each between two calm times; a calm time after one is the calm time before the next.
    async fn round(
        &mut self,
        args: &SiegeArgs,
        field: &Arc<Field>,
        reports: &mut Vec<LoadReport>,
    ) -> anyhow::Result<()> {
        let mut before = self.phase("calm", args.calm()).await?;
        for load in &args.loads {
            if self.interrupt.came() {
                break;
            }
            let attack = Attack::start(*load, field.clone())?;
            self.interrupt.sleep(args.build_up()).await;
            let from = attack.tally();
            let during = self.phase(load.name(), args.length()).await?;
            let done = attack.tally() - from;
            attack.end().await;
            self.interrupt.sleep(REST).await;
            let after = self.phase("calm", args.calm()).await?;
            reports.push(LoadReport::new(*load, done, [before, during, after]));
            before = after;
        }
        Ok(())
    }

    async fn phase(&mut self, name: &str, length: Duration) -> anyhow::Result<Phase> {
        self.progress.say(|| format!("{name}: {} s", length.as_secs()));
        self.swarm.reset_latencies();
        self.lateness.reset();
        let (before, stolen) = (procstat::usage(self.pids)?, procstat::stolen());
        let began = std::time::Instant::now();
        self.interrupt.sleep(length).await;
        let seconds = began.elapsed().as_secs_f64().max(0.001);
        let after = procstat::usage(self.pids)?;
        Ok(Phase {
            seconds,
            latency: self.swarm.latencies(),
            lateness: self.lateness.percentiles(),
            server_cores: after.cpu.saturating_sub(before.cpu).as_secs_f64() / seconds,
            server_bytes: after.resident,
            stolen_s: procstat::stolen().saturating_sub(stolen).as_secs_f64(),
        })
    }
}
