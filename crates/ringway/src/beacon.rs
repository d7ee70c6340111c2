//! How the command line finds running demos: a register of files that only the user can read, in a directory that only the user
//! can enter.
//!
//! A demo's file appears when the demo is healthy and goes with it. Each demo has a file of its own, so one that ends leaves the others to
//! be found. What a killed demo left behind is known by its process id and the time that process was started, so a number that was used
//! again does not deceive; whoever looks into the register removes it.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use nix::sys::signal::kill;
use nix::unistd::{Pid, getuid};
use serde::{Deserialize, Serialize};

/// What the names of the register's files begin with; the demo's process id follows.
const PREFIX: &str = "demo-";
/// What they end with.
const SUFFIX: &str = ".json";
/// What a file ends with that is being written.
const DRAFT: &str = ".draft";

/// What a client of the demo must know.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beacon {
    /// `http://host:port`.
    pub url: String,
    /// Of the admin API.
    pub token: String,
    /// Of the server API.
    pub api_key: String,
    /// The demo's process.
    pub pid: u32,
    /// When that was started, as the system counts; 0 where it does not tell.
    pub born: u64,
    /// When the demo was healthy, in milliseconds since 1970: the newest is taken where there are several.
    pub lit: u64,
}

impl std::fmt::Debug for Beacon {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Beacon {{ url: {}, pid: {} }}", self.url, self.pid)
    }
}

/// The file, for as long as this value lives.
#[derive(Debug)]
pub struct Lit {
    path: PathBuf,
}

/// Why the file could not be written, or must not be trusted.
#[derive(Debug, thiserror::Error)]
pub enum BeaconError {
    /// The system refused.
    #[error("cannot use {}: {why}", path.display())]
    Io {
        /// Which file or directory.
        path: PathBuf,
        /// What the system said.
        why: io::Error,
    },
    /// Somebody else could read or have written it.
    #[error("{} is not private to you, so nothing secret is kept there: remove it, or set XDG_RUNTIME_DIR to a directory of yours", .0.display())]
    NotPrivate(PathBuf),
}

/// The private directory: below `XDG_RUNTIME_DIR`, or else the home's cache, or else `/tmp`.
pub fn directory() -> PathBuf {
    let below = |variable: &str, path: &str| {
        let base = std::env::var_os(variable).filter(|base| !base.is_empty())?;
        Some(Path::new(&base).join(path))
    };
    below("XDG_RUNTIME_DIR", "ringway")
        .or_else(|| below("HOME", ".cache/ringway"))
        .unwrap_or_else(|| PathBuf::from(format!("/tmp/ringway-{}", getuid())))
}

/// Makes a directory that only this user can enter, or checks that it is one.
///
/// # Errors
/// [`BeaconError`].
pub fn make_private(directory: &Path) -> Result<(), BeaconError> {
    let failed = |why| BeaconError::Io { path: directory.to_owned(), why };
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
    let is_private = is_private(directory).map_err(failed)?;
    is_private.then_some(()).ok_or_else(|| BeaconError::NotPrivate(directory.to_owned()))
}

fn is_private(directory: &Path) -> io::Result<bool> {
    let found = fs::symlink_metadata(directory)?;
    Ok(found.is_dir() && found.uid() == getuid().as_raw() && found.mode() & 0o077 == 0)
}

impl Beacon {
    /// A beacon of this process, lit now.
    pub fn new(url: String, token: String, api_key: String) -> Self {
        let pid = std::process::id();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let lit = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        Self { url, token, api_key, pid, born: Life::of(pid).map_or(0, |life| life.born), lit }
    }

    /// Writes the file, in one step for those who read it.
    ///
    /// # Errors
    /// [`BeaconError`]; nothing was written.
    pub fn light(&self, directory: &Path) -> Result<Lit, BeaconError> {
        make_private(directory)?;
        let path = directory.join(format!("{PREFIX}{}{SUFFIX}", self.pid));
        let draft = path.with_extension(DRAFT.trim_start_matches('.'));
        let text = serde_json::to_vec_pretty(self).expect("texts and numbers");
        write_private(&draft, &text)
            .and_then(|()| fs::rename(&draft, &path))
            .map_err(|why| BeaconError::Io { path: path.clone(), why })?;
        Ok(Lit { path })
    }

    /// The beacons of all running demos, the newest first. What was left behind by others is removed.
    pub fn all(directory: &Path) -> Vec<Self> {
        // Whoever else could write there could lead messages and tokens astray.
        if !is_private(directory).unwrap_or(false) {
            return Vec::new();
        }
        let entries = fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok);
        let mut found: Vec<Self> = entries.filter_map(|entry| Self::read(&entry.path())).collect();
        found.sort_by_key(|beacon| std::cmp::Reverse((beacon.lit, beacon.pid)));
        found
    }

    fn read(path: &Path) -> Option<Self> {
        let pid = pid_in(path.file_name()?.to_str()?)?;
        let beacon = fs::read(path).ok().and_then(|text| serde_json::from_slice::<Self>(&text).ok());
        let alive = beacon.as_ref().map_or(Life::of(pid).is_some(), Self::is_alive);
        if !alive {
            // What cannot be removed now may be next time.
            let _ = fs::remove_file(path);
        }
        beacon.filter(|beacon| alive && beacon.pid == pid)
    }

    fn is_alive(&self) -> bool {
        Life::of(self.pid).is_some_and(|life| life.born == self.born)
    }
}

/// The process id in the name of a file of the register, drafts included.
fn pid_in(name: &str) -> Option<u32> {
    let rest = name.strip_prefix(PREFIX)?;
    rest.strip_suffix(SUFFIX).or_else(|| rest.strip_suffix(DRAFT))?.parse().ok()
}

impl Drop for Lit {
    fn drop(&mut self) {
        // Left behind, it is stale and known to be.
        let _ = fs::remove_file(&self.path);
    }
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // A draft of a process that had our number and was killed while writing.
    let _ = fs::remove_file(path);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)
}

/// A process that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    /// When it was started, as the system counts; 0 where it does not tell.
    pub born: u64,
}

impl Life {
    /// The life of a process; none if it has ended, also if nobody has waited for it yet.
    pub fn of(pid: u32) -> Option<Self> {
        match fs::read_to_string(format!("/proc/{pid}/stat")) {
            Ok(stat) => Self::in_stat(&stat),
            // Where there is no /proc, a signal tells whether there is such a process.
            Err(_) if !Path::new("/proc/self/stat").exists() => {
                let pid = Pid::from_raw(i32::try_from(pid).ok()?);
                (kill(pid, None) != Err(nix::Error::ESRCH)).then_some(Self { born: 0 })
            }
            Err(_) => None,
        }
    }

    /// Fields of `/proc/PID/stat` are counted after the name, which may hold anything: the 1st is the state, the 20th the time of the start.
    fn in_stat(stat: &str) -> Option<Self> {
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        let has_ended = matches!(fields.next()?, "Z" | "X" | "x");
        let born = fields.nth(18).and_then(|field| field.parse().ok()).unwrap_or(0);
        (!has_ended).then_some(Self { born })
    }
}

#[cfg(test)]
mod tests;
