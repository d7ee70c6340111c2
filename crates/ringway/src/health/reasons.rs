//! What people are told of what is amiss.

use std::fmt::Write as _;
use std::mem::{Discriminant, discriminant};
use std::time::Duration;

use ringway_core::Incarnation;

use super::cause::Cause;
use super::look::Look;

/// Members named in a sentence; more are counted.
const NAMED: usize = 8;

/// Why it is not well, in one sentence for each kind of cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reason {
    pub(super) kind: Discriminant<Cause>,
    pub(super) sentence: String,
}

/// The reasons. Causes come in order, those of one kind in a row. `ownerless` says which slots have no owner.
pub(super) fn reasons(causes: &[Cause], look: &Look<'_>, ownerless: Option<&str>) -> Vec<Reason> {
    let kinds = causes.chunk_by(|a, b| discriminant(a) == discriminant(b));
    let reason = |kind: &[Cause]| Reason { kind: discriminant(&kind[0]), sentence: sentence(kind, look, ownerless) };
    kinds.map(reason).collect()
}

fn sentence(kind: &[Cause], look: &Look<'_>, ownerless: Option<&str>) -> String {
    let nodes: Vec<Incarnation> = kind.iter().filter_map(|cause| cause.node()).collect();
    match kind[0] {
        Cause::Hanging => "the member task does not turn, so nothing of this is new".to_owned(),
        Cause::Outside => {
            "this member is not in the cluster: it was taken for dead, or has not been let in, and joins again by itself as soon as it can"
                .to_owned()
        }
        Cause::Leaving => "this member is leaving".to_owned(),
        Cause::NoOwner => ownerless.unwrap_or_default().to_owned(),
        Cause::RegistryAway => registry_away(look),
        Cause::BusAway => format!(
            "the bus for orders is away: {} Orders go over the links meanwhile, so nothing is held up",
            look.stats.bus_away.as_deref().unwrap_or("it has just come back.")
        ),
        Cause::Undialed => look.state.troubles.join("; "),
        Cause::Census => look.census.trouble.as_deref().unwrap_or_default().to_owned(),
        Cause::TokenKeys => look.keys.unwrap_or_default().to_owned(),
        Cause::NotLive(_) => {
            let (total, list) = counted(look, &nodes, |look, node| look.load(node).not_live);
            format!("{total} slots are not served: their owner is taking them over, or waits for what is left of their copies: {list}")
        }
        Cause::Blocked(_) => {
            let (total, list) = counted(look, &nodes, |look, node| look.load(node).blocked);
            format!("nothing is acknowledged in {total} slots: their owner waits for the registry or for a copy: {list}")
        }
        Cause::HistoryFull(_) => refuses(look, &nodes, "publishes with history", "bytes of history", "history_bytes"),
        Cause::Alone(_) => alone(look, &nodes),
        Cause::HistoryNearlyFull(_) => nearly_full(look, &nodes),
        Cause::ChannelsFull(_) => refuses(look, &nodes, "new channels", "channels", "channels"),
        Cause::KeysFull(_) => refuses(look, &nodes, "new idempotency keys", "keys", "keys"),
        Cause::LogAway(_) => format!(
            "the log does not answer {}: publishes to channels with durability \"log\" wait there, and all others go on; see to the process that keeps the registry and its folder, or to NATS or Redis",
            names(look, &nodes)
        ),
        Cause::LogFull(_) => format!(
            "the log is full: publishes to channels with durability \"log\" are refused where {} owns; raise [durability] max_bytes, or the limit of the stream in NATS or of the memory in Redis, or make room on the disk",
            names(look, &nodes)
        ),
        Cause::LogForeign(_) => format!(
            "the log that {} found has records of another cluster, which are not touched: channels with durability \"log\" are not served there; give each cluster a folder, or a [nats] or [redis] name, of its own",
            names(look, &nodes)
        ),
        Cause::Relayed(_) => format!(
            "{} cannot reach the servers that keep the registry or the log and asks through other members, so nothing is held up; see to the way from there to NATS or Redis",
            names(look, &nodes)
        ),
    }
}

fn registry_away(look: &Look<'_>) -> String {
    let (silence, timing) = (look.registry_silence(), look.timing);
    let left = |limit: Duration| limit.saturating_sub(silence).as_secs_f64().ceil();
    let (alone, all) = (look.without_second_copy(), look.owners().map(|node| look.slots_of(node)).sum());
    let stops = match (left(timing.own()), left(timing.pair)) {
        (solo, _) if alone == all && solo > 0.0 => format!("publishing stops in {solo} s"),
        (solo, pair) if alone > 0 && solo > 0.0 => {
            format!("publishing stops in {solo} s in {alone} slots without a second copy, and in {pair} s in all")
        }
        (_, pair) if alone < all && pair > 0.0 => format!("publishing stops in {pair} s"),
        _ => "publishing has stopped".to_owned(),
    };
    let since = silence.as_secs();
    format!("the registry is away since {since} s: nobody can join, leave or be replaced, and {stops}")
}

fn alone(look: &Look<'_>, nodes: &[Incarnation]) -> String {
    let of_node = |look: &Look<'_>, node: Incarnation| look.state.view.node(node).map_or(0, |node| look.alone(node));
    let (total, list) = counted(look, nodes, of_node);
    match look.owners().filter(|node| look.is_reached(node)).count() {
        0 | 1 => {
            format!("no second copy of {total} slots: there is one active node, and it takes another one to keep it")
        }
        _ => format!("no second copy of {total} slots: {list}"),
    }
}

fn nearly_full(look: &Look<'_>, nodes: &[Incarnation]) -> String {
    let percent = |node: &Incarnation| {
        let load = look.load(*node);
        let percent = load.history_bytes.saturating_mul(100) / load.history_limit.max(1);
        format!("{} is {percent} % full", name(look, *node))
    };
    let nodes: Vec<String> = nodes.iter().map(percent).collect();
    let list = nodes.join(", ");
    format!(
        "{list} of history: when it is full it refuses publishes with history; raise [limits.node] history_bytes, or add nodes"
    )
}

fn refuses(look: &Look<'_>, nodes: &[Incarnation], what: &str, of_what: &str, setting: &str) -> String {
    let list = names(look, nodes);
    format!(
        "{what} are refused where {list} owns: no room is left for {of_what}; raise [limits.node] {setting}, or add nodes"
    )
}

fn names(look: &Look<'_>, nodes: &[Incarnation]) -> String {
    nodes.iter().map(|node| name(look, *node)).collect::<Vec<String>>().join(", ")
}

fn name(look: &Look<'_>, node: Incarnation) -> String {
    look.state.view.id_of(node).map_or_else(|| "a node that is gone".to_owned(), ToString::to_string)
}

fn counted(look: &Look<'_>, nodes: &[Incarnation], count: impl Fn(&Look<'_>, Incarnation) -> u64) -> (u64, String) {
    let counts: Vec<(String, u64)> = nodes.iter().map(|node| (name(look, *node), count(look, *node))).collect();
    (counts.iter().map(|(_, count)| count).sum(), listed(&counts))
}

/// "3 of node-1, 4 of node-2".
pub(super) fn listed(counts: &[(String, u64)]) -> String {
    let named: Vec<String> = counts.iter().take(NAMED).map(|(name, count)| format!("{count} of {name}")).collect();
    let mut text = named.join(", ");
    if counts.len() > NAMED {
        let _infallible = write!(text, ", and of {} more", counts.len() - NAMED);
    }
    text
}
