//! The process: roles, links, engine, HTTP, command line. `app` is the only place where the parts meet.

pub mod address;
pub mod admin;
pub mod api;
pub mod app;
pub mod beacon;
pub mod changes;
pub mod cli;
mod clock;
pub mod cluster;
pub mod config;
pub mod console;
pub mod data_dir;
pub mod demo;
mod gate;
pub mod gateway;
pub mod guesses;
pub mod health;
pub mod member;
pub mod metrics;
pub mod orchestrator;
pub mod rebalance;
pub mod routes;
pub mod shutdown;
pub mod telemetry;
mod words;
