//! The real binary: how it starts, how it refuses to, how its command line finds it, and how it ends with all its children.

use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

use ringway_testkit::process::{alive, freeze};
use ringway_testkit::{Process, eventually};

const BINARY: &str = env!("CARGO_BIN_EXE_ringway");
/// Longest wait for anything, on a busy machine.
const SOON: Duration = Duration::from_secs(30);
/// What is promised of Ctrl-C.
const STOP: Duration = Duration::from_secs(5);
/// Small slot tables: what they hold is not the question here.
const FEW_SLOTS: &str = "[cluster]\nslots = 256\n";

/// A demo that is healthy, with its two children.
async fn demo() -> (Process, Vec<u32>) {
    let builder = Process::builder(BINARY, &["demo", "--nodes", "2", "--port", "0"]);
    let config = builder.file("few.toml", FEW_SLOTS);
    let mut demo = builder.arg("--config").arg(config).start();
    demo.wait_for(r"http://127.0.0.1:\d+/#token=\w+", SOON).await;
    let children = demo.descendants();
    assert_eq!(children.len(), 2, "{children:?}");
    (demo, children)
}

/// Runs a client command as the demo's user does; gives its exit code and what it wrote.
fn client(demo: &Process, args: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(BINARY);
    command.args(args);
    for home in ["HOME", "XDG_RUNTIME_DIR"] {
        command.env(home, demo.dir());
    }
    let output = command.output().expect("the binary can be started");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), text)
}

async fn gone(children: &[u32], limit: Duration) {
    eventually(limit, || async { children.iter().all(|child| !alive(*child)).then_some(()) }).await;
}

#[tokio::test]
async fn a_killed_demo_takes_its_children_along_frozen_ones_included() {
    let (mut demo, children) = demo().await;
    assert!(freeze(children[0]));
    demo.kill();
    gone(&children, SOON).await;
    demo.wait_exit(SOON).await;
}

#[tokio::test]
async fn ctrl_c_ends_everything_in_time_frozen_children_included() {
    let (mut demo, children) = demo().await;
    assert!(freeze(children[1]));
    let begin = Instant::now();
    demo.interrupt();
    assert_eq!(demo.wait_exit(SOON).await.code(), Some(0));
    assert!(begin.elapsed() < STOP, "{:?}", begin.elapsed());
    assert!(children.iter().all(|child| !alive(*child)));
    let (code, text) = client(&demo, &["members"]);
    assert_eq!(code, Some(69), "{text}");
}

#[tokio::test]
async fn the_command_line_finds_the_demo_by_itself() {
    let (demo, _) = demo().await;
    for (args, words) in [
        (&["members"][..], &["gateway-0", "node-1", "node-2", "active"][..]),
        (&["members", "--json"], &["\"orchestrator\":true", "\"epoch\":"]),
        (&["ring", "--user", "bob"], &["#bob lies in slot", "owner node-"]),
        (&["ring"], &["node-1", "node-2", "####"]),
        (&["send", "bob", "hello"], &["sent to bob"]),
        (&["top", "--count", "1"], &["3 of 3 members active"]),
        (&["node", "add"], &["node-3 is starting"]),
        (&["node", "kill", "node-2"], &["node-2 was killed"]),
        (&["node", "remove", "node-2"], &["node-2 is forgotten"]),
    ] {
        let (code, text) = client(&demo, args);
        assert_eq!(code, Some(0), "{args:?}: {text}");
        for word in words {
            assert!(text.contains(word), "{args:?}: no {word:?} in {text}");
        }
    }
    let (code, text) = client(&demo, &["node", "kill", "gateway-0"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("Ctrl-C"), "{text}");
    let (code, text) = client(&demo, &["members", "--token", "wrong"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("not the admin token"), "{text}");
}

#[tokio::test]
async fn a_port_in_use_is_told() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for command in [&["demo", "--port", port.as_str()][..], &["serve", "--port", port.as_str()]] {
        let mut process = Process::start(BINARY, command);
        assert_eq!(process.wait_exit(SOON).await.code(), Some(69), "{}", process.stderr());
        assert!(process.stderr().contains(&format!("127.0.0.1:{port}")), "{}", process.stderr());
    }
}

#[tokio::test]
async fn faults_in_the_config_are_told_all_at_once() {
    for command in ["demo", "serve", "gateway", "node"] {
        let builder = Process::builder(BINARY, &[command]);
        let config = builder.file("bad.toml", "[sever]\n[client]\nanonymous = 5\n");
        let mut process = builder.arg("--config").arg(config).start();
        assert_eq!(process.wait_exit(SOON).await.code(), Some(64), "{command}: {}", process.stderr());
        for words in ["bad.toml", "`sever`", "`server`", "`client.anonymous`"] {
            assert!(process.stderr().contains(words), "{command}: no {words} in {}", process.stderr());
        }
    }
}

#[tokio::test]
async fn a_node_without_a_cluster_and_a_child_without_its_parent_end_at_once() {
    let mut node = Process::start(BINARY, &["node"]);
    assert_eq!(node.wait_exit(SOON).await.code(), Some(2));
    assert!(node.stderr().contains("--join"), "{}", node.stderr());
    let mut orphan =
        Process::builder(BINARY, &["node", "--join", "127.0.0.1:1"]).env("RINGWAY_PARENT_PID", "1").start();
    assert_eq!(orphan.wait_exit(SOON).await.code(), Some(69));
    assert!(orphan.stderr().contains("is gone"), "{}", orphan.stderr());
}
