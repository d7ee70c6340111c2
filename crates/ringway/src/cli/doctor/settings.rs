//! The config: whether it can be read, and what it says that cannot be meant.

use super::super::args::DoctorArgs;
use super::super::closed::{danger, waits_in_vain};
use super::finding::{Finding, What};
use crate::config::{Config, ConfigError, Roles, Secret};

/// The variable that a member takes its join secret from.
const SECRET: &str = "RINGWAY_SECRET";

/// The settings as a member would have them, if it would start with them; and what is to be said of them.
pub(super) fn look(args: &DoctorArgs) -> (Option<Config>, Vec<Finding>) {
    let base = if args.dev { Config::default().open() } else { Config::default() };
    let read = match &args.config {
        Some(file) => base.with_file(file),
        None => Ok(base),
    };
    let mut config = match read {
        Ok(config) => config,
        Err(why) => return (None, faults(why)),
    };
    if let Some(folder) = &args.data_dir {
        config.cluster.data_dir = Some(folder.clone());
    }
    if let Some(secret) = std::env::var(SECRET).ok().filter(|secret| !secret.is_empty()) {
        config.cluster.secret = Some(Secret(secret));
    }
    let mut found = judged(&config);
    let is_usable = found.is_empty();
    if let (true, Some(file)) = (is_usable, &args.config) {
        found.push(Finding::ok(What::Config, format!("{} has no faults.", file.display())));
        let in_vain = waits_in_vain(&config, Roles::BOTH);
        found.extend(in_vain.into_iter().map(|why| Finding::note(What::Closed, sentence(&why), "")));
        let danger = danger(&config, Roles::BOTH);
        found.extend(danger.map(|why| Finding::warning(What::Insecure, sentence(why), "")));
    }
    (is_usable.then_some(config), found)
}

/// Every fault of a file is a finding.
fn faults(why: ConfigError) -> Vec<Finding> {
    let advice = "Correct this line; ringway.example.toml has every setting with its default and its reason.";
    match why {
        ConfigError::Faulty { faults, .. } => {
            faults.0.into_iter().map(|fault| Finding::fault(What::Config, fault, advice)).collect()
        }
        ConfigError::Unreadable { path, why } => {
            let seen = format!("{} cannot be read: {why}.", path.display());
            vec![Finding::fault(What::Config, seen, "Check its path, and whether this user may read it.")]
        }
    }
}

/// What a member would refuse to start with, though its file has no faults: flags and environment were laid over it.
fn judged(config: &Config) -> Vec<Finding> {
    let advice = "The member does not start with it: give it a longer one.";
    let short = config.short_secrets().into_iter().map(|fault| Finding::fault(What::Secret, fault, advice));
    let place = config.log_fault();
    let advice = "The member does not start before the log has a place.";
    short.chain(place.map(|fault| Finding::fault(What::LogPlace, fault, advice))).collect()
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<What> {
        let mut config = Config::default();
        config.apply(text).unwrap_or_else(|faults| panic!("{faults}"));
        judged(&config).into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn a_log_needs_a_place() {
        let kept = "[inbox]\ndurability = \"log\"\n";
        for (text, expected) in [
            (String::new(), &[][..]),
            (kept.to_owned(), &[What::LogPlace]),
            (format!("{kept}[cluster]\ndata_dir = \"data\"\n"), &[]),
            (format!("{kept}[cluster]\nlog = \"nats\"\n"), &[]),
            (format!("{kept}[cluster]\nregistry = \"nats\"\ndata_dir = \"data\"\n"), &[What::LogPlace]),
        ] {
            assert_eq!(found(&text), expected, "{text}");
        }
    }

    #[test]
    fn a_secret_that_came_after_the_file_is_judged_too() {
        for (secret, expected) in [("short", &[What::Secret][..]), ("sixteen bytes...", &[])] {
            let mut config = Config::default();
            config.cluster.secret = Some(Secret(secret.to_owned()));
            let found = judged(&config);
            assert_eq!(found.iter().map(|finding| finding.what).collect::<Vec<_>>(), expected, "{secret}");
            assert!(!format!("{found:?}").contains(secret), "it is not shown");
        }
    }

    #[test]
    fn every_fault_of_a_file_is_told() {
        let faults = |text: &str| Config::default().apply(text).unwrap_err();
        let why = ConfigError::Faulty { path: "a.toml".into(), faults: faults("[server]\nprot = 1\nport = \"x\"\n") };
        let found = super::faults(why);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found.iter().all(|finding| finding.what == What::Config && !finding.advice.is_empty()));
    }
}
