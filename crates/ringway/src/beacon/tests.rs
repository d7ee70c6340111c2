//! The file that leads clients to a demo.

use std::os::unix::fs::PermissionsExt;

use super::*;

fn beacon() -> Beacon {
    Beacon::new("http://127.0.0.1:1".into(), "t".into(), "k".into())
}

#[test]
fn it_is_found_while_lit_and_only_the_user_can_read_it() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("a/b");
    let lit = beacon().light(&directory).unwrap();
    assert_eq!(Beacon::find(&directory), Some(beacon()));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&directory), mode(&directory.join(FILE))), (0o700, 0o600));
    drop(lit);
    assert_eq!(Beacon::find(&directory), None);
    assert!(fs::read_dir(&directory).unwrap().next().is_none());
}

#[test]
fn one_that_a_killed_demo_left_is_stale_and_replaced() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("r");
    let mut child = std::process::Command::new("true").spawn().unwrap();
    let stale = Beacon { pid: child.id(), born: 1, ..beacon() };
    std::mem::forget(stale.light(&directory).unwrap());
    child.wait().unwrap();
    assert_eq!(Beacon::find(&directory), None);
    let _lit = beacon().light(&directory).unwrap();
    assert_eq!(Beacon::find(&directory), Some(beacon()));
}

#[test]
fn a_number_used_again_by_another_process_does_not_deceive() {
    let other_life = Beacon { born: beacon().born + 1, ..beacon() };
    assert!(beacon().is_alive());
    assert!(!other_life.is_alive());
}

#[test]
fn another_running_demo_keeps_its_file() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("r");
    let mut child = std::process::Command::new("sleep").arg("100").spawn().unwrap();
    let other = Beacon { pid: child.id(), born: born(child.id()), ..beacon() };
    std::mem::forget(other.light(&directory).unwrap());
    let refused = beacon().light(&directory);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(matches!(refused, Err(BeaconError::Another(_))), "{refused:?}");
}

#[test]
fn a_directory_that_others_can_enter_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("open");
    fs::create_dir(&directory).unwrap();
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(matches!(beacon().light(&directory), Err(BeaconError::NotPrivate(_))));
}
