//! A cluster whose members are listed in Nacos: what people set there moves it, and it does without when Nacos is away.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use ringway_engine::census::{Census as _, Entry, List, Standing};
use ringway_engine::nacos::{Config, Nacos};
use ringway_testkit::process::Builder;
use ringway_testkit::{
    NACOS_USER, NacosConsole, NacosServer, Pace, Process, Progress, Server, Swarm, SwarmConfig, eventually_ok, http,
    nacos_elsewhere,
};
use serde_json::Value;

use crate::nats::are_faults;
use crate::support::{BINARY, CHANGE, SOON, configured};

const SECRET: &str = "known between members";
const ANY: &str = "127.0.0.1:0";
/// The client of a member that has lost Nacos comes back after a pause that doubles.
const BACK: Duration = Duration::from_secs(90);
/// How soon a drain begins once Nacos has told of it.
const BEGINS: Duration = Duration::from_millis(500);

/// Where Nacos is, and what members and gateways of this test are called there.
struct Census {
    server: Option<NacosServer>,
    address: String,
    members: String,
    gateways: String,
}

impl Census {
    /// The server that is there, or one of our own.
    async fn any() -> Self {
        match nacos_elsewhere() {
            Some(address) => Self::at(None, address),
            None => Self::own().await,
        }
    }

    /// A server that can be killed.
    async fn own() -> Self {
        let server = NacosServer::start().await;
        let address = server.address();
        Self::at(Some(server), address)
    }

    fn at(server: Option<NacosServer>, address: String) -> Self {
        // A server that somebody else has started keeps what was set in it.
        let run = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("a clock").as_nanos();
        Self { server, address, members: format!("members-{run}"), gateways: format!("gateways-{run}") }
    }

    fn config(&self, more: &str) -> String {
        let Self { address, members, gateways, .. } = self;
        format!(
            "[cluster]\nslots = 256\ncensus = \"nacos\"\n[nacos]\nservers = [\"{address}\"]\nservice = \"{members}\"\ngateway_service = \"{gateways}\"\nsettle = \"1s\"\n{more}"
        )
    }

    fn console(&self) -> NacosConsole {
        NacosConsole::new(&self.address, &self.members)
    }

    /// Somebody who is listed there as well, and so is told of changes.
    async fn eyes(&self) -> Nacos {
        let config = Config {
            servers: vec![self.address.clone()],
            namespace: String::new(),
            group: "DEFAULT_GROUP".to_owned(),
            cluster: "DEFAULT".to_owned(),
            service: self.members.clone(),
            user: None,
        };
        let mut nacos = Nacos::new(config, None);
        let (roles, address, version) = ("none".to_owned(), "127.0.0.1:1".to_owned(), "1".to_owned());
        let entry = Entry { id: "eyes".to_owned(), incarnation: 1, roles, address, weight: 1.0, version };
        nacos.enter(entry).await.expect("it lists whoever comes");
        nacos
    }
}

fn member(arguments: &[&str], config: &str) -> Builder {
    configured(Process::builder(&*BINARY, arguments).env("RINGWAY_SECRET", SECRET), config)
}

async fn gateway(config: &str) -> (Server, String) {
    let arguments = ["gateway", "--dev", "--id", "g-1", "--port", "0", "--link-listen", ANY];
    let mut server = Server::start(member(&arguments, config), CHANGE).await;
    let link = server.process.wait_for(r"members address=([0-9.]+:[0-9]+)", SOON).await[1].clone();
    (server, link)
}

fn node(id: &str, join: &str, config: &str) -> Process {
    member(&["node", "--id", id, "--join", join, "--link-listen", ANY], config).start()
}

async fn health(server: &Server) -> anyhow::Result<Value> {
    http::get(server.addr(), "/health", &[]).await?.json()
}

/// One member as the admin API tells it.
async fn told(server: &Server, id: &str) -> anyhow::Result<Value> {
    let all = server.admin_get("/admin/members").await?.json()?;
    let mut members = all["members"].as_array().context("members")?.iter();
    members.find(|member| member["id"] == id).cloned().with_context(|| format!("no {id} in {all}"))
}

