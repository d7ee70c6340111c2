//! Whoever ends comes back under the same command, and the cluster serves again: any member, one by one or all together, killed
//! or stopped, after a short time or a long one, with a data folder and without.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::ensure;
use ringway_testkit::process::Builder;
use ringway_testkit::{CentrifugeClient, Process, eventually_ok, http};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{BINARY, CHANGE, SOON, configured};

const SECRET: &str = "known between members";
pub(crate) const KEY: &str = "an API key for tests";
/// So many channels lie in slots of both nodes.
const CHANNELS: usize = 16;
/// Full service after the last one is up.
const BACK: Duration = Duration::from_secs(5);
/// The same where a stream may begin anew only later than any removed owner may still act: six fifths of `pair` in [`CONFIG`].
const BACK_ANEW: Duration = Duration::from_secs(8);

const CONFIG: &str = "\
[cluster]
slots = 256
[cluster.timing]
pair = \"3s\"
[client]
allow_anonymous_connect_without_token = true
[drain]
rate = 10000
[channels.namespaces.kept]
history_size = 10000
history_ttl = \"1h\"
force_recovery = true
allow_history_for_subscriber = true
allow_history_for_anonymous = true
allow_subscribe_for_client = true
allow_subscribe_for_anonymous = true
allow_publish_for_client = true
allow_publish_for_anonymous = true
";

/// What nodes say of themselves is no older than this.
const CALM: Duration = Duration::from_millis(600);

/// Members in the order in which they are started.
pub(crate) const MEMBERS: [&str; 4] = ["gateway-0", "gateway-1", "node-1", "node-2"];
const FIRST: &[usize] = &[0];
const SECOND: &[usize] = &[1];
const A_NODE: &[usize] = &[2];
const BOTH_NODES: &[usize] = &[2, 3];
const ALL: &[usize] = &[0, 1, 2, 3];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    Killed,
    Stopped,
}

