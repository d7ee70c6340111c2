//! A panic in a member: a line of its log, whoever reads that. It takes a process of its own, which is this test once more.

use std::time::Duration;

use ringway::telemetry::{self, LogFormat};
use ringway_testkit::Process;
use ringway_testkit::process::{Builder, full_pipe};
use serde_json::Value;

/// For a process that starts, fails and ends.
const SOON: Duration = Duration::from_secs(10);

/// What the process does that is started for it, and nothing otherwise.
#[tokio::test]
#[ignore = "it is started by the other tests"]
async fn a_task_panics() {
    telemetry::start(LogFormat::Json).unwrap();
    assert!(tokio::spawn(async { panic!("something \"impossible\"") }).await.is_err());
    telemetry::finish();
}

fn panicking() -> Builder {
    let itself = std::env::current_exe().expect("a test has a file");
    Process::builder(itself, &["--exact", "a_task_panics", "--ignored"]).env("RUST_BACKTRACE", "1")
}

#[tokio::test]
async fn a_panic_is_one_line_of_the_log() {
    let mut process = panicking().start();
    assert!(process.wait_exit(SOON).await.success());
    let log = process.stderr();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let [_, panic] = &lines[..] else { panic!("not two lines: {log}") };
    let said = panic["fields"]["message"].as_str().unwrap();
    assert!(
        said.starts_with("panicked at ") && said.contains("panics.rs") && said.contains("something \"impossible\"")
    );
    assert!(panic["level"] == "ERROR" && panic["fields"]["backtrace"].is_string(), "{panic}");
}

#[tokio::test]
async fn a_panic_waits_for_nobody() {
    let (unread, stderr) = full_pipe();
    let mut process = panicking().stderr_to(stderr).start();
    assert!(process.wait_exit(SOON).await.success());
    drop(unread);
}
