//! Logs: to stderr, filtered by `RINGWAY_LOG`, as text or as one JSON object per line.
//!
//! A thread of its own writes them. Whoever reads stderr may stop: a full pipe, a disk that hangs, Ctrl-S on a terminal.
//! A member that waited for it would be silent and soon be taken for dead, so lines are lost instead, and counted.

use std::io::{IsTerminal, stderr};

use parking_lot::Mutex;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

/// Lines that wait to be written; more are lost.
const WAITING: usize = 16 * 1024;

/// What is logged unless `RINGWAY_LOG` says otherwise.
const FILTER: &str = "info";
/// The environment variable with the filter, in the syntax of `tracing`'s `EnvFilter`: `debug`, `ringway=trace,warn`.
const VARIABLE: &str = "RINGWAY_LOG";

/// How a log line is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line, for machines.
    Json,
}

/// The filter cannot be read. Nothing was started.
#[derive(Debug, thiserror::Error)]
#[error("{VARIABLE} is {text:?}, which is no log filter: {why}. Examples: info, debug, ringway=trace,warn")]
pub struct FilterError {
    text: String,
    why: String,
}

/// What writes the lines, while it does, and what counts the lost ones.
static WRITER: Mutex<Option<(WorkerGuard, ErrorCounter)>> = Mutex::new(None);

/// Writes out what waits, for a second at most. Later lines are lost: the process is about to end.
pub fn finish() {
    let writer = WRITER.lock().take();
    drop(writer);
}

/// Lines that were lost because nobody took them.
pub fn lines_lost() -> u64 {
    WRITER.lock().as_ref().map_or(0, |(_, lost)| lost.dropped_lines() as u64)
}

/// Begins to log. Later calls in the same process change nothing. [`finish`] must come before the end of the process.
///
/// # Errors
/// [`FilterError`].
pub fn start(format: LogFormat) -> Result<(), FilterError> {
    let text = std::env::var(VARIABLE).ok().filter(|text| !text.is_empty()).unwrap_or_else(|| FILTER.to_owned());
    let filter = EnvFilter::try_new(&text).map_err(|why| FilterError { text, why: why.to_string() })?;
    let colour = stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let (writer, guard) =
        NonBlockingBuilder::default().buffered_lines_limit(WAITING).thread_name("log").finish(stderr());
    let lost = writer.error_counter();
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(colour);
    let started = match format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
    if started.is_ok() {
        *WRITER.lock() = Some((guard, lost));
    }
    Ok(())
}
