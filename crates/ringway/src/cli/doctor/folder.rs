//! The data folder of the process that keeps the registry, and perhaps the log.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::stat::{major, minor};
use nix::sys::statvfs::statvfs;

use super::bytes;
use super::finding::{Finding, What};
use crate::config::{Config, LogAt, RegistryAt};

/// Syncs that are measured.
const SYNCS: usize = 10;
/// A record of the log is answered after a sync, so publishers wait for this long.
const SLOW: Duration = Duration::from_millis(10);
/// A disk with less room takes no further segment of the log.
const LEAST_ROOM: u64 = 64 << 20;
/// The part of a disk, or of the log's limit, that should be left.
const LEFT: u64 = 10;

/// Whether these settings make a process use the folder, and which.
pub(super) fn used(config: &Config) -> Option<PathBuf> {
    let is_first = config.cluster.join.is_none() && config.cluster.registry == RegistryAt::Local;
    config.cluster.data_dir.clone().filter(|_| is_first)
}

/// Blocks for as long as the disk takes.
pub(super) fn look(folder: &Path, config: &Config) -> Vec<Finding> {
    let mut found = match fs::metadata(folder) {
        Ok(at) if at.is_dir() => Vec::new(),
        Ok(_) => return vec![not_usable(folder, "it is a file, and no folder")],
        Err(why) if why.kind() == io::ErrorKind::NotFound => return vec![missing(folder)],
        Err(why) => return vec![not_usable(folder, &why.to_string())],
    };
    match measured(folder) {
        Ok(took) => {
            found.push(Finding::ok(
                What::DataFolder,
                format!("{} is there, and this user may write to it.", folder.display()),
            ));
            found.push(fsync(took));
        }
        Err(why) => found.push(not_usable(folder, &why.to_string())),
    }
    found.push(lock(folder));
    let files = Files::of(folder);
    let max_bytes = (config.cluster.log == LogAt::Local).then_some(config.durability.max_bytes.0 as u64);
    found.push(disk(room(folder), files.log_bytes, max_bytes));
    found.extend(max_bytes.map(|max_bytes| log_size(files.log_bytes, max_bytes)));
    found.extend(lost(folder, &files.lost));
    found
}

fn not_usable(folder: &Path, why: &str) -> Finding {
    Finding::fault(
        What::DataFolder,
        format!("{} cannot be used: {why}.", folder.display()),
        "Give cluster.data_dir or --data-dir a folder that this user may write to, or give this user the folder (chown).",
    )
}

/// A process makes it when it starts first.
fn missing(folder: &Path) -> Finding {
    Finding::note(
        What::DataFolder,
        format!("{} is not there yet; the first process makes it.", folder.display()),
        "If a cluster was kept there before, it begins anew: look whether its disk is mounted, and whether the path is right.",
    )
}

/// Writes a small file and syncs it, again and again. Gives the median of the times.
fn measured(folder: &Path) -> io::Result<Duration> {
    let path = folder.join(format!("doctor-{}.tmp", std::process::id()));
    let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
    let took = synced(file);
    let removed = fs::remove_file(&path);
    let took = took?;
    removed?;
    Ok(took)
}

fn synced(mut file: File) -> io::Result<Duration> {
    let mut took = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        file.write_all(&[0; 4096])?;
        let began = Instant::now();
        file.sync_data()?;
        took.push(began.elapsed());
    }
    took.sort_unstable();
    Ok(took[SYNCS / 2])
}

fn fsync(took: Duration) -> Finding {
    let seen = format!("A sync of this disk takes {took:.1?} (median of {SYNCS}).");
    if took > SLOW {
        let advice = "With [durability] fsync = \"always\" every publish to the log waits for a sync: take a disk with a write cache that survives a loss of power, or say with fsync how much may be lost.";
        return Finding::warning(What::Fsync, seen, advice);
    }
    Finding::ok(What::Fsync, seen)
}

