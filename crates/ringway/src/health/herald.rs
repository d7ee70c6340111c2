//! The lines in the log when health turns: one when it is lost, with the reason, and one when it is back. Whatever flaps, each kind of
//! line comes once in ten seconds at most.

use std::mem::{Discriminant, discriminant};
use std::time::Duration;

use ringway_core::timing::Now;
use tracing::{error, info, warn};

use super::Status;
use super::cause::Cause;
use super::seen::Verdict;

/// Least time between two lines of one kind.
const PAUSE: Duration = Duration::from_secs(10);
/// A process that starts for longer than this waits for somebody.
const STARTING: Duration = Duration::from_secs(30);

/// What was said last.
#[derive(Debug, Default)]
pub(super) struct Herald {
    told: Option<Status>,
    /// The kinds of reasons that were told with it and still hold.
    reasons: Vec<Discriminant<Cause>>,
    /// Since when it has not been well.
    since: Option<Now>,
    /// When the last line of each kind was written.
    lines: [Option<Now>; Status::ALL.len()],
}

impl Herald {
    /// Hears how it is, and logs what is news.
    pub(super) fn hear(&mut self, now: Now, verdict: &Verdict) {
        if let Some(line) = self.line(now, verdict) {
            match verdict.status {
                Status::Ok => info!("{line}"),
                Status::Degraded | Status::Starting => warn!("{line}"),
                Status::Failing => error!("{line}"),
            }
        }
    }

    fn line(&mut self, now: Now, verdict: &Verdict) -> Option<String> {
        let kinds: Vec<_> = verdict.why.iter().map(|reason| reason.kind).collect();
        self.reasons.retain(|kind| kinds.contains(kind));
        let status = verdict.status;
        let since = *self.since.get_or_insert(verdict.since.unwrap_or(now));
        if status == Status::Ok && self.told.is_none_or(|told| told == Status::Ok) {
            // Starting is not worth a line, and what was over at once is not either.
            (self.told, self.since) = (Some(status), None);
            return None;
        }
        let waits = match (status, self.told) {
            // Whoever leaves says so itself.
            _ if kinds.contains(&discriminant(&Cause::Leaving)) => true,
            (Status::Starting, None) => now < since + STARTING,
            _ => self.lines[status as usize].is_some_and(|last| now < last + PAUSE),
        };
        let is_news = self.told != Some(status) || kinds.iter().any(|kind| !self.reasons.contains(kind));
        if waits || !is_news {
            return None;
        }
        (self.lines[status as usize], self.told, self.reasons) = (Some(now), Some(status), kinds);
        let why: Vec<&str> = verdict.why.iter().map(|reason| reason.sentence.as_str()).collect();
        let why = why.join("; ");
        Some(match status {
            Status::Ok => {
                self.since = None;
                format!("health is ok again, after {:.1?}", now.saturating_sub(since))
            }
            Status::Starting => format!("still starting: {why}"),
            Status::Degraded => format!("health is degraded: {why}"),
            Status::Failing => format!("health is failing: {why}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use ringway_core::Incarnation;

    use super::*;
    use crate::health::reasons::Reason;
    use Status::{Degraded, Failing, Ok, Starting};

    /// How it is, and the kinds of causes.
    type Heard = (u64, Status, &'static [Cause]);

    const COPY: &[Cause] = &[Cause::Alone(Incarnation(1))];
    const BOTH: &[Cause] = &[Cause::RegistryAway, Cause::Alone(Incarnation(2))];

    /// What is written when each of these is heard at its second.
    fn written(heard: &[Heard]) -> Vec<String> {
        let mut herald = Herald::default();
        let mut line = |(second, status, causes): &Heard| {
            let reason = |cause: &Cause| {
                let word = format!("{cause:?}").to_lowercase();
                let sentence = word.split('(').next().unwrap_or_default().to_owned();
                Reason { kind: discriminant(cause), sentence }
            };
            let since = causes.first().map(|_| Duration::from_secs(second.saturating_sub(3)));
            let verdict = Verdict { status: *status, why: causes.iter().map(reason).collect(), since };
            let line = herald.line(Duration::from_secs(*second), &verdict)?;
            Some(format!("{second}: {line}"))
        };
        heard.iter().filter_map(&mut line).collect()
    }

    #[test]
    fn a_turn_is_told_and_its_end_with_how_long_it_lasted() {
        let table: [(&[Heard], &[&str]); 7] = [
            (&[(0, Starting, COPY), (9, Ok, &[]), (20, Ok, &[])], &[]),
            (
                &[(0, Starting, COPY), (30, Starting, COPY), (50, Starting, COPY), (60, Ok, &[])],
                &["30: still starting: alone", "60: health is ok again, after 60.0s"],
            ),
            (
                &[
                    (0, Ok, &[]),
                    (5, Degraded, COPY),
                    (6, Degraded, COPY),
                    (8, Failing, BOTH),
                    (9, Failing, BOTH),
                    (25, Ok, &[]),
                ],
                &[
                    "5: health is degraded: alone",
                    "8: health is failing: registryaway; alone",
                    "25: health is ok again, after 23.0s",
                ],
            ),
            // Another reason is news, the same of another node is not, nor is one that is gone.
            (
                &[(0, Degraded, COPY), (30, Degraded, BOTH), (60, Degraded, &BOTH[1..]), (90, Degraded, BOTH)],
                &[
                    "0: health is degraded: alone",
                    "30: health is degraded: registryaway; alone",
                    "90: health is degraded: registryaway; alone",
                ],
            ),
            // What flaps is told once in ten seconds, and what it comes to is told in the end.
            (
                &[
                    (0, Ok, &[]),
                    (1, Degraded, COPY),
                    (2, Ok, &[]),
                    (3, Degraded, COPY),
                    (4, Ok, &[]),
                    (5, Degraded, COPY),
                    (11, Degraded, COPY),
                    (12, Ok, &[]),
                ],
                &[
                    "1: health is degraded: alone",
                    "2: health is ok again, after 2.0s",
                    "11: health is degraded: alone",
                    "12: health is ok again, after 10.0s",
                ],
            ),
            (
                &[
                    (0, Ok, &[]),
                    (1, Degraded, COPY),
                    (2, Failing, COPY),
                    (3, Degraded, COPY),
                    (12, Degraded, COPY),
                    (13, Ok, &[]),
                ],
                &[
                    "1: health is degraded: alone",
                    "2: health is failing: alone",
                    "12: health is degraded: alone",
                    "13: health is ok again, after 13.0s",
                ],
            ),
            (&[(0, Ok, &[]), (1, Failing, &[Cause::Leaving])], &[]),
        ];
        for (heard, expected) in table {
            assert_eq!(written(heard), expected, "{heard:?}");
        }
    }
}
