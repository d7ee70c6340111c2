//! Cuts between members, and links that are made slow, to test the cluster: how a child that was started here is told of them.
//!
//! The order goes through the child's standard input, not over a link: a member that is cut off from this process can
//! be cut off from others still. A child listens only if its environment says that it may.

use std::fmt;
use std::io::BufRead;
use std::str::FromStr;
use std::time::Duration;

use ringway_core::MemberId;
use ringway_link::{Direction, Links, Slow};
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

/// What another member sends arrives later or slower for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slowing {
    /// Who sends it.
    pub from: MemberId,
    /// How it arrives, the delay to the millisecond.
    pub slow: Slow,
    /// For how long, to the millisecond.
    pub duration: Duration,
}

impl Slowing {
    /// Does it to this process's own links.
    pub fn apply(&self, links: &Links) {
        let Slow { delay, bytes_per_second } = self.slow;
        let pace = bytes_per_second.map_or_else(|| "any".to_owned(), |pace| pace.to_string());
        warn!(
            from = %self.from,
            bytes_per_second = %pace,
            "what comes from there is {} late for {}, as asked for",
            Span(delay),
            Span(self.duration)
        );
        links.slow(&self.from, self.slow, self.duration);
    }
}

/// As a child reads it, in one line.
impl fmt::Display for Slowing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, slow, duration } = self;
        write!(f, "slow {from} {} ", slow.delay.as_millis())?;
        match slow.bytes_per_second {
            Some(pace) => write!(f, "{pace} ")?,
            None => f.write_str("any ")?,
        }
        write!(f, "{}", duration.as_millis())
    }
}

/// What is done to links on purpose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkFault {
    /// Nothing passes.
    Cut(Cut),
    /// It passes later, or at a pace.
    Slow(Slowing),
}

impl LinkFault {
    /// Does it to this process's own links.
    pub fn apply(&self, links: &Links) {
        match self {
            Self::Cut(cut) => cut.apply(links),
            Self::Slow(slowing) => slowing.apply(links),
        }
    }
}

impl fmt::Display for LinkFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cut(cut) => cut.fmt(f),
            Self::Slow(slowing) => slowing.fmt(f),
        }
    }
}

/// The line is no order.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is neither a cut nor a slow link")]
pub struct NoFault;

impl FromStr for LinkFault {
    type Err = NoFault;

    fn from_str(line: &str) -> Result<Self, NoFault> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let id = |from: &str| MemberId::new(from).map_err(|_| NoFault);
        let number = |word: &str| word.parse().map_err(|_| NoFault);
        let span = |word: &str| number(word).map(Duration::from_millis);
        match words[..] {
            ["cut", from, way @ ("both" | "incoming"), milliseconds] => {
                let one_way = way == "incoming";
                Ok(Self::Cut(Cut { from: id(from)?, one_way, duration: span(milliseconds)? }))
            }
            ["slow", from, delay, pace, milliseconds] => {
                let bytes_per_second = if pace == "any" { None } else { Some(number(pace)?) };
                let slow = Slow { delay: span(delay)?, bytes_per_second };
                Ok(Self::Slow(Slowing { from: id(from)?, slow, duration: span(milliseconds)? }))
            }
            _ => Err(NoFault),
        }
    }
}

/// Cuts links and makes them slow as the parent says, if the environment allows it. Needs a running Tokio runtime.
pub fn obey(links: Links) {
    if !are_allowed() {
        return;
    }
    let runtime = tokio::runtime::Handle::current();
    // Reading standard input cannot be broken off: the thread ends with the process.
    std::thread::spawn(move || {
        let _inside = runtime.enter();
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            match line.parse::<LinkFault>() {
                Ok(fault) => fault.apply(&links),
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
            let cut = LinkFault::Cut(Cut { from, one_way, duration: Duration::from_millis(1_500) });
            assert_eq!(cut.to_string().parse(), Ok(cut));
        }
        for bytes_per_second in [None, Some(0), Some(1_000_000)] {
            let (from, slow) =
                (MemberId::new("node-2").unwrap(), Slow { delay: Duration::from_millis(250), bytes_per_second });
            let slowing = LinkFault::Slow(Slowing { from, slow, duration: Duration::from_millis(1_500) });
            assert_eq!(slowing.to_string().parse(), Ok(slowing));
        }
        let cuts = ["", "cut", "cut node-2 both", "cut node-2 sideways 5", "cut node-2 both soon", "cut a/b both 5"];
        for line in cuts.into_iter().chain(["slow node-2 5 5", "slow node-2 5 some 5", "slow a/b 5 any 5"]) {
            assert_eq!(line.parse::<LinkFault>(), Err(NoFault), "{line:?}");
        }
    }
}
