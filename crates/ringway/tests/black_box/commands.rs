//! The command line beside a cluster: which demo it finds, what a demo prints to be pasted, and what is said of a config.

use std::os::unix::fs::symlink;
use std::process::Command;

use ringway_testkit::process::Builder;
use ringway_testkit::{CentrifugeClient, Process, Server, eventually};
use serde_json::Value;

use crate::support::{BINARY, CHANGE, SOON, command, configured, demo_builder, output, ringway};

/// A second demo of the user who started the first one.
async fn beside(first: &Server) -> Server {
    let home = |builder: Builder, name| builder.env(name, first.process.dir());
    let builder = ["HOME", "XDG_RUNTIME_DIR"].into_iter().fold(demo_builder(1), home);
    Server::start(builder, CHANGE).await
}

/// The address of the demo that a command finds, and what it says about it.
async fn found(first: &Server, args: &[&str]) -> (String, String) {
    let output = ringway(first.process.dir(), &[&["members", "--json"], args].concat()).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{args:?}: {said}");
    let members: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let mut members = members["members"].as_array().expect("members").iter();
    let gateway = members.find(|member| member["id"] == "gateway-0").expect("a gateway");
    (gateway["address"].as_str().expect("an address").to_owned(), said)
}

#[tokio::test]
async fn of_several_demos_the_newest_is_taken_and_each_can_be_named() {
    let first = Server::start(demo_builder(1), CHANGE).await;
    let mut second = beside(&first).await;
    let at = |server: &Server| server.addr().to_string();
    let (one, other) = (format!("http://{}", at(&first)), format!("http://{}", at(&second)));
    let (address, said) = found(&first, &[]).await;
    assert_eq!(address, at(&second), "the newest");
    assert!(said.contains(&other) && said.contains(&format!("--url {one}")), "which, and how to choose: {said}");
    let (address, said) = found(&first, &["--url", &one]).await;
    assert_eq!((address, said.as_str()), (at(&first), ""), "its token is known");
    // Killed, it stays in the table of processes until this test waits for it.
    second.process.kill();
    eventually(SOON, || async { (!ringway_testkit::process::alive(second.process.pid())).then_some(()) }).await;
    let (address, said) = found(&first, &[]).await;
    assert_eq!((address, said.as_str()), (at(&first), ""), "one that has ended is not found");
    second.process.wait_exit(SOON).await;
    let mut third = beside(&first).await;
    third.process.terminate();
    assert!(third.process.wait_exit(SOON).await.success());
    assert_eq!(found(&first, &[]).await.0, at(&first), "the end of one leaves the others to be found");
}

/// The commands that a demo printed.
fn printed(demo: &Process) -> Vec<String> {
    let text = demo.stdout();
    let lines = text.lines().skip_while(|line| !line.contains("Open that page")).take(4);
    lines.map(|line| line.trim_start().trim_start_matches("Open that page, then").trim_start().to_owned()).collect()
}

/// A line as the user who started the demo types it.
fn in_shell(demo: &Process, line: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", line]);
    for (name, value) in command(demo.dir()).get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell
}

