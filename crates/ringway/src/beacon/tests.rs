//! The register that leads clients to demos.

use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command};

use super::*;

fn beacon() -> Beacon {
    Beacon { lit: 1_000, ..Beacon::new("http://127.0.0.1:1".into(), "t".into(), "k".into()) }
}

/// A beacon of another process that runs.
fn of(child: &Child, lit: u64) -> Beacon {
    let pid = child.id();
    let url = format!("http://127.0.0.1:{lit}");
    Beacon { url, pid, born: Life::of(pid).expect("it runs").born, lit, ..beacon() }
}

fn sleeper() -> Child {
    Command::new("sleep").arg("100").spawn().unwrap()
}

fn end(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

fn files(directory: &Path) -> usize {
    fs::read_dir(directory).unwrap().count()
}

#[test]
fn it_is_found_while_lit_and_only_the_user_can_read_it() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("a/b");
    let lit = beacon().light(&directory).unwrap();
    assert_eq!(Beacon::all(&directory), [beacon()]);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&directory), mode(&lit.path)), (0o700, 0o600));
    drop(lit);
    assert_eq!(Beacon::all(&directory), []);
    assert_eq!(files(&directory), 0);
}

#[test]
fn several_demos_are_found_the_newest_first_and_the_end_of_one_leaves_the_others() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("r");
    let (first, second) = (sleeper(), sleeper());
    let (old, new) = (of(&first, 10), of(&second, 20));
    let (old_lit, _new_lit) = (old.light(&directory).unwrap(), new.light(&directory).unwrap());
    assert_eq!(Beacon::all(&directory), [new.clone(), old]);
    drop(old_lit);
    end(first);
    assert_eq!(Beacon::all(&directory), [new]);
    end(second);
}

#[test]
fn what_a_killed_demo_left_is_removed_by_whoever_looks() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("r");
    let child = sleeper();
    let stale = of(&child, 10);
    std::mem::forget(stale.light(&directory).unwrap());
    fs::write(directory.join(format!("demo-{}.draft", child.id())), "{").unwrap();
    fs::write(directory.join("notes.txt"), "the user's own").unwrap();
    let _lit = beacon().light(&directory).unwrap();
    end(child);
    assert_eq!(Beacon::all(&directory), [beacon()]);
    assert_eq!(files(&directory), 2, "the living one's, and what is not of the register");
}

#[test]
fn a_process_that_nobody_has_waited_for_is_not_running() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("r");
    let mut child = sleeper();
    let beacon = of(&child, 10);
    std::mem::forget(beacon.light(&directory).unwrap());
    assert_eq!(Beacon::all(&directory), std::slice::from_ref(&beacon));
    child.kill().unwrap();
    // Its state changes in a moment; it stays in the table until it is waited for.
    while Life::of(child.id()).is_some() {
        std::thread::yield_now();
    }
    assert!(Path::new(&format!("/proc/{}", child.id())).exists(), "a zombie");
    assert_eq!(Beacon::all(&directory), []);
    child.wait().unwrap();
}

#[test]
fn a_state_is_read_from_behind_any_name() {
    let line = |state: &str| format!("7 (a) Z (b) {state} 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4321 1 1");
    for state in ["R", "S", "D", "T", "t"] {
        assert_eq!(Life::in_stat(&line(state)), Some(Life { born: 4321 }), "{state}");
    }
    for state in ["Z", "X"] {
        assert_eq!(Life::in_stat(&line(state)), None, "{state}");
    }
    assert_eq!(Life::in_stat(""), None);
}

#[test]
fn a_number_used_again_by_another_process_does_not_deceive() {
    let other_life = Beacon { born: beacon().born + 1, ..beacon() };
    assert!(beacon().is_alive());
    assert!(!other_life.is_alive());
}

#[test]
fn a_directory_that_others_can_enter_is_neither_written_nor_read() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("shared");
    let _lit = beacon().light(&directory).unwrap();
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(matches!(beacon().light(&directory), Err(BeaconError::NotPrivate(_))));
    assert_eq!(Beacon::all(&directory), []);
}
