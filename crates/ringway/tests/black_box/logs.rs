//! Logs: a person can read them, nothing comes again and again, and no member waits for whoever reads them.

use std::fs::OpenOptions;
use std::io::{self, BufRead, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use ringway_testkit::process::{Builder, full_pipe};
use ringway_testkit::{Process, Server, eventually, http, log};
use serde_json::Value;

use crate::support::{BINARY, CHANGE, SOON, configured, demo};

/// How often somebody who is refused knocks.
const KNOCKS: usize = 50;
/// A line that was held back comes after 10 s, on a busy machine a little later.
const HELD_BACK: Duration = Duration::from_secs(20);

fn serve() -> Builder {
    Process::builder(&*BINARY, &["serve", "--dev", "--port", "0"]).env("RINGWAY_LINK_LISTEN", "127.0.0.1:0")
}

/// The full device: writing to it fails as on a full disk.
fn full_disk() -> std::fs::File {
    OpenOptions::new().write(true).open("/dev/full").expect("Linux has it")
}

/// A pipe whose reader is gone.
fn closed_pipe() -> io::PipeWriter {
    io::pipe().expect("a pipe").1
}

/// Log lines that a process without a stdout that we could read has lost. It says in its log where it is.
async fn lost_by(process: &mut Process) -> (SocketAddr, f64) {
    let address =
        process.wait_for(r"listening for clients.* address=(\S+)", SOON).await[1].parse().expect("an address");
    let lost = eventually(SOON, || async {
        let health = http::get(address, "/health", &[]).await.ok()?;
        let metrics = http::get(address, "/metrics", &[]).await.ok()?.metric("ringway_log_lines_lost_total");
        (health.status == 200).then(|| metrics.values().sum())
    });
    (address, lost.await)
}

async fn ends(mut process: Process) {
    process.terminate();
    let status = process.wait_exit(SOON).await;
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn whoever_does_not_read_the_log_stops_nobody() {
    let (unread, stderr) = full_pipe();
    let server = Server::start(serve().stderr_to(stderr), SOON).await;
    server.settled(1).await;
    ends(server.process).await;
    drop(unread);
    for stderr in [full_disk().into(), std::process::Stdio::from(closed_pipe())] {
        let server = Server::start(serve().stderr_to(stderr), SOON).await;
        server.settled(1).await;
        let lost = server.metrics("ringway_log_lines_lost_total").await.unwrap();
        assert!(lost.values().sum::<f64>() >= 3.0, "{lost:?}");
        ends(server.process).await;
    }
}

#[tokio::test]
async fn whoever_does_not_read_stdout_stops_nobody() {
    let (unread, stdout) = full_pipe();
    let mut process = serve().stdout_to(stdout).start();
    lost_by(&mut process).await;
    ends(process).await;
    drop(unread);
    for stdout in [full_disk().into(), std::process::Stdio::from(closed_pipe())] {
        let mut process = serve().stdout_to(stdout).start();
        let (address, _) = lost_by(&mut process).await;
        eventually(SOON, || async {
            let lost = http::get(address, "/metrics", &[]).await.ok()?.metric("ringway_log_lines_lost_total");
            (lost.values().sum::<f64>() >= 1.0).then_some(())
        })
        .await;
        ends(process).await;
    }
}

#[tokio::test]
async fn a_demo_that_nobody_listens_to_goes_on() {
    let ((unread, stdout), (unheard, stderr)) = (full_pipe(), full_pipe());
    let builder = Process::builder(&*BINARY, &["demo", "--port", "0", "--nodes", "1"]);
    let process = builder.stdout_to(stdout).stderr_to(stderr).start();
    // The register that the command line finds it by is written when it is up.
    eventually(CHANGE, || async { process.dir().read_dir().ok()?.flatten().find_map(|entry| register(&entry.path())) })
        .await;
    ends(process).await;
    drop((unread, unheard));
}

/// A file in this directory, or in one in it, that tells where a demo is.
fn register(path: &std::path::Path) -> Option<()> {
    match path.is_dir() {
        true => path.read_dir().ok()?.flatten().find_map(|entry| register(&entry.path())),
        false => std::fs::read_to_string(path).ok().filter(|text| text.contains("http://127.0.0.1")).map(drop),
    }
}

#[tokio::test]
async fn a_process_that_cannot_start_says_so_to_whoever_listens_and_waits_for_nobody() {
    let (unread, stderr) = full_pipe();
    let builder =
        Process::builder(&*BINARY, &["serve", "--dev", "--port", "0"]).env("RINGWAY_LINK_LISTEN", "192.0.2.1:1");
    let mut process = builder.stderr_to(stderr).start();
    assert_eq!(process.wait_exit(SOON).await.code(), Some(69));
    drop(unread);
}

/// A demo whose members' logs have no room, by a shell that takes it away and then becomes the demo.
async fn demo_without_room(shell: Builder) -> Server {
    let server =
        Server::start(configured(shell, "[cluster]\nslots = 1024\n").env("RINGWAY_LOG", "debug"), CHANGE).await;
    server.settled(2).await;
    server.act("node-2", "kill").await.expect("it is killed");
    server.settled(1).await;
    server.act("node-2", "start").await.expect("it is started");
    server.settled(2).await;
    server
}

/// A shell that becomes the program with these arguments.
fn shell(script: &str, args: &[&str]) -> Builder {
    Process::builder("sh", &[&["-c", script, "sh", &BINARY], args].concat())
}

#[tokio::test]
async fn a_log_that_may_not_grow_ends_nobody() {
    // 1 KiB, by a limit whose signal ends a process that does not take it.
    let server = demo_without_room(shell("ulimit -f 2; exec \"$@\"", &["demo", "--port", "0", "--nodes", "2"])).await;
    let logs = server.process.logs();
    assert!(logs.iter().any(|(_, log)| log.len() == 1024), "none is full: {logs:?}");
    let lost = server.metrics("ringway_log_lines_lost_total").await.unwrap();
    assert!(lost.values().sum::<f64>() >= 1.0, "{lost:?}");
    ends(server.process).await;
    // Not even its first line can be written.
    let (said, stdout) = io::pipe().unwrap();
    let serve = shell("ulimit -f 0; exec \"$@\"", &["serve", "--dev", "--port", "0"]);
    let process = serve.env("RINGWAY_LINK_LISTEN", "127.0.0.1:0").stdout_to(stdout).start();
    let says = || io::BufReader::new(said).lines().map_while(Result::ok).any(|line| line.contains("http://127.0.0.1"));
    assert!(tokio::task::spawn_blocking(says).await.unwrap(), "it has ended");
    ends(process).await;
}

#[tokio::test]
async fn a_full_disk_ends_nobody() {
    // One page, on a disk that the demo alone sees.
    let mount = "mkdir state && exec unshare --map-root-user --mount sh -c \
                 'mount -t tmpfs -o size=4k none state && XDG_STATE_HOME=$PWD/state exec \"$@\"' sh";
    let possible = std::process::Command::new("unshare").args(["--map-root-user", "--mount", "true"]).status();
    if !possible.is_ok_and(|status| status.success()) {
        println!("SKIPPED: this user may not mount a small disk; the limit of a file's size stands for it");
        return;
    }
    let server = demo_without_room(shell(&format!("{mount} \"$@\""), &["demo", "--port", "0", "--nodes", "2"])).await;
    let root = format!("/proc/{}/root{}/state", server.process.descendants()[0], server.process.dir().display());
    let logs = files_below(root.as_ref());
    assert!(logs.len() == 2 && logs.contains(&0), "there was room: {logs:?}");
    ends(server.process).await;
}

/// Sizes of the files below a directory.
fn files_below(path: &std::path::Path) -> Vec<u64> {
    let entries = path.read_dir().into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.path() {
        path if path.is_dir() => files_below(&path),
        path => path.metadata().map(|file| file.len()).into_iter().collect(),
    });
    sizes.flatten().collect()
}

#[tokio::test]
async fn a_person_can_read_what_happened_to_a_cluster() {
    let demo = demo(2).await;
    demo.act("node-2", "kill").await.unwrap();
    demo.settled(1).await;
    demo.add().await.unwrap();
    demo.settled(2).await;
    demo.act("node-3", "freeze").await.unwrap();
    demo.wait_state("node-3", "down", CHANGE).await;
    demo.act("node-3", "thaw").await.unwrap();
    demo.settled(2).await;
    demo.act("node-1", "stop").await.unwrap();
    demo.wait_state("node-1", "down", CHANGE).await;
    let mut logs = demo.process.logs();
    logs.push(("stderr".into(), demo.process.stderr()));
    assert_eq!(logs.len(), 4, "{logs:?}");
    for (path, log) in &logs {
        assert_eq!(log::unreadable(log), [""; 0], "{}", path.display());
        assert_eq!(log::repeats(log), [""; 0], "{}", path.display());
    }
    let told = demo.process.stderr();
    for words in
        ["node-2 lost; 1 node, 1 gateway", "node-3 joins; 2 nodes", "node-3 active", "node-1 drains", "node-1 left"]
    {
        assert!(told.contains(words), "no {words:?} in {told}");
    }
}

#[tokio::test]
async fn who_knocks_again_and_again_is_told_of_once_in_a_while() {
    let gateway = Process::builder(&*BINARY, &["gateway", "--port", "0"]).env("RINGWAY_SECRET", "a secret of members");
    let mut gateway = gateway.env("RINGWAY_LINK_LISTEN", "127.0.0.1:0").start();
    let found = gateway.wait_for(r"listening for members.* address=(\S+)", SOON).await;
    let links: SocketAddr = found[1].parse().unwrap();
    for _ in 0..KNOCKS {
        let mut stranger = TcpStream::connect(links).unwrap();
        stranger.write_all(&[b'x'; 64]).unwrap();
    }
    gateway
        .wait_for("no link with who dialed from=127.0.0.1 .* \\(49 times more in the last 10 s\\)$", HELD_BACK)
        .await;
    let log = gateway.stderr();
    assert_eq!(log.matches("no link with who dialed").count(), 2, "{log}");
    assert_eq!(log::repeats(&log), [""; 0], "{log}");
}

#[tokio::test]
async fn every_line_for_machines_is_an_object() {
    let json = |process: &Process| -> Vec<Value> {
        let log = process.stderr();
        log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line}"))).collect()
    };
    let builder = Process::builder(&*BINARY, &["demo", "--port", "0", "--nodes", "1", "--log-format", "json"]);
    let mut demo = Server::start(builder, CHANGE).await;
    demo.process.terminate();
    assert!(demo.process.wait_exit(SOON).await.success());
    let lines = json(&demo.process);
    let says =
        |text: &str| lines.iter().any(|line| line["fields"]["message"].as_str().unwrap_or_default().contains(text));
    assert!(lines.iter().all(|line| line["timestamp"].is_string() && line["level"].is_string()), "{lines:?}");
    assert!(says("starting 1 nodes") && says("node-1 joined"), "{lines:?}");
    for (config, code) in [("[nonsense]\n", 64), ("[server]\nlisten = \"192.0.2.1\"\n", 69)] {
        let builder = Process::builder(&*BINARY, &["serve", "--dev", "--port", "0", "--log-format", "json"]);
        let mut failing = configured(builder, config).start();
        assert_eq!(failing.wait_exit(SOON).await.code(), Some(code));
        assert_eq!(json(&failing).last().unwrap()["level"], "ERROR", "{}", failing.stderr());
    }
}
