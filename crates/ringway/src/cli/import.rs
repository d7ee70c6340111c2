//! `ringway config import FILE`: a config of the reference server as one of ours, and what of it is left over.

mod names;
mod source;
mod translate;

use serde::Serialize;
use serde_json::json;

use super::args::ImportArgs;
use super::error::CliError;
use super::say;
use crate::config::Config;
use crate::telemetry;
use source::Source;

pub(super) fn run(args: &ImportArgs) -> Result<(), CliError> {
    let mut source = match &args.file {
        Some(file) => Source::read(file).map_err(CliError::Failed)?,
        None if args.env => Source::default(),
        None => return Err(CliError::Usage("name a file of settings, or take the environment with --env".to_owned())),
    };
    if args.env {
        source.lay_over(std::env::vars());
    }
    let imported = Imported::of(source);
    match args.json {
        true => say(&format!("{}\n", json!(imported)))?,
        false => {
            telemetry::note(format_args!("{}", imported.told()));
            say(&imported.config)?;
        }
    }
    match imported.faults.len() {
        0 => Ok(()),
        faults => {
            Err(CliError::Config(format!("{faults} setting(s) are to be corrected before a member starts with this")))
        }
    }
}

/// Something that a person should know of one setting.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Remark {
    /// Where it stood.
    key: String,
    why: String,
}

/// What came out.
#[derive(Debug, Serialize)]
struct Imported {
    /// The text of the file.
    config: String,
    /// Settings that are here otherwise, or that somebody has to decide on.
    choices: Vec<Remark>,
    /// Settings that nothing here does.
    without_counterpart: Vec<Remark>,
    /// What a member would not start with, as `ringway config check` says it.
    faults: Vec<String>,
}

impl Imported {
    fn of(source: Source) -> Self {
        let name = source.name.clone();
        let translated = translate::translate(source);
        let head =
            format!("# Made by `ringway config import` from {name}. ringway.example.toml explains every setting.\n\n");
        let config = head + &translated.table.to_string();
        let faults = Config::default().apply(&config).err().map_or_else(Vec::new, |faults| faults.0);
        let (mut choices, mut missing) = (translated.choices, translated.missing);
        choices.sort();
        missing.sort();
        Self { config, choices, without_counterpart: missing, faults }
    }

    fn told(&self) -> String {
        let mut text = String::new();
        for (title, remarks) in [("To decide on", &self.choices), ("Without a counterpart", &self.without_counterpart)]
        {
            if !remarks.is_empty() {
                text += &format!("{title}:\n");
                remarks.iter().for_each(|remark| text += &format!("  {}: {}\n", remark.key, remark.why));
            }
        }
        if !self.faults.is_empty() {
            text += "To correct:\n";
            self.faults.iter().for_each(|fault| text += &format!("  {fault}\n"));
        }
        if text.is_empty() { "Everything has a counterpart.".to_owned() } else { text.trim_end().to_owned() }
    }
}

#[cfg(test)]
mod tests;
