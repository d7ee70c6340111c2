//! What a look has found, and how it is told.

use serde::Serialize;
use serde_json::json;

use super::super::paint::Paint;
use super::super::table::words_within;

/// How bad a finding is. They are ordered: a fault is the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    /// As it should be.
    Ok,
    /// Worth knowing, or not to be found out from here.
    Note,
    /// It works, and will hurt some day.
    Warning,
    /// It does not work.
    Fault,
}

impl Level {
    const ALL: [Self; 4] = [Self::Fault, Self::Warning, Self::Note, Self::Ok];

    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Fault => "fault",
        }
    }
}

/// The words by which programs know what was looked at. They stay the same in all releases, and docs/doctor.md explains each.
macro_rules! words {
    ($($name:ident = $word:literal),* $(,)?) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
        pub(super) enum What {
            $(#[serde(rename = $word)] $name),*
        }

        impl What {
            #[cfg(test)]
            pub(super) const ALL: &[Self] = &[$(Self::$name),*];

            pub(super) fn word(self) -> &'static str {
                match self { $(Self::$name => $word),* }
            }
        }
    };
}

words! {
    Config = "config",
    Secret = "secret",
    LogPlace = "log_place",
    Closed = "closed",
    Insecure = "insecure",
    TokenKeys = "token_keys",
    OpenFiles = "open_files",
    Somaxconn = "somaxconn",
    SynBacklog = "syn_backlog",
    PortRange = "port_range",
    Memory = "memory",
    PortClients = "port_clients",
    PortInternal = "port_internal",
    PortLink = "port_link",
    DataFolder = "data_folder",
    DataLock = "data_lock",
    Disk = "disk",
    LogSize = "log_size",
    LostLog = "lost_log",
    Fsync = "fsync",
    Nats = "nats",
    NatsVersion = "nats_version",
    Jetstream = "jetstream",
    NatsPayload = "nats_payload",
    StreamView = "stream_view",
    StreamLeases = "stream_leases",
    StreamLog = "stream_log",
    NatsSync = "nats_sync",
    Nacos = "nacos",
    NacosVersion = "nacos_version",
    NacosThreshold = "nacos_threshold",
    Rabbit = "rabbitmq",
    Redis = "redis",
    RedisEviction = "redis_eviction",
    RedisMemory = "redis_memory",
    RedisSync = "redis_sync",
    RedisReplicas = "redis_replicas",
    Health = "health",
    Version = "version",
    Links = "links",
    Clock = "clock",
    Members = "members",
    Epoch = "epoch",
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) what: What,
    pub(super) level: Level,
    /// What was seen, in a sentence.
    pub(super) seen: String,
    /// What to do about it; empty where nothing is to be done.
    #[serde(rename = "do")]
    pub(super) advice: String,
}

impl Finding {
    pub(super) fn ok(what: What, seen: impl Into<String>) -> Self {
        Self::new(Level::Ok, what, seen, "")
    }

    pub(super) fn note(what: What, seen: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(Level::Note, what, seen, advice)
    }

    pub(super) fn warning(what: What, seen: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(Level::Warning, what, seen, advice)
    }

    pub(super) fn fault(what: What, seen: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(Level::Fault, what, seen, advice)
    }

    fn new(level: Level, what: What, seen: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { what, level, seen: seen.into(), advice: advice.into() }
    }
}

pub(super) fn count(findings: &[Finding], level: Level) -> usize {
    findings.iter().filter(|finding| finding.level == level).count()
}

/// For programs: one document.
pub(super) fn as_json(findings: &[Finding]) -> String {
    format!("{}\n", json!({ "findings": findings }))
}

/// For people, within so many characters a line: what is worst comes first.
pub(super) fn as_text(findings: &[Finding], on: Paint, width: Option<usize>) -> String {
    let mut sorted: Vec<&Finding> = findings.iter().collect();
    sorted.sort_by_key(|finding| std::cmp::Reverse(finding.level));
    let told: String = sorted.into_iter().map(|finding| told(finding, on, width)).collect();
    let counts = Level::ALL.map(|level| (level, count(findings, level)));
    let counts =
        counts.iter().filter(|(_, count)| *count > 0).map(|(level, count)| format!("{count} {}", level.word()));
    format!("{told}\n{}\n", counts.collect::<Vec<_>>().join(", "))
}

fn told(finding: &Finding, on: Paint, width: Option<usize>) -> String {
    /// Columns of the level, and of what stands in front of a sentence.
    const LEVEL: usize = 8;
    const INDENT: usize = 10;
    let level = format!("{:<LEVEL$}", finding.level.word());
    let level = match finding.level {
        Level::Ok => on.green(&level),
        Level::Note => level,
        Level::Warning => on.yellow(&level),
        Level::Fault => on.red(&level),
    };
    let indented = |sentence: &str| {
        let lines = words_within(width.map(|width| width.saturating_sub(INDENT)), sentence);
        lines.lines().map(|line| format!("{:INDENT$}{line}\n", "")).collect::<String>()
    };
    let head = format!("{level}  {}\n{}", on.bold(finding.what.word()), indented(&finding.seen));
    match finding.advice.as_str() {
        "" => head,
        advice => head + &indented(&format!("→ {advice}")),
    }
}
