//! How a command fails, and with which exit code.

use std::fmt::Display;
use std::process::ExitCode;
use std::time::Duration;

/// A failed command. The codes are listed in `ringway --help`.
#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    /// What was asked for was refused, or went wrong: 1.
    #[error("{0}")]
    Failed(String),
    /// The arguments do not go together: 2, as for those that cannot be read.
    #[error("{0}\n\nFor more, try --help.")]
    Usage(String),
    /// The config has faults: 64. No port was opened.
    #[error("{0}")]
    Config(String),
    /// Nobody answers, or a port is not to be had: 69.
    #[error("{0}")]
    Unavailable(String),
    /// The process ended as it was asked to, when its time was over: 75, a failure that passes.
    #[error(
        "ended when its time was over ([drain] timeout = {0:?}), without handing everything over: its log says what was waited for"
    )]
    OutOfTime(Duration),
    /// Whoever read our output is gone: not worth a word.
    #[error("the output's reader is gone")]
    ReaderGone,
}

impl CliError {
    pub(super) fn failed(why: impl Display) -> Self {
        Self::Failed(why.to_string())
    }

    pub(super) fn config(why: impl Display) -> Self {
        Self::Config(why.to_string())
    }

    pub(super) fn unavailable(why: impl Display) -> Self {
        Self::Unavailable(why.to_string())
    }

    pub(super) fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Failed(_) | Self::ReaderGone => 1,
            Self::Usage(_) => 2,
            Self::Config(_) => 64,
            Self::Unavailable(_) => 69,
            Self::OutOfTime(_) => 75,
        })
    }
}
