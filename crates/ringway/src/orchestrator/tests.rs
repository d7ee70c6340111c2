//! Real processes: shells that stand for nodes.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::process::{Launch, ProcessDriver};
use super::*;

/// Longest wait for anything.
const SOON: Duration = Duration::from_secs(10);
/// Ends when asked to, as a node does after handing over.
const POLITE: &str =
    "trap 'echo bye; exit 0' TERM; echo \"I am $1, child of $RINGWAY_PARENT_PID\"; while :; do sleep 0.01; done";

fn launch(script: &str, logs: &Path) -> Launch {
    let arguments = ["-c", script].map(Into::into).to_vec();
    let environment = vec![("RINGWAY_SECRET".into(), "hush".into())];
    Launch { program: "/bin/sh".into(), arguments, environment, logs: logs.to_owned() }
}

fn start(script: &str, logs: &Path) -> Orchestrator {
    Orchestrator::new(ProcessDriver::new(launch(script, logs)).unwrap())
}

async fn add(orchestrator: &Orchestrator) -> MemberId {
    orchestrator.add(BTreeSet::new()).await.unwrap()
}

async fn wait_until(orchestrator: &Orchestrator, wanted: impl Fn(&Units) -> bool) -> Arc<Units> {
    let mut units = orchestrator.watch();
    let found = tokio::time::timeout(SOON, units.wait_for(|units| wanted(units))).await;
    found.expect("in time").expect("the orchestrator lives").clone()
}

