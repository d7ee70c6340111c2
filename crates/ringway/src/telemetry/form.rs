//! How a log line looks: a time before what `tracing` makes of an event, and behind it how often it was held back.

use std::time::SystemTime;

use jiff::Timestamp;

use super::LogFormat;
use super::sieve::WINDOW;

/// As what lines are written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form {
    pub(super) format: LogFormat,
    /// For a terminal.
    pub(super) colour: bool,
}

impl Form {
    /// The line of an event. `body` is what the event says, without a time; it was to be said `more` times besides.
    pub(super) fn line(self, at: SystemTime, body: &str, more: u64) -> String {
        // A clock before the year -9999 or after 9999 is of no use to anybody.
        let at = Timestamp::try_from(at).unwrap_or(Timestamp::UNIX_EPOCH);
        match self.format {
            LogFormat::Json => json(at, body, more),
            LogFormat::Text if self.colour => format!("\x1b[2m{at:.6}\x1b[0m {body}{}\n", held_back(more)),
            LogFormat::Text => format!("{at:.6} {body}{}\n", held_back(more)),
        }
    }

    /// The body of the line that tells of lines that were lost.
    pub(super) fn lost(self, lines: u64) -> String {
        let text = "log lines were lost before this one: they were not taken in time, or could not be written";
        let target = module_path!();
        match self.format {
            LogFormat::Text => format!(" WARN {target}: {text} lines={lines}"),
            LogFormat::Json => {
                format!(r#"{{"level":"WARN","fields":{{"message":"{text}","lines":{lines}}},"target":"{target}"}}"#)
            }
        }
    }
}

fn held_back(more: u64) -> String {
    match more {
        0 => String::new(),
        1 => format!(" (once more in the last {} s)", WINDOW.as_secs()),
        _ => format!(" ({more} times more in the last {} s)", WINDOW.as_secs()),
    }
}

/// The body is an object: the time becomes its first field, and the count its last.
fn json(at: Timestamp, body: &str, more: u64) -> String {
    let fields = body.strip_prefix('{').and_then(|body| body.strip_suffix('}')).unwrap_or_default();
    match more {
        0 => format!("{{\"timestamp\":\"{at:.6}\",{fields}}}\n"),
        _ => format!("{{\"timestamp\":\"{at:.6}\",{fields},\"more\":{more}}}\n"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    const TEXT: Form = Form { format: LogFormat::Text, colour: false };
    const JSON: Form = Form { format: LogFormat::Json, colour: false };

    #[test]
    fn a_line_begins_with_its_time_and_ends_with_what_was_held_back() {
        let at = UNIX_EPOCH + Duration::from_micros(1_500);
        assert_eq!(TEXT.line(at, " INFO x: y", 0), "1970-01-01T00:00:00.001500Z  INFO x: y\n");
        assert!(TEXT.line(at, " INFO x: y", 1).ends_with("y (once more in the last 10 s)\n"));
        assert!(TEXT.line(at, " INFO x: y", 37).ends_with("y (37 times more in the last 10 s)\n"));
    }

    #[test]
    fn a_json_line_is_an_object_whatever_was_added() {
        for (body, more) in [(r#"{"level":"INFO"}"#.to_owned(), 0), (JSON.lost(3), 0), (JSON.lost(3), 7)] {
            let line = JSON.line(UNIX_EPOCH, &body, more);
            let value: serde_json::Value = serde_json::from_str(&line).expect(&line);
            assert_eq!(value["timestamp"], "1970-01-01T00:00:00.000000Z");
            assert_eq!(value["more"].as_u64().unwrap_or(0), more);
        }
    }
}