/// A row of the table: who ends, how, and for how long.
type Row = (&'static [usize], How, Duration);

pub(crate) const NOW: Duration = Duration::ZERO;
const SHORT: Duration = Duration::from_secs(2);
/// Leases are over, and what has two copies has stopped.
const LONG: Duration = Duration::from_secs(15);

const LONGER: Duration = Duration::from_secs(70);

const ROWS: &[Row] = &[
    (FIRST, How::Killed, NOW),
    (A_NODE, How::Killed, NOW),
    (FIRST, How::Stopped, SHORT),
    (SECOND, How::Stopped, NOW),
    (ALL, How::Killed, NOW),
    (BOTH_NODES, How::Killed, SHORT),
];

/// What takes minutes: `./scripts/test long`.
const LONG_ROWS: &[Row] = &[
    (FIRST, How::Killed, LONG),
    (ALL, How::Stopped, SHORT),
    (FIRST, How::Killed, LONGER),
    (ALL, How::Killed, LONGER),
    (SECOND, How::Killed, LONG),
    (BOTH_NODES, How::Stopped, LONG),
    (FIRST, How::Stopped, LONGER),
    (ALL, How::Stopped, LONG),
];

#[tokio::test]
async fn with_a_data_folder_everybody_comes_back_to_the_same_cluster() {
    table(ROWS, true).await;
}

#[tokio::test]
async fn without_a_data_folder_a_first_gateway_that_comes_back_is_a_new_cluster_for_all() {
    table(ROWS, false).await;
}

#[tokio::test]
#[ignore = "takes minutes: ./scripts/test long"]
async fn long_with_a_data_folder_nobody_is_away_for_too_long() {
    table(LONG_ROWS, true).await;
}

#[tokio::test]
#[ignore = "takes minutes: ./scripts/test long"]
async fn long_without_a_data_folder_nobody_is_away_for_too_long() {
    table(LONG_ROWS, false).await;
}

#[tokio::test]
async fn one_after_the_other_in_any_order_all_come_back() {
    for is_kept in [true, false] {
        let mut cluster = Cluster::start(is_kept).await;
        for order in [[0, 1, 2, 3], [3, 2, 1, 0]] {
            for at in order {
                cluster.row(&[at], How::Killed, NOW).await;
            }
        }
        cluster.look_at_logs();
    }
}

#[tokio::test]
async fn an_older_copy_of_the_folder_is_refused_while_members_run() {
    let mut cluster = Cluster::start(true).await;
    let view = cluster.data().join("view");
    let old = std::fs::read(&view).expect("a kept view");
    // So few views older that the first gateway's own writes reach the number before it hears from anybody.
    cluster.row(A_NODE, How::Killed, NOW).await;
    let first = cluster.processes[0].take().expect("it runs");
    first.kill();
    drop(first);
    std::fs::write(&view, old).expect("an older copy");
    let mut first = cluster.command(0).start();
    first.wait_for("a running member knows view", SOON).await;
    assert_eq!(first.wait_exit(SOON).await.code(), Some(1));
    // Without the view it would be another cluster, and the log here is not that one's.
    std::fs::remove_file(&view).expect("it is there");
    let mut first = cluster.command(0).start();
    first.wait_for("is of another cluster", SOON).await;
    assert_eq!(first.wait_exit(SOON).await.code(), Some(69));
    std::fs::remove_dir_all(cluster.data()).expect("it is there");
    cluster.processes[0] = Some(cluster.command(0).start());
    cluster.served(BACK).await;
}

#[tokio::test]
async fn a_data_folder_is_for_one_process_and_damage_is_said() {
    let cluster = Cluster::start(true).await;
    let second = |folder: &Path| {
        let builder = Process::builder(&*BINARY, &["gateway", "--port", "0", "--link-listen", "127.0.0.1:0"]);
        builder.env("RINGWAY_SECRET", SECRET).arg("--data-dir").arg(folder).start()
    };
    let mut other = second(&cluster.data());
    other.wait_for("is in use by process [0-9]+", SOON).await;
    assert_eq!(other.wait_exit(SOON).await.code(), Some(69));
    let copy = cluster.folder.path().join("copy");
    std::fs::create_dir(&copy).expect("a folder");
    let mut bytes = std::fs::read(cluster.data().join("view")).expect("a kept view");
    bytes[9] ^= 1;
    std::fs::write(copy.join("view"), bytes).expect("a damaged view");
    let mut other = second(&copy);
    other.wait_for("damaged: its checksum does not fit", SOON).await;
    assert_eq!(other.wait_exit(SOON).await.code(), Some(69));
}

#[tokio::test]
async fn a_demo_remembers_its_cluster() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut births = Vec::new();
    for _ in 0..2 {
        let builder =
            Process::builder(&*BINARY, &["demo", "--port", "0", "--nodes", "2"]).arg("--data-dir").arg(folder.path());
        let server = ringway_testkit::Server::start(configured(builder, "[cluster]\nslots = 256\n"), CHANGE).await;
        server.settled(2).await;
        births
            .push(server.places(&["user=bob".to_owned(), "user=ann".to_owned(), "key=room".to_owned()]).await.unwrap());
        server.process.kill();
    }
    assert_eq!(births[0], births[1], "everybody belongs where they belonged");
}

async fn table(rows: &[Row], is_kept: bool) {
    let mut cluster = Cluster::start(is_kept).await;
    for &(who, how, away) in rows {
        println!("{:?} {how:?}, back after {away:?}, data folder: {is_kept}", names(who));
        cluster.row(who, how, away).await;
    }
    cluster.look_at_logs();
}

fn names(who: &[usize]) -> Vec<&'static str> {
    who.iter().map(|at| MEMBERS[*at]).collect()
}

pub(crate) struct Cluster {
    /// What each member is started from.
    pub(crate) programs: [String; 4],
    /// Outlives every process.
    folder: TempDir,
    is_kept: bool,
    processes: Vec<Option<Process>>,
    /// Where clients reach the gateways.
    pub(crate) clients: [SocketAddr; 2],
    /// Where members are reached.
    links: [String; 4],
    /// What every process wrote to its log, of those that have ended.
    logs: Vec<(usize, String)>,
    /// Who listens on the second gateway.
    listener: Option<CentrifugeClient>,
    number: u64,
}

