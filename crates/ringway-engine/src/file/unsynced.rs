//! Whether the machine went down while records that were answered for were not synced: then the last ones may be lost, and nothing else
//! would show it.
//!
//! Where the writer answers before it syncs, a file names the boot of the machine in which it does. It is there before the first such answer,
//! and is removed once all is synced. One that names another boot is what is left of a machine that went down.

use std::io;

use crate::file::files::Files;

const NAME: &str = "unsynced";
/// It is written under this name first.
const DRAFT: &str = "unsynced.new";

/// The last records may be lost.
pub(crate) fn may_be_lost(files: &dyn Files) -> io::Result<bool> {
    Ok(read(files)?.is_some_and(|boot| boot != files.boot()))
}

/// Records are answered for before they are synced from now on.
pub(crate) fn begin(files: &dyn Files) -> io::Result<()> {
    let boot = files.boot();
    if read(files)?.is_some_and(|known| known == boot) {
        return Ok(());
    }
    if files.list()?.iter().any(|name| name == DRAFT) {
        files.remove(DRAFT)?;
    }
    let draft = files.create(DRAFT)?;
    draft.write_at(boot.as_bytes(), 0)?;
    draft.sync()?;
    files.rename(DRAFT, NAME)?;
    files.sync_dir()
}

/// All is synced, or will be before it is answered.
pub(crate) fn end(files: &dyn Files) -> io::Result<()> {
    if read(files)?.is_some() {
        files.remove(NAME)?;
        files.sync_dir()?;
    }
    Ok(())
}

fn read(files: &dyn Files) -> io::Result<Option<String>> {
    if !files.list()?.iter().any(|name| name == NAME) {
        return Ok(None);
    }
    let file = files.open(NAME)?;
    let mut boot = vec![0; file.len()? as usize];
    file.read_at(&mut boot, 0)?;
    Ok(Some(String::from_utf8_lossy(&boot).into_owned()))
}
