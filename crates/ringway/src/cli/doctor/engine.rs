//! NATS, where the registry or the log is kept there: what its servers are like, against what a cluster needs of them.

use std::time::Duration;

use ringway_engine::nats::{self, Inspected, Inspection, OLDEST_SERVER, StreamFacts};
use serde_json::Value;

use super::bytes;
use super::finding::{Finding, What};
use super::member::fetched;
use crate::config::{Config, LogAt, RegistryAt};
use crate::engine;

/// Servers from this one on are what the project's own tests run against.
const TESTED_SERVER: (u64, u64) = (2, 15);
/// A record of the log may have as many bytes as a publication with all that goes with it.
const LEAST_PAYLOAD: usize = 1 << 20;

/// What is kept in NATS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Kept {
    registry: bool,
    log: bool,
}

impl Kept {
    fn of(config: &Config) -> Self {
        Self { registry: config.cluster.registry == RegistryAt::Nats, log: config.cluster.log == LogAt::Nats }
    }
}

/// Whether these settings use NATS at all.
pub(super) fn used(config: &Config) -> bool {
    let Kept { registry, log } = Kept::of(config);
    registry || log
}

/// Asks the servers, and the monitoring port if there is one. Nothing is made there, and nothing changed.
pub(super) async fn look(config: &Config, monitor: Option<&str>) -> Vec<Finding> {
    let settings = engine::nats_settings(config);
    let (inspected, synced) = tokio::join!(nats::inspect(&settings), async {
        match monitor {
            Some(url) => Some(fetched(url, None, "/varz", None).await.and_then(|answer| sync_of(&answer.json))),
            None => None,
        }
    });
    let mut found = match inspected {
        Ok(seen) => judged(&seen, Kept::of(config)),
        Err(why) => {
            let advice =
                "Start NATS, or correct the section [nats] of the config; its own log says why it refuses somebody.";
            vec![Finding::fault(What::Nats, format!("NATS cannot be asked: {why}"), advice)]
        }
    };
    found.push(sync(synced));
    found
}

fn judged(seen: &Inspection, kept: Kept) -> Vec<Finding> {
    let mut found = vec![server(seen), version(seen), jetstream(seen), payload(seen, kept)];
    if seen.no_jetstream.is_none() {
        let [view, leases, log] = &seen.streams;
        if kept.registry {
            found.push(stream(What::StreamView, view, seen));
            found.push(stream(What::StreamLeases, leases, seen));
        }
        if kept.log {
            found.push(stream(What::StreamLog, log, seen));
        }
    }
    found
}

fn server(seen: &Inspection) -> Finding {
    let of = match &seen.cluster {
        Some(cluster) => format!("of the cluster {cluster}, with {} known server(s)", seen.servers),
        None => "alone".to_owned(),
    };
    let told = format!("The server {} answers; it is {of}.", seen.server);
    match (seen.cluster.is_some(), seen.servers) {
        (false, _) => Finding::note(
            What::Nats,
            told,
            "While it is away no member can join or leave, and with its disk goes what is kept: run three servers where that matters.",
        ),
        (true, ..=2) => Finding::warning(
            What::Nats,
            told,
            "With fewer than three servers none may be away: start the others, or look why they are not seen.",
        ),
        (true, _) => Finding::ok(What::Nats, told),
    }
}

fn version(seen: &Inspection) -> Finding {
    let told = format!("NATS has version {}.", seen.version);
    let (major, minor) = OLDEST_SERVER;
    if seen.version_number < OLDEST_SERVER {
        return Finding::fault(
            What::NatsVersion,
            told,
            format!("Upgrade NATS to {major}.{minor} or later: an older one is refused."),
        );
    }
    if seen.version_number < TESTED_SERVER {
        let (major, minor) = TESTED_SERVER;
        return Finding::note(
            What::NatsVersion,
            told,
            format!("It works; {major}.{minor} is what Ringway is tested with."),
        );
    }
    Finding::ok(What::NatsVersion, told)
}

fn jetstream(seen: &Inspection) -> Finding {
    match &seen.no_jetstream {
        None => Finding::ok(What::Jetstream, "JetStream is on."),
        Some(why) => Finding::fault(
            What::Jetstream,
            format!("JetStream cannot be used: {why}."),
            "Start the server with JetStream (nats-server -js), and give the account the right to it ($JS.API.>).",
        ),
    }
}

fn payload(seen: &Inspection, kept: Kept) -> Finding {
    let told = format!("NATS takes messages of up to {} (max_payload).", bytes(seen.max_payload as u64));
    let advice = "Set max_payload of the server to 1MB or more.";
    match (seen.max_payload < LEAST_PAYLOAD, kept.log) {
        (false, _) => Finding::ok(What::NatsPayload, told),
        (true, false) => Finding::warning(What::NatsPayload, told, advice),
        (true, true) => {
            Finding::fault(What::NatsPayload, format!("{told} The log cannot keep a larger record."), advice)
        }
    }
}

