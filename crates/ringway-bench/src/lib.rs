//! The load generator behind `ringway bench`: real sockets, checked messages, tables and JSON.

pub mod checker;
pub mod latency;
pub mod stamp;

pub mod http;
pub mod socket;
pub mod target;

pub mod client;
pub mod procstat;
pub mod progress;

pub mod swarm;
