//! The sections that concern the process and its place in the cluster: their settings, defaults and bounds.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ringway_core::MemberId;
use ringway_core::ring::{SlotCount, Weight};
use ringway_core::timing::Timing;
use ringway_edge::{Proxies, ProxyHeader};
use ringway_engine::file::Fsync;
use toml::Value;

use super::outside::{BusAt, CensusAt, Engine, LogAt, MirrorAt, RegistryAt};
use super::reader::Section;
use super::value::{Setting, Size};
use crate::rebalance::{LONGEST_WINDOW, Mode, Rebalance};

/// A text that must not be seen: logs and errors show `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Setting for Secret {
    fn from_toml(value: &Value) -> Result<Self, String> {
        // Never quotes the value, as other settings' errors do.
        value.as_str().map(|text| Self(text.to_owned())).ok_or_else(|| "must be a text in quotes".to_owned())
    }
}

/// The port for clients: WebSocket, API, page, health, metrics.
#[derive(Debug, Clone, PartialEq)]
pub struct Server {
    /// Address to listen on.
    pub listen: IpAddr,
    /// Port to listen on; 0 takes a free one.
    pub port: u16,
    /// `host:port` where clients reach this gateway, if not where it listens.
    pub advertise: Option<String>,
    /// Where health, metrics, admin API and page are, instead of on the clients' port. `None`: there, and on a node nowhere.
    pub internal_listen: Option<SocketAddr>,
    /// The server API is there as well, and not on the clients' port.
    pub internal_api: bool,
    /// Most client sockets; `None`: as many as the limit of open files leaves room for.
    pub max_connections: Option<usize>,
    /// Most connections that are not upgraded (yet).
    pub max_http: usize,
    /// Time for a request's head, and life of an idle keep-alive connection.
    pub header_timeout: Duration,
    /// Time for a request's body.
    pub body_timeout: Duration,
    /// Time for a client to read 64 KiB of an answer, or the rest of it.
    pub answer_timeout: Duration,
    /// Proxies in front, whose word counts for the address of a client, and how they say it.
    pub proxies: Proxies,
    /// Further names under which this server is known, as they stand in the header `Host`.
    pub names: Vec<String>,
    /// Wait for a peer's close frame.
    pub close_timeout: Duration,
    /// Gateways in this process, each with a member task of its own, behind the one port for clients.
    pub gateways: usize,
    /// Threads that write to client sockets; `None`: as many as processors, and none on a machine with one.
    pub writers: Option<usize>,
    /// `/echo`, for protocol tests. Only the open config turns it on.
    pub echo: bool,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 9888,
            advertise: None,
            internal_listen: None,
            internal_api: false,
            max_connections: None,
            max_http: 2_048,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(20),
            answer_timeout: Duration::from_secs(20),
            proxies: Proxies::default(),
            names: Vec::new(),
            close_timeout: Duration::from_secs(5),
            gateways: 1,
            writers: None,
            echo: false,
        }
    }
}

/// Bounds that many times share: shorter is noise, longer is a slip.
pub(super) const ONE_MS: Duration = Duration::from_millis(1);
pub(super) const ONE_HOUR: Duration = Duration::from_secs(3_600);
pub(super) const SENSIBLE: &str = "it must lie between 1ms and 1h";

/// Most gateways of one process: more than processors only cost links.
pub(super) const MAX_GATEWAYS: usize = 64;

/// Most threads that write to client sockets.
const MAX_WRITERS: usize = 64;

/// The words that stand for [`ProxyHeader`].
const PROXY_HEADERS: &[(&str, ProxyHeader)] =
    &[("x-forwarded-for", ProxyHeader::ForwardedFor), ("proxy-protocol", ProxyHeader::Protocol)];

/// A name or an address, as a browser sends it in `Host` in front of the port.
fn is_host_name(text: &str) -> bool {
    let is_name = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
    is_name
        || text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).is_some_and(|ip| ip.parse::<IpAddr>().is_ok())
}

impl Server {
    /// Threads that write to client sockets. On one processor a thread of its own gains nothing, and costs a switch.
    pub fn writers(&self) -> usize {
        let processors = std::thread::available_parallelism().map_or(1, usize::from).min(MAX_WRITERS);
        self.writers.unwrap_or(if processors > 1 { processors } else { 0 })
    }

