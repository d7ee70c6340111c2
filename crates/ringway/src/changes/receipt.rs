//! What one change came to, as the admin API tells it.

use ringway_core::pauses;
use serde::{Deserialize, Serialize};
use std::time::Duration;

use crate::rebalance::Mode;

/// A change of the members: what was foretold, what came of it, and what those who listen noticed.
///
/// While it is `running` its numbers grow; afterwards they stand. Lengths of time are milliseconds, to a tenth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// Counts the changes, from 1.
    pub number: u64,
    /// What was done, or happened.
    pub action: Occasion,
    /// To which member.
    pub member: String,
    /// How clients were treated whose owner changed.
    pub mode: Mode,
    /// When it was asked for or, unasked, when it happened as far as is known; RFC 3339, UTC.
    pub began: String,
    /// Views before and after.
    pub epochs: Epochs,
    /// Whether it is over.
    pub state: State,
    /// What was still missing when it was given up, or what else is to be said.
    pub why: Option<String>,
    /// What was foretold just before; null if nobody asked for the change here.
    pub predicted: Option<Predicted>,
    /// What moved.
    pub moved: Moved,
    /// Slots that moved between two members of which neither was changed.
    pub bystander_moves: u32,
    /// From the fault to the view without the member; null where nothing failed.
    pub detection_ms: Option<f64>,
    /// From the beginning until every slot had its owner and all its copies again; null until then.
    pub settled_ms: Option<f64>,
    /// Client sockets that gateways closed, or that were lost with a gateway's process.
    pub sockets_closed: u64,
    /// Channels that went on with something missing, and whose listeners were told so.
    pub gaps: u64,
    /// Publications that an owner delivered twice. Gateways drop them.
    pub doubles: u64,
    /// Publications that an owner delivered ahead of their turn. Gateways drop them, and ask again.
    pub reorders: u64,
    /// How long channels had nobody who serves them.
    pub pauses: Pauses,
}

/// What is done to a member, or happens to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Occasion {
    /// One more node was started.
    Add,
    /// It was started again.
    Start,
    /// It was asked to hand over and leave.
    Stop,
    /// kill -9.
    Kill,
    /// SIGSTOP.
    Freeze,
    /// SIGCONT.
    Thaw,
    /// It was given another share of the slots.
    Weight,
    /// It was forgotten, being down.
    Remove,
    /// It joined, and nobody asked for that here.
    Joined,
    /// It handed over and left, and nobody asked for that here.
    Left,
    /// It was lost, and nobody asked for that here.
    Exit,
}

impl Occasion {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Kill => "kill",
            Self::Freeze => "freeze",
            Self::Thaw => "thaw",
            Self::Weight => "weight",
            Self::Remove => "remove",
            Self::Joined => "joined",
            Self::Left => "left",
            Self::Exit => "exit",
        }
    }

    /// The member is gone without a word: how long that went unnoticed is measured.
    pub(super) fn is_fault(self) -> bool {
        matches!(self, Self::Kill | Self::Freeze | Self::Exit)
    }
}

/// Where a change stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Under way.
    Running,
    /// Done: every slot has its owner and copies, and every gateway has told what it saw.
    Settled,
    /// Given up after a minute in which nothing more happened to it.
    Unsettled,
}

/// Epochs around a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Epochs {
    /// Of the last view before it.
    pub before: u64,
    /// Of the last view that belongs to it.
    pub after: u64,
}

/// What was foretold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Predicted {
    /// Slots that would get another owner.
    pub slots: u32,
    /// How many of them between two members of which neither is changed.
    pub bystander_moves: u32,
    /// Users of the answering gateway whose inbox would move; null if it had too much to do to look.
    pub users: Option<u64>,
    /// Client sockets that would be closed: those of a gateway that goes, or everybody's. Null for those whose owner changes:
    /// each gateway knows its own.
    pub sockets_closed: Option<u64>,
}

/// What moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// Slots that got another owner.
    pub slots: u32,
    /// Users of the answering gateway whose inbox moved with them.
    pub users: u64,
}

/// Pauses of channels, over all gateways.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Pauses {
    /// How many channels had one.
    pub count: u64,
    /// Half of them were no longer than this; 0 without any.
    pub p50_ms: f64,
    /// 99 of 100 were no longer.
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

impl From<&pauses::Pauses> for Pauses {
    fn from(pauses: &pauses::Pauses) -> Self {
        let part = |part| millis(pauses.percentile(part).unwrap_or_default());
        Self { count: pauses.count(), p50_ms: part(0.5), p99_ms: part(0.99), max_ms: millis(pauses.longest) }
    }
}

/// To a tenth of a millisecond.
pub(super) fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 10_000.0).round() / 10.0
}
