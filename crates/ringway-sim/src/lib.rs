//! The rules in a deterministic world: seeds, faults, one checker.
//!
//! A run is a cluster of processes made of the very state machines that run on sockets, hubs included, with a scheduler, a network, a
//! registry and clients that a seed decides. Clients see the frames that their sockets get. [`run`] carries one out; whatever a checker finds wrong is a
//! [`Violation`] that the same seed shows again.
//!
//! What is checked: every complete copy holds all that was committed (I1), one is left after a fault (C1), subscribers see
//! each offset once and with one content (C2), nothing is committed in a stream after a newer one began (C3), none begins
//! beside complete copies (C4), everything comes to rest (C5), a drain leaves two copies (C6), who is settled or gives a
//! copy up has all that are wanted (C7), a removed owner stops in time (C8), and one owner acknowledges per slot and
//! epoch. Besides: idempotency keys, inboxes, history, and channels without history over planned changes. Of each connection:
//! no gap, no double, nothing early, what is recovered and what is not, answers, farewells, orders to connect anew, presence. A
//! [`Sabotage`] leaves a rule out, to show that these checks bite.

mod checker;
mod large;
mod rng;
mod sabotage;
mod setup;
mod time;
mod world;

pub use checker::Violation;
pub use large::{Large, Measures};
pub use sabotage::Sabotage;
pub use setup::Mode;

use world::World;

/// What a run came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Publications acknowledged.
    pub acknowledged: u64,
    /// Views written.
    pub views: u64,
    /// Events carried out.
    pub events: u64,
    /// Faults and planned changes.
    pub faults: u64,
    /// What was wrong, if anything.
    pub violation: Option<Violation>,
    /// A sum over everything that happened: equal runs have equal ones.
    pub digest: u64,
    /// What was measured in a large cluster.
    pub measures: Option<Measures>,
    /// What happened, if it was asked for.
    pub trace: Vec<String>,
}

/// How a run is to be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Script {
    /// Decides everything else.
    pub seed: u64,
    /// What may go wrong.
    pub mode: Mode,
    /// The cluster is a large one. Its faults are deaths, in mode [`Mode::One`].
    pub large: Option<Large>,
    /// A registry's store that ends may have lost what it has acknowledged.
    pub forgets: bool,
    /// A rule that is left out.
    pub sabotage: Option<Sabotage>,
    /// Keep a line per event.
    pub trace: bool,
}

/// Carries out one run.
pub fn run(script: Script) -> Outcome {
    World::new(script).run()
}
