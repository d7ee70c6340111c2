//! `ringway chaos` on real processes: a short run keeps every promise, and nothing is left of it, however it ends.

use std::time::Duration;

use ringway_bench::chaos::Settings;
use ringway_testkit::process::alive;
use ringway_testkit::{Process, eventually};
use serde_json::Value;

use crate::support::{BINARY, LOG_AND_MEMORY, configured};

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

/// Every process is killed at once: the log goes on, and what was in memory begins anew, which clients are told.
#[tokio::test]
async fn when_everything_ends_the_log_goes_on_and_memory_begins_anew() {
    let words = ["chaos", "--clients", "60", "--plain", "0", "--rate", "200", "--settle", "--changes", "2", "--json"];
    let more = ["--faults", "kill-all", "--namespaces", "log,memory", "--data-dir"];
    let folder = tempfile::tempdir().expect("a folder");
    let builder = Process::builder(&*BINARY, &[&words[..], &more].concat()).arg(folder.path());
    let mut chaos = configured(builder, LOG_AND_MEMORY).start();
    let status = chaos.wait_exit(RUN_LIMIT).await;
    assert!(status.success(), "{}\n{}", chaos.stderr(), chaos.stdout());
    let report: Value = serde_json::from_str(&chaos.stdout()).expect("a report in JSON");
    assert_eq!((&report["clean"], made(&report)), (&Value::from(true), 2), "{report:#}");
    let traffic = &report["traffic"];
    let (anew, again) = (traffic["began_anew"].as_u64(), traffic["resubscribed"].as_u64());
    assert!(anew > Some(0) && again > anew, "{report:#}");
    assert!(report["returns"]["closed_by_faults"].as_u64() >= Some(120), "{report:#}");
}

/// The check bites: where channels in memory are taken for logged ones, the same run fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_log_would_lose_when_everything_ends_is_found() {
    #[derive(Debug, clap::Parser)]
    struct Cli {
        #[command(flatten)]
        args: ringway_bench::chaos::ChaosArgs,
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (file, data) = (folder.path().join("ringway.toml"), folder.path().join("data"));
    std::fs::write(&file, LOG_AND_MEMORY).expect("written");
    let line = "chaos --clients 60 --plain 0 --rate 200 --settle --changes 1 --faults kill-all --namespaces memory";
    let words = line.split(' ').map(std::ffi::OsStr::new).chain(["--config".as_ref(), file.as_ref()]);
    let cli = <Cli as clap::Parser>::parse_from(words.chain(["--data-dir".as_ref(), data.as_ref()]));
    let names = || ["memory".to_owned()].into_iter().collect();
    let lie = Settings { namespaces: names(), logged: names(), outlives: true, ..Settings::default() };
    let report = ringway_bench::chaos::run(&cli.args, BINARY.as_ref(), &lie).await.expect("a report");
    assert!(!report.is_clean(), "{report}");
    assert!(report.traffic.unrecovered > 0 && report.trouble.is_empty(), "{report}");
}

#[tokio::test]
async fn a_kill_of_everything_that_could_not_come_back_is_refused() {
    let cases = [
        (&["--faults", "kill-all", "--plain", "0"][..], "--data-dir"),
        (&["--namespaces", "nowhere"], "[channels.namespaces.nowhere]"),
    ];
    for (more, part) in cases {
        let mut chaos = Process::start(&*BINARY, &[&["chaos"][..], more].concat());
        assert_eq!(chaos.wait_exit(SOON).await.code(), Some(2), "{}", chaos.stderr());
        assert!(chaos.stderr().contains(part), "{}", chaos.stderr());
    }
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
