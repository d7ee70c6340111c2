//! The protocol as JSON: one text frame carries one or more objects with a newline between them.

mod decode;
mod encode;

pub use decode::{BadFrame, COMMANDS_PER_FRAME, Commands, decode_connect, decode_emulated, decode_frame};
pub(crate) use encode::{history, presence, presence_stats};
pub use encode::{history_part, ping, presence_part, push, reply, say, say_one_way};
pub(crate) use encode::{in_first_list, in_last_object, part, publications_size};

#[cfg(test)]
mod tests;