#[tokio::test]
async fn what_a_demo_prints_can_be_pasted() {
    let mut demo = Server::start(demo_builder(2), CHANGE).await;
    demo.settled(2).await;
    demo.process.wait_for("Ctrl-C stops", SOON).await;
    let commands = printed(&demo.process);
    assert!(commands.len() == 4 && commands.iter().all(|line| line.starts_with(&*BINARY)), "{commands:?}");
    for line in commands {
        // Without a terminal it has no end.
        let line = if line.ends_with(" top") { format!("{line} --count 1") } else { line };
        let output = output(in_shell(&demo.process, &line)).await;
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let page = demo.process.wait_for("http://[^ ]+#token=[^ ]+", SOON).await.remove(0);
    let elsewhere = tempfile::tempdir().unwrap();
    let output = ringway(elsewhere.path(), &["members", "--url", &page]).await;
    assert!(output.status.success(), "{page}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A directory with this program in it, as it is installed.
fn installed() -> tempfile::TempDir {
    let bin = tempfile::tempdir().expect("a directory");
    symlink(&*BINARY, bin.path().join("ringway")).expect("a link");
    bin
}

/// The commands that the README has for a running demo, in their order.
fn of_the_readme() -> Vec<String> {
    let readme = include_str!("../../../../README.md");
    let blocks = readme.split("```").skip(1).step_by(2).filter_map(|block| block.strip_prefix("sh\n"));
    let lines =
        blocks.flat_map(str::lines).filter(|line| line.starts_with("ringway ") && !line.contains("ringway demo"));
    let inline = readme.split('`').filter(|code| code.starts_with("ringway node"));
    lines.chain(inline).map(str::to_owned).collect()
}

#[tokio::test]
async fn the_readmes_commands_work_as_printed() {
    let builder = Process::builder(&*BINARY, &["demo", "--port", "0", "--gateways", "2"]);
    let demo = Server::start(configured(builder, "[cluster]\nslots = 1024\n"), CHANGE).await;
    demo.settled(3).await;
    let bin = installed();
    let path = format!("{}:{}", bin.path().display(), std::env::var("PATH").unwrap());
    let commands = of_the_readme();
    assert!(commands.len() >= 7 && commands.last().unwrap().contains("gateway-1"), "{commands:?}");
    for line in commands {
        let mut shell = in_shell(&demo.process, &line);
        shell.env("PATH", &path);
        let output = output(shell).await;
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    }
    demo.wait_state("gateway-1", "down", SOON).await;
    let mut client = CentrifugeClient::connect(demo.addr()).await.unwrap();
    client.subscribe("news").await.unwrap();
    client.publish("news", serde_json::json!({"hello": "world"})).await.unwrap();
    assert_eq!(client.wait_publications("news", 1, SOON).await.unwrap()[0].offset, 1);
}

#[tokio::test]
async fn where_it_is_installed_a_demo_prints_its_name() {
    let bin = installed();
    let mut demo = Server::start(demo_builder(1).env("PATH", bin.path()), CHANGE).await;
    demo.process.wait_for("Ctrl-C stops", SOON).await;
    assert_eq!(
        printed(&demo.process),
        ["ringway members", "ringway top", "ringway node add", "ringway send bob hello"]
    );
}

#[tokio::test]
async fn a_config_is_checked_without_starting_anything() {
    let home = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = home.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let check = async |args: &[&str]| {
        let output = ringway(home.path(), &[&["config", "check"], args].concat()).await;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let good = file("good.toml", "[server]\nport = 0\n");
    assert_eq!(check(&[&good]).await, (Some(0), format!("{good}: no faults\n"), String::new()));
    let (code, told, _) = check(&[&good, "--json"]).await;
    assert_eq!(
        (code, serde_json::from_str(&told).unwrap()),
        (Some(0), serde_json::json!({"file": good, "faults": []}))
    );
    let bad = file(
        "bad.toml",
        "[server]\nprot = 1\nport: 2\n[client]\nanonymous = 5\n[ack]\ncopies = 2\n[cluster]\nreplicas = 1",
    );
    let faults = ["line 3", "`server.prot`", "`client.anonymous`", "`ack.copies`"];
    let (code, told, why) = check(&[&bad]).await;
    assert_eq!((code, told.as_str()), (Some(64), ""));
    assert!(faults.iter().all(|fault| why.contains(fault)), "{why}");
    let (code, told, _) = check(&[&bad, "--json"]).await;
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((code, told["faults"].as_array().unwrap().len()), (Some(64), faults.len()), "{told}");
    let (code, told, why) = check(&["/nowhere/ringway.toml", "--json"]).await;
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((code, told["faults"].as_array().unwrap().len()), (Some(64), 1), "{told}");
    assert!(why.contains("/nowhere/ringway.toml"), "{why}");
    // Over the open config a line can be right that is wrong over the closed one.
    let open = file(
        "open.toml",
        "[channels.without_namespace]\nenabled = true\nforce_recovery = true\nallow_history_for_subscriber = true\nallow_history_for_anonymous = true\n",
    );
    assert_eq!((check(&[&open]).await.0, check(&[&open, "--dev"]).await.0), (Some(64), Some(0)));
}

#[tokio::test]
async fn who_waits_in_vain_says_so_at_the_start() {
    for (args, config, words) in [
        (
            &["gateway"][..],
            "[client]\nallow_anonymous_connect_without_token = true\n",
            &["nobody can join", "RINGWAY_SECRET"][..],
        ),
        (
            &["serve"],
            "",
            &[
                "no client can connect",
                "hmac_secret_key",
                "allow_anonymous_connect_without_token",
                "[plain] enabled",
                "[http_api] key",
            ],
        ),
    ] {
        let builder = Process::builder(&*BINARY, args).env("RINGWAY_LINK_LISTEN", "127.0.0.1:0");
        let mut process = configured(builder, config).arg("--port").arg("0").start();
        process.wait_for("http://127.0.0.1", SOON).await;
        let line = process.wait_for(&format!(".*{}.*", words[0]), SOON).await.remove(0);
        assert!(words.iter().all(|word| line.contains(word)), "{args:?}: {line}");
    }
    let open = Process::builder(&*BINARY, &["serve", "--dev", "--port", "0"]).env("RINGWAY_LINK_LISTEN", "127.0.0.1:0");
    let mut open = open.start();
    open.wait_for("http://127.0.0.1", SOON).await;
    assert!(!open.stderr().contains("can connect here"), "{}", open.stderr());
}
