//! `ringway doctor`: what it finds, what it makes of it, and with which code it ends.

use std::net::TcpListener;
use std::path::Path;
use std::process::Output;

use ringway_testkit::{NatsServers, Process, Server, eventually, http};
use serde_json::Value;

use crate::support::{BINARY, CHANGE, SOON, command, configured, demo, output, ringway};

/// A config of which no other test has a port.
const ANY_PORTS: &str = "[server]\nport = 0\n[cluster]\nlink_listen = \"127.0.0.1:0\"\n";

/// What was found, as `--json` tells it.
pub(crate) struct Found {
    pub(crate) code: Option<i32>,
    pub(crate) findings: Vec<Value>,
    stderr: String,
}

impl Found {
    fn of(output: &Output) -> Self {
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let document: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|why| panic!("{why}: {stderr}"));
        let findings = document["findings"].as_array().expect("findings").clone();
        for finding in &findings {
            let has_advice = !finding["do"].as_str().expect("a text").is_empty();
            assert!(has_advice || ["ok", "note"].iter().any(|level| finding["level"] == *level), "{finding}");
        }
        Self { code: output.status.code(), findings, stderr }
    }

    /// The levels of what was found under this word.
    pub(crate) fn levels(&self, what: &str) -> Vec<&str> {
        let its = self.findings.iter().filter(|finding| finding["what"] == what);
        its.map(|finding| finding["level"].as_str().expect("a level")).collect()
    }

    #[track_caller]
    pub(crate) fn has(&self, what: &str, level: &str) {
        assert_eq!(self.levels(what), [level], "{what}: {:#?}", self.findings);
    }

    fn seen(&self, what: &str) -> &str {
        let its = self.findings.iter().find(|finding| finding["what"] == what);
        its.and_then(|finding| finding["seen"].as_str()).unwrap_or_default()
    }

    fn faults(&self) -> Vec<&str> {
        let faults = self.findings.iter().filter(|finding| finding["level"] == "fault");
        faults.filter_map(|finding| finding["what"].as_str()).collect()
    }
}

async fn doctor(home: &Path, args: &[&str]) -> Found {
    Found::of(&ringway(home, &[&["doctor", "--json"], args].concat()).await)
}

/// With this config.
pub(crate) async fn looked_at(home: &Path, config: &str, args: &[&str]) -> Found {
    let file = home.join("looked-at.toml");
    std::fs::write(&file, config).expect("a file in a fresh directory");
    let file = file.to_str().expect("a path of UTF-8");
    doctor(home, &[&["--config", file], args].concat()).await
}