    pub(super) fn read(&mut self, section: &mut Section<'_>) {
        section.read("listen", &mut self.listen);
        section.read("port", &mut self.port);
        section.read_host_and_port("advertise", &mut self.advertise);
        section.read("internal_listen", &mut self.internal_listen);
        section.read("internal_api", &mut self.internal_api);
        section.read("max_connections", &mut self.max_connections);
        section.read_within("max_http", &mut self.max_http, 16..=65_536, "it must lie between 16 and 65,536");
        section.read_within("header_timeout", &mut self.header_timeout, ONE_MS..=ONE_HOUR, SENSIBLE);
        section.read_within("body_timeout", &mut self.body_timeout, ONE_MS..=ONE_HOUR, SENSIBLE);
        section.read_within("answer_timeout", &mut self.answer_timeout, ONE_MS..=ONE_HOUR, SENSIBLE);
        section.read_within("close_timeout", &mut self.close_timeout, ONE_MS..=ONE_HOUR, SENSIBLE);
        section.read_within("gateways", &mut self.gateways, 1..=MAX_GATEWAYS, "it must lie between 1 and 64");
        section.read("writers", &mut self.writers);
        if self.writers.is_some_and(|writers| writers > MAX_WRITERS) {
            section.fault("writers", "must lie between 0 and 64: more threads than processors write no faster");
        }
        section.read("trusted_proxies", &mut self.proxies.trusted);
        section.read_word("proxy_header", &mut self.proxies.header, PROXY_HEADERS);
        section.read("names", &mut self.names);
        for name in self.names.iter().filter(|name| !is_host_name(name)) {
            let why = format!("has {name:?}, but a name is as in \"chat.example.org\": no scheme, no port, no path");
            section.fault("names", &why);
        }
        if self.max_connections == Some(0) {
            section.fault(
                "max_connections",
                "is 0, which would refuse every client: leave it empty for as many as the system allows",
            );
        }
    }
}

/// The log in a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Durability {
    /// When what is written is on the disk.
    pub fsync: Fsync,
    /// Most bytes that it takes there.
    pub max_bytes: Size,
    /// What cannot be read is left out, rather than that the process does not start.
    pub accept_loss: bool,
}

impl Default for Durability {
    fn default() -> Self {
        Self { fsync: Fsync::Always, max_bytes: Size(10 << 30), accept_loss: false }
    }
}

impl Durability {
    pub(super) fn read(&mut self, section: &mut Section<'_>) {
        section.read("fsync", &mut self.fsync);
        section.read_within("max_bytes", &mut self.max_bytes, Size::kib(256 << 10).., "it must be 256MiB or more");
    }
}

/// The member's place in the cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct Cluster {
    /// Stable name; `None`: `ringway-1` for `serve`, `gateway-1`, `node-1`.
    pub id: Option<MemberId>,
    /// Link address of the first gateway; `None`: this process is it.
    pub join: Option<String>,
    /// Where members reach this one; port 0 takes a free one. `None`: port 9889 of 127.0.0.1 for the first process; for
    /// one that joins, a free port of this machine's address on the way to the first gateway.
    pub link_listen: Option<SocketAddr>,
    /// `host:port` told to the other members, if not where it listens.
    pub link_advertise: Option<String>,
    /// What all members know; needed as soon as there is more than one.
    pub secret: Option<Secret>,
    /// Where the registry is.
    pub registry: RegistryAt,
    /// Where the log is.
    pub log: LogAt,
    /// Which way orders go.
    pub bus: BusAt,
    /// Where members are listed for others to see and to set.
    pub census: CensusAt,
    /// Where other programs may read who is there.
    pub mirror: MirrorAt,
    /// Folder in which the process that keeps the registry keeps the view; `None`: in memory alone. The others do not use it.
    pub data_dir: Option<PathBuf>,
    /// Number of slots, for the process that gives birth to the cluster.
    pub slots: SlotCount,
    /// Copies of a slot, its owner's included: 2, or 1 without a standby. For the process that gives birth to the cluster.
    pub replicas: u8,
    /// Share of the slots in relation to other nodes.
    pub weight: Weight,
    /// Active nodes that `/health` waits for before its first 200.
    pub expect_nodes: usize,
    /// Gateways that `/health` waits for before its first 200.
    pub expect_gateways: usize,
}

impl Default for Cluster {
    fn default() -> Self {
        Self {
            id: None,
            join: None,
            link_listen: None,
            link_advertise: None,
            secret: None,
            registry: RegistryAt::Local,
            log: LogAt::Local,
            bus: BusAt::Links,
            census: CensusAt::Nowhere,
            mirror: MirrorAt::None,
            data_dir: None,
            slots: SlotCount::DEFAULT,
            replicas: 2,
            weight: Weight::ONE,
            expect_nodes: 1,
            expect_gateways: 1,
        }
    }
}

