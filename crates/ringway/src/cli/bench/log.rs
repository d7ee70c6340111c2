//! `ringway bench log`: the bare log, without a cluster in front of it. What it gives is the most that a cluster on it can give.
//!
//! Each appender has a slot of its own and one record under way, as an owner has (L1), and its records are what an owner writes for one
//! publication.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use clap::Args;
use ringway_bench::latency::{Latencies, Percentiles};
use ringway_core::id::ChannelName;
use ringway_core::logbook::Record;
use ringway_core::message::{ChannelOptions, Durability, Entry, Op, PubId};
use ringway_core::{Birth, Epoch, Incarnation};
use ringway_engine::file::{FileLog, Fsync, Options};
use ringway_engine::nats::NatsLog;
use ringway_engine::redis::RedisLog;
use ringway_engine::{Appended, Away, Log, Place};
use ringway_protocol::logged;
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::cli::error::CliError;
use crate::cli::say;
use crate::cli::table::{Table, width};
use crate::config::{Config, LogAt, Size};
use crate::engine;

/// Appends before measuring begins: files grow, connections and caches are warm.
const WARM_UP: Duration = Duration::from_millis(500);

const HEAD: [&str; 5] = ["appenders", "records/s", "p50 ms", "p99 ms", "refused"];

/// `ringway bench log`
#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// A folder on the disk that is to be measured; the log is in a new folder below it, which is removed [default: the config's]
    #[arg(long, value_name = "DIR", env = "RINGWAY_DATA_DIR", conflicts_with = "nats")]
    data_dir: Option<PathBuf>,
    /// When a record in files is on the disk: always, never, or a time such as 100ms [default: the config's]
    #[arg(long, value_name = "WHEN")]
    fsync: Option<Fsync>,
    /// A NATS server to be measured; the log is a new stream there, which is deleted [default: the config's, if its log is in NATS]
    #[arg(long, value_name = "URL")]
    nats: Vec<String>,
    /// A Redis server to be measured; the log is under keys of its own there, which are deleted [default: the config's, if its log is in Redis]
    #[arg(long, value_name = "URL", conflicts_with_all = ["nats", "data_dir"])]
    redis: Vec<String>,
    /// Copies of the stream in NATS: 1, 3 or 5 [default: the config's; 3 where the servers form a cluster, else 1]. Replicas of Redis that must have a record [default: the config's]
    #[arg(long, value_name = "N")]
    replicas: Option<usize>,
    /// The settings of the members: where the log is, [durability], [nats] and [redis]
    #[arg(long, value_name = "FILE", env = "RINGWAY_CONFIG")]
    config: Option<PathBuf>,
    /// How many slots have a record under way at once; several numbers are measured one after the other
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1,64,1024",
          value_parser = clap::value_parser!(u32).range(1..=65_536))]
    appenders: Vec<u32>,
    /// Seconds to measure each
    #[arg(long, value_name = "S", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Bytes that a record's one publication has
    #[arg(long, value_name = "BYTES", default_value_t = 128)]
    payload: usize,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

/// What was found.
#[derive(Debug, Serialize)]
struct Report {
    bench: &'static str,
    log: String,
    /// Bytes of a record.
    record: usize,
    rows: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    appenders: u32,
    records_per_s: f64,
    append: Percentiles,
    /// Appends that were refused though nobody else writes, and were made again.
    refused: u64,
}

/// What appenders have in common.
#[derive(Debug, Default)]
struct Found {
    latencies: Latencies,
    refused: AtomicU64,
}

