//! Real Redis servers. Asked for by name; the program is `redis-server` (`./scripts/setup tests` installs it).

use std::time::Duration;

use futures_util::StreamExt as _;
use ringway_engine::redis::{Config, Mirror, OpenError, Redis, RedisLog, inspect};
use ringway_engine::{Appended, Log as _, Place, Refused, Store as _, conformance};
use ringway_testkit::{Authority, RedisServers, WATCHED, eventually, eventually_ok};

const SOON: Duration = Duration::from_secs(30);

fn config(urls: Vec<String>) -> Config {
    Config {
        urls,
        sentinel: None,
        sentinel_user: (None, None),
        name: "test".to_owned(),
        user: None,
        password: None,
        ca: None,
        certificate: None,
        replicas: 0,
        patience: Duration::from_secs(2),
    }
}

/// Three servers under sentinels, one replica of which has every write.
fn watched(servers: &RedisServers) -> Config {
    Config { sentinel: Some(WATCHED.to_owned()), replicas: 1, ..config(servers.sentinel_urls()) }
}

async fn open(config: &Config) -> Redis {
    eventually_ok(SOON, || Redis::open(config)).await.0
}

async fn open_log(config: &Config) -> RedisLog {
    eventually_ok(SOON, || RedisLog::open(config)).await
}

/// Writes until it is written.
async fn written(store: &Redis, key: &str, value: &'static str) -> u64 {
    eventually_ok(SOON, || async {
        let at = store.read(key).await.ok().flatten().map(|found| found.revision);
        store.write(key, at, value.into()).await
    })
    .await
}