fn stream(what: What, inspected: &Inspected, seen: &Inspection) -> Finding {
    let name = &inspected.name;
    match &inspected.found {
        Err(why) => Finding::fault(
            what,
            format!("The stream {name} cannot be looked at: {why}."),
            "Give the account the right to $JS.API.>; look whether its servers are there (`nats stream info`).",
        ),
        Ok(None) => Finding::note(
            what,
            format!("There is no stream {name} yet; the first process makes it."),
            "If a cluster was kept here before, look whether [nats] name and the servers are the same as then.",
        ),
        Ok(Some(facts)) => existing(what, name, facts, seen),
    }
}

/// The worst that is wrong with a stream, in one finding; all of it is told.
fn existing(what: What, name: &str, facts: &StreamFacts, seen: &Inspection) -> Finding {
    let place = if facts.on_disk { "on disk" } else { "in memory" };
    let limit =
        facts.max_bytes.map_or("no limit of its own".to_owned(), |limit| format!("a limit of {}", bytes(limit)));
    let told = format!(
        "{name} is {place}, has {} cop{}, {}, and {limit}.",
        facts.replicas,
        if facts.replicas == 1 { "y" } else { "ies" },
        bytes(facts.bytes)
    );
    let mut faults = Vec::new();
    let mut warnings = Vec::new();
    let is_log = what == What::StreamLog;
    if !facts.on_disk && what != What::StreamLeases {
        faults.push("A restart of its servers loses what it has: stop the members, remove the stream, and let them make it anew, on disk.".to_owned());
    }
    if is_log && !facts.refuses_when_full {
        faults.push("When it is full it drops what was acknowledged: set its discard policy to new.".to_owned());
    }
    if let (true, Some(age)) = (is_log, facts.max_age) {
        faults.push(format!("It drops records after {} s: set no max_age.", age.as_secs()));
    }
    if seen.cluster.is_some() && facts.replicas < 3 {
        warnings.push("The end of one server takes it away: give it three copies (`nats stream edit`), or set [nats] replicas = 3 before it is made.".to_owned());
    }
    if !facts.behind.is_empty() {
        warnings.push(format!("The copies at {} are away or behind: look at these servers.", facts.behind.join(", ")));
    }
    if facts.max_bytes.is_some_and(|limit| facts.bytes > limit - limit / 10) {
        warnings.push("It is nearly full: raise its max_bytes, or keep less.".to_owned());
    }
    if !faults.is_empty() {
        faults.extend(warnings);
        return Finding::fault(what, told, faults.join(" "));
    }
    if !warnings.is_empty() {
        return Finding::warning(what, told, warnings.join(" "));
    }
    if is_log && facts.max_bytes.is_none() {
        return Finding::note(
            what,
            told,
            "It may take all the room that JetStream has, and the view with it: set its max_bytes.",
        );
    }
    Finding::ok(what, told)
}

/// When a server syncs to disk what it keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sync {
    Always,
    Every(Duration),
}

/// Out of the answer of `GET /varz` at the monitoring port.
fn sync_of(varz: &Value) -> Result<Sync, String> {
    let config = &varz["jetstream"]["config"];
    if config["sync_always"] == true {
        return Ok(Sync::Always);
    }
    let interval = config["sync_interval"].as_u64().map(Duration::from_nanos);
    interval
        .map(Sync::Every)
        .ok_or_else(|| "it does not tell sync_interval: JetStream is off there, or it is another program".to_owned())
}

fn sync(answer: Option<Result<Sync, String>>) -> Finding {
    let what = What::NatsSync;
    match answer {
        None => Finding::note(
            what,
            "When NATS syncs to disk is unknown, and so is what a power cut can lose.",
            "Give --monitor http://HOST:8222, the monitoring port of a server (nats-server -m 8222).",
        ),
        Some(Err(why)) => Finding::note(
            what,
            format!("When NATS syncs to disk is unknown: {why}."),
            "Look whether --monitor names the monitoring port of a server (nats-server -m 8222).",
        ),
        Some(Ok(Sync::Always)) => Finding::ok(
            what,
            "This server syncs each write before it acknowledges it: a power cut loses nothing of it.",
        ),
        Some(Ok(Sync::Every(interval))) => Finding::warning(
            what,
            format!(
                "This server syncs every {} s: a power cut of most servers at once loses what was acknowledged since the last sync.",
                interval.as_secs()
            ),
            "Set `sync_interval: always` in the jetstream section of every server, or keep the servers where they do not lose power together.",
        ),
    }
}

#[cfg(test)]
mod tests;
