//! The process: roles, links, engine, HTTP, command line. `app` is the only place where the parts meet.
//!
//! This is a program and no library: only what `main` and the black-box tests name is visible outside, so the compiler finds what nobody uses.
#![allow(
    unreachable_pub,
    reason = "`pub` is what a module shows to the others here; what leaves the crate stands below"
)]

mod address;
mod admin;
mod api;
mod app;
mod beacon;
mod carry;
mod census;
mod changes;
pub mod cli;
mod clock;
mod cluster;
mod config;
mod console;
mod data_dir;
mod demo;
mod engine;
mod gate;
mod gateway;
mod guesses;
mod health;
mod logbook;
mod member;
mod metrics;
mod mirror;
mod orchestrator;
mod orders;
mod rebalance;
mod registry;
mod routes;
mod shutdown;
pub mod telemetry;
mod words;

pub use changes::{Occasion, Receipt, State};