/// Waits until the list is as wanted, as somebody sees it whom Nacos tells of changes.
async fn sees(eyes: &mut Nacos, limit: Duration, wanted: impl Fn(&List) -> bool) -> Instant {
    let mut last = None;
    let seen = async {
        loop {
            let heard = eyes.next().await;
            if heard.as_ref().is_ok_and(&wanted) {
                return Instant::now();
            }
            last = Some(heard);
        }
    };
    let seen = tokio::time::timeout(limit, seen).await;
    seen.unwrap_or_else(|_| panic!("the list is not as wanted after {limit:?}: {last:?}"))
}

async fn is_listed(eyes: &mut Nacos, ids: &[&str]) {
    let is_well = |list: &List, id: &str| matches!(list.standing(id), Some(Standing::Well { .. }));
    sees(eyes, BACK, |list| ids.iter().all(|id| is_well(list, id))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Nacos server"]
async fn nacos_has_a_node_rest_and_work_and_nobody_notices() {
    let census = Census::any().await;
    let config = census.config("");
    let (server, link) = gateway(&config).await;
    let mut nodes = ["n-1", "n-2", "n-3"].map(|id| node(id, &link, &config));
    server.settled(3).await;
    let mut eyes = census.eyes().await;
    is_listed(&mut eyes, &["g-1", "n-1", "n-2", "n-3"]).await;
    for node in &mut nodes {
        node.wait_for("this member is listed in the census", SOON).await;
    }
    let swarm = Swarm::connect(SwarmConfig::new(server.addr().into(), 60, 60), &Progress::new()).await.unwrap();
    swarm.start(Pace::Rate(300.0));
    // What is set before a list is believed counts when it is: here it is to count at once.
    tokio::time::sleep(Duration::from_secs(3)).await;

    let console = census.console();
    let (asked, set) = (Instant::now(), console.set("n-1", "enabled=false"));
    set.await.unwrap();
    let pushed = sees(&mut eyes, SOON, |list| matches!(list.standing("n-1"), Some(Standing::Off(_))));
    let begun = eventually_ok(SOON, || async {
        let state = told(&server, "n-1").await?["state"].clone();
        ensure!(state == "draining" || state == "resting", "{state}");
        anyhow::Ok(Instant::now())
    });
    let (pushed, begun) = tokio::join!(pushed, begun);
    println!("offline: heard of after {:?}, the drain began after {:?}", pushed - asked, begun - asked);
    assert!(begun.saturating_duration_since(pushed) <= BEGINS, "the drain began late");
    server.wait_state("n-1", "resting", CHANGE).await;
    let resting = told(&server, "n-1").await.unwrap();
    assert_eq!((resting["weight"].as_f64(), resting["slots"].as_u64()), (Some(0.0), Some(0)), "{resting}");
    println!("offline: it rests after {:?}", asked.elapsed());

    let (asked, set) = (Instant::now(), console.set("n-1", "enabled=true"));
    set.await.unwrap();
    server.wait_state("n-1", "active", CHANGE).await;
    println!("online: it is active after {:?}", asked.elapsed());
    server.settled(3).await;
    console.set("n-2", "weight=3").await.unwrap();
    eventually_ok(CHANGE, || async {
        let weight = told(&server, "n-2").await?["weight"].clone();
        ensure!(weight == 3.0, "{weight}");
        Ok(())
    })
    .await;
    server.settled(3).await;

    let killed = Instant::now();
    nodes[2].kill();
    server.wait_state("n-3", "down", CHANGE).await;
    println!("killed: out of the view after {:?}", killed.elapsed());
    assert!(killed.elapsed() < Duration::from_secs(3), "a takeover waits for no census");
    server.settled(2).await;
    swarm.stop();
    swarm.drained(CHANGE).await;
    let report = swarm.report();
    assert!(report.is_clean() && report.check.sent > 1000, "{report}");
    eventually_ok(CHANGE, || async {
        let health = health(&server).await?;
        ensure!(health["status"] == "ok", "{health}");
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Nacos server"]
async fn nacos_that_is_killed_and_restarted_moves_nobody() {
    let mut census = Census::own().await;
    let config = census.config("");
    let (server, link) = gateway(&config).await;
    let nodes = ["n-1", "n-2"].map(|id| node(id, &link, &config));
    server.settled(2).await;
    let mut eyes = census.eyes().await;
    is_listed(&mut eyes, &["g-1", "n-1", "n-2"]).await;
    let says = async |wanted: &str, part: &str, limit| {
        eventually_ok(limit, || async {
            let health = health(&server).await?;
            let why = health["why"].to_string();
            ensure!(health["status"] == wanted && why.contains(part), "{health}");
            Ok(health["epoch"].clone())
        })
        .await
    };
    let before = says("ok", "", CHANGE).await;
    let there = census.server.as_mut().expect("our own");
    there.kill();
    says("degraded", "the census is away", SOON).await;
    eventually_ok(SOON, || async { server.publish("news", serde_json::json!({ "number": 1 })).await.map(drop) }).await;
    there.run();
    there.serves().await;
    is_listed(&mut eyes, &["g-1", "n-1", "n-2"]).await;
    assert_eq!(says("ok", "", BACK).await, before, "the view is another one");
    drop(nodes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Nacos server"]
async fn nacos_that_is_not_there_or_lets_nobody_in_holds_up_no_start() {
    const PASSWORD: &str = "not-the-password-of-nacos";
    let mut away = Census::own().await;
    away.server.as_mut().expect("our own").kill();
    let guarded = NacosServer::start_with_users().await;
    let address = guarded.address();
    let guarded = Census::at(Some(guarded), address);
    let user = format!("user = \"{}\"\npassword = \"{PASSWORD}\"\n", NACOS_USER.0);
    for (census, more, part) in [(&away, "", "does not answer"), (&guarded, &*user, "nacos.password")] {
        let arguments = ["serve", "--dev", "--port", "0", "--link-listen", ANY];
        let mut server = Server::start(member(&arguments, &census.config(more)), CHANGE).await;
        let line = server.process.wait_for("this member is not listed in the census yet.*", SOON).await[0].clone();
        assert!(line.contains("ringway doctor"), "{line}");
        eventually_ok(SOON, || async {
            let health = health(&server).await?;
            ensure!(health["why"].to_string().contains(part), "{health}");
            Ok(())
        })
        .await;
        assert!(!server.process.stderr().contains(PASSWORD));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Nacos server"]
async fn nacos_lists_a_gateway_with_its_port_for_clients_until_it_leaves() {
    let census = Census::any().await;
    let (mut server, _link) = gateway(&census.config("")).await;
    let clients = NacosConsole::new(&census.address, &census.gateways);
    let instance = eventually_ok(SOON, || clients.instance("g-1")).await;
    assert_eq!(instance["port"], server.addr().port(), "{instance}");
    server.process.terminate();
    server.process.wait_exit(CHANGE).await;
    eventually_ok(SOON, || async {
        ensure!(clients.instance("g-1").await.is_err(), "it is listed");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn settings_that_do_not_go_with_nacos_are_faults() {
    let faults = [
        ("[cluster]\ncensus = \"eureka\"\n", "\"none\", \"nacos\""),
        ("[nacos]\nservers = []\n", "one server at least"),
        ("[nacos]\nservers = [\"http://10.0.0.1:8848/nacos\"]\n", "without a scheme"),
        ("[nacos]\nservers = [\"me:secret@10.0.0.1\"]\n", "is no server"),
        ("[nacos]\nuser = \"me\"\n", "nacos.password"),
        ("[nacos]\ngroup = \"\"\n", "letters, digits"),
        ("[nacos]\nservice = \"one\"\ngateway_service = \"one\"\n", "a name of its own"),
        ("[nacos]\nsettle = \"2h\"\n", "1h or less"),
    ];
    are_faults(&faults).await;
}
