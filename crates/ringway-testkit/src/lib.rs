//! What the black-box tests share: the real process, clients of each protocol, the checker, a swarm, and waiting for conditions.
//!
//! Everything takes addresses and deadlines from its caller and leaves nothing behind when it is dropped.

mod wait;

pub mod process;

mod mailbox;

pub mod centrifuge;
pub mod plain;
pub mod raw;

pub mod faulty;

pub use centrifuge::CentrifugeClient;
pub use plain::PlainClient;
pub use process::Process;
pub use raw::RawWs;
pub use wait::{eventually, eventually_ok};

pub use ringway_bench::checker::{CheckReport, Checker, Delivery, Promise};
pub use ringway_bench::http;
pub use ringway_bench::progress::Progress;
pub use ringway_bench::socket::Closed;
pub use ringway_bench::swarm::{Channels, Ended, Pace, Reach, Swarm, SwarmConfig, SwarmReport};
pub use ringway_bench::target::Target;