#[tokio::test]
async fn doctor_finds_the_running_demo_well() {
    let demo = demo(2).await;
    let home = demo.process.dir();
    // A demo without a file has other ports than a member without one, and those may be taken here.
    let url = format!("http://{}", demo.addr());
    let found = doctor(home, &["--url", &url]).await;
    assert_eq!((found.code, found.stderr.as_str()), (Some(0), ""), "{:#?}", found.findings);
    for what in ["health", "version", "links", "clock", "members", "epoch"] {
        found.has(what, "ok");
    }
    assert!(found.levels("open_files").is_empty(), "of a member elsewhere this machine says nothing");
    let people = ringway(home, &["doctor", "--url", &url]).await;
    let told = String::from_utf8_lossy(&people.stdout).into_owned();
    assert!(people.status.success() && told.contains("ok        members\n") && !told.contains('\x1b'), "{told}");

    let stranger = tempfile::tempdir().unwrap();
    let found = doctor(stranger.path(), &["--url", &url]).await;
    found.has("members", "note");
    let found = doctor(stranger.path(), &["--url", &url, "--token", "a wrong one"]).await;
    found.has("members", "warning");
    assert_eq!(found.code, Some(0), "warnings are no faults");

    assert!(demo.admin_post("/admin/members/node-2/kill").await.unwrap().status < 300);
    eventually(CHANGE, || async {
        let found = doctor(home, &["--url", &url]).await;
        (found.levels("members") == ["warning"] && found.seen("members").contains("node-2")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn doctor_tells_every_fault_of_a_config() {
    let home = tempfile::tempdir().unwrap();
    let wrong = "[server]\nprot = 1\nport: 2\n[client]\nanonymous = 5\n[admin]\ntoken = \"short\"\n";
    let found = looked_at(home.path(), wrong, &[]).await;
    assert_eq!(found.code, Some(64));
    assert_eq!(found.levels("config"), ["fault"; 4], "{:#?}", found.findings);
    assert!(found.stderr.contains("4 fault(s)"), "{}", found.stderr);
    assert_eq!(
        (found.levels("somaxconn").len(), found.levels("port_clients").len()),
        (1, 0),
        "the machine is looked at"
    );

    let found = looked_at(home.path(), &format!("{ANY_PORTS}[inbox]\ndurability = \"log\"\n"), &[]).await;
    assert_eq!(found.code, Some(64));
    found.has("log_place", "fault");
    let folder = home.path().join("data");
    let with = format!("{ANY_PORTS}[inbox]\ndurability = \"log\"\n");
    let found = looked_at(home.path(), &with, &["--data-dir", folder.to_str().unwrap()]).await;
    assert_eq!(found.code, Some(0), "{:#?}", found.findings);
    found.has("config", "ok");
    found.has("data_folder", "note");

    let mut short = command(home.path());
    short.args(["doctor", "--json"]).env("RINGWAY_SECRET", "too short");
    let found = Found::of(&output(short).await);
    assert_eq!(found.code, Some(64));
    found.has("secret", "fault");
    assert!(!format!("{:?}", found.findings).contains("too short"), "it is not shown");

    let found = doctor(home.path(), &["--config", "/nowhere/ringway.toml"]).await;
    assert_eq!(found.code, Some(64));
    found.has("config", "fault");
}

#[tokio::test]
async fn doctor_tells_a_port_in_use_from_a_member_that_runs() {
    let home = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let config = |port: u16| format!("[server]\nport = {port}\n[cluster]\nlink_listen = \"127.0.0.1:0\"\n");
    let found = looked_at(home.path(), &config(port), &[]).await;
    assert_eq!((found.code, found.faults()), (Some(1), vec!["port_clients"]), "{:#?}", found.findings);

    let builder = Process::builder(&*BINARY, &["serve", "--port", "0"]).env("RINGWAY_LINK_LISTEN", "127.0.0.1:0");
    let server =
        Server::start(configured(builder, "[client]\nallow_anonymous_connect_without_token = true\n"), SOON).await;
    server.settled(1).await;
    let found = looked_at(home.path(), &config(server.addr().port()), &[]).await;
    assert_eq!(found.code, Some(0), "{:#?}", found.findings);
    found.has("port_clients", "ok");
    found.has("health", "ok");
    assert!(found.seen("port_clients").contains("ringway-1"), "{}", found.seen("port_clients"));
    assert_eq!(http::get(server.addr(), "/health", &[]).await.unwrap().status, 200);
}

#[tokio::test]
async fn doctor_looks_at_the_data_folder() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("data");
    let file = home.path().join("file");
    std::fs::write(&file, "").unwrap();
    let at = async |path: &Path| looked_at(home.path(), ANY_PORTS, &["--data-dir", path.to_str().unwrap()]).await;
    // Nobody may write to the second one, not even the system's first user.
    for wrong in [file.as_path(), Path::new("/proc")] {
        let found = at(wrong).await;
        assert_eq!((found.code, found.levels("data_folder")), (Some(1), vec!["fault"]), "{:#?}", found.findings);
    }

    let builder = Process::builder(&*BINARY, &["serve", "--port", "0"]).env("RINGWAY_LINK_LISTEN", "127.0.0.1:0");
    let builder = builder.arg("--data-dir").arg(&folder);
    let server = Server::start(
        configured(builder, "[client]\nallow_anonymous_connect_without_token = true\n[inbox]\ndurability = \"log\"\n"),
        SOON,
    )
    .await;
    server.settled(1).await;
    let found = at(&folder).await;
    found.has("data_folder", "ok");
    found.has("data_lock", "note");
    assert!(found.seen("data_lock").contains(&server.process.pid().to_string()), "{}", found.seen("data_lock"));
    found.has("log_size", "ok");
    assert_eq!((found.levels("fsync").len(), found.levels("disk").len(), found.levels("lost_log").len()), (1, 1, 0));

    std::fs::write(folder.join("lost-log-1"), "").unwrap();
    let found = at(&folder).await;
    found.has("lost_log", "warning");
    assert!(found.seen("lost_log").contains("lost-log-1"));
}

#[tokio::test]
async fn doctor_says_that_nobody_answers() {
    let home = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/#token=not-to-be-seen", listener.local_addr().unwrap());
    drop(listener);
    let found = doctor(home.path(), &["--url", &url]).await;
    assert_eq!((found.code, found.faults()), (Some(1), vec!["health"]));
    let nats =
        format!("{ANY_PORTS}[nats]\nurls = [\"nats://127.0.0.1:1\"]\nuser = \"me\"\npassword = \"not-to-be-seen\"\n");
    let config = nats.replace("[cluster]\n", "[cluster]\nengine = \"nats\"\n");
    let nats = looked_at(home.path(), &config, &[]).await;
    assert_eq!((nats.code, nats.faults()), (Some(1), vec!["nats"]), "{:#?}", nats.findings);
    let all = format!("{:?}{}{:?}{}", found.findings, found.stderr, nats.findings, nats.stderr);
    assert!(!all.contains("not-to-be-seen"), "{all}");
}

#[tokio::test]
#[ignore = "needs a NATS server"]
async fn nats_is_inspected_by_the_doctor() {
    let monitor = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let servers = NatsServers::start(1, &["-m", &monitor.to_string(), "--user", "me", "--pass", "not-to-be-seen"]);
    let home = tempfile::tempdir().unwrap();
    let config = |password: &str| {
        format!(
            "[cluster]\nengine = \"nats\"\nlink_listen = \"127.0.0.1:0\"\n[server]\nport = 0\n[client]\nallow_anonymous_connect_without_token = true\n\
             [nats]\nurls = {:?}\nuser = \"me\"\npassword = \"{password}\"\n",
            servers.urls()
        )
    };
    let right = config("not-to-be-seen");
    // The server takes a moment to start.
    let found = eventually(SOON, || async {
        let found = looked_at(home.path(), &right, &[]).await;
        (found.levels("nats") == ["note"]).then_some(found)
    })
    .await;
    assert_eq!(found.code, Some(0), "{:#?}", found.findings);
    for (what, level) in [("nats_version", "ok"), ("jetstream", "ok"), ("nats_payload", "ok"), ("nats_sync", "note")] {
        found.has(what, level);
    }
    for stream in ["stream_view", "stream_leases", "stream_log"] {
        found.has(stream, "note");
        assert!(found.seen(stream).contains("no stream RINGWAY_ringway_"), "nothing was made: {}", found.seen(stream));
    }

    let builder =
        Process::builder(&*BINARY, &["gateway", "--id", "g-1"]).env("RINGWAY_SECRET", "known between members");
    let _server = Server::start(configured(builder, &right), CHANGE).await;
    let monitor = format!("http://127.0.0.1:{monitor}");
    let found = looked_at(home.path(), &right, &["--monitor", &monitor]).await;
    assert_eq!(found.code, Some(0), "{:#?}", found.findings);
    for (what, level) in
        [("stream_view", "ok"), ("stream_leases", "ok"), ("stream_log", "note"), ("nats_sync", "warning")]
    {
        found.has(what, level);
    }
    let refused = looked_at(home.path(), &config("not-this-one"), &[]).await;
    assert_eq!((refused.code, refused.faults()), (Some(1), vec!["nats"]), "{:#?}", refused.findings);
    let all = format!("{:?}{:?}{}", found.findings, refused.findings, refused.stderr);
    assert!(!all.contains("not-to-be-seen") && !all.contains("not-this-one"), "{all}");
}
