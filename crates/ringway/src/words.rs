//! Numbers as people read them, for the log.

use std::fmt;
use std::time::Duration;

/// A length of time as the config writes it: `300ms`, `1.5s`, `90s`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span(pub(crate) Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, millis) = (self.0.as_secs(), self.0.subsec_millis());
        match (seconds, millis / 100) {
            (0, _) => write!(f, "{millis}ms"),
            (_, 0) => write!(f, "{seconds}s"),
            (_, tenths) => write!(f, "{seconds}.{tenths}s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_short() {
        for (millis, text) in [(0, "0ms"), (300, "300ms"), (1_000, "1s"), (1_570, "1.5s"), (90_050, "90s")] {
            assert_eq!(Span(Duration::from_millis(millis)).to_string(), text);
        }
    }
}
