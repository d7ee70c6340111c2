//! The process: roles, links, engine, HTTP, command line. `app` is the only place where the parts meet.

pub mod api;
pub mod gateway;
