//! Logs: to stderr, filtered by `RINGWAY_LOG`, as text or as one JSON object per line.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::EnvFilter;

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

/// Begins to log. Later calls in the same process change nothing.
///
/// # Errors
/// [`FilterError`].
pub fn start(format: LogFormat) -> Result<(), FilterError> {
    let text = std::env::var(VARIABLE).ok().filter(|text| !text.is_empty()).unwrap_or_else(|| FILTER.to_owned());
    let filter = EnvFilter::try_new(&text).map_err(|why| FilterError { text, why: why.to_string() })?;
    let colour = stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr).with_ansi(colour);
    let _already_started = match format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
    Ok(())
}