impl Cluster {
    pub(crate) async fn start(is_kept: bool) -> Self {
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut cluster = Self {
            programs: std::array::from_fn(|_| BINARY.clone()),
            folder: tempfile::tempdir().expect("a folder"),
            is_kept,
            processes: Vec::new(),
            clients: [anywhere; 2],
            links: std::array::from_fn(|_| anywhere.to_string()),
            logs: Vec::new(),
            listener: None,
            number: 0,
        };
        for at in 0..MEMBERS.len() {
            let mut process = cluster.command(at).start();
            let link = process.wait_for(r"members address=([0-9.]+:[0-9]+)", SOON).await;
            cluster.links[at] = link[1].clone();
            if at < 2 {
                let found = process.wait_for(r"http://([0-9.]+:[0-9]+)/", SOON).await;
                cluster.clients[at] = found[1].parse().expect("an address, by the pattern");
            }
            cluster.processes.push(Some(process));
        }
        cluster.served(CHANGE).await;
        cluster.listen().await;
        cluster
    }

    /// The command of a member: the same each time, with the ports that it was given the first time.
    fn command(&self, at: usize) -> Builder {
        let port = if at < 2 { self.clients[at].port().to_string() } else { String::new() };
        let arguments: Vec<&str> = match at {
            0 => vec!["gateway", "--port", &port],
            1 => vec!["gateway", "--port", &port, "--join", &self.links[0]],
            _ => vec!["node", "--join", &self.links[0]],
        };
        let builder = Process::builder(&self.programs[at], &arguments);
        let builder = builder.arg("--id").arg(MEMBERS[at]).arg("--link-listen").arg(&self.links[at]);
        let builder = builder.env("RINGWAY_SECRET", SECRET).env("RINGWAY_API_KEY", KEY);
        let builder = if self.is_kept && at == 0 { builder.arg("--data-dir").arg(self.data()) } else { builder };
        configured(builder, CONFIG)
    }

    fn data(&self) -> std::path::PathBuf {
        Path::new(self.folder.path()).join("data")
    }

    async fn listen(&mut self) {
        let mut client = CentrifugeClient::connect(self.clients[1]).await.expect("a client");
        client.subscribe("kept:0").await.expect("a subscription");
        self.listener = Some(client);
    }

    pub(crate) async fn row(&mut self, who: &[usize], how: How, away: Duration) {
        let before = self.history(1, "kept:0").await.expect("served before");
        for at in who {
            let process = self.processes[*at].as_ref().expect("it runs");
            match how {
                How::Killed => process.kill(),
                How::Stopped => process.terminate(),
            }
        }
        for at in who {
            let mut ended = self.processes[*at].take().expect("it runs");
            ended.wait_exit(CHANGE).await;
            self.logs.push((*at, ended.stderr()));
        }
        // The time is what this row is about.
        tokio::time::sleep(away).await;
        for at in who {
            self.processes[*at] = Some(self.command(*at).start());
        }
        let nodes_lost = who.iter().filter(|at| **at >= 2).count() == 2;
        let waits = nodes_lost && (self.is_kept || !who.contains(&0));
        let took = self.served(if waits { BACK_ANEW } else { BACK }).await;
        println!("{:?}, {how:?} for {away:?}, data folder {}: served again after {took:.2?}", names(who), self.is_kept);
        let after = self.history(1, "kept:0").await.expect("served");
        let goes_on = !nodes_lost && (self.is_kept || !who.contains(&0));
        assert_eq!(before["epoch"] == after["epoch"], goes_on, "{before} and then {after}");
        self.heard(who.contains(&1)).await;
        self.settled().await;
    }

