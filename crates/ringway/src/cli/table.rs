//! Tables for people, as wide as the terminal is. What reads a pipe gets everything.

use std::fmt::Write as _;

use terminal_size::{Height, Width, terminal_size_of};

/// Between two columns.
const GAP: usize = 2;
/// A text that is cut keeps this much at least.
const SHORTEST: usize = 8;

/// Columns and lines of the terminal that stdout is; none if it is no terminal.
pub(super) fn screen() -> Option<(usize, usize)> {
    let (Width(columns), Height(lines)) = terminal_size_of(std::io::stdout())?;
    Some((columns.into(), lines.into()))
}

/// How wide a line may be on stdout.
pub(super) fn width() -> Option<usize> {
    screen().map(|(columns, _)| columns)
}

/// A head and rows. Columns whose head ends with a space stand to the left, the others to the right.
#[derive(Debug)]
pub(super) struct Table<'a> {
    pub(super) head: &'a [&'a str],
    pub(super) rows: &'a [Vec<String>],
    /// Heads of the columns that can be missed, the first one most.
    pub(super) spare: &'a [&'a str],
    /// Of these, the ones that are missed before all others while they hold nothing but `0` and `-`.
    pub(super) quiet: &'a [&'a str],
}

impl Table<'_> {
    /// As text, within so many characters a line; `paint` sees each cell, already padded, with its row and column.
    pub(super) fn within(&self, width: Option<usize>, paint: impl Fn(usize, usize, String) -> String) -> String {
        let columns = self.shown(width);
        let widths = self.widths(&columns, width);
        let cell = |column: usize, width: usize, text: &str| {
            let text = cut(text, width);
            if self.head[column].ends_with(' ') { format!("{text:<width$}") } else { format!("{text:>width$}") }
        };
        let mut text = String::new();
        let mut line = |told: &dyn Fn(usize, usize) -> String| {
            let cells: Vec<String> = columns.iter().zip(&widths).map(|(column, width)| told(*column, *width)).collect();
            let _infallible = writeln!(text, "{}", cells.join(&" ".repeat(GAP)).trim_end());
        };
        line(&|column, width| cell(column, width, self.head[column].trim_end()));
        for (at, row) in self.rows.iter().enumerate() {
            line(&|column, width| paint(at, column, cell(column, width, &row[column])));
        }
        text + &self.left_out(&columns, width)
    }

    /// All columns, or those that have room.
    fn shown(&self, width: Option<usize>) -> Vec<usize> {
        let mut shown: Vec<usize> = (0..self.head.len()).collect();
        let Some(width) = width else { return shown };
        let at = |spare: &&str| self.head.iter().position(|head| head.trim_end() == *spare);
        let spare: Vec<usize> = self.spare.iter().filter_map(at).collect();
        let says_nothing = |column: &usize| {
            let is_quiet = self.quiet.contains(&self.head[*column].trim_end());
            is_quiet && self.rows.iter().all(|row| matches!(row[*column].as_str(), "0" | "-"))
        };
        let (nothing, something): (Vec<usize>, Vec<usize>) = spare.into_iter().partition(says_nothing);
        for column in nothing.into_iter().chain(something) {
            if self.needs(&shown) <= width {
                break;
            }
            shown.retain(|other| *other != column);
        }
        shown
    }

    /// Width of each column: the widest ones give way until a line fits.
    fn widths(&self, columns: &[usize], width: Option<usize>) -> Vec<usize> {
        let mut widths: Vec<usize> = columns.iter().map(|column| self.widest(*column)).collect();
        let room = width.unwrap_or(usize::MAX).saturating_sub(GAP * columns.len().saturating_sub(1));
        while widths.iter().sum::<usize>() > room {
            match widths.iter_mut().max().filter(|widest| **widest > SHORTEST) {
                Some(widest) => *widest -= 1,
                None => break,
            }
        }
        widths
    }

    fn needs(&self, columns: &[usize]) -> usize {
        columns.iter().map(|column| self.widest(*column) + GAP).sum::<usize>().saturating_sub(GAP)
    }

    fn widest(&self, column: usize) -> usize {
        let cells = self.rows.iter().map(|row| row[column].chars().count());
        cells.chain([self.head[column].trim_end().chars().count()]).max().unwrap_or(0)
    }

    fn left_out(&self, columns: &[usize], width: Option<usize>) -> String {
        let missing = self.head.iter().enumerate().filter(|(column, _)| !columns.contains(column));
        let missing: Vec<&str> = missing.map(|(_, head)| head.trim_end()).collect();
        if missing.is_empty() {
            return String::new();
        }
        words_within(width, &format!("no room for {}; --json has all", missing.join(", ")))
    }
}

