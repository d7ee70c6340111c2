//! Colours for people, plain text for pipes; and tables.

use std::fmt::Write as _;
use std::io::IsTerminal;

/// Whether an output takes colours.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paint(bool);

/// As stdout does: on a terminal, unless `NO_COLOR` is set.
pub(super) fn on_stdout() -> Paint {
    Paint(std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()))
}

impl Paint {
    pub(super) fn bold(self, text: &str) -> String {
        self.with("1", text)
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

/// A table with a head. Columns whose head ends with a space stand to the left, the others to the right; `paint` sees each cell, already
/// padded, with its row and column.
pub(super) fn table(head: &[&str], rows: &[Vec<String>], paint: impl Fn(usize, usize, String) -> String) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([head[column].trim_end().chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let pad = |column: usize, text: &str| match head[column].ends_with(' ') {
        true => format!("{text:<0$}", widths[column]),
        false => format!("{text:>0$}", widths[column]),
    };
    let mut text = String::new();
    let line = |cells: Vec<String>, text: &mut String| {
        let _infallible = writeln!(text, "{}", cells.join("  ").trim_end());
    };
    line((0..head.len()).map(|column| pad(column, head[column].trim_end())).collect(), &mut text);
    for (at, row) in rows.iter().enumerate() {
        line(row.iter().enumerate().map(|(column, cell)| paint(at, column, pad(column, cell))).collect(), &mut text);
    }
    text
}
