//! The edge over real loopback sockets.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod closing;
mod door;
mod echo;
mod faults;
mod flow;
mod http;
mod sending;
mod streaming;
mod support;
mod writing;
