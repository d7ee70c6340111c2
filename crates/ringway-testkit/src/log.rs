//! What a log is held to: nothing comes again and again, and a person can read it.

use std::collections::HashMap;

use jiff::Timestamp;
use regex_lite::Regex;
use serde_json::Value;

/// The same line comes once in so many seconds. A little less: the clock that stamps lines is not the one that counts the time.
const WINDOW: f64 = 9.9;
/// The line with which a process begins to log. What a file holds before it is of another life.
const FIRST: &str = "ringway starts";
/// What was held back since the line came last; not part of what it says.
const HELD_BACK: &str = r" \((once|\d+ times) more in the last \d+ s\)$";
/// A measure. Lines that differ in nothing else say the same.
const MEASURE: &str = r#"(^|[ =("])[0-9.]+ ?(ns|µs|ms|s|m|min|h|bytes)\b"#;
/// What Rust's `Debug` looks like: `View { …`, `Slot(7)`, `Some(…)`, `None`, a list.
const DEBUG: &str = r"\b[A-Z]\w* ?\{|\b[A-Z]\w*\(|\bNone\b|\[\w+(, \w+)+\]";

/// The lines, without their times, that came more often than once within 10 s, each as often as it did. Lines for those who debug,
/// and what has no time, are left out.
///
/// # Panics
/// Never: the patterns are regular expressions.
pub fn repeats(log: &str) -> Vec<String> {
    let (held_back, measure) = (Regex::new(HELD_BACK).expect("a pattern"), Regex::new(MEASURE).expect("a pattern"));
    let mut seen: HashMap<String, f64> = HashMap::new();
    let mut found = Vec::new();
    for (at, said) in log.lines().filter_map(stamped) {
        if said.contains(FIRST) {
            seen.clear();
        }
        let said = held_back.replace(&said, "");
        let key = measure.replace_all(&said, "$1~").into_owned();
        let after = seen.insert(key, at).map(|before| at - before);
        if let Some(after) = after.filter(|after| *after < WINDOW) {
            found.push(format!("{said} (again after {after:.1} s)"));
        }
    }
    found
}

/// The lines that hold the `Debug` of a Rust value. Lines for those who debug are left out.
///
/// # Panics
/// Never: the pattern is a regular expression.
pub fn unreadable(log: &str) -> Vec<String> {
    let debug = Regex::new(DEBUG).expect("a pattern");
    // A JSON line is read as JSON: its own brackets are no Debug.
    let texts = |line: &str| match serde_json::from_str::<Value>(line) {
        Ok(line) => line["fields"].as_object().into_iter().flatten().map(|(_, said)| said.to_string()).collect(),
        Err(_) => line.to_owned(),
    };
    let is_read = |line: &&str| stamped(line).is_some();
    log.lines().filter(is_read).filter(|line| debug.is_match(&texts(line))).map(str::to_owned).collect()
}

/// When a line was written, in seconds, and what it says. `None`: it has no time, or is for those who debug.
fn stamped(line: &str) -> Option<(f64, String)> {
    let (at, said, level) = match serde_json::from_str::<Value>(line) {
        Ok(mut json) => {
            let fields = json.as_object_mut()?;
            let at = fields.remove("timestamp")?.as_str()?.to_owned();
            fields.remove("more");
            (at, json.to_string(), json["level"].as_str()?.to_owned())
        }
        Err(_) => {
            let line = Regex::new("\x1b\\[[0-9;]*m").ok()?.replace_all(line, "").into_owned();
            let (at, said) = line.split_once(' ')?;
            let said = said.trim_start();
            (at.to_owned(), said.to_owned(), said.split(' ').next()?.to_owned())
        }
    };
    let at: Timestamp = at.parse().ok()?;
    let is_told = matches!(level.as_str(), "INFO" | "WARN" | "ERROR");
    is_told.then(|| (at.as_microsecond() as f64 / 1e6, said))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(lines: &[(u64, &str)]) -> String {
        lines.iter().map(|(second, said)| format!("2026-01-01T00:00:{second:02}.000000Z  {said}\n")).collect()
    }

    #[test]
    fn the_same_line_counts_within_the_window_and_in_one_life() {
        let calm = log(&[
            (0, "WARN x: gone for 1.5s why=a"),
            (0, "WARN x: gone for 1.5s why=b"),
            (3, "DEBUG x: again"),
            (4, "DEBUG x: again"),
            (10, "WARN x: gone for 11.5s why=a (7 times more in the last 10 s)"),
            (11, "INFO x: ringway starts pid=1"),
            (12, "WARN x: gone for 12.5s why=a"),
        ]);
        assert_eq!(repeats(&format!("{calm}a line without a time\na line without a time\n")), [""; 0]);
        let loud = log(&[(0, "WARN x: gone for 1.5s"), (3, "WARN x: gone for 4.5s"), (14, "WARN x: gone for 5.5s")]);
        assert_eq!(repeats(&loud), ["WARN x: gone for 4.5s (again after 3.0 s)"]);
    }

    #[test]
    fn json_and_colours_are_understood() {
        let json =
            r#"{"timestamp":"2026-01-01T00:00:01Z","level":"INFO","fields":{"message":"x","n":[1]},"target":"t"}"#;
        let more = json.replace("\"t\"}", "\"t\",\"more\":3}");
        assert_eq!(repeats(&format!("{json}\n{more}\n")).len(), 1);
        let colour = "\x1b[2m2026-01-01T00:00:01Z\x1b[0m \x1b[32m INFO\x1b[0m \x1b[2mt\x1b[0m: x";
        assert_eq!(repeats(&format!("{colour}\n{colour}\n")).len(), 1);
        assert_eq!(unreadable(&format!("{json}\n{colour}\n")), [""; 0]);
    }

    #[test]
    fn debug_is_seen_and_words_are_not_taken_for_it() {
        for said in ["view=View { 7: x }", "slot=Slot(7)", "Some(\"x\")", "slots=None", "ids=[1, 2]", "Os { code: 2 }"]
        {
            assert_eq!(unreadable(&log(&[(0, &format!("INFO x: {said}"))])).len(), 1, "{said}");
        }
        for said in
            ["view 7: node-2 joined; 3 nodes", "Connection refused (os error 111)", "signal=SIGTERM", "at [::1]:80"]
        {
            assert_eq!(unreadable(&log(&[(0, &format!("INFO x: {said}"))])), [""; 0], "{said}");
        }
    }
}
