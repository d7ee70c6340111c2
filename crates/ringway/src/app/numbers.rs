//! Numbers of the process for `/metrics`: sockets, sessions, the rules, links.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelValue, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use ringway_core::id::MemberId;
use ringway_core::message::Toll;
use ringway_edge::Edge;
use ringway_hub::Counts;
use ringway_link::{LinkStats, Links, Turned};
use tokio::sync::watch;

use crate::gateway::{KeyFetch, Refusals};
use crate::guesses::Guesses;
use crate::member::{Meter, Stats};
use crate::telemetry;

/// Reads the counters when they are asked for.
#[derive(Debug)]
pub(super) struct Numbers {
    /// The members of the process, the first one first.
    members: Vec<Counted>,
    /// On a gateway, as what comes next.
    edge: Option<Edge>,
    refusals: Option<Arc<Refusals>>,
    guesses: Guesses,
    /// Who fetches the keys of tokens, where they are published.
    keys: Option<KeyFetch>,
}

/// A member of the process, as far as it is counted.
#[derive(Debug)]
pub(super) struct Counted {
    pub(super) id: MemberId,
    pub(super) stats: watch::Receiver<Stats>,
    pub(super) links: Links,
    pub(super) meter: Meter,
}

impl Numbers {
    pub(super) fn new(
        members: Vec<Counted>,
        edge: Option<Edge>,
        refusals: Option<Arc<Refusals>>,
        guesses: Guesses,
    ) -> Self {
        Self { members, edge, refusals, guesses, keys: None }
    }

    /// The same of a gateway that fetches keys of tokens.
    #[must_use]
    pub(super) fn with_keys(self, keys: Option<KeyFetch>) -> Self {
        Self { keys: keys.filter(|keys| !keys.is_idle()), ..self }
    }

    fn keys(keys: &KeyFetch, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        gauge(encoder, "token_keys", "Keys of tokens that were fetched from those who publish them", keys.keys())?;
        let (fetched, failed) = keys.fetches();
        let results = [by_reason("fetched", fetched), by_reason("failed", failed)];
        counters(encoder, "token_keys_fetches", "Times that keys of tokens were fetched, or could not be", results)
    }

    fn edge(edge: &Edge, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let stats = edge.stats();
        let totals = [
            ("connections_accepted", "TCP connections accepted on the port for clients", &stats.accepted),
            ("sockets_opened", "Client sockets that were upgraded", &stats.upgraded),
            ("sockets_refused", "Upgrades answered 503 at the connection limit", &stats.refused),
            (
                "sockets_slow",
                "Sockets closed with 3008 because their client took too little of what waited for it",
                &stats.slow,
            ),
            ("client_messages_in", "Messages received from clients", &stats.messages_in),
            ("client_frames_out", "Frames written to clients", &stats.frames_out),
            ("client_bytes_in", "Bytes received from client sockets", &stats.bytes_in),
            ("client_bytes_out", "Bytes written to client sockets", &stats.bytes_out),
            ("client_writes", "Write calls to client sockets", &stats.writes),
            (
                "sockets_overtaken",
                "Times that the member task wrote to a socket itself because the threads for it were behind",
                &stats.overtaken,
            ),
        ];
        for (name, help, value) in totals {
            counter(encoder, name, help, value.load(Ordering::Relaxed))?;
        }
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        gauge(encoder, "http_connections", "Connections that are no WebSocket yet, now", load(&stats.http))?;
        let closed = &stats.closed;
        let by = |reason, count| by_reason(reason, load(count));
        let reasons = [
            by("oldest", &closed.oldest),
            by("share", &closed.share),
            by("full", &closed.full),
            by("head", &closed.head),
            by("body", &closed.body),
            by("answer", &closed.answer),
            by("proxy_header", &closed.proxy),
        ];
        let help = "Connections closed or sent away before they were a WebSocket, by the reason";
        counters(encoder, "http_connections_closed", help, reasons)?;
        let queued = stats.queued.load(Ordering::Relaxed) as u64;
        gauge(encoder, "client_bytes_waiting", "Bytes that wait for client sockets that are full now", queued)?;
        let unwritten = stats.unwritten.load(Ordering::Relaxed) as u64;
        gauge(encoder, "client_bytes_unwritten", "Bytes that wait for a thread that writes to clients now", unwritten)?;
        gauge(encoder, "sockets", "Client sockets now", edge.open())
    }

