//! The calls to the file system: one small trait, so that tests can lose what was not synced.

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One folder. Names that were made, changed or removed are sure to survive only after [`Files::sync_dir`].
pub(crate) trait Files: Debug + Send + Sync + 'static {
    fn list(&self) -> io::Result<Vec<String>>;

    /// A new, empty file. Refused if there is one of this name.
    fn create(&self, name: &str) -> io::Result<Arc<dyn Handle>>;

    fn open(&self, name: &str) -> io::Result<Arc<dyn Handle>>;

    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    fn remove(&self, name: &str) -> io::Result<()>;

    fn sync_dir(&self) -> io::Result<()>;

    /// Names the time for which the machine has run: another one each time that it begins anew.
    fn boot(&self) -> String;
}

/// One open file. It can be read for as long as the handle is held, even after it was removed.
pub(crate) trait Handle: Debug + Send + Sync + 'static {
    fn len(&self) -> io::Result<u64>;

    /// Fills the whole buffer, or fails.
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()>;

    /// Writes all of it, or fails; then a part may have been written.
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()>;

    fn truncate(&self, len: u64) -> io::Result<()>;

    /// Returns when the content and the length will survive a power failure.
    fn sync(&self) -> io::Result<()>;
}

/// A folder of the operating system.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }
}

impl Files for Folder {
    fn list(&self) -> io::Result<Vec<String>> {
        // Names that are not text are none of ours.
        fs::read_dir(&self.0)?
            .filter_map(|entry| entry.map(|entry| entry.file_name().into_string().ok()).transpose())
            .collect()
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn Handle>> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(self.0.join(name))?;
        Ok(Arc::new(file))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn Handle>> {
        Ok(Arc::new(OpenOptions::new().read(true).write(true).open(self.0.join(name))?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.0.join(from), self.0.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.0.join(name))
    }

    fn sync_dir(&self) -> io::Result<()> {
        File::open(&self.0)?.sync_all()
    }

    fn boot(&self) -> String {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|boot| boot.trim().to_owned());
        // Where the system has no name for it, each process is taken for a new one.
        boot.unwrap_or_else(|_| format!("process {} of {:?}", std::process::id(), std::time::SystemTime::now()))
    }
}

impl Handle for File {
    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        self.read_exact_at(buffer, at)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.write_all_at(bytes, at)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

/// The disk, or the share of it that we may use, has no room.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
