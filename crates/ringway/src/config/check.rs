//! What settings must satisfy together.

use ringway_core::timing::Timing;

use super::Config;
use super::outside::{LogAt, RegistryAt};
use super::reader::Reading;
use super::sections::{Ack, Cluster, Secret, Server};

/// Fewer bytes of a secret can be guessed.
const SHORTEST_SECRET: usize = 16;

/// Secrets that are too short, one sentence each. The open config takes any.
pub(super) fn short_secrets(config: &Config) -> Vec<String> {
    let secret = |secret: &Option<Secret>| secret.as_ref().map(|secret| secret.0.len());
    let text = |text: &Option<String>| text.as_ref().map(String::len);
    let all = [
        ("admin.token", secret(&config.admin.token)),
        ("http_api.key", text(&config.gateway.api_key)),
        ("cluster.secret", secret(&config.cluster.secret)),
    ];
    let is_short = |length: usize| (1..SHORTEST_SECRET).contains(&length) && !config.gateway.is_open;
    let short = all.into_iter().filter_map(|(key, length)| Some((key, length.filter(|length| is_short(*length))?)));
    short.map(|(key, length)| format!("`{key}` {}.", too_short(length))).collect()
}

/// What is said of a secret of so many bytes. It continues the sentence "`key` …".
fn too_short(length: usize) -> String {
    format!(
        "has {length} bytes, and whoever tries guesses it: give it {SHORTEST_SECRET} or more, for instance what `openssl rand -hex 16` prints"
    )
}

/// What is to be said of a secret that is too short for other uses than trying things out.
pub(super) fn short_secret(secret: &str) -> Option<String> {
    (secret.len() < SHORTEST_SECRET).then(|| too_short(secret.len()))
}

/// Without a first gateway there is none to join, and further gateways of a process join the first one's.
pub(super) fn registry(cluster: &Cluster, server: &Server, reading: &Reading) {
    if cluster.registry == RegistryAt::Local {
        return;
    }
    if cluster.join.is_some() {
        reading.fault(format!(
            "`cluster.join` names a first gateway, and with `cluster.registry = \"{}\"` there is none: leave it out.",
            cluster.registry.word()
        ));
    }
    if server.gateways > 1 {
        reading.fault("`server.gateways` is above 1, which goes with `cluster.registry = \"local\"` alone: start further processes instead.".to_owned());
    }
}

/// What is to be kept in the log needs one.
pub(super) fn log(config: &Config) -> Option<String> {
    let keeping = config.gateway.hub.keeping();
    let (kind, _) = keeping.kinds.iter().find(|(_, options)| options.is_logged())?;
    let name = match &**kind {
        "" => "[channels.without_namespace]".to_owned(),
        "#" => "[inbox]".to_owned(),
        kind => format!("[channels.namespaces.{kind}]"),
    };
    let cluster = &config.cluster;
    match (cluster.log, cluster.registry, &cluster.join) {
        (LogAt::Nats | LogAt::Redis, ..) => None,
        (LogAt::Local, RegistryAt::Nats | RegistryAt::Redis, _) => Some(format!(
            "{name} has `durability = \"log\"`, and `cluster.log` is \"local\": with the registry outside no process keeps a folder. Set `cluster.log = \"nats\"` or `\"redis\"`."
        )),
        (LogAt::Local, RegistryAt::Local, None) if cluster.data_dir.is_none() => Some(format!(
            "{name} has `durability = \"log\"`, and there is no folder for the log: set `cluster.data_dir`, or give --data-dir DIR; or have it in NATS or Redis with `cluster.log`."
        )),
        (LogAt::Local, RegistryAt::Local, _) => None,
    }
}

/// Nobody can wait for copies that are never made.
pub(super) fn copies(ack: Ack, cluster: &Cluster, reading: &Reading) {
    if ack.copies > cluster.replicas {
        reading.fault(format!(
            "`ack.copies` is {} and `cluster.replicas` is {}: nothing would ever be acknowledged. Keep as many copies as you wait for.",
            ack.copies, cluster.replicas
        ));
    }
}

/// The lengths of time that detection and leases rely on (see [`Timing`]).
pub(super) fn timing(timing: &Timing, reading: &Reading) {
    let rules = [
        (
            timing.suspect < timing.ttl,
            "`cluster.timing.suspect` must be shorter than `cluster.timing.ttl`: a silent link is noticed before its lease lapses",
        ),
        (
            timing.ping * 4 <= timing.suspect,
            "`cluster.timing.ping` must be at most a quarter of `cluster.timing.suspect`: one lost ping is no silence",
        ),
        (timing.pair >= timing.ttl, "`cluster.timing.pair` must be at least `cluster.timing.ttl`"),
        (
            timing.publish_retry < timing.deadline,
            "`cluster.timing.publish_retry` must be shorter than `cluster.timing.deadline`: a publish is tried more than once",
        ),
        (
            timing.attach_retry < timing.deadline,
            "`cluster.timing.attach_retry` must be shorter than `cluster.timing.deadline`",
        ),
    ];
    for (_, sentence) in rules.iter().filter(|(holds, _)| !holds) {
        reading.fault(format!("{sentence}."));
    }
}
