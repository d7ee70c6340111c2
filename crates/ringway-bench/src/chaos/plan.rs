//! What is wished for: a fault, a member, a length, all from a seed. Pure: what comes out depends on the seed and on what it is shown.
//!
//! Only faults are wished for that the promises cover: what may cost a copy (a kill, a freeze, a cut that gets somebody removed) waits until the
//! last such one has settled, and leaves two nodes at least. Everything else may overlap, but for a gateway of plain users that is
//! frozen or cut off: only it knows what they have been handed, so their inboxes do not move while it is silent.

use std::collections::BTreeSet;
use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;

use super::admin::Member;

/// How many more nodes than at the beginning there may come to be.
const GROWTH: usize = 2;
/// Nodes that must be left: the two copies of every slot.
const PAIR: usize = 2;
/// Frozen nodes sleep about as long as it takes to be removed (1.5 s), or clearly longer.
const NODE_FREEZE: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(5)];
/// Clients notice a frozen gateway after 6 to 8 s.
const GATEWAY_FREEZE: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(10)];
/// Cuts: too short to matter, up to clearly longer than a silence that gets a member removed, and below what a publish waits (5 s).
const CUT: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(3)];
/// Shares of the slots in relation to other nodes.
const WEIGHTS: [f64; 4] = [0.5, 1.0, 1.5, 2.0];

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// kill -9 of a node
    Kill,
    /// SIGSTOP of a node, and SIGCONT after a while
    Freeze,
    /// A node hands over and leaves
    Stop,
    /// A node or gateway that is down is started again
    Start,
    /// One more node
    Add,
    /// A node gets another share of the slots
    Weight,
    /// Nothing passes between two members for a while, or only one way
    Cut,
    /// kill -9 of a gateway
    KillGateway,
    /// SIGSTOP of a gateway, and SIGCONT after a while
    FreezeGateway,
    /// A gateway sends its clients away and leaves
    StopGateway,
    /// kill -9 of every process at once, and all are started again. Needs --data-dir, or the registry in NATS
    KillAll,
}

impl Fault {
    /// All that break no promise whatever the settings: those of a run that names none.
    pub const ALL: [Self; 10] = [
        Self::Kill,
        Self::Freeze,
        Self::Stop,
        Self::Start,
        Self::Add,
        Self::Weight,
        Self::Cut,
        Self::KillGateway,
        Self::FreezeGateway,
        Self::StopGateway,
    ];

    /// As on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Freeze => "freeze",
            Self::Stop => "stop",
            Self::Start => "start",
            Self::Add => "add",
            Self::Weight => "weight",
            Self::Cut => "cut",
            Self::KillGateway => "kill-gateway",
            Self::FreezeGateway => "freeze-gateway",
            Self::StopGateway => "stop-gateway",
            Self::KillAll => "kill-all",
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// One fault, in full.
#[derive(Debug, Clone, PartialEq)]
pub struct Wish {
    /// What.
    pub fault: Fault,
    /// To whom; empty for an addition, and for everybody.
    pub member: String,
    /// From whom it is cut off; empty for everything else.
    pub other: String,
    /// A cut loses only what `other` sends.
    pub one_way: bool,
    /// Of freezes and cuts.
    pub length: Duration,
    /// The new weight.
    pub weight: f64,
    /// It may cost a copy: the next such one waits until it has settled.
    pub hard: bool,
    /// Nothing at all may come before it has settled.
    pub exclusive: bool,
}

impl std::fmt::Display for Wish {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { fault, member, other, length, .. } = self;
        match fault {
            Fault::Add => write!(f, "add a node"),
            Fault::KillAll => write!(f, "kill every process at once, and start them again"),
            Fault::Weight => write!(f, "weight {member} {}", self.weight),
            Fault::Freeze | Fault::FreezeGateway => write!(f, "{fault} {member} for {length:.1?}"),
            Fault::Cut if self.one_way => write!(f, "cut {member} off from what {other} sends for {length:.1?}"),
            Fault::Cut => write!(f, "cut between {member} and {other} for {length:.1?}"),
            _ => write!(f, "{fault} {member}"),
        }
    }
}

/// What the next wish is made upon.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// Everybody.
    pub members: &'a [Member],
    /// Those that are frozen and will be thawed.
    pub frozen: &'a BTreeSet<String>,
    /// The last hard fault has not settled.
    pub hard: bool,
    /// Everything has settled.
    pub settled: bool,
}

/// The wishes of one seed.
#[derive(Debug)]
pub struct Plan {
    state: u64,
    faults: Vec<Fault>,
    /// Most nodes.
    nodes: usize,
    /// There are users without positions.
    plain: bool,
}

impl Plan {
    /// Of the faults named, on a cluster that begins with so many nodes and has so many plain users.
    pub fn new(seed: u64, faults: &[Fault], nodes: usize, users: usize) -> Self {
        let faults: BTreeSet<Fault> = faults.iter().copied().collect();
        Self { state: seed, faults: faults.into_iter().collect(), nodes: nodes + GROWTH, plain: users > 0 }
    }

