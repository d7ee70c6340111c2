//! The folder of the process that keeps the registry: what a cluster must remember when that process ends.
//!
//! ```text
//! lock    held for as long as the process lives; names it
//! view    the newest view (`ringway_protocol::kept`)
//! ```
//!
//! A view is written beside the old one and renamed over it; file and folder are synced. So there is always a whole one, and
//! what was answered is on the disk.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use ringway_core::view::View;
use ringway_protocol::kept::{self, KeptError};

const LOCK: &str = "lock";
const VIEW: &str = "view";
/// A view on its way. One that is left behind was never answered, and is written over.
const DRAFT: &str = "view.new";

/// Longest file that is read as a view. One of 2,048 members with the longest names takes a fifth of it.
const VIEW_BYTES: u64 = 4 << 20;

/// Why the folder is of no use. Nothing was started.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// The system refused.
    #[error("cannot use {} for the cluster's data: {why}. Give --data-dir a folder that this user may write to", path.display())]
    Io {
        /// What could not be used.
        path: PathBuf,
        /// What the system said.
        why: io::Error,
    },
    /// Another process has it.
    #[error(
        "the data folder {} is in use by {holder}: one process keeps a cluster's registry at a time. Stop that one first, or give --data-dir another folder", path.display()
    )]
    Locked {
        /// The folder.
        path: PathBuf,
        /// Who, as far as it is known.
        holder: String,
    },
    /// What is there is not what was written.
    #[error(
        "cannot read the view that is kept in {}: {why}. Bring the folder back from a backup; or move all that is in it away, and the members begin a new cluster, without what their channels hold", path.display()
    )]
    Kept {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: KeptError,
    },
}

/// An open folder, locked for as long as this value lives.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Makes the folder if it is not there, and takes it for this process.
    ///
    /// # Errors
    /// [`DataDirError`].
    pub fn open(path: &Path) -> Result<Self, DataDirError> {
        let failed = |why| DataDirError::Io { path: path.to_owned(), why };
        // Relative to where the process was started, wherever it goes.
        let path = std::path::absolute(path).map_err(failed)?;
        make(&path).map_err(failed)?;
        let at = path.join(LOCK);
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&at);
        let mut lock = opened.map_err(|why| DataDirError::Io { path: at.clone(), why })?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(DataDirError::Locked { path, holder: holder(&mut lock) }),
            Err(TryLockError::Error(why)) => return Err(DataDirError::Io { path: at, why }),
        }
        let named = lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id()));
        named.map_err(|why| DataDirError::Io { path: at, why })?;
        Ok(Self { path, _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The view that was kept last; `None` in a new folder.
    ///
    /// # Errors
    /// [`DataDirError`].
    pub fn view(&self) -> Result<Option<View>, DataDirError> {
        let path = self.path.join(VIEW);
        let mut bytes = Vec::new();
        let read = File::open(&path).and_then(|file| file.take(VIEW_BYTES).read_to_end(&mut bytes));
        match read {
            Ok(_) => kept::decode(&bytes).map(Some).map_err(|why| DataDirError::Kept { path, why }),
            Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(why) => Err(DataDirError::Io { path, why }),
        }
    }

    /// Keeps this view in the place of the one before. Blocks until it is on the disk.
    ///
    /// # Errors
    /// The system refused. The one before, or this one, is kept.
    pub fn keep(&self, view: &View) -> io::Result<()> {
        let draft = self.path.join(DRAFT);
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        file.write_all(&kept::encode(view))?;
        file.sync_all()?;
        fs::rename(&draft, self.path.join(VIEW))?;
        sync(&self.path)
    }
}

/// Makes the folder and those above it, so that they are there after a loss of power too.
fn make(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    path.parent().map_or(Ok(()), sync)
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn holder(lock: &mut File) -> String {
    let mut text = String::new();
    // Who holds the lock may be just writing its name.
    let named = lock.read_to_string(&mut text).is_ok() && !text.trim().is_empty();
    if named { format!("process {}", text.trim()) } else { "another process".to_owned() }
}

#[cfg(test)]
mod tests;
