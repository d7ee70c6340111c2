//! When the writer syncs.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// When the writer makes sure that what it wrote survives a power failure. It always does before a segment ends or is deleted, and when the
/// log is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fsync {
    /// Before it answers: what was answered survives.
    Always,
    /// So often. An answer means that the operating system has the record: it survives the end of the process, but not that of the machine.
    Every(Duration),
    /// When the operating system does. An answer means as much as with `Every`.
    Never,
}

/// The text is no [`Fsync`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be \"always\", \"never\" or a time such as \"100ms\"")]
pub struct NotFsync;

/// The units of a time and their milliseconds, longest first.
const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl FromStr for Fsync {
    type Err = NotFsync;

    fn from_str(text: &str) -> Result<Self, NotFsync> {
        match text.trim() {
            "always" => return Ok(Self::Always),
            "never" => return Ok(Self::Never),
            _ => {}
        }
        let text = text.trim();
        let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or(NotFsync)?;
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| NotFsync)?;
        let (_, each) = UNITS.into_iter().find(|(name, _)| *name == unit.trim()).ok_or(NotFsync)?;
        match number.checked_mul(each) {
            None | Some(0) => Err(NotFsync),
            Some(time) => Ok(Self::Every(Duration::from_millis(time))),
        }
    }
}

impl fmt::Display for Fsync {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Always => f.write_str("always"),
            Self::Never => f.write_str("never"),
            Self::Every(time) => {
                let time = time.as_millis() as u64;
                let unit = UNITS.into_iter().find(|(_, each)| time >= *each && time.is_multiple_of(*each));
                let (name, each) = unit.unwrap_or(("ms", 1));
                write!(f, "{}{name}", time / each)
            }
        }
    }
}