/// Looks at what the system says of locks, and takes none: a member that starts just now must find it free.
fn lock(folder: &Path) -> Finding {
    let what = What::DataLock;
    let file = folder.join("lock");
    let Ok(at) = fs::metadata(&file) else {
        return Finding::ok(what, "No process has used the folder yet.");
    };
    match fs::read_to_string("/proc/locks") {
        Err(why) => Finding::note(
            what,
            format!("Whether a process uses the folder is not known: /proc/locks cannot be read: {why}."),
            "Start one process with it at a time; a second one is refused.",
        ),
        Ok(locks) => match holder(&locks, at.dev(), at.ino()) {
            None => Finding::ok(what, "No process uses the folder."),
            Some(pid) => Finding::note(
                what,
                format!("Process {pid} uses the folder."),
                "That is as it should be if it is the running member. Stop it before another process is to use the folder.",
            ),
        },
    }
}

/// The process that has locked a file, out of lines such as `1: FLOCK  ADVISORY  WRITE 1234 fe:00:5678 0 EOF`.
fn holder(locks: &str, device: u64, inode: u64) -> Option<u32> {
    let place = format!("{:02x}:{:02x}:{inode}", major(device), minor(device));
    locks.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        // What waits for a lock has an arrow behind the number.
        match words.as_slice() {
            [_, "FLOCK", _, _, pid, at, ..] if *at == place => pid.parse().ok(),
            _ => None,
        }
    })
}

/// Room on the disk for this user, and all of it, in bytes.
fn room(folder: &Path) -> Result<(u64, u64), String> {
    let found = statvfs(folder).map_err(|why| why.to_string())?;
    let size = found.fragment_size();
    Ok((found.blocks_available().saturating_mul(size), found.blocks().saturating_mul(size)))
}

fn disk(room: Result<(u64, u64), String>, log_bytes: u64, max_bytes: Option<u64>) -> Finding {
    let what = What::Disk;
    let (free, all) = match room {
        Ok((_, 0)) => {
            return Finding::note(what, "The folder is in a file system without a size.", "Take a folder on a disk.");
        }
        Ok(room) => room,
        Err(why) => return Finding::note(what, format!("How full the disk is is not known: {why}."), "Look with df."),
    };
    let seen = format!("{} of {} are free.", bytes(free), bytes(all));
    let to_come = max_bytes.map_or(0, |max_bytes| max_bytes.saturating_sub(log_bytes));
    if free < LEAST_ROOM {
        return Finding::fault(
            what,
            seen,
            "Make room: without it the registry cannot keep a view, and the log refuses what is new.",
        );
    }
    if free < to_come {
        let seen = format!("{seen} The log may take {} more ([durability] max_bytes).", bytes(to_come));
        return Finding::warning(what, seen, "Lower [durability] max_bytes, or make room.");
    }
    if free < all / LEFT {
        return Finding::warning(what, seen, "Make room before it is full.");
    }
    Finding::ok(what, seen)
}

fn log_size(log_bytes: u64, max_bytes: u64) -> Finding {
    let seen = format!("The log has {} of {} ([durability] max_bytes).", bytes(log_bytes), bytes(max_bytes));
    if log_bytes > max_bytes - max_bytes / LEFT {
        let advice = "Raise [durability] max_bytes, or keep less of the channels with durability = \"log\": above the limit publishes to them are refused.";
        return Finding::warning(What::LogSize, seen, advice);
    }
    Finding::ok(What::LogSize, seen)
}

/// Files that a start with --accept-loss has put aside.
fn lost(folder: &Path, names: &[String]) -> Option<Finding> {
    (!names.is_empty()).then(|| {
        Finding::warning(
            What::LostLog,
            format!("{} has {}: records were lost there, and somebody has accepted it.", folder.display(), names.join(", ")),
            "Keep them as long as somebody may want to know what was lost, then remove them. Find out why the disk lost them.",
        )
    })
}

/// The files of the log.
#[derive(Debug, Default)]
struct Files {
    log_bytes: u64,
    lost: Vec<String>,
}

impl Files {
    /// What cannot be listed was told of when it could not be written.
    fn of(folder: &Path) -> Self {
        let mut files = Self::default();
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with("lost-log-") {
                files.lost.push(name);
            } else if name.starts_with("log-") {
                files.log_bytes += entry.metadata().map_or(0, |found| found.len());
            }
        }
        files.lost.sort();
        files
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level::{Fault, Note, Ok as Good, Warning};
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn a_slow_disk_is_told() {
        for (ms, level) in [(0, Good), (10, Good), (11, Warning), (500, Warning)] {
            assert_eq!(fsync(Duration::from_millis(ms)).level, level, "{ms} ms");
        }
    }

