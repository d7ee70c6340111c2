//! `ringway config check FILE`: every fault of a config, before anything is started with it.

use serde_json::json;

use super::args::CheckArgs;
use super::error::CliError;
use super::say;
use crate::config::{Config, ConfigError};

pub(super) fn run(args: &CheckArgs) -> Result<(), CliError> {
    let base = if args.dev { Config::default().open() } else { Config::default() };
    let found = base.with_file(&args.file).err();
    if args.json {
        say(&format!("{}\n", json!({ "file": args.file.to_string_lossy(), "faults": faults(found.as_ref()) })))?;
    }
    match (found, args.json) {
        (None, true) => Ok(()),
        (None, false) => say(&format!("{}: no faults\n", args.file.display())),
        (Some(why), _) => Err(CliError::config(why)),
    }
}

fn faults(found: Option<&ConfigError>) -> Vec<String> {
    match found {
        None => Vec::new(),
        Some(ConfigError::Faulty { faults, .. }) => faults.0.clone(),
        Some(why @ ConfigError::Unreadable { .. }) => vec![why.to_string()],
    }
}
