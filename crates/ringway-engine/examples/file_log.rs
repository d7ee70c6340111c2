//! How many records the log in files takes a second, and how long it needs to open.
//!
//! ```text
//! cargo run --release -p ringway-engine --example file_log -- /path/on/the/disk
//! ```
//!
//! For each mode of syncing and for 1, 64 and 1024 appenders, each with a slot of its own and one append under way: records of 128 bytes for
//! three seconds, and how long an append takes. Then a log of 256 MiB is written and opened again. All is in a folder below the path that is
//! given, which is removed.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use ringway_engine::file::{FileLog, Fsync, Options};
use ringway_engine::{Appended, Log as _};

const RECORD: usize = 128;
const TIME: Duration = Duration::from_secs(3);
const WRITTEN: u64 = 256 << 20;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let below = std::env::args_os().nth(1).map(PathBuf::from).ok_or("which folder? See the head of this file")?;
    let dir = below.join("ringway-bench-log");
    println!("{:>8} {:>9} {:>12} {:>9} {:>9}", "fsync", "appenders", "appends/s", "p50", "p99");
    for fsync in [Fsync::Always, Fsync::Every(Duration::from_millis(100)), Fsync::Never] {
        for appenders in [1, 64, 1024] {
            measure(&dir, fsync, appenders).await?;
        }
    }
    opening(&dir).await
}

fn open(dir: &Path, fsync: Fsync) -> Result<FileLog, Failure> {
    Ok(FileLog::open(dir, Options { birth: 1, fsync, max_bytes: 64 << 30, accept_loss: false })?)
}

fn anew(dir: &Path) -> Result<(), Failure> {
    if dir.exists() {
        std::fs::remove_dir_all(dir)?;
    }
    Ok(std::fs::create_dir(dir)?)
}

async fn measure(dir: &Path, fsync: Fsync, appenders: u32) -> Result<(), Failure> {
    anew(dir)?;
    let log = open(dir, fsync)?;
    let began = Instant::now();
    let tasks: Vec<_> = (0..appenders).map(|slot| tokio::spawn(append(log.clone(), slot, began + TIME))).collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await??);
    }
    let took = began.elapsed();
    log.close().await?;
    times.sort_unstable();
    let rate = times.len() as f64 / took.as_secs_f64();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!("{:>8} {appenders:>9} {rate:>12.0} {:>9.2?} {:>9.2?}", fsync.to_string(), at(0.5), at(0.99));
    Ok(std::fs::remove_dir_all(dir)?)
}

/// Appends to one slot until that time; how long each took.
async fn append(log: FileLog, slot: u32, until: Instant) -> Result<Vec<Duration>, Failure> {
    let record = Bytes::from(vec![7; RECORD]);
    let (mut last, mut times) = (None, Vec::new());
    loop {
        let began = Instant::now();
        if began >= until {
            return Ok(times);
        }
        match log.append(slot, last, record.clone()).await? {
            Appended::At(place) => last = Some(place),
            other => return Err(format!("not appended: {other:?}").into()),
        }
        times.push(began.elapsed());
    }
}

async fn opening(dir: &Path) -> Result<(), Failure> {
    anew(dir)?;
    let log = open(dir, Fsync::Never)?;
    let mut records = 0;
    while log.bytes() < WRITTEN {
        let until = Instant::now() + Duration::from_millis(100);
        let tasks: Vec<_> = (0..256).map(|slot| tokio::spawn(extend(log.clone(), slot, until))).collect();
        for task in tasks {
            records += task.await??;
        }
    }
    log.close().await?;
    let bytes = log.bytes();
    drop(log);
    let began = Instant::now();
    let log = open(dir, Fsync::Never)?;
    println!("opened {} MiB, {records} records, in {:.2?}", bytes >> 20, began.elapsed());
    log.close().await?;
    Ok(std::fs::remove_dir_all(dir)?)
}

/// Appends behind what there is until that time; how many.
async fn extend(log: FileLog, slot: u32, until: Instant) -> Result<usize, Failure> {
    let mut last = log.last(slot).await?.map(|(place, _)| place);
    let mut records = 0;
    while Instant::now() < until {
        match log.append(slot, last, vec![7; RECORD].into()).await? {
            Appended::At(place) => last = Some(place),
            other => return Err(format!("not appended: {other:?}").into()),
        }
        records += 1;
    }
    Ok(records)
}
