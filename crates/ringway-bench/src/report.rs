//! The two ways to tell what was found: a table for people, JSON for programs.

use std::fmt::{Display, Formatter};

use serde::Serialize;

use crate::idle::IdleReport;
use crate::siege::SiegeReport;
use crate::swarm::SwarmReport;
use crate::traffic::TrafficReport;

/// What a bench found. As JSON it is one object whose `bench` names the kind.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "bench", rename_all = "lowercase")]
pub enum Report {
    /// Of `ringway bench idle`.
    Idle(IdleReport),
    /// Of `ringway bench fanout`.
    Fanout(TrafficReport),
    /// Of `ringway bench p2p`.
    P2p(TrafficReport),
    /// Of `ringway bench siege`.
    Siege(SiegeReport),
}

impl Report {
    /// Whether every socket stayed open and every promised message came once and in order.
    pub fn is_clean(&self) -> bool {
        match self {
            Self::Idle(report) => report.is_clean(),
            Self::Fanout(report) | Self::P2p(report) => report.is_clean(),
            Self::Siege(report) => report.is_clean(),
        }
    }

    /// Whether it is what is aimed at, where there is such an aim.
    pub fn is_as_expected(&self) -> bool {
        match self {
            Self::Idle(_) | Self::Fanout(_) | Self::P2p(_) => true,
            Self::Siege(report) => report.is_served(),
        }
    }

    /// As one line of JSON.
    ///
    /// # Errors
    /// Never in practice: all of it is numbers and strings.
    pub fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Idle(report) => report.fmt(f),
            Self::Fanout(report) | Self::P2p(report) => report.fmt(f),
            Self::Siege(report) => report.fmt(f),
        }
    }
}

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
