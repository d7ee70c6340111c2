//! A real RabbitMQ server. Asked for by name, with the program in `RINGWAY_RABBITMQ_SERVER` (`./scripts/setup tests` installs one).

use std::time::Duration;

use bytes::Bytes;
use ringway_engine::bus::Bus as _;
use ringway_engine::conformance::{self, given, next};
use ringway_engine::rabbit::{Config, OpenError, Rabbit, inspect};
use ringway_testkit::{Authority, RabbitServer, eventually};

/// A server takes many seconds to start where much else runs.
const SOON: Duration = Duration::from_secs(60);

fn config(url: String) -> Config {
    Config { urls: vec![url], vhost: "/".to_owned(), user: None, ca: None, name: "test".to_owned() }
}

/// Once orders can be given.
async fn open(config: &Config) -> Rabbit {
    let bus = Rabbit::open(config).await.expect("a good config");
    let mut away = bus.away();
    tokio::time::timeout(SOON, away.wait_for(Option::is_none)).await.expect("it is reached").expect("it is open");
    bus
}

/// Why it is away, once this is in it.
async fn away(config: &Config, expected: &str) -> String {
    let bus = Rabbit::open(config).await.expect("a good config");
    eventually(SOON, || async {
        let away = bus.away().borrow().clone();
        away.map(|why| why.to_string()).filter(|why| why.contains(expected))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a RabbitMQ server"]
async fn rabbitmq_conforms() {
    let server = RabbitServer::start("");
    conformance::bus(&open(&config(server.url())).await, 7).await;
}

/// Two buses, as two processes have them. The server is killed and started again in the middle.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a RabbitMQ server"]
async fn rabbitmq_that_was_killed_takes_orders_again() {
    let mut server = RabbitServer::start("");
    let (giver, member) = (open(&config(server.url())).await, open(&config(server.url())).await);
    let mut inbox = member.listen(1);
    let (first, ()) = tokio::join!(next(&mut inbox), given(&giver, 1, "first"));
    assert_eq!(first, "first");
    for round in 0..2 {
        server.kill();
        assert!(giver.give(1, "while it is away".into()).await.is_err());
        let why = eventually(SOON, || async { inbox.away().borrow().clone() }).await;
        assert!(why.contains(&server.url()) || why.contains("RabbitMQ"), "{why}");
        server.run();
        let order = Bytes::from(format!("after {round}"));
        let give = async {
            let mut back = giver.away();
            tokio::time::timeout(SOON, back.wait_for(Option::is_none)).await.expect("it is back").expect("it is open");
            given(&giver, 1, order.clone()).await;
        };
        let ((), come) = tokio::join!(give, async {
            tokio::time::timeout(SOON, inbox.next()).await.expect("it comes").expect("the inbox is open").taken()
        });
        assert_eq!(come, order);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a RabbitMQ server"]
async fn rabbitmq_that_cannot_be_used_says_why() {
    let server = RabbitServer::start("default_user = ringway\ndefault_pass = right\ndefault_vhost = orders\n");
    let user = |password: &str| Some(("ringway".to_owned(), password.to_owned()));
    let good = Config { vhost: "orders".to_owned(), user: user("right"), ..config(server.url()) };
    open(&good).await;

    let why = away(&Config { user: user("wrong"), ..good.clone() }, "Login").await;
    assert!(why.contains("[rabbitmq] user and password") && why.contains(&server.url()), "{why}");
    assert!(!why.contains("wrong"), "{why}");
    let why = away(&Config { vhost: "elsewhere".to_owned(), ..good.clone() }, "elsewhere").await;
    assert!(why.contains("[rabbitmq] vhost"), "{why}");
    let why = away(&config("amqp://127.0.0.1:1".to_owned()), "running").await;
    assert!(why.contains("127.0.0.1:1"), "{why}");

    let found = inspect(&good).await.expect("it is there");
    assert_eq!(found.exchange, "ringway.test.orders");
    assert!(found.version.is_some_and(|version| version.contains('.')), "it says its version");
    let error = Rabbit::open(&Config { ca: Some("/nowhere/ca.pem".into()), ..good }).await.unwrap_err();
    assert!(matches!(error, OpenError::Ca { .. }) && error.to_string().contains("/nowhere/ca.pem"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a RabbitMQ server"]
async fn rabbitmq_with_tls_is_trusted_by_its_authority() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new(folder.path());
    let (certificate, key) = authority.certificate("server");
    let server = RabbitServer::start_tls(&certificate, &key, authority.file());
    let good = Config { ca: Some(authority.file().to_owned()), ..config(server.url().replace("amqp://", "amqps://")) };
    let bus = open(&good).await;
    let mut inbox = bus.listen(1);
    let (come, ()) = tokio::join!(next(&mut inbox), given(&bus, 1, "over TLS"));
    assert_eq!(come, "over TLS");
    let why = away(&Config { ca: None, ..good }, "certificate").await;
    assert!(why.contains("[rabbitmq] ca"), "{why}");
}
