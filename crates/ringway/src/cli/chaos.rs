//! `ringway chaos`: faults against a cluster under load, with the report printed.

use ringway_bench::chaos::{self, ChaosArgs};

use super::error::CliError;
use super::say;

pub(super) async fn run(args: ChaosArgs) -> Result<(), CliError> {
    let program = std::env::current_exe().map_err(CliError::failed)?;
    let report = chaos::run(&args, &program).await.map_err(|why| CliError::Unavailable(format!("{why:#}")))?;
    let text = if args.json { report.json().map_err(CliError::failed)? } else { report.to_string() };
    say(&format!("{}\n", text.trim_end()))?;
    match (report.is_clean(), report.is_quick() || !args.expect) {
        (true, true) => Ok(()),
        (true, false) => Err(CliError::Failed("it took longer than is aimed at: see the report".to_owned())),
        (false, _) => Err(CliError::Failed("a promise was broken: see the report".to_owned())),
    }
}