    /// Clients that were not let in, and tokens that were not good, by the reason.
    fn refused(&self, hub: &Counts, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let by = by_reason;
        let refused = &hub.refused;
        let help = "Tokens that were not good, of connections and of channels, first ones and renewed ones";
        let faults = self.refusals.as_deref().map(|refusals| refusals.tokens.counts()).into_iter().flatten();
        let faults = faults.map(|(fault, count)| by(fault.name(), count));
        counters(
            encoder,
            "tokens_refused",
            help,
            faults.chain([by("other_bearer", refused.other_bearer), by("expire_at", refused.over)]),
        )?;
        let outside = |count: fn(&Refusals) -> &AtomicU64| {
            self.refusals.as_deref().map_or(0, |refusals| count(refusals).load(Ordering::Relaxed))
        };
        let connects_invalid = refused.invalid + outside(|refusals| &refusals.turned_away);
        let help = "Times that a session had more commands than its pace allows, and was not read from for a while";
        counter(encoder, "sessions_paced", help, outside(|refusals| &refusals.paced))?;
        let full = self.edge.as_ref().map_or(0, |edge| edge.stats().refused.load(Ordering::Relaxed));
        let connects = [
            by("token_expired", refused.expired),
            by("token_invalid", connects_invalid),
            by("token_unknown", refused.unknown),
            by("no_token", refused.without_token),
            by("silent", refused.silent),
            by("no_answer", refused.unanswered),
            by("origin", outside(|refusals| &refusals.origin)),
            by("user_name", outside(|refusals| &refusals.user_name)),
            by("max_connections", full),
        ];
        counters(encoder, "connects_refused", "Clients that were not let in", connects)
    }

    fn rules(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let all = self.members.iter().map(|member| member.stats.borrow().clone());
        let stats = all.reduce(|sum, other| sum.and(&other)).unwrap_or_default();
        if let Some(hub) = stats.hub {
            gauge(encoder, "sessions", "Client sessions now", hub.sessions)?;
            gauge(encoder, "channels_attached", "Channels that this gateway has attached now", hub.channels)?;
            gauge(encoder, "subscriptions", "Sessions in channels now", hub.subscriptions)?;
            counter(encoder, "deliveries", "Publications handed to sessions", hub.deliveries)?;
            counter(encoder, "publishes", "Publishes taken from clients and backends", hub.publishes)?;
            counter(
                encoder,
                "publishes_failed",
                "Publishes refused or not acknowledged in time",
                hub.publishes_failed,
            )?;
            counter(encoder, "sessions_recovered", "Subscriptions that got everything they had missed", hub.recovered)?;
            counter(encoder, "sessions_not_recovered", "Subscriptions that could not be recovered", hub.not_recovered)?;
            counter(encoder, "sessions_closed", "Sessions closed by this gateway", hub.closed)?;
            let help = "Sockets closed so that clients connect anew after a change of owners, by the change's mode";
            let by_mode = [([("mode", "reset")], hub.reset), ([("mode", "reset-all")], hub.reset_all)];
            counters(encoder, "reset_sockets", help, by_mode)?;
            let help = "Sessions asked to connect elsewhere because this gateway did not reach the owner for long";
            counter(encoder, "sessions_sent_away", help, hub.sent_away)?;
            let help = "Subscribes and connects that were refused because the owner had no room for one more channel";
            counter(encoder, "channels_refused", help, hub.refused.full)?;
            let help = "Kinds of channels that the cluster keeps otherwise than this process's config says";
            gauge(encoder, "channel_kinds_overruled", help, hub.overruled)?;
            self.refused(&hub, encoder)?;
        }
        gauge(encoder, "publishes_waiting", "Publishes that wait for their owner", stats.publishes_waiting)?;
        gauge(encoder, "slots_unsettled", "Owned slots that lack a copy or are not live", stats.node.unsettled)?;
        let by_way = |[bus, link]: [[u64; 2]; 2]| {
            let by_kind = |way, [resets, closes]: [u64; 2]| {
                [([("kind", "reset"), ("way", way)], resets), ([("kind", "disconnect"), ("way", way)], closes)]
            };
            by_kind("bus", bus).into_iter().chain(by_kind("link", link))
        };
        let help = "Orders that this process gave to other members, by what they are about and which way they went";
        counters(encoder, "orders", help, by_way(stats.orders.given))?;
        let help =
            "Orders of other members that this process took, by what they are about and which way they came first";
        counters(encoder, "orders_taken", help, by_way(stats.orders.taken))?;
        counter(encoder, "expulsions", "Times the view went on without this member", stats.expulsions)?;
        let help =
            "Lines of the log and of stdout that were lost: not taken in time, or not to be written, as on a full disk";
        counter(encoder, "log_lines_lost", help, telemetry::lines_lost())?;
        if let Some(toll) = &stats.toll {
            toll_of(encoder, toll)?;
        }
        let help = "Publishes through this gateway that were acknowledged, by the copies that held them (0: without history), and whether the log held them too";
        let labels = |logged| ["0", "1", "2", "3+"].map(|copies| [("copies", copies), ("logged", logged)]);
        let all = [labels("no"), labels("yes")].into_iter().flatten().zip(stats.acknowledged.into_iter().flatten());
        counters(encoder, "acknowledged", help, all)
    }

