//! What is outside the cluster: which part of an engine is where, and how its servers are reached.

mod nacos;
mod nats;
mod rabbit;
mod redis;

use super::reader::Section;
use super::sections::Cluster;
use crate::address::host_and_port;

pub use nacos::Nacos;
pub use nats::Nats;
pub use rabbit::Rabbit;
pub use redis::Redis;

/// Where the registry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegistryAt {
    /// In the process of the first gateway.
    Local,
    /// In NATS.
    Nats,
    /// In Redis.
    Redis,
}

impl RegistryAt {
    pub(super) const WORDS: [(&'static str, Self); 3] =
        [("local", Self::Local), ("nats", Self::Nats), ("redis", Self::Redis)];

    /// Servers outside keep it, and no process is the first.
    pub fn is_outside(self) -> bool {
        self != Self::Local
    }

    /// Its word.
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, meant)| *meant == self).map_or("", |(word, _)| word)
    }
}

/// Where the log is, which keeps channels whose durability is `log`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogAt {
    /// In the folder of the process that keeps the registry.
    Local,
    /// In NATS.
    Nats,
    /// In Redis.
    Redis,
}

impl LogAt {
    pub(super) const WORDS: [(&'static str, Self); 3] =
        [("local", Self::Local), ("nats", Self::Nats), ("redis", Self::Redis)];

    /// Servers outside keep it.
    pub fn is_outside(self) -> bool {
        self != Self::Local
    }
}

/// Where other programs may read who is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MirrorAt {
    /// Nowhere.
    None,
    /// In Redis.
    Redis,
}

impl MirrorAt {
    pub(super) const WORDS: [(&'static str, Self); 2] = [("none", Self::None), ("redis", Self::Redis)];
}

/// A list outside the cluster of who is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CensusAt {
    /// There is none.
    Nowhere,
    /// In Nacos.
    Nacos,
}

impl CensusAt {
    pub(super) const WORDS: [(&'static str, Self); 2] = [("none", Self::Nowhere), ("nacos", Self::Nacos)];
}

/// What the parts of an engine are, each of which can be set alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Engine {
    Local,
    Nats,
    Classic,
}

impl Engine {
    pub(super) const WORDS: [(&'static str, Option<Self>); 3] =
        [("local", Some(Self::Local)), ("nats", Some(Self::Nats)), ("classic", Some(Self::Classic))];

    pub(super) fn preset(self, cluster: &mut Cluster) {
        let (bus, census, mirror) = match self {
            Self::Local | Self::Nats => (BusAt::Links, CensusAt::Nowhere, MirrorAt::None),
            Self::Classic => (BusAt::Rabbit, CensusAt::Nacos, MirrorAt::Redis),
        };
        (cluster.bus, cluster.census, cluster.mirror) = (bus, census, mirror);
        (cluster.registry, cluster.log) = match self {
            Self::Local => (RegistryAt::Local, LogAt::Local),
            Self::Nats => (RegistryAt::Nats, LogAt::Nats),
            Self::Classic => (RegistryAt::Redis, LogAt::Redis),
        };
    }
}

/// Which way orders go from member to member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BusAt {
    /// Over the links.
    Links,
    /// Through RabbitMQ, and over the links where it does not take them.
    Rabbit,
    /// Through NATS, and over the links where it does not take them.
    Nats,
}

impl BusAt {
    pub(super) const WORDS: [(&'static str, Self); 3] =
        [("links", Self::Links), ("rabbitmq", Self::Rabbit), ("nats", Self::Nats)];
}

/// Addresses of servers outside, with these schemes: without and with TLS.
pub(super) fn check_urls(section: &mut Section<'_>, of: &str, urls: &[String], [plain, tls]: [&str; 2], port: u16) {
    if urls.is_empty() {
        section.fault("urls", &format!("is empty: name one server at least, as in \"{plain}10.0.0.5:{port}\""));
    }
    for url in urls {
        let rest = url.strip_prefix(plain).or_else(|| url.strip_prefix(tls));
        match rest.map(host_and_port) {
            // It may hold a password, and is not repeated.
            _ if url.contains('@') => {
                let why = format!("names a user or a password: they belong into `{of}.user` and `{of}.password`");
                section.fault("urls", &why);
            }
            Some(Ok(_)) => {}
            _ => {
                let why = format!("has {url:?}, but a server is as in \"{plain}10.0.0.5:{port}\" or \"{tls}…\"");
                section.fault("urls", &why);
            }
        }
    }
}

/// What names things of a cluster in servers that others may use too.
pub(super) fn check_name(section: &mut Section<'_>, name: &str) {
    let is_good = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() || name.len() > 32 || !name.chars().all(is_good) {
        section.fault("name", "must have 1 to 32 letters, digits, - and _");
    }
}
