//! How this program is called here, so that a command that is printed can be pasted.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Its name where it is installed.
const NAME: &str = "ringway";

/// `ringway`, if a shell that is told so starts this very program; otherwise the path by which it was started.
pub(super) fn name() -> String {
    let me = std::env::current_exe().ok();
    called(me.as_deref(), std::env::args_os().next(), std::env::var_os("PATH").as_deref())
}

fn called(me: Option<&Path>, started: Option<OsString>, path: Option<&OsStr>) -> String {
    let is_me = |other: &Path| me.is_some_and(|me| is_same(me, other));
    if path.and_then(found_on).is_some_and(|found| is_me(&found)) {
        return NAME.to_owned();
    }
    let started = started.map(PathBuf::from).filter(|started| is_me(started));
    match started.as_deref().or(me) {
        Some(path) => quoted(&path.to_string_lossy()).into_owned(),
        None => NAME.to_owned(),
    }
}

/// What a shell would start.
fn found_on(path: &OsStr) -> Option<PathBuf> {
    let is_program = |found: &Metadata| found.is_file() && found.permissions().mode() & 0o111 != 0;
    let mut places = std::env::split_paths(path).map(|directory| directory.join(NAME));
    places.find(|place| fs::metadata(place).is_ok_and(|found| is_program(&found)))
}

/// Whether two paths lead to one file, over links too.
fn is_same(one: &Path, other: &Path) -> bool {
    let place = |path| fs::metadata(path).map(|found| (found.dev(), found.ino())).ok();
    place(one).is_some_and(|found| place(other) == Some(found))
}

/// As one word of a shell's line.
pub(super) fn quoted(word: &str) -> Cow<'_, str> {
    // Only a NUL cannot be quoted, and neither a path nor an argument can hold one.
    shlex::try_quote(word).unwrap_or(Cow::Borrowed(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An executable file; they differ by their places alone.
    fn program(directory: &Path, name: &str) -> PathBuf {
        fs::create_dir_all(directory).unwrap();
        let path = directory.join(name);
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn what_is_printed_starts_this_very_program() {
        let home = tempfile::tempdir().unwrap();
        let built = program(&home.path().join("target/my release"), "ringway");
        let installed = home.path().join("bin");
        fs::create_dir(&installed).unwrap();
        let other = home.path().join("other");
        program(&other, "ringway");
        let path = |places: &[&Path]| std::env::join_paths(places).unwrap();
        let called = |started: &str, places: &[&Path]| called(Some(&built), Some(started.into()), Some(&path(places)));
        let by_path = built.to_str().unwrap();
        let quoted = format!("'{by_path}'");
        assert_eq!(called(by_path, &[&installed]), quoted, "nothing is installed");
        assert_eq!(called(by_path, &[&other]), quoted, "another one is installed");
        assert_eq!(called("ringway", &[&other]), quoted, "it was started by another name than its own");
        std::os::unix::fs::symlink(&built, installed.join("ringway")).unwrap();
        assert_eq!(called(by_path, &[&installed, &other]), "ringway");
        assert_eq!(called(by_path, &[&other, &installed]), quoted, "the first one on the path counts");
        fs::set_permissions(other.join("ringway"), fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(called(by_path, &[&other, &installed]), "ringway", "what cannot be run does not count");
    }

    #[test]
    fn a_path_without_odd_letters_needs_no_quotes() {
        assert_eq!(quoted("target/release/ringway"), "target/release/ringway");
    }
}