/// A text of at most so many characters. Names that begin alike often differ at their end, so the middle goes.
pub(super) fn cut(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return text.to_owned();
    }
    let kept = width.saturating_sub(1);
    let (front, back) = (kept.div_ceil(2), kept / 2);
    let head = text.chars().take(front);
    head.chain(['…']).chain(text.chars().skip(length - back)).collect()
}

/// A sentence, on as many lines as it needs.
pub(super) fn words_within(width: Option<usize>, sentence: &str) -> String {
    let words: Vec<String> = sentence.split(' ').map(str::to_owned).collect();
    wrapped(&words, " ", width) + "\n"
}

/// Parts of a line with `gap` between them, on as many lines as they need.
pub(super) fn wrapped(parts: &[String], gap: &str, width: Option<usize>) -> String {
    let mut lines: Vec<String> = Vec::new();
    for part in parts {
        match lines.last_mut() {
            Some(line) if line.chars().count() + gap.len() + part.chars().count() <= width.unwrap_or(usize::MAX) => {
                line.push_str(gap);
                line.push_str(part);
            }
            _ => lines.push(part.clone()),
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: [&str; 4] = ["NAME ", "SLOTS", "PID", "ZEROS"];
    const SPARE: [&str; 3] = ["PID", "SLOTS", "ZEROS"];

    fn text(name: &str, width: Option<usize>) -> String {
        told(name, &["ZEROS"], width)
    }

    fn told(name: &str, quiet: &[&str], width: Option<usize>) -> String {
        let rows = [[name, "1", "77", "0"], ["b", "1000", "4194304", "-"]].map(|row| row.map(str::to_owned).to_vec());
        Table { head: &HEAD, rows: &rows, spare: &SPARE, quiet }.within(width, |_, _, cell| cell)
    }

    #[test]
    fn columns_line_up() {
        assert_eq!(
            text("long", None),
            "NAME  SLOTS      PID  ZEROS\nlong      1       77      0\nb      1000  4194304      -\n"
        );
        assert_eq!(text("long", Some(27)), text("long", None));
    }

    #[test]
    fn what_says_nothing_goes_first_then_what_can_be_missed_most() {
        assert_eq!(
            text("long", Some(26)),
            "NAME  SLOTS      PID\nlong      1       77\nb      1000  4194304\nno room for ZEROS; --json\nhas all\n"
        );
        assert!(told("long", &[], Some(26)).starts_with("NAME  SLOTS  ZEROS\n"), "it is asked for all the same");
        assert!(text("long", Some(19)).starts_with("NAME  SLOTS\nlong      1\n"), "{}", text("long", Some(19)));
        assert!(text("long", Some(4)).starts_with("NAME\nlong\nb\n"));
    }

    #[test]
    fn a_long_name_loses_its_middle() {
        let name = format!("{}-17", "n".repeat(60));
        assert!(text(&name, None).contains(&name), "a pipe gets everything");
        let text = text(&name, Some(30));
        assert!(text.lines().take(3).all(|line| line.chars().count() <= 30), "{text}");
        assert!(text.contains("…") && text.contains("-17"), "{text}");
        assert_eq!((cut("abcdefgh", 5), cut("abc", 3), cut("äöüß", 3)), ("ab…gh".into(), "abc".into(), "ä…ß".into()));
    }

    #[test]
    fn parts_of_a_line_go_on_below() {
        let parts = ["ringway", "epoch 7", "3 members"].map(str::to_owned);
        assert_eq!(wrapped(&parts, "  ", None), "ringway  epoch 7  3 members");
        assert_eq!(wrapped(&parts, "  ", Some(20)), "ringway  epoch 7\n3 members");
    }
}
