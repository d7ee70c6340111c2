//! A cluster whose registry and log are in Redis: nobody is first, and any process may end, Redis' own included.

use std::time::Duration;

use anyhow::ensure;
use ringway_testkit::{
    CentrifugeClient, PlainClient, RedisServers, Server, Target, WATCHED, eventually, eventually_ok,
};
use serde_json::{Value, json};

use crate::doctor::looked_at;
use crate::nats::{ANY, are_faults, epoch, gateway, goes_on, link_of, lists, member, node};
use crate::support::{CHANGE, SOON};

/// `more` begins in the section `[redis]`.
fn config(urls: &[String], more: &str) -> String {
    format!(
        "[cluster]\nregistry = \"redis\"\nlog = \"redis\"\nmirror = \"redis\"\nslots = 256\n[cluster.timing]\npair = \"10s\"\n[client]\nallow_anonymous_connect_without_token = true\n\
         [channels.namespaces.kept]\nhistory_size = 1000\nhistory_ttl = \"10m\"\nforce_recovery = true\nallow_history_for_subscriber = true\nallow_history_for_anonymous = true\nallow_subscribe_for_client = true\nallow_subscribe_for_anonymous = true\nallow_publish_for_client = true\nallow_publish_for_anonymous = true\n\
         [channels.namespaces.log]\nhistory_size = 1000\nhistory_ttl = \"10m\"\nforce_recovery = true\nallow_history_for_subscriber = true\nallow_history_for_anonymous = true\ndurability = \"log\"\nallow_subscribe_for_client = true\nallow_subscribe_for_anonymous = true\nallow_publish_for_client = true\nallow_publish_for_anonymous = true\n\
         [redis]\nurls = {urls:?}\n{more}"
    )
}

/// Publishes into a channel that is kept in the log, as often as it takes. Its epoch and offset.
async fn logged(server: &Server, number: u64) -> (String, u64) {
    let publication = json!({ "channel": "log:news", "data": number, "idempotency_key": format!("{number}") });
    let said = eventually_ok(CHANGE, || async { server.api("publish", publication.clone()).await }).await;
    (said["epoch"].to_string(), said["offset"].as_u64().expect("an offset"))
}

