//! The folder, on a real file system.

use super::*;
use ringway_core::ring::{HashKey, SlotCount};

fn view(key: u8) -> View {
    View::born(HashKey::from_bytes([key; 16]), SlotCount::MIN)
}

#[test]
fn the_newest_view_is_there_for_the_next_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b");
    let first = DataDir::open(&path).unwrap();
    assert_eq!(first.view().unwrap(), None);
    first.keep(&view(1)).unwrap();
    first.keep(&view(2)).unwrap();
    drop(first);
    assert_eq!(DataDir::open(&path).unwrap().view().unwrap(), Some(view(2)));
}

#[test]
fn one_process_has_it_at_a_time_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let _first = DataDir::open(folder.path()).unwrap();
    let why = DataDir::open(folder.path()).unwrap_err();
    assert!(
        matches!(&why, DataDirError::Locked { holder, .. } if *holder == format!("process {}", std::process::id()))
    );
}

#[test]
fn a_draft_that_was_left_behind_counts_for_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let dir = DataDir::open(folder.path()).unwrap();
    dir.keep(&view(1)).unwrap();
    fs::write(folder.path().join(DRAFT), b"half of it").unwrap();
    assert_eq!(dir.view().unwrap(), Some(view(1)));
    dir.keep(&view(2)).unwrap();
    assert_eq!(dir.view().unwrap(), Some(view(2)));
}

#[test]
fn what_is_damaged_is_said_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let dir = DataDir::open(folder.path()).unwrap();
    dir.keep(&view(1)).unwrap();
    let file = folder.path().join(VIEW);
    let mut bytes = fs::read(&file).unwrap();
    bytes[5] ^= 1;
    for damaged in [bytes, Vec::new()] {
        fs::write(&file, &damaged).unwrap();
        assert!(matches!(dir.view(), Err(DataDirError::Kept { why: KeptError::Damaged, .. })));
        assert_eq!(fs::read(&file).unwrap(), damaged);
    }
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, b"").unwrap();
    assert!(matches!(DataDir::open(&file.join("below")), Err(DataDirError::Io { .. })));
}