    fn links(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let turned: Vec<_> = self.members.iter().map(|member| member.links.turned()).collect();
        let by = |reason, count: fn(&Turned) -> &AtomicU64| {
            by_reason(reason, turned.iter().map(|turned| count(turned).load(Ordering::Relaxed)).sum())
        };
        let reasons = [
            by("oldest", |turned| &turned.oldest),
            by("share", |turned| &turned.share),
            by("timeout", |turned| &turned.timeout),
            by("secret", |turned| &turned.secret),
        ];
        let help = "Connections to the link port that ended before they had proved who they are, by the reason";
        counters(encoder, "link_handshakes_closed", help, reasons)?;
        type Number = (&'static str, &'static str, fn(&LinkStats) -> u64);
        // The number of a link is its member's own: a further gateway puts its own number in front.
        let number = |place: usize, link: &LinkStats| match place {
            0 => link.link.to_string(),
            _ => format!("{}.{}", place + 1, link.link),
        };
        let of_member = |(place, member): (usize, &Counted)| {
            let named = |link: LinkStats| ([("member", link.peer.to_string()), ("link", number(place, &link))], link);
            member.links.stats().into_iter().map(named).collect::<Vec<_>>()
        };
        let links: Vec<_> = self.members.iter().enumerate().flat_map(of_member).collect();
        let numbers: [Number; 6] = [
            ("link_bytes_in", "Bytes read from a link", |link| link.bytes_in),
            ("link_bytes_out", "Bytes written to a link", |link| link.bytes_out),
            ("link_frames_in", "Frames read from a link", |link| link.frames_in),
            ("link_frames_skipped", "Frames read from a link that this release does not know", |link| {
                link.frames_skipped
            }),
            ("link_frames_out", "Frames queued for a link", |link| link.frames_out),
            ("link_writes", "Write calls to a link", |link| link.writes),
        ];
        for (name, help, value) in numbers {
            counters(encoder, name, help, links.iter().map(|(labels, link)| (labels.clone(), value(link))))?;
        }
        let help = "Version of the link protocol that both ends speak";
        let mut family = encoder.encode_descriptor("link_version", help, None, MetricType::Gauge)?;
        for (labels, link) in &links {
            ConstGauge::new(u64::from(link.version)).encode(family.encode_family(labels)?)?;
        }
        Ok(())
    }