    /// The next wish; none if nothing that is wished for is possible. Takes as much from the seed either way.
    pub fn next(&mut self, scene: &Scene<'_>) -> Option<Wish> {
        let [which, whom, length, detail] = std::array::from_fn(|_| self.draw());
        let possible: Vec<(Fault, Vec<Pair<'_>>)> = self
            .faults
            .iter()
            .map(|fault| (*fault, self.candidates(*fault, scene)))
            .filter(|(_, pairs)| !pairs.is_empty())
            .collect();
        let (fault, pairs) = pick(&possible, which)?;
        let pair = pick(pairs, whom)?;
        let Pair { member, other, hard } = pair;
        let [shortest, longest] = match fault {
            Fault::Freeze => NODE_FREEZE,
            Fault::FreezeGateway => GATEWAY_FREEZE,
            _ => CUT,
        };
        Some(Wish {
            fault: *fault,
            member: (*member).to_owned(),
            other: (*other).to_owned(),
            one_way: detail.is_multiple_of(2),
            length: shortest + (longest - shortest).mul_f64(length as f64 / u64::MAX as f64),
            weight: *pick(&WEIGHTS, detail)?,
            hard: *hard,
            exclusive: *fault == Fault::KillAll || self.plain && silences(*fault, pair, scene),
        })
    }

    /// A while from `shortest` to `longest`.
    pub fn pause(&mut self, shortest: Duration, longest: Duration) -> Duration {
        shortest + (longest - shortest).mul_f64(self.draw() as f64 / u64::MAX as f64)
    }

    /// Whom a fault could meet now.
    fn candidates<'a>(&self, fault: Fault, scene: &Scene<'a>) -> Vec<Pair<'a>> {
        let alive = |member: &&Member| member.is_active() && !scene.frozen.contains(&member.id);
        let nodes = || scene.members.iter().filter(|member| member.is_node() && !member.orchestrator).filter(alive);
        let gateways = || scene.members.iter().filter(|member| !member.is_node() && !member.orchestrator).filter(alive);
        let spare = nodes().count() > PAIR;
        let one = |member: &'a Member, hard| Pair { member: &member.id, other: "", hard };
        let present = scene.members.iter().filter(|member| member.is_node() && !member.is_down()).count();
        let frozen =
            scene.members.iter().filter(|member| member.is_node() && scene.frozen.contains(&member.id)).count();
        let room = present + frozen < self.nodes;
        match fault {
            Fault::Kill | Fault::Freeze if spare && !scene.hard => nodes().map(|member| one(member, true)).collect(),
            Fault::Stop if spare => nodes().map(|member| one(member, false)).collect(),
            Fault::Weight => nodes().map(|member| one(member, false)).collect(),
            Fault::Add if room => vec![Pair { member: "", other: "", hard: false }],
            Fault::Start => {
                let down =
                    scene.members.iter().filter(|member| member.is_down() && member.pid == 0 && !member.orchestrator);
                down.filter(|member| room || !member.is_node()).map(|member| one(member, false)).collect()
            }
            Fault::FreezeGateway if self.plain && !scene.settled => Vec::new(),
            Fault::KillGateway | Fault::FreezeGateway if !scene.hard => {
                gateways().map(|member| one(member, true)).collect()
            }
            // What was acknowledged is in a log, or known to be at stake; who was killed before is another fault's business.
            Fault::KillAll if scene.settled && !scene.hard && scene.frozen.is_empty() => {
                vec![Pair { member: "", other: "", hard: true }]
            }
            Fault::StopGateway => gateways().map(|member| one(member, false)).collect(),
            Fault::Cut => {
                let others = || scene.members.iter().filter(alive);
                let pairs = nodes().chain(gateways()).flat_map(|member| others().map(move |other| (member, other)));
                // Whoever is cut off may be removed for it.
                let pairs = pairs.map(|(member, other)| Pair { member: &member.id, other: &other.id, hard: true });
                let waits = |pair: &Pair<'_>| self.plain && !scene.settled && silences(fault, pair, scene);
                pairs.filter(|pair| pair.member != pair.other && spare && !scene.hard && !waits(pair)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// `SplitMix64`: the next number of the seed, the same on every machine and for ever.
    fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// A member and, for cuts, the other end.
#[derive(Debug, Clone, Copy)]
struct Pair<'a> {
    member: &'a str,
    other: &'a str,
    hard: bool,
}

/// Whether a gateway of clients lives on and is not heard.
fn silences(fault: Fault, pair: &Pair<'_>, scene: &Scene<'_>) -> bool {
    let is_met = |member: &Member| member.id == pair.member || member.id == pair.other;
    let mut gateways = scene.members.iter().filter(|member| !member.is_node() && !member.orchestrator);
    matches!(fault, Fault::FreezeGateway | Fault::Cut) && gateways.any(is_met)
}

/// The element that a drawn number falls upon.
fn pick<T>(from: &[T], drawn: u64) -> Option<&T> {
    let count = u64::try_from(from.len()).ok().filter(|count| *count > 0)?;
    from.get(usize::try_from(drawn % count).ok()?)
}

#[cfg(test)]
mod tests;
