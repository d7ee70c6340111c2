use serde_json::json;

use super::super::finding::Level::{self, Fault, Note, Ok as Good, Warning};
use super::*;

/// Makes something amiss.
type Change<T> = fn(&mut T);
/// What is to be found then.
type Amiss = &'static [(What, Level)];

const ALL: Kept = Kept { registry: true, log: true };

fn facts() -> StreamFacts {
    StreamFacts {
        on_disk: true,
        replicas: 3,
        behind: Vec::new(),
        max_bytes: Some(1 << 30),
        bytes: 1 << 20,
        refuses_when_full: true,
        max_age: None,
    }
}

fn seen() -> Inspection {
    let stream = |what: &str| Inspected { name: format!("RINGWAY_x_{what}"), found: Ok(Some(facts())) };
    Inspection {
        server: "s0".to_owned(),
        version: "2.15.1".to_owned(),
        version_number: (2, 15),
        cluster: Some("test".to_owned()),
        servers: 3,
        max_payload: 1 << 20,
        no_jetstream: None,
        streams: [stream("VIEW"), stream("LEASES"), stream("LOG")],
    }
}

/// What is not as it should be, after `change`.
fn amiss(kept: Kept, change: impl FnOnce(&mut Inspection)) -> Vec<(What, Level)> {
    let mut seen = seen();
    change(&mut seen);
    let found = judged(&seen, kept).into_iter().filter(|finding| finding.level != Good);
    found.map(|finding| (finding.what, finding.level)).collect()
}

#[test]
fn servers_are_judged_by_what_a_cluster_needs_of_them() {
    let table: [(Change<Inspection>, Amiss); 9] = [
        (|_| {}, &[]),
        (|seen| seen.version_number = (2, 14), &[(What::NatsVersion, Note)]),
        (|seen| seen.version_number = (2, 11), &[(What::NatsVersion, Fault)]),
        (|seen| seen.version_number = (0, 0), &[(What::NatsVersion, Fault)]),
        (|seen| seen.no_jetstream = Some("off".to_owned()), &[(What::Jetstream, Fault)]),
        (|seen| seen.max_payload -= 1, &[(What::NatsPayload, Fault)]),
        (|seen| seen.cluster = None, &[(What::Nats, Note)]),
        (|seen| seen.servers = 2, &[(What::Nats, Warning)]),
        (|seen| seen.streams[2].found = Ok(None), &[(What::StreamLog, Note)]),
    ];
    for (change, expected) in table {
        assert_eq!(amiss(ALL, change), expected);
    }
    assert_eq!(amiss(Kept { log: false, ..ALL }, |seen| seen.max_payload = 1), [(What::NatsPayload, Warning)]);
}

#[test]
fn each_stream_is_judged_by_what_is_in_it() {
    let table: [(Change<StreamFacts>, [Level; 3]); 9] = [
        (|_| {}, [Good, Good, Good]),
        (|facts| facts.on_disk = false, [Fault, Good, Fault]),
        (|facts| facts.refuses_when_full = false, [Good, Good, Fault]),
        (|facts| facts.max_age = Some(Duration::from_secs(60)), [Good, Good, Fault]),
        (|facts| facts.replicas = 1, [Warning, Warning, Warning]),
        (|facts| facts.behind = vec!["s2".to_owned()], [Warning, Warning, Warning]),
        (|facts| facts.max_bytes = None, [Good, Good, Note]),
        (|facts| facts.bytes = 1 << 30, [Warning, Warning, Warning]),
        (
            |facts| {
                facts.on_disk = false;
                facts.replicas = 1;
            },
            [Fault, Warning, Fault],
        ),
    ];
    for (change, expected) in table {
        let mut facts = facts();
        change(&mut facts);
        let whats = [What::StreamView, What::StreamLeases, What::StreamLog];
        assert_eq!(whats.map(|what| existing(what, "x", &facts, &seen()).level), expected, "{facts:?}");
    }
    let refused = Inspected { name: "x".to_owned(), found: Err("no right".to_owned()) };
    assert_eq!(stream(What::StreamView, &refused, &seen()).level, Fault);
}

#[test]
fn only_streams_that_are_used_are_looked_at() {
    let lost: Change<Inspection> = |seen| seen.streams.iter_mut().for_each(|stream| stream.found = Ok(None));
    for (registry, log, expected) in [
        (true, true, &[What::StreamView, What::StreamLeases, What::StreamLog][..]),
        (true, false, &[What::StreamView, What::StreamLeases]),
        (false, true, &[What::StreamLog]),
    ] {
        let found: Vec<What> = amiss(Kept { registry, log }, lost).into_iter().map(|(what, _)| what).collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn what_a_power_cut_can_lose_is_told() {
    let varz = |config| json!({"jetstream": {"config": config}});
    for (answer, level) in [
        (None, Note),
        (Some(varz(json!({"sync_interval": 120_000_000_000_u64}))), Warning),
        (Some(varz(json!({"sync_interval": 120_000_000_000_u64, "sync_always": true}))), Good),
        (Some(json!({"jetstream": {}})), Note),
        (Some(json!([])), Note),
    ] {
        let told = sync(answer.as_ref().map(sync_of));
        assert_eq!(told.level, level, "{answer:?}: {told:?}");
    }
}
