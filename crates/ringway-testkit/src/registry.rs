//! What every registry must do, as a table ([`BEHAVIOURS`]), and the driver that holds a registry to it ([`conform`]).
//!
//! A registry that is to be tried is a [`Subject`]: it takes requests, lets time pass, and is perhaps started again. Whoever builds an
//! adapter for a registry elsewhere writes those few functions and has all rows; what the rows ask of an answer beside its verdict
//! stands in `Run::check`. [`Store`] is a store outside as a test wants it; members that ask it as they do have all rows, too.
//!
//! Steps leave a wide margin to the length of a lease, so a subject in real time may be slow.

mod run;
mod store;
mod subject;
mod table;

pub use run::conform;
pub use store::{Connection, Faults, Store};
pub use subject::{Asked, MEMBERS, Subject};
pub use table::{BEHAVIOURS, Behaviour, Op, Says, Step, Write};
