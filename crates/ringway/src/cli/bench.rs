//! `ringway bench`: the load generator, with its report printed.

use super::error::CliError;
use super::say;

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
