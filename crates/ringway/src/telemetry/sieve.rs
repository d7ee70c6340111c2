//! No line more often than once in 10 s, so that something that goes on for hours is told without filling a disk.
//!
//! The first one is let through at once. The same line is then held back and counted; 10 s later the last one comes, with
//! the count. So what is told last is always what was said last: a link that went down, up, and down again is down in the log as well.
//!
//! Two lines are the same if they differ in nothing, or in lengths of time and numbers of bytes alone: "nothing was heard of it
//! for 1.5s" and "… for 1.7s" tell of one thing. Another member, another epoch or another reason makes another line.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The same line is written once in this time.
pub(super) const WINDOW: Duration = Duration::from_secs(10);
/// Lines that are remembered. With so many different ones in 10 s the next are let through unseen.
const KNOWN: usize = 1_000;
/// Bytes of the longest line that is remembered. Longer ones are let through: nothing that repeats says so much.
const LONGEST: usize = 4 * 1024;
/// What stands behind a number that was measured.
const UNITS: [&str; 8] = ["ns", "µs", "ms", "s", "m", "min", "h", "bytes"];

/// What was said in the last [`WINDOW`].
#[derive(Debug, Default)]
pub(super) struct Sieve {
    said: HashMap<Arc<str>, Held>,
    /// All of `said`, with the time at which each may be said again; the first is due first.
    due: VecDeque<(Instant, Arc<str>)>,
}

/// What was held back of one line.
#[derive(Debug, Default)]
struct Held {
    /// How often.
    more: u64,
    /// The last one.
    body: String,
}

impl Sieve {
    /// A line is to be said: true if it may be said now. If not it is counted.
    pub(super) fn lets_through(&mut self, now: Instant, body: &str) -> bool {
        if body.len() > LONGEST {
            return true;
        }
        let key = without_measures(body);
        if let Some(held) = self.said.get_mut(key.as_str()) {
            held.more += 1;
            held.body.clear();
            held.body.push_str(body);
            return false;
        }
        if self.said.len() < KNOWN {
            self.remember(now, key.into(), Held::default());
        }
        true
    }

    /// When [`take_due`](Self::take_due) has something to do.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.front().map(|(at, _)| *at)
    }

    /// A line that was held back and may be said now, with how often. What was not said again is forgotten.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<(String, u64)> {
        while self.next_due().is_some_and(|at| at <= now) {
            let (_, key) = self.due.pop_front()?;
            if let Some(held) = self.said.remove(&key).filter(|held| held.more > 0) {
                self.remember(now, key, Held::default());
                return Some((held.body, held.more));
            }
        }
        None
    }

    fn remember(&mut self, now: Instant, key: Arc<str>, held: Held) {
        self.due.push_back((now + WINDOW, key.clone()));
        self.said.insert(key, held);
    }
}

/// The line with every measure (`1.5s`, `300 ms`, `70 bytes`) taken out.
fn without_measures(body: &str) -> String {
    let mut left = String::with_capacity(body.len());
    let mut rest = body;
    let mut before = ' ';
    while let Some(first) = rest.chars().next() {
        // A number that is part of a name, an address or an id is no measure.
        let begins = first.is_ascii_digit() && matches!(before, ' ' | '=' | '(' | '"' | 'm');
        let length = if begins { measure_at_start(rest) } else { 0 };
        let step = length.max(first.len_utf8());
        left.push_str(if length > 0 { "~" } else { &rest[..step] });
        before = rest[..step].chars().next_back().unwrap_or(' ');
        rest = &rest[step..];
    }
    left
}

/// Bytes of the measure that the text begins with; 0 if it begins with something else.
fn measure_at_start(text: &str) -> usize {
    let digits = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let behind = text[digits..].strip_prefix(' ').unwrap_or(&text[digits..]);
    let unit = behind.find(|c: char| !c.is_alphabetic()).unwrap_or(behind.len());
    let ends = !behind[unit..].starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '_' | '/'));
    if ends && UNITS.contains(&&behind[..unit]) { text.len() - behind.len() + unit } else { 0 }
}

#[cfg(test)]
mod tests;
