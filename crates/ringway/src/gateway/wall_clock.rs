//! The time of day.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// As tokens count it.
pub(crate) fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// As people read it, in the machine's time zone. Messages of one second carry the same.
#[derive(Debug, Default)]
pub struct SystemClock {
    second: i64,
    text: String,
}

impl WallClock for SystemClock {
    fn text(&mut self) -> &str {
        let now = jiff::Timestamp::now();
        if self.text.is_empty() || self.second != now.as_second() {
            self.second = now.as_second();
            let zoned = now.to_zoned(jiff::tz::TimeZone::system());
            self.text = zoned.strftime("%Y-%m-%d %H:%M:%S").to_string();
        }
        &self.text
    }
}
use ringway_hub::WallClock;
