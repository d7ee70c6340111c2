//! Loads that send: fan-out over one channel, and users who write to one another.

mod api;

use std::time::{Duration, Instant};

use anyhow::ensure;
use serde::Serialize;

use crate::args::{Common, FanoutArgs, P2pArgs, Protocol, Traffic, Via};
use crate::interrupt::Interrupt;
use crate::latency::Percentiles;
use crate::procstat::{self, Usage};
use crate::progress::Progress;
use crate::rows::Rows;
use crate::serial::{MemberUse, Readings};
use crate::swarm::{Channels, DEADLINE, Pace, Swarm, SwarmConfig, SwarmReport};

/// The state of a run is looked at this often.
const LOOK: Duration = Duration::from_millis(50);

/// What `ringway bench fanout` and `p2p` found.
#[derive(Debug, Clone, Serialize)]
pub struct TrafficReport {
    /// How many clients were connected.
    pub clients: usize,
    /// How the senders were paced.
    pub pace: String,
    /// Bytes of text or data in a message.
    pub payload: usize,
    /// How long was measured, in seconds, without the warm-up.
    pub seconds: f64,
    /// Messages sent while measuring.
    pub sent: u64,
    /// These per second.
    pub sent_per_s: f64,
    /// Deliveries while measuring.
    pub delivered: u64,
    /// These per second.
    pub delivered_per_s: f64,
    /// From sending to arrival, of the deliveries while measuring.
    pub latency: Percentiles,
    /// How many publishes the server acknowledged while measuring, per second; none of plain messages, which it does not acknowledge.
    pub acknowledged_per_s: f64,
    /// From sending to the acknowledgement.
    pub acknowledgement: Percentiles,
    /// What the server used while measuring; none without process ids.
    pub server: Option<ServerUse>,
    /// What part of a process's processor time its busiest member task took; none where the server does not tell.
    pub serial_share: Option<f64>,
    /// The same for each member task that tells, the busiest first.
    pub members: Vec<MemberUse>,
    /// The whole run, warm-up and drain included: losses, doubles, reorders, ended sockets.
    pub traffic: SwarmReport,
    /// Whether Ctrl-C ended it early.
    pub interrupted: bool,
}

/// What the server's processes used together while measuring.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct ServerUse {
    /// Processor time in seconds.
    pub cpu_s: f64,
    /// Processor seconds per million deliveries.
    pub cpu_s_per_million: f64,
    /// Resident memory at the end, in bytes.
    pub resident: u64,
}

impl ServerUse {
    fn new(before: Usage, after: Usage, delivered: u64) -> Self {
        let cpu_s = after.cpu.saturating_sub(before.cpu).as_secs_f64();
        Self { cpu_s, cpu_s_per_million: cpu_s * 1e6 / delivered.max(1) as f64, resident: after.resident }
    }
}

impl TrafficReport {
    /// Whether every socket stayed open and every promised message came once and in order.
    pub fn is_clean(&self) -> bool {
        self.traffic.is_clean()
    }
}

pub(crate) async fn fanout(
    args: &FanoutArgs,
    interrupt: &Interrupt,
    progress: &Progress,
) -> anyhow::Result<TrafficReport> {
    let FanoutArgs { common, traffic, subscribers, publishers, via, api_key, channel, channels, namespace } = args;
    ensure!(*publishers > 0 && *subscribers > 0, "a fan-out needs at least one subscriber and one publisher");
    ensure!(
        *channels > 0 && subscribers.is_multiple_of(*channels),
        "{subscribers} subscribers cannot be dealt out evenly to {channels} channels: give --subscribers N, a multiple of --channels"
    );
    let channel = in_namespace(namespace.as_deref(), channel);
    let targets = crate::targets(common).await?;
    let config = SwarmConfig {
        targets: targets.clone(),
        plain: 0,
        centrifuge: *subscribers,
        form: traffic.form(),
        user_prefix: String::new(),
        peers: 0,
        channels: match channels {
            1 => Channels::One(channel),
            _ => Channels::Groups { prefix: format!("{channel}-"), members: subscribers / channels },
        },
        publishers: *publishers,
        payload: traffic.payload,
        connecting: common.connecting,
        reconnect: false,
        deadline: DEADLINE,
    };
    let swarm = crate::connect(config, interrupt, progress).await?;
    let _api = match via {
        Via::Clients => {
            swarm.start(pace(traffic));
            None
        }
        Via::Api => Some(api::start(&swarm, &targets, *publishers, api_key.as_deref(), traffic).await?),
    };
    measure(swarm, traffic, common, interrupt, progress).await
}