impl Cluster {
    pub(super) fn read(&mut self, section: &mut Section<'_>, timing: &mut Timing) {
        section.read("id", &mut self.id);
        section.read_host_and_port("join", &mut self.join);
        section.read("link_listen", &mut self.link_listen);
        section.read_host_and_port("link_advertise", &mut self.link_advertise);
        section.read("secret", &mut self.secret);
        let mut engine = None;
        section.read_word("engine", &mut engine, &Engine::WORDS);
        if let Some(engine) = engine {
            engine.preset(self);
        }
        section.read_word("registry", &mut self.registry, &RegistryAt::WORDS);
        section.read_word("log", &mut self.log, &LogAt::WORDS);
        section.read_word("bus", &mut self.bus, &BusAt::WORDS);
        section.read_word("census", &mut self.census, &CensusAt::WORDS);
        section.read_word("mirror", &mut self.mirror, &MirrorAt::WORDS);
        section.read("data_dir", &mut self.data_dir);
        section.read("slots", &mut self.slots);
        section.read_within("replicas", &mut self.replicas, 1..=2, "it must be 1 or 2");
        section.read("weight", &mut self.weight);
        section.read_within(
            "expect_nodes",
            &mut self.expect_nodes,
            1..=ringway_core::ring::MAX_NODES,
            "it must lie between 1 and 1,024",
        );
        section.read_within(
            "expect_gateways",
            &mut self.expect_gateways,
            1..=ringway_core::ring::MAX_NODES,
            "it must lie between 1 and 1,024",
        );
        section.section("timing", |section| read_timing(timing, section));
        if self.weight.is_zero() {
            section.fault("weight", "is 0: such a node would own nothing; leave the role out instead");
        }
    }
}

fn read_timing(timing: &mut Timing, section: &mut Section<'_>) {
    let settings = [
        ("ttl", &mut timing.ttl),
        ("ping", &mut timing.ping),
        ("suspect", &mut timing.suspect),
        ("attach_retry", &mut timing.attach_retry),
        ("publish_retry", &mut timing.publish_retry),
        ("crash_hold", &mut timing.crash_hold),
        ("idempotency", &mut timing.idempotency),
    ];
    for (key, into) in settings {
        section.read_within(key, into, ONE_MS..=ONE_HOUR, SENSIBLE);
    }
    // Zero stands for what nobody has set: what that is depends on other settings.
    for (key, into) in [("pair", &mut timing.pair), ("deadline", &mut timing.deadline)] {
        let mut set = None;
        section.read_within(key, &mut set, ..=Some(ONE_HOUR), SENSIBLE);
        match set {
            Some(short) if short < ONE_MS => section.fault(key, SENSIBLE),
            set => *into = set.unwrap_or_default(),
        }
    }
    let year = Duration::from_secs(366 * 86_400);
    section.read_within("forget", &mut timing.forget, Duration::from_secs(1)..=year, "it must lie between 1s and 366d");
}

/// The admin API under `/admin`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Admin {
    /// What is sent as `Authorization: Bearer`; `None`: no admin API.
    pub token: Option<Secret>,
    /// `host:port` for clients of the process that starts members, if it is another one: named to whoever asks this one
    /// for a change.
    pub orchestrator: Option<String>,
}

impl Admin {
    pub(super) fn read(&mut self, section: &mut Section<'_>) {
        section.read("token", &mut self.token);
        section.read_host_and_port("orchestrator", &mut self.orchestrator);
    }
}

/// When a publication is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack {
    /// Copies that must hold a publication with history before it is acknowledged. 1: an owner that is alone goes on
    /// alone; 2: it waits for a second copy. For the process that gives birth to the cluster.
    pub copies: u8,
}

impl Default for Ack {
    fn default() -> Self {
        Self { copies: 1 }
    }
}

impl Ack {
    pub(super) fn read(&mut self, section: &mut Section<'_>) {
        section.read_within("copies", &mut self.copies, 1..=2, "it must be 1 or 2");
    }
}

/// How a member leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drain {
    /// Clients that are sent away per second; more, where the time would not do for all.
    pub rate: u32,
    /// The process has ended this long after it was asked to.
    pub timeout: Duration,
}

impl Default for Drain {
    fn default() -> Self {
        Self { rate: 200, timeout: Duration::from_secs(30) }
    }
}

impl Drain {
    pub(super) fn read(&mut self, section: &mut Section<'_>) {
        section.read_within("rate", &mut self.rate, 1..=1_000_000, "it must lie between 1 and 1,000,000");
        section.read_within(
            "timeout",
            &mut self.timeout,
            Duration::from_secs(1)..=ONE_HOUR,
            "it must lie between 1s and 1h",
        );
    }
}

/// How clients are treated whose owner changes.
pub(super) fn rebalance(rebalance: &mut Rebalance, section: &mut Section<'_>) {
    section.read_word("mode", &mut rebalance.mode, &Mode::WORDS);
    section.read_within("window", &mut rebalance.window, ..=LONGEST_WINDOW, "it must be 10m or less");
}
