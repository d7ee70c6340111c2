//! Redis, where the registry or the log is kept there: what its server is like, against what a cluster needs of it.

use ringway_engine::redis::{self, OLDEST_SERVER, Server};

use super::bytes;
use super::finding::{Finding, What};
use crate::config::{Config, LogAt, RegistryAt};
use crate::engine;

/// Whether these settings use Redis at all.
pub(super) fn used(config: &Config) -> bool {
    config.cluster.registry == RegistryAt::Redis || config.cluster.log == LogAt::Redis
}

/// Asks the server that takes writes. Nothing is changed there.
pub(super) async fn look(config: &Config) -> Vec<Finding> {
    let settings = engine::redis_settings(config);
    match redis::inspect(&settings).await {
        Ok(server) => judged(&server, settings.replicas, config.cluster.log == LogAt::Redis),
        Err(why) => {
            let advice = "Start Redis, or correct the section [redis] of the config.";
            vec![Finding::fault(What::Redis, format!("Redis cannot be asked: {why}"), advice)]
        }
    }
}

fn judged(server: &Server, wanted: usize, keeps_log: bool) -> Vec<Finding> {
    vec![version(server), eviction(server), memory(server, keeps_log), sync(server), replicas(server, wanted)]
}

fn version(server: &Server) -> Finding {
    let told = format!("The server that takes writes is {} {}.", server.kind, server.version);
    let (major, minor) = OLDEST_SERVER;
    if server.version_number < OLDEST_SERVER {
        return Finding::fault(What::Redis, told, format!("Upgrade it to {major}.{minor} or later."));
    }
    Finding::ok(What::Redis, told)
}

fn eviction(server: &Server) -> Finding {
    match server.policy.as_deref() {
        Some("noeviction") => Finding::ok(What::RedisEviction, "It drops no key when its memory is full."),
        Some(policy) => Finding::fault(
            What::RedisEviction,
            format!("It drops keys when its memory is full (maxmemory-policy {policy})."),
            "Set maxmemory-policy noeviction: members refuse to start on this server.",
        ),
        None => Finding::note(
            What::RedisEviction,
            "Whether it drops keys when its memory is full it does not say.",
            "See to it that maxmemory-policy is noeviction.",
        ),
    }
}

fn memory(server: &Server, keeps_log: bool) -> Finding {
    let used = bytes(server.memory);
    if server.max_memory == 0 {
        let told = format!("It uses {used} of memory, and has no limit.");
        let advice = "Set maxmemory: a log that grows takes all that the machine has.";
        return if keeps_log {
            Finding::note(What::RedisMemory, told, advice)
        } else {
            Finding::ok(What::RedisMemory, told)
        };
    }
    let told = format!("It uses {used} of {} of memory.", bytes(server.max_memory));
    if server.memory > server.max_memory - server.max_memory / 5 {
        return Finding::warning(
            What::RedisMemory,
            told,
            "Raise maxmemory, or keep less: at nine tenths the log takes nothing more, and without room no member can renew its lease.",
        );
    }
    Finding::ok(What::RedisMemory, told)
}

fn sync(server: &Server) -> Finding {
    let told = format!("It keeps {}.", server.persistence());
    match (server.appends, server.fsync.as_deref()) {
        (false, _) => Finding::warning(
            What::RedisSync,
            told,
            "Set appendonly yes: a restart of it loses the view of the cluster and all that is in the log.",
        ),
        (true, Some("always")) => Finding::ok(What::RedisSync, told),
        (true, Some(_)) => Finding::warning(
            What::RedisSync,
            told,
            "Set appendfsync always, or live with it: a power cut loses the last of what was acknowledged.",
        ),
        (true, None) => Finding::note(
            What::RedisSync,
            told,
            "Give the account the right to CONFIG GET (+config|get), or see to it that appendfsync is always.",
        ),
    }
}

fn replicas(server: &Server, wanted: usize) -> Finding {
    let told = format!("It has {} replica(s), and {wanted} of them must have each write.", server.replicas);
    match (server.replicas, wanted) {
        (have, wanted) if have < wanted => Finding::fault(
            What::RedisReplicas,
            told,
            "Start the replicas, or set [redis] replicas lower: meanwhile no write counts.",
        ),
        (0, _) => Finding::note(
            What::RedisReplicas,
            told,
            "While it is away no member can join or leave, and with its disk goes what is kept: run replicas under Redis Sentinel where that matters.",
        ),
        (_, 0) => Finding::warning(
            What::RedisReplicas,
            told,
            "Set [redis] replicas = 1: a replica that takes over lacks the last writes otherwise.",
        ),
        (have, wanted) if have == wanted => Finding::note(
            What::RedisReplicas,
            told,
            "While one of them is away no write counts: run one more than must have each write.",
        ),
        _ => Finding::ok(What::RedisReplicas, told),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    fn good() -> Server {
        Server {
            kind: "redis".to_owned(),
            version: "7.0.15".to_owned(),
            version_number: (7, 0),
            is_master: true,
            replicas: 2,
            appends: true,
            fsync: Some("always".to_owned()),
            policy: Some("noeviction".to_owned()),
            max_memory: 1 << 30,
            memory: 1 << 20,
            ..Server::default()
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_what_to_do() {
        let level_of = |server: Server, wanted: usize, what: What| {
            let found = judged(&server, wanted, true).into_iter().find(|finding| finding.what == what).unwrap();
            assert_eq!(found.level == Level::Ok, found.advice.is_empty(), "{found:?}");
            found.level
        };
        let cases = [
            (good(), 1, What::Redis, Level::Ok),
            (Server { version_number: (6, 0), ..good() }, 1, What::Redis, Level::Fault),
            (good(), 1, What::RedisEviction, Level::Ok),
            (Server { policy: Some("allkeys-lru".to_owned()), ..good() }, 1, What::RedisEviction, Level::Fault),
            (Server { policy: None, ..good() }, 1, What::RedisEviction, Level::Note),
            (good(), 1, What::RedisMemory, Level::Ok),
            (Server { max_memory: 0, ..good() }, 1, What::RedisMemory, Level::Note),
            (Server { memory: 950 << 20, ..good() }, 1, What::RedisMemory, Level::Warning),
            (good(), 1, What::RedisSync, Level::Ok),
            (Server { appends: false, ..good() }, 1, What::RedisSync, Level::Warning),
            (Server { fsync: Some("everysec".to_owned()), ..good() }, 1, What::RedisSync, Level::Warning),
            (Server { fsync: None, ..good() }, 1, What::RedisSync, Level::Note),
            (good(), 1, What::RedisReplicas, Level::Ok),
            (good(), 2, What::RedisReplicas, Level::Note),
            (good(), 3, What::RedisReplicas, Level::Fault),
            (good(), 0, What::RedisReplicas, Level::Warning),
            (Server { replicas: 0, ..good() }, 0, What::RedisReplicas, Level::Note),
        ];
        for (server, wanted, what, level) in cases {
            assert_eq!(level_of(server.clone(), wanted, what), level, "{what:?} with {wanted}: {server:?}");
        }
    }
}
