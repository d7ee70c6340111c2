//! Cuts between members, to test the cluster: how a child that was started here is told of one.
//!
//! The order goes through the child's standard input, not over a link: a member that is cut off from this process can
//! be cut off from others still. A child listens only if its environment says that it may.

use std::fmt;
use std::io::BufRead;
use std::str::FromStr;
use std::time::Duration;

use ringway_core::MemberId;
use ringway_link::{Direction, Links};
use tracing::warn;

use crate::words::Span;

/// Environment variable with which a child listens for cuts.
pub const ALLOW_CUTS: &str = "RINGWAY_ALLOW_CUTS";

/// Whether this process is part of a demo.
pub fn are_allowed() -> bool {
    std::env::var_os(ALLOW_CUTS).is_some()
}

/// A member is cut off from another one for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// From whom.
    pub from: MemberId,
    /// What the other one sends does not arrive, while what is sent to it does.
    pub one_way: bool,
    /// For how long, to the millisecond.
    pub duration: Duration,
}

impl Cut {
    /// Does it to this process's own links.
    pub fn apply(&self, links: &Links) {
        let direction = if self.one_way { Direction::Incoming } else { Direction::Both };
        warn!(from = %self.from, one_way = self.one_way, "links are cut for {}, as asked for", Span(self.duration));
        links.cut(&self.from, direction, self.duration);
    }
}

/// As a child reads it, in one line.
impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = if self.one_way { "incoming" } else { "both" };
        write!(f, "cut {} {way} {}", self.from, self.duration.as_millis())
    }
}

/// The line is no cut.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no cut")]
pub struct NoCut;

impl FromStr for Cut {
    type Err = NoCut;

    fn from_str(line: &str) -> Result<Self, NoCut> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let ["cut", from, way @ ("both" | "incoming"), milliseconds] = words[..] else { return Err(NoCut) };
        Ok(Self {
            from: MemberId::new(from).map_err(|_| NoCut)?,
            one_way: way == "incoming",
            duration: Duration::from_millis(milliseconds.parse().map_err(|_| NoCut)?),
        })
    }
}

/// Cuts links as the parent says, if the environment allows it. Needs a running Tokio runtime.
pub fn obey(links: Links) {
    if !are_allowed() {
        return;
    }
    let runtime = tokio::runtime::Handle::current();
    // Reading standard input cannot be broken off: the thread ends with the process.
    std::thread::spawn(move || {
        let _inside = runtime.enter();
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            match line.parse::<Cut>() {
                Ok(cut) => cut.apply(&links),
                Err(why) => warn!(%line, %why, "the parent said something odd"),
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_understood() {
        for one_way in [false, true] {
            let from = MemberId::new("node-2").unwrap();
            let cut = Cut { from, one_way, duration: Duration::from_millis(1_500) };
            assert_eq!(cut.to_string().parse(), Ok(cut));
        }
        for line in ["", "cut", "cut node-2 both", "cut node-2 sideways 5", "cut node-2 both soon", "cut a/b both 5"] {
            assert_eq!(line.parse::<Cut>(), Err(NoCut), "{line:?}");
        }
    }
}
