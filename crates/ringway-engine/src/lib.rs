//! Where Ringway keeps what must outlive its processes: small traits, and one adapter for each server that can stand behind them. No rules
//! are here; what is kept, and what it means, is the core's.
//!
//! [`conformance`] holds any adapter to what its trait promises.

pub mod bus;
pub mod census;
pub mod conformance;
pub mod file;
pub mod log;
pub mod memory;
pub mod nacos;
pub mod nats;
pub mod rabbit;
pub mod redis;
pub mod store;

pub use bus::{Bus, NotTaken};
pub use census::Census;
pub use log::{Appended, Log, Page, Place};
pub use store::{Away, Found, Refused, Store};
