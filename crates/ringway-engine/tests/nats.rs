//! Real NATS servers. Asked for by name, with the program in `RINGWAY_NATS_SERVER` (`./scripts/setup tests` installs one).

use std::time::Duration;

use ringway_engine::nats::{Config, Nats, OpenError};
use ringway_engine::{Away, Refused, Store as _, conformance};
use ringway_testkit::{NatsServers, eventually, eventually_ok};

const SOON: Duration = Duration::from_secs(30);

fn config(servers: &NatsServers) -> Config {
    Config {
        urls: servers.urls(),
        name: "test".to_owned(),
        user: None,
        credentials: None,
        ca: None,
        replicas: None,
        patience: Duration::from_secs(2),
    }
}

/// Once the servers serve.
async fn open(servers: &NatsServers) -> Nats {
    let config = config(servers);
    eventually_ok(SOON, || Nats::open(&config)).await.0
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
