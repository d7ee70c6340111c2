//! The hub against an owner played by hand: each test decides what the owner says, and when.

mod calls;
mod comings;
mod confirming;
mod crowd;
mod dialects;
mod feeding;
mod foreign;
mod full;
pub(super) mod harness;
mod inbox;
mod joins;
mod kept;
mod lost;
mod made;
mod order;
mod orders;
mod parting;
mod permissions;
mod protobuf;
mod publishing;
mod recovery;
mod resets;
mod sessions;
mod streams;
mod terms;
mod tokens;
mod turns;
