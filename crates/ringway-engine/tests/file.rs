//! The log in files, over a real folder.

use std::path::Path;
use std::time::Duration;

use ringway_engine::file::{FileLog, Fsync, Options};
use ringway_engine::{Appended, Log as _, Place, conformance};

fn open(dir: &Path, fsync: Fsync) -> FileLog {
    FileLog::open(dir, Options { birth: 7, fsync, max_bytes: 1 << 20, accept_loss: false }).expect("the log is sound")
}

#[tokio::test]
async fn conforms_in_every_mode_and_after_every_start() {
    for fsync in [Fsync::Always, Fsync::Every(Duration::from_millis(20)), Fsync::Never] {
        let dir = tempfile::tempdir().unwrap();
        for first in [7, 107, 207] {
            let log = open(dir.path(), fsync);
            assert!(log.slots().await.unwrap().iter().all(|slot| *slot < first));
            conformance::log(&log, first).await;
            assert_eq!(log.failed(), None);
            log.close().await.unwrap();
        }
        let log = open(dir.path(), fsync);
        assert_eq!(log.slots().await.unwrap().len(), 12, "{fsync}");
        let (place, record) = log.last(10).await.unwrap().unwrap();
        assert_eq!(record[..4], 10_u32.to_be_bytes());
        assert!(matches!(log.append(10, Some(place), "next".into()).await, Ok(Appended::At(next)) if next > place));
    }
}

#[tokio::test]
async fn ends_when_it_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), Fsync::Never);
    assert!(matches!(log.append(1, None, "record".into()).await, Ok(Appended::At(_))));
    log.close().await.unwrap();
    let why = log.append(1, None, "late".into()).await.unwrap_err().to_string();
    assert_eq!(why, "the log was closed");
    assert_eq!(log.last(1).await.unwrap().unwrap().1, "record");
}

#[tokio::test]
async fn cleans_behind_trims_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), Fsync::Never);
    let mut last: Option<Place> = None;
    for number in 0..2_000_u32 {
        let record = vec![number as u8; 4_000];
        let Ok(Appended::At(place)) = log.append(1, last, record.into()).await else { panic!("at {number}") };
        if number.is_multiple_of(20) {
            log.trim(1, place).await.unwrap();
        }
        last = Some(place);
    }
    assert!(log.bytes() < 1 << 20, "{}", log.bytes());
    log.close().await.unwrap();
    let log = open(dir.path(), Fsync::Never);
    let page = log.read(1, None, usize::MAX).await.unwrap();
    assert_eq!(page.records.len(), 20);
    assert!(page.records.iter().zip(1_980_u32..).all(|((_, record), number)| record[..] == vec![number as u8; 4_000]));
}
