//! The harness against a shell as the binary.

use super::*;
use crate::{eventually, eventually_ok};

const SOON: Duration = Duration::from_secs(10);

fn shell(script: &str) -> Builder {
    Process::builder("sh", &["-c", script])
}

#[tokio::test]
async fn lines_of_both_outputs_are_waited_for_and_exits_too() {
    let mut process = shell("echo \"port 42 in $WHERE\"; echo oh >&2; exit 3").env("WHERE", "town").start();
    assert_eq!(process.wait_for(r"port (\d+) in (\w+)", SOON).await, ["port 42 in town", "42", "town"]);
    assert_eq!(process.wait_for("^oh$", SOON).await, ["oh"]);
    assert_eq!(process.wait_exit(SOON).await.code(), Some(3));
}

#[tokio::test]
#[should_panic(expected = "without \"never\"")]
async fn waiting_for_an_ended_process_ends() {
    shell("echo bye").start().wait_for("never", SOON).await;
}

#[tokio::test]
async fn it_lives_in_its_own_directory_without_our_settings() {
    let builder = shell("cat hello; echo; env");
    builder.file("hello", "from a file");
    let mut process = builder.start();
    process.wait_for("from a file", SOON).await;
    assert!(process.wait_exit(SOON).await.success());
    assert!(!process.stdout().contains("RINGWAY_"));
    let dir = process.dir().to_owned();
    drop(process);
    assert!(!dir.exists());
}

#[tokio::test]
async fn it_can_be_frozen_thawed_and_told_to_end() {
    let mut process = shell("trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done").start();
    process.wait_for("ready", SOON).await;
    process.freeze();
    eventually(SOON, || async { state(process.pid()).filter(|state| *state == 'T') }).await;
    process.thaw();
    process.terminate();
    assert_eq!(process.wait_exit(SOON).await.code(), Some(7));
}

#[tokio::test]
async fn dropping_it_leaves_no_child_behind() {
    // A child in a session of its own, whose parent is gone: neither group nor parent lead to it.
    let mut process =
        shell("setsid sh -c 'echo $$; exec sleep 1000' & until [ -s stdout.log ]; do sleep 0.01; done").start();
    let child: u32 = process.wait_for(r"^\d+$", SOON).await[0].parse().unwrap();
    process.wait_exit(SOON).await;
    assert_eq!(process.descendants(), [child]);
    freeze(child);
    drop(process);
    eventually(SOON, || async { (!alive(child)).then_some(()) }).await;
}

#[tokio::test]
async fn the_watchdog_ends_what_a_killed_test_leaves() {
    let mut process = shell("sleep 1000 & echo $!; wait").start();
    let child: u32 = process.wait_for(r"^\d+$", SOON).await[0].parse().unwrap();
    // What the kernel does when the test dies.
    drop(process.watchdog.0.stdin.take());
    process.wait_exit(SOON).await;
    eventually_ok(SOON, || async { if alive(child) { Err("alive") } else { Ok(()) } }).await;
}