async fn history(server: &Server) -> Vec<u64> {
    let page = json!({ "channel": "log:news", "limit": 1000 });
    let said = eventually_ok(CHANGE, || async { server.api("history", page.clone()).await }).await;
    let publications = said["publications"].as_array().expect("a list").iter();
    publications.map(|publication| publication["data"].as_u64().expect("a number")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Redis server"]
async fn redis_keeps_registry_and_log_and_any_process_may_end() {
    let mut servers = RedisServers::watched(3);
    let config = config(&servers.sentinel_urls(), &format!("sentinel = \"{WATCHED}\"\n"));
    let first = gateway("g-1", ANY, &config).await;
    let mut second = gateway("g-2", ANY, &config).await;
    let mut nodes = [node("n-1", ANY, &config), node("n-2", ANY, &config), node("n-3", ANY, &config)];
    lists(&second, &["g-1", "g-2", "n-1", "n-2", "n-3"]).await;
    let mut client = CentrifugeClient::connect_with(&Target::from(second.addr()), json!({})).await.unwrap();
    client.subscribe("kept:news").await.unwrap();
    let mut number = 0;
    goes_on(&second, &mut client, &mut number).await;
    let (stream, _) = logged(&second, 1).await;

    first.process.kill();
    lists(&second, &["g-2", "n-1", "n-2", "n-3"]).await;
    let mut first = gateway("g-1", ANY, &config).await;
    lists(&second, &["g-1", "g-2", "n-1", "n-2", "n-3"]).await;

    // The server that takes writes ends: what has two copies goes on, and a replica takes over, which has all that was acknowledged.
    servers.kill(0);
    goes_on(&second, &mut client, &mut number).await;
    assert_eq!(logged(&second, 2).await, (stream.clone(), 2));
    servers.run(0);
    nodes[0].kill();
    goes_on(&second, &mut client, &mut number).await;
    lists(&first, &["g-1", "g-2", "n-2", "n-3"]).await;
    assert_eq!(logged(&second, 3).await, (stream.clone(), 3));
    let mut again = node("n-1", ANY, &config);
    lists(&second, &["g-1", "g-2", "n-1", "n-2", "n-3"]).await;

    // All end at once, and are started again: the same cluster goes on, and so does what is in the log.
    let before = epoch(&second).await;
    let [_, two, three] = &mut nodes;
    let mut links = Vec::new();
    for process in [&mut first.process, &mut second.process, &mut again, two, three] {
        links.push(link_of(process).await);
        process.kill();
        process.wait_exit(SOON).await;
    }
    let (first, _second) = tokio::join!(gateway("g-1", &links[0], &config), gateway("g-2", &links[1], &config));
    let _nodes = [("n-1", 2), ("n-2", 3), ("n-3", 4)].map(|(id, at)| node(id, &links[at], &config));
    lists(&first, &["g-1", "g-2", "n-1", "n-2", "n-3"]).await;
    assert!(epoch(&first).await > before, "epochs go on");
    assert_eq!(logged(&first, 4).await, (stream, 4));
    assert_eq!(history(&first).await, [1, 2, 3, 4]);
}

/// What other programs read: members, owners, and a user as long as it is connected.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Redis server"]
async fn redis_shows_members_owners_and_users_online() {
    let servers = RedisServers::alone(&[]);
    let config = config(&servers.urls(), "");
    let open = member(&["gateway", "--id", "g-1", "--port", "0", "--dev"], &config);
    let server = Server::start(open, CHANGE).await;
    let _nodes = [node("n-1", ANY, &config), node("n-2", ANY, &config)];
    lists(&server, &["g-1", "n-1", "n-2"]).await;
    let shown = |what: &str| servers.ask(0, what);
    eventually(SOON, async || {
        let members = shown("HVALS {ringway:ringway}:members");
        (members.matches("\"role\":\"node\"").count() == 2 && members.contains("\"role\":\"gateway\"")).then_some(())
    })
    .await;
    assert!(shown("HLEN {ringway:ringway}:ring").contains(":256"));
    assert!(shown("HGET {ringway:ringway}:ring 7").contains("n-"));
    let ann = PlainClient::connect(server.addr(), "ann").await.unwrap();
    let key = "HVALS {ringway:ringway}:user:ann";
    eventually(SOON, async || shown(key).contains("g-1 ").then_some(())).await;
    drop(ann);
    eventually(SOON, async || (!shown(key).contains("g-1 ")).then_some(())).await;
}

/// Redis is away for longer than a lease.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Redis server"]
async fn redis_may_be_away_and_what_is_in_memory_goes_on() {
    goes_on_without(Duration::from_secs(4), Pair::Short).await;
}

/// A minute, for which the usual `pair` is made.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a minute"]
async fn long_a_minute_without_a_registry() {
    goes_on_without(Duration::from_secs(60), Pair::Usual).await;
}

/// How long two copies go on without a registry: 10 s, or as long as is usual where it is outside.
enum Pair {
    Short,
    Usual,
}

async fn goes_on_without(away: Duration, pair: Pair) {
    let mut servers = RedisServers::alone(&[]);
    let config = config(&servers.urls(), "");
    let config = match pair {
        Pair::Short => config,
        Pair::Usual => config.replace("[cluster.timing]\npair = \"10s\"\n", ""),
    };
    let server = gateway("g-1", ANY, &config).await;
    let _nodes = [node("n-1", ANY, &config), node("n-2", ANY, &config)];
    lists(&server, &["g-1", "n-1", "n-2"]).await;
    let mut client = CentrifugeClient::connect_with(&Target::from(server.addr()), json!({})).await.expect("let in");
    client.subscribe("kept:news").await.expect("let in");
    let (stream, _) = logged(&server, 1).await;
    let mut number = 0;
    servers.kill(0);
    let end = tokio::time::Instant::now() + away;
    while tokio::time::Instant::now() < end {
        goes_on(&server, &mut client, &mut number).await;
    }
    eventually_ok(CHANGE, || async {
        let health: Value = ringway_testkit::http::get(server.addr(), "/health", &[]).await?.json()?;
        ensure!(health["status"] == "degraded", "{health}");
        Ok(())
    })
    .await;
    servers.run(0);
    assert_eq!(logged(&server, 2).await, (stream, 2));
    lists(&server, &["g-1", "n-1", "n-2"]).await;
    goes_on(&server, &mut client, &mut number).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Redis server"]
async fn redis_that_cannot_be_used_is_told_and_waited_for() {
    let mut servers = RedisServers::alone(&["requirepass not-to-be-seen"]);
    servers.kill(0);
    let right = config(&servers.urls(), "password = \"not-to-be-seen\"\n");
    let mut waiting = member(&["gateway", "--id", "g-1", "--port", "0"], &right).start();
    waiting.wait_for("Redis is not there yet", SOON).await;
    servers.run(0);
    waiting.wait_for("the registry is in Redis", SOON).await;
    waiting.wait_for("ringway gateway on http://", SOON).await;

    let wrong = config(&servers.urls(), "password = \"this-is-wrong\"\n");
    let mut refused = member(&["gateway", "--id", "g-2", "--port", "0"], &wrong).start();
    assert_eq!(refused.wait_exit(CHANGE).await.code(), Some(69), "{}", refused.stderr());
    let told = refused.stderr();
    for part in ["cannot use Redis at redis://127.0.0.1:", "[redis] sentinel, user, password", "Nothing was started"] {
        assert!(told.contains(part), "{told}");
    }
    assert!(!format!("{told}{}", waiting.stderr()).contains("not-to-be-seen") && !told.contains("this-is-wrong"));
}

#[tokio::test]
#[ignore = "needs a Redis server"]
async fn redis_is_inspected_by_the_doctor() {
    let servers = RedisServers::alone(&["appendfsync everysec"]);
    let home = tempfile::tempdir().unwrap();
    let ports = "[server]\nport = 0\n";
    let config =
        config(&servers.urls(), ports).replace("slots = 256\n", "slots = 256\nlink_listen = \"127.0.0.1:0\"\n");
    let found = eventually(SOON, || async {
        let found = looked_at(home.path(), &config, &[]).await;
        (found.levels("redis") == ["ok"]).then_some(found)
    })
    .await;
    assert_eq!(found.code, Some(0), "{:#?}", found.findings);
    let expected =
        [("redis_eviction", "ok"), ("redis_memory", "note"), ("redis_sync", "warning"), ("redis_replicas", "note")];
    for (what, level) in expected {
        found.has(what, level);
    }
}

#[tokio::test]
async fn settings_that_do_not_go_with_redis_are_faults() {
    let faults = [
        ("[cluster]\nregistry = \"redis\"\njoin = \"10.0.0.1:9889\"\n", "leave it out"),
        ("[cluster]\nregistry = \"redis\"\n[server]\ngateways = 2\n", "server.gateways"),
        ("[redis]\nurls = [\"redis://me:secret@10.0.0.1:6379\"]\n", "redis.user"),
        ("[redis]\nurls = [\"10.0.0.1\"]\n", "rediss://"),
        ("[redis]\nurls = [\"redis://10.0.0.1:6379\", \"rediss://10.0.0.2:6379\"]\n", "one kind"),
        ("[redis]\nuser = \"me\"\n", "redis.password"),
        ("[redis]\nsentinel_password = \"a\"\n", "redis.sentinel"),
        ("[redis]\ncert = \"c.pem\"\n", "redis.key"),
        ("[redis]\nreplicas = 9\n", "between 0 and 5"),
        ("[redis]\nname = \"a.b\"\n", "letters, digits"),
    ];
    are_faults(&faults).await;
}