pub(crate) async fn run(args: LogArgs) -> Result<(), CliError> {
    let mut config = Config::default();
    if let Some(file) = &args.config {
        config = config.with_file(file).map_err(CliError::config)?;
    }
    let is_nats = !args.nats.is_empty()
        || (args.data_dir.is_none() && args.redis.is_empty() && config.cluster.log == LogAt::Nats);
    let is_redis = !args.redis.is_empty() || (args.data_dir.is_none() && config.cluster.log == LogAt::Redis);
    let report = match (is_nats, is_redis) {
        (_, true) => redis(&args, config).await?,
        (true, false) => nats(&args, config).await?,
        (false, false) => file(&args, &config).await?,
    };
    if args.json {
        return say(&format!("{}\n", serde_json::to_string(&report).map_err(CliError::failed)?));
    }
    let cell = |row: &Row| {
        let Percentiles { p50_ms, p99_ms, .. } = row.append;
        let numbers = [
            format!("{:.0}", row.records_per_s),
            format!("{p50_ms:.3}"),
            format!("{p99_ms:.3}"),
            row.refused.to_string(),
        ];
        [row.appenders.to_string()].into_iter().chain(numbers).collect::<Vec<_>>()
    };
    let rows: Vec<_> = report.rows.iter().map(cell).collect();
    let table = Table { head: &HEAD, rows: &rows, spare: &[], quiet: &[] };
    let head = format!("{}; records of {} bytes\n", report.log, report.record);
    say(&(head + &table.within(width(), |_, _, text| text)))
}

async fn file(args: &LogArgs, config: &Config) -> Result<Report, CliError> {
    let Some(below) = args.data_dir.as_ref().or(config.cluster.data_dir.as_ref()) else {
        let why = "which log? Give --data-dir DIR, a folder on the disk that is to have it; or --nats URL; or --redis URL; or --config FILE with the settings of the members";
        return Err(CliError::Usage(why.to_owned()));
    };
    let folder = Folder::new(below)?;
    let (fsync, Size(max_bytes)) = (args.fsync.unwrap_or(config.durability.fsync), config.durability.max_bytes);
    let options = Options { birth: 1, fsync, max_bytes: max_bytes as u64, accept_loss: false };
    let log = FileLog::open(&folder.0, options).map_err(CliError::unavailable)?;
    let rows = or_interrupted(rows(&log, args)).await;
    let closed = log.close().await.map_err(|why| CliError::Failed(why.to_string()));
    closed.and(rows.map(|rows| report(format!("files in {}, fsync {fsync}", below.display()), args, rows)))
}

async fn nats(args: &LogArgs, config: Config) -> Result<Report, CliError> {
    let mut settings = engine::nats_settings(&config);
    // A stream of its own: what a cluster has there is not touched.
    settings.name = format!("bench-{:08x}", rand::random::<u32>());
    settings.replicas = args.replicas.or(settings.replicas);
    if !args.nats.is_empty() {
        settings.urls.clone_from(&args.nats);
    }
    let log = NatsLog::open(&settings).await.map_err(CliError::unavailable)?;
    let rows = or_interrupted(rows(&log, args)).await;
    let deleted = log.delete().await.map_err(|why| {
        CliError::Failed(format!(
            "the stream RINGWAY_{}_LOG could not be deleted: {why}. Delete it with `nats stream rm`",
            settings.name
        ))
    });
    let what = format!("NATS at {}, {} replica(s)", settings.urls.join(", "), log.replicas());
    deleted.and(rows.map(|rows| report(what, args, rows)))
}

async fn redis(args: &LogArgs, config: Config) -> Result<Report, CliError> {
    let mut settings = engine::redis_settings(&config);
    settings.name = format!("bench-{:08x}", rand::random::<u32>());
    settings.replicas = args.replicas.unwrap_or(settings.replicas);
    if !args.redis.is_empty() {
        settings.urls.clone_from(&args.redis);
    }
    let log = RedisLog::open(&settings).await.map_err(CliError::unavailable)?;
    let rows = or_interrupted(rows(&log, args)).await;
    let deleted = log.delete().await.map_err(|why| {
        CliError::Failed(format!(
            "the keys {{ringway:{}}}:* could not be deleted: {why}. Delete them with redis-cli",
            settings.name
        ))
    });
    let what =
        format!("Redis at {}, {}, {} replica(s)", settings.urls.join(", "), log.persistence(), settings.replicas);
    deleted.and(rows.map(|rows| report(what, args, rows)))
}

fn report(log: String, args: &LogArgs, rows: Vec<Row>) -> Report {
    Report { bench: "log", log, record: record(args.payload).len(), rows }
}

