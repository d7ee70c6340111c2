//! Many users that say nothing: what a connection costs the server.

use std::time::Duration;

use serde::Serialize;

use crate::args::{IdleArgs, Protocol};
use crate::client::Form;
use crate::interrupt::Interrupt;
use crate::latency::Percentiles;
use crate::procstat::{self, Usage};
use crate::progress::Progress;
use crate::rows::Rows;
use crate::swarm::{Channels, DEADLINE, SwarmConfig, SwarmReport};
use ringway_http::Target;

/// Stamps need about 50 bytes.
const PAYLOAD: usize = 64;
/// How long the messages that show that sockets are alive may take.
const ALIVE_LIMIT: Duration = Duration::from_secs(10);

/// What `ringway bench idle` found.
#[derive(Debug, Clone, Serialize)]
pub struct IdleReport {
    /// How many users were connected.
    pub users: usize,
    /// What they spoke: `plain` or `centrifuge`.
    pub protocol: &'static str,
    /// How long it took to connect them, in seconds.
    pub connecting_s: f64,
    /// Users divided by that.
    pub connects_per_s: f64,
    /// From a user's connect to its welcome, or to its subscription.
    pub handshake: Percentiles,
    /// The server's memory; none without process ids, or when interrupted before it had settled.
    pub memory: Option<Memory>,
    /// Messages delivered at the end, to show that sockets are alive.
    pub alive: u64,
    /// What was wrong with them, if anything.
    pub traffic: SwarmReport,
    /// Whether Ctrl-C ended it early.
    pub interrupted: bool,
}

/// Resident memory of the server's processes together, in bytes.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Memory {
    /// Before the first user.
    pub before: u64,
    /// With all users, once it had settled.
    pub after: u64,
    /// The growth divided by the users.
    pub per_user: f64,
    /// Processor time for connecting all users, in seconds.
    pub cpu_s: f64,
}

impl Memory {
    fn new(before: Usage, after: Usage, users: usize) -> Self {
        let growth = after.resident as f64 - before.resident as f64;
        let cpu_s = after.cpu.saturating_sub(before.cpu).as_secs_f64();
        Self { before: before.resident, after: after.resident, per_user: growth / users.max(1) as f64, cpu_s }
    }
}

impl IdleReport {
    /// Whether every socket stayed open and every message came.
    pub fn is_clean(&self) -> bool {
        self.traffic.is_clean()
    }
}

pub(crate) async fn run(args: &IdleArgs, interrupt: &Interrupt, progress: &Progress) -> anyhow::Result<IdleReport> {
    let IdleArgs { common, users, protocol, channel, sample, hold } = args;
    let config = config(args, crate::targets(common).await?);
    let shared = config.channels == Channels::One(channel.clone()) && *protocol == Protocol::Centrifuge;
    let pids = &common.pids;
    progress.say(|| "waiting for the server's memory to settle".into());
    let before = procstat::settled(pids).await?;
    let swarm = crate::connect(config, interrupt, progress).await?;
    let (connecting, handshake) = swarm.connecting();

    progress.say(|| format!("{users} users connected; waiting for the server's memory to settle"));
    let after = tokio::select! {
        after = procstat::settled(pids) => Some(after?),
        () = interrupt.wait() => None,
    };
    let memory = after.filter(|_| !pids.is_empty()).map(|after| Memory::new(before, after, *users));

    // One message to a channel that all share shows every socket at once.
    swarm.send_sample(if shared { 1 } else { *sample });
    swarm.drained(ALIVE_LIMIT).await;
    interrupt.sleep(Duration::from_secs(*hold)).await;
    let report = IdleReport {
        users: *users,
        protocol: protocol.name(),
        connecting_s: connecting.as_secs_f64(),
        connects_per_s: *users as f64 / connecting.as_secs_f64(),
        handshake,
        memory,
        alive: swarm.checker().delivered(),
        traffic: swarm.report(),
        interrupted: interrupt.came(),
    };
    swarm.close().await;
    Ok(report)
}

fn config(args: &IdleArgs, targets: Vec<Target>) -> SwarmConfig {
    let (plain, centrifuge) = match args.protocol {
        Protocol::Plain => (args.users, 0),
        Protocol::Centrifuge => (0, args.users),
    };
    let channels = match args.channel.strip_suffix("{i}") {
        Some(prefix) => Channels::Groups { prefix: prefix.to_owned(), members: 1 },
        None => Channels::One(args.channel.clone()),
    };
    SwarmConfig {
        targets,
        plain,
        centrifuge,
        form: Form::default(),
        user_prefix: crate::USER_PREFIX.to_owned(),
        peers: 1,
        channels,
        publishers: usize::MAX,
        payload: PAYLOAD,
        connecting: args.common.connecting,
        reconnect: false,
        deadline: DEADLINE,
    }
}

impl std::fmt::Display for IdleReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut rows = Rows::default();
        rows.add("users", format!("{} ({})", self.users, self.protocol));
        rows.add("connected in", format!("{:.2} s, {:.0} connects/s", self.connecting_s, self.connects_per_s));
        rows.add("handshake", self.handshake);
        if let Some(Memory { before, after, per_user, cpu_s }) = self.memory {
            let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
            rows.add("server memory", format!("{:.1} MiB before, {:.1} MiB with all users", mib(before), mib(after)));
            rows.add("per idle user", format!("{:.2} KiB resident ({per_user:.0} bytes)", per_user / 1024.0));
            rows.add("server CPU", format!("{cpu_s:.2} s for connecting and settling"));
        }
        rows.add("alive", format!("{} messages came at the end", self.alive));
        rows.add_traffic(&self.traffic);
        rows.add_interrupted(self.interrupted);
        rows.fmt(f)
    }
}
