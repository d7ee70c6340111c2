//! The protocol as Protobuf: one binary frame carries one or more messages, each behind its length as a varint.

mod decode;
mod encode;
mod fields;
pub mod schema;

pub use decode::{BadFrame, Commands, decode_emulated, decode_frame};
pub use encode::{push, reply, say};

#[cfg(test)]
mod tests;
