//! Colours for people, plain text for pipes.

use std::io::IsTerminal;

/// Whether an output takes colours.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paint(bool);

/// As no terminal does.
#[cfg(test)]
pub(super) const PLAIN: Paint = Paint(false);

/// As stdout does: on a terminal, unless `NO_COLOR` is set.
pub(super) fn on_stdout() -> Paint {
    Paint(std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()))
}

impl Paint {
    pub(super) fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    pub(super) fn green(self, text: &str) -> String {
        self.with("32", text)
    }

    pub(super) fn red(self, text: &str) -> String {
        self.with("31", text)
    }

    pub(super) fn yellow(self, text: &str) -> String {
        self.with("33", text)
    }

    /// A member's state: what is well is green, what needs a look is not.
    pub(super) fn state(self, state: &str, text: &str) -> String {
        match state {
            "active" => self.with("32", text),
            "joining" | "draining" => self.with("33", text),
            "suspect" | "down" => self.with("31", text),
            _ => text.to_owned(),
        }
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
