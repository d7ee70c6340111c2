//! The serial share: how much of a process's processor time its busiest member task takes. A task is on one core at a time, so this part does not
//! get faster with more cores. Both numbers come from the server's own page of metrics.

use std::collections::BTreeMap;
use std::time::Duration;

use ringway_http::Target;
use serde::Serialize;
use tokio::time::timeout;

/// A page of metrics that does not come within this is left out.
const LONGEST: Duration = Duration::from_secs(5);

/// What a member task took while measuring.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MemberUse {
    /// Its member.
    pub member: String,
    /// Its processor time in seconds.
    pub cpu_s: f64,
    /// That of its whole process.
    pub process_cpu_s: f64,
    /// The one over the other.
    pub share: f64,
}

/// What the pages of metrics say at one moment, process by process.
#[derive(Debug, Clone, Default)]
pub(crate) struct Readings(Vec<Option<Reading>>);

#[derive(Debug, Clone, PartialEq)]
struct Reading {
    process: f64,
    members: BTreeMap<String, f64>,
}

impl Readings {
    /// Asks every process. One without such a page, or of a release that does not tell this, is left out.
    pub(crate) async fn take(pages: &[Target]) -> Self {
        let mut readings = Vec::with_capacity(pages.len());
        for page in pages {
            readings.push(timeout(LONGEST, read(page)).await.ok().flatten());
        }
        Self(readings)
    }

    /// What each member task took since, the busiest first.
    pub(crate) fn since(&self, before: &Self) -> Vec<MemberUse> {
        let both = self.0.iter().zip(&before.0).filter_map(|(now, before)| now.as_ref().zip(before.as_ref()));
        let mut uses: Vec<_> = both.flat_map(|(now, before)| now.since(before)).collect();
        uses.sort_by(|one, other| other.cpu_s.total_cmp(&one.cpu_s));
        uses
    }
}

impl Reading {
    fn since(&self, before: &Self) -> Vec<MemberUse> {
        let process_cpu_s = self.process - before.process;
        let took = self.members.iter().filter_map(|(member, now)| Some((member, now - before.members.get(member)?)));
        let its = |(member, cpu_s): (&String, f64)| {
            let share = if process_cpu_s > 0.0 { cpu_s / process_cpu_s } else { 0.0 };
            MemberUse { member: member.clone(), cpu_s, process_cpu_s, share }
        };
        took.map(its).collect()
    }
}

async fn read(page: &Target) -> Option<Reading> {
    let path = format!("{}/metrics", page.prefix);
    let answer = ringway_http::get(page.addr, &path, &[]).await.ok().filter(|answer| answer.status == 200)?;
    let process = answer.metric("process_cpu_seconds_total").into_values().next()?;
    let members = answer.metric("ringway_member_cpu_seconds_total");
    let name = |labels: String| labels.trim_start_matches("{member=\"").trim_end_matches("\"}").to_owned();
    Some(Reading { process, members: members.into_iter().map(|(labels, value)| (name(labels), value)).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(process: f64, members: &[(&str, f64)]) -> Option<Reading> {
        let members = members.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        Some(Reading { process, members })
    }

    #[test]
    fn the_busiest_member_comes_first_with_its_share_of_its_own_process() {
        let before = Readings(vec![reading(1.0, &[("gateway-1", 0.5)]), None, reading(1.0, &[("node-1", 0.0)])]);
        let after = Readings(vec![
            reading(3.0, &[("gateway-1", 1.0), ("gateway-1.2", 9.0)]),
            reading(9.0, &[("silent-before", 9.0)]),
            reading(2.0, &[("node-1", 0.75)]),
        ]);
        let uses = after.since(&before);
        let of = |member: &str, cpu_s, process_cpu_s, share| MemberUse {
            member: member.into(),
            cpu_s,
            process_cpu_s,
            share,
        };
        assert_eq!(uses, [of("node-1", 0.75, 1.0, 0.75), of("gateway-1", 0.5, 2.0, 0.25)]);
    }
}
