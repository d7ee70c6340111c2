//! Real NATS servers. Asked for by name, with the program in `RINGWAY_NATS_SERVER` (`./scripts/setup tests` installs one).

use std::time::Duration;

use nkeys::KeyPair;
use ringway_engine::bus::Bus as _;
use ringway_engine::nats::{Config, Nats, NatsBus, NatsLog, OpenError};
use ringway_engine::{Away, Refused, Store as _, conformance};
use ringway_testkit::{Authority, NatsServers, eventually, eventually_ok};

const SOON: Duration = Duration::from_secs(30);

fn config(servers: &NatsServers) -> Config {
    Config {
        urls: servers.urls(),
        name: "test".to_owned(),
        user: None,
        credentials: None,
        nkey: None,
        ca: None,
        certificate: None,
        replicas: None,
        patience: Duration::from_secs(2),
    }
}

/// Once the servers serve.
async fn open(servers: &NatsServers) -> Nats {
    let config = config(servers);
    eventually_ok(SOON, || Nats::open(&config)).await.0
}

async fn open_log(servers: &NatsServers) -> NatsLog {
    let config = config(servers);
    eventually_ok(SOON, || NatsLog::open(&config)).await
}

/// Writes until it is written.
async fn written(store: &Nats, key: &str, value: &'static str) -> u64 {
    eventually_ok(SOON, || async {
        let at = store.read(key).await.ok().flatten().map(|found| found.revision);
        store.write(key, at, value.into()).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a NATS server"]
async fn nats_with_one_server_conforms() {
    let servers = NatsServers::start(1, &[]);
    let store = open(&servers).await;
    conformance::store(&store, "test").await;
    conformance::store(&store, "lease").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a NATS server"]
async fn nats_with_three_servers_conforms() {
    let servers = NatsServers::start(3, &[]);
    let store = open(&servers).await;
    conformance::store(&store, "test").await;
    conformance::store(&store, "lease").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a NATS server"]
async fn a_log_in_nats_with_one_server_conforms() {
    let servers = NatsServers::start(1, &[]);
    conformance::log(&open_log(&servers).await, 7).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a NATS server"]
async fn a_log_in_nats_with_three_servers_conforms() {
    let servers = NatsServers::start(3, &[]);
    let log = open_log(&servers).await;
    // Any replica answers reads, and one may be behind: the rules read until they find what they have written.
    conformance::log(&log, 7).await;
}

/// The server is killed again and again while records are appended. What became of each is found out at the end of the chain.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a NATS server"]
async fn a_log_in_nats_keeps_every_record_that_it_has_answered_for() {
    let mut servers = NatsServers::start(1, &[]);
    let log = open_log(&servers).await;
    conformance::log_through_ends(&log, 3, || {
        servers.kill(0);
        servers.run(0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a NATS server"]
async fn nats_keeps_what_is_not_a_lease_and_a_run_of_one_server_is_a_life() {
    let mut servers = NatsServers::start(1, &[]);
    let store = open(&servers).await;
    written(&store, "view", "first").await;
    written(&store, "lease.1", "first").await;
    let (life, same) = (store.life(), open(&servers).await.life());
    assert_eq!(life, same, "for all who ask");
    servers.kill(0);
    let read = store.read("view").await;
    assert!(matches!(read, Err(Away(_))), "{read:?}");
    let refused = store.write("view", None, "second".into()).await;
    assert!(matches!(refused, Err(Refused::Away(_) | Refused::Unknown)), "{refused:?}");
    servers.run(0);
    written(&store, "other", "second").await;
    assert_eq!(store.read("view").await.unwrap().unwrap().value, "first");
    // Its stream ended with the server, and whoever finds that makes it anew.
    let lease = eventually_ok(SOON, || store.read("lease.1")).await;
    assert_eq!(lease, None, "leases are in memory");
    assert_ne!(store.life(), life);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a NATS server"]
async fn nats_loses_nothing_with_any_one_of_three_servers() {
    let mut servers = NatsServers::start(3, &[]);
    let store = open(&servers).await;
    let life = store.life();
    let mut newest = written(&store, "view", "0").await;
    for at in 0..3 {
        servers.kill(at);
        let next = written(&store, "view", "1").await;
        assert!(next > newest);
        newest = next;
        servers.run(at);
        // The next one goes when this one is back, or a majority would be gone.
        let back = servers.port(at);
        eventually_ok(SOON, || tokio::net::TcpStream::connect(("127.0.0.1", back))).await;
    }
    assert_eq!(store.life(), life, "nothing is lost with one of three");
}

#[tokio::test]
#[ignore = "needs a NATS server"]
async fn nats_that_cannot_be_used_says_why() {
    let mut config = config(&NatsServers::start(1, &[]));
    let error = Nats::open(&config).await.unwrap_err();
    assert!(matches!(error, OpenError::Connect { .. }) && error.to_string().contains("Is it running"), "{error}");

    let closed = NatsServers::start(1, &["-user", "u", "-pass", "p"]);
    config.urls = closed.urls();
    eventually(SOON, || async {
        let error = Box::pin(Nats::open(&config)).await.unwrap_err().to_string();
        error.contains("uthorization").then_some(())
    })
    .await;
    config.user = Some(("u".to_owned(), "p".to_owned()));
    Nats::open(&config).await.unwrap();
    config.replicas = Some(3);
    config.name = "other".to_owned();
    let error = Nats::open(&config).await.unwrap_err().to_string();
    assert!(error.contains("RINGWAY_other_VIEW") && error.contains("replicas"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a NATS server"]
async fn nats_that_asks_for_a_certificate_and_an_nkey_is_shown_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new(folder.path());
    let ca = authority.file().to_owned();
    let (certificate_file, key_file) = authority.certificate("server");
    let user = KeyPair::new_user();
    let settings = folder.path().join("nats.conf");
    let text = format!(
        "tls {{ cert_file: {certificate_file:?}, key_file: {key_file:?}, ca_file: {ca:?}, verify: true }}\n\
         authorization {{ users: [ {{ nkey: {} }} ] }}\n",
        user.public_key()
    );
    std::fs::write(&settings, text).expect("written");
    let servers = NatsServers::start(1, &["-c", settings.to_str().expect("a path of this machine")]);

    let nkey = folder.path().join("user.nk");
    std::fs::write(&nkey, format!("{}\n", user.seed().expect("a seed"))).expect("written");
    let urls = servers.urls().iter().map(|url| url.replace("nats://", "tls://")).collect();
    let shown = authority.certificate("client");
    let good = Config {
        urls,
        ca: Some(ca.clone()),
        nkey: Some(nkey.clone()),
        certificate: Some(shown.clone()),
        ..config(&servers)
    };
    let store = eventually_ok(SOON, || Nats::open(&good)).await.0;
    written(&store, "test", "a value").await;

    let without = [
        Config { ca: None, ..good.clone() },
        Config { nkey: None, ..good.clone() },
        Config { certificate: None, ..good.clone() },
    ];
    for config in without {
        let error = Nats::open(&config).await.unwrap_err();
        assert!(matches!(error, OpenError::Connect { .. }), "{error}");
    }
    std::fs::remove_file(&nkey).expect("it was there");
    let error = Nats::open(&good).await.unwrap_err().to_string();
    assert!(error.contains("user.nk") && error.contains("[nats] nkey"), "{error}");
}

/// Once orders can be given.
async fn open_bus(servers: &NatsServers) -> NatsBus {
    let bus = NatsBus::open(&config(servers));
    let mut away = bus.away();
    tokio::time::timeout(SOON, away.wait_for(Option::is_none)).await.expect("it is reached").expect("it is open");
    bus
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a NATS server"]
async fn a_bus_in_nats_conforms() {
    let servers = NatsServers::start(1, &[]);
    conformance::bus(&open_bus(&servers).await, 7).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a NATS server"]
async fn a_bus_in_nats_takes_orders_again_after_its_server_was_killed() {
    let mut servers = NatsServers::start(1, &[]);
    let (giver, member) = (open_bus(&servers).await, open_bus(&servers).await);
    let mut inbox = member.listen(1);
    let (first, ()) = tokio::join!(conformance::next(&mut inbox), conformance::given(&giver, 1, "first"));
    assert_eq!(first, "first");
    servers.kill(0);
    assert!(giver.give(1, "while it is away".into()).await.is_err());
    let why = eventually(SOON, || async { giver.away().borrow().clone() }).await;
    assert!(why.contains("Is it running"), "{why}");
    servers.run(0);
    let mut back = giver.away();
    tokio::time::timeout(SOON, back.wait_for(Option::is_none)).await.expect("it is back").expect("it is open");
    let (come, ()) = tokio::join!(conformance::next(&mut inbox), conformance::given(&giver, 1, "again"));
    assert_eq!(come, "again");
}