    /// Waits until every slot has its copies, and for some pings more: what nodes say of themselves is no older.
    async fn settled(&self) {
        let since = std::cell::Cell::new(None);
        eventually_ok(CHANGE, || async {
            let metrics = http::get(self.clients[0], "/metrics", &[]).await?;
            let unsettled = metrics.metric("ringway_node_slots_unsettled");
            if unsettled.len() != 2 || unsettled.values().any(|slots| *slots != 0.0) {
                since.set(None);
                anyhow::bail!("unsettled: {unsettled:?}");
            }
            let before: Instant = since.get().unwrap_or_else(Instant::now);
            since.set(Some(before));
            ensure!(before.elapsed() >= CALM, "settled, but not for long yet");
            Ok(())
        })
        .await;
    }

    /// Waits until both gateways say that they are well and take publications for every channel, which the other one then has.
    async fn served(&mut self, limit: Duration) -> Duration {
        for process in self.processes.iter_mut().flatten() {
            process.wait_for(r"members address=", CHANGE).await;
        }
        let up = Instant::now();
        let mut number = self.number;
        eventually_ok(limit, || {
            number += 1;
            let number = number;
            let this = &*self;
            async move { this.serves(number).await }
        })
        .await;
        self.number = number;
        up.elapsed()
    }

    async fn serves(&self, number: u64) -> anyhow::Result<()> {
        for addr in self.clients {
            let health = http::get(addr, "/health", &[]).await?;
            ensure!(health.status == 200, "{addr}: {}", health.text());
        }
        for channel in 0..CHANNELS {
            let (from, to) = (channel % 2, (channel + 1) % 2);
            let channel = format!("kept:{channel}");
            self.api(from, "publish", json!({"channel": channel, "data": number})).await?;
            let page = self.history(to, &channel).await?;
            let last = &page["publications"][0]["data"];
            ensure!(*last == json!(number), "{channel} of the other gateway has {last}");
        }
        Ok(())
    }

    /// The last publication of a channel with its epoch.
    async fn history(&self, gateway: usize, channel: &str) -> anyhow::Result<Value> {
        self.api(gateway, "history", json!({"channel": channel, "limit": 1, "reverse": true})).await
    }

    pub(crate) async fn api(&self, gateway: usize, method: &str, body: Value) -> anyhow::Result<Value> {
        let path = format!("/api/{method}");
        let answer = http::post(self.clients[gateway], &path, &[("x-api-key", KEY)], &body).await?;
        let mut answer = answer.json()?;
        ensure!(answer.get("error").is_none(), "{method} at gateway {gateway}: {answer}");
        Ok(answer["result"].take())
    }

    /// The listener hears what is published now: over its socket, or a new one if its gateway ended.
    async fn heard(&mut self, is_gone: bool) {
        if is_gone {
            let mut client = self.listener.take().expect("somebody listens");
            client.wait_closed(SOON).await.expect("its gateway has ended");
            self.listen().await;
        }
        self.number += 1;
        let number = json!(self.number);
        self.api(0, "publish", json!({"channel": "kept:0", "data": number})).await.expect("it is served");
        let client = self.listener.as_mut().expect("somebody listens");
        eventually_ok(SOON, || async {
            let got = client.publications("kept:0");
            ensure!(got.iter().any(|one| one.data == number), "not {number} among {}", got.len());
            Ok(())
        })
        .await;
        assert!(client.closed().is_none(), "its gateway did not end: {:?}", client.closed());
    }

    pub(crate) fn look_at_logs(&self) {
        let running =
            self.processes.iter().enumerate().filter_map(|(at, process)| Some((at, process.as_ref()?.stderr())));
        for (at, log) in self.logs.iter().cloned().chain(running) {
            assert!(!log.contains("panicked"), "{}:\n{log}", MEMBERS[at]);
            // Where both copies are lost for a while a person must know; nothing else is that bad.
            let errors = log.lines().filter(|line| line.contains("ERROR") && !line.contains("health is failing"));
            assert_eq!(errors.collect::<Vec<_>>(), Vec::<&str>::new(), "{}", MEMBERS[at]);
            assert_eq!(ringway_testkit::log::repeats(&log), Vec::<String>::new(), "{}", MEMBERS[at]);
        }
    }
}
