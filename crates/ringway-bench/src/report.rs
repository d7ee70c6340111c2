//! The two ways to tell what was found: a table for people, JSON for programs.

use std::fmt::{Display, Formatter};

use serde::Serialize;

use crate::idle::IdleReport;
use crate::siege::SiegeReport;
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
