//! The pace of log lines about what lasts: said at once, and then again every ten seconds for as long as it does.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Least time between two lines that say the same.
const EVERY: Duration = Duration::from_secs(10);
/// Lines that are remembered. One more makes room by forgetting all: then each is said once more.
const REMEMBERED: usize = 256;

/// What was said lately.
#[derive(Debug, Default)]
pub struct Reminders {
    said: HashMap<String, Instant>,
}

impl Reminders {
    /// Whether this is to be said now. If so, it counts as said.
    pub fn is_due(&mut self, line: &str) -> bool {
        self.is_due_at(line, Instant::now())
    }

    fn is_due_at(&mut self, line: &str, now: Instant) -> bool {
        if self.said.get(line).is_some_and(|said| now < *said + EVERY) {
            return false;
        }
        if self.said.len() >= REMEMBERED {
            self.said.clear();
        }
        self.said.insert(line.to_owned(), now);
        true
    }

    /// Nothing was said for as long as a line waits to be said again.
    pub fn is_quiet(&self) -> bool {
        let now = Instant::now();
        self.said.values().all(|said| now >= *said + EVERY)
    }

    /// It is over: if it begins again, it is said at once.
    pub fn is_over(&mut self, line: &str) {
        self.said.remove(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lasts_is_said_at_once_and_then_every_ten_seconds() {
        let (mut reminders, begin) = (Reminders::default(), Instant::now());
        let seconds: Vec<u64> =
            (0..35).filter(|second| reminders.is_due_at("a", begin + Duration::from_secs(*second))).collect();
        assert_eq!(seconds, [0, 10, 20, 30]);
        assert!(reminders.is_due_at("b", begin), "another line has its own pace");
        assert!(!reminders.is_due_at("b", begin));
        reminders.is_over("b");
        assert!(reminders.is_due_at("b", begin));
    }

    #[test]
    fn it_remembers_no_more_than_it_may() {
        let mut reminders = Reminders::default();
        for line in 0..10 * REMEMBERED {
            assert!(reminders.is_due(&line.to_string()));
            assert!(reminders.said.len() <= REMEMBERED);
        }
    }
}