async fn or_interrupted<T>(work: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
    tokio::select! {
        done = work => done,
        _ = tokio::signal::ctrl_c() => Err(CliError::Failed("interrupted: nothing is reported, and the log is removed".to_owned())),
    }
}

/// A folder that goes with this.
struct Folder(PathBuf);

impl Folder {
    fn new(below: &Path) -> Result<Self, CliError> {
        let at = below.join(format!("ringway-bench-log-{}", std::process::id()));
        let failed = |why| {
            CliError::Unavailable(format!(
                "cannot make the folder {}: {why}. Is --data-dir a folder that this user may write to?",
                at.display()
            ))
        };
        std::fs::create_dir(&at).map_err(failed)?;
        Ok(Self(at))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is seen by whoever looks at the folder.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn rows<L: Log + Clone>(log: &L, args: &LogArgs) -> Result<Vec<Row>, CliError> {
    let (mut rows, mut first) = (Vec::new(), 0);
    for appenders in args.appenders.iter().copied() {
        let found = Arc::new(Found::default());
        let begin = Instant::now() + WARM_UP;
        let end = begin + Duration::from_secs(args.seconds);
        // Chains that have no record yet.
        let slots = first..first + appenders;
        first = slots.end;
        let mut tasks: JoinSet<_> =
            slots.map(|slot| append(log.clone(), slot, record(args.payload), begin, end, found.clone())).collect();
        while let Some(task) = tasks.join_next().await {
            task.map_err(CliError::failed)??;
        }
        let append = found.latencies.percentiles();
        let refused = found.refused.load(Relaxed);
        rows.push(Row { appenders, records_per_s: append.count as f64 / args.seconds as f64, append, refused });
    }
    Ok(rows)
}

/// Appends one record after the other to a slot; counts those that were answered between `begin` and `end`.
async fn append<L: Log>(
    log: L,
    slot: u32,
    record: Bytes,
    begin: Instant,
    end: Instant,
    found: Arc<Found>,
) -> Result<(), CliError> {
    let (mut last, mut began): (Option<Place>, _) = (None, Instant::now());
    while began < end {
        match log.append(slot, last, record.clone()).await {
            Ok(Appended::At(place)) => last = Some(place),
            Ok(Appended::Full) => {
                let why = "the log is full: give [durability] max_bytes, or the stream's account, more room, or measure fewer --seconds";
                return Err(CliError::Failed(why.to_owned()));
            }
            // Several NATS servers now and then refuse a record whose forerunner they have just acknowledged. An owner looks at the end
            // of its chain then, too (L3), and that is part of what an append takes.
            Ok(Appended::Conflict) => {
                last = log.last(slot).await.map_err(away)?.map(|(place, _)| place);
                found.refused.fetch_add(1, Relaxed);
                continue;
            }
            Err(why) => return Err(away(why)),
        }
        let answered = Instant::now();
        if answered >= begin && answered < end {
            found.latencies.record(answered - began);
        }
        began = answered;
    }
    Ok(())
}

// By value, as errors are mapped.
#[allow(clippy::needless_pass_by_value)]
fn away(why: Away) -> CliError {
    CliError::Unavailable(format!("the log does not answer: {why}"))
}

/// What an owner writes for one publication of so many bytes.
fn record(payload: usize) -> Bytes {
    let channel = ChannelName::new("bench:channel").expect("a good name");
    let gateway = Incarnation(u64::MAX);
    let op = Op::Append {
        channel,
        options: ChannelOptions {
            history_size: 100,
            history_ttl: Duration::from_secs(3600),
            presence: false,
            history_bytes: 0,
            durability: Durability::Log,
        },
        offset: 1,
        first: 1,
        entry: Entry::of(&vec![b'x'; payload]),
        publisher: PubId { gateway, durability: Durability::Log, seq: 1, floor: 1 },
        key: None,
        version: None,
    };
    let record = Record {
        birth: Birth(u64::MAX),
        term: Epoch(1),
        number: 1,
        start: 0,
        index: 1,
        whole: true,
        state: 0,
        weight: 0,
        ops: vec![(1, op)],
        part: None,
    };
    logged::encode(&record, SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}