/// Polls for what has no event of its own.
async fn eventually(what: &str, wanted: impl Fn() -> bool) {
    let end = tokio::time::Instant::now() + SOON;
    while !wanted() {
        assert!(tokio::time::Instant::now() < end, "{what} did not come");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn process_state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next().filter(|state| *state != 'Z')
}

#[tokio::test]
async fn a_node_runs_with_its_own_id_log_and_secret() {
    let logs = tempfile::tempdir().unwrap();
    let orchestrator = start(&format!("echo \"secret: $RINGWAY_SECRET\"; {POLITE}"), logs.path());
    let id = add(&orchestrator).await;
    assert_eq!(id.as_str(), "node-1");
    let log = logs.path().join("node-1.log");
    let greeting = format!("I am node-1, child of {}", std::process::id());
    eventually("greeting", || {
        fs::read_to_string(&log).is_ok_and(|text| text.contains(&greeting) && text.contains("secret: hush"))
    })
    .await;
    let pid = orchestrator.units()[&id].pid;
    let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap();
    assert!(!String::from_utf8_lossy(&arguments).contains("hush"));
    orchestrator.end().await;
    assert_eq!(process_state(pid), None);
}

#[tokio::test]
async fn stop_is_a_request_that_the_node_ends_itself() {
    let logs = tempfile::tempdir().unwrap();
    let orchestrator = start(POLITE, logs.path());
    let id = add(&orchestrator).await;
    let log = logs.path().join("node-1.log");
    eventually("greeting", || fs::read_to_string(&log).is_ok_and(|text| text.contains("I am"))).await;
    orchestrator.act(&id, Operation::Stop).await.unwrap();
    let units = wait_until(&orchestrator, |units| units[&id].condition == Condition::Ended).await;
    assert_eq!(
        units[&id],
        Unit { kind: Kind::Node, pid: 0, condition: Condition::Ended, ended: "exit code 0".to_owned() }
    );
    assert!(fs::read_to_string(&log).unwrap().contains("bye"));
}

#[tokio::test]
async fn an_exit_that_nobody_asked_for_is_seen() {
    let logs = tempfile::tempdir().unwrap();
    let orchestrator = start("exit 3", logs.path());
    let id = add(&orchestrator).await;
    let units = wait_until(&orchestrator, |units| units[&id].condition == Condition::Ended).await;
    assert_eq!(units[&id].ended, "exit code 3");
}

#[tokio::test]
async fn a_killed_node_starts_again_under_its_id_as_another_process() {
    let logs = tempfile::tempdir().unwrap();
    let orchestrator = start(POLITE, logs.path());
    let id = add(&orchestrator).await;
    let before = orchestrator.units()[&id].pid;
    orchestrator.act(&id, Operation::Kill).await.unwrap();
    assert_eq!(
        orchestrator.units()[&id],
        Unit { kind: Kind::Node, pid: 0, condition: Condition::Ended, ended: "signal 9".to_owned() }
    );
    assert_eq!(process_state(before), None);
    orchestrator.act(&id, Operation::Start).await.unwrap();
    assert_ne!(orchestrator.units()[&id].pid, before);
    assert!(matches!(orchestrator.act(&id, Operation::Start).await, Err(OrchestratorError::NotNow(_))));
}

#[tokio::test]
async fn a_frozen_node_stands_still_and_can_be_killed() {
    let logs = tempfile::tempdir().unwrap();
    let orchestrator = start(POLITE, logs.path());
    let id = add(&orchestrator).await;
    let pid = orchestrator.units()[&id].pid;
    orchestrator.act(&id, Operation::Freeze).await.unwrap();
    eventually("stop", || process_state(pid) == Some('T')).await;
    orchestrator.act(&id, Operation::Thaw).await.unwrap();
    eventually("go", || process_state(pid).is_some_and(|state| state != 'T')).await;
    orchestrator.act(&id, Operation::Freeze).await.unwrap();
    orchestrator.act(&id, Operation::Kill).await.unwrap();
    assert_eq!(process_state(pid), None);
}

#[tokio::test]
async fn a_stop_outlives_a_freeze() {
    let logs = tempfile::tempdir().unwrap();
    // Never ends by itself, so the states can be looked at.
    let orchestrator = start("trap '' TERM; echo ready; while :; do sleep 0.01; done", logs.path());
    let id = add(&orchestrator).await;
    let log = logs.path().join("node-1.log");
    eventually("trap", || fs::read_to_string(&log).is_ok_and(|text| text.contains("ready"))).await;
    for (action, after) in [
        (Operation::Stop, Condition::Stopping),
        (Operation::Freeze, Condition::Frozen),
        (Operation::Thaw, Condition::Stopping),
        (Operation::Stop, Condition::Stopping),
    ] {
        orchestrator.act(&id, action).await.unwrap();
        assert_eq!(orchestrator.units()[&id].condition, after, "{action:?}");
    }
}

#[tokio::test]
async fn a_program_that_is_not_there_is_a_clear_error() {
    let logs = tempfile::tempdir().unwrap();
    let launch = Launch { program: "/no/such/program".into(), ..launch("", logs.path()) };
    let orchestrator = Orchestrator::new(ProcessDriver::new(launch).unwrap());
    let why = orchestrator.add(BTreeSet::new()).await.unwrap_err();
    assert!(matches!(why, OrchestratorError::Driver(DriverError::Start { .. })), "{why:?}");
    assert!(why.to_string().contains("/no/such/program"));
    assert!(orchestrator.units().is_empty());
}

#[tokio::test]
async fn logs_that_cannot_be_written_are_a_clear_error() {
    let orchestrator = start(POLITE, Path::new("/no/such/directory"));
    let why = orchestrator.add(BTreeSet::new()).await.unwrap_err();
    assert!(why.to_string().contains("/no/such/directory/node-1.log"), "{why}");
}

#[tokio::test]
async fn the_end_kills_all_frozen_ones_included_and_nothing_starts_afterwards() {
    let logs = tempfile::tempdir().unwrap();
    let orchestrator = start("trap '' TERM; while :; do sleep 0.01; done", logs.path());
    let ids = [add(&orchestrator).await, add(&orchestrator).await];
    let pids = ids.clone().map(|id| orchestrator.units()[&id].pid);
    orchestrator.act(&ids[0], Operation::Freeze).await.unwrap();
    orchestrator.end().await;
    assert_eq!(pids.map(process_state), [None, None]);
    assert!(matches!(orchestrator.add(BTreeSet::new()).await, Err(OrchestratorError::Ending)));
}

#[tokio::test]
async fn forgotten_handles_end_the_children() {
    let logs = tempfile::tempdir().unwrap();
    let orchestrator = start(POLITE, logs.path());
    let id = add(&orchestrator).await;
    let pid = orchestrator.units()[&id].pid;
    drop(orchestrator);
    eventually("end", || process_state(pid).is_none()).await;
}