    /// What is told of each member: processor time of its task, and sessions.
    fn per_member(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Processor time of a member task: what one core at a time does for this member";
        let mut family = encoder.encode_descriptor("member_cpu_seconds", help, None, MetricType::Counter)?;
        for member in &self.members {
            let total = ConstCounter::new(member.meter.total().as_secs_f64());
            total.encode(family.encode_family(&[("member", member.id.as_str())])?)?;
        }
        let help = "Client sessions of a gateway of this process now";
        let mut family = encoder.encode_descriptor("member_sessions", help, None, MetricType::Gauge)?;
        for member in &self.members {
            let Some(hub) = member.stats.borrow().hub else { continue };
            ConstGauge::new(hub.sessions).encode(family.encode_family(&[("member", member.id.as_str())])?)?;
        }
        Ok(())
    }
}

/// Upper ends of the buckets that Prometheus is shown, in seconds. A failover is meant to take a quarter of one at most.
const PAUSE_BUCKETS: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// One of the numbers that a counter has by their reasons.
fn by_reason(reason: &'static str, count: u64) -> ([(&'static str, &'static str); 1], u64) {
    ([("reason", reason)], count)
}

/// What changes cost those who listen here.
fn toll_of(encoder: &mut DescriptorEncoder<'_>, toll: &Toll) -> fmt::Result {
    gauge(encoder, "channels_waiting", "Channels that have no owner that answers, for now", toll.waiting)?;
    counter(encoder, "gaps", "Channels that went on with something missing, and whose listeners were told", toll.gaps)?;
    counter(encoder, "doubles", "Publications that an owner delivered twice; they are dropped", toll.doubles)?;
    counter(
        encoder,
        "reorders",
        "Publications that an owner delivered ahead of their turn; dropped, and asked for again",
        toll.reorders,
    )?;
    let mut below = 0;
    let mut bucket = |end: f64| {
        let within =
            if end.is_finite() { toll.pauses.within(Duration::from_secs_f64(end)) } else { toll.pauses.count() };
        (end, within - std::mem::replace(&mut below, within))
    };
    let buckets: Vec<(f64, u64)> = PAUSE_BUCKETS.into_iter().chain([f64::INFINITY]).map(&mut bucket).collect();
    let help = "How long channels had nobody who serves them";
    let mut metric = encoder.encode_descriptor("pause_seconds", help, None, MetricType::Histogram)?;
    let total = toll.pauses.total.as_secs_f64();
    metric.encode_histogram::<NoLabelSet>(total, toll.pauses.count(), &buckets, None)
}

fn counter(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> fmt::Result {
    let metric = ConstCounter::new(value);
    metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
}

/// One counter for each set of labels.
fn counters<const LABELS: usize, Value: EncodeLabelValue>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = ([(&'static str, Value); LABELS], u64)>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (labels, value) in values {
        ConstCounter::new(value).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> fmt::Result {
    let metric = ConstGauge::new(value);
    metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
}

impl Collector for Numbers {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        if let Some(edge) = &self.edge {
            Self::edge(edge, &mut encoder)?;
        }
        if let Some(keys) = &self.keys {
            Self::keys(keys, &mut encoder)?;
        }
        self.rules(&mut encoder)?;
        self.per_member(&mut encoder)?;
        let counts = self.guesses.counts();
        let wrong = counts.map(|(kind, wrong, _)| ([("secret", kind.label())], wrong));
        counters(&mut encoder, "wrong_secrets", "Wrong tokens, keys and secrets", wrong)?;
        let limited = counts.map(|(kind, _, limited)| ([("secret", kind.label())], limited));
        let help = "Of these, not answered at once, or the last of their connection";
        counters(&mut encoder, "wrong_secrets_limited", help, limited)?;
        self.links(&mut encoder)
    }
}
