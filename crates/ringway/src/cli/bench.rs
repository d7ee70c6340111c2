//! `ringway bench`: the load generator, with its report printed.

mod log;

use clap::Subcommand;

use super::error::CliError;
use super::say;

pub(super) use log::{LogArgs, run as log};

/// What is measured.
#[derive(Debug, Subcommand)]
pub(super) enum Measured {
    /// A running server, over real sockets
    #[command(flatten)]
    Server(ringway_bench::Bench),
    /// Append to a log without a cluster: records per second and latency of a disk or of NATS, for choosing an engine
    #[command(after_help = LOG_EXAMPLES)]
    Log(LogArgs),
}

const LOG_EXAMPLES: &str = "\
A cluster acknowledges a logged publish when the log has it, so this is the most that channels with durability = \"log\" can have here. The
log that is measured is new and is removed; what a cluster keeps is not touched.

Examples:
  ringway bench log --data-dir /var/lib/ringway                  this disk, with a sync for what comes together
  ringway bench log --data-dir /var/lib/ringway --fsync 100ms
  ringway bench log --nats nats://127.0.0.1:4222                 these servers
  ringway bench log --config ringway.toml --appenders 1,16,256   where the members have it, with their user and certificates";

pub(super) async fn run(load: ringway_bench::Bench) -> Result<(), CliError> {
    let report = ringway_bench::run(&load).await.map_err(|why| CliError::Unavailable(format!("{why:#}")))?;
    let text = if load.json() { report.json().map_err(CliError::failed)? } else { report.to_string() };
    say(&format!("{}\n", text.trim_end()))?;
    match (report.is_clean(), report.is_as_expected() || !load.expects()) {
        (true, true) => Ok(()),
        (true, false) => {
            Err(CliError::Failed("good users were not served as quickly as is aimed at: see the report".to_owned()))
        }
        (false, _) => Err(CliError::Failed(
            "sockets were closed, or messages lost, doubled or out of order: see the report".to_owned(),
        )),
    }
}
