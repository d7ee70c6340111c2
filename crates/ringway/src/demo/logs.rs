//! Where a demo's nodes log: a private directory per demo, of which the newest few are kept.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use nix::unistd::getuid;

use crate::beacon::{BeaconError, Life, make_private};

/// Directories of ended demos that are kept for looking into.
const KEPT: usize = 9;
/// How much of a log a failure shows: the end, where the reason is.
const SHOWN_LINES: usize = 10;

/// A new directory; old ones beyond the newest few are removed.
pub(super) fn directory() -> Result<PathBuf, BeaconError> {
    let base = base();
    make_private(&base)?;
    remove_old(&base);
    // Names sort by time: the system's clock in seconds has ten digits until the year 2286.
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let directory = base.join(format!("demo-{seconds:010}-{}", std::process::id()));
    make_private(&directory)?;
    Ok(directory)
}

/// Below `XDG_STATE_HOME`, or else the home's own place for such things, or else `/tmp`.
fn base() -> PathBuf {
    let below = |variable: &str, path: &str| {
        let base = std::env::var_os(variable).filter(|base| !base.is_empty())?;
        Some(Path::new(&base).join(path))
    };
    below("XDG_STATE_HOME", "ringway")
        .or_else(|| below("HOME", ".local/state/ringway"))
        .unwrap_or_else(|| PathBuf::from(format!("/tmp/ringway-{}-logs", getuid())))
}

fn remove_old(base: &Path) {
    let Ok(entries) = fs::read_dir(base) else { return };
    let ours = entries.filter_map(Result::ok).filter(|entry| entry.file_name().to_string_lossy().starts_with("demo-"));
    let mut demos: Vec<PathBuf> = ours.map(|entry| entry.path()).filter(|path| !is_running(path)).collect();
    demos.sort();
    for old in demos.iter().rev().skip(KEPT) {
        // What cannot be removed now may be next time.
        let _ = fs::remove_dir_all(old);
    }
}

fn is_running(directory: &Path) -> bool {
    let pid = directory.to_string_lossy().rsplit_once('-').and_then(|(_, pid)| pid.parse().ok());
    pid.is_some_and(|pid| Life::of(pid).is_some())
}

/// The last lines of a log.
pub(super) fn tail(log: &Path) -> String {
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let shown = &lines[lines.len().saturating_sub(SHOWN_LINES)..];
    if shown.is_empty() {
        "    (nothing)".to_owned()
    } else {
        shown.iter().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
    }
}