pub(crate) async fn p2p(args: &P2pArgs, interrupt: &Interrupt, progress: &Progress) -> anyhow::Result<TrafficReport> {
    let P2pArgs { common, traffic, users, protocol, peers, namespace } = args;
    ensure!(*users > 1 && *peers > 0, "two users at least, with one peer at least, can write to one another");
    ensure!(
        namespace.is_none() || *protocol == Protocol::Centrifuge,
        "plain users write to inboxes, which are in no namespace: add --protocol centrifuge, or leave --namespace out"
    );
    ensure!(
        !traffic.protobuf || *protocol == Protocol::Centrifuge,
        "plain users speak no Protobuf: add --protocol centrifuge, or leave --protobuf out"
    );
    let (plain, centrifuge) = match protocol {
        Protocol::Plain => (*users, 0),
        Protocol::Centrifuge => (0, *users),
    };
    let config = SwarmConfig {
        targets: crate::targets(common).await?,
        plain,
        centrifuge,
        form: traffic.form(),
        user_prefix: crate::USER_PREFIX.to_owned(),
        peers: *peers,
        channels: Channels::Groups { prefix: in_namespace(namespace.as_deref(), "pair-"), members: 2 },
        publishers: usize::MAX,
        payload: traffic.payload,
        connecting: common.connecting,
        reconnect: false,
        deadline: DEADLINE,
    };
    let swarm = crate::connect(config, interrupt, progress).await?;
    swarm.start(pace(traffic));
    measure(swarm, traffic, common, interrupt, progress).await
}

/// The name of a channel, or what names of channels begin with.
fn in_namespace(namespace: Option<&str>, channel: &str) -> String {
    namespace.map_or_else(|| channel.to_owned(), |namespace| format!("{namespace}:{channel}"))
}

fn pace(traffic: &Traffic) -> Pace {
    traffic.rate.map_or(Pace::Window(traffic.window.max(1)), Pace::Rate)
}

/// Watches a swarm that is sending already, from the end of the warm-up to the end of the run.
async fn measure(
    swarm: Swarm,
    traffic: &Traffic,
    common: &Common,
    interrupt: &Interrupt,
    progress: &Progress,
) -> anyhow::Result<TrafficReport> {
    let (pids, pages) = (&common.pids, crate::pages(common).await?);
    progress.say(|| "warming up".into());
    interrupt.sleep(traffic.warmup()).await;
    let (tasks, before) = (Readings::take(&pages).await, procstat::usage(pids)?);
    swarm.reset_latencies();
    let (start, sent_before, delivered_before) = (Instant::now(), swarm.sent(), swarm.checker().delivered());
    while start.elapsed() < traffic.length() && !interrupt.came() {
        interrupt.sleep(LOOK.min(traffic.length().saturating_sub(start.elapsed()))).await;
        let sent = swarm.sent();
        progress.say(|| {
            format!("{:.0} s: {sent} sent, {} delivered", start.elapsed().as_secs_f64(), swarm.checker().delivered())
        });
        if traffic.messages.is_some_and(|limit| sent >= limit) {
            break;
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    let (sent, delivered) = (swarm.sent() - sent_before, swarm.checker().delivered() - delivered_before);
    let (latency, acknowledgement) = (swarm.latencies(), swarm.acknowledgements());
    let after = procstat::usage(pids)?;
    let members = Readings::take(&pages).await.since(&tasks);
    swarm.stop();
    progress.say(|| "waiting for what is under way".into());
    swarm.drained(traffic.drain()).await;
    let report = TrafficReport {
        clients: swarm.report().clients,
        pace: match pace(traffic) {
            Pace::Rate(rate) => format!("{rate} messages/s"),
            Pace::Window(window) => format!("window of {window} per sender"),
        },
        payload: traffic.payload,
        seconds,
        sent,
        sent_per_s: sent as f64 / seconds,
        delivered,
        delivered_per_s: delivered as f64 / seconds,
        latency,
        acknowledged_per_s: acknowledgement.count as f64 / seconds,
        acknowledgement,
        server: (!pids.is_empty()).then(|| ServerUse::new(before, after, delivered)),
        serial_share: members.first().map(|busiest| busiest.share),
        members,
        traffic: swarm.report(),
        interrupted: interrupt.came(),
    };
    swarm.close().await;
    Ok(report)
}

impl std::fmt::Display for TrafficReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut rows = Rows::default();
        rows.add("clients", self.clients);
        rows.add("pace", format!("{}, {} bytes each", self.pace, self.payload));
        rows.add("sent", format!("{} in {:.2} s, {:.0}/s", self.sent, self.seconds, self.sent_per_s));
        rows.add("delivered", format!("{}, {:.0}/s", self.delivered, self.delivered_per_s));
        rows.add("latency", self.latency);
        if self.acknowledgement.count > 0 {
            rows.add("acknowledged", format!("{}, {:.0}/s", self.acknowledgement.count, self.acknowledged_per_s));
            rows.add("until then", self.acknowledgement);
        }
        if let Some(ServerUse { cpu_s, cpu_s_per_million, resident }) = self.server {
            rows.add("server CPU", format!("{cpu_s:.2} s, {cpu_s_per_million:.2} s per million deliveries"));
            rows.add("server memory", format!("{:.1} MiB", resident as f64 / f64::from(1 << 20)));
        }
        for MemberUse { member, cpu_s, process_cpu_s, share } in &self.members {
            rows.add(
                "serial share",
                format!("{share:.2}: {cpu_s:.2} s of {process_cpu_s:.2} s in the task of {member}"),
            );
        }
        rows.add_traffic(&self.traffic);
        rows.add_interrupted(self.interrupted);
        rows.fmt(f)
    }
}
