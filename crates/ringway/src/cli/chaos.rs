//! `ringway chaos`: faults against a cluster under load, with the report printed.

use ringway_bench::chaos::{self, ChaosArgs, Settings};

use super::args::RegistryArgs;
use super::error::CliError;
use super::{run, say};
use crate::config::Config;

pub(super) async fn run(args: ChaosArgs) -> Result<(), CliError> {
    let program = std::env::current_exe().map_err(CliError::failed)?;
    let settings = settings(&args)?;
    settings.check(&args).map_err(|why| CliError::Usage(why.to_string()))?;
    let report =
        chaos::run(&args, &program, &settings).await.map_err(|why| CliError::Unavailable(format!("{why:#}")))?;
    let text = if args.json { report.json().map_err(CliError::failed)? } else { report.to_string() };
    say(&format!("{}\n", text.trim_end()))?;
    match (report.is_clean(), report.is_quick() || !args.expect) {
        (true, true) => Ok(()),
        (true, false) => Err(CliError::Failed("it took longer than is aimed at: see the report".to_owned())),
        (false, _) => Err(CliError::Failed("a promise was broken: see the report".to_owned())),
    }
}

/// Those of the demo that will be started, as it reads them itself.
fn settings(args: &ChaosArgs) -> Result<Settings, CliError> {
    if args.url.is_some() {
        return Ok(Settings::default());
    }
    let registry = RegistryArgs { data_dir: args.data_dir.clone(), accept_loss: false };
    let config = run::demo_config(args.config.as_deref(), &registry)?;
    let Config { cluster, gateway, timing, .. } = &config;
    let kinds = gateway.hub.keeping().kinds;
    Ok(Settings {
        namespaces: kinds.iter().map(|(kind, _)| kind.to_string()).collect(),
        logged: kinds.iter().filter(|(_, how)| how.is_logged()).map(|(kind, _)| kind.to_string()).collect(),
        outlives: cluster.registry.is_outside() || cluster.data_dir.is_some(),
        deadline: timing.deadline,
    })
}
