//! How the command line finds a running demo: a file that only the user can read, in a directory that only the user can enter.
//!
//! It appears when the demo is healthy and goes with it. One that a killed demo left behind is known by its process id and the
//! time that process was started, so a number that was used again does not deceive.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::sys::signal::kill;
use nix::unistd::{Pid, getuid};
use serde::{Deserialize, Serialize};

/// Name of the file.
const FILE: &str = "demo.json";

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
    pid: u32,
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
    /// Another demo of this user runs; its file stays.
    #[error(
        "another demo is running at {0}; `ringway members` and the like speak to that one. For this one, give --url and --token"
    )]
    Another(String),
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
    let found = fs::symlink_metadata(directory).map_err(failed)?;
    let is_private = found.is_dir() && found.uid() == getuid().as_raw() && found.mode() & 0o077 == 0;
    is_private.then_some(()).ok_or_else(|| BeaconError::NotPrivate(directory.to_owned()))
}

impl Beacon {
    /// A beacon of this process.
    pub fn new(url: String, token: String, api_key: String) -> Self {
        let pid = std::process::id();
        Self { url, token, api_key, pid, born: born(pid) }
    }

    /// Writes the file, in one step for those who read it.
    ///
    /// # Errors
    /// [`BeaconError`]; nothing was written.
    pub fn light(&self, directory: &Path) -> Result<Lit, BeaconError> {
        make_private(directory)?;
        if let Some(other) = Self::find(directory).filter(|other| other.pid != self.pid) {
            return Err(BeaconError::Another(other.url));
        }
        let (path, draft) = (directory.join(FILE), directory.join(format!("{FILE}.{}", self.pid)));
        let text = serde_json::to_vec_pretty(self).expect("texts and numbers");
        write_private(&draft, &text)
            .and_then(|()| fs::rename(&draft, &path))
            .map_err(|why| BeaconError::Io { path: path.clone(), why })?;
        Ok(Lit { path, pid: self.pid })
    }

    /// The running demo's beacon, if there is one.
    pub fn find(directory: &Path) -> Option<Self> {
        let beacon: Self = serde_json::from_slice(&fs::read(directory.join(FILE)).ok()?).ok()?;
        beacon.is_alive().then_some(beacon)
    }

    fn is_alive(&self) -> bool {
        let exists = i32::try_from(self.pid).is_ok_and(|pid| kill(Pid::from_raw(pid), None) != Err(nix::Error::ESRCH));
        exists && born(self.pid) == self.born
    }
}

impl Drop for Lit {
    fn drop(&mut self) {
        let ours = fs::read(&self.path)
            .is_ok_and(|text| serde_json::from_slice::<Beacon>(&text).is_ok_and(|beacon| beacon.pid == self.pid));
        if ours {
            // Left behind, it is stale and known to be.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // A draft of a process that had our number and was killed while writing.
    let _ = fs::remove_file(path);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)
}

/// When a process was started: field 22 of `/proc/PID/stat`, counted after the name, which may hold anything.
fn born(pid: u32) -> u64 {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return 0 };
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    after_name.split_whitespace().nth(19).and_then(|field| field.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests;
