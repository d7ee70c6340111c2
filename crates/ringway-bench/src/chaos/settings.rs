//! What a run goes by of the settings of the cluster that it starts. Whoever embeds it reads them; nothing here knows the file.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{ChaosArgs, Fault};
use crate::swarm::DEADLINE;

/// Settings of the cluster that is started.
#[derive(Debug, Clone)]
pub struct Settings {
    /// All namespaces.
    pub namespaces: BTreeSet<String>,
    /// Kinds of channels with `durability = "log"`: namespaces, the empty name for channels without one, and `#` for inboxes.
    pub logged: BTreeSet<String>,
    /// The registry outlives all processes: it is outside, or in a folder.
    pub outlives: bool,
    /// A publish is answered within this.
    pub deadline: Duration,
}

/// What is asked for cannot be done, or could not be judged. Nothing was started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Impossible {
    /// There is no such namespace.
    #[error(
        "--namespaces names {0:?}, which the settings do not have: add [channels.namespaces.{0}] to the file that --config names"
    )]
    NoNamespace(String),
    /// The processes of a running demo are not ours to start again.
    #[error("kill-all starts everything again, so it needs a cluster that chaos has started itself: leave --url out")]
    NotOurs,
    /// Nothing would be left of the cluster.
    #[error(
        "after kill-all nothing is left of a cluster that remembers nothing: give --data-dir DIR, or a --config with [cluster] engine = \"nats\""
    )]
    NothingIsLeft,
    /// Plain users are told nothing of a new life.
    #[error(
        "after kill-all the inboxes of plain users would begin anew, and they are not told: give --plain 0, or a --config with [inbox] durability = \"log\""
    )]
    PlainUsersLose,
}

impl Default for Settings {
    /// A demo's without a file.
    fn default() -> Self {
        Self { namespaces: BTreeSet::new(), logged: BTreeSet::new(), outlives: false, deadline: DEADLINE }
    }
}

impl Settings {
    /// Whether channels of this namespace go on where they were when every process has ended.
    pub(super) fn is_logged(&self, namespace: &str) -> bool {
        self.logged.contains(namespace)
    }

    /// Whether a run with these arguments can be made.
    ///
    /// # Errors
    /// [`Impossible`]; nothing was started.
    pub fn check(&self, args: &ChaosArgs) -> Result<(), Impossible> {
        let unknown = args.namespaces.iter().find(|name| !name.is_empty() && !self.namespaces.contains(*name));
        if let Some(name) = unknown.filter(|_| args.url.is_none()) {
            return Err(Impossible::NoNamespace(name.clone()));
        }
        if !args.faults.contains(&Fault::KillAll) {
            return Ok(());
        }
        match () {
            () if args.url.is_some() => Err(Impossible::NotOurs),
            () if !self.outlives => Err(Impossible::NothingIsLeft),
            () if args.plain > 0 && !self.is_logged("#") => Err(Impossible::PlainUsersLose),
            () => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        args: ChaosArgs,
    }

    fn checked(settings: &Settings, line: &str) -> Result<(), Impossible> {
        let words = ["chaos"].into_iter().chain(line.split(' '));
        settings.check(&Cli::try_parse_from(words).expect("a command line").args)
    }

    #[test]
    fn what_cannot_be_done_is_told_before_anything_starts() {
        let outlives = Settings { outlives: true, ..Settings::default() };
        let logged = Settings { logged: BTreeSet::from(["#".to_owned()]), ..outlives.clone() };
        let named = Settings { namespaces: BTreeSet::from(["a".to_owned()]), ..Settings::default() };
        let cases = [
            (&Settings::default(), "--faults kill", Ok(())),
            (&Settings::default(), "--faults kill-all", Err(Impossible::NothingIsLeft)),
            (&outlives, "--faults kill-all", Err(Impossible::PlainUsersLose)),
            (&outlives, "--faults kill-all --plain 0", Ok(())),
            (&logged, "--faults kill-all", Ok(())),
            (&outlives, "--faults kill-all --url http://127.0.0.1:1 --token t", Err(Impossible::NotOurs)),
            (&named, "--namespaces a", Ok(())),
            (&named, "--namespaces a,b", Err(Impossible::NoNamespace("b".to_owned()))),
            (&Settings::default(), "--namespaces b --url http://127.0.0.1:1 --token t", Ok(())),
        ];
        for (settings, line, expected) in cases {
            assert_eq!(checked(settings, line), expected, "{line}");
        }
    }
}
