//! What is done with clients whose owner is another one after a change of the nodes.

use std::time::Duration;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// Longest window. Who is to connect anew later than that has long been served by the new owner.
pub const LONGEST_WINDOW: Duration = Duration::from_secs(600);

/// How clients are treated when slots get another owner. The slots move in the same way whichever it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Their sockets stay: the gateways change over for them.
    #[default]
    Migrate,
    /// Those with a channel that has moved are asked to connect anew.
    Reset,
    /// Everybody is asked to connect anew.
    ResetAll,
}

impl Mode {
    /// All of them with the words that stand for them, in the config, the admin API and on the command line.
    pub const WORDS: [(&str, Self); 3] =
        [("migrate", Self::Migrate), ("reset", Self::Reset), ("reset-all", Self::ResetAll)];

    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Migrate => "migrate",
            Self::Reset => "reset",
            Self::ResetAll => "reset-all",
        }
    }
}

/// A mode with the time over which those who must connect anew are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rebalance {
    /// How clients are treated.
    pub mode: Mode,
    /// At most [`LONGEST_WINDOW`]; of no meaning for [`Mode::Migrate`].
    pub window: Duration,
}

impl Default for Rebalance {
    /// Nobody is disturbed. The window, where somebody asks for a reset, is one in which even a hundred thousand clients
    /// come back at a rate that gateways take in.
    fn default() -> Self {
        Self { mode: Mode::Migrate, window: Duration::from_secs(5) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_has_one_word_everywhere() {
        for (word, mode) in Mode::WORDS {
            assert_eq!(mode.name(), word);
            assert_eq!(serde_json::to_value(mode).unwrap(), word);
            assert_eq!(Mode::from_str(word, false), Ok(mode));
        }
        assert_eq!(Mode::WORDS.len(), Mode::value_variants().len());
    }
}
