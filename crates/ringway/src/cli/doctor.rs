//! `ringway doctor`: what an operator should know before a member starts and while it runs, and what to do about it.
//!
//! Each chapter looks at one thing and gives findings. What was read is judged by functions of their own, without a system around them.

mod bus;
mod census;
mod engine;
mod finding;
mod folder;
mod keys;
mod limits;
mod member;
mod ports;
mod redis;
mod settings;

use std::future::Future;
use std::io::IsTerminal;
use std::pin::pin;
use std::time::Duration;

use super::args::DoctorArgs;
use super::error::CliError;
use super::paint::on_stdout;
use super::{say, table};
use crate::beacon::{Beacon, directory};
use crate::config::{CensusAt, Config};
use crate::telemetry;
use finding::{Finding, Level, What};

/// A look that takes longer is told of, to whoever sits before a terminal.
const QUICK: Duration = Duration::from_secs(1);
/// A disk that hangs is not waited for.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn run(args: DoctorArgs) -> Result<(), CliError> {
    let findings = Box::pin(look(&args)).await;
    say(&match args.json {
        true => finding::as_json(&findings),
        false => finding::as_text(&findings, on_stdout(), table::width()),
    })?;
    let is_config = |finding: &&Finding| {
        finding.level == Level::Fault && matches!(finding.what, What::Config | What::Secret | What::LogPlace)
    };
    let (of_config, all) = (findings.iter().filter(is_config).count(), finding::count(&findings, Level::Fault));
    match (of_config, all) {
        (0, 0) => Ok(()),
        (0, all) => Err(CliError::Failed(format!("{all} fault(s) found; the findings say what to do"))),
        (of_config, _) => {
            Err(CliError::Config(format!("the config has {of_config} fault(s); the findings say what to do")))
        }
    }
}

async fn look(args: &DoctorArgs) -> Vec<Finding> {
    let (config, mut found) = settings::look(args);
    // Without a config, and with an address, only the member is meant: what a member without a file would do here is of no interest.
    let is_local = args.config.is_some() || args.data_dir.is_some() || args.url.is_none();
    let defaults = Config::default();
    if is_local {
        found.extend(limits::look(config.as_ref().unwrap_or(&defaults)));
    }
    let mut here = None;
    if let (Some(config), true) = (&config, is_local) {
        let (ports, held) = told("the ports", ports::look(config)).await;
        found.extend(ports);
        here = held;
        found.extend(data(config).await);
        found.extend(told("the keys of tokens", Box::pin(keys::look(config))).await);
        if engine::used(config) {
            found.extend(told("NATS", Box::pin(engine::look(config, args.monitor.as_deref()))).await);
        }
        if redis::used(config) {
            found.extend(told("Redis", Box::pin(redis::look(config))).await);
        }
        if bus::used(config) {
            found.extend(told("RabbitMQ", Box::pin(bus::look(config))).await);
        }
        if config.cluster.census == CensusAt::Nacos {
            found.extend(told("Nacos", Box::pin(census::look(config))).await);
        }
    }
    if let Some((url, token)) = whom(args, config.as_ref(), here) {
        let whom = member::Whom { url: &url, ca: args.ca.as_deref(), token: token.as_deref() };
        found.extend(told("the member", member::look(&whom)).await);
    }
    found
}

/// The data folder, if these settings use one.
async fn data(config: &Config) -> Vec<Finding> {
    let Some(folder) = folder::used(config) else { return Vec::new() };
    let (at, settings) = (folder.clone(), config.clone());
    let looked = tokio::task::spawn_blocking(move || folder::look(&at, &settings));
    match told("the data folder", tokio::time::timeout(PATIENCE, looked)).await {
        Ok(Ok(found)) => found,
        Ok(Err(_)) | Err(_) => vec![Finding::fault(
            What::DataFolder,
            format!("{} does not answer within {} s.", folder.display(), PATIENCE.as_secs()),
            "Look at its disk (dmesg, iostat): a member would hang there too.",
        )],
    }
}

/// The member to ask, and the token for it: the one that is named, or the one at the config's ports, or the newest running demo.
fn whom(args: &DoctorArgs, config: Option<&Config>, here: Option<String>) -> Option<(String, Option<String>)> {
    let demos = Beacon::all(&directory());
    let newest = || demos.first().filter(|_| args.config.is_none()).map(|demo| demo.url.clone());
    let url = args.url.clone().or_else(newest).or(here)?;
    let of_demo = demos.iter().find(|demo| demo.url == url).map(|demo| demo.token.clone());
    let of_config = || config.and_then(|config| config.admin.token.as_ref()).map(|token| token.0.clone());
    let token = args.token.clone().or(of_demo).or_else(of_config);
    Some((url, token))
}

/// Waits for a look. To a terminal it says what takes so long.
async fn told<T>(what: &str, look: impl Future<Output = T>) -> T {
    let mut look = pin!(look);
    match tokio::time::timeout(QUICK, &mut look).await {
        Ok(found) => found,
        Err(_) => {
            if std::io::stderr().is_terminal() {
                telemetry::note(format_args!("looking at {what} ..."));
            }
            look.await
        }
    }
}

/// As people read it.
fn bytes(count: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match UNITS.iter().find(|(_, unit)| count >= *unit) {
        Some((name, unit)) => format!("{:.1} {name}", count as f64 / *unit as f64),
        None => format!("{count} B"),
    }
}

#[cfg(test)]
mod tests;
