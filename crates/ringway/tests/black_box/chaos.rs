//! `ringway chaos` on real processes: a short run keeps every promise, and nothing is left of it, however it ends.

use std::time::Duration;

use ringway_testkit::process::alive;
use ringway_testkit::{Process, eventually};
use serde_json::Value;

use crate::support::BINARY;

/// A run of a quarter of a minute, with its start, and the settling and draining at its end, on a busy machine.
const RUN_LIMIT: Duration = Duration::from_secs(120);
const SOON: Duration = Duration::from_secs(30);
/// Few clients: the faults are the question here.
const LOAD: [&str; 7] = ["chaos", "--clients", "60", "--plain", "40", "--rate", "200"];

async fn run(args: &[&str]) -> Value {
    let words: Vec<&str> = LOAD.iter().chain(args).copied().chain(["--json"]).collect();
    let mut chaos = Process::start(&*BINARY, &words);
    let status = chaos.wait_exit(RUN_LIMIT).await;
    assert!(status.success(), "{}\n{}", chaos.stderr(), chaos.stdout());
    assert_eq!(chaos.descendants(), Vec::<u32>::new(), "it leaves nobody behind");
    serde_json::from_str(&chaos.stdout()).expect("a report in JSON")
}

fn made(report: &Value) -> u64 {
    report["faults"].as_array().expect("kinds of faults").iter().filter_map(|kind| kind["count"].as_u64()).sum()
}

#[tokio::test]
async fn faults_of_all_kinds_break_no_promise() {
    let report = run(&["--seed", "11", "--minutes", "0.3"]).await;
    assert_eq!(report["clean"], true, "{report:#}");
    assert!(made(&report) >= 3, "{report:#}");
    let traffic = &report["traffic"];
    assert!(traffic["check"]["delivered"].as_u64() > Some(2000), "{report:#}");
    assert_eq!((&traffic["closed"], &traffic["unrecovered"]), (&Value::from(0), &Value::from(0)), "{report:#}");
}

#[tokio::test]
async fn changes_one_after_the_other_close_no_socket() {
    let report = run(&["--seed", "3", "--settle", "--changes", "3", "--faults", "kill,start,add"]).await;
    assert_eq!((&report["clean"], made(&report)), (&Value::from(true), 3), "{report:#}");
    assert_eq!(report["returns"]["reconnects"], 0, "{report:#}");
    let happenings = report["happenings"].as_array().expect("a list of faults");
    assert!(happenings.iter().all(|its| its["settled_ms"].is_number() && its["reached_ms"].is_number()), "{report:#}");
}

#[tokio::test]
async fn ctrl_c_ends_the_faults_and_reports_and_a_kill_leaves_nobody() {
    let words: Vec<&str> = LOAD.iter().copied().chain(["--minutes", "10", "--json"]).collect();
    let mut chaos = Process::start(&*BINARY, &words);
    eventually(SOON, || async { chaos.stderr().contains("clients are connected").then_some(()) }).await;
    chaos.interrupt();
    assert!(chaos.wait_exit(RUN_LIMIT).await.success(), "{}", chaos.stderr());
    let report: Value = serde_json::from_str(&chaos.stdout()).expect("a report in JSON");
    assert_eq!((&report["interrupted"], &report["clean"]), (&Value::from(true), &Value::from(true)), "{report:#}");

    let chaos = Process::start(&*BINARY, &words);
    eventually(SOON, || async { chaos.stderr().contains("clients are connected").then_some(()) }).await;
    let members = chaos.descendants();
    assert_eq!(members.len(), 5, "a demo, three nodes and another gateway: {members:?}");
    chaos.kill();
    eventually(SOON, || async { members.iter().all(|member| !alive(*member)).then_some(()) }).await;
}
