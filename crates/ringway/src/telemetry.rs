//! Logs: to stderr, filtered by `RINGWAY_LOG`, as text or as one JSON object per line.
//!
//! A thread of its own writes them. Whoever reads stderr may stop: a full pipe, a disk that is full or hangs, Ctrl-S on a terminal.
//! A member that waited for it would be silent and soon be taken for dead, so lines are lost instead, and counted. What a
//! member says on stdout goes the same way. Nothing else in a member writes to either.
//!
//! A line that would come more often than once in 10 s is held back and counted: see `sieve`.

mod event;
mod form;
mod output;
mod panics;
mod sieve;
mod writer;

use std::fmt::Display;
use std::io::{self, IsTerminal, Write, stderr};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tracing::{error, info};
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

use event::ToWriter;
use form::Form;
use writer::Writer;

/// What is logged unless `RINGWAY_LOG` says otherwise.
const FILTER: &str = "info";
/// Whoever else would write into the log what went over the wire: a password in its first frames, and orders that came back.
const SILENT: [&str; 2] = ["lapin=off", "amq_protocol=off"];
/// The environment variable with the filter, in the syntax of `tracing`'s `EnvFilter`: `debug`, `ringway=trace,warn`.
const VARIABLE: &str = "RINGWAY_LOG";
/// How long the end of a process waits for its last words to be written.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How a log line is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line, for machines.
    Json,
}

/// There can be no log. Nothing was started.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter cannot be read.
    #[error("{VARIABLE} is {text:?}, which is no log filter: {why}. Examples: info, debug, ringway=trace,warn")]
    Filter {
        /// What the variable holds.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// The system gives no thread to write with, or takes no handler of a signal.
    #[error("cannot begin to log: {0}. Look at this user's limits of processes and open files")]
    System(#[from] io::Error),
}

/// What writes the log, and how a line of it looks.
static LOG: OnceLock<(Writer, LogFormat)> = OnceLock::new();
/// What writes to stdout.
static STDOUT: OnceLock<Writer> = OnceLock::new();

/// Begins to log. Later calls in the same process change nothing. [`finish`] must come before the end of the process. Needs a
/// running Tokio runtime.
///
/// # Errors
/// [`LogError`].
pub fn start(format: LogFormat) -> Result<(), LogError> {
    let text = std::env::var(VARIABLE).ok().filter(|text| !text.is_empty()).unwrap_or_else(|| FILTER.to_owned());
    let filter = EnvFilter::try_new(&text).map_err(|why| LogError::Filter { text, why: why.to_string() })?;
    let filter =
        SILENT.iter().fold(filter, |filter, silent| filter.add_directive(silent.parse().expect("a directive")));
    let colour = stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let form = Form { format, colour };
    output::outlive_the_limit_of_a_file()?;
    let writer = Writer::start("log", Some(form), stderr())?;
    let layer = match format {
        LogFormat::Text => {
            let body = fmt::format().without_time().with_ansi(colour);
            fmt::layer().log_internal_errors(false).event_format(ToWriter::new(body, writer.clone())).boxed()
        }
        LogFormat::Json => {
            let body = fmt::format().json().without_time();
            fmt::layer().json().log_internal_errors(false).event_format(ToWriter::new(body, writer.clone())).boxed()
        }
    };
    // The client of Nacos would say passwords, and every list that it gets. What matters of it is said here by whoever uses it.
    let filter = filter.and(filter_fn(|line| !line.target().starts_with("nacos_sdk")));
    if tracing_subscriber::registry().with(layer.with_filter(filter)).try_init().is_ok() {
        let _first = LOG.set((writer, format));
        panics::are_logged();
        info!(version = %env!("CARGO_PKG_VERSION"), pid = std::process::id(), "ringway starts");
    }
    Ok(())
}

/// Lines of the log and of stdout that were lost: nobody took them, or they could not be written.
pub fn lines_lost() -> u64 {
    LOG.get().map_or(0, |(log, _)| log.lost()) + STDOUT.get().map_or(0, Writer::lost)
}

/// Says something on stdout. Nobody waits for it to be read.
pub fn announce(text: String) {
    if text.is_empty() {
        return;
    }
    let writer = match STDOUT.get() {
        Some(writer) => writer,
        // Without a thread, or a number for the file, there is nobody to say it; the log has the same facts.
        None => match output::stdout().and_then(|out| Writer::start("stdout", None, out)) {
            Ok(writer) => STDOUT.get_or_init(|| writer),
            Err(why) => return error!(%why, "cannot write to stdout"),
        },
    };
    writer.say(text);
}

/// Tells people something beside the log: a bare line where the log is text, a line of the log where it is JSON.
pub fn note(text: impl Display) {
    match LOG.get() {
        Some((log, LogFormat::Text)) => log.say(format!("ringway: {text}\n")),
        Some((_, LogFormat::Json)) => info!("{text}"),
        None => directly(text),
    }
}

/// Says why this process ends, the way [`note`] does.
pub fn last_word(why: impl Display) {
    match LOG.get() {
        Some((_, LogFormat::Json)) => error!("{why}"),
        _ => note(why),
    }
}

/// A program that is no member may wait for its reader.
fn directly(text: impl Display) {
    // Nobody reads stderr any more: the exit code still tells.
    let _ = writeln!(stderr(), "ringway: {text}");
}

/// Writes out what waits, for a second at most: the process is about to end.
pub fn finish() {
    let end = Instant::now() + LAST_WORDS;
    if let Some(stdout) = STDOUT.get() {
        stdout.drain(end);
    }
    if let Some((log, _)) = LOG.get() {
        log.drain(end);
    }
}