    #[test]
    fn a_disk_needs_room_for_what_the_log_may_take() {
        for (room, log_bytes, max_bytes, level) in [
            (Ok((50 * GIB, 100 * GIB)), 0, Some(10 * GIB), Good),
            (Ok((9 * GIB, 50 * GIB)), 0, Some(10 * GIB), Warning),
            (Ok((9 * GIB, 50 * GIB)), 2 * GIB, Some(10 * GIB), Good),
            (Ok((9 * GIB, 50 * GIB)), 0, None, Good),
            (Ok((9 * GIB, 100 * GIB)), 0, None, Warning),
            (Ok((1 << 20, 100 * GIB)), 0, None, Fault),
            (Ok((0, 0)), 0, None, Note),
            (Err("refused".to_owned()), 0, None, Note),
        ] {
            assert_eq!(disk(room.clone(), log_bytes, max_bytes).level, level, "{room:?} {log_bytes} {max_bytes:?}");
        }
        assert_eq!((log_size(9 * GIB, 10 * GIB).level, log_size(9 * GIB + 1, 10 * GIB).level), (Good, Warning));
    }

    #[test]
    fn who_has_locked_a_file_is_read_from_the_systems_list() {
        let locks = "1: POSIX  ADVISORY  WRITE 7 fe:00:5678 0 EOF\n2: FLOCK  ADVISORY  WRITE 1234 fe:00:5678 0 EOF\n\
                     2: -> FLOCK  ADVISORY  WRITE 99 fe:00:5678 0 EOF\n3: FLOCK  ADVISORY  WRITE 8 fe:01:5678 0 EOF\n";
        let device = |minor| nix::sys::stat::makedev(0xfe, minor);
        assert_eq!(holder(locks, device(0), 5678), Some(1234));
        assert_eq!(holder(locks, device(1), 5678), Some(8));
        assert_eq!(holder(locks, device(0), 56), None);
    }

    #[test]
    fn a_folder_is_looked_at_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let levels = |path: &Path| {
            let found = look(path, &Config::default());
            found
                .into_iter()
                .filter(|finding| finding.level != Good)
                .map(|finding| (finding.what, finding.level))
                .collect::<Vec<_>>()
        };
        let without_disk = |path: &Path| {
            let of_this_machine = [What::Disk, What::Fsync];
            levels(path).into_iter().filter(|(what, _)| !of_this_machine.contains(what)).collect::<Vec<_>>()
        };
        assert!(without_disk(folder.path()).is_empty());
        let file = folder.path().join("lock");
        let held = File::create(&file).unwrap();
        held.lock().unwrap();
        assert_eq!(without_disk(folder.path()), [(What::DataLock, Note)]);
        drop(held);
        fs::write(folder.path().join("lost-log-3"), "").unwrap();
        assert_eq!(without_disk(folder.path()), [(What::LostLog, Warning)]);
        assert_eq!(levels(&file), [(What::DataFolder, Fault)]);
        assert_eq!(levels(&folder.path().join("later")), [(What::DataFolder, Note)]);
        assert_eq!(
            without_disk(Path::new("/proc")),
            [(What::DataFolder, Fault)],
            "not even the system's first user may write there"
        );
        let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left.len(), 2, "what was measured with is gone: {left:?}");
    }

    #[test]
    fn only_the_process_with_the_registry_uses_it() {
        for (text, expected) in [
            ("[cluster]\ndata_dir = \"data\"\n", true),
            ("", false),
            ("[cluster]\ndata_dir = \"data\"\njoin = \"10.0.0.1:9889\"\n", false),
            ("[cluster]\ndata_dir = \"data\"\nregistry = \"nats\"\n", false),
        ] {
            let mut config = Config::default();
            config.apply(text).unwrap();
            assert_eq!(used(&config).is_some(), expected, "{text}");
        }
    }
}
