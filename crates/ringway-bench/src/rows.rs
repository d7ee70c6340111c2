//! Rows of a name and a value, as every table of a bench has them.

use std::fmt::{Display, Formatter};

use crate::swarm::SwarmReport;

/// Rows of a name and a value, aligned.
#[derive(Debug, Default)]
pub(crate) struct Rows(Vec<(&'static str, String)>);

impl Rows {
    pub(crate) fn add(&mut self, name: &'static str, value: impl Display) {
        self.0.push((name, value.to_string()));
    }

    /// Losses and the like, which every bench has; what did not happen and is seldom gets no row.
    pub(crate) fn add_traffic(&mut self, traffic: &SwarmReport) {
        let SwarmReport { check, closed, refusals, resubscribed, unrecovered, misdirected, stalls, .. } = traffic;
        self.add("lost", check.lost);
        self.add("doubled", check.doubled);
        self.add("reordered", check.reordered);
        self.add("sockets ended", closed);
        let seldom = [
            ("refusals", refusals),
            ("resubscribed", resubscribed),
            ("unrecovered", unrecovered),
            ("misdirected", misdirected),
            ("stalled windows", stalls),
        ];
        seldom.into_iter().filter(|(_, count)| **count > 0).for_each(|(name, count)| self.add(name, count));
        let examples = check.examples.iter().chain(&traffic.closed_examples).chain(&traffic.refusal_examples);
        examples.for_each(|example| self.add("", example));
    }

    pub(crate) fn add_interrupted(&mut self, interrupted: bool) {
        if interrupted {
            self.add("interrupted", "by Ctrl-C; the numbers are of the time before");
        }
    }
}

impl Display for Rows {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let width = self.0.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        self.0.iter().try_for_each(|(name, value)| writeln!(f, "{name:width$}  {value}"))
    }
}
