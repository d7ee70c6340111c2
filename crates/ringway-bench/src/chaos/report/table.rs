//! The report for people.

use std::fmt::{Display, Formatter};

use super::{ChaosReport, KindReport, Receipts};
use crate::rows::Rows;

/// Refusals are temporary, and mostly alike.
const REFUSALS: usize = 2;

impl Display for ChaosReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        self.faults(f)?;
        writeln!(f)?;
        self.rows().fmt(f)?;
        writeln!(f)?;
        for bound in &self.bounds {
            let verdict = if bound.holds { "holds" } else { "MISSED" };
            writeln!(f, "{verdict:<7} {}: {:.0} ms, at most {:.0} ms", bound.name, bound.found_ms, bound.limit_ms)?;
        }
        for trouble in &self.trouble {
            writeln!(f, "trouble {trouble}")?;
        }
        let verdict = match self.clean {
            true => "PASSED: nothing acknowledged was lost, doubled or reordered",
            false => "FAILED: a promise was broken",
        };
        writeln!(f, "{verdict} (seed {})", self.seed)
    }
}

impl ChaosReport {
    fn faults(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "{:<15} {:>5}  {:>8}  {:>8}  {:>8}  {:>9}  {:>9}",
            "fault", "count", "detected", "reached", "settled", "pause p99", "pause max"
        )?;
        let ms = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.0}"));
        for KindReport { fault, count, left_ms, reached_ms, settled_ms, pause_p99_ms, pause_max_ms } in &self.faults {
            let [left, reached, settled, p99, max] =
                [left_ms, reached_ms, settled_ms, pause_p99_ms, pause_max_ms].map(|value| ms(*value));
            writeln!(f, "{:<15} {count:>5}  {left:>8}  {reached:>8}  {settled:>8}  {p99:>9}  {max:>9}", fault.name())?;
        }
        let refused = self.happenings.iter().filter(|happening| happening.refused.is_some()).count();
        if refused > 0 {
            writeln!(f, "{refused} more were refused")?;
        }
        writeln!(
            f,
            "worst times in ms: detected = out of the view, reached = every client got something newer, settled = all copies there"
        )
    }

    fn rows(&self) -> Rows {
        let Self { traffic, returns, .. } = self;
        let check = &traffic.check;
        let mut rows = Rows::default();
        rows.add("clients", format!("{} Centrifuge, {} plain, for {:.0} s", self.clients, self.plain, self.seconds));
        rows.add("sent", format!("{}, {:.0}/s aimed at", check.sent, self.rate));
        rows.add("acknowledged", format!("{} (of plain users: sent, and not in doubt)", check.promised));
        rows.add("delivered", check.delivered);
        rows.add("latency", self.latency);
        rows.add("lost", check.lost);
        rows.add("doubled", check.doubled);
        rows.add("reordered", check.reordered);
        rows.add(
            "unrecovered",
            format!("{} of {} subscriptions taken anew", traffic.unrecovered, traffic.resubscribed),
        );
        if traffic.began_anew > 0 {
            let what = "subscriptions to channels in memory that ended with all processes, and were told so";
            rows.add(
                "began anew",
                format!("{} {what}; {} deliveries of before did not come", traffic.began_anew, check.ended),
            );
        }
        rows.add("misdirected", traffic.misdirected);
        rows.add(
            "sockets closed",
            format!("{} by killed, frozen or stopped gateways, {} others", returns.closed_by_faults, traffic.closed),
        );
        rows.add(
            "reconnects",
            format!(
                "{} ({} to spread over gateways), {} still away",
                returns.reconnects, returns.moves, returns.still_away
            ),
        );
        if returns.reconnects > 0 {
            rows.add("away", returns.away);
        }
        rows.add(
            "unknown",
            format!(
                "{} sent before a socket ended, {} refused; {} deliveries of them did not come",
                check.unknown, check.refused, check.unknown_missing
            ),
        );
        if self.plain > 0 {
            rows.add(
                "repeated",
                format!(
                    "{} came again to plain users who had not confirmed them when their socket ended",
                    returns.repeated
                ),
            );
        }
        if let Some(receipts) = &self.receipts {
            rows.add("receipts", receipts);
        }
        if self.stolen_s > 0.0 {
            rows.add("machine", format!("its host took {:.1} s of processor time away meanwhile", self.stolen_s));
        }
        rows.add("refusals", format!("{} errors and type 5 answers", traffic.refusals));
        let refusals = traffic.refusal_examples.iter().take(REFUSALS);
        let examples = check.examples.iter().chain(&traffic.closed_examples).chain(refusals);
        examples.for_each(|example| rows.add("", example));
        rows.add_interrupted(self.interrupted);
        rows
    }
}

impl Display for Receipts {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let Self { count, detection_ms, pause_p99_ms, pause_max_ms, .. } = self;
        let ms = |value: &Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.0} ms"));
        let [detection, p99, max] = [detection_ms, pause_p99_ms, pause_max_ms].map(ms);
        write!(f, "{count}; at worst detection {detection}, pause p99 {p99}, max {max}; ")?;
        let Self { sockets_closed, gaps, dropped, bystander_moves, .. } = self;
        write!(
            f,
            "{sockets_closed} sockets closed, {gaps} gaps, {dropped} doubles and reorders dropped by gateways, "
        )?;
        write!(f, "{bystander_moves} slots moved between bystanders")
    }
}
