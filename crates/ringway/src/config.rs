//! The settings of a process: one TOML file for every role, flags and environment over it, every fault at once.
//!
//! `ringway.example.toml` names each setting with its default and its reason; a test holds it to this module. What is
//! read here is checked here: the rest of the process takes a [`Config`] as it is.

mod check;
mod document;
mod gateway;
mod limits;
mod outside;
mod reader;
mod sections;
mod value;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use limits::Limits;
pub use outside::{BusAt, CensusAt, LogAt, MirrorAt, Nacos, Nats, Rabbit, Redis, RegistryAt};
pub use reader::Faults;
pub use sections::{Ack, Admin, Cluster, Drain, Durability, Secret, Server};
pub use value::{Size, duration, size};

use crate::gateway::GatewayConfig;
use reader::Reading;
use ringway_core::timing::Timing;

use crate::rebalance::Rebalance;

/// Which parts of a member a process plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roles {
    /// Holds client sockets.
    pub gateway: bool,
    /// Owns slots.
    pub node: bool,
}

impl Roles {
    /// `serve`: both in one process.
    pub const BOTH: Self = Self { gateway: true, node: true };
    /// `gateway`.
    pub const GATEWAY: Self = Self { gateway: true, node: false };
    /// `node`.
    pub const NODE: Self = Self { gateway: false, node: true };
}

/// How long slots with two copies go on without a registry in servers outside, where nobody says otherwise.
const PAIR_OUTSIDE: Duration = Duration::from_secs(75);

/// How long a publish waits where channels are kept in a log in servers outside, where nobody says otherwise.
const DEADLINE_OUTSIDE: Duration = Duration::from_secs(12);

/// All settings.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Config {
    /// The port for clients.
    pub server: Server,
    /// The member's place among others.
    pub cluster: Cluster,
    /// Where NATS is, if something is kept there.
    pub nats: Nats,
    /// Where Nacos is, if members are listed there.
    pub nacos: Nacos,
    /// Where RabbitMQ is, if orders go through it.
    pub rabbitmq: Rabbit,
    /// How Redis is reached.
    pub redis: Redis,
    /// The log in a folder.
    pub durability: Durability,
    /// What clients may do, how channels are kept, the plain protocol, the server API's key.
    pub gateway: GatewayConfig,
    /// The admin API.
    pub admin: Admin,
    /// When a publication is acknowledged.
    pub ack: Ack,
    /// How a member leaves.
    pub drain: Drain,
    /// How clients are treated whose owner changes, unless a change says otherwise.
    pub rebalance: Rebalance,
    /// Bounds of queues and tables.
    pub limits: Limits,
    /// How long things take between members.
    pub timing: Timing,
}

/// Why there is no config. Nothing was started; the process exits with 64.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("cannot read the config file {}: {why}. Check its path", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        why: io::Error,
    },
    /// The file was read and has faults.
    #[error("the config file {} has {} fault(s); nothing was started:\n{faults}", path.display(), faults.0.len())]
    Faulty {
        /// Which file.
        path: PathBuf,
        /// One sentence each.
        faults: Faults,
    },
}

impl Config {
    /// These settings with a file's laid over them.
    ///
    /// # Errors
    /// [`ConfigError`]: the file cannot be read, or has faults; all of them are in it.
    pub fn with_file(mut self, path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|why| ConfigError::Unreadable { path: path.into(), why })?;
        self.apply(&text).map_err(|faults| ConfigError::Faulty { path: path.into(), faults })?;
        Ok(self)
    }

    /// Lays a text over these settings.
    ///
    /// # Errors
    /// Every fault, one sentence each that names its key.
    pub fn apply(&mut self, text: &str) -> Result<(), Faults> {
        let reading = Reading::default();
        self.read(&reading, text);
        match reading.faults() {
            faults if faults.is_empty() => Ok(()),
            faults => Err(Faults(faults)),
        }
    }

    fn read(&mut self, reading: &Reading, text: &str) {
        let before = self.timing;
        let mut root = reading.root(text);
        root.section("server", |section| self.server.read(section));
        root.section("cluster", |section| self.cluster.read(section, &mut self.timing));
        root.section("nats", |section| self.nats.read(section));
        root.section("nacos", |section| self.nacos.read(section));
        root.section("rabbitmq", |section| self.rabbitmq.read(section));
        root.section("redis", |section| self.redis.read(section));
        root.section("durability", |section| self.durability.read(section));
        gateway::read(&mut self.gateway, &mut root);
        root.section("admin", |section| self.admin.read(section));
        root.section("drain", |section| self.drain.read(section));
        root.section("rebalance", |section| sections::rebalance(&mut self.rebalance, section));
        root.section("ack", |section| self.ack.read(section));
        root.section("limits", |section| self.limits.read(section, &mut self.gateway));
        drop(root);
        self.choose_times(before);
        check::timing(&self.timing, reading);
        check::copies(self.ack, &self.cluster, reading);
        check::registry(&self.cluster, &self.server, reading);
        check::short_secrets(self).into_iter().for_each(|sentence| reading.fault(sentence));
    }

    /// What nobody has set: longer where servers outside are waited for, which may be away for a minute, and elect a leader in 9 s.
    fn choose_times(&mut self, before: Timing) {
        let logs = self.gateway.hub.keeping().kinds.iter().any(|(_, options)| options.is_logged());
        let choose = |into: &mut Duration, is_outside: bool, outside: Duration, before: Duration| {
            if into.is_zero() {
                *into = if is_outside { outside.max(before) } else { before };
            }
        };
        let (registry, log) = (self.cluster.registry.is_outside(), self.cluster.log.is_outside());
        choose(&mut self.timing.pair, registry, PAIR_OUTSIDE, before.pair);
        choose(&mut self.timing.deadline, log && logs, DEADLINE_OUTSIDE, before.deadline);
    }

    /// Secrets that are too short for other uses than trying things out, one sentence each. Flags and environment may have brought
    /// them after the file was read.
    pub fn short_secrets(&self) -> Vec<String> {
        check::short_secrets(self)
    }

    /// Why channels cannot be kept as they are to be, if that is so. Flags may have brought a folder after the file was read.
    pub fn log_fault(&self) -> Option<String> {
        check::log(self)
    }

    /// The open config of `demo` and `serve --dev`: anybody may connect and talk. For trying things out on one machine.
    #[must_use]
    pub fn open(mut self) -> Self {
        let (api_key, tokens) = (self.gateway.api_key.take(), std::mem::take(&mut self.gateway.tokens));
        self.gateway = GatewayConfig { api_key, tokens, ..GatewayConfig::open() };
        self.server.echo = true;
        self
    }
}

#[cfg(test)]
mod tests;