async fn appended(log: &RedisLog, slot: u32, after: Option<Place>, record: &'static str) -> Place {
    match log.append(slot, after, record.into()).await {
        Ok(Appended::At(place)) => place,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Redis server"]
async fn redis_conforms() {
    let servers = RedisServers::alone(&[]);
    let store = open(&config(servers.urls())).await;
    conformance::store(&store, "test").await;
    conformance::store(&store, "lease").await;
    conformance::log(&open_log(&config(servers.urls())).await, 7).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Redis server"]
async fn redis_with_sentinels_conforms() {
    let servers = RedisServers::watched(3);
    let store = open(&watched(&servers)).await;
    written(&store, "first", "value").await;
    conformance::store(&store, "test").await;
    conformance::log(&open_log(&watched(&servers)).await, 7).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Redis server"]
async fn redis_tells_all_who_listen() {
    let mut servers = RedisServers::alone(&[]);
    let config = config(servers.urls());
    let (_one, notices) = eventually_ok(SOON, || Redis::open(&config)).await;
    let mut notices = notices.into_stream();
    let other = open(&config).await;
    for round in 0..2 {
        let heard = tokio::time::timeout(SOON, async {
            loop {
                other.announce("a notice".into()).await;
                if let Ok(notice) = tokio::time::timeout(Duration::from_millis(200), notices.next()).await {
                    return notice;
                }
            }
        });
        assert_eq!(heard.await.unwrap().unwrap(), "a notice", "round {round}");
        servers.kill(0);
        servers.run(0);
    }
}

/// The server is killed again and again while records are appended. What became of each is found out at the end of the chain.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Redis server"]
async fn a_log_in_redis_keeps_every_record_that_it_has_answered_for() {
    let mut servers = RedisServers::alone(&[]);
    let log = open_log(&config(servers.urls())).await;
    let chain = conformance::log_through_ends(&log, 3, || {
        servers.kill(0);
        servers.run(0);
    })
    .await;
    assert!(chain.iter().all(|place| place.life() == chain[0].life()), "a server that syncs first loses nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Redis server"]
async fn redis_that_may_have_lost_records_begins_another_life() {
    let mut servers = RedisServers::alone(&["appendfsync everysec"]);
    let config = config(servers.urls());
    let (store, log) = (open(&config).await, open_log(&config).await);
    written(&store, "view", "first").await;
    let first = appended(&log, 3, None, "first").await;
    let (life, same) = (store.life(), open(&config).await.life());
    assert_eq!(life, same, "for all who ask");
    servers.kill(0);
    let refused = store.write("view", Some(1), "second".into()).await;
    assert!(matches!(refused, Err(Refused::Away(_) | Refused::Unknown)), "{refused:?}");
    servers.run(0);
    assert_eq!(eventually_ok(SOON, || store.read("view")).await.unwrap().value, "first");
    assert_ne!(store.life(), life);
    let last = eventually_ok(SOON, || log.last(3)).await.map(|(place, _)| place);
    assert_eq!(last, Some(first));
    let second = appended(&log, 3, last, "second").await;
    assert_eq!(second.life(), first.life() + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Redis server"]
async fn redis_fails_over_and_what_a_replica_had_is_there() {
    let mut servers = RedisServers::watched(3);
    let config = watched(&servers);
    let (store, log) = (open(&config).await, open_log(&config).await);
    let life = store.life();
    written(&store, "view", "first").await;
    let first = appended(&log, 3, None, "first").await;
    servers.kill(0);
    let newest = written(&store, "view", "second").await;
    assert_eq!(store.read("view").await.unwrap().unwrap().revision, newest);
    assert_ne!(store.life(), life, "a replica may lack the last writes");
    let last = eventually_ok(SOON, || log.last(3)).await;
    assert_eq!(last, Some((first, "first".into())), "a replica had it");
    let second = eventually(SOON, || async {
        match log.append(3, Some(first), "second".into()).await {
            Ok(Appended::At(place)) => Some(place),
            _ => None,
        }
    });
    assert_eq!(second.await.life(), first.life() + 1);
    // The old one comes back as a replica, and nobody writes to it.
    servers.run(0);
    for _ in 0..3 {
        written(&store, "view", "third").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Redis server"]
async fn redis_without_its_replica_acknowledges_nothing() {
    let servers = RedisServers::alone(&[]);
    let config = Config { replicas: 1, patience: Duration::from_millis(400), ..config(servers.urls()) };
    let store = open(&config).await;
    assert!(matches!(store.write("view", None, "first".into()).await, Err(Refused::Unknown)));
    let cautions = inspect(&config).await.unwrap().cautions(1);
    assert!(cautions.iter().any(|caution| caution.contains("0 of the 1")), "{cautions:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Redis server"]
async fn redis_that_is_nearly_full_takes_no_more_records() {
    let servers = RedisServers::alone(&["maxmemory 60mb"]);
    let config = config(servers.urls());
    let (store, log) = (open(&config).await, open_log(&config).await);
    let mut end = None;
    loop {
        match log.append(3, end, vec![7; 200_000].into()).await.unwrap() {
            Appended::At(place) => end = Some(place),
            Appended::Full => break,
            Appended::Conflict => panic!("nobody else appends"),
        }
    }
    // What is small may find room once more, until the server is looked at again.
    let appended_behind = async |slot: u32| {
        let end = log.last(slot).await.unwrap().map(|(place, _)| place);
        log.append(slot, end, "small".into()).await.ok()
    };
    eventually(SOON, async || appended_behind(4).await.filter(|appended| *appended == Appended::Full)).await;
    written(&store, "lease.1", "renewed").await;
    log.trim(3, end.unwrap()).await.unwrap();
    eventually(SOON, async || appended_behind(4).await.filter(|appended| matches!(appended, Appended::At(_)))).await;
}

#[tokio::test]
#[ignore = "needs a Redis server"]
async fn redis_that_cannot_be_used_says_why() {
    let mut config = config(vec!["redis://127.0.0.1:1".to_owned()]);
    let error = Redis::open(&config).await.unwrap_err();
    assert!(matches!(error, OpenError::Connect { .. }) && error.to_string().contains("Is it running"), "{error}");

    let closed = RedisServers::alone(&["requirepass p", "user ringway on >q ~{ringway:*}* &{ringway:*}* +@all"]);
    config.urls = closed.urls();
    let why = async |config: &Config| match Box::pin(Redis::open(config)).await {
        Ok(_) => "it is open".to_owned(),
        Err(why) => why.to_string(),
    };
    eventually(SOON, async || why(&config).await.contains("NOAUTH").then_some(())).await;
    config.password = Some("wrong".to_owned());
    let error = why(&config).await;
    assert!(error.contains("[redis] sentinel, user, password") && !error.contains("wrong"), "{error}");
    config.password = Some("p".to_owned());
    assert_eq!(why(&config).await, "it is open");
    (config.user, config.password) = (Some("ringway".to_owned()), Some("q".to_owned()));
    conformance::store(&open(&config).await, "test").await;

    let greedy = RedisServers::alone(&["maxmemory 100mb", "maxmemory-policy allkeys-lru"]);
    let config = self::config(greedy.urls());
    let error = eventually(SOON, async || Some(why(&config).await).filter(|why| why.contains("allkeys-lru"))).await;
    assert!(error.contains("maxmemory-policy noeviction"), "{error}");
}

/// The answer of the server to a command, as words.
async fn asked(servers: &RedisServers, words: &[&str]) -> Vec<String> {
    let client = redis::Client::open(servers.urls().remove(0)).expect("an address");
    let mut connection = client.get_multiplexed_async_connection().await.expect("it is there");
    let mut command = redis::cmd(words[0]);
    command.arg(&words[1..]).query_async(&mut connection).await.expect("an answer")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Redis server"]
async fn redis_shows_who_is_there_and_who_was_not_seen_goes() {
    const LIFETIME: Duration = Duration::from_millis(600);
    let servers = RedisServers::alone(&[]);
    let config = config(servers.urls());
    let mirror = eventually_ok(SOON, || Mirror::open(&config, LIFETIME)).await;
    mirror.members(&[("node-1".to_owned(), "{}".to_owned()), ("node-2".to_owned(), "{}".to_owned())]).await.unwrap();
    mirror.members(&[("node-2".to_owned(), "{}".to_owned())]).await.unwrap();
    assert_eq!(asked(&servers, &["HKEYS", "{ringway:test}:members"]).await, ["node-2"], "who left is not shown");
    mirror.ring(&[(0, "node-1 node-2".to_owned()), (1, "node-2".to_owned())]).await.unwrap();
    mirror.ring(&[(0, "node-2".to_owned())]).await.unwrap();
    assert_eq!(asked(&servers, &["HMGET", "{ringway:test}:ring", "0", "1"]).await, ["node-2", "node-2"]);

    let session = |id: &str| ("ann".to_owned(), id.to_owned());
    mirror.online("gateway-1", &[session("a"), session("b")]).await.unwrap();
    mirror.offline(&[session("b")]).await.unwrap();
    let ann = ["HGETALL", "{ringway:test}:user:ann"];
    let first = asked(&servers, &ann).await;
    assert!(first[0] == "a" && first[1].starts_with("gateway-1 ") && first.len() == 2, "{first:?}");
    // Seen again and again it stays, with the time since which it is there; the other one goes.
    mirror.online("gateway-2", &[session("c")]).await.unwrap();
    let end = tokio::time::Instant::now() + LIFETIME * 3;
    while tokio::time::Instant::now() < end {
        mirror.online("gateway-1", &[session("a")]).await.unwrap();
        tokio::time::sleep(LIFETIME / 10).await; // The pace at which it is seen.
    }
    let last = asked(&servers, &ann).await;
    let part = |value: &str, at: usize| value.split(' ').nth(at).unwrap().parse::<u64>().unwrap();
    assert_eq!((last.len(), part(&last[1], 1)), (2, part(&first[1], 1)), "{last:?}");
    assert!(part(&last[1], 2) > part(&first[1], 2));
    eventually(SOON, async || asked(&servers, &ann).await.is_empty().then_some(())).await;
}

/// The whole address is TLS, and the server asks for a certificate.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Redis server"]
async fn redis_with_tls_is_trusted_by_its_authority_and_shown_a_certificate() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new(folder.path());
    let (certificate, key) = authority.certificate("server");
    let servers = RedisServers::with_tls(&certificate, &key, authority.file());
    let good = Config {
        ca: Some(authority.file().to_owned()),
        certificate: Some(authority.certificate("client")),
        ..config(servers.urls())
    };
    conformance::store(&open(&good).await, "test").await;
    for bad in [Config { ca: None, ..good.clone() }, Config { certificate: None, ..good.clone() }] {
        let error = Redis::open(&bad).await.unwrap_err();
        assert!(matches!(error, OpenError::Connect { .. }), "{error}");
    }
    let gone = Config { ca: Some(folder.path().join("gone.pem")), ..good };
    let error = Redis::open(&gone).await.unwrap_err().to_string();
    assert!(error.contains("gone.pem") && error.contains("[redis] ca"), "{error}");
}
